package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/mongo/mongotest"
)

// foundIDs are the ids of what a search finds, sorted; it is held to be counted
// right.
func foundIDs(t *testing.T, r store.Reader, u *consent.Universe, q *search.Query) []string {
	t.Helper()
	page, err := r.Search(t.Context(), u, q, store.PageRequest{Limit: 1000, Count: true})
	if err != nil || page.Total != len(page.Found) {
		t.Fatalf("search of %s: %d found of %d, %v", q.Type, len(page.Found), page.Total, err)
	}
	ids := []string{}
	for _, f := range page.Found {
		ids = append(ids, f.ID)
	}
	slices.Sort(ids)
	return ids
}

// TestEventsAtEitherEnd: what leads to records of access, and from them, is
// answered from those that exist for the caller.
func TestEventsAtEitherEnd(t *testing.T) {
	m := newMaker(t)
	db := openFresh(t, Options{Indexer: m.indexer, Definitions: m.defs})
	var puts []store.Put
	for i, name := range []string{"Anna", "Berta", "Carla"} {
		id := fmt.Sprintf("p%d", i)
		p := store.Put{ID: id, Row: consent.Row{Type: "Patient", Home: consent.HomePatients, Patients: []string{id}}}
		p.Full = m.version(id, "1", fmt.Appendf(nil, `{"resourceType":"Patient","name":[{"family":%q}]}`, name))
		puts = append(puts, p)
	}
	put(t, db, puts)
	records := accesses([]string{"p0", "p1", "p2"}, 3)
	if _, err := db.Record(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	event := func(patient, n int) string { return fmt.Sprintf("%08x-0000-%04x-0000-000000000000", patient+1, n) }
	of := func(patients ...int) (all []string) {
		for _, p := range patients {
			for n := range 3 {
				all = append(all, event(p, n))
			}
		}
		slices.Sort(all)
		return all
	}
	s := snapshotOf(t, db)
	own := func() *consent.Universe { return consent.OfPatients([]string{"p1"}, directory, self) }
	for _, c := range []struct {
		name  string
		u     func() *consent.Universe
		typ   fhir.ResourceType
		query string
		want  []string
	}{
		{"events of a name", consent.Everything, "AuditEvent", "patient.name=anna", of(0)},
		{"events of a name, sorted", consent.Everything, "AuditEvent", "patient.name=anna&_sort=-date", of(0)},
		{"events of a name and of an agent", consent.Everything, "AuditEvent", "patient.name=berta&agent=PractitionerRole/d1", of(1)},
		{"events of no such agent", consent.Everything, "AuditEvent", "patient.name=berta&agent=PractitionerRole/d2", nil},
		{"events of other agents", consent.Everything, "AuditEvent", "action:not=R,E", nil},
		{"events with an agent", consent.Everything, "AuditEvent", "agent:missing=false", of(0, 1, 2)},
		{"events without one", consent.Everything, "AuditEvent", "agent:missing=true", nil},
		{"whose events are", consent.Everything, "Patient", "_has:AuditEvent:patient:agent=PractitionerRole/d2", []string{"p2"}},
		{"who has events", consent.Everything, "Patient", "_has:AuditEvent:patient:action=R", []string{"p0", "p1", "p2"}},
		{"one's own, of a name", own, "AuditEvent", "patient.name=berta", of(1)},
		{"one's own, of another's name", own, "AuditEvent", "patient.name=anna", nil},
		{"oneself", own, "Patient", "_has:AuditEvent:patient:action=R", []string{"p1"}},
		{"a stranger", func() *consent.Universe { return only("p9") }, "Patient", "_has:AuditEvent:patient:action=R", nil},
		{"a provider, to whom they are nothing", func() *consent.Universe { return only("p1") }, "Patient", "_has:AuditEvent:patient:action=R", nil},
	} {
		if d := cmp.Diff(c.want, foundIDs(t, s, c.u(), m.parse(c.typ, c.query)), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s?%s (-want +got):\n%s", c.name, c.typ, c.query, d)
		}
	}
}

// effort is what the servers do for a search.
type effort struct {
	commands, found int
	keys, documents int64
}

// TestLeadingReadsNothingHidden: what leads elsewhere examines as much whether few
// rows of others are there or many, though they refer to the caller's, and the
// caller's to them. Only the key at which a stretch of an index ends may be
// anybody's.
func TestLeadingReadsNothingHidden(t *testing.T) {
	var heard overheard
	opt := testOptions(t)
	opt.monitor = heard.monitor()
	db := openFresh(t, opt)
	writeAll(t, db, crowded(8)...)
	decide := func(_ context.Context, p string) (consent.Decision, error) {
		if len(p) > 2 {
			return consent.Decision{}, nil
		}
		return consent.Decision{Level: consent.Full}, nil
	}
	shared := func(t fhir.ResourceType) bool { return t == "Organization" }
	care := []search.Match{{Param: paramCarer, Op: search.OpEqual, Key: []byte("org1")}}
	universes := map[string]func() *consent.Universe{
		"listed":     func() *consent.Universe { return consent.OfPatients([]string{"p1", "p2", "hidden"}, shared, decide) },
		"candidates": func() *consent.Universe { return consent.OfCandidates(care, shared, decide) },
	}
	cost := func() map[string]effort {
		costs := map[string]effort{}
		s := snapshotOf(t, db)
		for in, u := range universes {
			for what, q := range leading() {
				heard.since()
				page, err := s.Search(t.Context(), u(), q, store.PageRequest{Limit: 3, Count: true})
				if err != nil {
					t.Fatalf("%s in %s: %v", what, in, err)
				}
				e := effort{found: page.Total}
				for _, c := range heard.since() {
					p := explained(t, db, c)
					e.commands, e.keys, e.documents = e.commands+1, e.keys+p.KeysExamined, e.documents+p.DocsExamined
				}
				costs[what+" in "+in] = e
			}
		}
		return costs
	}
	foreign := func(from, to_ int) (all []store.Put) {
		for i := from; i < to_; i++ {
			p := fmt.Sprintf("hidden%d", i)
			all = append(all,
				record(of("Patient", p), p, map[search.Param][]string{paramCode: {"c0", "c1"}, paramVisit: {to("Organization", "org1")}}),
				record(of("Encounter", p), "e"+p, map[search.Param][]string{paramCode: {"c0", "c1"}, paramSubject: {to("Patient", "p1")}}),
				record(of("Observation", p), "o"+p, map[search.Param][]string{
					paramCode: {"c1", "c2", "c3"}, paramSubject: {to("Patient", "p1"), to("Patient", p)}, paramVisit: {to("Encounter", "e1-0")}, paramFollows: {"Rhttp://example.org/1"},
				}))
		}
		return all
	}
	writeAll(t, db, foreign(0, 1)...)
	few := cost()
	writeAll(t, db, foreign(1, 150)...)
	const ends = 5
	for what, many := range cost() {
		few, more := few[what], many.keys-few[what].keys
		many.keys = few.keys
		if d := cmp.Diff(few, many, cmp.AllowUnexported(effort{})); d != "" || more > ends || more < -ends {
			t.Errorf("%s: %d more keys; among few of others and among many (-few +many):\n%s", what, more, d)
		}
	}
}

// TestLeadingInAWrite: a write finds what it has put, whatever leads there, on a
// server that stands alone, too.
func TestLeadingInAWrite(t *testing.T) {
	for name, uri := range map[string]string{"replica set": mongotest.Server(t), "standalone": mongotest.Standalone(t)} {
		t.Run(name, func(t *testing.T) {
			db := lone(t, uri, mongotest.Database(t))
			before, inside := map[string][]string{}, map[string][]string{}
			err := db.Write(t.Context(), func(x store.Tx) error {
				clear(inside)
				for what, q := range leading() {
					before[what] = foundIDs(t, x, consent.Everything(), q)
				}
				for _, p := range crowded(12) {
					if err := x.Put(p); err != nil {
						return err
					}
				}
				for what, q := range leading() {
					inside[what] = foundIDs(t, x, consent.Everything(), q)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("write: %v", err)
			}
			s := snapshotOf(t, db)
			found := 0
			for what, q := range leading() {
				after := foundIDs(t, s, consent.Everything(), q)
				found += len(after)
				if d := cmp.Diff(after, inside[what]); d != "" || len(before[what]) > 0 {
					t.Errorf("%s: %d before (-after +inside):\n%s", what, len(before[what]), d)
				}
			}
			if found == 0 {
				t.Error("nothing is found")
			}
			if m := s.Mark(); (len(m) > 0) == db.alone() {
				t.Errorf("mark %x", m)
			}
			if _, err := db.At(t.Context(), nil); !errors.Is(err, store.ErrBadCursor) {
				t.Errorf("no mark: %v, want %v", err, store.ErrBadCursor)
			}
		})
	}
}

// TestMarksOfOthers: a mark is good in every process on the database, until the
// servers forget the moment.
func TestMarksOfOthers(t *testing.T) {
	opt := testOptions(t)
	db := openFresh(t, opt)
	writeAll(t, db, plain("o1", "1"))
	mark := snapshotOf(t, db).Mark()
	writeAll(t, db, plain("o2", "1"))
	other, err := Open(t.Context(), db.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	s, err := other.At(t.Context(), mark)
	if err != nil {
		t.Fatalf("at the mark of another process: %v", err)
	}
	q := &search.Query{Type: "Observation"}
	if d := cmp.Diff([]string{"o1"}, foundIDs(t, s, consent.Everything(), q)); d != "" {
		t.Errorf("at the mark (-want +got):\n%s", d)
	}
	writeAll(t, db, plain("o3", "1"))
	late := snapshotOf(t, db).Mark() // which the other has not heard of
	newest, err := other.At(t.Context(), late)
	if err != nil {
		t.Fatalf("at a mark not heard of: %v", err)
	}
	if d := cmp.Diff([]string{"o1", "o2", "o3"}, foundIDs(t, newest, consent.Everything(), q)); d != "" {
		t.Errorf("at a mark not heard of (-want +got):\n%s", d)
	}
	if err := errors.Join(newest.Close()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	forget(t, db)
	for range 200 { // the servers forget when they write
		writeAll(t, db, plain("o4", "1"))
		if _, err = db.At(t.Context(), mark); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("at a forgotten moment: %v, want %v", err, store.ErrBadCursor)
	}
	if _, err := s.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 9}); !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("a page at a forgotten moment: %v, want %v", err, store.ErrBadCursor)
	}
}

// forget has the servers keep no former moments until the test ends.
func forget(t *testing.T, db *DB) {
	t.Helper()
	set := func(ctx context.Context, seconds int) error {
		return db.client.Database("admin").RunCommand(ctx, bson.D{{Key: "setParameter", Value: 1}, {Key: "minSnapshotHistoryWindowInSeconds", Value: seconds}}).Err()
	}
	if err := set(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		const usual = 300
		if err := set(context.Background(), usual); err != nil {
			t.Error(err)
		}
	})
}
