package storetest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

func sortedCopy(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func number(i int) string { return fmt.Sprintf("%04d", i) }

func testOperators(t *testing.T, st store.Store) {
	write(t, st,
		first(of("Observation", "p1"), "o1", code("a"), code("b"), name("tan\x00Tan"), date(10, 20)),
		first(of("Observation", "p1"), "o2", code("b"), name("tang\x00Tang"), date(15, 15)),
		first(of("Observation", "p1"), "o3", code("a\x00"), name("ta"), date(30, 40)),
		first(of("Observation", "p1"), "o4"),
		first(of("Media", "p1"), "m1", code("a"), name("tan"), date(10, 20)),
	)
	s := open(t, st)
	open := search.Bounds{HighMax: math.MaxUint64, LowMax: math.MaxUint64}
	for _, c := range []struct {
		name    string
		clauses []search.Clause
		want    []string
	}{
		{"all", nil, []string{"o1", "o2", "o3", "o4"}},
		{"equal", []search.Clause{is("a")}, []string{"o1"}},
		{"equal to a value with a zero", []search.Clause{is("a\x00")}, []string{"o3"}},
		{"either", []search.Clause{is("a", "b")}, []string{"o1", "o2"}},
		{"both", []search.Clause{is("a"), is("b")}, []string{"o1"}},
		{"neither", []search.Clause{is("c")}, nil},
		{"no alternative", []search.Clause{{}}, nil},
		{"no operator", []search.Clause{{Any: []search.Match{{Param: paramCode, Key: []byte("a")}}}}, nil},
		{"prefix", []search.Clause{startsWith("tan")}, []string{"o1", "o2"}},
		{"prefix with its end", []search.Clause{startsWith("tan\x00")}, []string{"o1"}},
		{"empty prefix", []search.Clause{startsWith("")}, []string{"o1", "o2", "o3"}},
		{"any range", []search.Clause{within(open)}, []string{"o1", "o2", "o3"}},
		{"low bound", []search.Clause{within(search.Bounds{LowMin: 11, LowMax: 29, HighMax: math.MaxUint64})}, []string{"o2"}},
		{"high bound", []search.Clause{within(search.Bounds{LowMax: math.MaxUint64, HighMin: 16, HighMax: 39})}, []string{"o1"}},
		{"inclusive", []search.Clause{within(search.Bounds{LowMin: 10, LowMax: 10, HighMin: 20, HighMax: 20})}, []string{"o1"}},
		{"impossible", []search.Clause{within(search.Bounds{LowMin: 5, LowMax: 1, HighMax: math.MaxUint64})}, nil},
		{"mixed", []search.Clause{startsWith("ta"), within(open), is("b")}, []string{"o1", "o2"}},
		{"mixed alternatives", []search.Clause{{Any: append(is("a\x00").Any, startsWith("tang").Any...)}}, []string{"o2", "o3"}},
	} {
		want := make([]string, 0, len(c.want))
		for _, id := range c.want {
			want = append(want, "Observation/"+id+"/1")
		}
		l := levels{"p1": consent.Full}
		for name, u := range map[string]*consent.Universe{"listed": l.to("p1"), "any": l.any(), "everything": consent.Everything()} {
			same(t, c.name+", "+name, labels(all(t, s, u, query("Observation", c.clauses...))), want)
		}
	}
}

func testReindex(t *testing.T, st store.Store) {
	u := consent.Everything()
	write(t, st, first(of("Observation", "p1"), "o1", code("old"), code("kept"), date(1, 2)))
	before := open(t, st)
	next := first(of("Observation", "p1"), "o1")
	next.Full = version("Observation", "o1", "2", 2, code("new"), code("kept"), date(5, 6))
	write(t, st, next)
	s := open(t, st)
	now, none := []string{"Observation/o1/2"}, []string{}
	same(t, "old value", labels(all(t, s, u, query("Observation", is("old")))), none)
	same(t, "new value", labels(all(t, s, u, query("Observation", is("new")))), now)
	same(t, "kept value", labels(all(t, s, u, query("Observation", is("kept")))), now)
	same(t, "old range", labels(all(t, s, u, query("Observation", within(search.Bounds{LowMax: 3, HighMax: 9})))), none)
	same(t, "the view before", labels(all(t, before, u, query("Observation", is("old")))), []string{"Observation/o1/1"})
}

// testSearchEditions: a clause about the full edition says nothing at basic
// level, and the other way round.
func testSearchEditions(t *testing.T, st store.Store) {
	write(t, st,
		twofold(first(of("Patient", "p1"), "p1", code("secret"), code("both")), code("open"), code("both")),
		twofold(first(of("Patient", "p2"), "p2", code("secret"), code("both")), code("open"), code("both")))
	s := open(t, st)
	u := func() *consent.Universe { return levels{"p1": consent.Full, "p2": consent.Basic}.any() }
	same(t, "full value", labels(all(t, s, u(), query("Patient", is("secret")))), []string{"Patient/p1/1"})
	same(t, "basic value", labels(all(t, s, u(), query("Patient", is("open")))), []string{"Patient/p2/b1"})
	same(t, "value of both", sortedCopy(labels(all(t, s, u(), query("Patient", is("both"))))), []string{"Patient/p1/1", "Patient/p2/b1"})
	same(t, "everything is full", labels(all(t, s, consent.Everything(), query("Patient", is("open")))), []string{})
}

func testTotals(t *testing.T, st store.Store) {
	var puts []store.Put
	for i := range 25 {
		p := "p1"
		if i%5 == 0 {
			p = "hidden"
		}
		puts = append(puts, first(of("Observation", p), "o"+number(i), code("x"), date(uint64(i), uint64(i))))
	}
	write(t, st, puts...)
	s := open(t, st)
	l := levels{"p1": consent.Full}
	sorted := query("Observation", is("x"))
	sorted.Sort = []search.SortKey{byDate(true)}
	for _, q := range []*search.Query{query("Observation"), query("Observation", is("x")), sorted} {
		for _, limit := range []int{0, 1, 19, 20, 21, 100} {
			page, err := s.Search(t.Context(), l.any(), q, store.PageRequest{Limit: limit, Count: true})
			if err != nil {
				t.Fatalf("search: %v", err)
			}
			same(t, "total", page.Total, 20)
			same(t, "found", len(page.Found), min(limit, 20))
			same(t, "more", len(page.Next) > 0, limit > 0 && limit < 20)
			if len(page.Next) == 0 {
				continue
			}
			page, err = s.Search(t.Context(), l.any(), q, store.PageRequest{Limit: limit, After: page.Next, Count: true})
			if err != nil {
				t.Fatalf("second page: %v", err)
			}
			same(t, "total of the second page", page.Total, 20)
		}
	}
	page, err := s.Search(t.Context(), l.any(), query("Observation"), store.PageRequest{Limit: 5})
	if err != nil || page.Total != -1 {
		t.Errorf("not asked for: got total %d, %v, want -1", page.Total, err)
	}
}
