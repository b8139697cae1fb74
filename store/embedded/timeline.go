package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir/search"
)

// postings are keys of postings in their order, within bounds.
type postings interface {
	First() bool
	Last() bool
	SeekGE(key []byte) bool
	SeekLT(key []byte) bool
	Next() bool
	Prev() bool
	// Key is valid until the next step.
	Key() []byte
	Error() error
	Close() error
}

// postingsOf are the postings of one parameter of a type between two keys. The
// times of events are kept in another form, and look like postings from here.
func (v *view) postingsOf(e consent.Edition, t typeNumber, p search.Param, lower, upper []byte) (postings, error) {
	if n, ok := v.typeNumber(typeAuditEvent); ok && n == t && e == consent.EditionFull && v.db.events != nil && v.db.events.Chronological(p) {
		return newTimeline(v.src, t, p, lower, upper)
	}
	return v.src.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

// timeline gives the times of events as the postings of a date. It reads one
// stretch of time after the other.
type timeline struct {
	it           *pebble.Iterator
	param        search.Param
	prefix       []byte
	lower, upper []byte

	span   uint64
	stamps []stamp // of the span, in order
	i      int
	// Where the iterator stands: the side of the span, and whether on another.
	side  side
	other bool
	key   []byte
	made  search.Entries
	err   error
}

// side is that of a stretch on which an iterator has left it.
type side int8

const (
	astray side = iota // on neither, or nobody knows
	before
	behind
)

// stamp is the time of one event.
type stamp struct {
	within byte
	n      number
}

func newTimeline(src source, t typeNumber, p search.Param, lower, upper []byte) (*timeline, error) {
	it, err := src.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceMoment}, UpperBound: []byte{spaceMoment + 1}})
	if err != nil {
		return nil, err
	}
	return &timeline{
		it: it, param: p, prefix: prefixPostings(nil, consent.EditionFull, p, t),
		lower: bytes.Clone(lower), upper: bytes.Clone(upper),
	}, nil
}

func (l *timeline) First() bool  { return l.SeekGE(l.lower) }
func (l *timeline) Last() bool   { return l.SeekLT(l.upper) }
func (l *timeline) Key() []byte  { return l.key }
func (l *timeline) Error() error { return errors.Join(l.err, l.it.Error()) }
func (l *timeline) Close() error { return errors.Join(l.err, l.it.Close()) }

// SeekGE stands on the first posting that is not before key.
func (l *timeline) SeekGE(key []byte) bool {
	if bytes.Compare(key, l.lower) < 0 {
		key = l.lower
	}
	if !l.load(l.it.SeekGE(prefixMoments(nil, l.spanOf(key))), behind) {
		return false
	}
	l.i = l.search(key)
	return l.forwards()
}

// SeekLT stands on the last posting before key.
func (l *timeline) SeekLT(key []byte) bool {
	if bytes.Compare(key, l.upper) > 0 {
		key = l.upper
	}
	span := l.spanOf(key)
	if !l.load(l.it.SeekLT(prefixMoments(nil, span+1)), before) {
		return false
	}
	l.i = l.search(key) - 1
	return l.backwards()
}

func (l *timeline) Next() bool {
	l.i++
	return l.forwards()
}

func (l *timeline) Prev() bool {
	l.i--
	return l.backwards()
}

// forwards goes to the next stretch at the end of one.
func (l *timeline) forwards() bool {
	if l.i >= len(l.stamps) {
		if l.side != behind {
			l.other = l.it.SeekGE(prefixMoments(nil, l.span+1))
		}
		if !l.load(l.other, behind) {
			return false
		}
		l.i = 0
	}
	l.stand(l.i)
	return bytes.Compare(l.key, l.upper) < 0
}

func (l *timeline) backwards() bool {
	if l.i < 0 {
		if l.side != before {
			l.other = l.it.SeekLT(prefixMoments(nil, l.span))
		}
		if !l.load(l.other, before) {
			return false
		}
		l.i = len(l.stamps) - 1
	}
	l.stand(l.i)
	return bytes.Compare(l.key, l.lower) >= 0
}

// load reads the stretch that the iterator stands in, on its first block or, when it
// is to be left on the side before it, on its last. It has one block at least, and no
// block is empty.
func (l *timeline) load(live bool, leave side) bool {
	l.stamps, l.side = l.stamps[:0], astray
	if !live || l.err != nil {
		return false
	}
	step := l.it.Next
	if leave == before {
		step = l.it.Prev
	}
	for l.span = spanOfKey(l.it.Key()); live && spanOfKey(l.it.Key()) == l.span; live = step() {
		l.err = eachBeside(l.it, 1, func(n number, rest []byte) {
			l.stamps = append(l.stamps, stamp{rest[0], n})
		})
		if l.err != nil {
			return false
		}
	}
	l.side, l.other = leave, live
	slices.SortFunc(l.stamps, func(a, b stamp) int {
		return cmp.Or(cmp.Compare(a.within, b.within), cmp.Compare(a.n, b.n))
	})
	return len(l.stamps) > 0
}

func spanOfKey(key []byte) uint64 { return binary.BigEndian.Uint64(key[1:]) }

// search is the place of the first posting in the stretch that is not before
// key.
func (l *timeline) search(key []byte) int {
	i, _ := slices.BinarySearchFunc(l.stamps, key, func(s stamp, key []byte) int {
		l.form(s)
		return bytes.Compare(l.key, key)
	})
	return i
}

func (l *timeline) stand(i int) { l.form(l.stamps[i]) }

// form makes the posting of a stamp.
func (l *timeline) form(s stamp) {
	l.made.Reset()
	at := time.UnixMilli(momentAt(l.span, s.within))
	if l.param == search.ParamLastUpdated {
		search.AppendUpdated(&l.made, at)
	} else {
		search.AppendInstant(&l.made, l.param, at)
	}
	_, value := l.made.At(0)
	l.key = append(appendEnd(appendEscaped(append(l.key[:0], l.prefix...), value)), 0, 0, 0, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint64(l.key[len(l.key)-8:], uint64(s.n))
}

// spanOf is the stretch that holds the first time whose posting is not before
// the key, or would hold it.
func (l *timeline) spanOf(key []byte) uint64 {
	rest, ok := bytes.CutPrefix(key, l.prefix)
	switch {
	case !ok && bytes.Compare(key, l.prefix) < 0:
		return 0
	case !ok:
		return lastSpan
	}
	low := unescapeStart(rest)
	switch tag := low[0]; {
	case tag < search.MomentTag:
		return 0
	case tag > search.MomentTag:
		return lastSpan
	}
	span, _ := momentOf(search.MomentOf(binary.BigEndian.Uint64(low[1:])))
	return span
}

const lastSpan = 1<<(64-momentBits) - 1

// unescapeStart is the tag and the low bound of an escaped value, of which the
// end may be missing: zeros stand for that.
func unescapeStart(b []byte) (low [9]byte) {
	for i := range low {
		switch {
		case len(b) == 0 || len(b) > 1 && b[0] == 0 && b[1] == 1:
			return low
		case b[0] == 0:
			b = b[min(2, len(b)):]
		default:
			low[i], b = b[0], b[1:]
		}
	}
	return low
}
