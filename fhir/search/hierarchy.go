package search

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// maxLevels is how far :above and :below go through a hierarchy of references.
const maxLevels = 8

// upward is the reference by which resources of a type form a strict hierarchy
// (R4 search.html#recursive): what each is part of. nil when they form none.
func (t *table) upward(typ fhir.ResourceType) *paramPlan {
	for _, code := range []string{"partof", "part-of"} {
		pp := t.param(typ, code)
		if pp != nil && pp.indexed && pp.Kind == r4.ParamReference && len(pp.targets) <= 3 && slices.Contains(pp.targets, typ) {
			return pp
		}
	}
	return nil
}

// ordered reports whether a reference leads to a hierarchy, or to canonicals,
// whose versions are one.
func ordered(t *table, pp *paramPlan) bool { return pp.canonical() || len(t.trees(pp)) > 0 }

// trees are the types that a reference may point to and that form hierarchies.
func (t *table) trees(pp *paramPlan) []fhir.ResourceType {
	return slices.DeleteFunc(slices.Clone(pp.targets), func(typ fhir.ResourceType) bool { return t.upward(typ) == nil })
}

func (r *reading) aboveReference(pp *paramPlan, values []string) (Clause, *fault) {
	return r.through(pp, values, true)
}

func (r *reading) belowReference(pp *paramPlan, values []string) (Clause, *fault) {
	return r.through(pp, values, false)
}

// through understands location:below and encounter:above (R4
// search.html#recursive), and versions of canonicals (R4 search.html#versions).
func (r *reading) through(pp *paramPlan, values []string, up bool) (Clause, *fault) {
	var c Clause
	named, trees := map[fhir.ResourceType][]string{}, r.trees(pp)
	for i, v := range values {
		v = unescape(v)
		var f *fault
		if l, ok := r.local([]byte(v)); pp.canonical() && !ok && strings.Contains(v, ":") {
			var m []Match
			m, f = versions(pp, v, up)
			c.Any = append(c.Any, m...)
		} else {
			f = nameNode(named, trees, v, l, ok)
		}
		if f != nil {
			return Clause{}, inValue(f, i, values)
		}
	}
	for _, t := range trees {
		ids := named[t]
		if len(ids) == 0 {
			continue
		}
		c.Any = append(c.Any, referencesTo(pp, t, ids)...)
		part := r.upward(t)
		next := descends(part, t, ids, maxLevels)
		if up {
			next = Clause{Via: []Join{{Reverse: true, Param: part.number, Type: t, Clauses: []Clause{ascends(part, t, ids, maxLevels)}}}}
		}
		c.Via = append(c.Via, Join{Param: pp.number, Type: t, Clauses: []Clause{next}})
	}
	if r.meant(len(c.Any) * maxLevels) {
		return Clause{}, costly("the values have too many possible meanings; name the type of each reference")
	}
	return c, nil
}

// versions are the canonicals above or below one: by its version, or without one
// by the path.
func versions(pp *paramPlan, v string, up bool) ([]Match, *fault) {
	if up {
		return aboveVersion(pp.number, tagReference, v)
	}
	return belowVersion(pp.number, tagReference, v)
}

// nameNode notes what a value names: an id alone is that of each type that has a
// hierarchy.
func nameNode(named map[fhir.ResourceType][]string, trees []fhir.ResourceType, v string, l local, ok bool) *fault {
	typ, id := "", v
	if ok {
		typ, id = string(l.typ), string(l.unversioned[len(l.typ)+1:])
	}
	if !fhir.ValidID(id) {
		return bad("must be an id or Type/id, or a canonical URL with a version")
	}
	some := false
	for _, t := range trees {
		if typ == "" || typ == string(t) {
			named[t] = append(named[t], id)
			some = true
		}
	}
	if !some {
		return bad("names a type that has no hierarchy")
	}
	return nil
}

func referencesTo(pp *paramPlan, t fhir.ResourceType, ids []string) []Match {
	out := make([]Match, len(ids))
	for i, id := range ids {
		out[i] = ReferenceMatch(pp.SearchParam, string(t)+"/"+id)
	}
	return out
}

// descends holds for what is part of one of the resources, at any level.
func descends(part *paramPlan, t fhir.ResourceType, ids []string, levels int) Clause {
	c := Clause{Any: referencesTo(part, t, ids)}
	if levels > 1 {
		c.Via = []Join{{Param: part.number, Type: t, Clauses: []Clause{descends(part, t, ids, levels-1)}}}
	}
	return c
}

// ascends holds for one of the resources, and for what it is part of, at any
// level.
func ascends(part *paramPlan, t fhir.ResourceType, ids []string, levels int) Clause {
	var c Clause
	for _, id := range ids {
		c.Any = append(c.Any, IDMatch(id))
	}
	if levels > 1 {
		c.Via = []Join{{Reverse: true, Param: part.number, Type: t, Clauses: []Clause{ascends(part, t, ids, levels-1)}}}
	}
	return c
}
