package fhir

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// few is the number of members up to which names are compared one with another.
// No R4 type has as many; an object that has more files its names in a table,
// so that a hostile one costs no more than its length.
const few = 32

// repeated reports whether an earlier member of the object f has the same
// decoded name as its newest one, n.
func (t *Tape) repeated(f *frame, n Node) bool {
	v := &t.nodes[n]
	name := t.src[v.name+1 : v.nameEnd-1]
	if v.marks&nameEscaped != 0 {
		t.names.newest = appendDecoded(t.names.newest[:0], name)
		name = t.names.newest
	}
	f.count++
	if f.count > few {
		return t.tabled(f, n, name)
	}
	v.hash = shortHash(name)
	bit := uint64(1) << (v.hash & 63)
	if f.seen&bit == 0 {
		f.seen |= bit
		return false
	}
	for c := f.node + 1; c != n; c = t.nodes[c].next {
		if t.nodes[c].hash == v.hash && bytes.Equal(t.earlier(c), name) {
			return true
		}
	}
	return false
}

// tabled is repeated for an object of many members.
func (t *Tape) tabled(f *frame, n Node, name []byte) bool {
	if f.count == few+1 {
		for c := f.node + 1; c != n; c = t.nodes[c].next {
			t.names.add(t, f.node, c, t.earlier(c))
		}
	}
	return !t.names.add(t, f.node, n, name)
}

// earlier is the decoded name of n, good until it is called again.
func (t *Tape) earlier(n Node) []byte {
	v := &t.nodes[n]
	if v.marks&nameEscaped == 0 {
		return t.src[v.name+1 : v.nameEnd-1]
	}
	t.names.older = t.decodedName(v, t.names.older)
	return t.names.older
}

// shortHash tells most names apart; those it does not are compared.
func shortHash(name []byte) uint16 {
	var h uint64
	switch n := len(name); {
	case n >= 8:
		h = binary.LittleEndian.Uint64(name) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(name[n-8:]), 27)
	case n >= 4:
		h = uint64(binary.LittleEndian.Uint32(name)) | uint64(binary.LittleEndian.Uint32(name[n-4:]))<<32
	default:
		for _, c := range name {
			h = h<<8 | uint64(c)
		}
	}
	h = (h ^ uint64(len(name))) * 0x9e3779b97f4a7c15
	return uint16(h >> 48) //nolint:gosec // sixteen bits are left
}

// names is a table of the member names of all objects of many members that were
// met in one parse. The hash is keyed, so that nobody can choose names that
// collide.
type names struct {
	seed  maphash.Seed
	slots []slot
	used  int
	// newest and older hold names that were written with escapes.
	newest, older []byte
}

// slot is a member n of an object; n is never 0 in a slot that is taken.
type slot struct {
	hash      uint64
	object, n Node
}

func (s *names) reset() {
	switch {
	case s.used == 0:
		return
	case len(s.slots) > 1<<12: // not worth keeping, or clearing, for what may never come again
		s.slots = nil
	default:
		clear(s.slots)
	}
	s.used = 0
}

// add files member n of the object under its name; false when another member of
// the object is filed under the same name.
func (s *names) add(t *Tape, object, n Node, name []byte) bool {
	if s.seed == (maphash.Seed{}) {
		s.seed = maphash.MakeSeed()
	}
	if s.used >= len(s.slots)/2 {
		s.grow()
	}
	h := maphash.Bytes(s.seed, name) + uint64(object)*0x9e3779b97f4a7c15 //nolint:gosec // a node that is there is not negative
	mask := uint64(len(s.slots)) - 1
	for i := h & mask; ; i = (i + 1) & mask {
		at := &s.slots[i]
		if at.n == 0 {
			*at = slot{hash: h, object: object, n: n}
			s.used++
			return true
		}
		if at.hash == h && at.object == object && bytes.Equal(t.earlier(at.n), name) {
			return false
		}
	}
}

func (s *names) grow() {
	old := s.slots
	s.slots = make([]slot, max(8*few, 2*len(old)))
	mask := uint64(len(s.slots)) - 1
	for _, o := range old {
		if o.n == 0 {
			continue
		}
		i := o.hash & mask
		for s.slots[i].n != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = o
	}
}
