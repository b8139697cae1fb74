package embedded

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"slices"

	"vitrine/fhir/search"
	"vitrine/store"
)

// top keeps the first items of an order, so many at most; the last of them is on
// top of the heap.
type top struct {
	order []search.SortKey
	most  int
	items []item
	probe store.Position
}

func (t *top) Len() int { return len(t.items) }

func (t *top) Less(i, j int) bool { return t.compare(&t.items[i], &t.items[j]) > 0 }

func (t *top) Swap(i, j int) { t.items[i], t.items[j] = t.items[j], t.items[i] }

func (t *top) compare(a, b *item) int { return store.Order(t.order, &a.at, &b.at) }

// Push implements heap.Interface.
func (t *top) Push(x any) {
	if one, ok := x.(item); ok {
		t.items = append(t.items, one)
	}
}

// Pop implements heap.Interface.
func (t *top) Pop() any {
	last := t.items[len(t.items)-1]
	t.items = t.items[:len(t.items)-1]
	return last
}

// offer takes the row on which a walk stands, if it lies behind a position and
// comes before the last of those kept.
func (t *top) offer(w *walk, behind *store.Position) {
	at := &t.probe
	at.ID, at.Keys = w.head.id, at.Keys[:0]
	for _, k := range t.order {
		v, ok := search.SortValue(w.entries, k)
		at.Keys = append(at.Keys, store.SortValue{Has: ok, Value: v})
	}
	if behind != nil && !behind.Behind(t.order, at) {
		return
	}
	if len(t.items) >= t.most {
		if store.Order(t.order, at, &t.items[0].at) >= 0 {
			return
		}
		heap.Pop(t)
	}
	// The values are the engine's.
	own := store.Position{ID: at.ID, Keys: slices.Clone(at.Keys)}
	for i := range own.Keys {
		own.Keys[i].Value = bytes.Clone(own.Keys[i].Value)
	}
	heap.Push(t, w.item(own))
}

// sorted are the items in their order.
func (t *top) sorted() []item {
	slices.SortFunc(t.items, func(a, b item) int { return t.compare(&a, &b) })
	return t.items
}

// bySort gives a page in the order of the query. Either way of finding it gives
// the same page.
func (s *searching) bySort(ctx context.Context, page *store.Page) error {
	if s.p.Limit <= 0 {
		return s.countOnly(ctx, page)
	}
	if !s.orderable() {
		return s.gather(ctx, page)
	}
	total := -1
	if s.p.Count {
		var ok bool
		var err error
		if total, ok, err = s.tally(ctx); err != nil {
			return err
		}
		if !ok {
			return s.gather(ctx, page)
		}
		s.p.Count = false
	}
	if done, err := s.recent(ctx, page); done || err != nil && !errors.Is(err, store.ErrTooCostly) {
		page.Total = total
		return err
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
		err = way(ctx, page)
		if page.Total = total; total >= 0 {
			s.explainTally(page)
		}
		if !errors.Is(err, store.ErrTooCostly) {
			break
		}
	}
	return err
}

// gather looks at every match and keeps those of the page.
func (s *searching) gather(ctx context.Context, page *store.Page) error {
	m, err := s.walks(ctx, 0, &s.budget)
	if err != nil {
		return err
	}
	first := top{order: s.q.Sort, most: s.p.Limit + 1}
	total := 0
	for {
		w, e := m.next(ctx)
		if err = e; w == nil || err != nil {
			break
		}
		total++
		first.offer(w, s.after)
	}
	s.explain(page, "sort all of", m)
	if err := errors.Join(err, m.close()); err != nil {
		return err
	}
	if s.p.Count {
		page.Total = total
	}
	return s.turn(first.sorted(), page)
}

// turn makes the page of its items and, when there is one, the item after it.
func (s *searching) turn(items []item, page *store.Page) error {
	more := len(items) > s.p.Limit
	if more {
		items = items[:s.p.Limit]
	}
	if more {
		page.Next = items[s.p.Limit-1].at.Append(nil)
	}
	return s.read(items, page)
}
