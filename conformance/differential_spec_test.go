package conformance

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// specResource is one resource as the evaluator sees it.
type specResource struct {
	typ, id string
	body    object
	// within is what contains it; nil for what stands by itself.
	within *specResource
}

func (r *specResource) name() string { return r.typ + "/" + r.id }

// specWorld evaluates searches in memory, resource by resource, as the text of R4
// says. It shares nothing with the server.
type specWorld struct {
	base   string
	types  map[string]bool
	byName map[string]*specResource
	byType map[string][]*specResource
	params map[string][]parameter
	// filters are the expressions that were asked, by how they are written.
	filters map[string]*filterNode
	// inner are the resources contained in others, by those.
	inner map[*specResource][]*specResource
	// innerOf are the contained resources by type.
	innerOf map[string][]*specResource
	// systems and sets are what is known of code systems, by URL, and of value sets,
	// by canonical.
	systems map[string]*specSystem
	sets    map[string]specCodes
	// compartments are the parameters that put a type into one.
	compartments map[string][]string
	// led are the targets of references, once they were worked out.
	led map[*specResource]map[*parameter][]*specResource
}

func newSpecWorld(t *testing.T, base string, resources []object) *specWorld {
	t.Helper()
	w := &specWorld{base: base, types: map[string]bool{}, byName: map[string]*specResource{}, byType: map[string][]*specResource{}, params: parameters(t), filters: map[string]*filterNode{}, inner: map[*specResource][]*specResource{}, innerOf: map[string][]*specResource{}, led: map[*specResource]map[*parameter][]*specResource{}}
	for _, o := range resources {
		r := &specResource{text(o, "resourceType"), text(o, "id"), o, nil}
		for _, c := range list(o, "contained") {
			inner := &specResource{text(c, "resourceType"), text(c, "id"), c.(object), r}
			w.inner[r] = append(w.inner[r], inner)
			w.innerOf[inner.typ] = append(w.innerOf[inner.typ], inner)
		}
		w.byName[r.name()] = r
		w.byType[r.typ] = append(w.byType[r.typ], r)
	}
	for _, typ := range strings.Fields("Group Device Specimen Medication CareTeam RelatedPerson PractitionerRole Substance") {
		w.types[typ] = true
	}
	for typ := range w.params {
		w.types[typ] = true
	}
	for typ := range w.byType {
		w.types[typ] = true
		slices.SortFunc(w.byType[typ], func(a, b *specResource) int { return cmp.Compare(a.id, b.id) })
	}
	w.learnTerms()
	w.compartments = compartments()
	return w
}

func (w *specWorld) param(typ, name string) *parameter {
	for i, p := range w.params[typ] {
		if p.name == name {
			return &w.params[typ][i]
		}
	}
	return nil
}

// given is one parameter of a search, decoded.
type given struct{ name, value string }

// search is what a search of a type must find, by id.
func (w *specWorld) search(typ string, all []given) (found []*specResource) {
	for _, r := range w.byType[typ] {
		if w.satisfies(r, all) {
			found = append(found, r)
		}
	}
	return found
}

func (w *specWorld) satisfies(r *specResource, all []given) bool {
	return !slices.ContainsFunc(all, func(g given) bool { return !w.holds(r, g.name, g.value) })
}

// holds reports whether one parameter holds for a resource.
func (w *specWorld) holds(r *specResource, name, value string) bool {
	switch {
	case strings.HasPrefix(name, "_has:"):
		return w.has(r, name, value)
	case name == "_filter":
		return w.filtered(r, w.filters[value])
	case name == "_list":
		return w.listed(r, value)
	case name == "_text" || name == "_content":
		return slices.ContainsFunc(splitAt(value, ','), func(v string) bool {
			return textSearch(unescaped(v), func(phrase string) bool { return containsWords(narrative(r, name), phrase) })
		})
	case strings.Contains(name, "."):
		return w.chained(r, name, value)
	}
	code, modifier, _ := strings.Cut(name, ":")
	p := w.param(r.typ, code)
	if p == nil {
		panic("no parameter " + r.typ + "?" + code)
	}
	return w.plain(r, p, modifier, value)
}

// plain is a parameter of the resource itself.
func (w *specWorld) plain(r *specResource, p *parameter, modifier, value string) bool {
	switch modifier {
	case "missing":
		return w.present(r, p) == (value == "false")
	case "not", "not-in":
		positive := map[string]string{"not": "", "not-in": "in"}[modifier]
		return !w.plain(r, p, positive, value)
	}
	for _, v := range splitAt(value, ',') {
		if p.kind == "composite" {
			if w.composite(r.body, p, v) {
				return true
			}
			continue
		}
		if w.any(r.body, p, modifier, v) {
			return true
		}
	}
	return false
}

