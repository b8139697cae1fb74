package embedded

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store/events"
)

const (
	typeAuditEvent fhir.ResourceType = "AuditEvent"

	// chunk is about how many records are shelved in one write. It holds the
	// writer's turn for a few milliseconds.
	chunk = 1024
	// pause is how long the shelf waits between its turns while requests are
	// under way, and between looks at an empty log.
	pause = 50 * time.Millisecond
	// leastShare is the share of its time that the shelf works while requests
	// are under way. It grows with what waits, and is all of it at mostBacklog:
	// who asks for AuditEvents waits until the rest is shelved, and that must
	// stay well below a second.
	leastShare  = 0.1
	mostBacklog = 1 << 15
)

// shelf makes the records of the log findable as AuditEvents: it puts each among
// its patient's and posts its entries. What is stored of the resource
// itself stays the record in the log, which is rendered when it is read. Its
// place in the log is written with the rows, so that a record is shelved once
// whatever happens.
type shelf struct {
	db *DB
	mu sync.Mutex // one chunk at a time
	at atomic.Uint64
	// order is how far the rows are from the order of time.
	order disorder
	// Working memory of the one at work.
	postings *events.Maker
	entries  search.Entries
	encoded  []byte // of the events of a chunk
	round    unpacked
	rows     shelfRows
}

func (s *shelf) open(db *DB) error {
	s.db = db
	if db.events != nil {
		s.postings = db.events.NewMaker()
	}
	v, closer, err := db.eng.Get([]byte(metaAudited))
	if errors.Is(err, pebble.ErrNotFound) {
		return s.order.open(db.eng, false)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if len(v) != 8 {
		return fmt.Errorf("%w: audit position", errSchema)
	}
	at := binary.BigEndian.Uint64(v)
	s.at.Store(at)
	db.log.next = max(db.log.next, at+1) // what was passed by is not looked at again
	return s.order.open(db.eng, true)
}

// run shelves what comes, at full speed while nothing else is under way, and for
// its share of the time otherwise.
func (s *shelf) run(ctx context.Context) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case began := <-tick.C:
			if err := errors.Join(s.work(ctx, began), s.db.sharing.age(began), s.db.sharing.rest()); err != nil {
				s.complain(ctx)
			}
		}
	}
}

// work is one turn of the shelf.
func (s *shelf) work(ctx context.Context, began time.Time) error {
	for ctx.Err() == nil {
		at, settled := s.at.Load(), s.db.log.settled()
		if at >= settled {
			return nil
		}
		if err := s.shelve(ctx, settled); err != nil {
			if errors.Is(err, errNoRoom) { // that is said elsewhere, and once
				return nil
			}
			return err
		}
		share := max(leastShare, float64(settled-at)/mostBacklog)
		if time.Since(began) > time.Duration(share*float64(pause)) && !s.db.life.Quiet() {
			return nil
		}
	}
	return nil
}

// complain says no more than that: the engine's words may hold keys, and keys
// hold ids.
func (s *shelf) complain(ctx context.Context) {
	if ctx.Err() == nil {
		s.db.opt.Logger.ErrorContext(ctx, "audit records not shelved")
	}
}

// Settle shelves every record that was acknowledged before the call.
func (db *DB) Settle(ctx context.Context) error {
	if err := db.life.Enter(); err != nil {
		return err
	}
	defer db.life.Leave()
	for target := db.log.settle(); db.shelf.at.Load() < target; {
		if err := db.shelf.shelve(ctx, target); err != nil {
			return err
		}
	}
	return nil
}

// shelve takes the next chunk, up to target.
func (s *shelf) shelve(ctx context.Context, target uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.at.Load()
	if from >= target {
		return nil
	}
	if s.postings == nil {
		s.at.Store(target)
		return nil
	}
	events, to, err := s.read(from+1, target)
	if err != nil {
		return err
	}
	if err := s.write(ctx, events, to); err != nil {
		return err
	}
	s.at.Store(to)
	s.db.figures.shelved.Add(uint64(len(events)))
	return nil
}

// shelved is an event made ready outside the writer's turn.
type shelved struct {
	record   uint64
	id       [16]byte
	patient  string
	recorded time.Time
	postings search.Encoded // of the full edition; the basic one has none
}

