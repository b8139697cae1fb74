package mongo

import (
	"bytes"
	"container/heap"
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// item is a match with its place in the order.
type item struct {
	store.Position
	edition consent.Edition
	id      string // of the document
}

// top keeps the first items of an order that lie behind a position; the last of
// them is on top of the heap.
type top struct {
	order []search.SortKey
	after *store.Position // nil for the beginning
	limit int
	items []item
}

func (t *top) Len() int      { return len(t.items) }
func (t *top) Swap(i, j int) { t.items[i], t.items[j] = t.items[j], t.items[i] }

func (t *top) Less(i, j int) bool {
	return store.Order(t.order, &t.items[i].Position, &t.items[j].Position) > 0
}

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

// offer keeps an item if it is among the first.
func (t *top) offer(one item) {
	if t.after != nil && !t.after.Behind(t.order, &one.Position) {
		return
	}
	if len(t.items) > t.limit {
		if store.Order(t.order, &one.Position, &t.items[0].Position) >= 0 {
			return
		}
		heap.Pop(t)
	}
	heap.Push(t, one)
}

// take is the page of the items and, when there is one more, where it goes on.
func (t *top) take() (items []item, next []byte) {
	slices.SortFunc(t.items, func(a, b item) int { return store.Order(t.order, &a.Position, &b.Position) })
	items = t.items
	if len(items) > t.limit {
		items = items[:t.limit]
		if t.limit > 0 {
			next = items[t.limit-1].Append(nil)
		}
	}
	return items, next
}

// sorted is a page in the order of the query: of every match within the universe
// the servers send the values it sorts by, and the page is read after.
func (s *searching) sorted(ctx context.Context, after *store.Position) (store.Page, error) {
	first := top{order: s.q.Sort, after: after, limit: max(s.p.Limit, 0)}
	total := 0
	err := s.batches(ctx, func(all []branch) (bool, error) {
		return true, s.values(ctx, all, func(one item) error {
			if total++; total > s.v.db.opt.ScanBudget {
				return store.ErrTooCostly
			}
			first.offer(one)
			return nil
		})
	})
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Total: -1}
	if s.p.Count {
		page.Total = total
	}
	var items []item
	items, page.Next = first.take()
	page.Found, err = s.fetch(ctx, items)
	return page, err
}

// values hands out the matches of some branches with what they sort by.
func (s *searching) values(ctx context.Context, all []branch, each func(item) error) error {
	var entries search.Entries
	var encoded search.Encoded
	place := func(d *document, e consent.Edition) error {
		encoded = encode(&entries, d.Entries, encoded)
		return each(item{Position: store.Position{Keys: sortValues(encoded, s.q.Sort), ID: d.id()}, edition: e, id: d.ID})
	}
	s.fields = s.lean(sortParams(s.q.Sort)...)
	if len(s.residual) > 0 {
		return s.stream(ctx, all, 0, func(d *document, e consent.Edition) (bool, error) { return true, place(d, e) })
	}
	for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
		if err := s.valuesOf(ctx, all, e, place); err != nil {
			return err
		}
	}
	return nil
}

// valuesOf are those of one edition, in no order.
func (s *searching) valuesOf(ctx context.Context, all []branch, e consent.Edition, each func(*document, consent.Edition) error) error {
	f, hint := s.filter(all, s.clauses, e, nil, (*branch).all)
	if f == nil {
		return nil
	}
	in, err := s.v.within(ctx)
	if err != nil {
		return err
	}
	stages := bson.A{is("$match", f)}
	if !anyLoose(all) { // else what does not exist would take up the room of what does
		stages = append(stages, is("$limit", s.v.db.opt.ScanBudget+1))
	}
	cur, err := s.v.db.collection(collectionOf(e)).Aggregate(in, append(stages, is("$project", s.fields)), options.Aggregate().SetHint(hint))
	if err != nil {
		return clean(err)
	}
	defer func() { _ = cur.Close(context.WithoutCancel(in)) }()
	for cur.Next(in) {
		var d document
		if err := cur.Decode(&d); err != nil {
			return clean(err)
		}
		ok, err := s.exists(ctx, &d, e)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := each(&d, e); err != nil {
			return err
		}
	}
	return clean(cur.Err())
}

func sortParams(keys []search.SortKey) []search.Param {
	all := make([]search.Param, len(keys))
	for i, k := range keys {
		all[i] = k.Param
	}
	return all
}

// encode makes the entries of a document those that package search reads.
func encode(e *search.Entries, from []string, dst search.Encoded) search.Encoded {
	e.Reset()
	for _, s := range from {
		if p := paramOf(s); p < paramContributor {
			e.Add(p, value(s))
		}
	}
	e.Sort()
	return e.AppendBinary(dst[:0])
}

func sortValues(e search.Encoded, keys []search.SortKey) []store.SortValue {
	values := make([]store.SortValue, len(keys))
	for i, k := range keys {
		v, ok := search.SortValue(e, k)
		values[i] = store.SortValue{Has: ok, Value: bytes.Clone(v)}
	}
	return values
}

// fetch reads the items whole, in their order.
func (s *searching) fetch(ctx context.Context, items []item) ([]store.Found, error) {
	in, err := s.v.within(ctx)
	if err != nil {
		return nil, err
	}
	at := [consent.EditionBasic + 1]map[string]int{}
	for i, one := range items {
		if at[one.edition] == nil {
			at[one.edition] = map[string]int{}
		}
		at[one.edition][one.id] = i
	}
	found := make([]store.Found, len(items))
	for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
		if len(at[e]) == 0 {
			continue
		}
		ids := make([]string, 0, len(at[e]))
		for id := range at[e] {
			ids = append(ids, id)
		}
		docs, err := find(in, s.v.db.collection(collectionOf(e)), among("_id", ids), options.Find().SetProjection(bare()))
		if err != nil {
			return nil, err
		}
		for i := range docs {
			n := at[e][docs[i].ID]
			found[n] = docs[i].found(s.q.Type, docs[i].id(), e)
			found[n].Keys = items[n].Keys
		}
	}
	return found, nil
}
