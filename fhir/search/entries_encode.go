package search

import (
	"bytes"
	"encoding/binary"
)

// AppendBinary appends the entries, which must be sorted, in the form that
// Encoded reads.
func (e *Entries) AppendBinary(dst []byte) []byte {
	start := len(dst)
	dst = binary.AppendUvarint(dst, uint64(len(e.spans)))
	var seen repeats
	last := Param(0)
	for _, s := range e.spans {
		value := e.buf[s.start:s.end]
		step := uint64(s.param-last) << 1
		last = s.param
		if at, ok := seen.find(dst[start:], value); ok {
			back := uint64(len(dst) - start - at)
			dst = binary.AppendUvarint(binary.AppendUvarint(dst, step|1), back)
			continue
		}
		dst = binary.AppendUvarint(dst, step)
		seen.note(len(dst)-start, value)
		dst = binary.AppendUvarint(dst, uint64(len(value)))
		dst = append(dst, value...)
	}
	return dst
}

// repeats remembers where in an encoding values stand, each at the place that
// its length and last bytes give it. The later one has the place.
type repeats [64]struct{ at, size int }

// shortest is the least length of a value that is worth pointing to.
const shortest = 3

func (w *repeats) place(value []byte) int {
	tail := uint64(len(value))
	for _, c := range value[max(0, len(value)-6):] {
		tail = tail<<8 ^ tail>>56 ^ uint64(c)
	}
	return int(tail * 0x9E3779B97F4A7C15 >> 58)
}

func (w *repeats) note(at int, value []byte) {
	if len(value) >= shortest {
		w[w.place(value)] = struct{ at, size int }{at, len(value)}
	}
}

func (w *repeats) find(encoded, value []byte) (at int, ok bool) {
	if len(value) < shortest {
		return 0, false
	}
	p := w[w.place(value)]
	if p.size != len(value) {
		return 0, false
	}
	_, n := binary.Uvarint(encoded[p.at:])
	return p.at, bytes.Equal(encoded[p.at+n:p.at+n+p.size], value)
}
