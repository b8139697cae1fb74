package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// importers is how many requests an import keeps under way.
const importers = 4

// BenchmarkImportAgainstPebble imports the Synthea records as transactions, as
// "vitrine import" does, and then commits the same batches — the same keys and
// values, as the store's own log of writes has them — to Pebble alone, with as
// many writers and a sync each. "ratio" is Pebble's time over the import's.
//
// What holds the import back: of its processor time, the engine's own work on the
// batches, which Pebble alone has too, is a third; parsing is 15%, the rest
// reading, validating, indexing and writing the Bundles. One writer at a time
// puts its batch into the engine, while Pebble alone lets its writers do so side
// by side; that and the sync, where one Bundle waits for it and the next is not
// yet prepared, are what two cores leave unused.
func BenchmarkImportAgainstPebble(b *testing.B) {
	var ours, theirs time.Duration
	size, resources := 0, 0
	for b.Loop() {
		dir := b.TempDir()
		took, n := importAll(b, dir)
		ours += took
		resources += n
		batches := written(b, dir+"/"+storeDirectory)
		for _, batch := range batches {
			size += len(batch)
		}
		theirs += replay(b, batches)
	}
	b.ReportMetric(float64(theirs)/float64(ours), "ratio")
	b.ReportMetric(float64(resources)/ours.Seconds(), "resources/s")
	b.ReportMetric(float64(size)/ours.Seconds()/1e6, "MB/s")
	b.ReportMetric(float64(size)/theirs.Seconds()/1e6, "pebble-MB/s")
}

// importAll loads the directory and the Synthea records into a new house, and
// returns how long that took and how many resources there were.
func importAll(b *testing.B, dir string) (took time.Duration, resources int) {
	b.Helper()
	cfg, err := defaults(dir)
	if err != nil {
		b.Fatal(err)
	}
	h, err := build(b.Context(), cfg, "http://localhost", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := h.Close(); err != nil {
			b.Fatal(err)
		}
	}()
	t, err := h.custodian()
	if err != nil {
		b.Fatal(err)
	}
	for _, glob := range []string{"demo/directory.json", "synthea/*Information.json.gz", "synthea/*.json.gz"} {
		files, err := embeddedFiles(glob)
		if err != nil {
			b.Fatal(err)
		}
		r := newReport(io.Discard, 0, time.Now)
		began := time.Now()
		err = load(b.Context(), t, importers, files, r)
		took += time.Since(began)
		if err != nil || r.refused() > 0 {
			b.Fatalf("%v, %d refused", err, r.refused())
		}
		for _, n := range r.accepted {
			resources += n
		}
	}
	return took, resources
}

// written are the batches in a store's log of writes.
func written(b *testing.B, dir string) (batches [][]byte) {
	b.Helper()
	logs, err := wal.Scan(wal.Dir{FS: vfs.Default, Dirname: dir})
	if err != nil {
		b.Fatal(err)
	}
	for _, l := range logs {
		r := l.OpenForRead()
		for {
			record, _, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			batch, err := io.ReadAll(record)
			if err != nil {
				b.Fatal(err)
			}
			batches = append(batches, batch)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return batches
}

// replay commits batches to Pebble and returns how long that took.
func replay(b *testing.B, batches [][]byte) time.Duration {
	b.Helper()
	dir := b.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4, Logger: quiet{}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := errors.Join(db.Close(), os.RemoveAll(dir)); err != nil {
			b.Fatal(err)
		}
	}()
	var work sync.WaitGroup
	next := make(chan []byte)
	began := time.Now()
	for range importers {
		work.Go(func() {
			for repr := range next {
				batch := db.NewBatch()
				if err := errors.Join(batch.SetRepr(repr), batch.Commit(pebble.Sync)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, batch := range batches {
		next <- batch
	}
	close(next)
	work.Wait()
	return time.Since(began)
}

// quiet keeps the engine's routine words out of a benchmark's output.
type quiet struct{ pebble.Logger }

func (quiet) Infof(string, ...any) {}