// any reports whether some value at a place matches.
func (w *specWorld) any(within any, p *parameter, modifier, v string) bool {
	for i := range p.places {
		for _, node := range walk(within, p.places[i].path) {
			if w.matches(p.kind, &p.places[i], modifier, v, node) {
				return true
			}
		}
	}
	return false
}

func (w *specWorld) matches(kind string, place *valuePlace, modifier, v string, node any) bool {
	switch kind {
	case "string":
		return stringMatches(v, modifier, node, place.typ)
	case "token":
		switch modifier {
		case "text":
			return slices.ContainsFunc(tokenTexts(node, place.typ), func(s string) bool { return textOfToken(s, unescaped(v)) })
		case "of-type":
			return ofType(v, node)
		case "in", "above", "below":
			return w.inTerms(v, modifier, tokensOf(node, place))
		}
		if place.path == "id" {
			return asText(node) == unescaped(v)
		}
		return tokenMatches(v, tokensOf(node, place))
	case "reference":
		return w.referenceMatches(v, modifier, place, node)
	case "uri":
		if place.typ == "canonical" {
			return w.canonicalMatches(unescaped(v), modifier, asText(node))
		}
		return uriMatches(v, modifier, asText(node), place.typ)
	case "date":
		return slices.ContainsFunc(timesOf(node, place.typ), soughtMoment(v).compares)
	case "number", "quantity":
		return slices.ContainsFunc(amountsOf(node, place.typ), func(a amount) bool { return quantityMatches(v, a) })
	case "special":
		return nearby(v, node)
	}
	panic("kind " + kind)
}

// walk is what stands at a path: of lists every element.
func walk(v any, path string) []any {
	at := []any{v}
	if path == "." {
		return at
	}
	for step := range strings.SplitSeq(path, ".") {
		name, condition, conditional := strings.Cut(strings.TrimSuffix(step, "]"), "[")
		var next []any
		for _, one := range at {
			o, _ := one.(object)
			switch child := o[name].(type) {
			case nil:
			case []any:
				next = append(next, child...)
			default:
				next = append(next, child)
			}
		}
		if conditional {
			member, wanted, _ := strings.Cut(condition, "=")
			next = slices.DeleteFunc(next, func(one any) bool { return text(one, member) != wanted })
		}
		at = next
	}
	return at
}

// present reports whether the resource has a value for the parameter.
func (w *specWorld) present(r *specResource, p *parameter) bool {
	if p.kind == "composite" {
		for _, context := range p.contexts {
			for _, node := range walk(r.body, context) {
				if !slices.ContainsFunc(p.components, func(c parameter) bool { return !w.comparable(node, &c) }) {
					return true
				}
			}
		}
		return false
	}
	for i := range p.places {
		place := &p.places[i]
		if slices.ContainsFunc(walk(r.body, place.path), func(node any) bool { return w.there(r, p.kind, place, node) }) {
			return true
		}
	}
	return false
}

// there reports whether a value is the parameter's, though a query may find
// nothing by it, as by a concept that is text alone.
func (w *specWorld) there(r *specResource, kind string, place *valuePlace, node any) bool {
	if o, ok := node.(object); ok && len(o) == 0 {
		return false
	}
	if id, ok := strings.CutPrefix(text(node, "reference"), "#"); ok && place.only != "" {
		return len(w.contained(r, place, id)) > 0
	}
	if kind == "reference" && place.typ == "Reference" && place.only != "" {
		return w.comparableReference(place, node)
	}
	return true
}

// comparable reports whether there is something that a query may find.
func (w *specWorld) comparable(within any, p *parameter) bool {
	for i := range p.places {
		place := &p.places[i]
		for _, node := range walk(within, place.path) {
			var has bool
			switch p.kind {
			case "string":
				texts, _ := textsOf(node, place.typ)
				has = len(texts) > 0
			case "token":
				has = len(tokensOf(node, place)) > 0
			case "reference":
				has = w.comparableReference(place, node)
			case "date":
				has = len(timesOf(node, place.typ)) > 0
			case "number", "quantity":
				has = len(amountsOf(node, place.typ)) > 0
			default:
				has = node != nil
			}
			if has {
				return true
			}
		}
	}
	return false
}

// comparableReference reports whether a reference says to what, by an address or
// an identifier: what says neither, or points into its own resource, has no value
// that a search could ask for.
func (w *specWorld) comparableReference(place *valuePlace, node any) bool {
	if place.typ == "canonical" {
		return true
	}
	literal := text(node, "reference")
	return w.refers(place, node) && (literal != "" && literal[0] != '#' || at(node, "identifier") != nil)
}

// composite holds when every component does for the same element (R4
// search.html#composite).
func (w *specWorld) composite(body any, p *parameter, v string) bool {
	parts := splitAt(v, '$')
	for _, context := range p.contexts {
		for _, node := range walk(body, context) {
			all := true
			for i := range p.components {
				all = all && w.any(node, &p.components[i], "", parts[i])
			}
			if all {
				return true
			}
		}
	}
	return false
}
