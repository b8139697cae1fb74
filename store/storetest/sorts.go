package storetest

import (
	"errors"
	"slices"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

func byCode(descending bool) search.SortKey {
	return search.SortKey{Param: paramCode, Descending: descending}
}

func bySubject(descending bool) search.SortKey {
	return search.SortKey{Param: paramSubject, Descending: descending}
}

// ranked writes rows with many ties, put in another order than that of their ids,
// some hidden, some without a value, some with several.
func ranked(t *testing.T, st store.Store) {
	t.Helper()
	var puts []store.Put
	for i := range rankedRows {
		n := (i * 29) % rankedRows
		row := of("Observation", []string{"p1", "p2", "p1", "hidden"}[n%4])
		puts = append(puts, first(row, "o"+number(n), rankedEntries(n)...))
	}
	for i := 0; i < len(puts); i += 5 {
		write(t, st, puts[i:min(i+5, len(puts))]...)
	}
}

const rankedRows = 48

func rankedEntries(n int) (e []one) {
	if n%5 > 0 {
		e = append(e, date(uint64(n%3), uint64(n%3+n%2))) //nolint:gosec // small
	}
	if n%7 > 0 {
		e = append(e, code([]string{"a", "b", "a\x00", "ab"}[n%4]))
	}
	if n%6 == 1 {
		e = append(e, date(1, 9), code("c"), code("B"))
	}
	if n%2 == 0 {
		e = append(e, subject("Patient", number(n%8)), subject("Patient", "x"))
	}
	return e
}

func sorts() map[string][]search.SortKey {
	return map[string][]search.SortKey{
		"ties alone":           {{Param: paramURL}},
		"one key":              {byDate(false)},
		"one key, descending":  {byDate(true)},
		"codes":                {byCode(false)},
		"codes, descending":    {byCode(true)},
		"references":           {bySubject(false)},
		"two keys":             {byCode(false), byDate(true)},
		"three keys":           {byDate(true), bySubject(true), byCode(false)},
		"the same key twice":   {byDate(false), byDate(true)},
		"a key that none has":  {{Param: paramURL, Descending: true}, byDate(false)},
		"both ends of one key": {byCode(true), byCode(false), byDate(false)},
	}
}

// place is where a version sorts, worked out from its entries.
func place(keys []search.SortKey, f *store.Found, e *search.Entries) store.Position {
	p := store.Position{ID: f.ID}
	for _, k := range keys {
		v, ok := search.SortValue(search.Encoded(e.AppendBinary(nil)), k)
		if !ok {
			v = nil
		}
		p.Keys = append(p.Keys, store.SortValue{Has: ok, Value: v})
	}
	return p
}

// testSortPlaces: what is found comes in the one order that its entries give, says
// where it stands, and a search may begin at any place, taken or not.
func testSortPlaces(t *testing.T, st store.Store) {
	ranked(t, st)
	s := open(t, st)
	l := levels{"p1": consent.Full, "p2": consent.Full}
	written := map[string]*search.Entries{}
	for n := range rankedRows {
		written["o"+number(n)] = entries(rankedEntries(n)...)
	}
	for name, keys := range sorts() {
		for _, clauses := range [][]search.Clause{nil, group(is("a", "b", "c")), group(not(is("a")))} {
			q := query("Observation", clauses...)
			q.Sort = keys
			for in, u := range map[string]func() *consent.Universe{"any": l.any, "listed": func() *consent.Universe { return l.to("p2", "p1") }, "everything": consent.Everything} {
				got := all(t, s, u(), q)
				places := make([]store.Position, len(got))
				for i := range got {
					places[i] = place(keys, &got[i], written[got[i].ID])
					same(t, name+", "+in+", keys of "+got[i].ID, got[i].Keys, places[i].Keys)
					if i > 0 && store.Order(keys, &places[i-1], &places[i]) >= 0 {
						t.Errorf("%s, %s: %s before %s", name, in, got[i-1].ID, got[i].ID)
					}
				}
				want := labels(got)
				for _, limit := range []int{2, 7} {
					same(t, name+", "+in+", in pages", labels(paged(t, s, u, q, limit)), want)
				}
				startAnywhere(t, s, u, q, want, places)
			}
		}
	}
}

// startAnywhere begins the answer at places in it.
func startAnywhere(t *testing.T, s store.Snapshot, u func() *consent.Universe, q *search.Query, want []string, places []store.Position) {
	t.Helper()
	from := func(what string, p store.Position, want []string) {
		t.Helper()
		page, err := s.Search(t.Context(), u(), q, store.PageRequest{Limit: 100, After: p.Append(nil), Count: true})
		if err != nil {
			t.Fatalf("%s %+v: %v", what, p, err)
		}
		same(t, what, labels(page.Found), want)
		same(t, what+": total", page.Total, len(places))
	}
	for i := 0; i < len(places); i += 7 {
		p := places[i]
		from("behind", p, want[i+1:])
		p.At = true
		from("at", p, want[i:])
		// An id that none has, and the least one.
		p.At, p.ID = false, places[i].ID+"-"
		from("behind nothing", p, want[i+1:])
		p.ID, p.At = "-", true
		begin := slices.IndexFunc(places, func(one store.Position) bool { return p.Behind(q.Sort, &one) })
		if begin < 0 {
			begin = len(want)
		}
		from("at nothing", p, want[begin:])
	}
	none := store.Position{Keys: make([]store.SortValue, len(q.Sort)), ID: "zz"}
	from("behind all", none, nil)
}

// testSortTies: rows that sort alike come by id, ascending, in either direction,
// whatever the order in which they were written, in both editions.
func testSortTies(t *testing.T, st store.Store) {
	var want []string
	for _, i := range []int{7, 3, 9, 0, 12, 5} {
		p := twofold(first(of("Immunization", "p"+number(i%3)), "i"+number(i), code("x")), code("x"))
		write(t, st, p)
		v := "/1"
		if i%3 == 2 {
			v = "/b1"
		}
		want = append(want, "Immunization/i"+number(i)+v)
	}
	slices.Sort(want)
	s := open(t, st)
	l := levels{"p0000": consent.Full, "p0001": consent.Full, "p0002": consent.Basic}
	for _, keys := range [][]search.SortKey{{byCode(false)}, {byCode(true)}, {byDate(true)}, {byDate(false), byCode(true)}} {
		q := query("Immunization")
		q.Sort = keys
		same(t, "any", labels(all(t, s, l.any(), q)), want)
		for limit := 1; limit < 4; limit++ {
			same(t, "in pages", labels(paged(t, s, l.any, q, limit)), want)
		}
	}
	q := query("Immunization")
	same(t, "no keys without a sort", all(t, s, l.any(), q)[0].Keys, []store.SortValue(nil))
}

// testPositionsChecked: a position that is not one of the query is refused, and
// none of them makes a store give what comes before.
func testPositionsChecked(t *testing.T, st store.Store) {
	ranked(t, st)
	s := open(t, st)
	q := query("Observation")
	q.Sort = []search.SortKey{byDate(true), byCode(false)}
	good := store.Position{Keys: []store.SortValue{{Has: true, Value: make([]byte, 16)}, {}}, ID: "o0001"}.Append(nil)
	if _, err := s.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 3, After: good}); err != nil {
		t.Errorf("a good position: %v", err)
	}
	for _, bad := range [][]byte{
		{0},
		{1, 2, 3},
		good[:1], good[:len(good)-len("o0001")], append([]byte{9}, good[1:]...),
		store.Position{Keys: []store.SortValue{{}}, ID: "\x01\xff"}.Append(nil), append([]byte{good[0], 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, good[1:]...),
	} {
		page, err := s.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 3, After: bad})
		if !errors.Is(err, store.ErrBadCursor) || len(page.Found) > 0 {
			t.Errorf("position %x: got %d rows, %v, want %v", bad, len(page.Found), err, store.ErrBadCursor)
		}
	}
}