// read makes records ready, from one on: a chunk of them in whole rounds, or all
// there are up to target. to is the last of them. One that cannot be read is
// reported and passed by: it stays in the log.
func (s *shelf) read(from, target uint64) (all []shelved, to uint64, err error) {
	it, err := s.db.eng.NewIter(&pebble.IterOptions{LowerBound: keyAudit(nil, 0), UpperBound: keyAudit(nil, target+1)})
	if err != nil {
		return nil, 0, err
	}
	to, s.encoded = target, s.encoded[:0]
	all = make([]shelved, 0, min(target-from+1, chunk+roundMost))
	live := it.SeekLT(keyAudit(nil, from+1)) // the round that holds it begins there or before
	if !live {
		live = it.First()
	}
	for ; live; live = it.Next() {
		if len(all) >= chunk {
			to = min(target, s.round.last())
			break
		}
		value, err := it.ValueAndErr()
		if err == nil {
			err = s.round.read(binary.BigEndian.Uint64(it.Key()[1:]), value)
		}
		if err != nil {
			return nil, 0, errors.Join(err, it.Close())
		}
		all = s.readRound(all, from, target)
	}
	return all, to, errors.Join(it.Error(), it.Close())
}

// readRound makes the records of a round ready that lie within bounds.
func (s *shelf) readRound(all []shelved, from, target uint64) []shelved {
	for record := max(from, s.round.first); record <= min(target, s.round.last()); record++ {
		raw, ok := s.round.record(record)
		if !ok {
			break
		}
		one, err := s.prepare(record, raw)
		if err != nil {
			s.db.figures.unreadable.Add(1)
			s.db.opt.Logger.Error("audit record not readable", slog.Uint64("record", record))
			continue
		}
		all = append(all, one)
	}
	return all
}

// prepare reads a record and makes its postings.
func (s *shelf) prepare(record uint64, raw []byte) (shelved, error) {
	ev, err := audit.Decode(raw)
	if err != nil {
		return shelved{}, err
	}
	one := shelved{record: record, id: ev.ID, patient: ev.Patient, recorded: ev.Recorded}
	s.entries.Reset()
	if err := s.postings.Postings(&s.entries, &ev); err != nil {
		return shelved{}, err
	}
	start := len(s.encoded)
	s.encoded = s.entries.AppendBinary(s.encoded)
	one.postings = s.encoded[start:]
	return one, nil
}

// formatUUID writes a UUID as RFC 9562 §4 does.
func formatUUID(id [16]byte) string {
	var b [36]byte
	hex.Encode(b[:8], id[:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:], id[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// write takes the writer's turn for the rows of a chunk. It need not be durable
// by itself: what is lost with the machine is shelved again.
func (s *shelf) write(ctx context.Context, events []shelved, to uint64) error {
	if err := s.db.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-s.db.turn }()
	x := newTx(s.db)
	defer x.end()
	s.rows.reset()
	err := s.rows.fill(s.db.events, x, events)
	if err == nil {
		err = s.rows.set(x.batch)
	}
	if err == nil {
		err = x.batch.Set([]byte(metaAudited), binary.BigEndian.AppendUint64(nil, to), nil)
	}
	if err == nil {
		err = x.batch.Set([]byte(metaDisorder), s.order.add(events), nil)
	}
	if err == nil {
		err = x.batch.Set([]byte(metaCounters), x.counters.append(nil), nil)
	}
	if err == nil {
		err = s.db.room(x)
	}
	if err != nil {
		_ = x.batch.Close() // nothing of it is kept
		return err
	}
	if err := x.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	s.db.counters = x.counters
	s.db.addTypes(x.types)
	return x.batch.Close()
}

// fill makes the keys of the events, the newest first. Ids are drawn by the server
// and not looked up.
func (r *shelfRows) fill(i *events.Index, x *tx, events []shelved) error {
	t, err := x.typeFor(typeAuditEvent)
	if err != nil {
		return err
	}
	known := map[string]ordinal{"": ordinalQuarantine}
	for k := range slices.Backward(events) {
		one := &events[k]
		o, ok := known[one.patient]
		if !ok {
			if o, err = x.ordinalFor(one.patient); err != nil {
				return err
			}
			known[one.patient] = o
		}
		if one.record > sequenceMax {
			return errFull
		}
		r.add(i, t, one, o)
	}
	return nil
}
