package embedded

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// TestNewestOfFew: what a value leads to comes by time, the newest first, page by
// page, each once, however far the order of records is from that of time.
func TestNewestOfFew(t *testing.T) {
	for name, off := range map[string]time.Duration{"in order": 0, "nearly": 3 * time.Second, "in none": time.Hour} {
		t.Run(name, func(t *testing.T) { newestOfFew(t, off) })
	}
}

func newestOfFew(t *testing.T, off time.Duration) {
	const n, share = 6000, 4
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	r := rand.New(rand.NewPCG(1, 2))
	want := map[string]time.Time{}
	for from := 0; from < n; from += 500 {
		var records [][]byte
		for i := from; i < from+500; i++ {
			e := event(byte(i>>8), byte(i))
			e.Recorded = e.Recorded.Add(time.Duration(i) * 50 * time.Millisecond)
			if off > 0 {
				e.Recorded = e.Recorded.Add(time.Duration(r.Int64N(int64(off)))).Truncate(time.Millisecond)
			}
			e.Patient, e.Agent.Organization = []string{"p1", "p2", "p3", ""}[r.IntN(4)], "other"
			if i%share == 0 {
				e.Agent.Organization = "clinic"
				want[formatUUID(e.ID)] = e.Recorded
			}
			records = append(records, e.AppendBinary(nil))
		}
		if _, err := db.Record(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if by := time.Duration(db.shelf.order.by.Load()) * time.Millisecond; by > off || off > 0 && by < off/2 {
		t.Errorf("off by %v, want up to %v", by, off)
	}
	snap, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snap.Close() }()
	q := &search.Query{
		Type:    typeAuditEvent,
		Clauses: []search.Clause{{Any: []search.Match{{Param: db.agentParam(t), Op: search.OpEqual, Key: []byte("ROrganization/clinic")}}}},
		Sort:    []search.SortKey{{Param: db.events.Date(), Range: true, Descending: true}},
	}
	var got []string
	var after []byte
	before := db.Stats().Examined
	for {
		page, err := snap.Search(context.Background(), consent.Everything(), q, store.PageRequest{Limit: 50, After: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Found {
			got = append(got, f.ID)
		}
		if after = page.Next; len(after) == 0 {
			break
		}
	}
	ids := make([]string, 0, len(want))
	for id := range want {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int {
		if c := want[b].Compare(want[a]); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	if !slices.Equal(got, ids) {
		t.Errorf("%d events, want %d, or another order", len(got), len(ids))
	}
	if looked := db.Stats().Examined - before; off == 0 && looked > 4*uint64(len(ids)) {
		t.Errorf("%d rows were looked at for %d events", looked, len(ids))
	}
}

// agentParam is AuditEvent's parameter agent.
func (db *DB) agentParam(t *testing.T) search.Param {
	t.Helper()
	return search.Param(db.opt.Definitions.Resource("AuditEvent").Param("agent").Number)
}
