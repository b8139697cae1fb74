package embedded

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"vitrine/consent"
	"vitrine/store"
)

// reading is the version a snapshot reads of a row, or what it says instead.
func reading(t *testing.T, s store.Snapshot, id string) string {
	t.Helper()
	f, err := s.Read(context.Background(), consent.Everything(), "Observation", id)
	switch {
	case errors.Is(err, store.ErrGone):
		return "gone"
	case err != nil:
		t.Errorf("read: %v", err)
	}
	return f.Version
}

// TestKeptRowsAreWhatASnapshotReads: rows that are kept answer for no snapshot
// that would read another version.
func TestKeptRowsAreWhatASnapshotReads(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	var open []store.Snapshot
	step := func(do func(store.Tx) error) {
		t.Helper()
		if err := db.Write(t.Context(), do); err != nil {
			t.Fatal(err)
		}
		s, err := db.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		open = append(open, s)
	}
	put := func(version string) func(store.Tx) error {
		return func(tx store.Tx) error { return tx.Put(small("a", version)) }
	}
	want := []string{"1", "2", "gone", "4"}
	step(put("1"))
	step(put("2"))
	step(func(tx store.Tx) error { return tx.Delete("Observation", "a", "3", "", small("a", "3").Full.Updated) })
	step(put("4"))
	for range 2 { // in whatever order they come to be kept
		for i, s := range open {
			if got := reading(t, s, "a"); got != want[i] {
				t.Errorf("snapshot %d reads %q, want %q", i, got, want[i])
			}
		}
		for i := len(open) - 1; i >= 0; i-- {
			if got := reading(t, open[i], "a"); got != want[i] {
				t.Errorf("snapshot %d reads %q, want %q", i, got, want[i])
			}
		}
	}
}

// TestKeptRowsUnderWrites: a snapshot reads at least what was acknowledged before
// it, and always the same.
func TestKeptRowsUnderWrites(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	const rounds = 200
	write := func(n int) error {
		return db.Write(context.Background(), func(tx store.Tx) error { return tx.Put(small("a", strconv.Itoa(n))) })
	}
	if err := write(1); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	acknowledged, over := 1, false
	now := func() (int, bool) { mu.Lock(); defer mu.Unlock(); return acknowledged, over }
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for {
				least, over := now()
				if over {
					return
				}
				s, err := db.Snapshot(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				first, again := reading(t, s, "a"), reading(t, s, "a")
				if n, _ := strconv.Atoi(first); n < least || first != again {
					t.Errorf("read %s and %s after %d was acknowledged", first, again, least)
				}
				_ = s.Close()
			}
		})
	}
	for n := 2; n <= rounds; n++ {
		if err := write(n); err != nil {
			t.Error(err)
		}
		mu.Lock()
		acknowledged = n
		mu.Unlock()
	}
	mu.Lock()
	over = true
	mu.Unlock()
	work.Wait()
}
