package embedded

import (
	"errors"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/fhir/search"
)

// interval streams the numbers, of every patient there may be, whose sequences lie
// within bounds, both included. It says where rows may be and not where they are, so
// it leads nowhere by itself: it makes others leap over what was recorded at
// another time.
type interval struct{ low, high uint64 }

func (i interval) seek(n number) (number, bool) {
	o := n.ordinal()
	switch at := n.sequence(); {
	case i.low > i.high:
		return 0, false
	case at < i.low:
		return makeNumber(o, i.low), true
	case at <= i.high:
		return n, true
	case o == ordinalMax:
		return 0, false
	}
	return makeNumber(o+1, i.low), true
}

func (interval) close() error { return nil }

// mostAround is the most milliseconds that the order of rows may be off for
// intervals to be looked for: more than any clock is.
const mostAround = 1 << 40

// timeLead leads to the events within all the times that the query names; false
// when it names none. Few are gathered. Of more there is the interval in which they
// lie: an event that was recorded so much before the first of them that the order of
// rows cannot be off as far has its row before theirs, and one as much after the last
// behind them. errShort when nobody knows by how much the order is off.
func (w *walk) timeLead() (l lead, ok bool, err error) {
	within, m := span{high: math.MaxUint64}, search.Match{Op: search.OpRange, Key: []byte{search.MomentTag}}
	for i := range w.q.Clauses {
		one, timed := w.timed(&w.q.Clauses[i])
		if !timed {
			continue
		}
		if within = (span{max(within.low, one.low), min(within.high, one.high)}); !ok {
			l, ok = lead{clause: i, hits: probed}, true
			m.Param = w.q.Clauses[i].Any[0].Param
		}
	}
	if !ok {
		return lead{}, false, nil
	}
	m.Bounds = search.Bounds{LowMin: within.low, LowMax: within.high, HighMax: math.MaxUint64}
	l.stream, err = w.view.gather(w.edition, w.t, m, perEvent*w.effort)
	if off := w.view.db.shelf.order.by.Load(); errors.Is(err, errShort) && off <= mostAround {
		l.interval = true
		l.stream, err = w.view.sequences(within, time.Duration(off)*time.Millisecond)
	}
	return l, err == nil, err
}

// timed is the span of a clause that is about nothing but when an event was recorded.
// Of whom only some patients are seen, it does not lead: how much else was recorded
// at a time would show.
func (w *walk) timed(c *search.Clause) (span, bool) {
	if w.q.Type != typeAuditEvent || w.view.db.events == nil || !w.u.IsEverything() || !c.Plain() {
		return span{}, false
	}
	within, ok := span{low: math.MaxUint64}, false
	for i := range c.Any {
		if m := &c.Any[i]; !w.view.db.events.Chronological(m.Param) {
			return span{}, false
		} else if low, high, moments := m.Moments(); moments && low <= high {
			within, ok = span{min(within.low, low), max(within.high, high)}, true
		}
	}
	return within, ok
}

// sequences are those that events recorded within a span of time may have, when the
// order of rows is off by no more than that.
func (v *view) sequences(within span, off time.Duration) (s interval, err error) {
	it, err := v.src.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceMoment}, UpperBound: []byte{spaceMoment + 1}})
	if err != nil {
		return interval{}, err
	}
	s = interval{0, sequenceMax}
	first, _ := momentOf(search.MomentOf(within.low).Add(-off))
	if it.SeekLT(prefixMoments(nil, first)) {
		err = eachLeap(it, 1, func(n number, _ []byte) { s.low = max(s.low, n.sequence()+1) })
	}
	if last, _ := momentOf(search.MomentOf(within.high).Add(off)); err == nil && it.SeekGE(prefixMoments(nil, last+1)) {
		err = eachLeap(it, 1, func(n number, _ []byte) { s.high = min(s.high, n.sequence()-1) })
	}
	return s, errors.Join(err, it.Error(), it.Close())
}
