package storetest

import (
	"errors"
	"strconv"
	"testing"

	"vitrine/consent"
	"vitrine/store"
)

// grow writes versions 1 to n of an Observation of p1.
func grow(t *testing.T, st store.Store, id string, n int) []store.Put {
	t.Helper()
	puts := make([]store.Put, n)
	for i := range n {
		p := first(of("Observation", "p1"), id, code("v"+strconv.Itoa(i+1)))
		p.Full = version("Observation", id, strconv.Itoa(i+1), i, code("v"+strconv.Itoa(i+1)))
		write(t, st, p)
		puts[i] = p
	}
	return puts
}

func testVersions(t *testing.T, st store.Store) {
	puts := grow(t, st, "o1", 3)
	s := open(t, st)
	u := levels{"p1": consent.Full}.to("p1")
	for _, p := range puts {
		got, err := s.Version(t.Context(), u, "Observation", "o1", p.Full.Version)
		if err != nil {
			t.Fatalf("version %s: %v", p.Full.Version, err)
		}
		same(t, "version "+p.Full.Version, got, found(p, p.Full, consent.EditionFull))
		if _, err := s.Version(t.Context(), levels{}.to("p1"), "Observation", "o1", p.Full.Version); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("hidden version %s: got %v, want %v", p.Full.Version, err, store.ErrNotFound)
		}
	}
	for _, absent := range []string{"4", "0", "b1", "01", "x", ""} {
		if _, err := s.Version(t.Context(), u, "Observation", "o1", absent); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("version %q: got %v, want %v", absent, err, store.ErrNotFound)
		}
	}
}

// testFormerOwners: a version that was about another patient stays that
// patient's.
func testFormerOwners(t *testing.T, st store.Store) {
	write(t, st, first(of("Observation", "p1"), "o1", code("x")))
	moved := first(of("Observation", "p2"), "o1", code("x"))
	moved.Full = version("Observation", "o1", "2", 2, code("x"))
	write(t, st, moved)
	s := open(t, st)
	p1, p2 := levels{"p1": consent.Full}, levels{"p2": consent.Full}
	both := levels{"p1": consent.Full, "p2": consent.Full}

	same(t, "search by the owner before", labels(all(t, s, p1.to("p1"), query("Observation", is("x")))), []string{})
	same(t, "search by the owner", labels(all(t, s, p2.to("p2"), query("Observation", is("x")))), []string{"Observation/o1/2"})
	if _, err := s.Version(t.Context(), p2.to("p2"), "Observation", "o1", "1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the other patient's version: got %v, want %v", err, store.ErrNotFound)
	}
	if _, err := s.Version(t.Context(), both.to("p2"), "Observation", "o1", "1"); err != nil {
		t.Errorf("with both patients admitted: %v", err)
	}
	versions, _, total, err := s.History(t.Context(), p2.to("p2"), "Observation", "o1", 10, nil)
	if err != nil {
		t.Fatalf("history: %v", err)
	}
	same(t, "history of the new owner", labels(versions), []string{"Observation/o1/2"})
	same(t, "total of the new owner", total, 1)
}

func testHistory(t *testing.T, st store.Store) {
	grow(t, st, "o1", 5)
	grow(t, st, "o2", 2)
	err := st.Write(t.Context(), func(tx store.Tx) error { return tx.Delete("Observation", "o1", "6", "", moment(6)) })
	if err != nil {
		t.Fatalf("delete: %v", err)
	}
	s := open(t, st)
	u := levels{"p1": consent.Full}.to("p1")
	var got []string
	var after []byte
	for range 10 {
		versions, next, total, err := s.History(t.Context(), u, "Observation", "o1", 2, after)
		if err != nil {
			t.Fatalf("history: %v", err)
		}
		same(t, "total", total, 6)
		got = append(got, labels(versions)...)
		if after = next; len(after) == 0 {
			break
		}
	}
	same(t, "history in pages", got, []string{
		"Observation/o1/6", "Observation/o1/5", "Observation/o1/4",
		"Observation/o1/3", "Observation/o1/2", "Observation/o1/1",
	})
	versions, next, _, err := s.History(t.Context(), u, "Observation", "o1", 1, nil)
	if err != nil || len(next) == 0 || len(versions) != 1 || !versions[0].Deleted || len(versions[0].JSON) > 0 {
		t.Errorf("the deletion comes first: got %v, next %x, %v", versions, next, err)
	}
	if _, _, _, err := s.History(t.Context(), levels{}.to("p1"), "Observation", "o1", 2, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("hidden history: got %v, want %v", err, store.ErrNotFound)
	}
	if _, _, _, err := s.History(t.Context(), u, "Observation", "o1", 2, []byte{0xFF, 1, 2}); !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("bad position: got %v, want %v", err, store.ErrBadCursor)
	}
}

