package search

import (
	"fmt"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// clause understands the values of a parameter.
func (r *reading) clause(pp *paramPlan, modifier string, modified bool, value string) (Clause, *fault) {
	m := modification{value: (*reading).value}
	if modified {
		var f *fault
		if m, f = r.modification(pp, modifier); f != nil {
			return Clause{}, f
		}
	}
	values, f := r.split(value)
	if f != nil {
		return Clause{}, f
	}
	if m.whole != nil {
		return r.whole(m, pp, values)
	}
	c := Clause{Not: m.not}
	for i, v := range values {
		matches, f := m.value(r, pp, v)
		switch {
		case v == "":
			f = bad("is empty")
		case misplaced(pp.Kind, v):
			f = bad("has a prefix, which only numbers, dates and quantities take")
		}
		if f != nil {
			return Clause{}, inValue(f, i, values)
		}
		if c.Any = append(c.Any, matches...); r.meant(len(matches)) {
			return Clause{}, costly("the values have too many possible meanings; name the type of each reference")
		}
	}
	return c, nil
}

// split takes the values of a parameter apart. Escapes stay in them.
func (r *reading) split(value string) ([]string, *fault) {
	if len(value) > 2*MaxValues && strings.Count(value, ",")-strings.Count(value, `\,`) > MaxValues {
		return nil, tooMany() // which need not be taken apart to be seen
	}
	values, ok := splitEscaped(value, ',')
	if r.values += len(values); r.values > MaxValues {
		return nil, tooMany()
	}
	if !ok {
		return nil, bad(`a backslash may only stand before , | $ or another backslash`)
	}
	return values, nil
}

func tooMany() *fault {
	return costly(fmt.Sprintf("too many values in the search: at most %d", MaxValues))
}

// misplaced reports whether a value has a prefix (R4 search.html#prefix) though it
// is of a kind that takes none, as far as it cannot mean anything else.
func misplaced(k r4.ParamKind, v string) bool {
	if len(v) < 3 || !isLower(v[0]) || !isLower(v[1]) {
		return false
	}
	switch k { //nolint:exhaustive // the others take one, or any text
	case r4.ParamReference:
		return v[2] >= 'A' && v[2] <= 'Z' && strings.IndexByte(v, '/') > 0 && isPrefix(v[:2]) || comparesURL(v)
	case r4.ParamToken, r4.ParamURI:
		return comparesURL(v)
	}
	return false
}

func comparesURL(v string) bool {
	rest := v[2:]
	return (strings.HasPrefix(rest, "http://") || strings.HasPrefix(rest, "https://") || strings.HasPrefix(rest, "urn:")) && isPrefix(v[:2])
}

func isPrefix(v string) bool {
	_, _, f := cutPrefix(v)
	return f == nil
}

// meant counts matches, and reports whether there are too many.
func (r *reading) meant(n int) bool {
	r.matches += n
	return r.matches > maxMatches
}

// whole understands all values of a parameter together.
func (r *reading) whole(m modification, pp *paramPlan, values []string) (Clause, *fault) {
	for i, v := range values {
		if v == "" {
			return Clause{}, inValue(bad("is empty"), i, values)
		}
	}
	return m.whole(r, pp, values)
}

// inValue says which of several values a fault is in.
func inValue(f *fault, i int, values []string) *fault {
	if len(values) > 1 {
		f.text = fmt.Sprintf("value %d: %s", i+1, f.text)
	}
	return f
}

// present matches any value of a parameter.
func present(p Param) Match { return Match{Param: p, Op: OpPrefix} }

// missing understands :missing (R4 search.html#missing).
func (r *reading) missing(pp *paramPlan, values []string) (Clause, *fault) {
	if len(values) != 1 || values[0] != "true" && values[0] != "false" {
		return Clause{}, bad("must be true or false")
	}
	return Clause{Any: []Match{present(pp.number)}, Not: values[0] == "true"}, nil
}

// special understands a parameter that no definition of R4 gives an expression.
type special func(r *reading, types []fhir.ResourceType, value string) (Clause, *fault)

func specialOf(code string) special {
	if code == "" || code[0] != '_' {
		return nil
	}
	switch code {
	case "_list":
		return (*reading).list
	case "_text":
		return (*reading).narrative
	case "_filter":
		return (*reading).filtered
	case "_content":
		return (*reading).content
	}
	return nil
}

// specials are the parameters that specialOf knows, and _has.
func specials() []string { return []string{"_content", "_filter", "_has", "_list", "_text"} }

// list understands _list (R4 search.html#list).
func (r *reading) list(types []fhir.ResourceType, value string) (Clause, *fault) {
	var ids Clause
	values, f := r.split(value)
	if f != nil {
		return Clause{}, f
	}
	for i, v := range values {
		if len(v) > 0 && v[0] == '$' {
			return Clause{}, unsupported("lists by their function, such as $current-allergies, are not kept; name a List by its id")
		}
		l, ok := r.local([]byte(v))
		switch {
		case ok && string(l.typ) == "List" && len(l.whole) == len(l.unversioned):
			v = string(l.whole[len("List/"):])
		case !fhir.ValidID(v):
			return Clause{}, inValue(bad("must be the id of a List"), i, values)
		}
		ids.Any = append(ids.Any, IDMatch(v))
	}
	return r.against(types, "List", "item", func(fhir.ResourceType) ([]Clause, *fault) { return []Clause{ids}, nil })
}
