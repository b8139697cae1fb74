package embedded

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// drawEvent makes events of every shape, with few enough values that they
// repeat.
func drawEvent(t *rapid.T) audit.Event {
	text := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	e := audit.Event{
		Recorded:    time.UnixMilli(rapid.Int64Range(1_700_000_000_000, 1_700_000_000_020).Draw(t, "recorded")).UTC(),
		Kind:        audit.Kind(rapid.IntRange(1, 7).Draw(t, "kind")),
		Interaction: text("interaction", "read", "search-type", "update", "$everything", "delete"),
		Action:      rapid.SampledFrom([]audit.Action{'C', 'R', 'U', 'D', 'E'}).Draw(t, "action"),
		Outcome:     rapid.SampledFrom([]audit.Outcome{audit.OutcomeSuccess, audit.OutcomeMinor, audit.OutcomeSerious}).Draw(t, "outcome"),
		Patient:     text("patient", "", "p1", "p2"),
		Level:       rapid.SampledFrom([]consent.Level{consent.None, consent.Basic, consent.Full, consent.Self}).Draw(t, "level"),
		Reason:      text("reason", "", "hidden"),
		Entities:    rapid.SliceOfN(rapid.SampledFrom([]string{"Observation/o/_history/1", "Observation/o/_history/2", "Patient/p1/_history/3", "Condition/C.c/_history/1"}), 0, 3).Draw(t, "entities"),
		Before:      text("before", "", "Observation/o/_history/1"),
		Query:       text("query", "", "GET /fhir/Observation?code=x"),
		RequestID:   text("request", "", "r1", "R2"),
		Grant:       text("grant", "", "urn:uuid:0b0e43c9-29bb-4b53-a3b3-2f0a0a0d6a11"),
		Consents:    rapid.SliceOfN(rapid.SampledFrom([]string{"Consent/c/_history/1", "Consent/d/_history/2"}), 0, 2).Draw(t, "consents"),
		BasicSet:    text("basic", "", "2026-1"),
		Site:        "vitrine", Observer: "vitrine",
	}
	copy(e.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	e.Agent = audit.Agent{
		Kind:   rapid.SampledFrom([]consent.Kind{consent.Practitioner, consent.System, consent.Patient, consent.Representative, consent.Regulator, consent.Custodian}).Draw(t, "agent"),
		Issuer: text("issuer", "", "https://idp.example"), Subject: text("subject", "", "s", "S"), Client: text("client", "app", "EMR"),
		TokenID: text("jti", "", "J1"), User: text("user", "", "PractitionerRole/Dr", "Patient/p1", "RelatedPerson/r"),
		Practitioner: text("practitioner", "", "Practitioner/Dr"), Name: text("name", "", "Dr"),
		Organization: text("organization", "", "clinic-a"), Address: text("address", "", "10.0.0.1"),
		Purpose: consent.Purpose(rapid.IntRange(0, 8).Draw(t, "purpose")),
	}
	if rapid.Bool().Draw(t, "roles") {
		e.Agent.Roles = []fhir.Coding{{System: "http://snomed.info/sct", Code: "309343006"}}
	}
	return e
}

// TestPostingsAreThoseOfTheIndexer: what is made of an event by its shape is
// what the general indexer makes of its JSON, as far as it is posted.
func TestPostingsAreThoseOfTheIndexer(t *testing.T) {
	opt := options(t)
	i, err := newEventIndex(opt.Indexer, opt.Definitions)
	if err != nil {
		t.Fatal(err)
	}
	quick, slow := newEventPostings(i), newEventPostings(i)
	rapid.Check(t, func(t *rapid.T) {
		ev := drawEvent(t)
		var got, want search.Entries
		if err := quick.of(&got, &ev); err != nil {
			t.Fatal(err)
		}
		if err := slow.index(&ev, formatUUID(ev.ID), consent.EditionFull); err != nil {
			t.Fatal(err)
		}
		for n := range slow.all.Len() {
			if p, v := slow.all.At(n); i.posted(p, v) {
				want.Add(p, v)
			}
		}
		got.Sort()
		if d := cmp.Diff(texts(&want), texts(&got)); d != "" {
			t.Errorf("%+v\npostings (-indexer +made):\n%s", ev, d)
		}
	})
}

func texts(e *search.Entries) (all []string) {
	for p, v := range search.Encoded(e.AppendBinary(nil)).All() {
		all = append(all, string(rune(p))+" "+string(v))
	}
	return all
}

// TestEventsAreFoundByEveryEntry: whatever has postings and whatever has none, a
// search for a value finds the events that have it, in both editions.
func TestEventsAreFoundByEveryEntry(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	events := make([]audit.Event, 150)
	for n := range events {
		events[n] = rapid.Custom(drawEvent).Example(n)
		events[n].ID[0] = byte(n)
		if _, err := db.Record(t.Context(), events[n].AppendBinary(nil)); err != nil {
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
	defer func() { _ = snap.Close() }()
	for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
		compareFound(t, db, snap, events, e)
	}
}

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
	for _, p := range []search.Param{db.events.date, search.ParamLastUpdated} {
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

func compareFound(t *testing.T, db *DB, snap store.Snapshot, events []audit.Event, e consent.Edition) {
	t.Helper()
	type value struct {
		p search.Param
		v string
	}
	want := map[value][]string{}
	m := newEventPostings(db.events)
	for n := range events {
		ev := &events[n]
		if e == consent.EditionBasic && ev.Patient != "p1" {
			continue
		}
		if err := m.index(ev, formatUUID(ev.ID), e); err != nil {
			t.Fatal(err)
		}
		for k := range m.all.Len() {
			p, v := m.all.At(k)
			want[value{p, string(v)}] = append(want[value{p, string(v)}], formatUUID(ev.ID))
		}
	}
	if len(want) < 30 {
		t.Errorf("edition %d: %d values are too few to say anything", e, len(want))
	}
	for v, ids := range want {
		q := &search.Query{Type: typeAuditEvent, Clauses: []search.Clause{{Any: []search.Match{{Param: v.p, Op: search.OpEqual, Key: []byte(v.v)}}}}}
		page, err := snap.Search(context.Background(), universeOf(e), q, store.PageRequest{Limit: len(events)})
		if err != nil {
			t.Fatalf("%x %q: %v", v.p, v.v, err)
		}
		var got []string
		for _, f := range page.Found {
			got = append(got, f.ID)
		}
		slices.Sort(got)
		slices.Sort(ids)
		if d := cmp.Diff(ids, got); d != "" {
			t.Errorf("edition %d, parameter %x, %q (-have it +found):\n%s", e, v.p, v.v, d)
		}
	}
}

// universeOf is one in which events exist in the edition.
func universeOf(e consent.Edition) *consent.Universe {
	if e == consent.EditionFull {
		return consent.Everything()
	}
	return consent.OfPatients([]string{"p1"}, nil, func(context.Context, string) (consent.Decision, error) {
		return consent.Decision{Level: consent.Self}, nil
	})
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
		sequence := uint64(0)
		for range rapid.IntRange(0, 5).Draw(t, "chunks") {
			var rows shelfRows
			rows.reset()
			for range rapid.IntRange(1, 12).Draw(t, "events") {
				sequence += uint64(rapid.IntRange(1, 300).Draw(t, "step"))
				n := makeNumber(ordinal(rapid.IntRange(2, 4).Draw(t, "patient")), sequence)
				all = append(all, n)
				rows.key = append(rows.key[:0], prefix...)
				rows.post(n)
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
			n := makeNumber(ordinal(rapid.IntRange(1, 5).Draw(t, "at patient")), uint64(rapid.IntRange(0, 2000).Draw(t, "at")))
			a, aok := all.seek(n)
			b, bok := got.seek(n)
			if a != b || aok != bok {
				t.Fatalf("seek %x: got %x %v, want %x %v", n, b, bok, a, aok)
			}
		}
	})
}
