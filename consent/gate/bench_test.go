package gate_test

import (
	"testing"
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
