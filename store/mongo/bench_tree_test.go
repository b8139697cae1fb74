package mongo

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkRecordBeside holds records of access in a store against those in one
// without the index of leaves, which is all that the tree costs a record, in turns:
// one caller at a time, and 64. The ratios are of the medians, and of the rates.
func BenchmarkRecordBeside(b *testing.B) {
	m := newMaker(b)
	with := salted(b, Options{Indexer: m.indexer, Definitions: m.defs})
	without := salted(b, Options{Indexer: m.indexer, Definitions: m.defs})
	if err := without.collection(collEvents).Indexes().DropWithKey(context.Background(), byLeaf()); err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	record := func(db *DB) {
		if _, err := db.Record(context.Background(), accessOf(int(n.Add(1)), "p1")); err != nil {
			b.Error(err)
		}
	}
	var took [2][]time.Duration
	var together [2]time.Duration
	for b.Loop() {
		for i, db := range []*DB{without, with} {
			for range 8 {
				start := time.Now() //nolint:forbidigo // a benchmark
				record(db)
				took[i] = append(took[i], time.Since(start))
			}
			start := time.Now() //nolint:forbidigo // a benchmark
			var work sync.WaitGroup
			for range 64 {
				work.Go(func() {
					for range 8 {
						record(db)
					}
				})
			}
			work.Wait()
			together[i] += time.Since(start)
		}
	}
	at := func(i, percent int) float64 {
		slices.Sort(took[i])
		return float64(took[i][len(took[i])*percent/100].Microseconds())
	}
	b.ReportMetric(at(0, 50), "µs/before")
	b.ReportMetric(at(1, 50), "µs/after")
	b.ReportMetric(at(1, 50)/at(0, 50), "ratio")
	b.ReportMetric(at(1, 95)/at(0, 95), "ratio-p95")
	b.ReportMetric(float64(64*8*b.N)/together[0].Seconds(), "records/s/before")
	b.ReportMetric(float64(64*8*b.N)/together[1].Seconds(), "records/s/after")
}

// BenchmarkGrow10k makes leaves of 10^4 records.
func BenchmarkGrow10k(b *testing.B) {
	m := newMaker(b)
	db := salted(b, Options{Indexer: m.indexer, Definitions: m.defs})
	n := 0
	for b.Loop() {
		b.StopTimer()
		for range 10 {
			var records [][]byte
			for range 1000 {
				n++
				records = append(records, accessOf(n, "p1"))
			}
			if _, err := db.Record(context.Background(), records...); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if _, err := db.Grow(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
