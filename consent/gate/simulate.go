package gate

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"vitrine/consent"
	"vitrine/consent/plain"
	"vitrine/consent/restriction"
	"vitrine/fhir"
	"vitrine/store"
)

// outlookMost is how many organisations a simulation tells of.
const outlookMost = 100

// Simulate answers Consent/$simulate: who could still see what if the Consent were
// on file now. It is saved, looked at, and let go again: what it answers is what
// would be so, and what it refuses would be refused. A Consent that has the id of
// one on file takes its place.
func (g *Gate) Simulate(ctx context.Context, req *Request, c Content) (Released, error) {
	if !ConcernedOrKeeping(req.Caller.Kind) {
		return Released{}, ErrNotFound
	}
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if err := v.maySave(ctx); err != nil {
		return Released{}, err
	}
	if !g.Transactions() { // it would be live until it is undone
		return Released{}, ErrNoTransactions
	}
	d, err := v.acceptable(ctx, "Consent", c)
	if err != nil {
		return Released{}, err
	}
	s := &simulation{visit: v, draft: d}
	if err := s.prepare(ctx); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	if err := v.rehearse(ctx, func(w *writing) error { return s.save(ctx, w) }); err != nil {
		return Released{}, err
	}
	out, err := s.outlook(ctx)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	u, err := v.universe(ctx, []string{s.patient})
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	events, err := v.concerning(ctx, u, []string{s.patient})
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.record(ctx, Released{outlook: out, reader: v.listener(), total: -1}, events)
}

// errRehearsed ends a write of which nothing is to be kept.
var errRehearsed = errors.New("rehearsed")

// rehearse runs do in a write of which nothing is kept.
func (v *visit) rehearse(ctx context.Context, do func(*writing) error) error {
	err := v.g.store.Write(ctx, func(tx store.Tx) error {
		w := v.writing(tx)
		w.rehearsal = true
		if err := w.learn(ctx); err != nil {
			return err
		}
		if err := do(w); err != nil {
			return err
		}
		if err := w.resolved(ctx); err != nil {
			return err
		}
		return errRehearsed
	})
	switch {
	case errors.Is(err, errRehearsed):
		return nil
	case err == nil:
		return ErrUnavailable // a store that keeps what failed
	default:
		return v.undone(ctx, err)
	}
}

// maySave turns away who could not save the Consent: who may see what is told to whoever
// may change it, and not to an app that reads Consents alone.
func (v *visit) maySave(ctx context.Context) error {
	in := v.req.Interaction
	var last consent.Verdict
	for _, letter := range []byte{'c', 'u'} {
		in.Letter = letter
		verdict, err := v.verdict(ctx, in, "Consent")
		if err != nil {
			return v.g.failed(ctx, err)
		}
		if verdict.Admitted {
			return nil
		}
		last = verdict
	}
	return v.refuse(ctx, last.Refusal, last.Reason)
}

// simulation is one Consent as if it were on file.
type simulation struct {
	*visit
	draft *draft
	// replaces says that the Consent takes the place of one on file.
	replaces bool
	patient  string
	// facts are those with the Consent; they do not change any more.
	facts *consent.Facts
}

// prepare finds out whether the Consent takes the place of one that the caller may
// write to.
func (s *simulation) prepare(ctx context.Context) error {
	id := s.draft.tape.Text(s.draft.tape.Field(s.draft.tape.Root(), "id"))
	if fhir.ValidID(id) {
		prior, err := s.addressed(ctx, "Consent", id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		s.replaces = err == nil && !prior.Deleted
	}
	if s.replaces {
		return s.addressing(s.draft, id)
	}
	return s.ready(s.draft, newID())
}

// save puts the Consent, and gathers the facts that hold with it.
func (s *simulation) save(ctx context.Context, w *writing) error {
	var err error
	if s.replaces {
		_, _, err = w.update(ctx, s.draft, "")
	} else {
		_, _, err = w.create(ctx, s.draft, nil)
	}
	if err != nil {
		return err
	}
	f, err := w.reader.Read(ctx, consent.Everything(), "Consent", s.draft.id)
	if err != nil {
		return err
	}
	if len(f.Patients) != 1 {
		return invalid(http.StatusUnprocessableEntity, fhir.CodeBusinessRule, "the Consent must be about one patient who is on file", "Consent.patient")
	}
	s.patient = f.Patients[0]
	s.facts, err = w.facts(ctx, s.patient)
	return err
}

// outlook holds what is now against what would be.
func (s *simulation) outlook(ctx context.Context) (*plain.Outlook, error) {
	now, err := s.visit.facts(ctx, s.patient)
	if err != nil {
		return nil, err
	}
	r, _ := restriction.Compile(s.draft.tape, s.g.tools.Definitions, s.g.cfg.BaseURL, "")
	out := &plain.Outlook{Base: r.Base, Doubtful: r.Malformed}
	if out.Rules, err = s.sayings(ctx, r.Rules); err != nil {
		return nil, err
	}
	subjects := singledOut(now.Restrictions, s.facts.Restrictions)
	all := s.organizations(now, &r)
	if out.More = len(all) > outlookMost; out.More {
		all = all[:outlookMost]
	}
	for _, id := range all {
		for _, side := range []struct {
			facts *consent.Facts
			to    *[]plain.Sight
		}{{now, &out.Now}, {s.facts, &out.Then}} {
			one, err := s.sight(ctx, id, side.facts, subjects)
			if err != nil {
				return nil, err
			}
			*side.to = append(*side.to, one)
		}
	}
	return out, nil
}

// organizations are those that care for the patient now, where somebody has broken
// the glass, and whom the Consent names, by id.
func (s *simulation) organizations(f *consent.Facts, r *consent.Restriction) []string {
	var ids []string
	for i := range f.Registrations {
		if f.Registrations[i].Contains(s.now) {
			ids = append(ids, f.Registrations[i].Organization)
		}
	}
	for i := range f.Grants {
		if !s.now.Before(f.Grants[i].From) && s.now.Before(f.Grants[i].Until) {
			ids = append(ids, f.Grants[i].Organization)
		}
	}
	r.Names(func(a consent.Actor, _ consent.Effect) bool {
		if a.Organization != "" {
			ids = append(ids, a.Organization)
		}
		return true
	})
	return slices.Compact(slices.Sorted(slices.Values(ids)))
}