func testEditions(t *testing.T, st store.Store) {
	p := twofold(first(of("Patient", "p1"), "p1", code("secret")), code("open"))
	write(t, st, p)
	next := first(of("Patient", "p1"), "p1")
	next.Full = version("Patient", "p1", "2", 5, code("secret2"))
	kept := *p.Basic
	kept.Unchanged = true
	next.Basic = &kept
	write(t, st, next)
	s := open(t, st)
	full, basic := levels{"p1": consent.Full}.to("p1"), levels{"p1": consent.Basic}.to("p1")

	got, err := s.Read(t.Context(), full, "Patient", "p1")
	if err != nil {
		t.Fatalf("read full: %v", err)
	}
	same(t, "full", got, found(next, next.Full, consent.EditionFull))
	if got, err = s.Read(t.Context(), basic, "Patient", "p1"); err != nil {
		t.Fatalf("read basic: %v", err)
	}
	same(t, "basic", got, found(p, *p.Basic, consent.EditionBasic))
	if _, err := s.Version(t.Context(), basic, "Patient", "p1", "1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a full version at basic level: got %v, want %v", err, store.ErrNotFound)
	}
	if _, err := s.Version(t.Context(), full, "Patient", "p1", "b1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a basic version at full level: got %v, want %v", err, store.ErrNotFound)
	}
	versions, _, total, err := s.History(t.Context(), basic, "Patient", "p1", 10, nil)
	if err != nil {
		t.Fatalf("history: %v", err)
	}
	same(t, "basic history", labels(versions), []string{"Patient/p1/b1"})
	same(t, "basic total", total, 1)
}

// testUnchanged: the owners of a resource may change while an edition stays.
func testUnchanged(t *testing.T, st store.Store) {
	p := twofold(first(of("AllergyIntolerance", "p1"), "a1", code("x")), code("open"))
	write(t, st, p)
	moved := first(of("AllergyIntolerance", "p2"), "a1")
	moved.Full = version("AllergyIntolerance", "a1", "2", 5, code("x"))
	moved.Basic = &store.Version{Unchanged: true}
	write(t, st, moved)
	s := open(t, st)
	q := query("AllergyIntolerance", is("open"))
	p1, p2 := levels{"p1": consent.Basic}.to("p1"), levels{"p2": consent.Basic}.to("p2")
	same(t, "the owner before", labels(all(t, s, p1, q)), []string{})
	same(t, "the owner", labels(all(t, s, p2, q)), []string{"AllergyIntolerance/a1/b1"})
}

// testRefiled: an edition that stays may be filed anew, under other owners and
// entries, in a basic edition that it had not, and remains the version it was.
func testRefiled(t *testing.T, st store.Store) {
	p := first(of("AllergyIntolerance"), "a1", code("waits"), code("kept"), date(1, 1))
	write(t, st, p)
	arrived := twofold(first(of("AllergyIntolerance", "p1"), "a1", code("kept"), code("linked"), date(2, 2)), code("open"))
	arrived.Full.Unchanged = true
	arrived.Full.JSON, arrived.Full.Version, arrived.Full.Updated = nil, "", moment(9)
	for range 2 { // a second time changes nothing
		write(t, st, arrived)
		s := open(t, st)
		want := found(arrived, p.Full, consent.EditionFull)
		for name, u := range map[string]*consent.Universe{
			"patient": levels{"p1": consent.Full}.to("p1"), "contributor": consent.OfContributor("A"), "everything": consent.Everything(),
		} {
			got, err := s.Read(t.Context(), u, "AllergyIntolerance", "a1")
			if err != nil {
				t.Fatalf("read by %s: %v", name, err)
			}
			same(t, name, got, want)
			versions, _, total, err := s.History(t.Context(), u, "AllergyIntolerance", "a1", 9, nil)
			same(t, name+", history", append(labels(versions), number(total)), []string{"AllergyIntolerance/a1/1", number(1)})
			if err != nil {
				t.Errorf("history of %s: %v", name, err)
			}
			for clause, want := range map[string][]string{"waits": {}, "linked": {"AllergyIntolerance/a1/1"}, "kept": {"AllergyIntolerance/a1/1"}} {
				same(t, name+", "+clause, labels(all(t, s, u, query("AllergyIntolerance", is(clause)))), want)
			}
		}
		basic := levels{"p1": consent.Basic}.to("p1")
		same(t, "basic", labels(all(t, s, basic, query("AllergyIntolerance", is("open")))), []string{"AllergyIntolerance/a1/b1"})
		arrived.Basic.Unchanged = true
	}
}
