package embedded

import (
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// keysIn counts the keys of a key space.
func keysIn(t *testing.T, db *DB, space byte) (n int) {
	t.Helper()
	it, err := db.eng.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPutAwayIsSweptOut: of what was put away next to nothing is left, also when the
// store was shut in between.
func TestPutAwayIsSweptOut(t *testing.T) {
	const size, to = 6 * chunk, 5*chunk - 100
	dir, opt := filepath.Join(t.TempDir(), "store"), options(t)
	db, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	for group := range byte(size / 256) {
		fillLog(t, db, group, 256)
		if err := db.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Grow(t.Context()); err != nil {
		t.Fatal(err)
	}
	spaces := []byte{spaceAuditLog, spaceEvent, spaceEventID, spaceMoment, spacePosting}
	before := map[byte]int{}
	for _, s := range spaces {
		before[s] = keysIn(t, db, s)
	}
	older, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer older.Close()
	q := &search.Query{Type: typeAuditEvent}
	page, err := older.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.PutAway(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if p, err := older.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: size, After: page.Next}); err != nil || len(p.Found) != size-10 {
		t.Errorf("%d events found on the second page of an older view, want %d: %v", len(p.Found), size-10, err)
	}
	if err := older.Close(); err != nil {
		t.Fatal(err)
	}
	for _, s := range spaces {
		if left := keysIn(t, db, s); left > before[s]/4 {
			t.Errorf("%c: %d keys of %d are left", s, left, before[s])
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openIn(t, dir, opt)
	fillLog(t, db, 200, 300)
	if size, err := db.Grow(t.Context()); size != 6*chunk+300 || err != nil {
		t.Errorf("grow: %d, %v", size, err)
	}
	if hot, err := db.Hot(t.Context()); hot != to || err != nil {
		t.Errorf("hot: %d, %v", hot, err)
	}
	if err := db.PutAway(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if err := db.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 10, Count: true})
	if err != nil || p.Total != size-to+300 {
		t.Errorf("%d events found, want %d: %v", p.Total, size-to+300, err)
	}
}
