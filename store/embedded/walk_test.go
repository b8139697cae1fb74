package embedded

import (
	"context"
	"path/filepath"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// TestHiddenPatientIsLeapt: of a patient of whom nothing exists one row is
// looked at, however long the record.
func TestHiddenPatientIsLeapt(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	for p := range 3 {
		for i := range 50 {
			put(t, db, observation(p, i))
		}
	}
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen := 0
	u := consent.OfAnyPatient(nil, func(_ context.Context, patient string) (consent.Decision, error) {
		if patient == "p2" {
			return consent.Decision{Level: consent.Full}, nil
		}
		return consent.Decision{}, nil
	}).Where(func(consent.Row) bool { seen++; return true })
	page, err := s.Search(t.Context(), u, &search.Query{Type: "Observation"}, store.PageRequest{Limit: 100})
	if err != nil || len(page.Found) != 50 {
		t.Fatalf("found %d, %v, want 50", len(page.Found), err)
	}
	if seen != 52 {
		t.Errorf("%d rows were looked at, want 50 of the patient and one of each other", seen)
	}
}
