package storetest

import (
	"math"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// testLinks: candidates may be found by any operator, over any type, in the full
// edition, and each of them once.
func testLinks(t *testing.T, st store.Store) {
	write(t, st,
		twofold(first(of("Patient", "p1"), "p1", name("anna")), name("zoe")),
		twofold(first(of("Patient", "p2"), "p2", name("zoe")), name("anna")),
		first(of("Encounter", "p2"), "e2", name("annex"), date(10, 20)),
		first(of("Encounter", "p2"), "e2b", name("annex"), date(12, 20)),
		first(of("Encounter", "p3"), "e3", name("ward"), date(15, 40)),
		first(of("Encounter"), "e0", name("annex"), date(15, 15)),
		first(of("Observation", "p1"), "o1"), first(of("Observation", "p2"), "o2"), first(of("Observation", "p3"), "o3"),
		first(of("Observation", "p4"), "o4"), first(of("Observation", "p1", "p4"), "o14"),
	)
	ended := within(search.Bounds{LowMax: math.MaxUint64, HighMax: 25}).Any
	lasting := within(search.Bounds{LowMin: 11, LowMax: math.MaxUint64, HighMin: 30, HighMax: math.MaxUint64}).Any
	every := levels{"p1": consent.Full, "p2": consent.Full, "p3": consent.Full, "p4": consent.Full}
	s := open(t, st)
	for _, c := range []struct {
		name  string
		links []search.Match
		want  []string
	}{
		{"prefix", startsWith("ann").Any, []string{"o1", "o14", "o2"}},
		{"longer prefix", startsWith("anne").Any, []string{"o2"}},
		{"range", ended, []string{"o2"}},
		{"both bounds", lasting, []string{"o3"}},
		{"several", append(startsWith("anna").Any, lasting...), []string{"o1", "o14", "o3"}},
		{"none", startsWith("b").Any, nil},
		{"no link", nil, nil},
	} {
		u := func() *consent.Universe { return consent.OfCandidates(c.links, directory, every.decide) }
		want := make([]string, 0, len(c.want))
		for _, id := range c.want {
			want = append(want, "Observation/"+id+"/1")
		}
		same(t, c.name, sortedCopy(labels(all(t, s, u(), query("Observation")))), want)
		same(t, c.name+", in pages", sortedCopy(labels(paged(t, s, u, query("Observation"), 1))), want)
	}
}

// testBounded: what is hidden costs nothing: a store asks about as many rows
// whether one is hidden or many.
func testBounded(t *testing.T, st store.Store) {
	one := func(id string, row consent.Row) store.Put {
		return first(row, id, code("x"), code("y"), name("tan"), date(3, 4))
	}
	hide := func(from, to int) {
		var puts []store.Put
		for i := from; i < to; i++ {
			for _, p := range []string{"basic", "none", "stranger"} {
				foreign := one(p+number(i), of("Observation", p))
				foreign.Contributor = "B"
				puts = append(puts, foreign)
			}
		}
		write(t, st, puts...)
	}
	write(t, st,
		first(of("Patient", "p1"), "p1", owner("A")), first(of("Patient", "basic"), "basic", owner("A")),
		first(of("Patient", "none"), "none", owner("A")),
		one("o1", of("Observation", "p1")), one("o2", of("Observation", "p1")), one("o3", of("Observation", "p1")),
	)
	l := levels{"p1": consent.Full, "basic": consent.Basic}
	universes := map[string]func() *consent.Universe{
		"listed":     func() *consent.Universe { return l.to("p1", "basic", "none") },
		"basic":      func() *consent.Universe { return l.to("basic") },
		"candidates": func() *consent.Universe { return l.through("A") },
		"any":        l.any,
		"own":        func() *consent.Universe { return consent.OfContributor("A") },
	}
	sorted := query("Observation")
	sorted.Sort = []search.SortKey{byDate(true)}
	queries := map[string]*search.Query{
		"all": query("Observation"), "code": query("Observation", is("x")), "codes": query("Observation", is("x"), is("y")),
		"prefix": query("Observation", startsWith("ta")), "range": query("Observation", within(search.Bounds{LowMax: 9, HighMax: 9})), "sorted": sorted,
	}
	asked := func() map[string]int {
		s := open(t, st)
		counts := map[string]int{}
		for of, universe := range universes {
			for what, q := range queries {
				for _, p := range []store.PageRequest{{Limit: 2}, {Limit: 100, Count: true}, {Limit: 0, Count: true}} {
					n := 0
					u := universe().Where(func(consent.Row) bool { n++; return true })
					if _, err := s.Search(t.Context(), u, q, p); err != nil {
						t.Fatalf("search: %v", err)
					}
					counts[of+", "+what+", "+number(p.Limit)] = n
				}
			}
		}
		return counts
	}
	hide(0, 1)
	few := asked()
	hide(1, 200)
	same(t, "rows asked about", asked(), few)
}

// testReturns: what was deleted may come back, as the next version, under other
// owners, even within the write that deletes it.
func testReturns(t *testing.T, st store.Store) {
	at := func(v, b string, minute int, patient, value string) store.Put {
		p := first(of("Immunization", patient), "i1")
		p.Full = version("Immunization", "i1", v, minute, code(value), date(uint64(minute), uint64(minute)))
		basic := version("Immunization", "i1", b, minute, code(value+"b"))
		p.Basic = &basic
		return p
	}
	do := func(f func(store.Tx) error) {
		t.Helper()
		if err := st.Write(t.Context(), f); err != nil {
			t.Fatalf("write: %v", err)
		}
	}
	remove := func(tx store.Tx, v, b string, minute int) error {
		return tx.Delete("Immunization", "i1", v, b, moment(minute))
	}
	do(func(tx store.Tx) error { return tx.Put(at("1", "b1", 1, "p1", "x")) })
	do(func(tx store.Tx) error { return remove(tx, "2", "b2", 2) })
	do(func(tx store.Tx) error { return tx.Put(at("3", "b3", 3, "p1", "y")) })
	do(func(tx store.Tx) error {
		if err := remove(tx, "4", "b4", 4); err != nil {
			return err
		}
		if _, err := tx.Read(t.Context(), consent.Everything(), "Immunization", "i1"); err == nil {
			t.Error("the write does not see its own deletion")
		}
		return tx.Put(at("5", "b5", 5, "p2", "z"))
	})
	s := open(t, st)
	q := query("Immunization", is("x", "y", "z", "xb", "yb", "zb"))
	l := levels{"p1": consent.Full, "p2": consent.Full}
	same(t, "the owner before", labels(all(t, s, l.to("p1"), q)), []string{})
	same(t, "the owner", labels(all(t, s, l.to("p2"), q)), []string{"Immunization/i1/5"})
	same(t, "the owner, basic", labels(all(t, s, levels{"p2": consent.Basic}.to("p2"), q)), []string{"Immunization/i1/b5"})
	for _, c := range []struct {
		name string
		u    *consent.Universe
		want string
	}{
		{"everything", consent.Everything(), "5 4 3 2 1"},
		{"owner", levels{"p2": consent.Full}.to("p2"), "5"},
		{"owner, basic", levels{"p2": consent.Basic}.to("p2"), "b5"},
	} {
		versions, _, total, err := s.History(t.Context(), c.u, "Immunization", "i1", 9, nil)
		if err != nil {
			t.Errorf("history, %s: %v", c.name, err)
		}
		var got []string
		for _, v := range versions {
			if got = append(got, v.Version); v.Deleted != (v.Version == "2" || v.Version == "4") {
				t.Errorf("history, %s: version %s is deleted: %v", c.name, v.Version, v.Deleted)
			}
		}
		same(t, "history, "+c.name, strings.Join(got, " "), c.want)
		same(t, "total, "+c.name, total, len(versions))
	}
}

// testSortEditions: a row sorts by the edition in which it exists.
func testSortEditions(t *testing.T, st store.Store) {
	put := func(patient, id string, full, basic uint64) store.Put {
		p := first(of("AllergyIntolerance", patient), id, date(full, full))
		if basic == 0 {
			return twofold(p)
		}
		return twofold(p, date(basic, basic))
	}
	write(t, st, put("p1", "a", 50, 1), put("p1", "b", 10, 99), put("p2", "c", 1, 30), put("p2", "d", 99, 20), put("p2", "e", 60, 0), put("none", "f", 40, 40))
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Basic}
	for descending, want := range map[bool][]string{
		false: {"b/1", "d/b1", "c/b1", "a/1", "e/b1"}, true: {"a/1", "c/b1", "d/b1", "b/1", "e/b1"},
	} {
		for i := range want {
			want[i] = "AllergyIntolerance/" + want[i]
		}
		q := query("AllergyIntolerance")
		q.Sort = []search.SortKey{byDate(descending)}
		for name, u := range map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p1", "p2") }} {
			same(t, name, labels(all(t, s, u(), q)), want)
			for limit := 1; limit < 5; limit++ {
				same(t, name+", in pages", labels(paged(t, s, u, q, limit)), want)
			}
		}
	}
}
