package search

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// modification is what a modifier makes of the values of a parameter.
type modification struct {
	name string
	// takes says that the parameter takes it; nil for every one of its kind.
	takes func(r *table, pp *paramPlan) bool
	// value understands one value; whole, where it is not nil, all of them.
	value func(r *reading, pp *paramPlan, v string) ([]Match, *fault)
	whole func(r *reading, pp *paramPlan, values []string) (Clause, *fault)
	not   bool
}

// modifications are those of a kind, in the order in which they are told (R4
// search.html#modifiers). What the parser takes and what is declared is this.
func modifications(k r4.ParamKind) []modification {
	missing := modification{name: "missing", whole: (*reading).missing}
	switch k {
	case r4.ParamString:
		return []modification{missing, {name: "exact", value: (*reading).exact}, {name: "contains", whole: (*reading).contains}}
	case r4.ParamToken:
		return []modification{
			missing,
			{name: "text", whole: (*reading).display, takes: displayed},
			{name: "not", value: (*reading).value, not: true},
			{name: "in", value: (*reading).in, takes: coded},
			{name: "not-in", value: (*reading).in, takes: coded, not: true},
			{name: "above", value: (*reading).above, takes: coded},
			{name: "below", value: (*reading).below, takes: coded},
			{name: "of-type", value: (*reading).ofType, takes: identified},
		}
	case r4.ParamReference:
		return []modification{
			missing,
			{name: "identifier", value: (*reading).identifier, takes: literal},
			{name: "above", whole: (*reading).aboveReference, takes: ordered},
			{name: "below", whole: (*reading).belowReference, takes: ordered},
		}
	case r4.ParamURI:
		return []modification{missing, {name: "above", value: (*reading).aboveURI}, {name: "below", value: (*reading).belowURI}}
	case r4.ParamNumber, r4.ParamDate, r4.ParamQuantity, r4.ParamComposite, r4.ParamSpecial:
		return []modification{missing}
	}
	return nil
}

// Modifiers are the modifiers that parameters of a kind take, if not each of
// them all: Parser.Modifiers says which. A reference also takes the name of each
// type that it may point to.
func Modifiers(k r4.ParamKind) (names []string) {
	for _, m := range modifications(k) {
		names = append(names, m.name)
	}
	return names
}

// Modifiers are those that a parameter of a type takes; the names of types are
// not among them.
func (p *Parser) Modifiers(t fhir.ResourceType, code string) (names []string) {
	pp := p.param(t, code)
	if pp == nil || !pp.indexed {
		return nil
	}
	return p.modifiers(pp)
}

func (t *table) modifiers(pp *paramPlan) (names []string) {
	for _, m := range modifications(pp.Kind) {
		if m.takes == nil || m.takes(t, pp) {
			names = append(names, m.name)
		}
	}
	return names
}

// modification finds the modifier of a parameter.
func (r *reading) modification(pp *paramPlan, name string) (modification, *fault) {
	for _, m := range modifications(pp.Kind) {
		if m.name == name && (m.takes == nil || m.takes(r.table, pp)) {
			return m, nil
		}
	}
	if pp.Kind == r4.ParamReference && r.types[fhir.ResourceType(name)] != nil {
		if !pp.refersTo(fhir.ResourceType(name)) {
			return modification{}, bad("it never refers to that type")
		}
		return modification{value: func(r *reading, pp *paramPlan, v string) ([]Match, *fault) {
			return r.typedReference(pp, name, v)
		}}, nil
	}
	return modification{}, unsupported("modifier " + printable(name) + " is not supported; " + r.takes(pp))
}

// takes says which modifiers a parameter takes.
func (r *reading) takes(pp *paramPlan) string {
	names := r.modifiers(pp)
	for i := range names {
		names[i] = `"` + names[i] + `"`
	}
	if pp.Kind == r4.ParamReference {
		names = append(names, "the name of a resource type")
	}
	switch len(names) {
	case 0:
		return "no modifier is"
	case 1:
		return names[0] + " is"
	default:
		last := len(names) - 1
		return strings.Join(names[:last], ", ") + " and " + names[last] + " are"
	}
}

// forms says which extractors a parameter has.
type forms uint32

func (f forms) has(any ...extractor) bool {
	return slices.ContainsFunc(any, func(x extractor) bool { return f&(1<<x) != 0 })
}

func coded(_ *table, pp *paramPlan) bool {
	return pp.forms.has(extractCode, extractCoding, extractConcept)
}

func displayed(_ *table, pp *paramPlan) bool {
	return pp.forms.has(extractCoding, extractConcept, extractIdentifier)
}

func identified(_ *table, pp *paramPlan) bool { return pp.forms.has(extractIdentifier) }

func literal(_ *table, pp *paramPlan) bool { return pp.forms.has(extractReference) }

// canonical reports whether the parameter refers by canonical URLs.
func (pp *paramPlan) canonical() bool { return pp.forms.has(extractCanonical) }
