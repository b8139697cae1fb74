package mongo

import (
	"context"
	"encoding/binary"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
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
	// again says that a mark led here, and that the servers may forget the moment.
	again bool
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

// markForm begins a mark; what follows is a moment.
const markForm = 1

// markSize is a cluster time, and the number of the last commit before it.
const markSize = 1 + 8 + 8

// Mark is the moment of the snapshot, which servers keep for some minutes
// whether anybody asks them to or not (minSnapshotHistoryWindowInSeconds), and
// for every process. One that stands alone keeps none.
func (s *snapshot) Mark() []byte {
	if s.closed || s.db.alone() {
		return nil
	}
	m := append(make([]byte, 0, markSize), markForm)
	m = binary.BigEndian.AppendUint32(m, s.at.time.T)
	m = binary.BigEndian.AppendUint32(m, s.at.time.I)
	return binary.BigEndian.AppendUint64(m, s.at.commit)
}

// At opens the view of a moment again. What there was of classes then is known
// now.
func (db *DB) At(ctx context.Context, mark []byte) (store.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(mark) != markSize || mark[0] != markForm || db.alone() {
		return nil, store.ErrBadCursor
	}
	if err := db.life.Enter(); err != nil {
		return nil, err
	}
	s, err := db.reopen(ctx, moment{
		time:   bson.Timestamp{T: binary.BigEndian.Uint32(mark[1:]), I: binary.BigEndian.Uint32(mark[5:])},
		commit: binary.BigEndian.Uint64(mark[9:]),
	})
	if err != nil {
		db.life.Leave()
		return nil, err
	}
	return s, nil
}

// reopen asks the servers for something small at the moment, so that one they no
// longer keep is refused here.
func (db *DB) reopen(ctx context.Context, at moment) (*snapshot, error) {
	if !db.news.knows(at.commit) {
		now, err := db.news.ask(ctx)
		if err != nil {
			return nil, err
		}
		if at.commit > now.commit || at.time.After(now.time) {
			return nil, store.ErrBadCursor // of another store
		}
	}
	sess, err := db.sessionAt(at)
	if err != nil {
		return nil, clean(err)
	}
	s := &snapshot{view: view{db: db, sess: sess, again: true}, at: at}
	in, err := s.within(ctx)
	if err == nil {
		err = db.collection(collMeta).FindOne(in, is("_id", metaSchema)).Err()
	}
	if err != nil {
		sess.EndSession(context.WithoutCancel(ctx))
		return nil, s.forgotten(clean(err))
	}
	return s, nil
}

// forgotten makes the refusal of a moment that the servers no longer keep that of
// a position.
func (v *view) forgotten(err error) error {
	var f *failure
	if v.again && errors.As(err, &f) && (f.code == codeSnapshotOld || f.code == codeNoSuchSnapshot) {
		return store.ErrBadCursor
	}
	return err
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
