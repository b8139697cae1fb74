package gate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/consent/gate"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/oauth"
	"vitrine/store"
)

var _ oauth.State = (*gate.Gate)(nil)

// remember runs do and wants it to succeed.
func (w *world) remember(do func(m smart.Memory) error) {
	w.Helper()
	if err := w.gate.Remember(w.ctx(), w.now, do); err != nil {
		w.Fatalf("remember: %v", err)
	}
}

func (w *world) recall(key string) string {
	w.Helper()
	value, err := w.gate.Recall(w.ctx(), key, w.now)
	if err != nil {
		w.Fatalf("recall: %v", err)
	}
	if value == nil {
		return "nothing"
	}
	return string(value)
}

func TestMemory(t *testing.T) {
	w := newWorld(t, nil)
	end := w.now.Add(time.Minute)
	w.remember(func(m smart.Memory) error {
		err := errors.Join(m.Keep("a", []byte("one"), end), m.Keep("b", nil, end), m.Keep("c", []byte("gone"), end), m.Forget("c"), m.Forget("never"))
		value, again := m.Recall("a")
		if string(value) != "one" {
			t.Errorf("within the write: got %q", value)
		}
		return errors.Join(err, again)
	})
	for key, want := range map[string]string{"a": "one", "b": "", "c": "nothing", "d": "nothing", strings.Repeat("k", 9999): "nothing", "\xff": "nothing", "": "nothing"} {
		if got := w.recall(key); got != want {
			t.Errorf("%.9q: got %q, want %q", key, got, want)
		}
	}
	refused := errors.New("no")
	err := w.gate.Remember(t.Context(), w.now, func(m smart.Memory) error {
		return errors.Join(m.Keep("a", []byte("two"), end), m.Forget("b"), refused)
	})
	if !errors.Is(err, refused) {
		t.Errorf("a refusal: got %v, want %v", err, refused)
	}
	if a, b := w.recall("a"), w.recall("b"); a != "one" || b != "" {
		t.Errorf("after a refusal: got %q and %q", a, b)
	}
	for what, do := range map[string]func(m smart.Memory) error{
		"a value without an end": func(m smart.Memory) error { return m.Keep("a", nil, time.Time{}) },
		"a value too large":      func(m smart.Memory) error { return m.Keep("a", make([]byte, store.MostStateValue+1), end) },
		"nothing revoked":        func(m smart.Memory) error { return m.Revoke("", end) },
	} {
		err := w.gate.Remember(t.Context(), w.now, func(m smart.Memory) error {
			_ = do(m) // what the caller makes of it does not matter
			return nil
		})
		if !errors.Is(err, gate.ErrUnavailable) {
			t.Errorf("%s: got %v, want %v", what, err, gate.ErrUnavailable)
		}
	}
	if w.now = end; w.recall("a") != "nothing" {
		t.Error("at its end it is there still")
	}
	w.remember(func(m smart.Memory) error {
		if value, err := m.Recall("a"); value != nil || err != nil {
			t.Errorf("at its end, within a write: got %q, %v", value, err)
		}
		return nil
	})
}

// TestSweepForgets: what is over goes, in rounds, and nothing else does.
func TestSweepForgets(t *testing.T) {
	w := newWorld(t, nil)
	const many = 1700
	w.remember(func(m smart.Memory) error {
		for i := range many {
			end := w.now.Add(time.Duration(1+i%3) * time.Minute)
			if err := errors.Join(m.Keep(fmt.Sprintf("k%04d", i), []byte("x"), end), m.Revoke(fmt.Sprintf("id%04d", i), end)); err != nil {
				return err
			}
		}
		return m.Revoke("for ever", time.Time{})
	})
	count := func() (n int) {
		s, err := w.store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var keys []string
		if err := s.States(t.Context(), "", "", func(key string, _ []byte, _ time.Time) error {
			keys = append(keys, key)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(keys) {
			t.Error("out of order")
		}
		return len(keys)
	}
	for i, want := range []int{2*many + 1, 2*many - 2*567 + 1, 2*566 + 1, 1} {
		if i > 0 {
			w.now = w.now.Add(time.Minute)
		}
		if err := w.gate.Sweep(t.Context(), w.now); err != nil {
			t.Fatalf("sweep: %v", err)
		}
		if got := count(); got != want {
			t.Errorf("after %d minutes: %d are left, want %d", i, got, want)
		}
	}
}
