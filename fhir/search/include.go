package search

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// include reads _include (R4 search.html#include).
func (r *reading) include(modifier, value string) *fault { return r.included(modifier, value, false) }

// revinclude reads _revinclude (R4 search.html#revinclude).
func (r *reading) revinclude(modifier, value string) *fault { return r.included(modifier, value, true) }

func (r *reading) included(modifier, value string, reverse bool) *fault {
	in := Include{Reverse: reverse}
	switch modifier {
	case "":
	case "iterate", "recurse": // recurse is what STU3 called it
		in.Iterate = true
	default:
		return unsupported("modifier " + printable(modifier) + ` is not supported; "iterate" is`)
	}
	if strings.Contains(value, ",") {
		return bad("names one reference; for another it is given again, not a comma")
	}
	if value != "*" {
		parts := strings.Split(value, ":")
		if len(parts) != 2 && len(parts) != 3 {
			return bad("must be *, Source:parameter or Source:parameter:Target, such as Observation:subject:Patient")
		}
		if f := r.includedFrom(&in, parts); f != nil {
			return f
		}
	}
	if !slices.Contains(r.q.Includes, in) {
		r.q.Includes = append(r.q.Includes, in)
	}
	return nil
}

// includedFrom understands the parts of an include. One that could never add
// anything is refused.
func (r *reading) includedFrom(in *Include, parts []string) *fault {
	in.Source = fhir.ResourceType(parts[0])
	if r.types[in.Source] == nil {
		return bad("must begin with the name of a resource type, or be *")
	}
	if len(parts) == 3 {
		in.Target = fhir.ResourceType(parts[2])
		if r.types[in.Target] == nil {
			return bad("must end with the name of a resource type")
		}
	}
	if !in.Reverse && !in.Iterate && !slices.Contains(r.searched, in.Source) {
		return bad("goes from a type that is not searched; :iterate goes on from what was included")
	}
	if parts[1] == "*" {
		return nil
	}
	pp := r.Parser.param(in.Source, parts[1])
	switch {
	case pp == nil || !pp.indexed || pp.Kind != r4.ParamReference:
		return bad(printable(parts[1]) + " is no reference of " + parts[0] + "; " + strings.Join(append(r.references(in.Source), "*"), ", ") + " are")
	case in.Target != "" && !pp.refersTo(in.Target):
		return bad(parts[1] + " never refers to " + parts[2])
	case in.Reverse && !in.Iterate && !slices.ContainsFunc(r.searched, pp.refersTo):
		return bad(parts[1] + " never refers to what is searched; :iterate goes on from what was included")
	}
	in.Param = pp.number
	return nil
}

// everywhere reads _type of a search of all types (R4 search.html#type). Without
// it every type is searched.
func (r *reading) everywhere(params []Pair) *fault {
	r.searched = r.every
	for _, pair := range params {
		if pair.Name != "_type" {
			continue
		}
		if strings.Count(pair.Value, ",") > 2*len(r.every) {
			return bad("names more types than there are")
		}
		var types []fhir.ResourceType
		names := strings.Split(pair.Value, ",")
		for i, name := range names {
			if r.types[fhir.ResourceType(name)] == nil {
				return inValue(bad("must be the name of a resource type"), i, names)
			}
			types = append(types, fhir.ResourceType(name))
		}
		slices.Sort(types)
		r.searched = slices.Compact(types)
	}
	r.q.Types = slices.Clone(r.searched)
	return nil
}

// typed is _type where it stands: everywhere has read it.
func (r *reading) typed(_, _ string) *fault {
	if r.q.Type != "" {
		return unsupported("only a search of all types takes it; the type searched is in the address")
	}
	return nil
}

// together refuses parameters that do not go with one another.
func (r *reading) together() {
	q := r.q
	switch {
	case q.Summary == SummaryText && len(q.Includes) > 0: // R4 search.html#summary
		r.refuse("_summary", bad("text does not go with _include or _revinclude"))
	case q.Summary != SummaryFalse && q.Elements != nil:
		r.refuse("_elements", bad("does not go with _summary"))
	case q.Contained != ContainedFalse && q.Type == "":
		r.refuse("_contained", unsupported("only a search of one type takes it"))
	case q.Contained != ContainedFalse && len(q.Sort) > 0:
		r.refuse("_sort", unsupported("does not go with _contained: what is contained has no order among other resources"))
	case q.Contained != ContainedFalse && leads(q.Clauses):
		r.refuse("_contained", unsupported("does not go with chains, _has or _list"))
	}
	if q.Contained != ContainedFalse && !slices.Contains(r.seen, "_containedType") {
		q.Containers = true
	}
}

// leads reports whether a clause leads to other resources.
func leads(clauses []Clause) bool {
	return slices.ContainsFunc(clauses, func(c Clause) bool { return len(c.Via) > 0 || slices.ContainsFunc(c.All, leads) })
}
