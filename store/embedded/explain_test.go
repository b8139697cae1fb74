package embedded

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// TestPlan: the plan says what led, what was checked and how many rows that took,
// and has no search value in it.
func TestPlan(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	for p := range 3 {
		put(t, db, grownPerson(p))
		for i := range 100 {
			put(t, db, observation(p, i))
		}
	}
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	chain := search.Clause{Via: []search.Join{{Param: 200, Type: "Patient", Clauses: []search.Clause{token(grownID, "surn:national\x001")}}}}
	code := token(100, "c0\x00http://loinc.org")
	date := []search.SortKey{{Param: 201, Range: true}}
	for name, c := range map[string]struct {
		q    *search.Query
		p    store.PageRequest
		want []string
	}{
		"a token": {
			&search.Query{Type: "Observation", Clauses: []search.Clause{code}},
			store.PageRequest{Limit: 3, Count: true, Explain: true},
			[]string{
				"the total: counted by postings alone, but for rows with labels or several patients",
				"search Observation, full edition: led by condition 1 (6 in the universe); 4 rows looked at",
				"condition 1: parameter 100",
			},
		},
		"a chain": {
			&search.Query{Type: "Observation", Clauses: []search.Clause{chain, code}},
			store.PageRequest{Limit: 3, Explain: true},
			[]string{
				"search Observation, full edition: led by condition 2 (6 in the universe); 6 rows looked at",
				"condition 1: a join by parameter 200 to Patient, found first: 1",
				"condition 2: parameter 100",
			},
		},
		"an order": {
			&search.Query{Type: "Observation", Sort: date, Clauses: []search.Clause{chain}},
			store.PageRequest{Limit: 3, Explain: true},
			[]string{
				"sort all of Observation, full edition: led by condition 1 (64 or more in the universe); 100 rows looked at",
				"condition 1: a join by parameter 200 to Patient, found first: 1",
			},
		},
	} {
		page, err := s.Search(t.Context(), consent.Everything(), c.q, c.p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(c.want, page.Plan); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		c.p.Explain = false
		if page, err = s.Search(t.Context(), consent.Everything(), c.q, c.p); err != nil || page.Plan != nil {
			t.Errorf("%s: plan %q, %v, want none", name, page.Plan, err)
		}
	}
}
