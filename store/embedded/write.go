package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"maps"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/fhir"
	"vitrine/store"
)

// Write runs do as the one writer. The engine makes the batch visible and
// queues it for the log before the next writer may start; the wait for the disk
// comes after, so writers in a row share it. Who writes nothing, because do
// refuses or there was nothing to do, waits as well, for those before: what it
// saw must be there after a crash, too.
func (db *DB) Write(ctx context.Context, do func(store.Tx) error) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	batch, durable, err := db.apply(ctx, do)
	if batch == nil {
		if durable != nil {
			<-durable
		}
		return err
	}
	err = synced(batch, engineLog{db.opt.Logger})
	close(durable)
	db.figures.writes.Add(1)
	return err
}

// apply runs do and makes its batch visible. durable is to be closed when the
// batch is on the disk, and then all before it is, too: the log is written in
// order. The batch is nil when there was nothing to write, and durable then that of
// the write before.
func (db *DB) apply(ctx context.Context, do func(store.Tx) error) (batch *pebble.Batch, durable chan struct{}, err error) {
	if err := db.takeTurn(ctx); err != nil {
		return nil, nil, err
	}
	defer func() { <-db.turn }()
	x := newTx(db)
	defer x.end()
	if err = do(x); err == nil {
		err = x.failed
	}
	if err == nil {
		err = db.room(x)
	}
	if err != nil {
		_ = x.batch.Close() // nothing of it is kept
		return nil, db.last, err
	}
	if batch, err = x.commit(); err != nil || batch == nil {
		return nil, db.last, err
	}
	db.last = make(chan struct{})
	return batch, db.last, nil
}

// room reports whether there is room for a write.
func (db *DB) room(x *tx) error {
	size := x.batch.Len()
	for _, r := range x.records {
		size += len(r)
	}
	return db.reserve.room(size)
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

// tx is a write under way. What it wrote is in a plain batch, with the rows that
// are looked up by key beside it; only when it must be walked is the batch
// indexed, which most writes never need.
type tx struct {
	view
	db       *DB
	batch    *pebble.Batch
	indexed  bool
	overlay  map[string][]byte // nil: deleted
	wrote    map[typeNumber]bool
	counters counters
	types    map[fhir.ResourceType]typeNumber // met for the first time
	several  map[several]bool                 // marked for the first time
	written  []uint64                         // hashes of rows, for what is kept of them
	stated   bool                             // states were set
	touched  []string
	records  [][]byte
	scratch  scratch
	failed   error // a write that was half done: nothing may be kept
	over     bool
}

var _ store.Tx = (*tx)(nil)

func newTx(db *DB) *tx {
	x := &tx{
		db: db, batch: db.eng.NewBatch(), counters: db.counters,
		overlay: map[string][]byte{}, wrote: map[typeNumber]bool{},
		scratch: scratch{key: make([]byte, 0, 512)},
	}
	x.view = view{db: db, src: x}
	return x
}

func (x *tx) end() { x.over = true }

// writes notes that the row with an id is written.
func (x *tx) writes(t typeNumber, id string) {
	x.wrote[t] = true
	x.written = append(x.written, x.db.kept.hash(t, id))
}

// Touch changes the epoch of the keys when the write commits.
func (x *tx) Touch(keys ...string) { x.touched = append(x.touched, keys...) }

// Record appends audit records that are durable together with the write.
func (x *tx) Record(records ...[]byte) {
	for _, r := range records {
		x.records = append(x.records, bytes.Clone(r))
	}
}

func (x *tx) commit() (*pebble.Batch, error) {
	if x.counters != x.db.counters {
		if err := x.batch.Set([]byte(metaCounters), x.counters.append(nil), nil); err != nil {
			return nil, err
		}
	}
	if len(x.records) > 0 {
		first := x.db.log.reserve(len(x.records))
		defer x.db.log.applied(first)
		if err := new(packer).set(x.batch, first, x.records); err != nil {
			return nil, err
		}
	}
	next := x.db.epochs.touch(x.touched)
	x.db.kept.stamp(x.written, next)
	if !x.batch.Empty() {
		if err := hand(x.db.eng, x.batch, engineLog{x.db.opt.Logger}); err != nil {
			return nil, err
		}
	}
	x.db.epochs.done(next)
	x.db.counters = x.counters
	x.db.addTypes(x.types)
	maps.Copy(x.db.several, x.several)
	if x.batch.Empty() {
		return nil, nil //nolint:nilnil // no batch means nothing was written
	}
	return x.batch, nil
}

// Get reads the newest value of a key, the write's own included.
func (x *tx) Get(key []byte) ([]byte, io.Closer, error) {
	if x.indexed {
		return x.batch.Get(key)
	}
	if v, ok := x.overlay[string(key)]; ok {
		if v == nil {
			return nil, nil, pebble.ErrNotFound
		}
		return v, noCloser{}, nil
	}
	return x.db.eng.Get(key)
}

type noCloser struct{}

func (noCloser) Close() error { return nil }

// NewIter walks the newest state, the write's own included. Where the write has
// put nothing, the engine is walked alone.
func (x *tx) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	if !x.indexed && !x.concerns(o.LowerBound) {
		return x.db.eng.NewIter(o)
	}
	if err := x.index(); err != nil {
		return nil, err
	}
	return x.batch.NewIter(o)
}

// concerns reports whether the write may have put something among the keys that
// start like lower.
func (x *tx) concerns(lower []byte) bool {
	at := 0
	switch {
	case len(lower) > 0 && lower[0] == spaceState:
		return x.stated
	case len(lower) >= 4 && lower[0] == spaceRow:
		at = 2
	case len(lower) >= 6 && lower[0] == spacePosting:
		at = 4
	default:
		return len(x.wrote) > 0
	}
	return x.wrote[typeNumber(binary.BigEndian.Uint16(lower[at:]))]
}

// index turns the plain batch into one that can be walked.
func (x *tx) index() error {
	if x.indexed {
		return nil
	}
	all := x.db.eng.NewIndexedBatch()
	if err := all.Apply(x.batch, nil); err != nil {
		return err
	}
	x.batch, x.indexed, x.overlay = all, true, nil
	return nil
}

// set writes a key that may be looked up again.
func (x *tx) set(key []byte, parts ...[]byte) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	op := x.batch.SetDeferred(len(key), size)
	copy(op.Key, key)
	at := 0
	for _, p := range parts {
		at += copy(op.Value[at:], p)
	}
	// The bytes stay readable where they are when the batch grows elsewhere.
	if !x.indexed {
		x.overlay[string(key)] = op.Value[:size:size]
	}
	return op.Finish()
}

func (x *tx) del(key []byte) error {
	if !x.indexed {
		x.overlay[string(key)] = nil
	}
	return x.batch.Delete(key, nil)
}
