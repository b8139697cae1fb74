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
	index bson.D
	exact bool // the conditions say all of the clauses
	never bool
	// entered says that the entries of each event are wanted.
	entered bool
	maker   *events.Maker
}

// seen is an event of the universe.
type seen struct {
	event
	edition consent.Edition
	entries search.Encoded // when they are wanted
}

// seek finds out how to go about a search of events; nil when it finds none.
func (s *searching) seek(ctx context.Context) (*seeking, error) {
	if s.v.db.events == nil {
		return nil, nil //nolint:nilnil // there is nothing to seek
	}
	if err := s.lead(ctx, s.q.Clauses); err != nil {
		return nil, err
	}
	k := &seeking{searching: s, index: byPlace(), exact: true, maker: s.v.db.events.NewMaker()}
	if s.u.IsEverything() {
		k.leadAll(s.q.Clauses)
	} else if err := k.confine(ctx); err != nil {
		return nil, err
	}
	k.toldEvents()
	if k.never {
		return nil, nil //nolint:nilnil // there is nothing to seek
	}
	return k, nil
}

func (s *searching) eventPage(ctx context.Context) (store.Page, error) {
	page := store.Page{Total: -1}
	if s.p.Count {
		page.Total = 0
	}
	from, after, err := s.eventPosition()
	if err != nil {
		return store.Page{}, err
	}
	k, err := s.seek(ctx)
	if err != nil || k == nil {
		return page, err
	}
	if descending, ok := k.chronological(); ok {
		return k.inTime(ctx, descending, from, after)
	}
	return k.gathered(ctx, after)
}

// eventPosition is where a page of events begins: the place in the order of time
// or, of a query that sorts, the position.
func (s *searching) eventPosition() (from []byte, after *store.Position, err error) {
	if len(s.q.Sort) > 0 {
		after, err = s.position()
		return nil, after, err
	}
	from, err = readPlace(s.p.After, eventPosition)
	return from, nil, err
}

// inTime is a page in the order of time, or against it.
func (k *seeking) inTime(ctx context.Context, descending bool, from []byte, after *store.Position) (store.Page, error) {
	page := store.Page{Total: -1}
	var last []byte
	more := false
	if k.p.Limit > 0 || !k.p.Count {
		use := func(e *seen) (bool, error) {
			place := k.place(e)
			if after != nil && !after.Behind(k.q.Sort, &place) {
				return true, nil
			}
			if more = len(page.Found) >= k.p.Limit; more {
				return false, nil
			}
			d := e.document(e.edition)
			f := d.found(typeAuditEvent, e.id, e.edition)
			f.Keys, last = place.Keys, e.n
			page.Found = append(page.Found, f)
			return true, nil
		}
		if err := k.inTurn(ctx, k.start(descending, from, after), descending, use); err != nil {
			return store.Page{}, err
		}
	}
	if more && k.p.Limit > 0 {
		page.Next = placeOf(last)
		if f := page.Found[len(page.Found)-1]; len(k.q.Sort) > 0 {
			page.Next = store.Position{Keys: f.Keys, ID: f.ID}.Append(nil)
		}
	}
	if !k.p.Count {
		return page, nil
	}
	if !more && len(k.p.After) == 0 && k.p.Limit > 0 {
		page.Total = len(page.Found)
		return page, nil
	}
	var err error
	page.Total, err = k.count(ctx)
	return page, err
}

// inTurn goes over the events in the order of time or against it, those of one
// instant by id.
func (k *seeking) inTurn(ctx context.Context, from []byte, descending bool, use func(*seen) (bool, error)) error {
	if !descending {
		return k.eachOf(ctx, from, false, use)
	}
	var instant []*seen
	more := true
	give := func() (err error) {
		for i := len(instant) - 1; i >= 0 && more && err == nil; i-- {
			more, err = use(instant[i])
		}
		instant = instant[:0]
		return err
	}
	err := k.eachOf(ctx, from, true, func(e *seen) (bool, error) {
		if len(instant) > 0 && !bytes.Equal(instant[0].n[:8], e.n[:8]) {
			if err := give(); err != nil || !more {
				return false, err
			}
		}
		instant = append(instant, e)
		return true, nil
	})
	if err != nil || !more {
		return err
	}
	return give()
}

