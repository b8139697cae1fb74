package gate

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// step is one entry of a transaction on its way.
type step struct {
	index int
	entry *Entry
	// written is the id in the content of a conditional update, fresh that which
	// the resource has if it is new, id and version what it has as far as is known.
	written, fresh, id, version string
	// draft is the content, its links rewritten; nil for what has none, and while
	// it is open: while a conditional reference in it is not resolved.
	draft *draft
	open  bool
	// patching is the patch of the entry, worked out; nil for what is none.
	patching *patching
	// links are the steps to which the content refers, asks the conditional
	// references in it and what the draft has in their place.
	links []int
	asks  map[string]string
	// found is what the condition matches; nil for nothing.
	found *store.Found
	// done says that nothing is left to do.
	done     bool
	confined bool
	// types are those that a search looks through, and question is what its
	// cursors are bound to.
	types    []admitted
	question []byte
}

// is reports whether the step is of one of the interactions.
func (s *step) is(codes ...string) bool { return slices.Contains(codes, s.entry.Interaction.Code) }

// reference is what the other entries say for the resource.
func (s *step) reference() string { return string(s.entry.Type) + "/" + s.id }

// condition is what decides which resource the entry is about; nil for none.
func (s *step) condition() *search.Query {
	switch {
	case s.is("create"):
		return s.entry.IfNoneExist
	case s.entry.Interaction.Write && s.entry.ID == "":
		return s.entry.Query
	default:
		return nil
	}
}

// plan is a transaction, understood at one assumption of what its conditions
// will match.
type plan struct {
	steps []step
	names names
	// last says that the transaction is not begun anew once more.
	last bool
	// versioned are the steps to which a link with a version leads.
	versioned map[int]bool
	// meant are the conditional references that are resolved.
	meant map[string]string
}

// again is the plan for one run of the commit, which changes it.
func (p *plan) again() *plan {
	return &plan{steps: slices.Clone(p.steps), names: p.names, last: p.last, versioned: maps.Clone(p.versioned), meant: maps.Clone(p.meant)}
}

// EntryErrors are the faults that several entries of a transaction have in
// themselves; nothing of the transaction was kept.
type EntryErrors []*EntryError

// Error implements error.
func (e EntryErrors) Error() string { return "invalid entries" }

// faultsMost is how many entries are told of together.
const faultsMost = 50

// foresee works out the plan as it would be at the visit's snapshot, outside the
// store's writer: what the conditions match, and all drafts. Where it comes
// otherwise, the commit makes the plan again.
func (v *visit) foresee(ctx context.Context, p *plan) error {
	p.names = names{whole: make(map[string]int, len(p.steps)), tails: make(map[string]int, len(p.steps))}
	for i := range p.steps {
		s := &p.steps[i]
		s.fresh, s.version = newID(), "1"
		if t := s.entry.Content.Tape; s.is("update") && s.entry.ID == "" && t != nil {
			s.written = t.Text(t.Field(t.Root(), "id"))
		}
		if s.written != "" && v.caller.Kind == consent.Custodian {
			s.fresh = s.written // to choose an id is the custodian's alone
		}
		p.names.add(s)
		if s.is("delete") || s.condition() == nil {
			continue
		}
		v.caller.Confined = s.confined
		f, ok, err := v.only(ctx, s.condition())
		if err != nil && !errors.Is(err, ErrMultiple) { // a deletion may yet make it one
			return &EntryError{Index: i, Err: err}
		}
		if ok {
			s.found = &f
		}
	}
	for i := range p.steps {
		p.steps[i].identify()
	}
	if err := p.distinct(nil, false); err != nil {
		return err
	}
	if err := v.drafts(ctx, p); err != nil {
		return err
	}
	v.foreseePatches(ctx, p)
	return nil
}

// identify gives the step the id of what its condition matches, or that in its
// address, or the fresh one. It reports whether that is another than before.
func (s *step) identify() bool {
	before, version := s.id, s.version
	s.done = s.found != nil && s.is("create")
	switch {
	case s.found != nil:
		s.id = s.found.ID
	case s.entry.ID != "":
		s.id = s.entry.ID
	case s.is("delete"):
		s.id = ""
	default:
		s.id = s.fresh
	}
	if s.done {
		s.version = s.found.Version
	}
	return s.id != before || s.version != version
}

// distinct refuses a transaction that is about a resource twice (R4
// http.html#trules). matched are the resources that conditions match, by step, in
// place of what the plan has so far; a conditional create counts when settled.
func (p *plan) distinct(matched map[int]string, settled bool) error {
	taken := make(map[string]bool, len(p.steps))
	for i := range p.steps {
		s := &p.steps[i]
		id, ok := matched[i]
		if !ok {
			id = s.id
		}
		if id == "" || !s.entry.Interaction.Write || !settled && s.entry.IfNoneExist != nil {
			continue
		}
		ref := string(s.entry.Type) + "/" + id
		if taken[ref] {
			return &EntryError{Index: i, Err: invalid(http.StatusBadRequest, fhir.CodeDuplicate,
				"a transaction is about a resource once only; another entry is about this one too", "")}
		}
		taken[ref] = true
	}
	return nil
}

// drafts makes the drafts of all entries, and gathers what is wrong with them.
func (v *visit) drafts(ctx context.Context, p *plan) error {
	p.versioned, p.meant = map[int]bool{}, map[string]string{}
	var faults EntryErrors
	for i := range p.steps {
		err := v.prepare(ctx, p, &p.steps[i])
		content := (*Invalid)(nil)
		switch {
		case err == nil:
		case !errors.As(err, &content):
			return &EntryError{Index: i, Err: err}
		default:
			faults = append(faults, &EntryError{Index: i, Err: err})
		}
		if len(faults) == faultsMost {
			break
		}
	}
	switch len(faults) {
	case 0:
		return nil
	case 1:
		return faults[0]
	default:
		return faults
	}
}

// prepare makes the draft of one entry.
func (v *visit) prepare(ctx context.Context, p *plan, s *step) error {
	if !s.is("create", "update") || s.done {
		return nil
	}
	s.draft, v.caller.Confined = nil, s.confined
	content, err := v.rewritten(ctx, p, s)
	if err != nil || s.open {
		return err
	}
	if s.draft, err = v.acceptable(ctx, s.entry.Type, content); err != nil {
		return err
	}
	switch {
	case s.entry.ID != "":
		return v.addressing(s.draft, s.entry.ID)
	case s.written != "" && (s.written != s.id || !fhir.ValidID(s.id)):
		return invalid(http.StatusBadRequest, fhir.CodeInvalid, "the id is not that of the match", string(s.entry.Type)+".id")
	default:
		return v.ready(s.draft, s.id)
	}
}
