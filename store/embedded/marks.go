package embedded

import (
	"container/list"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"vitrine/store"
)

const (
	// marksMost is how many views are kept at once: one for each state in which
	// somebody began to turn pages, some 200 of them a second for all of marksAge.
	// One takes less than a kilobyte.
	marksMost = 1 << 17
	// marksAge is for how long one is kept after it was last marked.
	marksAge = 10 * time.Minute
	// markSalt is the part of a mark that tells one life of a store from another.
	markSalt = 8
)

// marks are the views that are kept for later pages. What two callers marked in
// the same state is one view. It is guarded by the lock of sharing.
type marks struct {
	salt  [markSalt]byte
	most  int                     // views kept at once
	views map[state]*list.Element // of *marked
	order list.List               // the one marked last is at the back
	now   time.Time               // of the last look at their age
}

type marked struct {
	one *shared
	at  time.Time // zero until the first look
}

func (m *marks) open() error {
	m.views, m.most = map[state]*list.Element{}, marksMost
	_, err := rand.Read(m.salt[:])
	return err
}

// mark keeps a view, whose mark it returns.
func (s *sharing) mark(one *shared) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.marks
	if e, ok := m.views[one.state]; ok {
		if kept, ok := e.Value.(*marked); ok {
			kept.at = m.now
			m.order.MoveToBack(e)
		}
	} else {
		one.users++
		m.views[one.state] = m.order.PushBack(&marked{one: one, at: m.now})
	}
	for m.order.Len() > m.most {
		_ = s.drop(m.order.Front()) // it fails for none that is open
	}
	b := append([]byte(nil), m.salt[:]...)
	b = binary.BigEndian.AppendUint64(b, one.state.commit)
	return binary.BigEndian.AppendUint64(b, one.state.shelved)
}

// again is the view with a mark, for one more user; nil when it is not kept.
func (s *sharing) again(mark []byte) *shared {
	if len(mark) != markSalt+16 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(mark[:markSalt]) != string(s.marks.salt[:]) {
		return nil
	}
	at := state{binary.BigEndian.Uint64(mark[markSalt:]), binary.BigEndian.Uint64(mark[markSalt+8:])}
	e, ok := s.marks.views[at]
	if !ok {
		return nil
	}
	kept, ok := e.Value.(*marked)
	if !ok {
		return nil
	}
	kept.one.users++
	return kept.one
}

// drop ends the keeping of a view.
func (s *sharing) drop(e *list.Element) error {
	kept, ok := s.marks.order.Remove(e).(*marked)
	if !ok {
		return nil
	}
	delete(s.marks.views, kept.one.state)
	return s.left(kept.one)
}

// age drops the views that were marked too long ago.
func (s *sharing) age(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks.now = now
	for e := s.marks.order.Front(); e != nil && markedAt(e).IsZero(); e = e.Next() {
		if kept, ok := e.Value.(*marked); ok {
			kept.at = now
		}
	}
	var err error
	for e := s.marks.order.Front(); e != nil && now.Sub(markedAt(e)) > marksAge; e = s.marks.order.Front() {
		err = errors.Join(err, s.drop(e))
	}
	return err
}

func markedAt(e *list.Element) (at time.Time) {
	if kept, ok := e.Value.(*marked); ok {
		at = kept.at
	}
	return at
}

// forget drops all views.
func (s *sharing) forget() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for e := s.marks.order.Front(); e != nil; e = s.marks.order.Front() {
		err = errors.Join(err, s.drop(e))
	}
	return err
}

// Mark makes the store keep this view for a while.
func (s *snapshot) Mark() []byte {
	if s.shared == nil {
		return nil
	}
	return s.db.sharing.mark(s.shared)
}

// At opens a view that was kept.
func (db *DB) At(ctx context.Context, mark []byte) (store.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := db.life.Enter(); err != nil {
		return nil, err
	}
	one := db.sharing.again(mark)
	if one == nil {
		db.life.Leave()
		return nil, store.ErrBadCursor
	}
	return db.snapshot(one), nil
}
