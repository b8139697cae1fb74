package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"

	"vitrine/consent"
	"vitrine/fhir/search"
)

// The keyspaces. Every key starts with one of these bytes; integers are
// big-endian, so the order of keys is the order of numbers.
//
//	M name                                  schema, counters, the materialiser's position
//	K type name                             → number of the type (16 bits)
//	O patient id                            → ordinal of the patient (32 bits)
//	P ordinal                               → patient id
//	I type, resource id                     → primary number of the row
//	R edition, type, number                 → header, index entries: the row as a walk sees it
//	D edition, type, primary number         → header, JSON: the current version
//	V sequence, edition, ^version count     → header, JSON: a former version
//	X edition, parameter, type, value, number → a mark: a posting; of events, see blocks
//	C type, ^time, id, ^version count       → when a version was replaced; nothing of the current one
//	S edition, parameter, type              → nothing: some row has several ranges
//	A number of the first record            → a round of audit records
//	E patient's ordinal, number             → events of the patient, see blocks.go
//	U part of an id, number                 → ids of events
//	T part of a time, number                → times of events
//	W key                                   → end, value: a state
//	H what it is, numbers                   → the tree of the log, see tree.go
//
// R holds header and entries together and is ordered by type and then patient,
// so one sequential walk over a patient's rows of a type gives all that
// admission, residual clauses and sorting ask for.
const (
	spaceMeta     = 'M'
	spaceType     = 'K'
	spaceOrdinal  = 'O'
	spacePatient  = 'P'
	spaceID       = 'I'
	spaceRow      = 'R'
	spaceCurrent  = 'D'
	spaceVersion  = 'V'
	spacePosting  = 'X'
	spaceChange   = 'C'
	spaceSeveral  = 'S'
	spaceAuditLog = 'A'
	spaceEvent    = 'E'
	spaceEventID  = 'U'
	spaceMoment   = 'T'
	spaceState    = 'W'
	spaceTree     = 'H'
)

// The rows of the meta keyspace.
const (
	metaSchema   = "Mschema"
	metaCounters = "Mcounters"
	metaAudited  = "Maudited"
	metaTree     = "Mtree"
	metaSalt     = "Msalt"
	metaUsual    = "Musual"
	metaCold     = "Mcold"
	metaDisorder = "Mdisorder"
	metaCopying  = "Mcopying"
)

// schema names the layout above. A directory with another one is not opened. A key
// space that was added and may be empty does not change it.
const schema = "vitrine embedded 9"

// number is the row number of a resource: ordinal, then sequence.
type number uint64

// ordinal stands for a patient. The first two are nobody's.
type ordinal uint32

const (
	ordinalShared     ordinal = 0
	ordinalQuarantine ordinal = 1
	ordinalFirst      ordinal = 2
	ordinalMax        ordinal = 1<<28 - 1

	sequenceBits = 36
	sequenceMax  = 1<<sequenceBits - 1
)

var errFull = errors.New("row numbers exhausted")

func makeNumber(o ordinal, sequence uint64) number {
	return number(uint64(o)<<sequenceBits | sequence)
}

func (n number) ordinal() ordinal { return ordinal(n >> sequenceBits) } //nolint:gosec // 28 bits remain
func (n number) sequence() uint64 { return uint64(n) & sequenceMax }
func (o ordinal) first() number   { return number(uint64(o) << sequenceBits) }
func appendNumber(b []byte, n number) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

// typeNumber is the store's own number of a resource type.
type typeNumber uint16

// paramContributor is the posting of every row's contributor, by the plain id
// of the Organization; of what is shared the custodian has one too, of an empty id.
// It is the store's own and never met in a query.
const paramContributor search.Param = 0xFFFF

// paramEvery is the posting that every row has which was not deleted, of an empty
// value: rows are counted by it. It is the store's own, too.
const paramEvery search.Param = 0xFFFE

func keyID(dst []byte, t typeNumber, id string) []byte {
	dst = append(dst, spaceID)
	dst = binary.BigEndian.AppendUint16(dst, uint16(t))
	return append(dst, id...)
}

func keyOrdinal(dst []byte, patient string) []byte {
	return append(append(dst, spaceOrdinal), patient...)
}

func keyPatient(o ordinal) []byte {
	return binary.BigEndian.AppendUint32([]byte{spacePatient}, uint32(o))
}

