package gate

import (
	"context"
	"errors"
	"net/http"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// partition is where the conditions of the caller's writes look: in what the
// caller's own organisation contributed, and nowhere else, so that they can say
// nothing about others (ACCESS §4).
func (v *visit) partition() *consent.Universe {
	if v.caller.Kind == consent.Custodian {
		return consent.Everything()
	}
	return consent.OfContributor(v.contributor())
}

// matching are the resources of a universe that the condition matches; of many,
// two or more.
func (v *visit) matching(ctx context.Context, u *consent.Universe, cond *search.Query) (found []store.Found, err error) {
	return v.matchingMost(ctx, u, cond, 2)
}

// matchingMost is matching, of which so many are enough.
func (v *visit) matchingMost(ctx context.Context, u *consent.Universe, cond *search.Query, enough int) (found []store.Found, err error) {
	// What its codes mean is worked out anew each time: the value sets may be others.
	cond = &search.Query{Type: cond.Type, Clauses: search.CloneClauses(cond.Clauses), Count: unspecifiedCount}
	if err := v.resolve(ctx, cond); err != nil {
		return nil, err
	}
	q := search.Query{Type: cond.Type, Clauses: cond.Clauses, Count: unspecifiedCount}
	_, own := u.Contributor()
	if own { // to which patient the server linked what is in it would tell who is on file
		q.Clauses = v.indexer().Said(cond.Clauses)
	}
	said := saying{visit: v, u: u}
	var after []byte
	for {
		page, err := v.reader.Search(ctx, u, &q, store.PageRequest{Limit: conditionPage, After: after})
		if err != nil {
			return nil, err
		}
		for _, f := range page.Found {
			ok := true
			if own && v.heldToWords() {
				if ok, err = said.holds(ctx, f, cond.Clauses); ok && err == nil {
					ok, err = v.isAbout(ctx, &f, 0)
				}
				if err != nil {
					return nil, err
				}
			}
			if ok {
				found = append(found, f)
			}
		}
		if len(found) >= enough || len(page.Next) == 0 {
			return found, nil
		}
		after = page.Next
	}
}

// conditionPage is how many matches of a condition are looked at together.
const conditionPage = 8

// UpdateWhere answers R4 http.html#cond-update.
func (g *Gate) UpdateWhere(ctx context.Context, req *Request, q *search.Query, c Content, ifMatch string) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	d, err := v.acceptable(ctx, q.Type, c)
	if err != nil {
		return Released{}, err
	}
	if err := v.ready(d, newID()); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	v.begin()
	return v.commit(ctx, func(w *writing) (Released, error) {
		f, ok, err := w.only(ctx, q)
		if err != nil {
			return Released{}, err
		}
		d, err := w.matched(d, f.ID, ok)
		if err != nil {
			return Released{}, err
		}
		item, created, err := w.update(ctx, d, ifMatch)
		if !ok && errors.Is(err, store.ErrNotFound) && (ifMatch == "" || ifMatch == Absent) {
			item, created, err = w.create(ctx, d, nil)
		}
		return Released{items: []Item{item}, total: -1, created: created, issues: d.noticed}, err
	})
}

// matched is the draft under the id that the condition found, or under the one
// in the content when the caller may choose ids.
func (w *writing) matched(d *draft, id string, found bool) (*draft, error) {
	written := d.tape.Text(d.tape.Field(d.tape.Root(), "id"))
	switch {
	case !found && written == "":
		return d, nil
	case !found && w.caller.Kind != consent.Custodian:
		return nil, invalid(http.StatusBadRequest, fhir.CodeInvalid, "nothing matches, and an id cannot be chosen", string(d.typ)+".id")
	case !found:
		id = written
	case written != "" && written != id:
		return nil, invalid(http.StatusBadRequest, fhir.CodeInvalid, "the id is not that of the match", string(d.typ)+".id")
	}
	if !fhir.ValidID(id) {
		return nil, invalid(http.StatusBadRequest, fhir.CodeValue, "not an id", string(d.typ)+".id")
	}
	again := *d
	return &again, w.ready(&again, id)
}

