package embedded

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// TestEventsAreFollowedInOrder: more events than are gathered come by their date,
// each once.
func TestEventsAreFollowedInOrder(t *testing.T) {
	const n = fewRows + 200
	opt := options(t)
	db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
	records := make([][]byte, n)
	for i := range records {
		e := event(byte(i>>8), byte(i))
		e.Recorded = e.Recorded.Add(time.Duration(i*7919%500) * time.Millisecond)
		e.Patient = []string{"p1", "p2", ""}[i%3]
		records[i] = e.AppendBinary(nil)
	}
	if _, err := db.Record(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	if err := db.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	snap, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snap.Close() }()
	for _, p := range []search.Param{db.events.Date(), search.ParamLastUpdated} {
		q := &search.Query{Type: typeAuditEvent, Sort: []search.SortKey{{Param: p, Range: true, Descending: true}}}
		seen := map[string]bool{}
		var last time.Time
		var after []byte
		for {
			page, err := snap.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 100, After: after})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page.Found {
				if seen[f.ID] || (!last.IsZero() && f.Updated.After(last)) {
					t.Fatalf("%s at %v, after %v; met before: %v", f.ID, f.Updated, last, seen[f.ID])
				}
				seen[f.ID], last = true, f.Updated
			}
			if after = page.Next; len(after) == 0 {
				break
			}
		}
		if len(seen) != n {
			t.Errorf("parameter %x: %d events of %d", p, len(seen), n)
		}
	}
}

// TestBlocksAreThePostingsInThem: a stream of blocks gives what one of single
// postings would, wherever it is asked to go.
func TestBlocksAreThePostingsInThem(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	runs := byte(0)
	rapid.Check(t, func(t *rapid.T) {
		runs++
		prefix := prefixValue(nil, consent.EditionFull, 7, 7, []byte{runs})
		var all sorted
		n := eventNumber(0)
		for range rapid.IntRange(0, 5).Draw(t, "chunks") {
			var rows shelfRows
			rows.reset()
			n -= 4000
			at := n
			for range rapid.IntRange(1, 12).Draw(t, "events") {
				at += number(rapid.IntRange(0, 300).Draw(t, "step"))
				all = append(all, at)
				rows.key = append(rows.key[:0], prefix...)
				rows.post(at)
			}
			batch := db.eng.NewBatch()
			if err := errors.Join(rows.set(batch), batch.Commit(nil)); err != nil {
				t.Fatal(err)
			}
		}
		all = newSorted(all)
		got, err := newBlocks(db.eng, prefix)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = got.close() }()
		for range 30 {
			n := eventNumber(rapid.Uint64Range(0, 25_000).Draw(t, "at"))
			a, aok := all.seek(n)
			b, bok := got.seek(n)
			if a != b || aok != bok {
				t.Fatalf("seek %x: got %x %v, want %x %v", n, b, bok, a, aok)
			}
		}
	})
}

// TestEventsOfOthersCostNothing: who sees the events of some patients alone looks at as
// many rows whatever there is of others, asks what he may.
func TestEventsOfOthersCostNothing(t *testing.T) {
	opt := options(t)
	questions := func(agent search.Param) map[string]*search.Query {
		clinic := search.Clause{Any: []search.Match{{Param: agent, Op: search.OpEqual, Key: []byte("ROrganization/clinic")}}}
		first := search.Clause{Any: []search.Match{search.IDMatch(formatUUID(event(0, 3).ID))}}
		others := search.Clause{Any: []search.Match{search.IDMatch(formatUUID(event(1, 3).ID))}}
		of := search.Clause{Via: []search.Join{{
			Param: search.Param(opt.Definitions.Resource("AuditEvent").Param("patient").Number), Reverse: true, Type: typeAuditEvent, Clauses: []search.Clause{clinic},
		}}}
		return map[string]*search.Query{
			"all":       {Type: typeAuditEvent},
			"sorted":    {Type: typeAuditEvent, Sort: []search.SortKey{{Param: search.ParamLastUpdated, Range: true, Descending: true}}},
			"agent":     {Type: typeAuditEvent, Clauses: []search.Clause{clinic}},
			"own id":    {Type: typeAuditEvent, Clauses: []search.Clause{first}},
			"other id":  {Type: typeAuditEvent, Clauses: []search.Clause{others}},
			"both ids":  {Type: typeAuditEvent, Clauses: []search.Clause{{Any: append(others.Any[:1:1], first.Any...)}}},
			"a patient": {Type: "Patient", Clauses: []search.Clause{of}},
		}
	}
	const own = 40
	looked, found := map[string]uint64{}, map[string]int{}
	for _, others := range []int{0, 3 * chunk} {
		db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
		patient := small("p1", "1")
		patient.Type = "Patient"
		put(t, db, patient)
		for i := range own {
			e := event(0, byte(i))
			e.Agent.Organization = "clinic"
			records := [][]byte{e.AppendBinary(nil)}
			for k := range others / own {
				e := event(byte(1+k), byte(i))
				e.Patient, e.Agent.Organization = []string{"p2", "p3", ""}[k%3], "clinic"
				records = append(records, e.AppendBinary(nil))
			}
			if _, err := db.Record(t.Context(), records...); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		snap, err := db.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		self := func(_ context.Context, patient string) (consent.Decision, error) {
			return consent.Decision{Level: map[string]consent.Level{"p1": consent.Self, "p2": consent.Full}[patient]}, nil
		}
		for name, q := range questions(db.agentParam(t)) {
			before := db.Stats().Examined
			page, err := snap.Search(t.Context(), consent.OfPatients([]string{"p1", "p2"}, nil, self), q, store.PageRequest{Limit: 2 * own})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			rows := db.Stats().Examined - before
			if others == 0 {
				looked[name], found[name] = rows, len(page.Found)
			} else if rows != looked[name] || len(page.Found) != found[name] {
				t.Errorf("%s: %d rows for %d events beside %d of others, %d for %d without", name, rows, len(page.Found), others, looked[name], found[name])
			}
		}
		if err := snap.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if want := map[string]int{"all": own, "sorted": own, "agent": own, "own id": 1, "other id": 0, "both ids": 1, "a patient": 1}; !maps.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
}

// TestNewestEventsComeFirst: in the order of rows the events come with the newest
// first, each once, and what is recorded meanwhile moves none of them.
func TestNewestEventsComeFirst(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	var want []string
	for i := range byte(100) {
		e := event(0, i)
		e.Patient = []string{"p1", "p2", ""}[i%3]
		if _, err := db.Record(t.Context(), e.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
		want = append(want, formatUUID(e.ID))
	}
	slices.Reverse(want)
	var got []string
	var page store.Page
	for n := byte(0); n == 0 || len(page.Next) > 0; n++ {
		if err := db.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		snap, err := db.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		page, err = snap.Search(t.Context(), consent.Everything(), &search.Query{Type: typeAuditEvent}, store.PageRequest{Limit: 7, After: page.Next})
		if err = errors.Join(err, snap.Close()); err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Found {
			got = append(got, f.ID)
		}
		e := event(1, n)
		if _, err := db.Record(t.Context(), e.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}