func (k *seeking) count(ctx context.Context) (int, error) {
	if k.exact && k.u.IsEverything() && k.plain(ctx) {
		in, err := k.v.within(ctx)
		if err != nil {
			return 0, err
		}
		o := options.Count().SetLimit(int64(k.v.db.opt.ScanBudget) + 1)
		if k.index != nil {
			o.SetHint(k.index)
		}
		n, err := k.v.db.collection(collEvents).CountDocuments(in, allOf(append(k.conditions, is("n", is("$gt", unreadable())))), o)
		if err == nil && n > int64(k.v.db.opt.ScanBudget) {
			return 0, store.ErrTooCostly
		}
		return int(n), clean(err)
	}
	total := 0
	k.ask.budget = k.v.db.opt.ScanBudget
	err := k.eachOf(ctx, nil, false, func(*seen) (bool, error) {
		total++
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
func (k *seeking) gathered(ctx context.Context, after *store.Position) (store.Page, error) {
	first, total := top{order: k.q.Sort, after: after, limit: max(k.p.Limit, 0)}, 0
	k.entered = true
	err := k.eachOf(ctx, nil, false, func(e *seen) (bool, error) {
		total++
		first.offer(item{Position: store.Position{Keys: sortValues(e.entries, k.q.Sort), ID: e.id}, edition: e.edition, id: e.id})
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
	items, page.Next = first.take()
	for _, one := range items {
		in, err := k.v.within(ctx)
		if err != nil {
			return store.Page{}, err
		}
		d, e, err := k.v.admitEvent(in, k.u, one.id)
		if err != nil {
			return store.Page{}, err
		}
		f := d.found(typeAuditEvent, one.id, e)
		f.Keys = one.Keys
		page.Found = append(page.Found, f)
	}
	return page, nil
}

// eachEvent goes over the events that satisfy a step of another search.
func (s *searching) eachEvent(ctx context.Context, use func(*hit) (more bool, err error)) error {
	k, err := s.seek(ctx)
	if err != nil || k == nil {
		return err
	}
	k.entered = true
	return k.eachOf(ctx, nil, false, func(e *seen) (bool, error) { return use(&hit{id: e.id, encoded: e.entries}) })
}

// eachOf goes over the events that exist in the universe and satisfy the query.
// They are read some at a time, so that no cursor is left open on the servers.
func (k *seeking) eachOf(ctx context.Context, after []byte, descending bool, use func(*seen) (bool, error)) error {
	direction, beyond := 1, "$gt"
	if descending {
		direction, beyond = -1, "$lt"
	}
	chunk := min(max(k.p.Limit+1, 100), mostRows)
	o := options.Find().SetSort(is("n", direction)).SetProjection(by("n", "r")).
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
		all, err := k.existing(ctx, docs)
		if err != nil {
			return err
		}
		if more, err := k.examine(ctx, all, use); err != nil || !more {
			return err
		}
		if len(docs) < chunk {
			return nil
		}
		after = docs[chunk-1].N
	}
}

// existing admits events, before anything is asked about what is in them.
func (k *seeking) existing(ctx context.Context, docs []eventDocument) ([]*seen, error) {
	var all []*seen
	for i := range docs {
		one, err := docs[i].event()
		if err != nil {
			continue // it was reported when it came
		}
		e, err := k.u.Admit(ctx, one.row)
		if err != nil {
			return nil, err
		}
		if e != 0 {
			all = append(all, &seen{event: one, edition: e})
		}
	}
	return all, nil
}

// examine hands out those of some events that satisfy the query.
func (k *seeking) examine(ctx context.Context, all []*seen, use func(*seen) (bool, error)) (more bool, err error) {
	if joined(k.q.Clauses) && !k.exact {
		if err := k.turn(len(all)); err != nil {
			return false, err
		}
	}
	x := examination{s: k.searching, ctx: ctx, rows: make([]subject, len(all))}
	if !k.exact || k.entered {
		for i, e := range all {
			if e.entries, err = k.maker.Entries(nil, &e.ev, e.id, e.edition); err != nil {
				return false, err
			}
			x.rows[i] = subject{id: e.id, entries: e.entries}
		}
	}
	for i, e := range all {
		if err := k.ask.charge(1); err != nil {
			return false, err
		}
		if !k.exact {
			if reads(k.q.Clauses) {
				x.rows[i].json = e.ev.AppendJSON(nil, e.id, e.edition)
			}
			holds, err := x.holds(i, k.q.Clauses)
			if err != nil {
				return false, err
			}
			if !holds {
				continue
			}
		}
		if more, err := use(e); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}
