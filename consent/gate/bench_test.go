package gate_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"vitrine/fhir/smart"
	"vitrine/store"
)

// BenchmarkRead is a read with warm caches: decided, recorded durably,
// released.
func BenchmarkRead(b *testing.B) {
	w := newClinics(b, nil)
	req := w.request(doctor("A"), "read", "Observation")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.gate.Read(b.Context(), req, "Observation", "o-q"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadParallel shares the wait for the disk.
func BenchmarkReadParallel(b *testing.B) {
	w := newClinics(b, nil)
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		req := w.request(doctor("A"), "read", "Observation")
		for pb.Next() {
			if _, err := w.gate.Read(b.Context(), req, "Observation", "o-q"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkSearch is a search about one patient, warm.
func BenchmarkSearch(b *testing.B) {
	w := newClinics(b, nil)
	req, q := w.request(doctor("A"), "search-type", "Observation"), w.query("Observation", "patient=Patient/q")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.gate.Search(b.Context(), req, q, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// unrecorded is a store that says of a record that it is durable, and drops it: what
// a read costs without the disk.
type unrecorded struct{ store.Store }

func (unrecorded) Record(context.Context, ...[]byte) (store.Receipt, error) {
	return store.NewReceipt(1), nil
}

// BenchmarkRevocations reads by turns with a token that nobody could revoke and with
// one that nobody did, among ten thousand that are revoked: ratio is what it costs to
// know. Every thousandth read comes after another was revoked.
func BenchmarkRevocations(b *testing.B) {
	w := newClinics(b, func(st store.Store) store.Store { return unrecorded{st} })
	w.remember(func(m smart.Memory) error {
		for i := range 10_000 {
			if err := m.Revoke("token-"+strconv.Itoa(i), w.now.Add(time.Hour)); err != nil {
				return err
			}
		}
		return nil
	})
	plain := w.request(doctor("A"), "read", "Observation")
	borne := w.request(bearing(doctor("A"), "0d9f8a6c2b7e4d3f", "5c1e7b9a3d2f4e60"), "read", "Observation")
	var spent [2]time.Duration
	for n := 0; b.Loop(); n++ {
		if n%1000 == 999 {
			w.revoke("late-" + strconv.Itoa(n))
		}
		for i := range spent {
			began := time.Now()
			req := plain
			if i = (i + n) % 2; i == 1 {
				req = borne
			}
			if _, err := w.gate.Read(b.Context(), req, "Observation", "o-q"); err != nil {
				b.Fatal(err)
			}
			spent[i] += time.Since(began)
		}
	}
	b.ReportMetric(float64(spent[0].Nanoseconds())/float64(b.N), "ns/plain")
	b.ReportMetric(float64(spent[1].Nanoseconds())/float64(b.N), "ns/checked")
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
}

// BenchmarkReindex makes the index of an added parameter that every resource has a
// value for; ns/op is for one resource, half of it left to others.
func BenchmarkReindex(b *testing.B) {
	w := newClinics(b, nil)
	for i := range b.N {
		w.put("Observation", "n"+strconv.Itoa(i), observation("Patient/p")+`,"note":[{"text":"x"}]`)
	}
	w.put("SearchParameter", "noted", parameter("noted", "string", "Observation", "Observation.note.text"))
	b.ResetTimer()
	if err := w.gate.Reindex(b.Context(), time.Now); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkWrite is a write by the custodian, of which the index is a part.
func BenchmarkWrite(b *testing.B) {
	w := newClinics(b, nil)
	req, c := w.request(custodian(), "create", "Observation"), w.content(resource("Observation", "", observation("Patient/p")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.gate.Create(b.Context(), req, c, nil); err != nil {
			b.Fatal(err)
		}
	}
}
