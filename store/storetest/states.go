package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/store"
)

// state is what a store answers about a key.
func state(t *testing.T, r store.Reader, key string) string {
	t.Helper()
	value, until, err := r.State(t.Context(), key)
	if err != nil {
		t.Fatalf("state %q: %v", key, err)
	}
	if value == nil {
		return ""
	}
	return fmt.Sprintf("%s until %d", value, until.UnixMilli())
}

// states are all with a prefix, in the order in which they came.
func states(t *testing.T, r store.Reader, prefix string) []string {
	t.Helper()
	var out []string
	err := r.States(t.Context(), prefix, "", func(key string, value []byte, _ time.Time) error {
		out = append(out, key+"="+string(value))
		return nil
	})
	if err != nil {
		t.Fatalf("states %q: %v", prefix, err)
	}
	return out
}

// firstState is the key of the first state with a prefix beyond another.
func firstState(t *testing.T, r store.Reader, prefix, beyond string) (first string) {
	t.Helper()
	stop := errors.New("enough")
	err := r.States(t.Context(), prefix, beyond, func(key string, _ []byte, _ time.Time) error {
		first = key
		return stop
	})
	if err != nil && !errors.Is(err, stop) {
		t.Fatalf("states %q beyond %q: %v", prefix, beyond, err)
	}
	return first
}

// set is a write of states; an empty value forgets.
func set(t *testing.T, st store.Store, pairs ...string) {
	t.Helper()
	err := st.Write(t.Context(), func(tx store.Tx) error { return setIn(tx, pairs...) })
	if err != nil {
		t.Fatalf("set states: %v", err)
	}
}

func setIn(tx store.Tx, pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		value := []byte(pairs[i+1])
		if pairs[i+1] == "" {
			value = nil
		}
		if err := tx.SetState(pairs[i], value, moment(i)); err != nil {
			return err
		}
	}
	return nil
}

func testStates(t *testing.T, st store.Store) {
	before := open(t, st)
	set(t, st, "b/2", "two", "a/1", "one", "b/1", "uno", "b/é", "accent", "c", "see", "b/\x7f", "last", "b", "short")
	if got := state(t, before, "a/1"); got != "" {
		t.Errorf("a view from before: got %q", got)
	}
	now := open(t, st)
	if got, want := state(t, now, "a/1"), fmt.Sprintf("one until %d", moment(2).UnixMilli()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	same(t, "with a prefix, in order", states(t, now, "b/"), []string{"b/1=uno", "b/2=two", "b/\x7f=last", "b/é=accent"})
	same(t, "with a prefix that ends high", states(t, now, "b/\x7f"), []string{"b/\x7f=last"})
	same(t, "all", states(t, now, ""), []string{"a/1=one", "b=short", "b/1=uno", "b/2=two", "b/\x7f=last", "b/é=accent", "c=see"})
	same(t, "none", states(t, now, "d"), []string(nil))
	set(t, st, "b/1", "", "b/2", "dos", "never", "")
	same(t, "forgotten and replaced", states(t, open(t, st), "b/"), []string{"b/2=dos", "b/\x7f=last", "b/é=accent"})
	same(t, "a view from before", states(t, now, "b/"), []string{"b/1=uno", "b/2=two", "b/\x7f=last", "b/é=accent"})

	for beyond, want := range map[string]string{"": "b/1", "a": "b/1", "b/1": "b/2", "b/10": "b/2", "b/2": "b/\x7f", "b/é": "", "c": "", "z": ""} {
		if got := firstState(t, now, "b/", beyond); got != want {
			t.Errorf("the first beyond %q: got %q, want %q", beyond, got, want)
		}
	}
	stop, seen := errors.New("enough"), 0
	err := now.States(t.Context(), "b/", "", func(string, []byte, time.Time) error { seen++; return stop })
	if !errors.Is(err, stop) || seen != 1 {
		t.Errorf("stopped: got %v after %d", err, seen)
	}
	never := func(tx store.Tx) error { return tx.SetState("never", []byte{}, time.Time{}) }
	if err := st.Write(t.Context(), never); err != nil {
		t.Fatalf("write: %v", err)
	}
	value, until, err := open(t, st).State(t.Context(), "never")
	if value == nil || len(value) != 0 || !until.IsZero() || err != nil {
		t.Errorf("an empty value without an end: got %v, %v, %v", value, until, err)
	}
}

func testStateBounds(t *testing.T, st store.Store) {
	longest, largest := strings.Repeat("k", store.MostStateKey), make([]byte, store.MostStateValue)
	for what, c := range map[string]struct {
		key   string
		value []byte
		want  error
	}{
		"the longest": {longest, largest, nil}, "no key": {"", nil, store.ErrState}, "not text": {"\xff", nil, store.ErrState},
		"a longer key": {longest + "k", nil, store.ErrState}, "a larger value": {"k", append(largest, 0), store.ErrState},
	} {
		err := st.Write(t.Context(), func(tx store.Tx) error { return tx.SetState(c.key, c.value, moment(1)) })
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", what, err, c.want)
		}
	}
	if value, _, err := open(t, st).State(t.Context(), longest); len(value) != store.MostStateValue || err != nil {
		t.Errorf("the largest: got %d bytes, %v", len(value), err)
	}
}

