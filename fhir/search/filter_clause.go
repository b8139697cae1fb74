package search

import (
	"fmt"
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// maxBound bounds the tests of all filters, each counted for every type that the
// paths lead it to.
const maxBound = 10000

// filtered understands _filter (R4 search_filter.html).
func (r *reading) filtered(types []fhir.ResourceType, value string) (Clause, *fault) {
	e, f := parseFilter(value)
	if f != nil {
		return Clause{}, f
	}
	all, f := r.bound(types, &e)
	r.pins = false // whatever was named last
	if f != nil {
		return Clause{}, f
	}
	return oneOf(all), nil
}

// oneOf is a clause that holds when all of them do.
func oneOf(all []Clause) Clause {
	if len(all) == 1 {
		return all[0]
	}
	return Clause{All: [][]Clause{all}}
}

// bound is an expression as clauses on resources of the types, all of which must
// hold.
func (r *reading) bound(types []fhir.ResourceType, e *filter) ([]Clause, *fault) {
	switch e.join {
	case filterAnd:
		var all []Clause
		for i := range e.of {
			some, f := r.bound(types, &e.of[i])
			if f != nil {
				return nil, f
			}
			all = append(all, some...)
		}
		return all, nil
	case filterOr:
		var either Clause
		for i := range e.of {
			all, f := r.bound(types, &e.of[i])
			if f != nil {
				return nil, f
			}
			if len(all) == 1 && !all[0].Not {
				either.or(all[0])
				continue
			}
			either.All = append(either.All, all)
		}
		return []Clause{either}, nil
	case filterNot:
		all, f := r.bound(types, &e.of[0])
		if f != nil {
			return nil, f
		}
		c := oneOf(all)
		c.Not = !c.Not
		return []Clause{c}, nil
	case filterTest:
	}
	c, f := r.tested(types, e)
	if f != nil && !f.unknown && !strings.HasPrefix(f.text, "at character ") {
		f.text = atCharacter(e.at) + f.text
	}
	return []Clause{c}, f
}

// tested is one test. What is asked of all values together is asked the other way
// about: none may be there.
func (r *reading) tested(types []fhir.ResourceType, e *filter) (Clause, *fault) {
	if r.terms++; r.terms > maxBound {
		return Clause{}, costly("the paths lead to too many types")
	}
	t, not := *e, false
	switch t.compare {
	case "ni":
		t.compare, not = "in", true
	case "pr":
		if t.value != "true" && t.value != "false" {
			return Clause{}, bad("pr must be followed by true or false")
		}
		not = t.value == "false"
	}
	c, f := r.followed(types, t.path, &t)
	if f == nil && not {
		c.Not = !c.Not
	}
	return c, f
}

// followed goes along a path.
func (r *reading) followed(types []fhir.ResourceType, path []filterStep, t *filter) (Clause, *fault) {
	step := path[0]
	if len(path) == 1 {
		return r.ended(types, step.name, t)
	}
	if step.within != nil {
		if c, f, own := r.element(types, path, t); own {
			return c, f
		}
	}
	next := func(target fhir.ResourceType) ([]Clause, *fault) {
		one := []fhir.ResourceType{target}
		var all []Clause
		if step.within != nil {
			some, f := r.bound(one, step.within)
			if f != nil {
				return nil, f
			}
			all = some
		}
		c, f := r.followed(one, path[1:], t)
		return append(all, c), f
	}
	if step.from != "" {
		return r.against(types, step.from, step.name, next)
	}
	return r.along(types, step.name, next)
}

// ended is the parameter at the end of a path.
func (r *reading) ended(types []fhir.ResourceType, name string, t *filter) (Clause, *fault) {
	if special := specialOf(name); special != nil && name != "_filter" {
		if t.compare != "eq" && t.compare != "co" {
			return Clause{}, unsupported(name + " is compared with eq alone")
		}
		return special(r, types, t.value)
	}
	return r.each(types, name, func(pp *paramPlan) (Clause, *fault) {
		if t.value == "" {
			return Clause{}, bad("the value is empty")
		}
		c, f := r.compared(pp, t.compare, t.value)
		if f == nil && r.meant(len(c.Any)) {
			f = costly("the values have too many possible meanings; name the type of each reference")
		}
		return c, f
	})
}

// element is a path that R4 defines beside the search parameters: two values of
// the same element (R4 search_filter.html#params). own is false for others.
func (r *reading) element(types []fhir.ResourceType, path []filterStep, t *filter) (c Clause, f *fault, own bool) {
	composite, names, own := elementOf(types, path[0].name)
	switch {
	case !own:
		return c, nil, false
	case composite == "":
		return c, unsupported(path[0].name + " stands for search parameters that R4 does not define"), true
	}
	in := path[0].within
	for in.join == filterAnd && len(in.of) == 1 {
		in = &in.of[0]
	}
	if in.join != filterTest || len(in.path) != 1 || len(path) != 2 {
		return c, unsupported("one test in brackets and one name behind them are supported here, as in " + path[0].name + `[code eq "x"].value eq "y"`), true
	}
	values := make([]string, len(names))
	for _, one := range []struct {
		name string
		test *filter
	}{{in.path[0].name, in}, {path[1].name, t}} {
		i := slices.Index(names, one.name)
		if i < 0 || values[i] != "" || one.test.compare != "eq" && one.test.compare != "re" {
			return c, unsupported(strings.Join(names, " and ") + " are known here, each once, compared with eq or re"), true
		}
		values[i] = strings.ReplaceAll(expanded(one.test.value), "$", `\$`)
	}
	c, f = r.each(types, composite, func(pp *paramPlan) (Clause, *fault) {
		matches, f := r.value(pp, strings.Join(values, "$"))
		return Clause{Any: matches}, f
	})
	return c, f, true
}

// elementOf is the composite behind one of the names of R4
// search_filter.html#params, and what its components are called there.
func elementOf(types []fhir.ResourceType, name string) (composite string, components []string, own bool) {
	if len(types) != 1 {
		return "", nil, false
	}
	switch string(types[0]) + "." + name {
	case "Group.characteristic":
		return "characteristic-value", []string{"code", "value"}, true
	case "DocumentReference.relatesTo":
		return "relationship", []string{"code", "target"}, true
	case "Observation.related", "ServiceRequest.event", "ServiceRequest.item", "ServiceRequest.item-event":
		return "", nil, true
	}
	return "", nil, false
}

// compared is what an operator makes of a parameter and a value.
func (r *reading) compared(pp *paramPlan, compare, v string) (Clause, *fault) {
	if compare == "pr" {
		return Clause{Any: []Match{present(pp.number)}}, nil
	}
	if f := legibleValue(v); f != nil {
		return Clause{}, f
	}
	var matches []Match
	var f *fault
	switch pp.Kind {
	case r4.ParamString:
		return r.comparedText(pp, compare, v)
	case r4.ParamToken, r4.ParamURI, r4.ParamReference, r4.ParamComposite:
		return r.comparedWhole(pp, compare, v)
	case r4.ParamNumber, r4.ParamDate, r4.ParamQuantity:
		switch {
		case strings.Contains(" eq ne gt lt ge le ap sa eb ", " "+compare+" "):
			matches, f = r.value(pp, compare+expanded(v))
		case pp.Kind == r4.ParamDate && (compare == "co" || compare == "po"):
			matches, f = r.overlapping(pp.number, compare, v)
		case pp.Kind == r4.ParamNumber && compare == "co":
			return r.near(pp, v)
		default:
			return Clause{}, incomparable(pp, compare)
		}
	case r4.ParamSpecial:
		return Clause{}, incomparable(pp, compare)
	}
	return Clause{Any: matches}, f
}

// comparators are the operators that a kind takes.
func comparators(k r4.ParamKind) string {
	switch k {
	case r4.ParamString:
		return "eq, ne, co, sw, ew, gt, lt, ge, le and pr"
	case r4.ParamToken:
		return "eq, ne, ss, sb, in, ni and pr"
	case r4.ParamReference:
		return "re and pr"
	case r4.ParamURI:
		return "eq, ne, co, sw and pr"
	case r4.ParamComposite:
		return "eq and pr"
	case r4.ParamDate:
		return "eq, ne, gt, lt, ge, le, ap, sa, eb, co, po and pr"
	case r4.ParamNumber:
		return "eq, ne, gt, lt, ge, le, ap, sa, eb, co and pr"
	case r4.ParamQuantity:
		return "eq, ne, gt, lt, ge, le, ap, sa, eb and pr"
	case r4.ParamSpecial:
	}
	return "no operators"
}

func incomparable(pp *paramPlan, compare string) *fault {
	return unsupported(fmt.Sprintf("%s is a %s, which %s does not compare; it takes %s", pp.Code, pp.Kind, compare, comparators(pp.Kind)))
}

// expanded puts the whole system in place of a name that R4
// search_filter.html#ops defines for it.
func expanded(v string) string {
	before, rest, ok := strings.Cut(v, "|")
	if !ok {
		return v
	}
	number := ""
	if system, code, quantity := strings.Cut(rest, "|"); quantity {
		number, before, rest = before+"|", system, code
	}
	switch strings.ToLower(before) {
	case "loinc":
		before = "http://loinc.org"
	case "snomed":
		before = "http://snomed.info/sct"
	case "rxnorm":
		before = "http://www.nlm.nih.gov/research/umls/rxnorm"
	case "ucum":
		before = "http://unitsofmeasure.org"
	default:
		return v
	}
	return number + before + "|" + rest
}
