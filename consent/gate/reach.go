package gate

import (
	"context"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// searchable is the universe that a query is answered from. One that leads to
// other resources is answered from all that exists for the caller, whomever it
// pins, for what it leads to may be somebody else's; and from no type that the
// caller could not search or read by itself.
func (v *visit) searchable(ctx context.Context, q *search.Query) (*consent.Universe, error) {
	var led []fhir.ResourceType
	eachJoin(q.Clauses, func(j *search.Join) { led = append(led, j.Type) })
	if len(led) == 0 && q.Contained == search.ContainedFalse {
		return v.universe(ctx, q.Patients)
	}
	u, err := v.universe(ctx, nil)
	if err != nil {
		return nil, err
	}
	return v.narrowed(ctx, u, led)
}

// eachJoin calls with for every join of the clauses, those of joins and groups
// included.
func eachJoin(clauses []search.Clause, with func(*search.Join)) {
	for i := range clauses {
		c := &clauses[i]
		for k := range c.Via {
			with(&c.Via[k])
			eachJoin(c.Via[k].Clauses, with)
		}
		for _, group := range c.All {
			eachJoin(group, with)
		}
	}
}

// narrowed leaves in a universe the types that scopes and directives let the
// caller search or read. Where they let him have all those that are asked for,
// nothing needs to be left out.
func (v *visit) narrowed(ctx context.Context, u *consent.Universe, types []fhir.ResourceType) (*consent.Universe, error) {
	open, err := v.opened(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		if !open.reads(consent.Row{Type: t}) {
			return u.Where(open.reads), nil
		}
	}
	return u, nil
}

// openness says which types are open to the caller. It is not safe for concurrent
// use.
type openness struct {
	*visit
	blocks func(fhir.ResourceType) bool
	known  map[fhir.ResourceType]typeOpen
	// confined is what the caller was when the universe was made.
	confined bool
}

// typeOpen says how a type is open; the zero value is not at all.
type typeOpen uint8

const (
	typeClosed   typeOpen = iota
	typeConfined          // of the launch patient alone
	typeWhole
)

// opened asks the directives once.
func (v *visit) opened(ctx context.Context) (*openness, error) {
	o := &openness{
		visit: v, known: map[fhir.ResourceType]typeOpen{}, confined: v.caller.Confined,
		blocks: func(fhir.ResourceType) bool { return false },
	}
	if v.caller.Kind.IsProvider() {
		set, err := v.directiveSet(ctx)
		if err != nil {
			return nil, err
		}
		o.blocks = func(t fhir.ResourceType) bool { return set.Blocks(&v.caller, v.device, false, t, v.now) }
	}
	return o, nil
}

// of says how a type is open to be searched or read.
func (o *openness) of(t fhir.ResourceType) typeOpen {
	if out, ok := o.known[t]; ok {
		return out
	}
	out := o.reading(t)
	if out != typeClosed && o.blocks(t) {
		out = typeClosed
	}
	o.known[t] = out
	return out
}

// reading is what scopes say of it.
func (o *openness) reading(t fhir.ResourceType) (out typeOpen) {
	if o.caller.Scopes.Granular() {
		switch in := o.visit.reading(t); {
		case !in.ok:
			return typeClosed
		case in.confined:
			return typeConfined
		default:
			return typeWhole
		}
	}
	for _, letter := range [...]byte{'r', 's'} {
		ok, confined := o.caller.Scopes.Allows(letter, t)
		switch {
		case !ok || out == typeWhole:
		case confined:
			out = typeConfined
		default:
			out = typeWhole
		}
	}
	return out
}

// reads reports whether rows of the kind are open. A scope for one patient's
// record opens no others: where the universe is not confined to that patient, it
// opens what is nobody's.
func (o *openness) reads(r consent.Row) bool {
	switch o.of(r.Type) {
	case typeWhole:
		return true
	case typeConfined:
		return o.confined || r.Home == consent.HomeShared
	case typeClosed:
		return false
	default:
		return false
	}
}

// settled makes what was recorded findable, for a search that comes by the record
// of access.
func (g *Gate) settled(ctx context.Context, q *search.Query) error {
	const events fhir.ResourceType = "AuditEvent"
	comes := false
	for _, t := range q.Types {
		comes = comes || t == events
	}
	eachJoin(q.Clauses, func(j *search.Join) { comes = comes || j.Type == events })
	for i := range q.Includes {
		in := &q.Includes[i]
		comes = comes || in.Source == events || in.Reverse && in.Source == ""
	}
	if !comes || q.Type == events {
		return nil
	}
	return g.store.Settle(ctx)
}
