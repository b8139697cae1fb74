package storetest

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

func testEpochs(t *testing.T, st store.Store) {
	touch := func(keys ...string) {
		t.Helper()
		if err := st.Write(t.Context(), func(tx store.Tx) error { tx.Touch(keys...); return nil }); err != nil {
			t.Fatalf("write: %v", err)
		}
	}
	s0 := open(t, st)
	e0, ok := s0.Epoch("Patient/p1")
	if !ok {
		t.Fatal("nothing was touched, and the epoch is not known")
	}
	touch("Patient/p1")
	if e, ok := s0.Epoch("Patient/p1"); ok && e != e0 {
		t.Errorf("an old view has epoch %d of what changed after it, and had %d", e, e0)
	}
	s1 := open(t, st)
	e1, ok := s1.Epoch("Patient/p1")
	if !ok || e1 == e0 {
		t.Errorf("after a touch: got %d, %v, want another than %d", e1, ok, e0)
	}
	touch("Patient/p2")
	if e2, ok := open(t, st).Epoch("Patient/p1"); !ok || e2 != e1 {
		t.Errorf("after another key's touch: got %d, %v, want %d", e2, ok, e1)
	}
	failed := errors.New("no")
	err := st.Write(t.Context(), func(tx store.Tx) error { tx.Touch("Patient/p1"); return failed })
	if e2, ok := open(t, st).Epoch("Patient/p1"); !errors.Is(err, failed) || !ok || e2 != e1 {
		t.Errorf("after a write that failed (%v): got %d, %v, want %d", err, e2, ok, e1)
	}
	if err := st.Write(t.Context(), func(tx store.Tx) error {
		for key, want := range map[string]uint64{"Patient/p1": e1, "Patient/p9": e0} {
			if e, ok := tx.Epoch(key); !ok || e != want {
				t.Errorf("in a write, %s: got %d, %v, want %d as of the newest state", key, e, ok, want)
			}
		}
		tx.Touch("Patient/p1")
		if e, ok := tx.Epoch("Patient/p1"); ok && e == e1 {
			t.Errorf("in the write that touched it: got %d, %v, want not known", e, ok)
		}
		return nil
	}); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func testSnapshots(t *testing.T, st store.Store) {
	write(t, st, first(of("Observation", "p1"), "o1", code("x")))
	s := open(t, st)
	next := first(of("Observation", "p1"), "o1", code("y"))
	next.Full = version("Observation", "o1", "2", 2, code("y"))
	write(t, st, next, first(of("Observation", "p1"), "o2", code("x")))
	u := consent.Everything()
	same(t, "the view before", labels(all(t, s, u, query("Observation"))), []string{"Observation/o1/1"})
	same(t, "a view after", labels(all(t, open(t, st), u, query("Observation"))), []string{"Observation/o1/2", "Observation/o2/1"})
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := s.Read(t.Context(), u, "Observation", "o1"); err == nil {
		t.Error("a closed view answers")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := st.Snapshot(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that is gone: got %v, want %v", err, context.Canceled)
	}
}

func testAtomic(t *testing.T, st store.Store) {
	write(t, st, first(of("Observation", "p1"), "o1", code("x")))
	failed := errors.New("no")
	err := st.Write(t.Context(), func(tx store.Tx) error {
		next := first(of("Observation", "p2"), "o1", code("y"))
		next.Full = version("Observation", "o1", "2", 2, code("y"))
		if err := errors.Join(tx.Put(next), tx.Put(first(of("Media", "p3"), "m1"))); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatalf("got %v, want %v", err, failed)
	}
	s := open(t, st)
	u := consent.Everything()
	same(t, "what was", labels(all(t, s, u, query("Observation", is("x")))), []string{"Observation/o1/1"})
	same(t, "what failed", labels(all(t, s, u, query("Observation", is("y")))), []string{})
	same(t, "a type met in what failed", labels(all(t, s, u, query("Media"))), []string{})
	for what, p := range map[string]store.Put{
		"no id": first(of("Observation", "p1"), ""), "no owner": {Row: consent.Row{Type: "Observation", Home: consent.HomePatients}, ID: "o9", Full: version("Observation", "o9", "1", 1)},
		"nothing to keep": {Row: of("Observation", "p1"), ID: "o9", Full: store.Version{Unchanged: true}},
	} {
		err := st.Write(t.Context(), func(tx store.Tx) error {
			if err := tx.Put(first(of("Observation", "p1"), "o8")); err != nil {
				return err
			}
			_ = tx.Put(p)
			return nil
		})
		_, kept := open(t, st).Read(t.Context(), u, "Observation", "o8")
		if err == nil || !errors.Is(kept, store.ErrNotFound) {
			t.Errorf("%s: half a write was kept: %v, %v", what, err, kept)
		}
		if _, err := open(t, st).Read(t.Context(), u, "Observation", "o9"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: got %v, want %v", what, err, store.ErrNotFound)
		}
	}
	write(t, st, first(of("Media", "p3"), "m1"))
	same(t, "the store goes on", labels(all(t, open(t, st), u, query("Media"))), []string{"Media/m1/1"})
}

// testWriters: a read and the write that depends on it are one step.
func testWriters(t *testing.T, st store.Store) {
	const writers, rounds = 8, 10
	var wait sync.WaitGroup
	errs := make(chan error, writers*rounds)
	for range writers {
		wait.Go(func() {
			for range rounds {
				errs <- st.Write(t.Context(), increment)
			}
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Errorf("write: %v", err)
		}
	}
	got, err := open(t, st).Read(t.Context(), consent.Everything(), "Basic", "counter")
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	same(t, "versions", got.Version, strconv.Itoa(writers*rounds))
}

func increment(tx store.Tx) error {
	n := 0
	got, err := tx.Read(context.Background(), consent.Everything(), "Basic", "counter")
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	default:
		if n, err = strconv.Atoi(got.Version); err != nil {
			return err
		}
	}
	return tx.Put(store.Put{Row: shared("Basic"), ID: "counter", Full: version("Basic", "counter", strconv.Itoa(n+1), n)})
}

func testReadsItself(t *testing.T, st store.Store) {
	write(t, st, first(of("Observation", "p1"), "o1", code("x")), first(of("Patient", "p1"), "p1", owner("A")))
	every := levels{"p1": consent.Full, "p2": consent.Full}
	err := st.Write(t.Context(), func(tx store.Tx) error {
		same(t, "before", labels(all(t, tx, every.through("A"), query("Observation", is("x")))), []string{"Observation/o1/1"})
		next := first(of("Observation", "p1"), "o1")
		next.Full = version("Observation", "o1", "2", 2, code("y"))
		if err := errors.Join(tx.Put(next), tx.Put(first(of("Patient", "p2"), "p2", owner("A")))); err != nil {
			return err
		}
		same(t, "by the old value", labels(all(t, tx, every.any(), query("Observation", is("x")))), []string{})
		same(t, "by the new value", labels(all(t, tx, every.any(), query("Observation", is("y")))), []string{"Observation/o1/2"})
		if err := tx.Put(first(of("Observation", "p2"), "o2", code("y"))); err != nil {
			return err
		}
		same(t, "through a new link", sortedCopy(labels(all(t, tx, every.through("A"), query("Observation", is("y"))))), []string{"Observation/o1/2", "Observation/o2/1"})
		versions, _, total, err := tx.History(t.Context(), every.to("p1"), "Observation", "o1", 5, nil)
		same(t, "history", labels(versions), []string{"Observation/o1/2", "Observation/o1/1"})
		same(t, "total", total, 2)
		if err != nil {
			return err
		}
		if _, err := tx.Version(t.Context(), every.to("p1"), "Observation", "o1", "1"); err != nil {
			return err
		}
		return tx.Delete("Observation", "o2", "2", "", moment(3))
	})
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	same(t, "after", labels(all(t, open(t, st), every.any(), query("Observation", search.Clause{Any: is("x", "y").Any}))), []string{"Observation/o1/2"})
}

func testBackup(t *testing.T, st store.Store) {
	write(t, st, first(of("Observation", "p1"), "o1", code("x")))
	dir := filepath.Join(t.TempDir(), "copy")
	if err := st.Backup(t.Context(), dir); err != nil {
		t.Fatalf("backup: %v", err)
	}
	if err := st.Backup(t.Context(), dir); err == nil {
		t.Error("a backup was written over another")
	}
	write(t, st, first(of("Observation", "p1"), "o2", code("x")))
	same(t, "the store goes on", len(all(t, open(t, st), consent.Everything(), query("Observation"))), 2)
}

func testClosed(t *testing.T, st store.Store) {
	if err := st.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	_, snapshot := st.Snapshot(t.Context())
	_, record := st.Record(t.Context(), []byte("x"))
	for what, err := range map[string]error{
		"snapshot": snapshot, "record": record, "settle": st.Settle(t.Context()), "close": st.Close(),
		"write":  st.Write(t.Context(), func(store.Tx) error { return nil }),
		"backup": st.Backup(t.Context(), filepath.Join(t.TempDir(), "copy")),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: got %v, want %v", what, err, store.ErrClosed)
		}
	}
}
