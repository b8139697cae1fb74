package embedded

import (
	"log/slog"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"vitrine/fhir/r4"
	"vitrine/fhir/search"
)

// Options are what a deployment chooses; zero values mean the defaults.
type Options struct {
	// Indexer makes the index entries of AuditEvents, whose search parameters
	// Definitions name. Without one the records stay in the log and are found by
	// no search.
	Indexer     *search.Indexer
	Definitions *r4.Definitions
	// Site is the name under which events are recorded here, AuditEvent.source.
	// What nearly every event says has no posting, so a store keeps the name that it
	// was made with; events of others are found all the same.
	Site string
	// CacheSize is the size of the block cache in bytes; default 256 MiB.
	CacheSize int64
	// ScanBudget is how many admitted rows one query may examine; default
	// 250,000.
	ScanBudget int
	// Reserve is how many bytes of the disk are to be left free; default 256 MiB.
	Reserve int64
	// Copying opens also a store into which a copy is not finished.
	Copying bool
	// Logger gets the events of the engine; default none.
	Logger *slog.Logger
	// glance and effort are those that plans begin with: less than the defaults in
	// tests of what comes after.
	glance, effort int
	// disk is the system's; one that can be held up in tests.
	disk vfs.FS
}

const (
	defaultCache  = 256 << 20
	defaultBudget = 250_000
	// defaultReserve is the engine's memory four times over, and as much for the
	// files of its log.
	defaultReserve = 2 * 4 * memTable
	memTable       = 32 << 20
	bloomBits      = 10
	blockSize      = 16 << 10
)

func (o Options) withDefaults() Options {
	if o.CacheSize <= 0 {
		o.CacheSize = defaultCache
	}
	if o.ScanBudget <= 0 {
		o.ScanBudget = defaultBudget
	}
	if o.Reserve <= 0 {
		o.Reserve = defaultReserve
	}
	if o.glance <= 0 {
		o.glance = glance
	}
	if o.effort <= 0 {
		o.effort = leastEffort
	}
	if o.disk == nil {
		o.disk = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) engine() *pebble.Options {
	e := &pebble.Options{
		FS:                          aheadFS{o.disk},
		CacheSize:                   o.CacheSize,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               baseLevel,
		MaxOpenFiles:                4096,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      engineLog{o.Logger},
		EventListener:               &pebble.EventListener{DataCorruption: engineLog{o.Logger}.corrupted},
	}
	// A page reads some 100 KB of rows that lie together: fewer, larger blocks, cheap
	// to unpack, and few levels to look into.
	e.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	// What is looked up is nearly always there, in the last level: filters pay
	// for the levels above it, which they let a look-up pass by.
	for i := range e.Levels {
		e.Levels[i].BlockSize = blockSize
		if i < len(e.Levels)-1 {
			e.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
		}
	}
	return e
}

// engineLog hands the engine's words to slog. Routine ones are not kept, and of
// the others only the form: the arguments may hold keys, and keys hold ids and
// search values.
type engineLog struct{ log *slog.Logger }

func (l engineLog) Infof(string, ...any) {}

func (l engineLog) Errorf(format string, _ ...any) {
	l.log.Error("storage engine", slog.String("event", format))
}

// Fatalf ends the program: what was acknowledged can no longer be kept.
func (l engineLog) Fatalf(format string, _ ...any) { l.end(format) }

// end ends the program as kill -9 would, and so loses nothing that was
// acknowledged. It does not return, and nobody can recover from it: a server that
// goes on with half an engine hangs, or shows what is not kept.
func (l engineLog) end(event string) {
	l.log.Error("the storage engine cannot go on", slog.String("event", event))
	go panic("storage engine: " + event)
	select {}
}

// corrupted reports a damaged file. Whoever reads from it gets an error.
func (l engineLog) corrupted(info pebble.DataCorruptionInfo) {
	l.log.Error("storage engine", slog.String("event", "data corruption"), slog.String("file", filepath.Base(info.Path)))
}
