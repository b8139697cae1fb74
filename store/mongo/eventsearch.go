package mongo

import (
	"bytes"
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/events"
)

// seeking is one page of events under way. Who reads everything is led by
// postings; a patient's are few, and looked at one by one in the edition that is
// for patients, of which there are no postings.
type seeking struct {
	*searching
	conditions []bson.D
	// index is the one that serves the conditions; nil for that of _id.
	index   bson.D
	exact   bool // the conditions say all of the clauses
	never   bool
	maker   *events.Maker
	encoded search.Encoded
}

func (s *searching) eventPage(ctx context.Context) (store.Page, error) {
	page := store.Page{Total: -1}
	if s.p.Count {
		page.Total = 0
	}
	if s.after.set && len(s.after.n) != eventPosition {
		return page, store.ErrBadCursor
	}
	if s.v.db.events == nil {
		return page, nil
	}
	k := seeking{searching: s, index: byPlace(), exact: true, maker: s.v.db.events.NewMaker()}
	if s.u.IsEverything() {
		k.lead()
	} else if err := k.confine(ctx); err != nil {
		return store.Page{}, err
	}
	if k.never {
		return page, nil
	}
	if descending, ok := k.chronological(); ok {
		return k.inTime(ctx, descending)
	}
	return k.gathered(ctx)
}

// inTime is a page in the order of time, or against it.
func (k *seeking) inTime(ctx context.Context, descending bool) (store.Page, error) {
	page := store.Page{Total: -1}
	var last []byte
	more := false
	if k.p.Limit > 0 || !k.p.Count {
		budget := k.budget
		err := k.each(ctx, k.after.n, descending, func(e *event, edition consent.Edition, holds bool) (bool, error) {
			if budget--; budget < 0 {
				return false, store.ErrTooCostly
			}
			if !holds {
				return true, nil
			}
			if more = len(page.Found) >= k.p.Limit; more {
				return false, nil
			}
			d := e.document(edition)
			page.Found, last = append(page.Found, d.found(typeAuditEvent, e.id, edition)), e.n
			return true, nil
		})
		if err != nil {
			return store.Page{}, err
		}
	}
	if more && k.p.Limit > 0 {
		page.Next = place{keys: make([]sortValue, len(k.q.Sort)), n: last}.append(nil)
	}
	if !k.p.Count {
		return page, nil
	}
	if !more && !k.after.set && k.p.Limit > 0 {
		page.Total = len(page.Found)
		return page, nil
	}
	var err error
	page.Total, err = k.count(ctx)
	return page, err
}

func (k *seeking) count(ctx context.Context) (int, error) {
	total, budget := 0, k.budget
	if k.exact && k.u.IsEverything() && k.plain(ctx) {
		in, err := k.v.within(ctx)
		if err != nil {
			return 0, err
		}
		o := options.Count().SetLimit(int64(k.budget) + 1)
		if k.index != nil {
			o.SetHint(k.index)
		}
		n, err := k.v.db.collection(collEvents).CountDocuments(in, allOf(append(k.conditions, is("n", is("$gt", unreadable())))), o)
		if err == nil && n > int64(k.budget) {
			return 0, store.ErrTooCostly
		}
		return int(n), clean(err)
	}
	err := k.each(ctx, nil, false, func(_ *event, _ consent.Edition, holds bool) (bool, error) {
		if budget--; budget < 0 {
			return false, store.ErrTooCostly
		}
		if holds {
			total++
		}
		return true, nil
	})
	return total, err
}

// unreadable is a place behind all records that cannot be read, which lie before
// the events.
func unreadable() []byte {
	return append(make([]byte, 8), bytes.Repeat([]byte{0xFF}, eventPosition-8)...)
}

// plain reports whether every event exists in the universe, with a patient and
// without.
func (k *seeking) plain(ctx context.Context) bool {
	for _, r := range []consent.Row{
		{Type: typeAuditEvent, Home: consent.HomeQuarantine}, {Type: typeAuditEvent, Home: consent.HomePatients},
	} {
		if e, err := k.u.Admit(ctx, r); err != nil || e != consent.EditionFull {
			return false
		}
	}
	return true
}

// gathered is a page in an order of its own: every event is looked at.
func (k *seeking) gathered(ctx context.Context) (store.Page, error) {
	first, total, budget := top{order: k.q.Sort}, 0, k.budget
	err := k.each(ctx, nil, false, func(e *event, edition consent.Edition, holds bool) (bool, error) {
		if budget--; budget < 0 {
			return false, store.ErrTooCostly
		}
		if holds {
			total++
			first.offer(item{place: place{keys: sortValues(k.encoded, k.q.Sort), n: e.n}, edition: edition, id: e.id}, &k.after, k.p.Limit)
		}
		return true, nil
	})
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Total: -1}
	if k.p.Count {
		page.Total = total
	}
	var items []item
	items, page.Next = first.take(k.p.Limit)
	for _, one := range items {
		in, err := k.v.within(ctx)
		if err != nil {
			return store.Page{}, err
		}
		d, e, err := k.v.admitEvent(in, k.u, one.id)
		if err != nil {
			return store.Page{}, err
		}
		page.Found = append(page.Found, d.found(typeAuditEvent, one.id, e))
	}
	return page, nil
}

// each goes over the events that exist in the universe, and says whether they
// satisfy the query. They are read some at a time, so that no cursor is left
// open on the servers.
func (k *seeking) each(ctx context.Context, after []byte, descending bool, use func(e *event, edition consent.Edition, holds bool) (bool, error)) error {
	direction, beyond := 1, "$gt"
	if descending {
		direction, beyond = -1, "$lt"
	}
	chunk := min(max(k.p.Limit+1, 100), mostRows)
	o := options.Find().SetSort(is("n", direction)).SetProjection(bson.D{{Key: "n", Value: 1}, {Key: "r", Value: 1}}).
		SetLimit(int64(chunk)).SetBatchSize(int32(chunk) + 1) //nolint:gosec // small
	if k.index != nil {
		o.SetHint(k.index)
	}
	for {
		in, err := k.v.within(ctx)
		if err != nil {
			return err
		}
		conditions := append(k.conditions[:len(k.conditions):len(k.conditions)], bson.D{})
		if len(after) > 0 {
			conditions = append(conditions, is("n", is(beyond, after)))
		}
		cur, err := k.v.db.collection(collEvents).Find(in, allOf(conditions), o)
		if err != nil {
			return clean(err)
		}
		var docs []eventDocument
		if err := cur.All(in, &docs); err != nil {
			return clean(err)
		}
		for i := range docs {
			if more, err := k.examine(ctx, &docs[i], use); err != nil || !more {
				return err
			}
		}
		if len(docs) < chunk {
			return nil
		}
		after = docs[chunk-1].N
	}
}

// examine admits an event first and asks what is in it after.
func (k *seeking) examine(ctx context.Context, d *eventDocument, use func(e *event, edition consent.Edition, holds bool) (bool, error)) (more bool, err error) {
	one, err := d.event()
	if err != nil {
		return true, nil //nolint:nilerr // it was reported when it came
	}
	e, err := k.u.Admit(ctx, one.row)
	if err != nil || e == 0 {
		return err == nil, err
	}
	holds := true
	if !k.exact || len(k.q.Sort) > 1 || len(k.q.Sort) == 1 && !k.v.db.events.Chronological(k.q.Sort[0].Param) {
		if k.encoded, err = k.maker.Entries(k.encoded, &one.ev, one.id, e); err != nil {
			return false, err
		}
		holds = k.q.Matches(k.encoded)
	}
	return use(&one, e, holds)
}
