package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// testCopy fills a store with whatever a store can hold, copies it with
// interruptions into another, and wants the same answers of both, also to
// writes that come after.
func testCopy(t *testing.T, st, empty store.Store) {
	from, ok := st.(store.Target)
	to, also := empty.(store.Target)
	if !ok || !also {
		t.Fatal("the store cannot be copied")
	}
	fillForCopy(t, st)
	if mark, err := to.Mark(t.Context()); mark != nil || err != nil {
		t.Fatalf("mark of an empty store: %x, %v", mark, err)
	}
	copyInPieces(t, from, to)
	one, other, err := store.Compare(t.Context(), from, to, func(store.Progress) {})
	if err != nil || one.Chronicles < many || one.Versions <= one.Chronicles || one.Records < many || one.States != many {
		t.Fatalf("compare: %+v and %+v, %v", one, other, err)
	}
	if err := to.Finish(t.Context()); err != nil {
		t.Fatalf("finish: %v", err)
	}
	if mark, err := to.Mark(t.Context()); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("mark of a whole store: %x, %v, want %v", mark, err, store.ErrNotEmpty)
	}
	sameAnswers(t, st, empty)
	for _, s := range []store.Store{st, empty} {
		after := twofold(first(of("AllergyIntolerance", "p1"), "ended", code("again")), code("again"))
		after.Full.Version, after.Basic.Version = "3", "b2"
		write(t, s, after)
		grown := first(of("Observation", "p2"), "moved")
		grown.Full = version("Observation", "moved", "4", 9, code("x"))
		write(t, s, grown)
	}
	sameAnswers(t, st, empty)
	same(t, "states", states(t, open(t, empty), ""), states(t, open(t, st), ""))
	set(t, empty, "s0000", "another")
	if _, _, err := store.Compare(t.Context(), from, to, func(store.Progress) {}); !errors.Is(err, store.ErrDiffers) {
		t.Errorf("a copy with another state: got %v, want %v", err, store.ErrDiffers)
	}
	set(t, empty, "s0000", "x")
	write(t, empty, first(of("Observation", "p1"), "one-more"))
	if _, _, err := store.Compare(t.Context(), from, to, func(store.Progress) {}); !errors.Is(err, store.ErrDiffers) {
		t.Errorf("a copy with one resource more: got %v, want %v", err, store.ErrDiffers)
	}
}

// many is more than a store reads at once for a copy.
const many = 1100

// fillForCopy writes resources of every home, with former versions and owners,
// deleted ones, basic editions that stay, come and end, and records.
func fillForCopy(t *testing.T, st store.Store) {
	t.Helper()
	var puts []store.Put
	for i := range many {
		p := first(of("Observation", []string{"p1", "p2", "p3"}[i%3]), "o"+number(i), code("x"+number(i%7)), name("n"+number(i%11)), date(uint64(i), uint64(i+3))) //nolint:gosec // a count
		p.Labels, p.Contributor = []string{"s|" + number(i%5)}, []string{"A", "B"}[i%2]
		puts = append(puts, p)
	}
	write(t, st, puts...)
	write(t, st, first(of("EpisodeOfCare", "p1"), "e1", owner("A")), first(of("EpisodeOfCare", "p2"), "e2", owner("B")),
		first(shared("Organization"), "A", name("a")), first(of("Observation"), "stray", code("x1")),
		first(of("Observation", "p2", "p1"), "both", code("x1"), date(1, 2), date(3, 4)),
		twofold(first(of("Patient", "p1"), "p1", code("full")), code("open")), twofold(first(of("Patient", "p2"), "p2", code("full")), code("open")),
		twofold(first(of("AllergyIntolerance", "p1"), "ended", code("x1")), code("open")),
		twofold(first(of("AllergyIntolerance", "p1"), "deleted", code("x1")), code("open")), first(of("Observation", "p1"), "moved", code("x1")))
	kept := twofold(first(of("Patient", "p1"), "p1", code("full2")))
	kept.Full, kept.Basic = version("Patient", "p1", "2", 3, code("full2")), &store.Version{Unchanged: true}
	ended := first(of("AllergyIntolerance", "p1"), "ended")
	ended.Full = version("AllergyIntolerance", "ended", "2", 3, code("x2"))
	moved := first(of("Observation", "p2"), "moved")
	moved.Full = version("Observation", "moved", "2", 2, code("x3"))
	write(t, st, kept, ended, moved)
	moved.Row, moved.Full = of("Observation", "p2", "p3"), version("Observation", "moved", "3", 3, code("x4"))
	write(t, st, moved)
	err := st.Write(t.Context(), func(tx store.Tx) error {
		last := event(9, "p1")
		tx.Record(last.AppendBinary(nil))
		return errors.Join(tx.Delete("AllergyIntolerance", "deleted", "2", "b2", moment(4)), tx.Delete("Observation", "o0007", "2", "", moment(4)))
	})
	if err != nil {
		t.Fatalf("delete: %v", err)
	}
	var pairs []string
	for i := range many {
		pairs = append(pairs, "s"+number(i), "x")
	}
	set(t, st, pairs...)
	for i := 0; i < many; i += 100 {
		var records [][]byte
		for n := i; n < i+100; n++ {
			e := event(byte(n), []string{"p1", "p2", ""}[n%3])
			e.ID[1], e.ID[2] = byte(n>>8), 7
			records = append(records, e.AppendBinary(nil))
		}
		if _, err := st.Record(t.Context(), records...); err != nil {
			t.Fatalf("record: %v", err)
		}
	}
}

