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
	place
	edition consent.Edition
	id      string // of the document
}

// top keeps the first items of an order; the last of them is on top of the heap.
type top struct {
	order []search.SortKey
	items []item
}

func (t *top) Len() int           { return len(t.items) }
func (t *top) Less(i, j int) bool { return t.compare(&t.items[i].place, &t.items[j].place) > 0 }
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
// and then by position, in the direction of the first key.
func (t *top) compare(a, b *place) int {
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
	c := bytes.Compare(a.n, b.n)
	if len(t.order) > 0 && t.order[0].Descending && a.keys[0].has {
		return -c
	}
	return c
}

// offer keeps an item if it is among the first behind a place.
func (t *top) offer(one item, after *place, limit int) {
	if after.set && t.compare(&one.place, after) <= 0 {
		return
	}
	if len(t.items) > limit {
		if t.compare(&one.place, &t.items[0].place) >= 0 {
			return
		}
		heap.Pop(t)
	}
	heap.Push(t, one)
}

// take is the page of the items and, when there is one more, where it goes on.
func (t *top) take(limit int) (items []item, next []byte) {
	slices.SortFunc(t.items, func(a, b item) int { return t.compare(&a.place, &b.place) })
	items = t.items
	if len(items) > limit {
		items = items[:limit]
		if limit > 0 {
			next = items[limit-1].append(nil)
		}
	}
	return items, next
}

// sorted is a page in the order of the query: of every match within the universe
// the servers send the values it sorts by, and the page is read after.
func (s *searching) sorted(ctx context.Context) (store.Page, error) {
	first := top{order: s.q.Sort}
	total := 0
	err := s.batches(ctx, func(all []branch) (bool, error) {
		for _, e := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
			err := s.values(ctx, all, e, func(one item) error {
				if total++; total > s.budget {
					return store.ErrTooCostly
				}
				first.offer(one, &s.after, s.p.Limit)
				return nil
			})
			if err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Total: -1}
	if s.p.Count {
		page.Total = total
	}
	var items []item
	items, page.Next = first.take(s.p.Limit)
	page.Found, err = s.fetch(ctx, items)
	return page, err
}

// values hands out the matches of one edition with what they sort by.
func (s *searching) values(ctx context.Context, all []branch, e consent.Edition, each func(item) error) error {
	f, hint := s.filter(all, e, nil, (*branch).all)
	if f == nil {
		return nil
	}
	in, err := s.v.within(ctx)
	if err != nil {
		return err
	}
	stages := bson.A{is("$match", f)}
	if !anyLoose(all) { // else what does not exist would take up the room of what does
		stages = append(stages, is("$limit", s.budget+1))
	}
	cur, err := s.v.db.collection(collectionOf(e)).Aggregate(in, append(stages, is("$project", sortProjection(s.q.Sort))), options.Aggregate().SetHint(hint))
	if err != nil {
		return clean(err)
	}
	defer func() { _ = cur.Close(context.WithoutCancel(in)) }()
	var entries search.Entries
	var encoded search.Encoded
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
		encoded = encode(&entries, d.Entries, encoded)
		if err := each(item{place: place{keys: sortValues(encoded, s.q.Sort), n: d.N}, edition: e, id: d.ID}); err != nil {
			return err
		}
	}
	return clean(cur.Err())
}

// sortProjection keeps of the entries those of the parameters that sort.
func sortProjection(keys []search.SortKey) bson.D {
	var any bson.A
	for _, k := range keys {
		any = append(any, is("$and", bson.A{
			is("$gte", bson.A{"$$e", is("$literal", entry(k.Param))}),
			is("$lt", bson.A{"$$e", is("$literal", beyond(k.Param, nil))}),
		}))
	}
	return bson.D{
		{Key: "n", Value: 1},
		{Key: "p", Value: 1},
		{Key: "k", Value: 1},
		{Key: "w", Value: 1},
		{Key: "o", Value: 1},
		{Key: "l", Value: 1},
		{Key: "c", Value: 1},
		{Key: "x", Value: is("$filter", bson.D{{Key: "input", Value: "$x"}, {Key: "as", Value: "e"}, {Key: "cond", Value: is("$or", any)}})},
	}
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

func sortValues(e search.Encoded, keys []search.SortKey) []sortValue {
	values := make([]sortValue, len(keys))
	for i, k := range keys {
		v, ok := search.SortValue(e, k)
		values[i] = sortValue{has: ok, value: bytes.Clone(v)}
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
			found[at[e][docs[i].ID]] = docs[i].found(s.q.Type, docs[i].id(), e)
		}
	}
	return found, nil
}
