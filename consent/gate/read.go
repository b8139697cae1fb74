package gate

import (
	"context"
	"errors"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/store"
)

// Read answers R4 http.html#read.
func (g *Gate) Read(ctx context.Context, req *Request, t fhir.ResourceType, id string) (Released, error) {
	return g.one(ctx, req, t, id, func(v *visit, u *consent.Universe) (store.Found, error) {
		return v.reader.Read(ctx, u, t, id)
	})
}

// Version answers R4 http.html#vread.
func (g *Gate) Version(ctx context.Context, req *Request, t fhir.ResourceType, id, version string) (Released, error) {
	return g.one(ctx, req, t, id, func(v *visit, u *consent.Universe) (store.Found, error) {
		return v.reader.Version(ctx, u, t, id, version)
	})
}

// one answers for one version of one resource.
func (g *Gate) one(ctx context.Context, req *Request, t fhir.ResourceType, id string,
	get func(*visit, *consent.Universe) (store.Found, error),
) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	f, u, err := v.find(ctx, t, id, get)
	if err != nil {
		return Released{}, err
	}
	v.notes.entities, v.notes.labels = []string{versioned(f.Resource)}, f.Labels
	events, err := v.concerning(ctx, u, f.Patients)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.record(ctx, Released{items: []Item{{Resource: f.Resource}}, total: -1}, events)
}

// find is a resource within the caller's universe. That there is none is
// recorded before it is said.
func (v *visit) find(ctx context.Context, t fhir.ResourceType, id string,
	get func(*visit, *consent.Universe) (store.Found, error),
) (store.Found, *consent.Universe, error) {
	u, err := v.instance(ctx)
	if err != nil {
		return store.Found{}, nil, v.g.failed(ctx, err)
	}
	if !fhir.ValidID(id) {
		return store.Found{}, nil, v.denied(ctx, ErrNotFound, consent.ReasonAbsent, nil)
	}
	f, err := get(v, u)
	switch {
	case err == nil && f.Deleted, errors.Is(err, store.ErrGone):
		return store.Found{}, nil, v.absent(ctx, u, t, id, ErrGone)
	case errors.Is(err, store.ErrNotFound):
		return store.Found{}, nil, v.absent(ctx, u, t, id, ErrNotFound)
	case err != nil:
		return store.Found{}, nil, v.g.failed(ctx, err)
	}
	return f, u, nil
}

// reasonHidden is the reason of an attempt upon what is there and not to be seen.
const reasonHidden = "hidden"

// absent records that there is no such resource for the caller, and why. What
// is hidden and what is absent go the same way.
func (v *visit) absent(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string, cause error) error {
	v.vain(string(t) + "/" + id)
	reason, whom, err := v.why(ctx, u, t, id)
	if err != nil {
		return v.g.failed(ctx, err)
	}
	return v.denied(ctx, cause, reason, whom)
}

// weighedMost is about how many patients of one resource it is found out what may be
// seen of them when it is hidden already: by what all of them take, it would be told
// from what is absent. The attempt is on record with each.
const weighedMost = 4

// why says for the record alone why there is no such resource for the caller,
// and whom it would have concerned.
func (v *visit) why(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string) (reason string, whom []concerned, err error) {
	reason = consent.ReasonAbsent
	var patients []string
	var told bool // who keeps it from the caller
	f, err := v.reader.Read(ctx, consent.Everything(), t, id)
	switch {
	case err == nil:
		reason, patients, told = reasonHidden, f.Patients, !u.Keeps(t, f.Home)
	case errors.Is(err, store.ErrNotFound):
	case errors.Is(err, store.ErrGone):
		reason = "deleted"
	default:
		return "", nil, err
	}
	for i, p := range patients {
		var d consent.Decision
		if i < weighedMost || !told {
			if d, err = v.decision(ctx, u, p); err != nil {
				return "", nil, err
			}
			told = told || d.Edition(t, f.Labels) != consent.EditionFull
		}
		whom = append(whom, concerned{p, d})
		if d.Level < consent.Full && d.Reason != "" {
			reason = d.Reason
		}
	}
	return reason, whom, v.even(ctx, string(t)+"/"+id, patients[:min(len(patients), weighedMost)])
}

// concerning are the events of the request: one for each of the patients, or
// one that concerns none.
func (v *visit) concerning(ctx context.Context, u *consent.Universe, patients []string) ([]audit.Event, error) {
	if len(patients) == 0 {
		return []audit.Event{v.event()}, nil
	}
	events := make([]audit.Event, len(patients))
	for i, p := range patients {
		events[i] = v.event()
		if err := v.about(ctx, u, p, &events[i]); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// alsoRead are the events of what was read for the sake of the answer, for the
// patients whom that concerns.
func (v *visit) alsoRead(ctx context.Context, u *consent.Universe) (events []audit.Event, err error) {
	for _, f := range v.notes.also {
		for _, p := range f.Patients {
			e := v.event()
			e.Entities, e.Labels, e.Before = []string{versioned(f.Resource)}, shown(f.Labels), ""
			if err := v.about(ctx, u, p, &e); err != nil {
				return nil, err
			}
			events = append(events, e)
		}
	}
	v.notes.also = nil
	return events, nil
}
