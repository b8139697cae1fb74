package mongo

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/store"
)

// sizeCopies is how often the records are written for BenchmarkSize.
const sizeCopies = 20

// BenchmarkSize reports what a resource, an edition of the basic set and an event
// take on disk, in the collection and in each of its indexes, after the servers
// have compressed them. The sizing sheet in doc.go comes from it.
func BenchmarkSize(b *testing.B) {
	m := newMaker(b)
	db := salted(b, Options{Indexer: m.indexer, Definitions: m.defs})
	for b.Loop() {
		var patients []string
		for copied := range sizeCopies {
			for _, s := range m.sheets() {
				puts := m.puts(s, copied)
				patients = append(patients, puts[0].Patients...)
				put(b, db, puts)
			}
		}
		for _, s := range m.sheets() { // once more, so that there are former versions
			puts := m.puts(s, 0)
			for i := range puts {
				puts[i].Full = m.version(puts[i].ID, "2", puts[i].Full.JSON)
			}
			put(b, db, puts)
		}
		if _, err := db.Record(context.Background(), accesses(patients, 100)...); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.client.Database("admin").RunCommand(context.Background(), is("fsync", 1)).Err(); err != nil {
		b.Fatal(err)
	}
	for _, coll := range []string{collFull, collBasic, collVersions, collEvents} {
		reportSize(b, db, coll)
	}
}

// reportSize leaves out what a file has free, which is used again.
func reportSize(b *testing.B, db *DB, coll string) {
	b.Helper()
	var s struct {
		Count   int64            `bson:"count"`
		Size    int64            `bson:"size"`
		Storage int64            `bson:"storageSize"`
		Free    int64            `bson:"freeStorageSize"`
		Indexes map[string]int64 `bson:"indexSizes"`
		Details map[string]struct {
			Blocks struct {
				Free int64 `bson:"file bytes available for reuse"`
			} `bson:"block-manager"`
		} `bson:"indexDetails"`
	}
	if err := db.data.RunCommand(context.Background(), bson.D{{Key: "collStats", Value: coll}, {Key: "indexDetails", Value: true}}).Decode(&s); err != nil {
		b.Fatal(err)
	}
	each := func(size int64) float64 { return float64(size) / float64(s.Count) }
	b.ReportMetric(float64(s.Count), coll)
	b.ReportMetric(each(s.Size), coll+"/plain")
	b.ReportMetric(each(s.Storage-s.Free), coll+"/data")
	for name, size := range s.Indexes {
		b.ReportMetric(each(size-s.Details[name].Blocks.Free), coll+"/"+name)
	}
}

// BenchmarkCommits counts what is committed in a second, a resource at a time,
// by one process and by two, each with one writer and with 64.
func BenchmarkCommits(b *testing.B) {
	m := newMaker(b)
	one := salted(b, Options{Indexer: m.indexer, Definitions: m.defs})
	opt := one.opt
	two, err := Open(context.Background(), opt)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = two.Close() })
	model := m.puts(m.sheets()[0], 0)
	var made atomic.Int64
	fresh := func() store.Put {
		p := model[1]
		p.ID = fmt.Sprintf("w%d", made.Add(1))
		return p
	}
	for _, writers := range []int{1, 64} {
		for n, of := range [][]*DB{{one}, {one, two}} {
			b.Run(fmt.Sprintf("%d of %d", n+1, writers), func(b *testing.B) {
				before, start := lockAt(b, one), time.Now() //nolint:forbidigo // a benchmark
				writes := 0
				for b.Loop() {
					const each = 4
					var all sync.WaitGroup
					for _, db := range of {
						for range writers {
							all.Go(func() {
								for range each {
									put(b, db, []store.Put{fresh()})
								}
							})
						}
					}
					all.Wait()
					writes += each * writers * len(of)
				}
				took := time.Since(start).Seconds()
				b.ReportMetric(float64(writes)/took, "writes/s")
				b.ReportMetric(float64(lockAt(b, one)-before)/took, "commits/s")
			})
		}
	}
}

func lockAt(b *testing.B, db *DB) int64 {
	b.Helper()
	var lock epochDocument
	if err := db.collection(collEpochs).FindOne(context.Background(), bson.D{{Key: "_id", Value: lockKey}}).Decode(&lock); err != nil {
		b.Fatal(err)
	}
	return lock.At
}
