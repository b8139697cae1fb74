package storetest

import (
	"errors"
	"testing"

	"vitrine/consent"
	"vitrine/store"
)

func testReads(t *testing.T, st store.Store) {
	p := first(of("Observation", "p1"), "o1", code("x"))
	p.Labels = []string{"sys|HIV"}
	write(t, st, p)
	s := open(t, st)
	full := levels{"p1": consent.Full, "p2": consent.Full}

	got, err := s.Read(t.Context(), full.to("p1"), "Observation", "o1")
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	same(t, "read", got, found(p, p.Full, consent.EditionFull))
	for what, u := range map[string]*consent.Universe{
		"nobody's universe": nil,
		"the zero universe": {},
		"no level":          levels{}.to("p1"),
		"basic level":       levels{"p1": consent.Basic}.to("p1"),
		"another's":         consent.OfContributor("B"),
	} {
		if got, err := s.Read(t.Context(), u, "Observation", "o1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("read in %s: got %v, %v, want %v", what, got, err, store.ErrNotFound)
		}
	}
	for what, read := range map[string][2]string{
		"absent id": {"Observation", "o2"}, "absent type": {"Media", "o1"}, "other type": {"Patient", "o1"},
	} {
		_, err := s.Read(t.Context(), consent.Everything(), "Media", read[1])
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("read of %s: got %v, want %v", what, err, store.ErrNotFound)
		}
	}
	if _, err := s.Read(t.Context(), consent.OfContributor("A"), "Observation", "o1"); err != nil {
		t.Errorf("read by its contributor: %v", err)
	}
}

func testOwners(t *testing.T, st store.Store) {
	write(t, st, first(of("Observation", "p1", "p2"), "o1"))
	s := open(t, st)
	if _, err := s.Read(t.Context(), levels{"p1": consent.Full, "p2": consent.Full}.to("p1"), "Observation", "o1"); err != nil {
		t.Errorf("both owners admit: %v", err)
	}
	for _, l := range []levels{{"p1": consent.Full}, {"p2": consent.Full}, {"p1": consent.Full, "p2": consent.Basic}} {
		if _, err := s.Read(t.Context(), l.to("p1", "p2"), "Observation", "o1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one owner of two admits (%v): got %v, want %v", l, err, store.ErrNotFound)
		}
	}
}

func testDeletion(t *testing.T, st store.Store) {
	p := twofold(first(of("Patient", "p1"), "p1", code("x")), code("x"))
	write(t, st, p)
	err := st.Write(t.Context(), func(tx store.Tx) error { return tx.Delete("Patient", "p1", "2", "b2", moment(2)) })
	if err != nil {
		t.Fatalf("delete: %v", err)
	}
	s := open(t, st)
	for _, u := range []*consent.Universe{
		levels{"p1": consent.Full}.to("p1"), levels{"p1": consent.Basic}.to("p1"), consent.Everything(),
	} {
		if _, err := s.Read(t.Context(), u, "Patient", "p1"); !errors.Is(err, store.ErrGone) {
			t.Errorf("read of a deleted resource: got %v, want %v", err, store.ErrGone)
		}
		if got := all(t, s, u, query("Patient")); len(got) > 0 {
			t.Errorf("search found what was deleted: %v", labels(got))
		}
	}
	if _, err := s.Read(t.Context(), levels{}.to("p1"), "Patient", "p1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deletion that is hidden: got %v, want %v", err, store.ErrNotFound)
	}
	if got, err := s.Version(t.Context(), levels{"p1": consent.Basic}.to("p1"), "Patient", "p1", "b1"); err != nil {
		t.Errorf("the version before: %v", err)
	} else {
		same(t, "the version before", got, found(p, *p.Basic, consent.EditionBasic))
	}
	back := first(of("Patient", "p1"), "p1", code("y"))
	back.Full.Version, back.Full.JSON = "3", content("Patient", "p1", "3")
	write(t, st, back)
	same(t, "brought back", labels(all(t, open(t, st), consent.Everything(), query("Patient", is("y")))), []string{"Patient/p1/3"})
	absent := st.Write(t.Context(), func(tx store.Tx) error { return tx.Delete("Patient", "p9", "2", "", moment(2)) })
	if !errors.Is(absent, store.ErrNotFound) {
		t.Errorf("delete of what is absent: got %v, want %v", absent, store.ErrNotFound)
	}
}
