package gate

import (
	"context"
	"slices"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// Search answers R4 http.html#search, of one type or of several. cursor is one
// that an answer before carried; empty for the first page.
func (g *Gate) Search(ctx context.Context, req *Request, q *search.Query, cursor string) (Released, error) {
	if err := g.settled(ctx, q); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	v, err := g.open(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	v.begin()
	types, err := v.admitSearch(ctx, q)
	if err != nil {
		return Released{}, err
	}
	out, events, err := v.search(ctx, q, types, cursor)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	if len(out.items) == 0 && out.total <= 0 || out.missed {
		v.hold()
		return v.recordGone(ctx, out, events)
	}
	return v.record(ctx, out, events)
}

// search answers a query from the caller's universe, with the events that must
// be durable before it is released.
func (v *visit) search(ctx context.Context, q *search.Query, types []admitted, cursor string) (Released, []audit.Event, error) {
	s, u, err := v.seek(ctx, q, types, v.searchQuestion(q), cursor)
	if err != nil {
		return Released{}, nil, err
	}
	defer s.close()
	out, found, err := s.answer(ctx, u)
	if err != nil {
		return Released{}, nil, err
	}
	events, err := v.searched(ctx, u, q, found, &out)
	return out, events, err
}

// seek prepares a page: where it begins, the view it is of, and the universe of
// each type. u is the widest of these, for what is asked of a patient alone.
func (v *visit) seek(ctx context.Context, q *search.Query, types []admitted, question []byte, cursor string) (s *pages, u *consent.Universe, err error) {
	s = &pages{visit: v, q: q, question: question, cursor: cursor}
	position, err := v.unsealed(cursor, question)
	if err == nil && cursor != "" {
		s.from, err = decodePlace(position)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := v.resolve(ctx, q); err != nil {
		return nil, nil, err
	}
	if err := v.identified(ctx, q); err != nil {
		return nil, nil, err
	}
	universes := map[bool]*consent.Universe{}
	s.confined = len(types) > 0
	for _, t := range types {
		v.caller.Confined = t.confined
		if universes[t.confined] == nil {
			if universes[t.confined], err = v.searchable(ctx, q); err != nil {
				return nil, nil, err
			}
		}
		if err := s.divide(ctx, t, universes[t.confined]); err != nil {
			return nil, nil, err
		}
		s.confined = s.confined && t.confined
	}
	return s, universes[s.confined], s.open(ctx)
}

// divide adds the parts of a search that are about one type.
func (s *pages) divide(ctx context.Context, t admitted, u *consent.Universe) error {
	one, err := s.parser().Of(s.q, t.name)
	if err != nil {
		return err
	}
	if s.q.Contained != search.ContainedTrue {
		s.parts = append(s.parts, &part{key: t.name, q: *one, u: u, confined: t.confined})
	}
	if s.q.Contained != search.ContainedFalse {
		return s.divideContained(ctx, one, t, u)
	}
	return nil
}

// resolve asks the terminology what codes a query means. What it does not know is
// refused by name.
func (v *visit) resolve(ctx context.Context, q *search.Query) error {
	if err := v.served(q); err != nil {
		return err
	}
	refusal, err := v.parser().Resolve(ctx, q, v.terminology())
	if refusal != nil {
		return refusal
	}
	return err
}

// parser is what understands queries, and indexer what they are held against.
func (v *visit) parser() *search.Parser { return v.params.parser }

func (v *visit) indexer() *search.Indexer { return v.params.indexer }

// answer reads the page and all that comes with it.
func (s *pages) answer(ctx context.Context, u *consent.Universe) (Released, []store.Found, error) {
	rows, err := s.fill(ctx, s.g.limit(s.q))
	s.caller.Confined = s.confined
	if err != nil {
		return Released{}, nil, err
	}
	out := Released{items: make([]Item, 0, len(rows)), total: s.total, plan: s.plan, missed: s.missed}
	found := make([]store.Found, len(rows))
	for i := range rows {
		found[i] = rows[i].Found
		if out.items, err = s.appendItems(out.items, &rows[i]); err != nil {
			return Released{}, nil, err
		}
	}
	s.link(&out)
	with, err := s.included(ctx, s.q.Includes, found, &out)
	if err != nil {
		return Released{}, nil, err
	}
	found = append(found, with...)
	out.hint, err = s.hinted(ctx, u, s.q)
	return out, found, err
}

// link seals the places of the pages around this one.
func (s *pages) link(out *Released) {
	if s.more {
		next := s.from.then(s.next)
		out.next = s.sealed(next.encode(), s.question)
	}
	if previous, ok := s.from.before(); ok {
		out.previous = s.sealed(previous.encode(), s.question)
	}
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
// when the patients bound what there is to count. It is the first page that
// carries the total: on a later one it would count what has been hidden since.
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
func (v *visit) searched(ctx context.Context, u *consent.Universe, q *search.Query, found []store.Found, out *Released) ([]audit.Event, error) {
	patients, reason, err := v.met(ctx, u, q, found)
	if err != nil {
		return nil, err
	}
	v.unfound(q, found, patients, out)
	if _, listed := u.Patients(); !listed && len(found) == 0 && out.total <= 0 && len(patients) == 0 {
		if err := v.even(ctx, q.Self, nil); err != nil {
			return nil, err
		}
	}
	events, err := v.concerning(ctx, u, patients)
	if err != nil {
		return nil, err
	}
	vain := len(patients) == 0 && reason != ""
	if v.closedTo(q) {
		vain, reason = true, reasonHidden
	}
	for i := range events {
		if vain {
			events[i].Outcome, events[i].Reason = audit.OutcomeMinor, reason
		}
	}
	return events, nil
}

// closedTo reports whether a search is the regulator's for what is never shown to the
// regulator: records of patients, of types of which the server itself keeps none. It
// is an attempt, as the reading of one of them is.
func (v *visit) closedTo(q *search.Query) bool {
	if v.caller.Kind != consent.Regulator {
		return false
	}
	types := q.Types
	if q.Type != "" {
		types = []fhir.ResourceType{q.Type}
	}
	return len(types) > 0 && !slices.ContainsFunc(types, func(t fhir.ResourceType) bool {
		switch t {
		case auditEvents, "Basic", "Binary", "Communication", "DocumentReference", "Task":
			return true
		default:
			return v.g.tools.Compartments.Params("Patient", string(t)) == nil
		}
	})
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
				continue
			}
			reason = d.Reason
			v.vain("Patient/" + p)
			if err := v.even(ctx, "Patient/"+p, []string{p}); err != nil {
				return nil, "", err
			}
		case consent.Nobody, consent.System:
		default:
		}
	}
	return patients, reason, nil
}
