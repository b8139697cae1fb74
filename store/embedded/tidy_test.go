package embedded

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// TestTidy: what was written in several goes lies in one level afterwards, and is
// what it was.
func TestTidy(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not a secret
	const goes, rows = 3, 20
	for n := range goes {
		err := db.Write(t.Context(), func(tx store.Tx) error {
			for i := range rows {
				p := grownObservation(r, i, n)
				p.ID = strconv.Itoa(n*rows + i)
				noise := make([]byte, 64<<10) // the engine does not make it smaller
				for at := range noise {
					noise[at] = byte(r.Uint32()) //nolint:gosec // of 32 bits
				}
				p.Full.JSON = append(p.Full.JSON, noise...)
				if err := tx.Put(p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.eng.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	before := all(t, db)
	if len(before) != goes*rows {
		t.Fatalf("%d rows", len(before))
	}
	if err := db.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	levels := db.eng.Metrics().Levels
	for i, l := range levels[:len(levels)-1] {
		if l.TablesCount != 0 {
			t.Errorf("level %d has %d tables", i, l.TablesCount)
		}
	}
	after := all(t, db)
	for id, body := range before {
		if after[id] != body {
			t.Errorf("%s is not what it was", id)
		}
	}
}

// all are the bodies by id.
func all(t *testing.T, db *DB) map[string]string {
	t.Helper()
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.Search(t.Context(), consent.Everything(), &search.Query{Type: "Observation"}, store.PageRequest{Limit: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{}
	for _, f := range page.Found {
		bodies[f.ID] = string(f.JSON)
	}
	return bodies
}

func TestTooMuch(t *testing.T) {
	for _, c := range []struct {
		above, last int64
		want        bool
	}{
		{0, 0, false},
		{tidyLeast, 0, false},
		{tidyLeast + 1, 0, true},
		{baseLevel, 400 << 20, true},
		{baseLevel, tidyShare * baseLevel, false}, // the engine's own order is as good
		{40 << 20, 400 << 20, false},
	} {
		if got := tooMuch(c.above, c.last); got != c.want {
			t.Errorf("%d above %d: %v", c.above, c.last, got)
		}
	}
}

// TestTidyWaitsForAPause: nothing is put in order while tables are being written.
func TestTidyWaitsForAPause(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	look := tidier{db: db}
	put := func(id string) {
		t.Helper()
		if err := db.Write(t.Context(), func(tx store.Tx) error { return tx.Put(small(id, "1")) }); err != nil {
			t.Fatal(err)
		}
		if err := db.eng.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b"} {
		put(id)
		if look.paused() {
			t.Errorf("%s was just written", id)
		}
		for t.Context().Err() == nil && !look.paused() { // the engine moves tables for a while
			runtime.Gosched()
		}
	}
}