func keyType(name string) []byte { return append([]byte{spaceType}, name...) }

// prefixRows starts the rows of a type; the number follows.
func prefixRows(dst []byte, e consent.Edition, t typeNumber) []byte {
	return binary.BigEndian.AppendUint16(append(dst, spaceRow, byte(e)), uint16(t))
}

func keyRow(dst []byte, e consent.Edition, t typeNumber, n number) []byte {
	return appendNumber(prefixRows(dst, e, t), n)
}

func keyCurrent(dst []byte, e consent.Edition, t typeNumber, n number) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst, spaceCurrent, byte(e)), uint16(t))
	return appendNumber(dst, n)
}

// prefixVersions starts the former versions of an edition of a row, newest
// first.
func prefixVersions(dst []byte, sequence uint64, e consent.Edition) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, spaceVersion), sequence)
	return append(dst, byte(e))
}

func keyVersion(dst []byte, sequence uint64, e consent.Edition, count uint64) []byte {
	return binary.BigEndian.AppendUint64(prefixVersions(dst, sequence, e), ^count)
}

// prefixChanges starts the changes of a type, newest first.
func prefixChanges(dst []byte, t typeNumber) []byte {
	return binary.BigEndian.AppendUint16(append(dst, spaceChange), uint16(t))
}

// keyChangesAt starts the changes of a type in a millisecond.
func keyChangesAt(dst []byte, t typeNumber, ms int64) []byte {
	return binary.BigEndian.AppendUint64(prefixChanges(dst, t), ^uint64(ms)) //nolint:gosec // after 1970
}

// keyChange has a zero behind the id, so that ids compare as they do by
// themselves.
func keyChange(dst []byte, t typeNumber, ms int64, id string, count uint64) []byte {
	dst = append(append(keyChangesAt(dst, t, ms), id...), 0)
	return binary.BigEndian.AppendUint64(dst, ^count)
}

func keyAudit(dst []byte, record uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, spaceAuditLog), record)
}

// several is a parameter of which rows of a type may have several ranges, in an
// edition.
type several struct {
	edition consent.Edition
	param   search.Param
	t       typeNumber
}

func (s several) key() []byte {
	k := prefixPostings(nil, s.edition, s.param, s.t)
	k[0] = spaceSeveral
	return k
}

// prefixParam starts the postings of a parameter, all types.
func prefixParam(dst []byte, e consent.Edition, p search.Param) []byte {
	return binary.BigEndian.AppendUint16(append(dst, spacePosting, byte(e)), uint16(p))
}

// prefixPostings starts the postings of a parameter of one type; the escaped
// value follows.
func prefixPostings(dst []byte, e consent.Edition, p search.Param, t typeNumber) []byte {
	return binary.BigEndian.AppendUint16(prefixParam(dst, e, p), uint16(t))
}

// prefixValue starts the postings of one value; the number follows.
func prefixValue(dst []byte, e consent.Edition, p search.Param, t typeNumber, value []byte) []byte {
	return appendEnd(appendEscaped(prefixPostings(dst, e, p, t), value))
}

// appendEscaped writes a value so that values compare as they did and none is a
// prefix of another once it is ended: 00 becomes 00 FF, the end is 00 01.
func appendEscaped(dst, value []byte) []byte {
	for {
		i := bytes.IndexByte(value, 0)
		if i < 0 {
			return append(dst, value...)
		}
		dst = append(append(dst, value[:i]...), 0, 0xFF)
		value = value[i+1:]
	}
}

func appendEnd(dst []byte) []byte { return append(dst, 0, 1) }

var errPosting = errors.New("malformed posting")

// cutPosting splits what follows prefixPostings into the value, which is
// decoded into buf, and the number.
func cutPosting(rest, buf []byte) (value []byte, n number, err error) {
	buf = buf[:0]
	for {
		i := bytes.IndexByte(rest, 0)
		if i < 0 || i+1 >= len(rest) {
			return nil, 0, errPosting
		}
		buf = append(buf, rest[:i]...)
		mark := rest[i+1]
		rest = rest[i+2:]
		switch {
		case mark == 0xFF:
			buf = append(buf, 0)
		case mark == 1 && len(rest) == 8:
			return buf, number(binary.BigEndian.Uint64(rest)), nil
		default:
			return nil, 0, errPosting
		}
	}
}

// after is the smallest key that is greater than every key starting with
// prefix; nil when there is none.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
