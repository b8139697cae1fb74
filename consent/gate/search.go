package gate

import (
	"context"
	"hash"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir/search"
	"vitrine/store"
)

// Search answers R4 http.html#search. cursor is the Next of the page before;
// empty for the first.
func (g *Gate) Search(ctx context.Context, req *Request, q *search.Query, cursor string) (Released, error) {
	if err := g.settled(ctx, q); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	out, events, err := v.search(ctx, q, cursor)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.record(ctx, out, events)
}

// search answers a query from the caller's universe, with the events that must
// be durable before it is released.
func (v *visit) search(ctx context.Context, q *search.Query, cursor string) (Released, []audit.Event, error) {
	question := v.searchQuestion(q)
	after, err := v.unsealed(cursor, question)
	if err != nil {
		return Released{}, nil, err
	}
	u, err := v.searchable(ctx, q)
	if err != nil {
		return Released{}, nil, err
	}
	out, found, err := v.page(ctx, u, q, after, cursor == "")
	if err != nil {
		return Released{}, nil, err
	}
	out.next = v.sealed(out.position, question)
	events, err := v.searched(ctx, u, q, found)
	return out.Released, events, err
}

// searchQuestion is what a cursor of a search is bound to.
func (v *visit) searchQuestion(q *search.Query) []byte {
	return v.question("search", func(h hash.Hash) { writeQuery(h, q) })
}

// onePage is a page of matches and the store's position after it.
type onePage struct {
	Released
	position []byte
}

// page is a page of what matches in the universe.
func (v *visit) page(ctx context.Context, u *consent.Universe, q *search.Query, after []byte, first bool) (onePage, []store.Found, error) {
	count := first && counted(q)
	page, err := v.reader.Search(ctx, u, q, store.PageRequest{Limit: v.g.limit(q), After: after, Count: count})
	if err != nil {
		return onePage{}, nil, err
	}
	out := onePage{position: page.Next}
	out.items, out.total = make([]Item, len(page.Found)), -1
	if count {
		out.total = page.Total
	}
	for i := range page.Found {
		out.items[i] = Item{Resource: page.Found[i].Resource, Mode: ModeMatch}
	}
	out.hint, err = v.hinted(ctx, u, q)
	return out, page.Found, err
}

// limit is the size of a page.
func (g *Gate) limit(q *search.Query) int {
	switch {
	case q.CountOnly || q.Count == 0:
		return 0
	case q.Count < 0:
		return g.cfg.PageDefault
	default:
		return min(q.Count, g.cfg.PageMax)
	}
}

// counted reports whether the matches are counted: when it was asked for, and
// when the patients bound what there is to count.
func counted(q *search.Query) bool {
	switch q.Total {
	case search.TotalNone:
		return q.CountOnly
	case search.TotalAccurate, search.TotalEstimate:
		return true
	case search.TotalUnset:
		return q.CountOnly || q.Count == 0 || q.Patients != nil
	default:
		return q.CountOnly
	}
}

// hinted reports whether the answer says that a restriction applies: the search
// is about exactly one patient, and that patient's level is Basic (DOSSIER
// §7.9).
func (v *visit) hinted(ctx context.Context, u *consent.Universe, q *search.Query) (bool, error) {
	if v.caller.Kind != consent.Practitioner || len(q.Patients) != 1 {
		return false, nil
	}
	d, err := u.Decide(ctx, q.Patients[0])
	return d.Level == consent.Basic, err
}

// searched are the events of a search: one for each patient who was found, and
// for each who was named and is there for the caller. The record of an attempt
// upon somebody who is not there names nobody, but says why.
func (v *visit) searched(ctx context.Context, u *consent.Universe, q *search.Query, found []store.Found) ([]audit.Event, error) {
	patients, reason, err := v.met(ctx, u, q, found)
	if err != nil {
		return nil, err
	}
	events, err := v.concerning(ctx, u, patients)
	if err == nil && len(patients) == 0 && reason != "" {
		events[0].Outcome, events[0].Reason = audit.OutcomeMinor, reason
	}
	return events, err
}

// met are the patients whom a search concerned, and the reason why one who was
// named is not among them. A search of the record of access concerns those it
// names, not all whose events it found.
func (v *visit) met(ctx context.Context, u *consent.Universe, q *search.Query, found []store.Found) (patients []string, reason string, err error) {
	patients, reason, err = v.named(ctx, u, q.Patients)
	if err != nil || v.caller.Kind == consent.Regulator {
		return patients, reason, err
	}
	for i := range found {
		patients = merge(patients, found[i].Patients)
	}
	return patients, reason, nil
}

// named are those of the patients named by a query who are there for the
// caller, and the reason why another is not.
func (v *visit) named(ctx context.Context, u *consent.Universe, pinned []string) (patients []string, reason string, err error) {
	for _, p := range pinned {
		switch v.caller.Kind {
		case consent.Custodian, consent.Regulator:
			f, err := v.facts(ctx, p)
			if err != nil {
				return nil, "", err
			}
			if f.Exists {
				patients = append(patients, p)
			}
		case consent.Practitioner, consent.Patient, consent.Representative:
			d, err := u.Decide(ctx, p)
			if err != nil {
				return nil, "", err
			}
			if d.Level > consent.None {
				patients = append(patients, p)
			} else {
				reason = d.Reason
			}
		case consent.Nobody, consent.System:
		default:
		}
	}
	return patients, reason, nil
}
