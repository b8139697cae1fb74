package mongo

import (
	"context"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/fhir"
	"vitrine/store"
)

// view answers reads and searches from one state of the store: that of its
// session, which is a snapshot's or a transaction's.
type view struct {
	db   *DB
	sess *driver.Session
	// ready brings to the servers what a write has kept back, of one resource or
	// of all; nil in a snapshot.
	ready func(ctx context.Context, resource string) error
	// found are the classes that only a write knows yet, with all others, and
	// made those that it has made; by type.
	found  map[fhir.ResourceType][]string
	made   map[fhir.ResourceType][]string
	closed bool
}

// within is ctx for operations of the view on anything.
func (v *view) within(ctx context.Context) (context.Context, error) { return v.about(ctx, "") }

// about is ctx for operations of the view on one resource, by name.
func (v *view) about(ctx context.Context, resource string) (context.Context, error) {
	if v.closed {
		return nil, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx = driver.NewSessionContext(ctx, v.sess)
	if v.ready == nil {
		return ctx, nil
	}
	return ctx, v.ready(ctx, resource)
}

type snapshot struct {
	view
	at moment
}

// Snapshot opens a view of everything that was acknowledged before, by any
// process.
func (db *DB) Snapshot(ctx context.Context) (store.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := db.life.Enter(); err != nil {
		return nil, err
	}
	at, err := db.news.ask(ctx)
	if err != nil {
		db.life.Leave()
		return nil, err
	}
	s, err := db.sessionAt(at)
	if err != nil {
		db.life.Leave()
		return nil, clean(err)
	}
	return &snapshot{view: view{db: db, sess: s}, at: at}, nil
}

// sessionAt reads as things were at a moment.
func (db *DB) sessionAt(at moment) (*driver.Session, error) {
	if db.alone() {
		return db.client.StartSession()
	}
	return db.client.StartSession(options.Session().SetSnapshot(true).SetSnapshotTime(at.time))
}

// Epoch says when the facts under key last changed before this snapshot.
func (s *snapshot) Epoch(key string) (epoch uint64, ok bool) {
	return s.db.news.epoch(key, s.at.commit)
}

// Close gives the view back. A second call does nothing.
func (s *snapshot) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.sess.EndSession(context.Background()) //nolint:forbidigo // a snapshot leaves nothing to undo
	s.db.life.Leave()
	return nil
}

// Mark makes the store keep this view.
func (s *snapshot) Mark() []byte { return nil }

// At opens a view that was kept.
func (db *DB) At(context.Context, []byte) (store.Snapshot, error) { return nil, store.ErrBadCursor }
