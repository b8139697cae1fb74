package embedded

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

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
