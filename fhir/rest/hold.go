package rest

import (
	"errors"
	"slices"
	"time"

	"vitrine/consent/gate"
)

// nothing reports whether the answer is that there is nothing: no such resource,
// or none that a search is about or that was to come with it, that of an entry of
// a transaction too.
func (a *answer) nothing(err error) bool {
	if err != nil {
		return errors.Is(err, gate.ErrNotFound)
	}
	return a.form == formSearchset && (empty(&a.released) || a.released.Missed()) || slices.ContainsFunc(a.released.Items(), func(i gate.Item) bool {
		return i.Answer != nil && (empty(i.Answer) || i.Answer.Missed())
	})
}

func empty(r *gate.Released) bool { return len(r.Items()) == 0 && r.Total() <= 0 }

// holding is what holds the request, once: the gate before it records that there is
// nothing, for to wait for the disk takes now longer and now shorter than a step, or
// else the porch before it says so.
func (s *Server) holding(x *exchange) func() {
	x.starts()
	x.request.Begin = x.starts
	held := false
	x.request.Hold = func() {
		if !held {
			held = true
			s.hold(x.since)
		}
	}
	return x.request.Hold
}

// starts begins the time of the steps of the request, and begins it again when all of
// it is there and read, and when its content was looked through. A client makes these
// take as long as it likes: it would put the end of a step where it tells most.
func (x *exchange) starts() { x.since = time.Now() } //nolint:forbidigo // how long it takes, not when it was

// hold keeps an answer of absence back until the next step of its grid, so that
// what it took to find out does not tell whether there was something to hide:
// one look, or the owner's restrictions as well. Whoever closed its side is held as
// well, for it may read on: it would end the wait, or what is found out, when it liked.
func (s *Server) hold(began time.Time) {
	if s.cfg.AbsenceGrid <= 0 {
		return
	}
	took := time.Since(began)
	for end := took - took%s.cfg.AbsenceGrid + s.cfg.AbsenceGrid; took < end; took = time.Since(began) {
		left := end - took
		switch {
		case s.nap == nil:
			time.Sleep(left)
		case left <= timerSlack:
			s.nap(left)
		default:
			time.Sleep(left - timerSlack)
		}
	}
}

// timerSlack is by how much a timer may be late: where nothing else is to be done it
// goes by whole milliseconds from when it was set, which would tell when that was. The
// last of a wait is slept by the system's own clock.
const timerSlack = 1200 * time.Microsecond
