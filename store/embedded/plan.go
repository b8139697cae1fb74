package embedded

import (
	"context"
	"errors"
	"math"

	"vitrine/fhir/search"
)

const (
	// probed is how many hits of a lead are tried before it counts as not
	// selective.
	probed = 64
	// maxUnion is the most alternatives of which each has an iterator.
	maxUnion = 64
	// fewLists is the most lists of postings of which each has one.
	fewLists = 4
	// A plan is first made with the least effort: so many rows are looked at for
	// it, or some more postings. Where that was too little, so many rows are walked
	// before it is made again with fourfold effort, so that planning costs no more
	// than what it was made for.
	leastEffort = 1 << 8
	mostEffort  = 1 << 14
	// perRow is how many postings are read for the price of a row when a list is
	// put into the order of numbers.
	perRow = 4
	// perEvent is the same for an event, whose entries are made anew to look at it.
	perEvent = 16
	// glance is how many rows of listed patients are looked at before a plan is
	// made: most have no more, and what they have lies together, which postings do
	// not.
	glance  = 256
	noLimit = math.MaxInt
)

var (
	// errMany: no postings lead to all that a condition holds for.
	errMany = errors.New("no postings lead there")
	// errShort: more effort may find postings that do.
	errShort = errors.New("too many postings for this effort")
)

// lead is a stream that leads to every row that a clause holds for, and maybe to
// more.
type lead struct {
	stream
	clause int // of the query; -1 for what the universe asks for
	hits   int // in the universe; probed for that many or more
}

// plan chooses what leads the walk: the clause with the fewest hits in the
// universe; several clauses together, when each has many hits among many
// patients; or the rows themselves. Whatever leads, every clause is checked on
// each row. How many hits there are is tried on the postings within the universe,
// and not read from counts kept with them: those would be counts of what is
// hidden, too, and the time would tell.
func (w *walk) plan(ctx context.Context) error {
	if err := w.unlead(); err != nil {
		return err
	}
	_, listed := w.u.Patients()
	if w.later = 0; w.effort == 0 {
		w.effort = w.view.db.opt.effort
		if listed {
			w.later = w.view.db.opt.glance
			return nil
		}
	}
	leads, short, err := w.leads(ctx)
	if err != nil {
		return err
	}
	if short && w.effort < mostEffort {
		w.later = w.effort
		w.effort *= perRow
	}
	if len(leads) == 0 {
		return nil
	}
	if _, own := w.u.Contributor(); !own { // what others contributed is not looked at
		best, found, err := w.fewest(ctx, leads)
		switch {
		case err != nil:
			return errors.Join(err, closeLeads(leads))
		case leads[best].hits < probed:
			w.later = 0
			w.leaders = leads[best : best+1]
			w.driver = sorted(found) // they need not be looked for again
			return closeLeads(leads)
		case listed:
			return closeLeads(leads)
		}
	}
	all := make(both, len(leads))
	for i, l := range leads {
		if all[i] = l.stream; w.own.kind == ownersListed {
			all[i] = confined{l.stream, w.own}
		}
	}
	w.leaders, w.driver = leads, all
	if len(all) == 1 {
		w.driver = all[0]
	}
	return nil
}

// fewest is the lead with the fewest hits, and what it leads to if that is few.
func (w *walk) fewest(ctx context.Context, leads []lead) (best int, found []number, err error) {
	best = -1
	for i, most := 0, probed; i < len(leads); i++ {
		hits, err := w.hitsOf(ctx, leads[i], most)
		if err != nil {
			return 0, nil, err
		}
		if leads[i].hits = len(hits); len(hits) < most || best < 0 {
			best, found, most = i, hits, len(hits)
		}
	}
	return best, found, nil
}

// unlead takes away what leads the walk.
func (w *walk) unlead() error {
	if w.driver == nil {
		return nil
	}
	err := w.driver.close()
	w.driver, w.leaders = nil, nil
	return err
}

func closeLeads(leads []lead) error {
	var err error
	for _, l := range leads {
		err = errors.Join(err, l.close())
	}
	return err
}

// leads are those of the clauses that have one; short says that more effort may
// find others.
func (w *walk) leads(ctx context.Context) (all []lead, short bool, err error) {
	if org, ok := w.u.Contributor(); ok {
		s, err := newKeys(w.view.src, prefixValue(nil, w.edition, paramContributor, w.t, []byte(org)))
		if err != nil {
			return nil, false, err
		}
		all = append(all, lead{s, -1, probed})
	}
	for i := range w.q.Clauses {
		if _, ok := w.timed(&w.q.Clauses[i]); ok {
			continue
		}
		s, err := w.clauseLead(ctx, &w.q.Clauses[i])
		switch {
		case errors.Is(err, errMany):
		case errors.Is(err, errShort):
			short = true
		case err != nil:
			return nil, false, errors.Join(err, closeLeads(all))
		default:
			all = append(all, lead{s, i, probed})
		}
	}
	l, err := w.timeLead()
	switch {
	case errors.Is(err, errMany):
	case errors.Is(err, errShort):
		short = true
	case err != nil:
		return nil, false, errors.Join(err, closeLeads(all))
	default:
		all = append(all, l)
	}
	return all, short, nil
}

