package mongo

import (
	"context"
	"errors"
	"maps"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/fhir"
	"vitrine/store"
)

// batch is a transaction under way, of one write or several. What is put is kept
// back until it is asked about or the transaction ends, so that many puts take
// few journeys.
type batch struct {
	// v reads what is on the servers.
	v view
	// in is the context of what no caller waits for alone.
	in       context.Context //nolint:containedctx // of the transaction, whose life is that of the batch
	commit   int64
	sequence uint64
	pending  []store.Put
	known    map[string]bool // of pending, by name
	touched  map[string]bool
	states   map[string]*stateDocument // to be set at the end; nil: taken away
	read     map[string]uint64         // epochs
	records  [][]byte
	wrote    bool
	steps    int // noted, where there are no transactions
	// own is where the pending puts of the write begin that runs, and dirty says
	// that some of it is on the servers.
	own    int
	dirty  bool
	failed error // half done: nothing may be kept
}

// perCommit is how many positions a commit may give out. They follow from its
// number, which no other commit has.
const perCommit = 1 << 16

// begin takes the lock: whoever else holds it makes this transaction fail, to be
// run again.
func (db *DB) begin(in context.Context, s *driver.Session) (*batch, error) {
	var lock epochDocument
	err := db.collection(collEpochs).FindOneAndUpdate(in, is("_id", lockKey), is("$inc", is("at", int64(1))),
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&lock)
	if err != nil {
		return &batch{}, clean(err)
	}
	var found map[fhir.ResourceType][]string
	if !db.classes.knows(lock.Classes) {
		// What a transaction reads may be lost with its primary: it is for this one.
		if found, err = readClasses(in, db); err != nil {
			return &batch{}, err
		}
	}
	return &batch{
		v: view{db: db, sess: s, found: found, made: map[fhir.ResourceType][]string{}}, in: in, commit: lock.At,
		sequence: uint64(lock.At) * perCommit, //nolint:gosec // it counts
		touched:  map[string]bool{}, states: map[string]*stateDocument{}, read: map[string]uint64{},
	}, nil
}

// next gives out a position within a stretch.
func (b *batch) next(stretch uint64) ([]byte, error) {
	b.sequence++
	if b.sequence >= uint64(b.commit+1)*perCommit { //nolint:gosec // it counts
		return nil, errTooMany
	}
	return position(stretch, b.sequence), nil
}

var (
	errOver    = errors.New("the write is over")
	errPut     = errors.New("not a resource that can be stored")
	errTooMany = errors.New("more resources than one write can store")
)

// run runs the writes one after the other, and writes down what goes with all of
// them.
func (b *batch) run(some []*writing) error {
	for _, one := range some {
		one.err = b.one(one)
		if b.failed != nil { // what the caller made of it does not matter
			if len(some) > 1 && !transient(b.failed) {
				return errSolo
			}
			return b.failed
		}
		if one.err == nil {
			continue
		}
		if transient(one.err) {
			return one.err
		}
		if b.dirty || one.ctx.Err() != nil || failed(one.err) { // the servers may have ended the transaction with it
			if len(some) == 1 {
				return one.err
			}
			return errSolo
		}
	}
	if err := b.flush(b.in); err != nil {
		return b.apart(some, err)
	}
	return b.apart(some, b.finish())
}

// apart has several writes run by themselves when they cannot be brought to the
// servers: that may be for the sake of one.
func (b *batch) apart(some []*writing, err error) error {
	if err == nil || len(some) == 1 || transient(err) {
		return err
	}
	return errSolo
}

// failed reports whether the servers failed.
func failed(err error) bool {
	var f *failure
	return errors.As(err, &f)
}

func transient(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.transient
}

var errPanicked = errors.New("the write panicked")

// call runs do and catches what it panics with.
func (w *writing) call(x *tx) (err error) {
	defer func() {
		if w.panicked = recover(); w.panicked != nil {
			err = errPanicked
		}
	}()
	return w.do(x)
}

// one runs a write, and takes back what it asked for when it refuses.
func (b *batch) one(w *writing) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	records, touched, states := len(b.records), maps.Clone(b.touched), maps.Clone(b.states)
	b.own, b.dirty = len(b.pending), false
	x := &tx{batch: b, view: b.v}
	x.view.ready = b.ready
	err := w.call(x)
	x.over, x.closed = true, true
	if err != nil && !b.dirty {
		for _, p := range b.pending[b.own:] {
			delete(b.known, name(p.Type, p.ID))
		}
		b.pending, b.records, b.touched, b.states = b.pending[:b.own], b.records[:records], touched, states
	}
	return err
}

// ready brings what is kept back to the servers when it is asked about: all of
// it, or the resource named.
func (b *batch) ready(in context.Context, resource string) error {
	if b.failed != nil {
		return b.failed
	}
	if resource != "" && !b.known[resource] {
		return nil
	}
	return b.flush(in)
}

// finish writes what goes with a commit: the states, the records, the epochs, the
// classes.
func (b *batch) finish() error {
	if err := b.keepStates(); err != nil {
		return err
	}
	if len(b.records) > 0 {
		if err := b.v.db.log.insert(b.in, b.records); err != nil {
			return err
		}
		b.wrote = true
	}
	return b.touch()
}

// touch writes down in which commit the facts under the keys changed.
func (b *batch) touch() error {
	var models []driver.WriteModel
	for key := range b.touched {
		models = append(models, driver.NewUpdateOneModel().SetFilter(is("_id", key)).
			SetUpdate(is("$set", is("at", b.commit))).SetUpsert(true))
	}
	if len(b.v.made) > 0 {
		models = append(models, driver.NewUpdateOneModel().SetFilter(is("_id", lockKey)).SetUpdate(is("$set", is("cls", b.commit))))
	}
	if len(models) == 0 {
		return nil
	}
	b.wrote = true
	_, err := b.v.db.collection(collEpochs).BulkWrite(b.in, models, options.BulkWrite().SetOrdered(false))
	return clean(err)
}

// fails keeps the first failure.
func (b *batch) fails(err error) error {
	if err != nil && b.failed == nil {
		b.failed = err
	}
	return err
}

// tx is one write of a batch.
type tx struct {
	view
	*batch
	over bool
}

var _ store.Tx = (*tx)(nil)

// Touch changes the epoch of the keys when the write commits.
func (x *tx) Touch(keys ...string) {
	if x.over {
		return
	}
	for _, k := range keys {
		if k != lockKey {
			x.touched[k] = true
		}
	}
}

// Record appends audit records that are durable together with the write.
func (x *tx) Record(records ...[]byte) {
	if x.over {
		return
	}
	for _, r := range records {
		x.records = append(x.records, append([]byte(nil), r...))
	}
}
