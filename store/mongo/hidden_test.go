package mongo

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// ownedBy is an Observation of patients.
func ownedBy(id string, patients ...string) store.Put {
	p := plain(id, "1")
	p.Patients = patients
	return p
}

func writeAll(t *testing.T, db *DB, puts ...store.Put) {
	t.Helper()
	err := db.Write(t.Context(), func(x store.Tx) error {
		for _, p := range puts {
			if err := x.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("write: %v", err)
	}
}

func snapshotOf(t *testing.T, db *DB) store.Snapshot {
	t.Helper()
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// only is the universe of one patient, in full.
func only(patient string) *consent.Universe {
	return consent.OfPatients([]string{patient}, nil, func(_ context.Context, p string) (consent.Decision, error) {
		if p == patient {
			return consent.Decision{Level: consent.Full}, nil
		}
		return consent.Decision{}, nil
	})
}

// TestHiddenUsesNoBudget: rows that are admitted by themselves, and are not, do
// not use up what a query may examine.
func TestHiddenUsesNoBudget(t *testing.T) {
	opt := testOptions(t)
	opt.ScanBudget = 50
	db := openFresh(t, opt)
	var puts []store.Put
	for i := range 2 * opt.ScanBudget {
		puts = append(puts, ownedBy(fmt.Sprintf("hidden%d", i), "p1", "p2"))
	}
	const visible = 20
	for i := range visible {
		puts = append(puts, ownedBy(fmt.Sprintf("o%d", i), "p1"))
	}
	writeAll(t, db, puts...)
	s := snapshotOf(t, db)
	for _, sort := range [][]search.SortKey{nil, {{Param: 7}}} {
		for _, limit := range []int{0, 1, 100} {
			q := search.Query{Type: "Observation", Sort: sort}
			page, err := s.Search(t.Context(), only("p1"), &q, store.PageRequest{Limit: limit, Count: true})
			if err != nil || page.Total != visible || len(page.Found) != min(limit, visible) {
				t.Errorf("sorted by %v, limit %d: %d found of %d, %v; want %d", sort, limit, len(page.Found), page.Total, err, visible)
			}
		}
	}
}

// TestManyAlternatives: a query of very many values is answered, for however many
// patients, or refused as too costly: it does not become more than the servers
// take.
func TestManyAlternatives(t *testing.T) {
	db := openFresh(t, testOptions(t))
	var puts []store.Put
	var patients []string
	for i := range 130 {
		patients = append(patients, fmt.Sprintf("p%d", i))
		puts = append(puts, ownedBy(fmt.Sprintf("o%d", i), patients[i]))
	}
	writeAll(t, db, puts...)
	s := snapshotOf(t, db)
	full := func(context.Context, string) (consent.Decision, error) { return consent.Decision{Level: consent.Full}, nil }
	equal := search.Clause{Any: []search.Match{{Param: 7, Op: search.OpEqual, Key: []byte("c1")}}}
	var ranges search.Clause
	for i := range 5000 {
		equal.Any = append(equal.Any, search.Match{Param: 7, Op: search.OpEqual, Key: fmt.Appendf(nil, "chttp://example.org/codes|%06d", i)})
		ranges.Any = append(ranges.Any, search.Match{Param: 9, Op: search.OpRange, Key: []byte("d"), Bounds: search.Bounds{LowMin: uint64(i), LowMax: 1 << 60, HighMin: 5, HighMax: 1 << 61}})
	}
	for _, c := range []struct {
		name     string
		clause   search.Clause
		patients int
		found    int
		err      error
	}{
		{"one value", search.Clause{Any: equal.Any[:1]}, 130, 130, nil},
		{"values, of one", equal, 1, 1, nil},
		{"values", equal, 130, 130, nil},
		{"ranges, of one", search.Clause{Any: ranges.Any[:100]}, 1, 0, nil},
		{"ranges", search.Clause{Any: ranges.Any[:100]}, 130, 0, nil},
		{"too many ranges", ranges, 1, 0, store.ErrTooCostly},
	} {
		q := search.Query{Type: fhir.ResourceType("Observation"), Clauses: []search.Clause{c.clause}}
		page, err := s.Search(t.Context(), consent.OfPatients(patients[:c.patients], nil, full), &q, store.PageRequest{Limit: 500, Count: true})
		if !errors.Is(err, c.err) || len(page.Found) != c.found {
			t.Errorf("%s: %d found, %v; want %d, %v", c.name, len(page.Found), err, c.found, c.err)
		}
	}
}
