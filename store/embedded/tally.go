package embedded

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// gatheredMost is the most postings that are put into the order of numbers to be
// counted.
const gatheredMost = 1 << 20

// tally counts all matches from their postings, without their rows: those of one
// patient that have no mark all exist in the same edition or in none, which is
// decided once. What has a mark is looked at. ok is false when postings do not say
// exactly what matches.
func (s *searching) tally(ctx context.Context) (total int, ok bool, err error) {
	if s.q.Type == typeAuditEvent { // postings of events lead to more than match
		return 0, false, nil
	}
	budget := s.view.db.opt.ScanBudget
	m, err := s.unplanned(ctx, 0, &budget)
	for i := 0; err == nil && i < len(m.parts); i++ {
		var c *counting
		if c, err = m.parts[i].counting(ctx); err == nil {
			var some int
			some, err = c.count(ctx)
			total += some
			err = errors.Join(err, c.close())
		}
	}
	err = errors.Join(err, m.close())
	if errors.Is(err, errMany) || errors.Is(err, errShort) {
		return 0, false, nil
	}
	return total, err == nil, err
}

// counting streams exactly the numbers of the rows that match.
type counting struct {
	*walk
	must  both
	never []stream
	// mark is that of the number at which all of must stand.
	mark func() (byte, error)
	// Of the patient whose rows are counted.
	of ordinal
	in bool // unmarked rows exist
}

// counting opens the streams of the clauses.
func (w *walk) counting(ctx context.Context) (*counting, error) {
	c := &counting{walk: w, of: ordinalMax}
	org, own := w.u.Contributor()
	prefix := prefixValue(nil, w.edition, paramEvery, w.t, nil)
	if own {
		prefix = prefixValue(nil, w.edition, paramContributor, w.t, []byte(org))
	}
	plain := own // a stream with marks is wanted, and one is enough
	for i := range w.q.Clauses {
		plain = plain || !w.marks(&w.q.Clauses[i])
	}
	if plain || len(w.q.Clauses) == 0 {
		k, err := newKeys(w.view.src, prefix)
		if err != nil {
			return nil, err
		}
		c.must, c.mark = append(c.must, k), k.mark
	}
	for i := range w.q.Clauses {
		one := &w.q.Clauses[i]
		s, err := w.exactly(ctx, one)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		if one.Not {
			c.never = append(c.never, s)
			continue
		}
		if l, ok := s.(*lists); ok && c.mark == nil {
			c.mark = l.mark
		}
		c.must = append(c.must, s)
	}
	if len(c.must) > 1 && w.own.kind == ownersListed {
		for i, s := range c.must {
			c.must[i] = confined{s, w.own}
		}
	}
	return c, nil
}

// marks reports whether the stream of a clause has the marks of what it leads to.
func (w *walk) marks(c *search.Clause) bool {
	return !c.Not && wholeValues(c.Any) == len(c.Any)
}

// exactly streams what the alternatives of a clause hold for, and nothing else.
func (w *walk) exactly(ctx context.Context, c *search.Clause) (stream, error) {
	if len(c.Read) > 0 || len(c.All) > 0 {
		return nil, errMany
	}
	matches := c.Any
	for i := range c.Via {
		// The names are exactly those for which the join holds.
		more, err := w.joinMatches(ctx, &c.Via[i], joinEffort)
		if err != nil {
			return nil, err
		}
		matches = append(matches[:len(matches):len(matches)], more...)
	}
	var prefixes [][]byte
	var all union
	for i := range matches {
		m := &matches[i]
		if m.Op == search.OpEqual {
			prefixes = append(prefixes, prefixValue(nil, w.edition, m.Param, w.t, m.Key))
			continue
		}
		limit := gatheredMost
		if w.own.kind == ownersListed {
			limit = 0
		}
		s, err := w.view.matchStream(w.edition, w.t, *m, limit)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, s)
	}
	if len(prefixes) == 0 && len(all) > 0 {
		return all, nil
	}
	l, err := newLists(w.view.src, []byte{spacePosting, byte(w.edition)}, after([]byte{spacePosting, byte(w.edition)}), prefixes...)
	if err != nil {
		return nil, errors.Join(err, all.close())
	}
	l.marked = true
	if w.own.kind == ownersListed {
		l.own = w.own
	}
	if len(all) == 0 {
		return l, nil
	}
	return append(all, l), nil
}

func (c *counting) close() error { return errors.Join(c.must.close(), closeAll(c.never)) }

// count goes over the numbers.
func (c *counting) count(ctx context.Context) (total int, err error) {
	at := number(0)
	for {
		n, ok := c.must.seek(at)
		if !ok {
			return total, nil
		}
		if c.steps++; c.steps&0x3FF == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		o := n.ordinal()
		if o != c.of {
			next, ok := c.own.next(o)
			if !ok {
				return total, nil
			}
			if next > o {
				at = next.first()
				continue
			}
			leap, err := c.decide(ctx, o)
			if err != nil {
				return 0, err
			}
			if leap {
				at = (o + 1).first()
				continue
			}
			c.of = o
		}
		at = n + 1
		ok, err := c.counts(ctx, n)
		if err != nil {
			return 0, err
		}
		if ok {
			total++
		}
	}
}

// counts reports whether the row with a number is one more.
func (c *counting) counts(ctx context.Context, n number) (bool, error) {
	mark, err := c.mark()
	if err != nil || mark == 0 && !c.in {
		return false, err
	}
	if mark == 0 { // what may be hidden costs nothing before it is admitted
		if c.looked++; c.looked%cheaper == 0 {
			*c.budget--
		}
		if *c.budget < 0 {
			return false, store.ErrTooCostly
		}
	}
	for _, s := range c.never {
		if at, ok := s.seek(n); ok && at == n {
			return false, nil
		}
	}
	if mark == 0 {
		return true, nil
	}
	return c.examine(ctx, n)
}

// decide says whether what has no mark and belongs to somebody exists in the
// edition of the walk, and whether all of it may be passed by.
func (c *counting) decide(ctx context.Context, o ordinal) (leap bool, err error) {
	row := consent.Row{Type: c.q.Type, Home: consent.HomePatients}
	row.Contributor, _ = c.u.Contributor()
	switch {
	case o == ordinalShared:
		row.Home = consent.HomeShared
	case o == ordinalQuarantine:
		row.Home = consent.HomeQuarantine
	case c.own.kind != ownersEverything:
		patient, err := c.view.patientOf(o)
		if err != nil {
			return false, err
		}
		row.Patients = []string{patient}
		d, err := c.u.Decide(ctx, patient)
		if err != nil || d.Excludes(c.q.Type, c.edition) {
			return o < ordinalMax, err
		}
	}
	e, err := c.u.Admit(ctx, row)
	c.in = e == c.edition
	return false, err
}

// patientOf is the id of the patient for whom an ordinal stands.
func (v *view) patientOf(o ordinal) (string, error) {
	value, closer, err := v.src.Get(keyPatient(o))
	if errors.Is(err, pebble.ErrNotFound) {
		return "", errHeader
	}
	if err != nil {
		return "", err
	}
	return string(value), closer.Close()
}

// mark is that of the posting on which the iterator stands.
func (k *keys) mark() (byte, error) { return markAt(k.it) }

func markAt(it *pebble.Iterator) (byte, error) {
	value, err := it.ValueAndErr()
	if err != nil || len(value) == 0 {
		return 0, err
	}
	return value[0], nil
}
