package embedded

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// TestLongRecord: where a patient has many rows, a clause that few of them
// satisfy leads to those, on every page.
func TestLongRecord(t *testing.T) {
	const rows = 2000
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	err := db.Write(t.Context(), func(tx store.Tx) error {
		for i := range rows {
			p := observation(1, i)
			if i%500 == 499 {
				p.Full.Entries.Add(300, []byte("rare"))
				p.Full.Entries.Sort()
			}
			if err := tx.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rare := search.Clause{Any: []search.Match{{Param: 300, Op: search.OpEqual, Key: []byte("rare")}}}
	var got []string
	var after []byte
	for before := db.Stats().Examined; ; before = db.Stats().Examined {
		page, err := s.Search(t.Context(), one("p1"), &search.Query{Type: "Observation", Clauses: []search.Clause{rare}}, store.PageRequest{Limit: 2, After: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Found {
			got = append(got, f.ID)
		}
		if examined := db.Stats().Examined - before; examined > glance+4 {
			t.Errorf("%d rows were looked at after %v, want %d and the matches", examined, got, glance)
		}
		if after = page.Next; len(after) == 0 {
			break
		}
	}
	if d := cmp.Diff([]string{"o1-499", "o1-999", "o1-1499", "o1-1999"}, got); d != "" {
		t.Errorf("found (-want +got):\n%s", d)
	}
}
