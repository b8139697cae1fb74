package embedded

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/events"
)

// The row of an event is its record in the log. Its number says which, and the later
// a record the smaller that is: the order of numbers begins with the newest. Both
// editions are the same row.

var errEventRow = errors.New("malformed rows of events")

// eventNumber is the number of the row of a record. Whose it is says the record, and
// not the number.
func eventNumber(record uint64) number { return makeNumber(ordinalShared, sequenceMax-record) }

func recordOf(n number) uint64 { return sequenceMax - n.sequence() }

// eventRows streams the rows of events.
type eventRows struct {
	view    *view
	it      *pebble.Iterator // over the log
	edition consent.Edition
	// own are the events of the universe's patients; nil where there are no others.
	own stream
	// There are rows of the records from hot on, which were not put away, to last,
	// which has been shelved.
	hot, last uint64

	// The row last found.
	found   bool
	n       number
	record  []byte
	event   audit.Event
	maker   *events.Maker // of entries, once they are asked for
	encoded search.Encoded
	err     error
}

// eventsOf are the rows of the events that a universe may have in an edition.
func (v *view) eventsOf(ctx context.Context, u *consent.Universe, e consent.Edition) (*eventRows, error) {
	r, err := v.eventRows(e)
	if err != nil || u.IsEverything() {
		return r, err
	}
	if r.own, err = v.ownEvents(ctx, u, e); err != nil {
		return nil, errors.Join(err, r.it.Close())
	}
	return r, nil
}

// eventRows are the rows of all events.
func (v *view) eventRows(e consent.Edition) (*eventRows, error) {
	if v.cold == nil {
		v.cold = v.db.cold.Load() // what is put away later is there as long as the view is
	}
	r := &eventRows{view: v, edition: e, hot: v.cold.record}
	value, closer, err := v.src.Get([]byte(metaAudited))
	switch {
	case errors.Is(err, pebble.ErrNotFound): // nothing was shelved
	case err != nil:
		return nil, err
	default:
		if len(value) == 8 {
			r.last = binary.BigEndian.Uint64(value)
		} else {
			err = errEventRow
		}
		if err = errors.Join(err, closer.Close()); err != nil {
			return nil, err
		}
	}
	r.it, err = v.src.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceAuditLog}, UpperBound: []byte{spaceAuditLog + 1}})
	return r, err
}

// ownEvents streams the events of the patients of a universe, of whom those who have
// none, or none that exists in the edition, cost nothing.
func (v *view) ownEvents(ctx context.Context, u *consent.Universe, e consent.Edition) (stream, error) {
	if _, own := u.Contributor(); own || !u.Keeps(typeAuditEvent, consent.HomePatients) {
		return nothing{}, nil
	}
	own, err := v.ownersOf(ctx, u, typeAuditEvent, e)
	if err != nil {
		return nil, err
	}
	it, err := v.src.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceEvent}, UpperBound: []byte{spaceEvent + 1}})
	if err != nil {
		return nil, errors.Join(err, own.patient.close())
	}
	var all union
	for o, ok := own.next(ordinalFirst); ok && err == nil && it.SeekGE(prefixEvents(nil, o)); o, ok = own.next(o) {
		if has := ordinalOfKey(it.Key()); has > o {
			o = has
			continue
		}
		all, err = v.addEvents(ctx, all, u, e, o)
		o++
	}
	if err = errors.Join(err, it.Error(), it.Close(), own.patient.close()); err != nil {
		return nil, errors.Join(err, all.close())
	}
	return all, nil
}

// addEvents adds the events of a patient.
func (v *view) addEvents(ctx context.Context, all union, u *consent.Universe, e consent.Edition, o ordinal) (union, error) {
	patient, err := v.patientOf(o)
	if err != nil {
		return all, err
	}
	if d, err := u.Decide(ctx, patient); err != nil || d.Excludes(typeAuditEvent, e) {
		return all, err
	}
	one, err := newBlocks(v.src, prefixEvents(nil, o))
	if err != nil {
		return all, err
	}
	return append(all, one), nil
}

// prefixEvents starts the events of a patient; the number follows.
func prefixEvents(dst []byte, o ordinal) []byte {
	return binary.BigEndian.AppendUint32(append(dst, spaceEvent), uint32(o))
}

func ordinalOfKey(key []byte) ordinal { return ordinal(binary.BigEndian.Uint32(key[1:])) }

func (r *eventRows) seek(n number) (number, bool) {
	if r.found && n == r.n {
		return n, true
	}
	for r.found = false; r.err == nil; n++ {
		if r.own != nil {
			var ok bool
			if n, ok = r.own.seek(n); !ok {
				break
			}
		}
		if n > eventNumber(r.hot) {
			break
		}
		record, ok := r.read(min(recordOf(n), r.last))
		if !ok {
			break
		}
		at := eventNumber(record)
		if r.found = r.own == nil || at == n; r.found {
			r.n = at
			return at, true
		}
	}
	return 0, false
}

// read reads the last record up to one. What nobody can read is passed by: the shelf
// has said so.
func (r *eventRows) read(record uint64) (uint64, bool) {
	round := &r.view.round
	for ; record >= max(r.hot, 1); record-- {
		if !round.has(record) && !r.turn(record) {
			return 0, false
		}
		record = min(record, round.last())
		raw, _ := round.record(record)
		var err error
		if r.event, err = audit.Decode(raw); err == nil {
			r.record = append(r.record[:0], raw...)
			return record, record >= r.hot
		}
	}
	return 0, false
}

