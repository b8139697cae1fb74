package embedded

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir"
)

// The row of an event says whose it is and where in the log its record is. All
// else is made from the record. Both editions are the same row.

var errEventRow = errors.New("malformed rows of events")

// placed says where a record is: its number, and that of its round.
type placed struct{ record, round uint64 }

// row adds the row of an event to those of its patient.
func (r *shelfRows) row(n number, one *shelved) {
	r.key = appendNumber(append(r.key[:0], spaceEvent), n.ordinal().first())
	b, begun := r.at(n)
	if begun {
		b.step(n)
	} else {
		b.more = appendText(b.more, one.patient)
	}
	b.more = binary.AppendUvarint(b.more, one.at.record-b.record)
	b.more = binary.AppendUvarint(b.more, one.at.record-one.at.round)
	b.record = one.at.record
}

// eventRows streams the rows of events.
type eventRows struct {
	blocks
	edition consent.Edition
	// hot is the number of the first record that was not put away: the rows of those
	// before are as good as deleted.
	hot uint64
	// Of the block last read.
	patient string
	places  []placed
}

func newEventRows(v *view, e consent.Edition) (*eventRows, error) {
	b, err := newBlocks(v.src, []byte{spaceEvent})
	if err != nil {
		return nil, err
	}
	r := &eventRows{blocks: *b, edition: e, hot: v.db.cold.Load().record}
	r.blocks.cut = r.cutRows
	return r, nil
}

// cutRows takes a block of rows apart.
func (r *eventRows) cutRows(value []byte) (steps []byte, err error) {
	in := reader{b: value}
	steps = in.bytes()
	if patient := in.bytes(); string(patient) != r.patient {
		r.patient = string(patient)
	}
	r.places = r.places[:0]
	record := uint64(0)
	for len(in.b) > 0 {
		record += in.uvarint()
		back := in.uvarint()
		if in.err != nil || back > record {
			return nil, errEventRow
		}
		r.places = append(r.places, placed{record, record - back})
	}
	return steps, in.err
}

func (r *eventRows) cut(h *header, _ fhir.ResourceType, _ names) ([]byte, error) {
	return nil, r.head(h)
}

// head is the header of the row last found. Id and time stand in the record.
func (r *eventRows) head(h *header) error {
	if r.err != nil || r.at >= len(r.now) || len(r.now) != len(r.places) {
		return errors.Join(r.err, errEventRow)
	}
	*h = header{
		row:      consent.Row{Type: typeAuditEvent, Home: consent.HomeQuarantine, Patients: h.row.Patients[:0]},
		ordinals: h.ordinals[:0], version: "1", count: 1, event: r.places[r.at],
	}
	h.deleted = h.event.record < r.hot
	if r.edition == consent.EditionBasic {
		h.version = "b1"
	}
	if r.patient != "" {
		h.row.Home = consent.HomePatients
		h.row.Patients = append(h.row.Patients, r.patient)
		h.ordinals = append(h.ordinals, r.now[r.at].ordinal())
	}
	return nil
}

// headAt reads the header of the row with a number.
func (r *eventRows) headAt(h *header, n number) error {
	if at, ok := r.seek(n); !ok || at != n {
		return errors.Join(r.err, r.it.Error(), pebble.ErrNotFound)
	}
	return r.head(h)
}

// event is the place of an event, of which there is no more than the row.
func (v *view) event(e consent.Edition, t typeNumber, n number) (place, error) {
	rows, err := newEventRows(v, e)
	if err != nil {
		return place{}, err
	}
	p := place{t: t, n: n, edition: e, closer: noCloser{}}
	if err = rows.headAt(&p.head, n); err == nil && p.head.deleted {
		err = pebble.ErrNotFound // put away, and not deleted by anybody
	}
	return p, errors.Join(err, rows.close())
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
		err := eachLeap(it, len(id)-idBucket, func(n number, rest []byte) {
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

// eachLeap goes over a block in which size bytes stand behind each number.
func eachLeap(it *pebble.Iterator, size int, each func(n number, rest []byte)) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	n := lastNumber(it.Key())
	for len(value) > 0 {
		leap, w := binary.Varint(value)
		if w <= 0 || len(value) < w+size {
			return errEventRow
		}
		n = number(int64(n) + leap) //nolint:gosec // what wrapped wraps back
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
