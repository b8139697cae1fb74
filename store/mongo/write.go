package mongo

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"vitrine/store"
)

const (
	// attempts is how often a write is run again that lost to another process's.
	attempts = 60
	// leastWait and mostWait bound the time before it is; it doubles, and is
	// drawn, so that two writers do not meet again and again.
	leastWait = time.Millisecond
	mostWait  = 100 * time.Millisecond
	// commits is how often a commit is asked for again whose outcome is not
	// known. The servers tell the same outcome each time.
	commits = 10
)

// errUnknown: a commit was sent and nobody could say what became of it. It is
// not acknowledged.
var errUnknown = errors.New("mongodb: the outcome of a write is not known")

// Write runs do as the one writer, in a transaction. What it lost to a writer of
// another process, or to an election, is run again.
func (db *DB) Write(ctx context.Context, do func(store.Tx) error) error {
	if err := db.life.enter(); err != nil {
		return err
	}
	defer db.life.leave()
	if err := db.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-db.turn }()
	if db.alone() {
		return db.attemptAlone(ctx, do)
	}
	wait := leastWait
	for range attempts {
		err := db.attempt(ctx, do)
		var f *failure
		if !errors.As(err, &f) || !f.transient {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, mostWait)
	}
	return store.ErrConflict
}

func (db *DB) takeTurn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case db.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause waits up to d.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(rand.N(d) + 1) //nolint:gosec // not a secret
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attempt is one transaction.
func (db *DB) attempt(ctx context.Context, do func(store.Tx) error) error {
	s, err := db.client.StartSession(options.Session().SetDefaultTransactionOptions(options.Transaction().
		SetReadConcern(readconcern.Snapshot()).SetWriteConcern(writeconcern.Majority()).SetReadPreference(readpref.Primary())))
	if err != nil {
		return clean(err)
	}
	defer s.EndSession(context.WithoutCancel(ctx))
	if err := s.StartTransaction(); err != nil {
		return clean(err)
	}
	x, err := db.begin(driver.NewSessionContext(ctx, s), s)
	if err == nil {
		err = x.run(ctx, do)
	}
	if err != nil || !x.wrote {
		_ = s.AbortTransaction(context.WithoutCancel(ctx)) // what is not committed is dropped in any case
		return err
	}
	return db.commit(ctx, s)
}

// commit asks for the commit until it is known what became of it. A transaction
// is committed once, however often that is asked.
func (db *DB) commit(ctx context.Context, s *driver.Session) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.opt.Timeout)
	defer cancel()
	wait := leastWait
	for range commits {
		err := clean(s.CommitTransaction(ctx))
		var f *failure
		if !errors.As(err, &f) {
			return err
		}
		if !f.unknown && !f.network {
			return err
		}
		if pause(ctx, wait) != nil {
			break
		}
		wait = min(2*wait, mostWait)
	}
	return errUnknown
}

// begin takes the lock: whoever else holds it makes this transaction fail, to be
// run again.
func (db *DB) begin(in context.Context, s *driver.Session) (*tx, error) {
	var lock epochDocument
	err := db.collection(collEpochs).FindOneAndUpdate(in, is("_id", lockKey), is("$inc", is("at", int64(1))),
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&lock)
	if err != nil {
		return &tx{}, clean(err)
	}
	if err := db.classes.load(in, db, lock.Classes); err != nil {
		return &tx{}, err
	}
	x := &tx{db: db, commit: lock.At, sequence: lock.Sequence, began: lock.Sequence}
	x.view = view{db: db, sess: s, ready: x.flush}
	return x, nil
}

// tx is a write under way. What is put is kept back until something is read or
// the write ends, so that many puts take few journeys.
type tx struct {
	view
	db              *DB
	commit          int64
	sequence, began int64
	pending         []store.Put
	known           map[string]bool // of pending, by name
	touched         map[string]bool
	records         [][]byte
	wrote           bool
	steps           int   // noted, where there are no transactions
	failed          error // a write that was half done: nothing may be kept
	over            bool
}

var _ store.Tx = (*tx)(nil)

var (
	errOver = errors.New("the write is over")
	errPut  = errors.New("not a resource that can be stored")
)

func (x *tx) run(ctx context.Context, do func(store.Tx) error) error {
	err := do(x)
	x.over = true
	if x.failed != nil { // what the caller made of it does not matter
		return x.failed
	}
	if err != nil {
		return err
	}
	in := driver.NewSessionContext(ctx, x.sess)
	if err := x.flush(in); err != nil {
		return err
	}
	return x.finish(in)
}

// finish writes what goes with a commit: the records, the epochs, the lock.
func (x *tx) finish(in context.Context) error {
	if len(x.records) > 0 {
		if err := x.db.log.insert(in, x.records); err != nil {
			return err
		}
		x.wrote = true
	}
	if len(x.touched) > 0 {
		x.wrote = true
		var models []driver.WriteModel
		for key := range x.touched {
			models = append(models, driver.NewUpdateOneModel().SetFilter(is("_id", key)).
				SetUpdate(is("$set", is("at", x.commit))).SetUpsert(true))
		}
		if _, err := x.db.collection(collEpochs).BulkWrite(in, models, options.BulkWrite().SetOrdered(false)); err != nil {
			return clean(err)
		}
	}
	lock := bson.D{{Key: "seq", Value: x.sequence}}
	if len(x.made) > 0 {
		lock = append(lock, bson.E{Key: "cls", Value: x.commit})
	}
	if x.sequence == x.began && len(lock) == 1 {
		return nil
	}
	_, err := x.db.collection(collEpochs).UpdateOne(in, is("_id", lockKey), is("$set", lock))
	return clean(err)
}

// Touch changes the epoch of the keys when the write commits.
func (x *tx) Touch(keys ...string) {
	if x.touched == nil {
		x.touched = map[string]bool{}
	}
	for _, k := range keys {
		if k != lockKey {
			x.touched[k] = true
		}
	}
}

// Record appends audit records that are durable together with the write.
func (x *tx) Record(records ...[]byte) {
	for _, r := range records {
		x.records = append(x.records, append([]byte(nil), r...))
	}
}

// fails keeps the first failure of the write.
func (x *tx) fails(err error) error {
	if err != nil && x.failed == nil {
		x.failed = err
	}
	return err
}
