package search

import (
	"fmt"
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// onward understands what is asked of resources of a type that a step of a chain
// leads to.
type onward func(t fhir.ResourceType) ([]Clause, *fault)

// condition understands one condition on resources of the types, all of which
// must have the parameter that it begins with.
func (r *reading) condition(types []fhir.ResourceType, name, value string) (Clause, *fault) {
	if strings.Count(name, ".") > MaxChain {
		return Clause{}, costly(fmt.Sprintf("a chain has at most %d steps", MaxChain))
	}
	if strings.Count(name, "_has:") > MaxHas {
		return Clause{}, costly(fmt.Sprintf("_has goes at most %d deep", MaxHas))
	}
	return r.step(types, name, value)
}

func (r *reading) step(types []fhir.ResourceType, name, value string) (Clause, *fault) {
	if rest, ok := strings.CutPrefix(name, "_has:"); ok || name == "_has" {
		typ, rest, _ := strings.Cut(rest, ":")
		code, rest, ok := strings.Cut(rest, ":")
		if !ok || rest == "" {
			return Clause{}, bad("must be _has:Type:reference:parameter, such as _has:Observation:patient:code")
		}
		return r.against(types, fhir.ResourceType(typ), code, r.steps(rest, value))
	}
	head, rest, chained := strings.Cut(name, ".")
	if !chained {
		return r.leaf(types, name, value)
	}
	return r.along(types, head, r.steps(rest, value))
}

func (r *reading) steps(name, value string) onward {
	return func(t fhir.ResourceType) ([]Clause, *fault) {
		c, f := r.step([]fhir.ResourceType{t}, name, value)
		return []Clause{c}, f
	}
}

// leaf understands a parameter of the resource itself.
func (r *reading) leaf(types []fhir.ResourceType, name, value string) (Clause, *fault) {
	code, modifier, modified := strings.Cut(name, ":")
	if special := specialOf(code); special != nil {
		if modified {
			return Clause{}, unsupported("it takes no modifier")
		}
		return special(r, types, value)
	}
	return r.each(types, code, func(pp *paramPlan) (Clause, *fault) {
		return r.clause(pp, modifier, modified, value)
	})
}

// each puts together what a parameter is for each of the types. A resource has
// entries of its own type's parameters alone, so that it is asked no more than
// that.
func (r *reading) each(types []fhir.ResourceType, code string, do func(*paramPlan) (Clause, *fault)) (Clause, *fault) {
	var all Clause
	values := r.values
	for i, t := range types {
		pp := r.Parser.param(t, code)
		switch {
		case pp == nil:
			return Clause{}, unknown(code, types)
		case !pp.indexed:
			return Clause{}, &fault{code: fhir.CodeNotSupported, unknown: true, text: "not supported: R4 does not say what it finds"}
		case r.told(types[:i], code, pp):
			continue
		}
		r.values, r.pins = values, pp.pins() && (i == 0 || r.pins)
		c, f := do(pp)
		if f != nil {
			return Clause{}, f
		}
		if i == 0 {
			all = c
			continue
		}
		all.or(c)
	}
	return all, nil
}

// told reports whether a parameter of types that were asked before is the same.
func (r *reading) told(before []fhir.ResourceType, code string, pp *paramPlan) bool {
	for _, t := range before {
		if one := r.Parser.param(t, code); one.number == pp.number && slices.Equal(one.targets, pp.targets) {
			return true
		}
	}
	return false
}

// or adds the alternatives of another clause, which is inverted if c is.
func (c *Clause) or(o Clause) {
	c.Any = append(c.Any, o.Any...)
	c.Via = append(c.Via, o.Via...)
	c.Read = append(c.Read, o.Read...)
	c.All = append(c.All, o.All...)
	c.Not = o.Not
}

// along follows a reference (R4 search.html#chaining). Without a type it goes to
// every type that knows what comes next.
func (r *reading) along(types []fhir.ResourceType, head string, next onward) (Clause, *fault) {
	code, typ, typed := strings.Cut(head, ":")
	return r.each(types, code, func(pp *paramPlan) (Clause, *fault) {
		targets, f := r.leads(pp, typ, typed)
		if f != nil {
			return Clause{}, f
		}
		var c Clause
		values := r.values
		for _, t := range targets {
			if r.joins++; r.joins > maxJoins {
				return Clause{}, costly("the chain leads to too many types; name the type of each step, as in subject:Patient.name")
			}
			r.values = values
			clauses, f := next(t)
			switch {
			case f != nil && f.unknown && len(targets) > 1:
				continue
			case f != nil:
				return Clause{}, f
			}
			c.Via = append(c.Via, r.joinsOf(pp, t, clauses)...)
		}
		if len(c.Via) == 0 {
			return Clause{}, &fault{
				code: fhir.CodeNotSupported, unknown: true,
				text: "what comes after " + printable(head) + " is not known for any type that it refers to; name the type to hear what is",
			}
		}
		r.inside(pp, &c)
		return c, nil
	})
}

// leads are the types to which a step of a chain leads.
func (r *reading) leads(pp *paramPlan, typ string, typed bool) ([]fhir.ResourceType, *fault) {
	switch {
	case pp.Kind != r4.ParamReference:
		text := pp.Code + " is a " + pp.Kind.String() + " and leads nowhere: only a reference can be followed"
		return nil, &fault{code: fhir.CodeValue, unknown: true, text: text}
	case !typed:
		return r.targets(pp), nil
	case r.types[fhir.ResourceType(typ)] == nil:
		return nil, unsupported("a chain is followed after the name of a type alone, as in subject:Patient.name")
	case !pp.refersTo(fhir.ResourceType(typ)):
		return nil, bad(pp.Code + " never refers to that type")
	}
	return []fhir.ResourceType{fhir.ResourceType(typ)}, nil
}

// joinsOf are the joins along a reference to a type: by its id, and by its url
// when what refers is a canonical.
func (r *reading) joinsOf(pp *paramPlan, t fhir.ResourceType, clauses []Clause) []Join {
	joins := []Join{{Param: pp.number, Type: t, Clauses: clauses}}
	if by := r.url(pp, t); by != 0 {
		joins = append(joins, Join{Param: pp.number, By: by, Type: t, Clauses: clauses})
	}
	return joins
}

// url is the parameter by which a canonical names resources of a type; zero when
// the reference is none, or the type has no url.
func (r *reading) url(pp *paramPlan, t fhir.ResourceType) Param {
	if url := r.Parser.param(t, "url"); pp.canonical() && url != nil && url.indexed && url.Kind == r4.ParamURI {
		return url.number
	}
	return 0
}

// against follows a reference of resources of another type backwards (R4
// search.html#has).
func (r *reading) against(types []fhir.ResourceType, from fhir.ResourceType, code string, next onward) (Clause, *fault) {
	pp := r.Parser.param(from, code)
	switch {
	case r.types[from] == nil:
		return Clause{}, bad("_has must name a resource type after its first colon")
	case pp == nil || !pp.indexed || pp.Kind != r4.ParamReference:
		return Clause{}, unsupported(printable(code) + " is no reference of " + string(from) + "; " + strings.Join(r.references(from), ", ") + " are")
	case !slices.ContainsFunc(types, pp.refersTo):
		return Clause{}, &fault{code: fhir.CodeValue, unknown: true, text: code + " of " + string(from) + " never refers to " + string(types[0])}
	}
	if r.joins++; r.joins > maxJoins {
		return Clause{}, costly("the chains lead to too many types")
	}
	clauses, f := next(from)
	if f != nil {
		return Clause{}, f
	}
	c := Clause{Via: []Join{{Reverse: true, Param: pp.number, Type: from, Clauses: clauses}}}
	for _, t := range types {
		by := r.url(pp, t)
		if by != 0 && !slices.ContainsFunc(c.Via, func(j Join) bool { return j.By == by }) {
			c.Via = append(c.Via, Join{Reverse: true, Param: pp.number, By: by, Type: from, Clauses: clauses})
		}
	}
	return c, nil
}

// references are the codes of the reference parameters of a type.
func (r *reading) references(t fhir.ResourceType) (codes []string) {
	for _, p := range r.Supported(t) {
		if p.Kind == r4.ParamReference {
			codes = append(codes, p.Code)
		}
	}
	return codes
}

// targets are the types that a reference may point to.
func (t *table) targets(pp *paramPlan) []fhir.ResourceType {
	if len(pp.targets) > 0 {
		return pp.targets
	}
	return t.every
}

func (pp *paramPlan) refersTo(t fhir.ResourceType) bool {
	return len(pp.targets) == 0 || slices.Contains(pp.targets, t)
}
