package gate

import (
	"context"
	"errors"
	"net/http"

	"vitrine/fhir"
	"vitrine/store"
)

// The ranks in which a transaction writes: first what belongs to nobody, then the
// Patients, so that logical references find them; then what belongs to them, and
// last what inherits its owners from others.
const (
	rankDirectory = iota
	rankPatients
	rankRecord
	rankInheriting
	ranks
)

func rankOf(d *draft) int {
	switch {
	case d.typ == "Patient":
		return rankPatients
	case len(d.owners.Inherits) > 0:
		return rankInheriting
	case len(d.owners.Patients) > 0 || len(d.owners.Identifiers) > 0:
		return rankRecord
	default:
		return rankDirectory
	}
}

// round is one pass over the entries that are yet to be written.
type round struct {
	*plan
	items []Item
	// rank is the last that has its turn, and asking says that it is that of
	// entries with conditional references. What these mean is looked up as the
	// round begins, so that it does not depend on the order of the entries.
	rank   int
	asking bool
	meant  map[string]string
}

// writeAll does the creations and updates. What a conditional reference means may
// be written by another entry: those that have one come after the others of their
// rank, and wait for as long as something is written (R4 http.html#trules, which
// resolves them last).
func (w *writing) writeAll(ctx context.Context, p *plan, items []Item) error {
	for rank := range ranks {
		for _, asking := range []bool{false, true} {
			if _, err := w.writeRound(ctx, &round{plan: p, items: items, rank: rank, asking: asking}); err != nil {
				return err
			}
		}
	}
	for {
		wrote, err := w.writeRound(ctx, &round{plan: p, items: items, rank: ranks, asking: true})
		if err != nil {
			return err
		}
		if !wrote {
			break
		}
	}
	for i := range p.steps {
		if s := &p.steps[i]; s.is("create", "update") && !s.done {
			return &EntryError{Index: i, Err: errUnresolved()}
		}
	}
	return nil
}

func (w *writing) writeRound(ctx context.Context, r *round) (wrote bool, err error) {
	var turn []int
	r.meant = map[string]string{}
	for i := range r.steps {
		s := &r.steps[i]
		if !s.is("create", "update") || s.done || r.asking != (len(s.asks) > 0) {
			continue
		}
		ready, err := w.turn(ctx, r, s)
		if err != nil {
			return false, &EntryError{Index: i, Err: err}
		}
		if ready {
			turn = append(turn, i)
		}
	}
	for _, code := range []string{"create", "update"} {
		for _, i := range turn {
			s := &r.steps[i]
			if !s.is(code) {
				continue
			}
			s.draft.entry, s.draft.always = i+1, r.versioned[i]
			if r.items[i], err = w.write(ctx, s); err != nil {
				return false, &EntryError{Index: i, Err: err}
			}
			r.items[i].Issues, s.done = s.draft.noticed, true
		}
	}
	return len(turn) > 0, nil
}

// turn reports whether a step is to be written in the round; its draft is then
// made of what its conditional references mean now.
func (w *writing) turn(ctx context.Context, r *round, s *step) (bool, error) {
	if len(s.asks) > 0 {
		w.caller.Confined = s.confined
		all, same, err := w.meanings(ctx, s, r.meant)
		if err != nil || !all {
			return false, err
		}
		if !same {
			for said := range s.asks {
				r.plan.meant[said] = r.meant[said]
			}
			if err := w.prepare(ctx, r.plan, s); err != nil {
				return false, err
			}
		}
	}
	return rankOf(s.draft) <= r.rank, nil
}

func (w *writing) write(ctx context.Context, s *step) (Item, error) {
	w.caller.Confined = s.confined
	if s.is("create") {
		item, _, err := w.create(ctx, s.draft, nil)
		return item, err
	}
	item, _, err := w.update(ctx, s.draft, s.entry.IfMatch)
	if errors.Is(err, store.ErrNotFound) && s.entry.Query != nil && (s.entry.IfMatch == "" || s.entry.IfMatch == Absent) && s.id == s.fresh {
		item, _, err = w.create(ctx, s.draft, nil)
	}
	return item, err
}

// holdAll makes sure that what the conditions of the entries were found to match
// is what they match now: the answer must not depend on the order of the entries,
// nor one of them make what another was not to make twice.
func (w *writing) holdAll(ctx context.Context, p *plan, items []Item) error {
	written, made := map[fhir.ResourceType]int{}, map[string]bool{}
	for i := range p.steps {
		s := &p.steps[i]
		if !s.is("create", "update", "patch") || s.is("create") && s.found != nil {
			continue
		}
		written[s.entry.Type]++
		if items[i].Status == http.StatusCreated {
			made[s.reference()] = true
		}
	}
	now := map[string]string{}
	for i := range p.steps {
		s := &p.steps[i]
		if err := w.holdMeanings(ctx, s, written, now); err != nil {
			return &EntryError{Index: i, Err: err}
		}
		if s.is("delete") || s.condition() == nil || written[s.entry.Type] < 2 {
			continue
		}
		found, err := w.matching(ctx, w.partition(), s.condition())
		if err != nil {
			return &EntryError{Index: i, Err: err}
		}
		for _, f := range found {
			if ref := string(f.Resource.Type) + "/" + f.ID; ref != s.reference() && made[ref] {
				return &EntryError{Index: i, Err: invalid(http.StatusPreconditionFailed, fhir.CodeDuplicate,
					"another entry makes what the condition of this one looks for", "")}
			}
		}
	}
	return nil
}

// holdMeanings looks once more at the conditional references that lead to a type
// of which something was written.
func (w *writing) holdMeanings(ctx context.Context, s *step, written map[fhir.ResourceType]int, now map[string]string) error {
	for said, was := range s.asks {
		if written[fhir.ParseReference(said, w.g.cfg.BaseURL).Type] == 0 {
			continue
		}
		if _, known := now[said]; !known {
			ref, err := w.meaning(ctx, said)
			if err != nil {
				return err
			}
			now[said] = ref
		}
		if now[said] != was {
			return errUnresolved()
		}
	}
	return nil
}
