package mongo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent/audit"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/events"
)

// auditLog appends audit records. Callers put theirs on the round that is being
// filled and wait; a round is one insertion that a majority has on disk. rounds of
// them are under way at a time, so that who comes just after one has left waits
// for no more than his own.
type auditLog struct {
	db *DB

	mu      sync.Mutex
	filling *round
	shut    bool
	wake    chan struct{}
	written atomic.Uint64

	makers sync.Pool // of *events.Maker
}

// round is what one insertion makes durable.
type round struct {
	records [][]byte
	err     error
	done    chan struct{}
}

func newRound() *round { return &round{done: make(chan struct{})} }

// rounds is how many insertions are under way at a time.
const rounds = 2

// mostRecords is how many records one insertion takes.
const mostRecords = 1000

func (l *auditLog) open(db *DB) {
	l.db, l.filling, l.wake = db, newRound(), make(chan struct{}, 1)
}

// Record appends records and returns when a majority of the servers has them on
// disk. Once queued they are waited for whatever becomes of ctx.
func (db *DB) Record(ctx context.Context, records ...[]byte) (store.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return store.Receipt{}, err
	}
	if err := db.life.Enter(); err != nil {
		return store.Receipt{}, err
	}
	defer db.life.Leave()
	if len(records) == 0 {
		return store.Receipt{}, nil
	}
	l := &db.log
	l.mu.Lock()
	r := l.filling
	r.records = append(r.records, records...)
	l.mu.Unlock()
	l.signal()
	<-r.done
	if r.err != nil {
		return store.Receipt{}, r.err
	}
	return store.NewReceipt(l.written.Add(uint64(len(records)))), nil
}

func (l *auditLog) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes round after round until the log is shut and nothing waits.
func (l *auditLog) run() {
	for range l.wake {
		for {
			l.mu.Lock()
			r := l.filling
			if len(r.records) == 0 {
				shut := l.shut
				l.mu.Unlock()
				if shut {
					l.signal() // the others end, too
					return
				}
				break
			}
			l.filling = newRound()
			l.mu.Unlock()
			r.err = l.write(r.records)
			close(r.done)
		}
	}
}

// close ends run. No Record is under way any more.
func (l *auditLog) close() {
	l.mu.Lock()
	l.shut = true
	l.mu.Unlock()
	l.signal()
}

func (l *auditLog) write(records [][]byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.db.opt.Timeout) //nolint:forbidigo // it serves many requests
	defer cancel()
	for len(records) > 0 {
		n := min(len(records), mostRecords)
		if err := l.insert(ctx, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// insert writes the events of records. The driver sends an insertion again when
// the connection is lost, and the servers carry it out once.
func (l *auditLog) insert(ctx context.Context, records [][]byte) error {
	docs := make([]any, len(records))
	for i, r := range records {
		d, err := l.document(r)
		if err != nil {
			return err
		}
		docs[i] = d
	}
	ordered := driver.SessionFromContext(ctx) != nil // a transaction ends with the first error
	_, err := l.db.collection(collEvents).InsertMany(ctx, docs, options.InsertMany().SetOrdered(ordered))
	return clean(err)
}

// eventDocument is one event.
type eventDocument struct {
	// ID is the event's, with eight bytes drawn behind it.
	ID []byte `bson:"_id"`
	// N is when it was, as entries have it, with the id behind.
	N []byte `bson:"n"`
	P string `bson:"p"`
	// S spreads the events: the stretch of the patient, or one drawn.
	S       []byte   `bson:"s"`
	Entries []string `bson:"x,omitempty"`
	Record  []byte   `bson:"r"`
	// Leaf is which leaf of the tree it is, once it has become one.
	Leaf *int64 `bson:"l,omitempty"`
}

// document makes the event of a record. One that cannot be read is kept as it
// is, found by nobody, and reported.
func (l *auditLog) document(record []byte) (*eventDocument, error) {
	d := &eventDocument{ID: make([]byte, eventPosition), Record: record}
	if _, err := rand.Read(d.ID); err != nil {
		return nil, err
	}
	ev, err := audit.Decode(record)
	if err != nil {
		l.db.opt.Logger.Error("audit record not readable")
		d.N, d.S = append(make([]byte, 8), d.ID[:16]...), d.ID[16:]
		return d, nil
	}
	d.S = bytes.Clone(d.ID[16:])
	copy(d.ID, ev.ID[:])
	if d.P = ev.Patient; d.P != "" {
		d.S = l.db.spreadOf(d.P)
	}
	d.N = eventPlace(&ev)
	if l.db.events == nil {
		return d, nil
	}
	m, ok := l.makers.Get().(*events.Maker)
	if !ok {
		m = l.db.events.NewMaker()
	}
	defer l.makers.Put(m)
	var e search.Entries
	if err := m.Postings(&e, &ev); err != nil {
		l.db.opt.Logger.Error("audit record not indexed", slog.Int("kind", int(ev.Kind)))
		return d, nil
	}
	e.Sort()
	for i := range e.Len() {
		if p, v := e.At(i); !m.Chronological(p) {
			d.Entries = append(d.Entries, entry(p, v))
		}
	}
	return d, nil
}

// spreadOf is where the events of a patient lie.
func (db *DB) spreadOf(patient string) []byte {
	return binary.BigEndian.AppendUint64(nil, db.stretchOf(patient))
}

// eventPlace is the position of an event: the order of events is that of time.
func eventPlace(ev *audit.Event) []byte {
	var e search.Entries
	search.AppendInstant(&e, 0, ev.Recorded)
	_, v := e.At(0)
	return append(bytes.Clone(v[1:9]), ev.ID[:]...)
}

// Settle does nothing: an event can be found as soon as it is written.
func (db *DB) Settle(ctx context.Context) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	return ctx.Err()
}
