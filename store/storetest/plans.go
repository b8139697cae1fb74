package storetest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// testExplain: a plan is told when it is asked for, and changes nothing.
func testExplain(t *testing.T, st store.Store) {
	family(t, st)
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Full}
	sorted := query("Observation", is("x"))
	sorted.Sort = []search.SortKey{byCode(true)}
	for name, q := range map[string]*search.Query{
		"all": query("Observation"), "code": query("Observation", is("x")), "not": query("Observation", not(is("x"))), "sorted": sorted,
		"chain": query("Observation", along(paramSubject, "Patient", startsWith("anna"))), "has": query("Patient", against(paramSubject, "Observation", is("x"))),
		"read": query("Observation", reads("x")), "group": query("Observation", either(group(is("x")), group(is("y"), present(paramSubject)))),
	} {
		for in, u := range map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p1", "p2") }, "everything": consent.Everything} {
			for _, p := range []store.PageRequest{{Limit: 2}, {Limit: 2, Count: true}, {Limit: 0, Count: true}} {
				plain, err := s.Search(t.Context(), u(), q, p)
				if err != nil {
					t.Fatalf("%s, %s: %v", name, in, err)
				}
				same(t, name+", "+in+": no plan unless asked for", plain.Plan, []string(nil))
				p.Explain = true
				told, err := s.Search(t.Context(), u(), q, p)
				if err != nil {
					t.Fatalf("%s, %s, explained: %v", name, in, err)
				}
				if len(told.Plan) == 0 || slices.Contains(told.Plan, "") {
					t.Errorf("%s, %s: plan %q", name, in, told.Plan)
				}
				if d := cmp.Diff(plain, told, cmpopts.IgnoreFields(store.Page{}, "Plan"), cmpopts.EquateEmpty()); d != "" {
					t.Errorf("%s, %s: the plan changed the answer (-plain +told):\n%s", name, in, d)
				}
			}
		}
	}
}