// Delete answers R4 http.html#delete.
func (g *Gate) Delete(ctx context.Context, req *Request, t fhir.ResourceType, id, ifMatch string) (Released, error) {
	return g.remove(ctx, req, t, func(w *writing) (Item, error) { return w.remove(ctx, t, id, ifMatch) })
}

// DeleteWhere answers R4 http.html#cdelete: nothing, the one match, or several
// where the deployment lets it. ifMatch is the version that the one match must
// have; empty for any.
func (g *Gate) DeleteWhere(ctx context.Context, req *Request, q *search.Query, ifMatch string) (Released, error) {
	return g.remove(ctx, req, q.Type, func(w *writing) (Item, error) { return w.removeWhere(ctx, q, ifMatch) })
}

func (g *Gate) remove(ctx context.Context, req *Request, t fhir.ResourceType, do func(*writing) (Item, error)) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if err := v.writable(ctx, t); err != nil {
		return Released{}, err
	}
	return v.commit(ctx, func(w *writing) (Released, error) {
		item, err := do(w)
		return Released{items: []Item{item}, total: -1}, err
	})
}

func (w *writing) removeWhere(ctx context.Context, q *search.Query, ifMatch string) (Item, error) {
	if w.g.DeletesMany() {
		return w.removeAll(ctx, q, ifMatch)
	}
	f, ok, err := w.only(ctx, q)
	switch {
	case err != nil:
		return Item{}, err
	case !ok && ifMatch != "":
		return Item{}, ErrPrecondition
	case !ok:
		return Item{Status: http.StatusNoContent}, nil
	}
	return w.remove(ctx, q.Type, f.ID, ifMatch)
}

// remove records a deletion; of what is deleted already, nothing is done.
func (w *writing) remove(ctx context.Context, t fhir.ResourceType, id, ifMatch string) (Item, error) {
	if !fhir.ValidID(id) {
		return Item{}, ErrNotFound
	}
	prior, err := w.addressed(ctx, t, id)
	if err != nil {
		return Item{}, err
	}
	if ifMatch != "" && prior.Version != ifMatch {
		return Item{}, ErrPrecondition
	}
	if err := w.kept(prior, nil); err != nil {
		return Item{}, err
	}
	if t == "SearchParameter" && prior.Contributor == "" {
		if err := w.registering(ctx, id, nil); err != nil {
			return Item{}, err
		}
	}
	out := Item{Status: http.StatusNoContent, Resource: fhir.Resource{
		Type: t, ID: id, Version: prior.Version, Updated: prior.Updated, Deleted: true,
	}}
	if prior.Deleted {
		return out, nil
	}
	kept, err := w.basicOf(ctx, prior)
	if err != nil {
		return Item{}, err
	}
	basic := ""
	if kept != nil && !kept.Deleted {
		basic = next(kept.Version)
	}
	out.Resource.Version, out.Resource.Updated = next(prior.Version), w.now
	if err := w.tx.Delete(t, id, out.Resource.Version, basic, w.now); err != nil {
		return Item{}, err
	}
	return out, w.removed(ctx, prior, out.Resource)
}

// removed touches and notes what a deletion bears on.
func (w *writing) removed(ctx context.Context, prior *store.Found, r fhir.Resource) error {
	named, err := w.named(ctx, prior)
	if err != nil {
		return err
	}
	w.touch(r.Type, named, nil, prior.Labels, nil)
	w.defined(r.Type, prior.Contributor)
	return w.g.parsed(*prior, func(f store.Found, t *fhir.Tape) error {
		if r.Type == "Patient" {
			for _, id := range w.g.links(f.Contributor, t) {
				w.tx.Touch(keyPatient(id))
			}
		}
		w.wrote(&draft{typ: r.Type, labels: prior.Labels, contributor: prior.Contributor, tape: t}, homing{patients: prior.Patients}, r, prior)
		return nil
	})
}
