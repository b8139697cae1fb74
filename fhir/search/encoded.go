package search

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"strings"
)

// Encoded are the entries of a resource as Entries.AppendBinary writes them: how
// many, and then for each the step from the parameter before it, in 16 bits,
// doubled, and the value with its length in front. A value that was there before,
// as a code is for each parameter that finds it, is not written again: the step
// is odd then, and how many bytes back that length stands takes its place. A
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
	all   []byte
	at    int
	left  uint64
	param Param
	value []byte
}

func (e Encoded) cursor() cursor {
	n, size := binary.Uvarint(e)
	if size <= 0 {
		return cursor{}
	}
	return cursor{all: e, at: size, left: n}
}

func (c *cursor) next() bool {
	if c.left == 0 {
		return false
	}
	c.left--
	step, at := readUvarint(c.all, c.at)
	if at < 0 || step>>1 > math.MaxUint16 {
		c.left = 0
		return false
	}
	var value []byte
	var end int
	if step&1 == 0 {
		value, end = valueAt(c.all, at)
	} else {
		var back uint64
		if back, end = readUvarint(c.all, at); end < 0 || back > uint64(c.at) {
			c.left = 0
			return false
		}
		if value, at = valueAt(c.all, c.at-int(back)); at > c.at {
			end = -1
		}
	}
	if value == nil || end < 0 {
		c.left = 0
		return false
	}
	c.param, c.value, c.at = c.param+Param(step>>1), value, end
	return true
}

// valueAt is the value whose length stands there, and where it ends; nil when it
// does not.
func valueAt(b []byte, at int) (value []byte, end int) {
	n, at := readUvarint(b, at)
	if at < 0 || n > uint64(len(b)-at) {
		return nil, -1
	}
	end = at + int(n)
	return b[at:end:end], end
}

// readUvarint reads a number, and where what follows it begins; negative when there
// is none.
func readUvarint(b []byte, at int) (n uint64, end int) {
	if at < len(b) && b[at] < 0x80 {
		return uint64(b[at]), at + 1
	}
	n, size := binary.Uvarint(b[at:])
	if size <= 0 {
		return 0, -1
	}
	return n, at + size
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
	case OpContains:
		return m.contained(value)
	case OpIn, OpBelow, OpAbove:
	}
	return false
}

// contained reports whether the folded text of a value, and the NUL that ends it,
// have the rest of Key in them.
func (m *Match) contained(value []byte) bool {
	if len(m.Key) == 0 || len(value) == 0 || value[0] != m.Key[0] {
		return false
	}
	folded := value[1:]
	if end := bytes.IndexByte(folded, 0); end >= 0 {
		folded = folded[:end+1]
	}
	return bytes.Contains(folded, m.Key[1:])
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

// Holds reports whether the clause holds, as far as entries answer it: where they
// do not it does not hold, inverted or not.
func (c Clause) Holds(e Encoded) bool {
	return c.Own() && c.holds(e)
}

func (c *Clause) holds(e Encoded) bool {
	if c.matches(e) {
		return !c.Not
	}
	for _, group := range c.All {
		all := true
		for i := range group {
			if all = group[i].holds(e); !all {
				break
			}
		}
		if all {
			return !c.Not
		}
	}
	return c.Not
}

// matches reports whether any entry matches. It reads the entries once.
func (c *Clause) matches(e Encoded) bool {
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

// Matches reports whether every clause holds, as far as entries answer.
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
