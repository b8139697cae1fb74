package embedded

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// What labels hide does not choose the plan: else it would tell, by when a search
// becomes too costly, that it is there.
func TestHiddenRowsDoNotChooseThePlan(t *testing.T) {
	const budget = 100
	for _, hidden := range []int{0, 1, 2 * probed} {
		db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{ScanBudget: budget, glance: 1})
		row := func(id, value string, labels ...string) {
			p := small(id, "1")
			e := &search.Entries{}
			e.Add(7, []byte(value))
			p.Full.Entries, p.Labels = e, labels
			put(t, db, p)
		}
		for i := range hidden {
			row("hidden"+strconv.Itoa(i), "cx", "hidden")
		}
		for i := range 3 * budget {
			row("other"+strconv.Itoa(i), "other")
		}
		for i := range probed - 1 {
			row("o"+strconv.Itoa(i), "cx")
		}
		s, err := db.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		full := func(context.Context, string) (consent.Decision, error) {
			return consent.Decision{Level: consent.Full}, nil
		}
		kept := func(r consent.Row) bool { return len(r.Labels) == 0 }
		group := observations()
		group.Clauses = []search.Clause{{All: [][]search.Clause{group.Clauses}}}
		for name, q := range map[string]*search.Query{"clause": observations(), "group": group} {
			for in, u := range map[string]*consent.Universe{
				"listed": consent.OfPatients([]string{"p1"}, nil, full).Where(kept),
				"any":    consent.OfAnyPatient(nil, full).Where(kept),
			} {
				page, err := s.Search(t.Context(), u, q, store.PageRequest{Limit: 2 * budget})
				if err != nil || len(page.Found) != probed-1 {
					t.Errorf("%d hidden, %s, %s: %d found, %v", hidden, name, in, len(page.Found), err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