// cut is a target that fails in its third batch: before or after the batch is
// written.
type cut struct {
	store.Target
	batches int
	after   bool
}

var errCut = errors.New("cut off")

func (c *cut) Copy(ctx context.Context, b store.Batch) error {
	if c.batches++; c.batches < 3 {
		return c.Target.Copy(ctx, b)
	}
	if c.after {
		if err := c.Target.Copy(ctx, b); err != nil {
			return err
		}
		if err := c.Target.Copy(ctx, b); err != nil { // and once more
			return err
		}
	}
	return errCut
}

func copyInPieces(t *testing.T, from, to store.Target) {
	t.Helper()
	var last store.Progress
	cuts := 0
	for ; ; cuts++ {
		err := store.Copy(t.Context(), from, &cut{Target: to, after: cuts%2 == 1}, func(p store.Progress) {
			if p.Phase < last.Phase || (p.Phase == last.Phase && p.Done < last.Done && cuts == 0) || p.Done > p.Total {
				t.Errorf("progress %+v after %+v", p, last)
			}
			last = p
		})
		if err == nil {
			break
		}
		if !errors.Is(err, errCut) || cuts > 100 {
			t.Fatalf("copy: %v", err)
		}
		if mark, err := to.Mark(t.Context()); mark == nil || err != nil {
			t.Fatalf("mark of half a store: %x, %v", mark, err)
		}
	}
	if cuts < 2 {
		t.Errorf("the copy was cut off %d times", cuts)
	}
}

// sameAnswers asks both stores the same in several universes.
func sameAnswers(t *testing.T, a, b store.Store) {
	t.Helper()
	one, other := answers(t, a), answers(t, b)
	for question, want := range one {
		if got := other[question]; !slices.Equal(got, want) {
			same(t, question, got, want)
		}
	}
	if len(one) < 100 || len(one) != len(other) {
		t.Errorf("%d and %d answers", len(one), len(other))
	}
}

// answers are what a store says, by question.
func answers(t *testing.T, st store.Store) map[string][]string {
	t.Helper()
	if err := st.Settle(t.Context()); err != nil {
		t.Fatalf("settle: %v", err)
	}
	full, basic := levels{"p1": consent.Full, "p2": consent.Full, "p3": consent.Full}, levels{"p1": consent.Basic, "p2": consent.Full}
	universes := map[string]func() *consent.Universe{
		"everything": consent.Everything, "one": func() *consent.Universe { return full.to("p1") },
		"both": func() *consent.Universe { return full.to("p1", "p2", "p3") }, "basic": func() *consent.Universe { return basic.to("p1", "p2") },
		"self": func() *consent.Universe { return levels{"p1": consent.Self}.to("p1") }, "through": func() *consent.Universe { return full.through("A") },
		"any": full.any, "own": func() *consent.Universe { return consent.OfContributor("B") },
	}
	clauses := map[string][]search.Clause{
		"all": nil, "code": {is("x0001", "x1", "open", "again")}, "name": {startsWith("n000")}, "owner": {{Any: []search.Match{{Param: paramOwner, Op: search.OpEqual, Key: []byte("A")}}}},
		"date": {within(search.Bounds{LowMin: 3, LowMax: 50, HighMax: 1 << 60})},
	}
	s := open(t, st)
	out := map[string][]string{}
	log := store.ChangesRequest{Types: []fhir.ResourceType{"AllergyIntolerance", "Observation", "Organization", "Patient"}, Limit: 500}
	out["changes"] = changes(t, s, consent.Everything(), log)
	log.From, log.Until = moment(3), moment(4)
	out["changes at"] = changes(t, s, consent.Everything(), log)
	for world, u := range universes {
		for _, typ := range []fhir.ResourceType{"Observation", "AllergyIntolerance", "Patient", "Organization", "EpisodeOfCare", "AuditEvent"} {
			for what, clause := range clauses {
				sorted := query(typ, clause...)
				sorted.Sort = []search.SortKey{byDate(true)}
				out[strings.Join([]string{world, string(typ), what}, " ")] = lines(all(t, s, u(), query(typ, clause...)))
				out[strings.Join([]string{world, string(typ), what, "sorted"}, " ")] = lines(all(t, s, u(), sorted))
			}
		}
		for _, r := range []string{"Observation/moved", "Observation/both", "Observation/o0007", "AllergyIntolerance/ended", "AllergyIntolerance/deleted", "Patient/p1"} {
			typ, id, _ := strings.Cut(r, "/")
			versions, _, _, err := s.History(t.Context(), u(), fhir.ResourceType(typ), id, 100, nil)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("history of %s: %v", r, err)
			}
			out[world+" history "+r] = lines(versions)
			for _, v := range []string{"1", "2", "3", "b1", "b2"} {
				f, err := s.Version(t.Context(), u(), fhir.ResourceType(typ), id, v)
				if err == nil {
					out[world+" version "+r+" "+v] = lines([]store.Found{f})
				}
			}
		}
	}
	return out
}

// lines are what was found, one a line, in the order of their ids: what a query
// leaves open, each store orders in its own way.
func lines(found []store.Found) []string {
	var out []string
	for i := range found {
		f := &found[i]
		out = append(out, fmt.Sprintf("%s/%s/%s %d %s %v %d %v %s %v %s", f.Resource.Type, f.ID, f.Version, f.Edition, f.Updated, f.Deleted, f.Home, sortedCopy(f.Patients), f.Contributor, f.Labels, f.JSON))
	}
	return sortedCopy(out)
}
