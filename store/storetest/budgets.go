package storetest

import (
	"errors"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// Budget is the scan budget with which RunBudget wants its stores.
const Budget = 60

// RunBudget holds stores with a scan budget of Budget rows to the promise that a
// search answers rightly or not at all. open makes an empty store.
func RunBudget(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	st := open(t)
	const many = 8 * Budget
	var puts []store.Put
	for i := range many {
		p := []string{"p1", "hidden"}[i%2]
		puts = append(puts,
			first(of("Observation", p), "o"+number(i), code("x"), name("tan"), date(uint64(i), uint64(i+1)), subject("Patient", p), visit("Encounter", "e"+number(i)))) //nolint:gosec // small
		if i%2 == 0 {
			puts = append(puts, first(of("Encounter", p), "e"+number(i), code("x"), subject("Patient", p), visit("Organization", "A")))
		}
	}
	puts = append(puts, first(of("Patient", "p1"), "p1", code("x")), first(of("Patient", "hidden"), "hidden", code("x")), first(shared("Organization"), "A", code("x")),
		first(of("Observation", "p2"), "few", code("rare"), subject("Patient", "p2")), first(of("Patient", "p2"), "p2", code("rare")))
	for len(puts) > 0 {
		n := min(len(puts), 100)
		write(t, st, puts[:n]...)
		puts = puts[n:]
	}
	t.Run("never a part of an answer", func(t *testing.T) { testNoPart(t, st, many/2) })
	t.Run("too costly", func(t *testing.T) { testTooCostly(t, st) })
	t.Run("what is hidden is free", func(t *testing.T) { testFree(t, st) })
}

func nobody() search.Clause { return is("nobody has this") }

// costly are queries that hold for nothing but must read more content than the
// budget allows.
func costly() map[string]*search.Query {
	return map[string]*search.Query{
		"readings":           query("Observation", reads("nothing")),
		"readings of some":   query("Observation", is("x"), reads("nothing")),
		"a chain that reads": query("Observation", along(paramVisit, "Encounter", reads("nothing"))),
		"a _has that reads":  query("Encounter", against(paramVisit, "Observation", reads("nothing"))),
	}
}

// testTooCostly: what nothing but a look at every row could answer is refused.
func testTooCostly(t *testing.T, st store.Store) {
	s := open(t, st)
	l := levels{"p1": consent.Full}
	for name, q := range costly() {
		for in, u := range map[string]*consent.Universe{"any": l.any(), "listed": l.to("p1")} {
			for _, p := range []store.PageRequest{{Limit: 10}, {Limit: 10, Count: true}, {Count: true}} {
				page, err := s.Search(t.Context(), u, q, p)
				if !errors.Is(err, store.ErrTooCostly) || len(page.Found) > 0 {
					t.Errorf("%s, %s, %+v: %d found, %v; want %v", name, in, p, len(page.Found), err, store.ErrTooCostly)
				}
			}
		}
	}
}

// testFree: the same costs nothing where the rows are hidden.
func testFree(t *testing.T, st store.Store) {
	s := open(t, st)
	l := levels{"p2": consent.Full}
	for name, q := range costly() {
		for in, u := range map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p2", "p1") }} {
			if got := labels(all(t, s, u(), q)); len(got) > 1 {
				t.Errorf("%s, %s: found %v", name, in, got)
			}
		}
	}
	same(t, "the chain", labels(all(t, s, l.any(), query("Observation", along(paramSubject, "Patient", is("rare"))))), []string{"Observation/few/1"})
}

// testNoPart: a page is right, or there is none.
func testNoPart(t *testing.T, st store.Store, rows int) {
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Full}
	sorted, codes := query("Observation", is("x")), query("Observation", startsWith("tan"))
	sorted.Sort = []search.SortKey{byDate(true)}
	codes.Sort = []search.SortKey{byCode(true), byDate(false)}
	either := either(group(is("x"), present(paramSubject)), group(nobody()))
	refused := 0
	for name, q := range map[string]*search.Query{
		"all": query("Observation"), "code": query("Observation", is("x")), "prefix": query("Observation", startsWith("tan")), "sorted": sorted, "by code": codes,
		"not": query("Observation", not(nobody())), "groups": query("Observation", either),
		"chain": query("Observation", is("x"), along(paramVisit, "Encounter", is("x"))), "two steps": query("Observation", is("x"), along(paramVisit, "Encounter", along(paramVisit, "Organization", is("x")))),
		"has": query("Encounter", against(paramVisit, "Observation", is("x"))),
	} {
		want := rows
		if name == "all" || name == "not" {
			want++
		}
		for _, limit := range []int{1, 7, Budget / 2, Budget + 1, 10 * Budget} {
			for _, count := range []bool{false, true} {
				seen := map[string]bool{}
				var after []byte
				for {
					page, err := s.Search(t.Context(), l.any(), q, store.PageRequest{Limit: limit, After: after, Count: count})
					if errors.Is(err, store.ErrTooCostly) {
						refused++
						if len(page.Found) > 0 {
							t.Errorf("%s by %d: %d rows beside %v", name, limit, len(page.Found), err)
						}
						break
					}
					if err != nil {
						t.Fatalf("%s by %d: %v", name, limit, err)
					}
					if count && page.Total != want || len(page.Next) > 0 && len(page.Found) != limit {
						t.Fatalf("%s by %d: total %d, want %d; %d found before the end", name, limit, page.Total, want, len(page.Found))
					}
					for _, id := range labels(page.Found) {
						if seen[id] {
							t.Fatalf("%s by %d: %s twice", name, limit, id)
						}
						seen[id] = true
					}
					if after = page.Next; len(after) == 0 {
						if len(seen) != want {
							t.Errorf("%s by %d: %d rows, want %d", name, limit, len(seen), want)
						}
						break
					}
				}
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused: the budget is not Budget")
	}
}
