package embedded

import (
	"errors"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/fhir/search"
)

// mostAround is the most milliseconds that the order of rows may be off for
// intervals to be looked for: more than any clock is.
const mostAround = 1 << 40

// inTime narrows a walk to the rows that may lie within all the times that the query
// names: an event that was recorded so much before the first of them that the order
// of rows cannot be off as far has its row behind theirs, and one as much after the
// last before them.
func (w *walk) inTime() error {
	within, some := w.times()
	off := w.view.db.shelf.order.by.Load()
	if !some || off > mostAround {
		return nil
	}
	if within.low > within.high {
		w.low, w.high = math.MaxUint64, 1 // no time is in all of them
		return nil
	}
	var err error
	w.low, w.high, err = w.view.between(within, time.Duration(off)*time.Millisecond)
	return err
}

// times is what the times that the query names have in common; false when it names
// none.
func (w *walk) times() (within span, some bool) {
	within = span{high: math.MaxUint64}
	for i := range w.q.Clauses {
		if one, ok := w.timed(&w.q.Clauses[i]); ok {
			within, some = span{max(within.low, one.low), min(within.high, one.high)}, true
		}
	}
	return within, some
}

// timeLead leads to the events within all the times that the query names, if they are
// few and the order of rows is too far from that of time to lead there; errMany where
// it is not, errShort when they are not few.
func (w *walk) timeLead() (lead, error) {
	within, some := w.times()
	if !some || w.view.db.shelf.order.by.Load() <= mostDisorder {
		return lead{}, errMany
	}
	l, m := lead{hits: probed}, search.Match{Op: search.OpRange, Key: []byte{search.MomentTag}}
	for i := range w.q.Clauses {
		if _, ok := w.timed(&w.q.Clauses[i]); ok {
			l.clause, m.Param = i, w.q.Clauses[i].Any[0].Param
		}
	}
	m.Bounds = search.Bounds{LowMin: within.low, LowMax: within.high, HighMax: math.MaxUint64}
	var err error
	l.stream, err = w.view.gather(w.edition, w.t, m, perEvent*w.effort)
	return l, err
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

// between are the first number and the last that events recorded within a span of
// time may have, when the order of rows is off by no more than that.
func (v *view) between(within span, off time.Duration) (low, high number, err error) {
	it, err := v.src.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceMoment}, UpperBound: []byte{spaceMoment + 1}})
	if err != nil {
		return 0, 0, err
	}
	low, high = 0, eventNumber(0)
	first, _ := momentOf(search.MomentOf(within.low).Add(-off))
	if it.SeekLT(prefixMoments(nil, first)) {
		err = eachBeside(it, 1, func(n number, _ []byte) { high = min(high, n-1) })
	}
	if last, _ := momentOf(search.MomentOf(within.high).Add(off)); err == nil && it.SeekGE(prefixMoments(nil, last+1)) {
		err = eachBeside(it, 1, func(n number, _ []byte) { low = max(low, n+1) })
	}
	return low, high, errors.Join(err, it.Error(), it.Close())
}
