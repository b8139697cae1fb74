package gate_test

import (
	"strconv"
	"testing"
	"time"
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
