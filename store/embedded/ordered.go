package embedded

import (
	"bytes"
	"context"
	"errors"
	"math"

	"vitrine/fhir/search"
	"vitrine/store"
)

// fewLed and fewRows are how many rows are gathered and sorted without looking
// for another way: led by a clause, or all there are.
const (
	fewLed  = 1 << 14
	fewRows = 1 << 10
)

// orderable reports whether the postings of the first sort key may be followed. In
// universes of some patients they are not: they go through all patients, and
// how many others come before those would show in the time.
func (s *searching) orderable() bool {
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
	m, err := s.walks(ctx, 0, &s.budget)
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

// follow reads the page from the postings of the first sort key, in their order,
// and then from the rows that have none. What has the same value of that key is
// read whole and put into the order of the other keys and of ids.
func (s *searching) follow(ctx context.Context, page *store.Page) error {
	o, err := s.ordered(ctx)
	if err != nil {
		return err
	}
	var items []item
	for len(items) <= s.p.Limit && err == nil {
		var some []item
		some, err = o.group(ctx, s.p.Limit+1-len(items))
		if err != nil || o.ended {
			break
		}
		items = append(items, some...)
	}
	if errors.Is(err, store.ErrTooCostly) && len(items) >= s.p.Limit {
		// The page is whole; whether another follows is for that one to say.
		page.Next = items[s.p.Limit-1].at.Append(nil)
		err = nil
	}
	s.explain(page, "follow the first sort key of", o.m)
	if err := errors.Join(err, o.close()); err != nil {
		return err
	}
	return s.turn(items, page)
}

// ordered goes over the matches in the order of the first sort key.
type ordered struct {
	s     *searching
	key   search.SortKey
	runs  []*run
	m     *walks // examines what the runs lead to, and gives what has no value
	rest  bool   // the runs are at their end
	none  bool   // what has no value does not match
	ended bool
	value []byte // of the group
}

func (s *searching) ordered(ctx context.Context) (*ordered, error) {
	o := &ordered{s: s, key: s.q.Sort[0]}
	spans, met := s.spans()
	o.none = met
	o.rest = s.after != nil && !s.after.Keys[0].Has
	var err error
	if met && len(s.q.Clauses) == 1 {
		o.m, err = s.unplanned(ctx, 0, &s.budget) // the spans are all there is to plan
	} else {
		o.m, err = s.walks(ctx, 0, &s.budget)
	}
	if err != nil || o.rest {
		return o, o.failed(err)
	}
	for _, w := range o.m.parts {
		single, err := s.single(w.edition)
		if err != nil {
			return o, o.failed(err)
		}
		for _, tag := range []byte(o.key.Tags()) {
			r := &run{w: w, key: o.key}
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

// open starts a run at the value of the page's position.
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
	if o.s.after != nil {
		from = prefixValue(nil, w.edition, o.key.Param, w.t, append([]byte{tag}, o.s.after.Keys[0].Value...))
	}
	switch {
	case from == nil && o.key.Descending:
		r.live = it.Last()
	case from == nil:
		r.live = it.First()
	case o.key.Descending:
		r.live = it.SeekLT(after(from))
	default:
		r.live = it.SeekGE(from)
	}
	return r.stand()
}

// group gives the first matches, so many at most, that lie behind the page's
// position and have the next value; it may be none.
func (o *ordered) group(ctx context.Context, most int) ([]item, error) {
	first := top{order: o.s.q.Sort, most: most}
	r := o.foremost()
	if o.rest || r == nil {
		err := o.valueless(ctx, &first)
		o.ended = err == nil && len(first.items) == 0
		return first.sorted(), err
	}
	o.value = append(o.value[:0], r.value...)
	for ; r != nil && bytes.Equal(r.value, o.value); r = o.foremost() {
		if r.w.steps++; r.w.steps&0xFF == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		ok, err := o.examine(ctx, r)
		if err != nil {
			return nil, err
		}
		if ok {
			// A row with several values is met at each of them and given at the one by
			// which it sorts.
			if v, _ := search.SortValue(r.w.entries, o.key); bytes.Equal(v, r.value) && !first.has(r.w) {
				first.offer(r.w, o.s.after)
			}
		}
		r.step()
		if err := r.stand(); err != nil {
			return nil, err
		}
	}
	return first.sorted(), nil
}

// has reports whether the row is kept already, which was met at the same value of
// another tag.
func (t *top) has(w *walk) bool {
	for i := range t.items {
		if t.items[i].n == w.n {
			return true
		}
	}
	return false
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

// valueless gives the matches that have no value: once, as all must be looked at.
func (o *ordered) valueless(ctx context.Context, first *top) error {
	if o.none {
		return nil
	}
	o.none, o.rest = true, true
	for _, w := range o.m.parts {
		w.at = 0
	}
	for {
		w, err := o.m.next(ctx)
		if w == nil || err != nil {
			return err
		}
		if _, has := search.SortValue(w.entries, o.key); !has {
			first.offer(w, o.s.after)
		}
	}
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
