package embedded

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"

	"vitrine/fhir/search"
	"vitrine/store"
)

// fewLed and fewRows are how many rows are gathered and sorted without looking
// for another way: led by a clause, or all there are.
const (
	fewLed  = 1 << 14
	fewRows = 1 << 10
)

// orderable reports whether the postings of the one sort key may be followed. In
// universes of some patients they are not: they go through all patients, and
// how many others come before those would show in the time.
func (s *searching) orderable() bool {
	if len(s.q.Sort) != 1 || s.p.Count || s.p.Limit <= 0 {
		return false
	}
	if _, own := s.u.Contributor(); own || (s.q.Type == typeAuditEvent && !s.q.Sort[0].Range) {
		return false // few of the parameters of events have postings
	}
	_, listed := s.u.Patients()
	_, linked := s.u.Links()
	return !listed && !linked
}

// many reports whether it is better to follow the order of the postings than to
// gather the matches. A universe in which patients are decided gathers as long
// as it may, since the rows it passes by in another order are not its own.
func (s *searching) many(ctx context.Context) (bool, error) {
	if !s.u.IsEverything() {
		return false, nil
	}
	if spans, met := s.spans(); met && len(s.q.Clauses) == 1 && spans != nil {
		return true, nil
	}
	m, err := s.view.newWalks(ctx, s.t, s.u, s.q, 0, &s.budget)
	if err != nil {
		return false, err
	}
	left := fewRows
	for _, w := range m.parts {
		if w.driver != nil && s.q.Type != typeAuditEvent { // the entries of an event are made anew
			left = fewLed
		}
	}
	for _, w := range m.parts {
		for left > 0 {
			n, ok := w.lead()
			if !ok {
				break
			}
			w.at = n + 1
			left--
		}
	}
	return left <= 0, m.close()
}

// follow reads the page from the postings of the sort key, in their order, and
// then from the rows that have none.
func (s *searching) follow(ctx context.Context, page *store.Page) error {
	o, err := s.ordered(ctx)
	if err != nil {
		return err
	}
	var items []item
	for len(items) <= s.p.Limit && err == nil {
		var one item
		var ok bool
		if one, ok, err = o.next(ctx); !ok {
			break
		}
		items = append(items, one)
	}
	if errors.Is(err, store.ErrTooCostly) && len(items) == s.p.Limit {
		// The page is whole; whether another follows is for that one to say.
		page.Next = items[s.p.Limit-1].append(nil)
		err = nil
	}
	if err := errors.Join(err, o.close()); err != nil {
		return err
	}
	return s.turn(items, page)
}

// ordered goes over the matches in the order of one sort key.
type ordered struct {
	s    *searching
	key  search.SortKey
	runs []*run
	m    *walks // examines what the runs lead to, and gives what has no value
	rest bool   // the runs are at their end
	last position
	none bool // what has no value does not match
}

// run is a stretch of the postings of one tag, forwards or backwards.
type run struct {
	w      *walk
	it     postings
	prefix int // length of what stands before the value
	buf    []byte
	live   bool
	value  []byte // without its tag
	n      number
	// within are the clauses that the value must satisfy, as it is the only one
	// of its row; passed counts the values that did not.
	within []search.Clause
	passed int
}

// cheaper is how many postings may be passed by for the price of a row.
const cheaper = 16

func (s *searching) ordered(ctx context.Context) (*ordered, error) {
	o := &ordered{s: s, key: s.q.Sort[0]}
	spans, met := s.spans()
	o.none = met
	start := number(0)
	if s.after.set && !s.after.keys[0].has {
		o.rest, start = true, s.after.n+1
	}
	var err error
	walks := s.view.newWalks
	if met && len(s.q.Clauses) == 1 {
		walks = s.view.unplanned // the spans are all there is to plan
	}
	if o.m, err = walks(ctx, s.t, s.u, s.q, start, &s.budget); err != nil || o.rest {
		return o, o.failed(err)
	}
	for _, w := range o.m.parts {
		single, err := s.single(w.edition)
		if err != nil {
			return o, o.failed(err)
		}
		for _, tag := range []byte(o.key.Tags()) {
			r := &run{w: w}
			within, ok := span{high: math.MaxUint64}, true
			if single && spans != nil {
				within, ok = spans[tag]
				r.within = s.ranges()
			}
			if !ok {
				continue
			}
			if err := o.open(r, tag, within); err != nil {
				return o, o.failed(err)
			}
		}
	}
	return o, nil
}

// failed closes what was begun.
func (o *ordered) failed(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(err, o.close())
}

func (o *ordered) close() error {
	var err error
	if o.m != nil {
		err = o.m.close()
	}
	for _, r := range o.runs {
		err = errors.Join(err, r.it.Close())
	}
	return err
}

