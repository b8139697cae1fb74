package embedded

import (
	"strconv"
	"testing"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// BenchmarkChanges reads the newest page of the history of a type, and one deep
// in it, from stores of two sizes: a page costs what it holds.
func BenchmarkChanges(b *testing.B) {
	for _, patients := range []int{100, 1000} {
		db := benchStore(b)
		fill(b, db, patients)
		settle(b, db)
		q := store.ChangesRequest{Types: []fhir.ResourceType{"Observation"}, Limit: 50}
		deep := store.Change{At: benchRows / 2, Type: "Observation", ID: "o" + strconv.Itoa(patients/2) + "-50", Count: 1}
		for name, after := range map[string][]byte{"newest": nil, "deep": deep.Append(nil)} {
			b.Run(name+"/"+strconv.Itoa(patients*benchRows), func(b *testing.B) {
				b.ReportAllocs()
				q.After = after
				for b.Loop() {
					s, err := db.Snapshot(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					page, err := s.Changes(b.Context(), consent.Everything(), q)
					if err != nil || len(page.Found) != 50 {
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
