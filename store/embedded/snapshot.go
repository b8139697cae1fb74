package embedded

import (
	"context"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/store"
)

// source is where a view reads: a snapshot of the engine, or a write under way.
type source interface {
	Get(key []byte) ([]byte, io.Closer, error)
	NewIter(o *pebble.IterOptions) (*pebble.Iterator, error)
}

// view answers reads and searches from one state of the store.
type view struct {
	db  *DB
	src source
	// kept are rows as a snapshot of commit reads them; nil in a write.
	kept   *kept
	commit uint64
	// round is the one of the log that was read last, cold what was put away when
	// events were first asked for.
	round unpacked
	cold  *cold
}

type snapshot struct {
	view
	shared *shared // nil once it is closed
}

// Snapshot opens a view of what has been written so far.
func (db *DB) Snapshot(ctx context.Context) (store.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := db.life.Enter(); err != nil {
		return nil, err
	}
	return db.snapshot(db.share()), nil
}

func (db *DB) snapshot(one *shared) *snapshot {
	db.figures.snapshots.Add(1)
	return &snapshot{shared: one, view: view{db: db, src: one, kept: db.kept, commit: one.state.commit}}
}

// Epoch says when the facts under key last changed before this snapshot.
func (s *snapshot) Epoch(key string) (epoch uint64, ok bool) {
	return s.db.epochs.at(key, s.commit)
}

// Close gives the view back. A second call does nothing.
func (s *snapshot) Close() error {
	if s.shared == nil {
		return nil
	}
	defer s.db.life.Leave()
	one := s.shared
	s.shared, s.src, s.kept = nil, closedSource{}, nil
	return s.db.sharing.leave(one)
}

// closedSource is what is left of a view that was closed.
type closedSource struct{}

func (closedSource) Get([]byte) ([]byte, io.Closer, error) { return nil, nil, store.ErrClosed }

func (closedSource) NewIter(*pebble.IterOptions) (*pebble.Iterator, error) {
	return nil, store.ErrClosed
}