// open starts a run after the position of the page.
func (o *ordered) open(r *run, tag byte, within span) error {
	w := r.w
	lower, upper := within.bounds(append(prefixPostings(nil, w.edition, o.key.Param, w.t), tag), o.key)
	it, err := w.view.postingsOf(w.edition, w.t, o.key.Param, lower, upper)
	if err != nil {
		return err
	}
	r.it, r.prefix = it, len(prefixPostings(nil, w.edition, o.key.Param, w.t))
	o.runs = append(o.runs, r)
	var from []byte
	if o.s.after.set {
		value := append([]byte{tag}, o.s.after.keys[0].value...)
		from = appendNumber(prefixValue(nil, w.edition, o.key.Param, w.t, value), o.s.after.n)
	}
	switch {
	case from == nil && o.key.Descending:
		r.live = it.Last()
	case from == nil:
		r.live = it.First()
	case o.key.Descending:
		r.live = it.SeekLT(from)
	default:
		// The smallest key behind the one of the position.
		r.live = it.SeekGE(append(from, 0))
	}
	return o.stand(r)
}

// stand reads where a run stands; what does not sort is passed by.
func (o *ordered) stand(r *run) error {
	for r.live {
		value, n, err := cutPosting(r.it.Key()[r.prefix:], r.buf)
		if err != nil {
			return err
		}
		r.buf = value
		var ok bool
		if r.value, ok = o.key.Cut(value); ok && r.accepts(value) {
			r.n = n
			return nil
		}
		if r.passed++; r.passed%cheaper == 0 {
			if *r.w.budget--; *r.w.budget < 0 {
				return store.ErrTooCostly
			}
		}
		o.step(r)
	}
	return r.it.Error()
}

func (r *run) accepts(value []byte) bool {
	for _, c := range r.within {
		if !slices.ContainsFunc(c.Any, func(m search.Match) bool { return m.Accepts(value) }) {
			return false
		}
	}
	return true
}

func (o *ordered) step(r *run) {
	if o.key.Descending {
		r.live = r.it.Prev()
	} else {
		r.live = r.it.Next()
	}
}

// next gives the next match. A row with several values is met at each of them
// and given at the one by which it sorts.
func (o *ordered) next(ctx context.Context) (item, bool, error) {
	for !o.rest {
		r := o.foremost()
		if r == nil {
			o.rest = true
			for _, w := range o.m.parts {
				w.at = 0
			}
			break
		}
		if r.w.steps++; r.w.steps&0xFF == 0 && ctx.Err() != nil {
			return item{}, false, ctx.Err()
		}
		ok, err := o.examine(ctx, r)
		if err != nil {
			return item{}, false, err
		}
		var one item
		if ok {
			v, _ := search.SortValue(r.w.entries, o.key)
			ok, one = bytes.Equal(v, r.value) && !o.given(r), r.w.sorted(sortValue{has: true, value: bytes.Clone(r.value)})
		}
		if ok {
			o.last = one.position
		}
		o.step(r)
		if err := o.stand(r); ok || err != nil {
			return one, ok, err
		}
	}
	return o.valueless(ctx)
}

// examine looks at the row that a run stands on, unless the clauses rule it out.
func (o *ordered) examine(ctx context.Context, r *run) (bool, error) {
	if r.w.driver != nil {
		if n, ok := r.w.driver.seek(r.n); !ok || n != r.n {
			return false, nil
		}
	}
	return r.w.examine(ctx, r.n)
}

// given reports whether the row was given at the same value of another tag.
func (o *ordered) given(r *run) bool {
	return len(o.last.keys) > 0 && o.last.n == r.n && bytes.Equal(o.last.keys[0].value, r.value)
}

// valueless gives the next match that has no value.
func (o *ordered) valueless(ctx context.Context) (item, bool, error) {
	if o.none {
		return item{}, false, nil
	}
	for {
		w, err := o.m.next(ctx)
		if w == nil || err != nil {
			return item{}, false, err
		}
		if _, has := search.SortValue(w.entries, o.key); !has {
			return w.sorted(sortValue{}), true, nil
		}
	}
}

// sorted is the row on which the walk stands, at its value.
func (w *walk) sorted(key sortValue) item {
	return w.item(position{keys: []sortValue{key}, n: w.n})
}

// foremost is the run that comes first; nil at the end of all.
func (o *ordered) foremost() *run {
	var best *run
	for _, r := range o.runs {
		if r.live && (best == nil || o.before(r, best)) {
			best = r
		}
	}
	return best
}

func (o *ordered) before(a, b *run) bool {
	c := bytes.Compare(a.value, b.value)
	if c == 0 {
		return (a.n < b.n) != o.key.Descending
	}
	return (c < 0) != o.key.Descending
}
