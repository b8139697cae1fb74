package embedded

import (
	"context"
	"errors"
	"log/slog"

	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
)

// Options are what a deployment chooses; zero values mean the defaults.
type Options struct {
	// Indexer makes the index entries of AuditEvents. Required.
	Indexer *search.Indexer
	// Definitions tell which search parameters are ranges. Required.
	Definitions *r4.Definitions
	// CacheSize is the size of the block cache in bytes; default 256 MiB.
	CacheSize int64
	// ScanBudget is how many admitted rows one query may examine; default 250,000.
	ScanBudget int
	// Logger gets the events of the engine; default none.
	Logger *slog.Logger
}

// DB is a store in a directory.
type DB struct{ store.Store }

// Open opens the store in dir, and makes one if there is none.
func Open(dir string, opt Options) (*DB, error) { return nil, errors.ErrUnsupported }

// Restore copies a backup to a target directory that must be empty or absent.
func Restore(ctx context.Context, dir, target string) error { return errors.ErrUnsupported }

// Stats are the figures of a store.
type Stats struct{}

// Stats returns the present figures.
func (db *DB) Stats() Stats { return Stats{} }