// testStatesAtomic sets states together with a put and a record, or not at all.
func testStatesAtomic(t *testing.T, st store.Store) {
	set(t, st, "k/a", "old", "k/b", "stays")
	failed := errors.New("no")
	both := func(tx store.Tx) error {
		e := event(7, "p1")
		tx.Record(e.AppendBinary(nil))
		return errors.Join(tx.Put(first(of("Observation", "p1"), "o1", code("x"))), setIn(tx, "k/a", "new", "k/b", "", "k/c", "more"))
	}
	err := st.Write(t.Context(), func(tx store.Tx) error { return errors.Join(both(tx), failed) })
	if !errors.Is(err, failed) {
		t.Fatalf("got %v, want %v", err, failed)
	}
	same(t, "after a write that failed", states(t, open(t, st), "k/"), []string{"k/a=old", "k/b=stays"})
	if err := st.Write(t.Context(), both); err != nil {
		t.Fatalf("write: %v", err)
	}
	if err := st.Settle(t.Context()); err != nil {
		t.Fatalf("settle: %v", err)
	}
	s := open(t, st)
	same(t, "after one that did not", states(t, s, "k/"), []string{"k/a=new", "k/c=more"})
	u := consent.Everything()
	if o, e := all(t, s, u, query("Observation")), all(t, s, u, query("AuditEvent")); len(o) != 1 || len(e) != 1 {
		t.Errorf("what went with it: %d resources and %d records, want one of each", len(o), len(e))
	}
}

func testStatesReadThemselves(t *testing.T, st store.Store) {
	set(t, st, "k/a", "old", "k/b", "stays", "l", "other")
	err := st.Write(t.Context(), func(tx store.Tx) error {
		same(t, "before", states(t, tx, "k/"), []string{"k/a=old", "k/b=stays"})
		if err := setIn(tx, "k/a", "new", "k/b", "", "k/0", "least", "m", "unasked"); err != nil {
			return err
		}
		if got := state(t, tx, "k/b"); got != "" {
			t.Errorf("forgotten by the write itself: got %q", got)
		}
		if got := state(t, tx, "k/a"); !strings.HasPrefix(got, "new ") {
			t.Errorf("set by the write itself: got %q", got)
		}
		same(t, "after", states(t, tx, "k/"), []string{"k/0=least", "k/a=new"})
		if got := firstState(t, tx, "k/", "k/0"); got != "k/a" {
			t.Errorf("beyond the least: got %q, want %q", got, "k/a")
		}
		if err := setIn(tx, "k/0", "", "k/a", "newer"); err != nil {
			return err
		}
		same(t, "and once more", states(t, tx, "k/"), []string{"k/a=newer"})
		return nil
	})
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	same(t, "kept", states(t, open(t, st), ""), []string{"k/a=newer", "l=other", "m=unasked"})
}

// testStatesCount has writers count in one state: none may be lost.
func testStatesCount(t *testing.T, st store.Store) {
	const writers, times = 4, 5
	done := make(chan error, writers)
	for range writers {
		go func() {
			var err error
			for range times {
				err = errors.Join(err, st.Write(t.Context(), func(tx store.Tx) error {
					value, _, err := tx.State(t.Context(), "count")
					if err != nil {
						return err
					}
					return tx.SetState("count", append(slices.Clone(value), '.'), time.Time{})
				}))
			}
			done <- err
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Errorf("write: %v", err)
		}
	}
	if value, _, err := open(t, st).State(t.Context(), "count"); len(value) != writers*times || err != nil {
		t.Errorf("counted %d, %v, want %d", len(value), err, writers*times)
	}
}

// HoldStates is for a store that is opened twice, or again: what one handle kept,
// another must have.
func HoldStates(t *testing.T, one store.Store, other func(t *testing.T) store.Store) {
	t.Helper()
	set(t, one, "revoked/a", "yes", "revoked/b", "yes", "session/c", "theirs")
	set(t, one, "revoked/b", "")
	again := other(t)
	same(t, "through the other handle", states(t, open(t, again), ""), []string{"revoked/a=yes", "session/c=theirs"})
	set(t, again, "revoked/d", "too")
	same(t, "and what that kept", states(t, open(t, again), "revoked/"), []string{"revoked/a=yes", "revoked/d=too"})
}
