package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

const (
	typeAuditEvent fhir.ResourceType = "AuditEvent"

	// chunk is how many records are shelved in one write.
	chunk = 256
	// pause is how long the shelf waits between chunks while requests are under
	// way, and between looks at an empty log.
	pause = 50 * time.Millisecond
)

// shelf makes the records of the log findable as AuditEvents: it gives each a
// row among its patient's and posts its entries. What is stored of the resource
// itself stays the record in the log, which is rendered when it is read. Its
// place in the log is written with the rows, so that a record is shelved once
// whatever happens.
type shelf struct {
	db *DB
	mu sync.Mutex // one chunk at a time
	at atomic.Uint64
}

func (s *shelf) open(db *DB) error {
	s.db = db
	v, closer, err := db.eng.Get([]byte(metaAudited))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if len(v) != 8 {
		return fmt.Errorf("%w: audit position", errSchema)
	}
	s.at.Store(binary.BigEndian.Uint64(v))
	return nil
}

// run shelves what comes, at full speed while nothing else is under way and a
// chunk at a time otherwise.
func (s *shelf) run(ctx context.Context) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for s.at.Load() < s.db.log.settled() && ctx.Err() == nil {
			if err := s.shelve(ctx, s.db.log.settled()); err != nil {
				s.complain(ctx)
				break
			}
			if !s.db.life.quiet() {
				break
			}
		}
	}
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
	if err := db.life.enter(); err != nil {
		return err
	}
	defer db.life.leave()
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
	to := min(target, from+chunk)
	if s.db.opt.Indexer == nil {
		s.at.Store(to)
		return nil
	}
	events, err := s.read(from+1, to)
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
	record      uint64
	id, patient string
	recorded    time.Time
	full, basic []byte // encoded entries
}

// read makes the records of a stretch of the log ready. One that cannot be read
// is reported and passed by: it stays in the log.
func (s *shelf) read(from, to uint64) ([]shelved, error) {
	it, err := s.db.eng.NewIter(&pebble.IterOptions{LowerBound: keyAudit(nil, from), UpperBound: keyAudit(nil, to+1)})
	if err != nil {
		return nil, err
	}
	var all []shelved
	var r renderer
	for ok := it.First(); ok; ok = it.Next() {
		record := binary.BigEndian.Uint64(it.Key()[1:])
		one, err := r.prepare(s.db.opt.Indexer, record, it.Value())
		if err != nil {
			s.db.figures.unreadable.Add(1)
			s.db.opt.Logger.Error("audit record not readable", slog.Uint64("record", record))
			continue
		}
		all = append(all, one)
	}
	return all, errors.Join(it.Error(), it.Close())
}

// renderer holds what rendering one event after the other uses again.
type renderer struct {
	tape    fhir.Tape
	entries search.Entries
	json    []byte
}

func (r *renderer) prepare(x *search.Indexer, record uint64, raw []byte) (shelved, error) {
	ev, err := audit.Decode(bytes.Clone(raw))
	if err != nil {
		return shelved{}, err
	}
	one := shelved{record: record, id: formatUUID(ev.ID), patient: ev.Patient, recorded: ev.Recorded.UTC().Truncate(time.Millisecond)}
	if one.full, err = r.index(x, &ev, &one, consent.EditionFull); err != nil {
		return shelved{}, err
	}
	one.basic, err = r.index(x, &ev, &one, consent.EditionBasic)
	return one, err
}

func (r *renderer) index(x *search.Indexer, ev *audit.Event, one *shelved, e consent.Edition) ([]byte, error) {
	r.json = ev.AppendJSON(r.json[:0], one.id, e)
	if err := r.tape.Parse(r.json, fhir.Limits{}); err != nil {
		return nil, err
	}
	r.entries.Reset()
	if err := x.Index(&r.entries, &r.tape); err != nil {
		return nil, err
	}
	search.AppendCommon(&r.entries, one.id, one.recorded)
	r.entries.Sort()
	return r.entries.AppendBinary(nil), nil
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
	for i := range events {
		if err := x.shelve(&events[i]); err != nil {
			_ = x.batch.Close() // nothing of it is kept
			return err
		}
	}
	if err := x.batch.Set([]byte(metaAudited), binary.BigEndian.AppendUint64(nil, to), nil); err != nil {
		return err
	}
	if err := x.batch.Set([]byte(metaCounters), x.counters.append(nil), nil); err != nil {
		return err
	}
	if err := x.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	s.db.counters = x.counters
	s.db.addTypes(x.types)
	return x.batch.Close()
}

// shelve writes the rows of one event. An id that is taken is left alone: the
// log is append-only, and so is what is made of it.
func (x *tx) shelve(one *shelved) error {
	row := consent.Row{Type: typeAuditEvent, Home: consent.HomeQuarantine}
	if one.patient != "" {
		row.Home, row.Patients = consent.HomePatients, []string{one.patient}
	}
	c, err := x.begin(row, one.id)
	if err != nil || c.existed {
		return err
	}
	if err := x.set(keyID(nil, c.t, one.id), appendNumber(nil, c.to)); err != nil {
		return err
	}
	h := c.head
	h.record, h.updated, h.count = one.record, one.recorded, 1
	h.version = "1"
	if err := x.replace(&c, consent.EditionFull, &was{}, &h, one.full, []byte{}); err != nil {
		return err
	}
	h.version = "b1"
	return x.replace(&c, consent.EditionBasic, &was{}, &h, one.basic, []byte{})
}

// renderRecord makes the AuditEvent of a record.
func (v *view) renderRecord(record uint64, id string, e consent.Edition) ([]byte, error) {
	var out []byte
	err := readRecord(v.src.Get, record, func(raw []byte) error {
		ev, err := audit.Decode(raw)
		if err != nil {
			return err
		}
		out = ev.AppendJSON(nil, id, e)
		return nil
	})
	return out, err
}
