package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// Changes merges what is current and what was.
func (v *view) Changes(ctx context.Context, u *consent.Universe, q store.ChangesRequest) (store.ChangesPage, error) {
	in, err := v.about(ctx, "")
	if err != nil {
		return store.ChangesPage{}, err
	}
	w := changesWalk{view: v, u: u, q: &q, budget: v.db.opt.ScanBudget}
	for _, t := range q.Types {
		if t != typeAuditEvent {
			w.types = append(w.types, string(t))
		}
	}
	var after *store.Change
	if len(q.After) > 0 {
		c, err := store.ReadChange(q.After)
		if err != nil {
			return store.ChangesPage{}, err
		}
		after = &c
	}
	if len(w.types) == 0 {
		return store.ChangesPage{}, nil
	}
	w.lanes = []*lane{{coll: collFull, filters: w.current(after)}, {coll: collVersions, filters: w.formerly(after)}}
	return w.page(ctx, in)
}

// changesWalk is a page of changes under way.
type changesWalk struct {
	*view
	u      *consent.Universe
	q      *store.ChangesRequest
	types  []string
	lanes  []*lane
	budget int
}

// lane are the changes in one collection: what was read of them ahead, and what
// is to be asked for the rest, one after the other.
type lane struct {
	coll    string
	filters []bson.D
	ahead   []document
}

// where is what every filter says: the types, and the time but for its upper end,
// which is given. What is left out of a window says so by itself.
func (w *changesWalk) where(newest bson.D, gone bson.D) bson.D {
	if oldest := w.q.Oldest(); oldest > 0 {
		newest = append(newest, bson.E{Key: "$gte", Value: oldest})
	}
	f := bson.D{{Key: "t", Value: is("$in", w.types)}}
	if len(newest) > 0 {
		f = append(f, bson.E{Key: "u", Value: newest})
	}
	if from, _, ok := w.q.Window(); ok {
		f = append(f, bson.E{Key: "$or", Value: bson.A{is("u", is("$gte", from)), append(is("d", is("$ne", true)), gone...)}})
	}
	return f
}

// current asks for current versions behind a place.
func (w *changesWalk) current(after *store.Change) []bson.D {
	if after == nil {
		return []bson.D{w.where(w.newest(nil), nil)}
	}
	ties := append(w.where(is("$eq", after.At), nil), bson.E{Key: "_id", Value: is("$gt", name(after.Type, after.ID))})
	return w.both([]bson.D{ties}, after, nil)
}

// formerly asks for former versions behind a place.
func (w *changesWalk) formerly(after *store.Change) []bson.D {
	var gone bson.D
	if from, _, ok := w.q.Window(); ok {
		gone = is("z", is("$gt", from))
	}
	if after == nil {
		return []bson.D{w.where(w.newest(nil), gone)}
	}
	of := formerOf(consent.EditionFull, after.Type, after.ID)
	older := append(w.where(is("$eq", after.At), gone), bson.E{Key: "f", Value: of}, bson.E{Key: "i", Value: is("$lt", int64(after.Count))}) //nolint:gosec // it counts
	others := append(w.where(is("$eq", after.At), gone), bson.E{Key: "f", Value: is("$gt", of)})
	return w.both([]bson.D{older, others}, after, gone)
}

// both are the filters for what is of the same moment as a place, where the window
// reaches so far, and for what is older.
func (w *changesWalk) both(ties []bson.D, after *store.Change, gone bson.D) []bson.D {
	if _, until, ok := w.q.Window(); ok && after.At >= until {
		ties = nil
	}
	return append(ties, w.where(w.newest(after), gone))
}

// newest is the upper end of the time that is asked for, behind a place.
func (w *changesWalk) newest(after *store.Change) bson.D {
	_, until, ok := w.q.Window()
	switch {
	case after != nil && (!ok || after.At < until):
		return is("$lt", after.At)
	case ok:
		return is("$lt", until)
	default:
		return nil
	}
}

// changeOf is the place of a document.
func changeOf(d *document) store.Change {
	return store.Change{At: d.Updated, Type: fhir.ResourceType(d.Type), ID: d.resource(), Count: uint64(d.Count)} //nolint:gosec // it counts
}

// resource is the id of what the document is a version of.
func (d *document) resource() string {
	if d.Of != "" {
		return d.Of[len("f ")+len(d.Type)+len("/"):]
	}
	return d.id()
}

// fill reads ahead, as much as a page takes.
func (w *changesWalk) fill(in context.Context, l *lane) error {
	sort, most := byFormerChange()[1:], w.q.Limit+1
	hint := byFormerChange()
	if l.coll == collFull {
		sort, hint = byChange()[1:], byChange()
	}
	for len(l.ahead) == 0 && len(l.filters) > 0 {
		found, err := find(in, w.db.collection(l.coll), l.filters[0],
			options.Find().SetSort(sort).SetHint(hint).SetLimit(int64(most)).SetProjection(append(bare(), bson.E{Key: "t", Value: 1})))
		if err != nil {
			return err
		}
		l.ahead, l.filters = found, l.filters[1:]
		if len(found) == most {
			last := changeOf(&found[most-1])
			if l.filters = w.formerly(&last); l.coll == collFull {
				l.filters = w.current(&last)
			}
		}
	}
	return nil
}

// first is the lane whose next change comes first; nil at the end.
func (w *changesWalk) first(in context.Context) (best *lane, err error) {
	for _, l := range w.lanes {
		if err := w.fill(in, l); err != nil {
			return nil, err
		}
		if len(l.ahead) > 0 && (best == nil || changeOf(&l.ahead[0]).Compare(changeOf(&best.ahead[0])) < 0) {
			best = l
		}
	}
	return best, nil
}

func (w *changesWalk) page(ctx, in context.Context) (store.ChangesPage, error) {
	var page store.ChangesPage
	var last store.Change
	for {
		l, err := w.first(in)
		if err != nil || l == nil {
			return page, err
		}
		if w.budget--; w.budget < 0 {
			return store.ChangesPage{}, store.ErrTooCostly
		}
		d := &l.ahead[0]
		l.ahead = l.ahead[1:]
		ok, err := w.admits(ctx, d)
		switch {
		case err != nil:
			return store.ChangesPage{}, err
		case !ok:
			continue
		case len(page.Found) >= w.q.Limit:
			if len(page.Found) > 0 {
				page.Next = last.Append(nil)
			}
			return page, nil
		}
		c := changeOf(d)
		page.Found, last = append(page.Found, d.found(c.Type, c.ID, consent.EditionFull)), c
	}
}

// admits reports whether the version is there, as it was and as its resource is.
func (w *changesWalk) admits(ctx context.Context, d *document) (bool, error) {
	t := fhir.ResourceType(d.Type)
	e, err := w.u.Admit(ctx, d.row(t))
	if err != nil || e != consent.EditionFull || d.Of == "" || w.u.IsWhole() {
		return e == consent.EditionFull, err
	}
	_, e, err = w.admit(ctx, w.u, t, d.resource())
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return e == consent.EditionFull, err
}
