package storetest

import (
	"bytes"
	"errors"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// firstPage opens a view, takes its first page and its mark.
func firstPage(t *testing.T, st store.Store, u *consent.Universe, q *search.Query, limit int) (store.Page, []byte) {
	t.Helper()
	s := open(t, st)
	page, err := s.Search(t.Context(), u, q, store.PageRequest{Limit: limit})
	if err != nil {
		t.Fatalf("first page: %v", err)
	}
	m := bytes.Clone(s.Mark())
	if len(m) == 0 {
		t.Fatal("no mark")
	}
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return page, m
}

// restAt reads the pages that follow, each from a view opened anew at the mark.
func restAt(t *testing.T, st store.Store, m []byte, u func() *consent.Universe, q *search.Query, limit int, after []byte, between func()) []store.Found {
	t.Helper()
	var got []store.Found
	for range 100 {
		if len(after) == 0 {
			return got
		}
		between()
		s, err := st.At(t.Context(), m)
		if err != nil {
			t.Fatalf("at the mark: %v", err)
		}
		page, err := s.Search(t.Context(), u(), q, store.PageRequest{Limit: limit, After: after, Count: true})
		if err != nil {
			t.Fatalf("page at the mark: %v", err)
		}
		got, after = append(got, page.Found...), page.Next
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	t.Fatal("pages without end")
	return nil
}

// testMarks: the pages at a mark are those of the view that gave it, whatever is
// changed, moved, deleted and created between them.
func testMarks(t *testing.T, st store.Store) {
	const rows = 24
	var puts []store.Put
	for i := range rows {
		row := of("Observation", []string{"p1", "p2", "hidden"}[i%3])
		puts = append(puts, first(row, "o"+number(i), code("x"), date(uint64(i%5), uint64(i%5)), subject("Patient", "p1"))) //nolint:gosec // small
	}
	write(t, st, puts...)
	write(t, st, first(of("Patient", "p1"), "p1", name("anna")))
	l := levels{"p1": consent.Full, "p2": consent.Full}
	up, down := query("Observation"), query("Observation", is("x"))
	up.Sort, down.Sort = []search.SortKey{byDate(false)}, []search.SortKey{byDate(true), byCode(false)}
	chained := query("Observation", along(paramSubject, "Patient", startsWith("anna")))
	negated := query("Observation", not(is("y")))
	serial, left := rows, 0
	disturb := func() {
		if left--; left < 0 {
			return
		}
		serial++
		change := func(i, minute int, e ...one) store.Put {
			p := first(of("Observation", "p1"), "o"+number(i))
			p.Full = version("Observation", "o"+number(i), number(serial), minute, e...)
			return p
		}
		renamed := first(of("Patient", "p1"), "p1")
		renamed.Full = version("Patient", "p1", number(serial), 3, name("zoe"))
		write(t, st, renamed,
			change(serial%rows, 2, code("y"), date(9, 9)),                                                       // moved to the end, and out of what is asked for
			change((serial+7)%rows, 2, code("x"), date(0, 0)),                                                   // moved to the start
			first(of("Observation", "p1"), "a"+number(serial), code("x"), date(2, 2), subject("Patient", "p1")), // created
		)
		if err := st.Write(t.Context(), func(tx store.Tx) error {
			return tx.Delete("Observation", "o"+number((serial+13)%rows), number(serial)+"d", "", moment(4))
		}); err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrGone) {
			t.Fatalf("delete: %v", err)
		}
	}
	for what, q := range map[string]*search.Query{"unsorted": query("Observation"), "ascending": up, "descending": down, "chained": chained, "negated": negated} {
		for _, limit := range []int{1, 5} {
			before := labels(all(t, open(t, st), l.any(), q))
			page, m := firstPage(t, st, l.any(), q, limit)
			left = 6
			got := append(page.Found, restAt(t, st, m, l.any, q, limit, page.Next, disturb)...)
			same(t, what, labels(got), before)
			// The mark says nothing about who may see what.
			s, err := st.At(t.Context(), m)
			if err != nil {
				t.Fatalf("at the mark: %v", err)
			}
			same(t, what+", denied", labels(all(t, s, levels{}.any(), q)), []string{})
			same(t, what+", everything", len(all(t, s, consent.Everything(), q)) >= len(before), true)
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			// What follows must find something again.
			back := first(of("Patient", "p1"), "p1")
			serial++
			back.Full = version("Patient", "p1", number(serial), 3, name("anna"))
			write(t, st, back, first(of("Observation", "p2"), "b"+number(serial), code("x"), date(1, 1), subject("Patient", "p1")))
		}
	}
}

// testMarkReads: a view at a mark answers everything as the one that gave it.
func testMarkReads(t *testing.T, st store.Store) {
	p := first(of("Observation", "p1"), "o1", code("x"))
	write(t, st, p)
	_, m := firstPage(t, st, consent.Everything(), query("Observation"), 1)
	next := first(of("Observation", "p2"), "o1")
	next.Full = version("Observation", "o1", "2", 2, code("y"))
	write(t, st, next)
	s, err := st.At(t.Context(), m)
	if err != nil {
		t.Fatalf("at the mark: %v", err)
	}
	defer s.Close()
	f, err := s.Read(t.Context(), consent.Everything(), "Observation", "o1")
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	same(t, "read at the mark", f, found(p, p.Full, consent.EditionFull))
	same(t, "the owner then", labels(all(t, s, levels{"p1": consent.Full}.any(), query("Observation", is("x")))), []string{"Observation/o1/1"})
	same(t, "the owner now", labels(all(t, s, levels{"p2": consent.Full}.any(), query("Observation"))), []string{})
	again, err := st.At(t.Context(), bytes.Clone(s.Mark()))
	if err != nil {
		t.Fatalf("at the mark of a view at a mark: %v", err)
	}
	same(t, "a mark's mark", labels(all(t, again, consent.Everything(), query("Observation"))), []string{"Observation/o1/1"})
	if err := again.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	same(t, "now", labels(all(t, open(t, st), consent.Everything(), query("Observation"))), []string{"Observation/o1/2"})
}

// testUnknownMarks: what is no mark of this store is ErrBadCursor.
func testUnknownMarks(t *testing.T, st store.Store) {
	write(t, st, first(of("Observation", "p1"), "o1", code("x")))
	_, m := firstPage(t, st, consent.Everything(), query("Observation"), 1)
	late := bytes.Clone(m)
	for i := range late {
		late[i] = 0xFF
	}
	for name, bad := range map[string][]byte{
		"none": nil, "empty": {}, "a byte": {0}, "short": m[:len(m)-1], "long": append(bytes.Clone(m), 0), "never": late, "nonsense": []byte("no mark of any store"),
	} {
		s, err := st.At(t.Context(), bad)
		if !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("%s: got %v, want %v", name, err, store.ErrBadCursor)
		}
		if err == nil {
			_ = s.Close()
		}
	}
	s, err := st.At(t.Context(), m)
	if err != nil {
		t.Fatalf("its own mark: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
