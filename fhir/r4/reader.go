package r4

import (
	"math/bits"
	"strings"
)

// The first lines of the two tables.
const (
	magic      = "vitr4-1\n"
	termsMagic = "vitr4-terms-1\n"
)

// reader reads the numbers and strings of the tables. Once bad, it stays bad and
// gives zero values.
type reader struct {
	src     string
	at      int
	bad     bool
	strings []string
}

// start reads the magic line and the strings.
func (r *reader) start() {
	if !r.magic(magic) {
		return
	}
	r.strings = make([]string, r.count())
	lengths := r.at
	for range r.strings {
		r.num(len(r.src))
	}
	text := r.at
	r.at = lengths
	for i := range r.strings {
		n := r.num(len(r.src))
		if r.bad || n > len(r.src)-text {
			r.bad = true
			return
		}
		r.strings[i] = r.src[text : text+n]
		text += n
	}
	r.at = text
}

// magic reads the first line.
func (r *reader) magic(line string) bool {
	r.bad = !strings.HasPrefix(r.src, line)
	r.at = len(line)
	return !r.bad
}

// text reads a string that stands there.
func (r *reader) text() string {
	n := r.count()
	if r.bad || n > len(r.src)-r.at {
		r.bad = true
		return ""
	}
	r.at += n
	return r.src[r.at-n : r.at]
}

func (r *reader) texts() []string {
	out := make([]string, r.count())
	for i := range out {
		out[i] = r.text()
	}
	return out
}

// num reads a number below limit.
func (r *reader) num(limit int) int {
	var n uint64
	for shift := uint(0); shift < bits.UintSize && !r.bad; shift += 7 {
		if r.at >= len(r.src) {
			break
		}
		b := r.src[r.at]
		r.at++
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if n < uint64(limit) {
				return int(n)
			}
			break
		}
	}
	r.bad = true
	return 0
}

// count reads how many of something follow; each takes at least a byte.
func (r *reader) count() int { return r.num(len(r.src) - r.at + 1) }

func (r *reader) str() string {
	if i := r.num(len(r.strings)); !r.bad {
		return r.strings[i]
	}
	return ""
}

func (r *reader) strs() []string {
	out := make([]string, r.count())
	for i := range out {
		out[i] = r.str()
	}
	return out
}