// turn reads the last round that begins with a record or before it.
func (r *eventRows) turn(record uint64) bool {
	first := func() uint64 { return binary.BigEndian.Uint64(r.it.Key()[1:]) }
	if near := r.it.Valid() && first() > record && r.it.Prev(); !near || first() > record {
		if !r.it.SeekLT(keyAudit(nil, record+1)) {
			r.err = r.it.Error()
			return false
		}
	}
	value, err := r.it.ValueAndErr()
	if err == nil {
		err = r.view.round.read(first(), value)
	}
	r.err = err
	return err == nil
}

func (r *eventRows) cut(h *header, _ fhir.ResourceType, _ names) ([]byte, error) {
	if !r.found {
		return nil, errors.Join(r.err, errEventRow)
	}
	headOf(h, &r.event, r.edition)
	return nil, nil
}

// headOf is the header of an event, but for its id and its time.
func headOf(h *header, ev *audit.Event, e consent.Edition) {
	*h = header{
		row:      consent.Row{Type: typeAuditEvent, Home: consent.HomeQuarantine, Patients: h.row.Patients[:0]},
		ordinals: h.ordinals[:0], version: "1", count: 1, event: true,
	}
	if e == consent.EditionBasic {
		h.version = "b1"
	}
	if ev.Patient != "" {
		h.row.Home = consent.HomePatients
		h.row.Patients = append(h.row.Patients, ev.Patient)
	}
}

// entries are all entries of the row last found, valid until the next call, and its
// id and time.
func (r *eventRows) entries(h *header) (search.Encoded, error) {
	if r.maker == nil {
		if r.view.db.events == nil {
			return nil, errNoEvents
		}
		r.maker = r.view.db.events.NewMaker()
	}
	h.id, h.updated = formatUUID(r.event.ID), r.event.Recorded
	var err error
	r.encoded, err = r.maker.Entries(r.encoded, &r.event, h.id, r.edition)
	return r.encoded, err
}

// at goes to the row with a number; store.ErrNotFound when there is none.
func (r *eventRows) at(n number) error {
	if at, ok := r.seek(n); !ok || at != n {
		return cmp.Or(r.err, r.it.Error(), store.ErrNotFound)
	}
	return nil
}

func (r *eventRows) close() error {
	err := errors.Join(r.err, r.it.Error(), r.it.Close())
	if r.own != nil {
		err = errors.Join(err, r.own.close())
	}
	return err
}

// event is the place of an event, of which there is no more than the record.
func (v *view) event(e consent.Edition, t typeNumber, n number) (place, error) {
	rows, err := v.eventRows(e)
	if err != nil {
		return place{}, err
	}
	p := place{t: t, n: n, edition: e, closer: noCloser{}}
	if err = rows.at(n); err == nil {
		headOf(&p.head, &rows.event, e)
		p.body = rows.record
	}
	return p, cmp.Or(err, rows.close())
}

// foundEvent makes the AuditEvent of a record, which it keeps.
func foundEvent(record []byte, e consent.Edition) (store.Found, error) {
	ev, err := audit.Decode(record)
	if err != nil {
		return store.Found{}, err
	}
	var h header
	headOf(&h, &ev, e)
	h.id, h.updated = formatUUID(ev.ID), ev.Recorded
	return store.Found{Resource: h.resource(ev.AppendJSON(nil, h.id, e)), Row: h.row, Edition: e, Record: record}, nil
}

// idBucket is how much of an id the key has. The ids of events begin with their
// time in milliseconds (RFC 9562 §5.7), so that is 256 of them; what comes from
// elsewhere is found as well.
const idBucket = 5

func prefixEventID(dst []byte, id [16]byte) []byte {
	return append(append(dst, spaceEventID), id[:idBucket]...)
}

// numberOf is the number of the row with an id.
func (v *view) numberOf(t fhir.ResourceType, tn typeNumber, id string) (number, bool, error) {
	if t != typeAuditEvent {
		return readNumber(v.src, tn, id)
	}
	uuid, ok := parseUUID(id)
	if !ok {
		return 0, false, nil
	}
	return findEvent(v.src, uuid)
}

// findEvent looks through the blocks that may have an id.
func findEvent(src source, id [16]byte) (found number, ok bool, err error) {
	prefix := prefixEventID(nil, id)
	it, err := src.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, false, err
	}
	for live := it.First(); live; live = it.Next() {
		err := eachBeside(it, len(id)-idBucket, func(n number, rest []byte) {
			if bytes.Equal(rest, id[idBucket:]) {
				found, ok = n, true
			}
		})
		if err != nil {
			return 0, false, errors.Join(err, it.Close())
		}
	}
	return found, ok, errors.Join(it.Error(), it.Close())
}

// eachBeside goes over a block in which size bytes stand behind each number.
func eachBeside(it *pebble.Iterator, size int, each func(n number, rest []byte)) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	n := lastNumber(it.Key())
	for len(value) > 0 {
		step, w := binary.Uvarint(value)
		if w <= 0 || len(value) < w+size {
			return errEventRow
		}
		n += number(step)
		each(n, value[w:w+size])
		value = value[w+size:]
	}
	return nil
}

// parseUUID reads what formatUUID writes, and nothing else.
func parseUUID(s string) (id [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return id, false
	}
	return id, formatUUID(id) == s
}

// momentBits are those of a millisecond that the key has not.
const momentBits = 6

// momentOf is where a time is kept: a stretch of 64 milliseconds, numbered in
// their order, and which of them it is.
func momentOf(at time.Time) (span uint64, within byte) {
	ms := uint64(at.UnixMilli()) ^ 1<<63 //nolint:gosec // in the order of times
	return ms >> momentBits, byte(ms & (1<<momentBits - 1))
}

// momentAt is the time, in milliseconds.
func momentAt(span uint64, within byte) int64 {
	return int64((span<<momentBits | uint64(within)) ^ 1<<63) //nolint:gosec // the way back
}

func prefixMoments(dst []byte, span uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, spaceMoment), span)
}
