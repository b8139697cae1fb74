package embedded

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"

	"vitrine/fhir/search"
	"vitrine/store"
)

// top keeps the first items of an order; the last of them is on top of the heap.
type top struct {
	order []search.SortKey
	items []item
}

func (t *top) Len() int           { return len(t.items) }
func (t *top) Less(i, j int) bool { return t.compare(t.items[i].position, t.items[j].position) > 0 }
func (t *top) Swap(i, j int)      { t.items[i], t.items[j] = t.items[j], t.items[i] }

func (t *top) Push(x any) {
	if one, ok := x.(item); ok {
		t.items = append(t.items, one)
	}
}

func (t *top) Pop() any {
	last := t.items[len(t.items)-1]
	t.items = t.items[:len(t.items)-1]
	return last
}

// compare orders by the sort keys, what has no value last in either direction,
// and then by number, in the direction of the first key. It is the order of the
// postings of one key, so that one page may be read from them and the next
// gathered. A number is drawn from the patient's id and counts the rows that
// came; what a caller cannot see has no part in the order of what he can.
func (t *top) compare(a, b position) int {
	for i, k := range t.order {
		x, y := a.keys[i], b.keys[i]
		if x.has != y.has {
			if x.has {
				return -1
			}
			return 1
		}
		if c := bytes.Compare(x.value, y.value); c != 0 {
			if k.Descending {
				return -c
			}
			return c
		}
	}
	if len(t.order) > 0 && t.order[0].Descending && a.keys[0].has {
		return cmp.Compare(b.n, a.n)
	}
	return cmp.Compare(a.n, b.n)
}

// bySort gives a page in the order of the query. Either way of finding it gives
// the same page.
func (s *searching) bySort(ctx context.Context, page *store.Page) error {
	if !s.orderable() {
		return s.gather(ctx, page)
	}
	ways := [2]func(context.Context, *store.Page) error{s.gather, s.follow}
	many, err := s.many(ctx)
	if err != nil {
		return err
	}
	if many {
		ways[0], ways[1] = ways[1], ways[0]
	}
	for _, way := range ways {
		*page, s.budget = store.Page{Total: -1}, s.view.db.opt.ScanBudget
		if err = way(ctx, page); !errors.Is(err, store.ErrTooCostly) {
			break
		}
	}
	return err
}

// gather looks at every match and keeps those of the page.
func (s *searching) gather(ctx context.Context, page *store.Page) error {
	m, err := s.view.newWalks(ctx, s.t, s.u, s.q, 0, &s.budget)
	if err != nil {
		return err
	}
	first := top{order: s.q.Sort}
	total, err := s.collect(ctx, m, &first)
	if err := errors.Join(err, m.close()); err != nil {
		return err
	}
	if s.p.Count {
		page.Total = total
	}
	slices.SortFunc(first.items, func(a, b item) int { return first.compare(a.position, b.position) })
	return s.turn(first.items, page)
}

// turn makes the page of its items and, when there is one, the item after it.
func (s *searching) turn(items []item, page *store.Page) error {
	more := len(items) > s.p.Limit
	if more {
		items = items[:s.p.Limit]
	}
	if more && s.p.Limit > 0 {
		page.Next = items[s.p.Limit-1].append(nil)
	}
	return s.read(items, page)
}

func (s *searching) collect(ctx context.Context, m *walks, first *top) (total int, err error) {
	at := position{keys: make([]sortValue, len(s.q.Sort))}
	for {
		w, err := m.next(ctx)
		if w == nil || err != nil {
			return total, err
		}
		total++
		at.n = w.n
		for i, k := range s.q.Sort {
			v, ok := search.SortValue(w.entries, k)
			at.keys[i] = sortValue{has: ok, value: v}
		}
		if s.after.set && first.compare(at, s.after) <= 0 {
			continue
		}
		if len(first.items) > s.p.Limit {
			if first.compare(at, first.items[0].position) >= 0 {
				continue
			}
			heap.Pop(first)
		}
		heap.Push(first, w.item(at.clone()))
	}
}

// clone copies the values, which are the engine's.
func (p position) clone() position {
	p.keys = slices.Clone(p.keys)
	for i := range p.keys {
		p.keys[i].value = bytes.Clone(p.keys[i].value)
	}
	return p
}
