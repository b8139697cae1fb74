package mongo

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/fhir/r4"
	"vitrine/fhir/search"
)

// Options are what a deployment chooses; zero values mean the defaults.
type Options struct {
	// URI names the servers, "mongodb://" or "mongodb+srv://", with whatever
	// options of its own. What it says of concerns and of reads from secondaries
	// is not followed: reads are of the primary, and both concerns are majority.
	URI string
	// Database is the name of the database; default the one in the URI, or
	// "vitrine".
	Database string
	// Username and Password, when set, stand in for those of the URI, so that
	// neither need be written there.
	Username, Password string
	// TLS, when set, is used for every connection.
	TLS *tls.Config
	// Indexer makes the index entries of AuditEvents, whose search parameters
	// Definitions name. Without one no search finds them.
	Indexer     *search.Indexer
	Definitions *r4.Definitions
	// ScanBudget is how many admitted rows one query may examine; default
	// 250,000.
	ScanBudget int
	// Connections bounds the pool of connections to each server; default 100.
	Connections uint64
	// Timeout bounds one operation of the database when the request allows more;
	// default 30 seconds.
	Timeout time.Duration
	// Dialer, when set, makes the connections.
	Dialer options.ContextDialer
	// Logger gets the events of the store; default none.
	Logger *slog.Logger
}

const (
	defaultDatabase    = "vitrine"
	defaultBudget      = 250_000
	defaultConnections = 100
	defaultTimeout     = 30 * time.Second
)

// Report is what Check found.
type Report struct {
	// Server is the version of the servers.
	Server string
	// Topology is "replica set", "sharded cluster" or "standalone".
	Topology string
	// Database is the name of the database.
	Database string
	// Schema is the version of the schema found; empty when there is none yet.
	Schema string
	// Problems are what keeps the store from serving; none when it may.
	Problems []string
}

// Init makes the collections and indexes of a store, and does nothing where
// they are.
func Init(ctx context.Context, opt Options) error{ panic("soon") }

// Check compares the collections and indexes of a store with what this version
// needs. It writes nothing.
func Check(ctx context.Context, opt Options) (Report, error) { panic("soon") }
