package search

import (
	"bytes"
	"encoding/binary"
	"iter"
	"strings"
)

// Encoded are the entries of a resource as Entries.AppendBinary writes them. A
// damaged encoding ends where it stops making sense.
type Encoded []byte

// Encode appends the entries to dst[:0] as Encoded.
func (e *Entries) Encode(dst []byte) Encoded { return e.AppendBinary(dst[:0]) }

// All ranges over the entries in order. The values are shared with e.
func (e Encoded) All() iter.Seq2[Param, []byte] {
	return func(yield func(Param, []byte) bool) {
		c := e.cursor()
		for c.next() {
			if !yield(c.param, c.value) {
				return
			}
		}
	}
}

// cursor reads entries one by one without allocating.
type cursor struct {
	rest  []byte
	left  uint64
	param Param
	value []byte
}

func (e Encoded) cursor() cursor {
	n, size := binary.Uvarint(e)
	if size <= 0 {
		return cursor{}
	}
	return cursor{rest: e[size:], left: n}
}

func (c *cursor) next() bool {
	if c.left == 0 || len(c.rest) < 3 {
		return false
	}
	c.left--
	n, size := uint64(c.rest[2]), 1
	if n >= 0x80 {
		n, size = binary.Uvarint(c.rest[2:])
	}
	if size <= 0 || n > uint64(len(c.rest)-2-size) {
		c.left = 0
		return false
	}
	c.param = Param(binary.BigEndian.Uint16(c.rest))
	start := 2 + size
	end := start + int(n)
	c.value, c.rest = c.rest[start:end:end], c.rest[end:]
	return true
}

// Accepts reports whether a value of the match's parameter matches.
func (m *Match) Accepts(value []byte) bool {
	switch m.Op {
	case OpEqual:
		return bytes.Equal(value, m.Key)
	case OpPrefix:
		return bytes.HasPrefix(value, m.Key)
	case OpRange:
		if len(value) != len(m.Key)+16 || !bytes.HasPrefix(value, m.Key) {
			return false
		}
		return m.Bounds.Contain(
			binary.BigEndian.Uint64(value[len(m.Key):]), binary.BigEndian.Uint64(value[len(m.Key)+8:]))
	}
	return false
}

// Contain reports whether both bounds of an entry are within b.
func (b *Bounds) Contain(low, high uint64) bool {
	return low >= b.LowMin && low <= b.LowMax && high >= b.HighMin && high <= b.HighMax
}

// Holds reports whether any entry matches.
func (m *Match) Holds(e Encoded) bool {
	for c := e.cursor(); c.next() && c.param <= m.Param; {
		if c.param == m.Param && m.Accepts(c.value) {
			return true
		}
	}
	return false
}

// Holds reports whether any match of the clause does. It reads the entries once.
func (c Clause) Holds(e Encoded) bool {
	last := Param(0)
	for i := range c.Any {
		last = max(last, c.Any[i].Param)
	}
	for at := e.cursor(); at.next() && at.param <= last; {
		for i := range c.Any {
			if m := &c.Any[i]; m.Param == at.param && m.Accepts(at.value) {
				return true
			}
		}
	}
	return false
}

// Matches reports whether every clause holds.
func (q *Query) Matches(e Encoded) bool {
	for i := range q.Clauses {
		if !q.Clauses[i].Holds(e) {
			return false
		}
	}
	return true
}

// SortValue is the value by which a resource sorts, of equal length and order
// for times and numbers: the least of its values when ascending, the greatest
// when descending (R4 search.html#sort). A range sorts by its low bound and then
// by its high one, which R4 leaves to the server. ok is false when it has none.
func SortValue(e Encoded, k SortKey) (v []byte, ok bool) {
	for c := e.cursor(); c.next() && c.param <= k.Param; {
		if c.param != k.Param {
			continue
		}
		value, sorts := k.Cut(c.value)
		if !sorts {
			continue
		}
		if order := bytes.Compare(value, v); !ok || (order < 0) != k.Descending && order != 0 {
			v, ok = value, true
		}
	}
	return v, ok
}

// Tags are the first bytes of the values that sort by the key.
func (k SortKey) Tags() string {
	if k.Range {
		return rangeTags
	}
	return plainTags
}

const (
	rangeTags = string(tagMoment-wide) + string(tagNumber-wide) + string(tagValue-wide) + string(tagMoment) + string(tagNumber) + string(tagValue)
	plainTags = string(tagReference) + string(tagCode) + string(tagText) + string(tagURI)
)

// Cut is the part of a value that sorts, which is all behind its tag; ok is
// false for entries that repeat another one in a form made for matching.
func (k SortKey) Cut(value []byte) (part []byte, ok bool) {
	if len(value) == 0 || strings.IndexByte(k.Tags(), value[0]) < 0 || (k.Range && len(value) != 17) {
		return nil, false
	}
	return value[1:], true
}
