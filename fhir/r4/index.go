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

// makeIndex builds the table of Element: open addressing, at most half full.
func (t *Type) makeIndex() {
	if len(t.Elements) == 0 {
		return
	}
	size := 1 << bits.Len(uint(2*len(t.Elements)-1))
	t.index = make([]uint16, size)
	mask := uint32(size - 1)
	for i := range t.Elements {
		h := hash([]byte(t.Elements[i].Name)) & mask
		for t.index[h] != 0 {
			h = (h + 1) & mask
		}
		t.index[h] = uint16(i + 1)
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
