package r4

import (
	"encoding/binary"
	"math/bits"
)

// Element is the element with that name in JSON; nil when the type has none. It
// allocates nothing.
func (t *Type) Element(jsonName []byte) *Element {
	if len(t.index) == 0 {
		return nil
	}
	mask := uint32(len(t.index) - 1)
	for h := hash(jsonName) & mask; ; h = (h + 1) & mask {
		i := t.index[h]
		if i == 0 {
			return nil
		}
		if e := &t.Elements[i-1]; e.Name == string(jsonName) {
			return e
		}
	}
}

// Alternatives are the elements of the choice of that name, such as valueString
// and the others of "value"; nil when the type has no such choice. It allocates
// nothing.
func (t *Type) Alternatives(choice []byte) []Element {
	if len(t.index) == 0 {
		return nil
	}
	mask := uint32(len(t.index) - 1)
	for h := hash(choice) & mask; ; h = (h + 1) & mask {
		i := int(t.index[h])
		if i == 0 {
			return nil
		}
		if t.Elements[i-1].Choice != string(choice) {
			continue
		}
		if i > 1 && t.Elements[i-2].Choice == string(choice) {
			continue // it stands here by its own name
		}
		end := i
		for end < len(t.Elements) && t.Elements[end].Choice == string(choice) {
			end++
		}
		return t.Elements[i-1 : end]
	}
}

// makeIndex builds the table of Element and Alternatives: open addressing, at
// most half full.
func (t *Type) makeIndex() {
	if len(t.Elements) == 0 {
		return
	}
	first := func(i int) bool {
		c := t.Elements[i].Choice
		return c != "" && (i == 0 || t.Elements[i-1].Choice != c)
	}
	count := len(t.Elements)
	for i := range t.Elements {
		if first(i) {
			count++
		}
	}
	size := 1 << bits.Len(uint(2*count-1))
	t.index = make([]uint16, size)
	mask := uint32(size - 1)
	add := func(name string, i int) {
		h := hash([]byte(name)) & mask
		for t.index[h] != 0 {
			h = (h + 1) & mask
		}
		t.index[h] = uint16(i + 1)
	}
	for i := range t.Elements {
		add(t.Elements[i].Name, i)
		if first(i) {
			add(t.Elements[i].Choice, i)
		}
	}
}

// hash mixes the length and the ends of a name, where names of one type differ.
func hash(b []byte) uint32 {
	n := uint64(len(b))
	var x uint64
	switch {
	case n >= 8:
		x = binary.LittleEndian.Uint64(b) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(b[n-8:]), 27)
	case n >= 4:
		x = uint64(binary.LittleEndian.Uint32(b)) ^ uint64(binary.LittleEndian.Uint32(b[n-4:]))<<29
	case n > 0:
		x = uint64(b[0]) | uint64(b[n/2])<<16 | uint64(b[n-1])<<32
	}
	return uint32(((x + n) * 0x9E3779B97F4A7C15) >> 40)
}
