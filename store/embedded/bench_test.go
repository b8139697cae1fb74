package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

const (
	benchPatients = 200
	benchRows     = 100 // observations of one patient
)

// observation has the size and the number of entries of a real one.
func observation(patient, i int) store.Put {
	p := strconv.Itoa(patient)
	id := fmt.Sprintf("o%d-%d", patient, i)
	e := &search.Entries{}
	at := uint64(patient*benchRows + i) //nolint:gosec // small
	for k := range 14 {
		e.Add(search.Param(100+k), []byte("c"+strconv.Itoa((i*7+k)%50)), []byte("\x00http://loinc.org"))
	}
	e.Add(200, []byte("RPatient/p"+p))
	e.Add(201, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte("d"), at), at))
	e.Sort()
	body := fmt.Appendf(nil, `{"resourceType":"Observation","id":%q,"text":"%01200d"}`, id, i)
	return store.Put{
		Row:  consent.Row{Type: "Observation", Home: consent.HomePatients, Patients: []string{"p" + p}, Contributor: "A"},
		ID:   id,
		Full: store.Version{Version: "1", Updated: time.UnixMilli(int64(i)).UTC(), JSON: body, Entries: e},
	}
}

func fill(b *testing.B, db *DB, patients int) {
	b.Helper()
	for p := range patients {
		err := db.Write(context.Background(), func(tx store.Tx) error {
			for i := range benchRows {
				if err := tx.Put(observation(p, i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// settle lets compactions come to rest, so that a benchmark measures reads.
func settle(b *testing.B, db *DB) {
	b.Helper()
	if err := db.eng.Compact(b.Context(), []byte{0}, []byte{0xFF}, false); err != nil {
		b.Fatal(err)
	}
}

func benchStore(b *testing.B) *DB {
	b.Helper()
	return openIn(b, filepath.Join(b.TempDir(), "store"), Options{CacheSize: 256 << 20})
}

func one(patient string) *consent.Universe {
	return consent.OfPatients([]string{patient}, nil, func(context.Context, string) (consent.Decision, error) {
		return consent.Decision{Level: consent.Full}, nil
	})
}

func BenchmarkRead(b *testing.B) {
	db := benchStore(b)
	fill(b, db, benchPatients)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := i % benchPatients
		s, err := db.Snapshot(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		id := fmt.Sprintf("o%d-%d", p, i%benchRows)
		if _, err := s.Read(b.Context(), one("p"+strconv.Itoa(p)), "Observation", id); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPatientPage(b *testing.B) {
	code := search.Clause{Any: []search.Match{{Param: 100, Op: search.OpEqual, Key: []byte("c7\x00http://loinc.org")}}}
	for name, q := range map[string]*search.Query{
		"all":    {Type: "Observation"},
		"code":   {Type: "Observation", Clauses: []search.Clause{code}},
		"sorted": {Type: "Observation", Sort: []search.SortKey{{Param: 201, Range: true, Descending: true}}},
	} {
		for _, patients := range []int{100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", name, patients*benchRows), func(b *testing.B) {
				db := benchStore(b)
				fill(b, db, patients)
				settle(b, db)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					s, err := db.Snapshot(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					u := one("p" + strconv.Itoa(i*37%patients))
					page, err := s.Search(b.Context(), u, q, store.PageRequest{Limit: 50})
					if err != nil || len(page.Found) == 0 {
						b.Fatal(len(page.Found), err)
					}
					if err := s.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	db := benchStore(b)
	record := make([]byte, 250)
	b.ReportAllocs()
	b.SetParallelism(32) // 64 on two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r, err := db.Record(context.Background(), record); err != nil || !r.Valid() {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkWrite writes a transaction of 100 observations; raw is the engine
// alone, committing the same keys and values.
func BenchmarkWrite(b *testing.B) {
	puts := func(n int) []store.Put {
		all := make([]store.Put, benchRows)
		for i := range all {
			all[i] = observation(n, i)
		}
		return all
	}
	b.Run("store", func(b *testing.B) {
		db := benchStore(b)
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			all := puts(n)
			b.StartTimer()
			err := db.Write(b.Context(), func(tx store.Tx) error {
				for _, p := range all {
					if err := tx.Put(p); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("raw", func(b *testing.B) { benchRaw(b, puts) })
}

func benchRaw(b *testing.B, puts func(int) []store.Put) {
	db := benchStore(b)
	x := newTx(db) // makes the keys, is never committed
	raw, err := pebble.Open(filepath.Join(b.TempDir(), "raw"), db.opt.engine())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = raw.Close() })
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		x.batch.Reset()
		for _, p := range puts(n) {
			if err := x.Put(p); err != nil {
				b.Fatal(err)
			}
		}
		var keys, values [][]byte
		for r := x.batch.Reader(); ; {
			_, k, v, ok, err := r.Next()
			if err != nil || !ok {
				break
			}
			keys, values = append(keys, append([]byte(nil), k...)), append(values, append([]byte(nil), v...))
		}
		b.StartTimer()
		batch := raw.NewBatch()
		for i := range keys {
			if err := batch.Set(keys[i], values[i], nil); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Commit(pebble.Sync); err != nil {
			b.Fatal(err)
		}
		if err := batch.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