// clauseLead streams what may satisfy a clause: whatever any of its alternatives
// leads to.
func (w *walk) clauseLead(ctx context.Context, c *search.Clause) (stream, error) {
	if c.Not || len(c.Read) > 0 {
		return nil, errMany
	}
	all, err := w.matchLeads(c.Any)
	for i := 0; err == nil && i < len(c.Via); i++ {
		var s stream
		if s, err = w.joinLead(ctx, &c.Via[i]); err == nil {
			all = append(all, s)
		}
	}
	for i := 0; err == nil && i < len(c.All); i++ {
		var s stream
		if s, err = w.groupLead(ctx, c.All[i]); err == nil {
			all = append(all, s)
		}
	}
	switch {
	case err != nil:
		return nil, errors.Join(err, all.close())
	case len(all) == 0:
		return nothing{}, nil
	case len(all) == 1:
		return all[0], nil
	default:
		return all, nil
	}
}

// matchLeads are the streams of what any of the matches may hold for.
func (w *walk) matchLeads(matches []search.Match) (union, error) {
	limit := perRow * w.effort
	if w.q.Type == typeAuditEvent {
		limit = perEvent * w.effort
	}
	if w.own.kind == ownersListed {
		limit = 0 // how long a list is depends on patients whom the universe does not hold
	}
	match, together := w.view.matchStream, wholeValues(matches) > fewLists
	var all union
	if w.q.Type == typeAuditEvent {
		match, together = w.view.eventStream, false
		ids, others, err := w.view.identified(matches)
		if err != nil {
			return nil, err
		}
		if len(others) < len(matches) {
			matches, all = others, append(all, ids)
		}
		if len(others) > 0 && !w.u.IsEverything() {
			return nil, errors.Join(errMany, all.close()) // whose the others are, their postings do not say
		}
	}
	var lists [][]byte
	for i := range matches {
		m := &matches[i]
		if together && m.Op == search.OpEqual {
			lists = append(lists, prefixValue(nil, w.edition, m.Param, w.t, m.Key))
			continue
		}
		if len(all) > maxUnion {
			return nil, errors.Join(errMany, all.close())
		}
		s, err := match(w.edition, w.t, *m, limit)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, s)
	}
	if len(lists) == 0 {
		return all, nil
	}
	s, err := w.listsLead(lists)
	if err != nil {
		return nil, errors.Join(err, all.close())
	}
	return append(all, s), nil
}

func wholeValues(matches []search.Match) (n int) {
	for i := range matches {
		if matches[i].Op == search.OpEqual {
			n++
		}
	}
	return n
}

// listsLead streams what is in any of several lists of postings.
func (w *walk) listsLead(prefixes [][]byte) (stream, error) {
	switch {
	case len(prefixes) == 0:
		return nothing{}, nil
	case len(prefixes) > perRow*perRow*w.effort:
		return nil, errShort
	}
	space := []byte{spacePosting, byte(w.edition)}
	l, err := newLists(w.view.src, space, after(space), prefixes...)
	if err != nil {
		return nil, err
	}
	if w.own.kind == ownersListed {
		l.own = w.own
	}
	return l, nil
}

// groupLead streams what one of the clauses leads to, all of which must hold: the
// one with the fewest hits.
func (w *walk) groupLead(ctx context.Context, all []search.Clause) (stream, error) {
	var best stream
	_, own := w.u.Contributor() // what others contributed is not looked at
	fewest, none := probed+1, errMany
	for i := range all {
		s, err := w.clauseLead(ctx, &all[i])
		if errors.Is(err, errMany) || errors.Is(err, errShort) {
			if errors.Is(err, errShort) {
				none = errShort
			}
			continue
		}
		if err == nil && own {
			return s, nil
		}
		if err == nil {
			var hits []number
			if hits, err = w.hitsOf(ctx, s, min(fewest, probed)); err == nil && len(hits) < fewest {
				best, s, fewest = s, best, len(hits)
			}
			if s != nil {
				err = errors.Join(err, s.close())
			}
		}
		if err != nil {
			if best != nil {
				err = errors.Join(err, best.close())
			}
			return nil, err
		}
	}
	if best == nil {
		return nil, none
	}
	return best, nil
}

// hitsOf are the first hits of a stream in the universe, so many at most. Rows
// that are hidden are none: a plan that they choose looks at other rows, and that
// may be too costly where they are and not where they are not.
func (w *walk) hitsOf(ctx context.Context, s stream, limit int) ([]number, error) {
	var hits []number
	at := w.low
	for steps := 0; len(hits) < limit; steps++ {
		if steps&0x3FF == 0x3FF && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n, ok := s.seek(at)
		if !ok || w.high > 0 && n > w.high {
			break
		}
		o, ok := w.own.next(n.ordinal())
		if !ok {
			break
		}
		if at = o.first(); o > n.ordinal() {
			continue
		}
		at = n + 1
		if w.u.IsEverything() { // nothing is hidden, and each is looked at later
			hits = append(hits, n)
			continue
		}
		ok, err := w.admits(ctx, n, &at)
		if err != nil {
			return nil, err
		}
		if ok {
			hits = append(hits, n)
		}
	}
	return hits, nil
}

// admits reports whether the row with a number is one of the walk's, whatever is
// asked of it. at goes past the patient of whom there is none.
func (w *walk) admits(ctx context.Context, n number, at *number) (bool, error) {
	if found, ok := w.rows.seek(n); !ok || found != n {
		return false, nil
	}
	var h header
	if _, err := w.rows.cut(&h, w.q.Type, w.known); err != nil {
		return false, err
	}
	if h.deleted || !w.own.emits(&h, n) {
		return false, nil
	}
	e, err := w.u.Admit(ctx, h.row)
	if err != nil || e == w.edition {
		return err == nil, err
	}
	past, err := w.past(ctx, &h, n)
	if past > 0 {
		*at = past
	}
	return false, err
}
