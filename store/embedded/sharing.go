package embedded

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// sharing lets readers who come between two writes have one snapshot of the
// engine: to make one and to close it takes the engine's lock, which the writers
// of the log need.
type sharing struct {
	mu  sync.Mutex
	now *shared // for whoever comes in its state; may be nil
	// marks are views that are kept.
	marks marks
}

// shared is a snapshot of the engine with those who use it.
type shared struct {
	*pebble.Snapshot
	state state
	users int
}

// state is what a snapshot must show at least: the commits acknowledged, and the
// records that were shelved. Neither ever goes back.
type state struct{ commit, shelved uint64 }

// share takes the state first and makes the snapshot after, so that it shows all
// of it. One made earlier in the same state does, too.
func (db *DB) share() *shared {
	s := &db.sharing
	s.mu.Lock()
	defer s.mu.Unlock()
	at := state{commit: db.epochs.commits.Load(), shelved: db.shelf.at.Load()}
	if s.now != nil && s.now.state != at && s.now.users == 0 {
		_ = s.now.Close() // it fails for none that is open
	}
	if s.now == nil || s.now.state != at {
		s.now = &shared{Snapshot: db.eng.NewSnapshot(), state: at}
	}
	s.now.users++
	return s.now
}

// leave gives a snapshot back. The one of the present state stays.
func (s *sharing) leave(one *shared) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left(one)
}

func (s *sharing) left(one *shared) error {
	if one.users--; one.users > 0 || one == s.now {
		return nil
	}
	return one.Close()
}

// rest closes the snapshot that nobody uses: what it shows would be kept on the
// disk as long as it is open.
func (s *sharing) rest() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil || s.now.users > 0 {
		return nil
	}
	last := s.now
	s.now = nil
	return last.Close()
}
