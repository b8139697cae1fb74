package embedded

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// TestValueAndTime: what a value leads to within a time is found, each once, however
// far the order of records is from that of time; and where it is near, what was
// recorded at another time is not looked at.
func TestValueAndTime(t *testing.T) {
	for name, off := range map[string]time.Duration{"in order": 0, "nearly": 3 * time.Second, "in none": time.Hour} {
		t.Run(name, func(t *testing.T) { valueAndTime(t, off) })
	}
}

func valueAndTime(t *testing.T, off time.Duration) {
	const n, share, step = 12_000, 3, 50 * time.Millisecond
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	r := rand.New(rand.NewPCG(1, 2))
	recorded := map[string]time.Time{} // of those with the value
	start := event(0, 0).Recorded
	for from := 0; from < n; from += 500 {
		var records [][]byte
		for i := from; i < from+500; i++ {
			e := event(byte(i>>8), byte(i))
			e.Recorded = start.Add(time.Duration(i) * step)
			if off > 0 {
				e.Recorded = e.Recorded.Add(time.Duration(r.Int64N(int64(off)))).Truncate(time.Millisecond)
			}
			e.Patient, e.Agent.Organization = []string{"p1", "p2", "p3", ""}[r.IntN(4)], "other"
			if i%share == 0 {
				e.Agent.Organization = "clinic"
				recorded[formatUUID(e.ID)] = e.Recorded
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
	clinic := search.Clause{Any: []search.Match{{Param: db.agentParam(t), Op: search.OpEqual, Key: []byte("ROrganization/clinic")}}}
	for _, within := range [][2]time.Duration{
		{0, 10 * time.Minute},
		{5 * time.Minute, 9 * time.Minute},
		{5 * time.Minute, time.Hour * 24},
		{-time.Hour, -time.Minute},
		{5 * time.Minute, 5*time.Minute + time.Second},
		{9 * time.Minute, 8 * time.Minute},
	} {
		low, high := start.Add(within[0]), start.Add(within[1])
		got, looked := db.foundIn(t, append(db.between(t, low, high), clinic)...)
		var want []string
		for id, at := range recorded {
			if !at.Before(low) && at.Before(high) {
				want = append(want, id)
			}
		}
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%v: %d events, want %d, or others", within, len(got), len(want))
		}
		if enough := uint64(len(want)) + 2*probed*uint64(1+len(want)/50); off == 0 && looked > enough {
			t.Errorf("%v: %d rows were looked at for %d events", within, looked, len(want))
		}
	}
}

// between are the clauses of a date from a time on and before another.
func (db *DB) between(t *testing.T, low, high time.Time) []search.Clause {
	t.Helper()
	const form = "2006-01-02T15:04:05.000Z"
	q, refusal := db.opt.Indexer.Parser().Parse(typeAuditEvent, []search.Pair{
		{Name: "date", Value: "ge" + low.UTC().Format(form)}, {Name: "date", Value: "lt" + high.UTC().Format(form)},
	}, false)
	if refusal != nil {
		t.Fatal(refusal)
	}
	return q.Clauses
}

// foundIn are the ids of all pages of the events for which clauses hold, and how many
// rows were looked at.
func (db *DB) foundIn(t *testing.T, clauses ...search.Clause) (ids []string, looked uint64) {
	t.Helper()
	snap, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snap.Close() }()
	q := &search.Query{Type: typeAuditEvent, Clauses: clauses}
	before := db.Stats().Examined
	for page := (store.Page{}); ; {
		if page, err = snap.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 50, After: page.Next}); err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Found {
			ids = append(ids, f.ID)
		}
		if len(page.Next) == 0 {
			return ids, db.Stats().Examined - before
		}
	}
}
