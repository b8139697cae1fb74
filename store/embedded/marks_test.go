package embedded

import (
	"errors"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/store"
)

// TestMarks: a view that was marked can be opened again for as long as it is
// kept, and shows what it showed; every other mark is refused.
func TestMarks(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	mark := func(version string) []byte {
		t.Helper()
		put(t, db, small("o1", version))
		s, err := db.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m, again := s.Mark(), s.Mark()
		if len(m) == 0 || string(m) != string(again) {
			t.Errorf("marks of one view: %x and %x, want one", m, again)
		}
		if err := s.Close(); err != nil || s.Mark() != nil {
			t.Errorf("closed: %v, mark %x, want none", err, s.Mark())
		}
		return m
	}
	shows := func(mark []byte, want string) {
		t.Helper()
		s, err := db.At(t.Context(), mark)
		if want == "" {
			if !errors.Is(err, store.ErrBadCursor) {
				t.Errorf("mark %x: got %v, want %v", mark, err, store.ErrBadCursor)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		f, err := s.Read(t.Context(), consent.Everything(), "Observation", "o1")
		if err = errors.Join(err, s.Close()); err != nil || f.Version != want {
			t.Errorf("got version %s, %v, want %s", f.Version, err, want)
		}
	}
	one, two := mark("1"), mark("2")
	put(t, db, small("o1", "3"))
	shows(one, "1")
	shows(two, "2")
	for _, bad := range [][]byte{nil, {1}, one[:len(one)-1], append([]byte{0}, one...), append(make([]byte, markSalt), one[markSalt:]...)} {
		shows(bad, "")
	}
	if kept := db.sharing.marks.order.Len(); kept != 2 {
		t.Errorf("%d views are kept, want 2", kept)
	}
	now := time.Now().Add(time.Hour) //nolint:forbidigo // ahead of the store's own clock
	if err := db.sharing.age(now); err != nil {
		t.Fatal(err)
	}
	if db.sharing.marks.order.Len() == 2 { // the first look only notes the time
		if err := db.sharing.age(now.Add(marksAge + time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	shows(one, "")
	shows(two, "")
}

// TestMarksAreBounded: the oldest are dropped first.
func TestMarksAreBounded(t *testing.T) {
	const most = 1000
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	db.sharing.marks.most = most
	put(t, db, small("o1", "1"))
	var marks [][]byte
	for i := range most + 2 {
		// Every state of a store has its view; epochs stand for writes here.
		db.epochs.done(uint64(i) + 10) //nolint:gosec // small
		s, err := db.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		marks = append(marks, s.Mark())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range map[int]error{0: store.ErrBadCursor, 1: store.ErrBadCursor, 2: nil, most + 1: nil} {
		s, err := db.At(t.Context(), marks[i])
		if !errors.Is(err, want) {
			t.Errorf("mark %s: got %v, want %v", strconv.Itoa(i), err, want)
		}
		if err == nil {
			_ = s.Close()
		}
	}
}
