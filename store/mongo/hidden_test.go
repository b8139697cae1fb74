package mongo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	driverevent "go.mongodb.org/mongo-driver/v2/event"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// ownedBy is an Observation of patients.
func ownedBy(id string, patients ...string) store.Put {
	p := plain(id, "1")
	p.Patients = patients
	return p
}

func writeAll(t *testing.T, db *DB, puts ...store.Put) {
	t.Helper()
	err := db.Write(t.Context(), func(x store.Tx) error {
		for _, p := range puts {
			if err := x.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("write: %v", err)
	}
}

func snapshotOf(t *testing.T, db *DB) store.Snapshot {
	t.Helper()
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// only is the universe of one patient, in full.
func only(patient string) *consent.Universe {
	return consent.OfPatients([]string{patient}, nil, func(_ context.Context, p string) (consent.Decision, error) {
		if p == patient {
			return consent.Decision{Level: consent.Full}, nil
		}
		return consent.Decision{}, nil
	})
}

// TestHiddenUsesNoBudget: rows that are admitted by themselves, and are not, do
// not use up what a query may examine.
func TestHiddenUsesNoBudget(t *testing.T) {
	opt := testOptions(t)
	opt.ScanBudget = 50
	db := openFresh(t, opt)
	var puts []store.Put
	for i := range 2 * opt.ScanBudget {
		puts = append(puts, ownedBy(fmt.Sprintf("hidden%d", i), "p1", "p2"))
	}
	const visible = 20
	for i := range visible {
		puts = append(puts, ownedBy(fmt.Sprintf("o%d", i), "p1"))
	}
	writeAll(t, db, puts...)
	s := snapshotOf(t, db)
	for _, sort := range [][]search.SortKey{nil, {{Param: 7}}} {
		for _, limit := range []int{0, 1, 100} {
			q := search.Query{Type: "Observation", Sort: sort}
			page, err := s.Search(t.Context(), only("p1"), &q, store.PageRequest{Limit: limit, Count: true})
			if err != nil || page.Total != visible || len(page.Found) != min(limit, visible) {
				t.Errorf("sorted by %v, limit %d: %d found of %d, %v; want %d", sort, limit, len(page.Found), page.Total, err, visible)
			}
		}
	}
}

// TestManyAlternatives: a query of very many values is answered, for however many
// patients, or refused as too costly: it does not become more than the servers
// take.
func TestManyAlternatives(t *testing.T) {
	db := openFresh(t, testOptions(t))
	var puts []store.Put
	var patients []string
	for i := range 130 {
		patients = append(patients, fmt.Sprintf("p%d", i))
		puts = append(puts, ownedBy(fmt.Sprintf("o%d", i), patients[i]))
	}
	writeAll(t, db, puts...)
	s := snapshotOf(t, db)
	full := func(context.Context, string) (consent.Decision, error) {
		return consent.Decision{Level: consent.Full}, nil
	}
	equal := search.Clause{Any: []search.Match{{Param: 7, Op: search.OpEqual, Key: []byte("c1")}}}
	var ranges search.Clause
	for i := range 5000 {
		equal.Any = append(equal.Any, search.Match{Param: 7, Op: search.OpEqual, Key: fmt.Appendf(nil, "chttp://example.org/codes|%06d", i)})
		ranges.Any = append(ranges.Any, search.Match{Param: 9, Op: search.OpRange, Key: []byte("d"), Bounds: search.Bounds{LowMin: uint64(i), LowMax: 1 << 60, HighMin: 5, HighMax: 1 << 61}})
	}
	part := func(size int) search.Clause {
		return search.Clause{Any: []search.Match{{Param: 7, Op: search.OpContains, Key: bytes.Repeat([]byte("\xff"), size)}}}
	}
	for _, c := range []struct {
		name     string
		clause   search.Clause
		patients int
		found    int
		err      error
	}{
		{"one value", search.Clause{Any: equal.Any[:1]}, 130, 130, nil},
		{"values, of one", equal, 1, 1, nil},
		{"values", equal, 130, 130, nil},
		{"ranges, of one", search.Clause{Any: ranges.Any[:100]}, 1, 0, nil},
		{"ranges", search.Clause{Any: ranges.Any[:100]}, 130, 0, nil},
		{"too many ranges", ranges, 1, 0, store.ErrTooCostly},
		{"a part of a text", search.Clause{Any: []search.Match{{Param: 7, Op: search.OpContains, Key: []byte("c1")}}}, 130, 130, nil},
		{"a long part of a text", part(mostPart), 1, 0, nil},
		{"a longer one than there are", part(100_000), 1, 0, nil},
	} {
		q := search.Query{Type: fhir.ResourceType("Observation"), Clauses: []search.Clause{c.clause}}
		page, err := s.Search(t.Context(), consent.OfPatients(patients[:c.patients], nil, full), &q, store.PageRequest{Limit: 500, Count: true})
		if !errors.Is(err, c.err) || len(page.Found) != c.found {
			t.Errorf("%s: %d found, %v; want %d, %v", c.name, len(page.Found), err, c.found, c.err)
		}
	}
}

// TestForeignEventsAreNotRead: a search for events that the caller has no part in
// reads none of them, whether there are few or many.
func TestForeignEventsAreNotRead(t *testing.T) {
	var asked atomic.Int64
	opt := testOptions(t)
	opt.monitor = &driverevent.CommandMonitor{Started: func(_ context.Context, e *driverevent.CommandStartedEvent) {
		if name, _ := e.Command.Lookup(e.CommandName).StringValueOK(); name == collEvents {
			asked.Add(1)
		}
	}}
	db := openFresh(t, opt)
	ev := audit.Event{Recorded: time.UnixMilli(1e12), Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Patient: "p1"}
	if _, err := db.Record(t.Context(), ev.AppendBinary(nil)); err != nil {
		t.Fatalf("record: %v", err)
	}
	at := func(l consent.Level) consent.Decider {
		return func(context.Context, string) (consent.Decision, error) { return consent.Decision{Level: l}, nil }
	}
	kept := func(keep bool) func(consent.Row) bool { return func(consent.Row) bool { return keep } }
	s := snapshotOf(t, db)
	asked.Store(0)
	for name, c := range map[string]struct {
		u    *consent.Universe
		want int
	}{
		"one's own":          {consent.OfPatients([]string{"p1"}, nil, at(consent.Self)), 1},
		"a provider's":       {consent.OfPatients([]string{"p1"}, nil, at(consent.Full)), 0},
		"a stranger's":       {consent.OfPatients([]string{"p1"}, nil, at(consent.None)), 0},
		"left out":           {consent.OfPatients([]string{"p1"}, nil, at(consent.Self)).Where(kept(false)), 0},
		"of anybody":         {consent.OfAnyPatient(nil, at(consent.Full)).Where(kept(false)), 0},
		"of candidates":      {consent.OfCandidates(nil, nil, at(consent.Full)).Where(kept(false)), 0},
		"of a contributor":   {consent.OfContributor("A"), 0},
		"of nobody":          {&consent.Universe{}, 0},
		"everything":         {consent.Everything(), 1},
		"everything, narrow": {consent.Everything().Where(kept(true)), 1},
	} {
		asked.Store(0)
		page, err := s.Search(t.Context(), c.u, &search.Query{Type: typeAuditEvent}, store.PageRequest{Limit: 9, Count: true})
		if err != nil || len(page.Found) != c.want || page.Total != c.want || (asked.Load() > 0) != (c.want > 0) {
			t.Errorf("%s: %d found of %d with %d questions, %v; want %d", name, len(page.Found), page.Total, asked.Load(), err, c.want)
		}
	}
}

// TestUnreadableIsNotCounted: a record that cannot be read is kept, and neither
// found nor counted.
func TestUnreadableIsNotCounted(t *testing.T) {
	db := openFresh(t, testOptions(t))
	ev := audit.Event{Recorded: time.UnixMilli(1e12), Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Patient: "p1"}
	if _, err := db.Record(t.Context(), []byte("nonsense"), ev.AppendBinary(nil), nil); err != nil {
		t.Fatalf("record: %v", err)
	}
	s := snapshotOf(t, db)
	for _, limit := range []int{0, 1, 9} {
		page, err := s.Search(t.Context(), consent.Everything(), &search.Query{Type: typeAuditEvent}, store.PageRequest{Limit: limit, Count: true})
		if err != nil || page.Total != 1 || len(page.Found) != min(limit, 1) {
			t.Errorf("limit %d: %d found of %d, %v", limit, len(page.Found), page.Total, err)
		}
	}
}
