package storetest

import (
	"errors"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

func testSort(t *testing.T, st store.Store) {
	write(t, st,
		first(of("Observation", "p1"), "o1", code("b"), date(10, 90)),
		first(of("Observation", "p1"), "o2", code("a"), date(20, 30)),
		first(of("Observation", "p1"), "o3", code("b")),
		first(of("Observation", "p1"), "o4", code("c"), date(20, 20), date(5, 5)),
		first(of("Observation", "p2"), "o5", code("a"), date(7, 7)),
		first(of("Observation", "hidden"), "o6", code("a"), date(1, 99)),
	)
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Full}
	plain := func(descending bool) search.SortKey {
		return search.SortKey{Param: paramCode, Descending: descending}
	}
	for _, c := range []struct {
		name string
		keys []search.SortKey
		want []string
	}{
		{"by low bound", []search.SortKey{byDate(false)}, []string{"o4", "o5", "o1", "o2", "o3"}},
		{"by low bound, descending, and then by high bound", []search.SortKey{byDate(true)}, []string{"o2", "o4", "o1", "o5", "o3"}},
		{"two keys", []search.SortKey{plain(false), byDate(false)}, []string{"o5", "o2", "o1", "o3", "o4"}},
		{"two keys, mixed", []search.SortKey{plain(true), byDate(true)}, []string{"o4", "o1", "o3", "o2", "o5"}},
	} {
		want := make([]string, 0, len(c.want))
		for _, id := range c.want {
			want = append(want, "Observation/"+id+"/1")
		}
		q := query("Observation")
		q.Sort = c.keys
		same(t, c.name, labels(all(t, s, l.any(), q)), want)
		same(t, c.name+", listed", labels(all(t, s, l.to("p2", "p1"), q)), want)
		for limit := 1; limit < 6; limit++ {
			same(t, c.name+", in pages", labels(paged(t, s, l.any, q, limit)), want)
		}
	}
}

// paged reads all pages.
func paged(t *testing.T, r store.Reader, u func() *consent.Universe, q *search.Query, limit int) []store.Found {
	t.Helper()
	var got []store.Found
	var after []byte
	for range 1000 {
		page, err := r.Search(t.Context(), u(), q, store.PageRequest{Limit: limit, After: after})
		if err != nil {
			t.Fatalf("page after %x: %v", after, err)
		}
		if len(page.Next) > 0 && len(page.Found) != limit {
			t.Fatalf("a page of %d before the end, want %d", len(page.Found), limit)
		}
		got = append(got, page.Found...)
		if after = page.Next; len(after) == 0 {
			return got
		}
	}
	t.Fatal("pages without end")
	return nil
}

// series writes n observations, every third hidden, every fourth without a date.
func series(t *testing.T, st store.Store, from, to int) {
	t.Helper()
	var puts []store.Put
	for i := from; i < to; i++ {
		row := of("Observation", []string{"p1", "p2", "hidden"}[i%3])
		e := []one{code("x")}
		if i%4 > 0 {
			e = append(e, date(uint64(i%7), uint64(i%11+7)))
		}
		puts = append(puts, first(row, "o"+number(i), e...))
	}
	write(t, st, puts...)
}

func testPages(t *testing.T, st store.Store) {
	series(t, st, 0, 40)
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Full}
	for _, q := range []*search.Query{query("Observation"), query("Observation", is("x"))} {
		want := labels(all(t, s, l.any(), q))
		same(t, "rows", len(want), 27)
		for limit := 1; limit < 30; limit += 3 {
			same(t, "pages put together", labels(paged(t, s, l.any, q, limit)), want)
		}
	}
}

func testSortedPages(t *testing.T, st store.Store) {
	series(t, st, 0, 40)
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Full}
	for _, descending := range []bool{false, true} {
		q := query("Observation")
		q.Sort = []search.SortKey{byDate(descending)}
		want := labels(all(t, s, l.any(), q))
		for limit := 1; limit < 30; limit += 3 {
			same(t, "pages put together", labels(paged(t, s, l.any, q, limit)), want)
		}
	}
}

// testPagesUnderChange: rows that do not change are given once each, whatever
// is written between the pages.
func testPagesUnderChange(t *testing.T, st store.Store) {
	series(t, st, 0, 40)
	l := levels{"p1": consent.Full, "p2": consent.Full}
	sorted := query("Observation")
	sorted.Sort = []search.SortKey{byDate(true)}
	next := 40
	for _, q := range []*search.Query{query("Observation"), sorted} {
		before := labels(all(t, open(t, st), l.any(), q))
		seen := map[string]int{}
		var after []byte
		for range 100 {
			page, err := open(t, st).Search(t.Context(), l.any(), q, store.PageRequest{Limit: 4, After: after})
			if err != nil {
				t.Fatalf("page: %v", err)
			}
			for _, id := range labels(page.Found) {
				seen[id]++
			}
			if after = page.Next; len(after) == 0 {
				break
			}
			series(t, st, next, next+3)
			next += 3
		}
		for _, id := range before {
			if seen[id] != 1 {
				t.Errorf("%s was given %d times, want once", id, seen[id])
			}
		}
	}
}

func testBadCursor(t *testing.T, st store.Store) {
	series(t, st, 0, 10)
	s := open(t, st)
	sorted := query("Observation")
	sorted.Sort = []search.SortKey{byDate(false)}
	page, err := s.Search(t.Context(), consent.Everything(), sorted, store.PageRequest{Limit: 3})
	if err != nil || len(page.Next) == 0 {
		t.Fatalf("first page: %v, next %x", err, page.Next)
	}
	if _, err := s.Search(t.Context(), consent.Everything(), sorted, store.PageRequest{Limit: 3, After: page.Next}); err != nil {
		t.Errorf("its own position: %v", err)
	}
	// What lies between two resources is a place in the order, too.
	for _, bad := range [][]byte{{0}, {1}, {2}, {0xFF, 0xFF}, page.Next[:1], page.Next[:10]} {
		_, err := s.Search(t.Context(), consent.Everything(), sorted, store.PageRequest{Limit: 3, After: bad})
		if !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("position %x: got %v, want %v", bad, err, store.ErrBadCursor)
		}
	}
}
