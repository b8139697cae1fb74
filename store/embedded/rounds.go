package embedded

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/s2"
)

// The records of a round of the log are one key: it ends in the number of the
// first and has all of them as its value, put together and compressed. Records
// made at the same time by the same callers differ in little, so they take a
// fraction of the room, and of the work behind it, that each would take alone. On
// disk, where the engine compresses what is near together anyway, a record by itself
// takes a quarter more than one of 64, and an event with its index an eighth
// (BenchmarkRounds): small rounds are left as they are.

// The forms of a round. What is written once is read as long as records are
// kept, so a change of form is a new one.
const (
	roundPlain byte = iota
	roundPacked
)

const (
	// roundMost and roundBytes bound what is put under one key, and so what must
	// be unpacked for one record. With eight times as many a record would take an
	// eighth less, and a page of events far from each other twice as long
	// (BenchmarkVolume).
	roundMost  = 64
	roundBytes = 128 << 10
	// roundUnpacked is more than any packed round comes to: a damaged one cannot
	// ask for more memory.
	roundUnpacked = roundBytes + roundMost*binary.MaxVarintLen64
)

var errRound = errors.New("malformed round of audit records")

// packer makes rounds of records. Its memory is used again.
type packer struct{ key, plain, value []byte }

// set puts records into a batch, numbered from first.
func (p *packer) set(batch *pebble.Batch, first uint64, records [][]byte) error {
	for len(records) > 0 {
		n := together(records)
		p.key = keyAudit(p.key[:0], first)
		if err := batch.Set(p.key, p.pack(records[:n]), nil); err != nil {
			return err
		}
		first += uint64(n) //nolint:gosec // a count
		records = records[n:]
	}
	return nil
}

// together is how many of the records go under one key.
func together(records [][]byte) int {
	size := 0
	for n, r := range records {
		if size += len(r); n > 0 && (n == roundMost || size > roundBytes) {
			return n
		}
	}
	return len(records)
}

func (p *packer) pack(records [][]byte) []byte {
	p.plain = p.plain[:0]
	for _, r := range records {
		p.plain = append(binary.AppendUvarint(p.plain, uint64(len(r))), r...)
	}
	p.value = binary.AppendUvarint(append(p.value[:0], roundPlain), uint64(len(records)))
	if len(records) > 1 {
		head := len(p.value)
		p.value = slices.Grow(p.value, s2.MaxEncodedLen(len(p.plain)))
		if packed := s2.Encode(p.value[head:cap(p.value)], p.plain); len(packed) < len(p.plain) {
			p.value[0] = roundPacked
			return p.value[:head+len(packed)]
		}
	}
	return append(p.value, p.plain...)
}

// unpacked is a round read from the log. The zero value has no records; the
// memory is used again.
type unpacked struct {
	first uint64
	plain []byte
	ends  []int // of the records in plain, each after its length
}

// cutCount cuts the form and the number of records from the front of a round.
func cutCount(value []byte) (form byte, count uint64, body []byte, err error) {
	if len(value) == 0 {
		return 0, 0, nil, errRound
	}
	count, n := binary.Uvarint(value[1:])
	if n <= 0 || count == 0 {
		return 0, 0, nil, errRound
	}
	return value[0], count, value[1+n:], nil
}

// read takes a round apart. The value is not kept.
func (u *unpacked) read(first uint64, value []byte) error {
	u.first, u.ends = 0, u.ends[:0]
	form, count, body, err := cutCount(value)
	if err != nil {
		return err
	}
	switch form {
	case roundPlain:
		u.plain = append(u.plain[:0], body...)
	case roundPacked:
		if size, err := s2.DecodedLen(body); err != nil || size > roundUnpacked {
			return errRound
		}
		if u.plain, err = s2.Decode(u.plain[:cap(u.plain)], body); err != nil {
			return errRound
		}
	default:
		return errRound
	}
	at := 0
	for range count {
		size, n := binary.Uvarint(u.plain[at:])
		if n <= 0 || size > uint64(len(u.plain)-at-n) {
			u.ends = u.ends[:0]
			return errRound
		}
		at += n + int(size) //nolint:gosec // within the slice
		u.ends = append(u.ends, at)
	}
	if at != len(u.plain) {
		u.ends = u.ends[:0]
		return errRound
	}
	u.first = first
	return nil
}

// record is one record of the round, valid until another is read.
func (u *unpacked) record(number uint64) ([]byte, bool) {
	if !u.has(number) {
		return nil, false
	}
	i, start := int(number-u.first), 0 //nolint:gosec // an index
	if i > 0 {
		start = u.ends[i-1]
	}
	_, n := binary.Uvarint(u.plain[start:])
	return u.plain[start+n : u.ends[i]], true
}

// has reports whether the round has a record with a number.
func (u *unpacked) has(number uint64) bool {
	return number >= u.first && number-u.first < uint64(len(u.ends))
}

// last is the number of the last record of the round.
func (u *unpacked) last() uint64 { return u.first + uint64(len(u.ends)) - 1 }

// lastRecord is the number of the last record in the log, zero without one.
func lastRecord(eng *pebble.DB) (uint64, error) {
	it, err := eng.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceAuditLog}, UpperBound: []byte{spaceAuditLog + 1}})
	if err != nil {
		return 0, err
	}
	var last uint64
	if it.Last() {
		value, err := it.ValueAndErr()
		if err != nil {
			return 0, errors.Join(err, it.Close())
		}
		_, count, _, err := cutCount(value)
		if err != nil {
			return 0, errors.Join(err, it.Close())
		}
		last = binary.BigEndian.Uint64(it.Key()[1:]) + count - 1
	}
	return last, errors.Join(it.Error(), it.Close())
}
