package conformance

import (
	"fmt"
	"slices"
	"strings"

	"vitrine/fhir/r4"
)

// step is one step of a search parameter's expression: an element, perhaps of one
// type, and what must hold of it.
type step struct {
	name string
	as   string            // the type of a choice
	with map[string]string // members it must have
	refs string            // the type a reference must point to
	url  string            // of an extension that the step carries
	mark string            // of an extension that must be there
}

// paths are the expressions of a parameter that concern a type, taken apart. R4's
// expressions have few forms; one that is none of them fails the test.
func paths(t *r4.Type, expression string) (out [][]step, err error) {
	for alternative := range strings.SplitSeq(expression, "|") {
		alternative = strings.TrimSpace(alternative)
		as := ""
		if inner, ok := strings.CutPrefix(alternative, "("); ok {
			inner = strings.TrimSuffix(inner, ")")
			alternative, as, _ = strings.Cut(inner, " as ")
		}
		root, rest, dotted := strings.Cut(alternative, ".")
		switch {
		case root == t.Name && !dotted:
			out = append(out, nil) // the resource itself, of a composite
			continue
		case root != "" && root[0] >= 'a': // InsurancePlan?name does not say its type
			rest = alternative
		case root != t.Name && root != "Resource" && root != "DomainResource":
			continue
		}
		steps, err := takeApart(rest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", alternative, err)
		}
		if as != "" {
			steps[len(steps)-1].as = as
		}
		out = append(out, steps)
	}
	return out, nil
}

func takeApart(expression string) (steps []step, err error) {
	for _, part := range splitOutside(expression) {
		name, argument, call := strings.Cut(strings.TrimSuffix(part, ")"), "(")
		var last *step
		if len(steps) > 0 {
			last = &steps[len(steps)-1]
		}
		switch {
		case !call:
			name, _, _ = strings.Cut(name, "[")
			steps = append(steps, step{name: name})
		case name == "as" || name == "ofType":
			last.as = argument
		case name == "extension":
			steps = append(steps, step{name: "extension", url: strings.Trim(argument, "'")})
		case name == "where" && strings.HasPrefix(argument, "resolve() is "):
			last.refs = strings.TrimPrefix(argument, "resolve() is ")
		case name == "where" && strings.HasPrefix(argument, "hasExtension("):
			last.mark = strings.Trim(strings.TrimPrefix(argument, "hasExtension("), "')")
		case name == "where" && strings.Contains(argument, "='"):
			member, value, _ := strings.Cut(argument, "='")
			last.with = map[string]string{member: strings.TrimSuffix(value, "'")}
		case name == "exists": // Patient.deceased.exists() and …
			return steps, nil
		default:
			return nil, fmt.Errorf("unknown step %q", part)
		}
	}
	return steps, nil
}

// splitOutside splits at dots that stand in no parentheses or quotes.
func splitOutside(s string) (parts []string) {
	depth, start := 0, 0
	for i, c := range s {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case '.':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
}

// leaf is where a path ends: the element there, in one of its types.
type leaf struct {
	steps   []step
	element *r4.Element // nil for the resource itself
	typ     *r4.Type
}

// leaves are all the types in which a path may end.
func leaves(t *r4.Type, steps []step) (out []leaf) {
	found := []leaf{{typ: t}}
	for _, s := range steps {
		var next []leaf
		for _, at := range found {
			for i := range at.typ.Elements {
				el := &at.typ.Elements[i]
				if el.Name != s.name && el.Choice != s.name || s.as != "" && !strings.EqualFold(s.as, el.Type.Name) {
					continue
				}
				chosen := s
				chosen.name = el.Name
				next = append(next, leaf{append(slices.Clone(at.steps), chosen), el, el.Type})
			}
		}
		found = next
	}
	for _, at := range found {
		if at.element != nil && at.typ.Name == "Extension" {
			out = append(out, leaves(t, append(slices.Clone(at.steps), step{name: "value"}))...)
			continue
		}
		out = append(out, at)
	}
	return out
}

// needed is what a resource must have beyond cardinality: a SearchParameter that is
// active is taken for one that is to be used.
func needed(resource string) object {
	if resource == "SearchParameter" {
		return object{"status": "draft", "code": "probe", "type": "token", "base": []any{"Account"}, "expression": "Account.status"}
	}
	return nil
}

// samples makes resources that the server takes.
type samples struct{ defs *r4.Definitions }

// resource is the least that a resource of the type must have.
func (s samples) resource(t *r4.Type, id string) object {
	o := s.filled(t, 0)
	o["resourceType"], o["id"] = t.Name, id
	for name, value := range needed(t.Name) {
		o[name] = value
	}
	return o
}

// filled has every required member, and something at least.
func (s samples) filled(t *r4.Type, depth int) object {
	if o := plain(t.Name); o != nil {
		return o
	}
	o := object{}
	done := map[string]bool{}
	for i := range t.Elements {
		el := &t.Elements[i]
		if el.Min > 0 && !done[el.Choice] {
			s.put(o, el, s.value(el, depth))
			done[el.Choice] = el.Choice != ""
		}
	}
	for i := range t.Elements {
		el := &t.Elements[i]
		if len(o) == 0 && t.Kind != r4.KindResource && el.Name != "id" && el.Name != "extension" && el.Name != "modifierExtension" {
			s.put(o, el, s.value(el, depth))
		}
	}
	return o
}

func (s samples) put(o object, el *r4.Element, value any) {
	if el.Repeats() {
		value = []any{value}
	}
	o[el.Name] = value
}

// value is any value of an element.
func (s samples) value(el *r4.Element, depth int) any {
	if system, code := bound(el, 0); code != "" {
		switch el.Type.Name {
		case "code":
			return code
		case "Coding":
			return object{"system": system, "code": code}
		case "CodeableConcept":
			return concept(system, code)
		}
	}
	if el.Type.Kind == r4.KindPrimitive {
		return primitive(el.Type.Name)
	}
	if el.Type.Name == "Resource" || depth > 6 {
		return object{"resourceType": "Basic", "code": object{"text": "x"}}
	}
	return s.filled(el.Type, depth+1)
}

// bound is a code of a required binding, by its place among those listed.
func bound(el *r4.Element, place int) (system, code string) {
	if el.Binding == nil || !el.Binding.Listed() {
		return "", ""
	}
	for i := range el.Binding.Includes {
		in := &el.Binding.Includes[i]
		if place < len(in.Codes) {
			return in.System, in.Codes[place]
		}
		place -= len(in.Codes)
	}
	return "", ""
}

func primitive(name string) any {
	switch name {
	case "boolean":
		return true
	case "integer", "positiveInt", "unsignedInt":
		return 1
	case "decimal":
		return 1.5
	case "uri", "url", "canonical":
		return "http://x.test/x"
	case "oid":
		return "urn:oid:1.2.3"
	case "uuid":
		return "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"
	case "base64Binary":
		return "eA=="
	case "instant":
		return "2001-01-01T00:00:00Z"
	case "date", "dateTime":
		return "2001-01-01"
	case "time":
		return "10:00:00"
	case "code":
		return "en"
	case "xhtml":
		return `<div xmlns="http://www.w3.org/1999/xhtml">x</div>`
	}
	return "x"
}

// plain are values of data types that have no required member.
func plain(name string) object {
	switch name {
	case "CodeableConcept":
		return object{"text": "x"}
	case "Reference":
		return object{"display": "x"}
	case "Identifier":
		return object{"system": "http://x.test", "value": "x"}
	case "Period":
		return object{"start": "2001-01-01"}
	case "Coding":
		return object{"system": "http://x.test", "code": "x"}
	case "Attachment":
		return object{"contentType": "text/plain", "url": "http://x.test/x"}
	case "Narrative":
		return object{"status": "generated", "div": primitive("xhtml")}
	case "Money":
		return object{"value": 1, "currency": "SGD"}
	case "Range":
		return object{"low": object{"value": 1}}
	case "Timing":
		return object{"event": []any{"2001-01-01"}}
	case "HumanName":
		return object{"family": "x"}
	case "Extension":
		return object{"url": "http://x.test/x"}
	}
	return nil
}

// set puts a value where the steps lead, and on the way all that is required.
func (s samples) set(o object, t *r4.Type, steps []step, value any) {
	st := steps[0]
	i := slices.IndexFunc(t.Elements, func(el r4.Element) bool { return el.Name == st.name })
	el := &t.Elements[i]
	for j := range t.Elements {
		if other := &t.Elements[j]; other.Slot == el.Slot && other.Name != el.Name {
			delete(o, other.Name)
		}
	}
	if len(steps) == 1 {
		if inner, ok := value.(object); ok {
			st.adorn(inner)
		}
		s.put(o, el, value)
		return
	}
	inner, _ := o[el.Name].(object)
	if many, ok := o[el.Name].([]any); ok {
		inner, _ = many[0].(object)
	}
	if inner == nil {
		inner = object{}
		if el.Type.Name != "Extension" && el.Type.Name != "Meta" {
			inner = s.filled(el.Type, 0)
		}
	}
	st.adorn(inner)
	s.set(inner, el.Type, steps[1:], value)
	s.put(o, el, inner)
}

// adorn gives a value what the step asks for.
func (s step) adorn(o object) {
	for name, value := range s.with {
		o[name] = value
	}
	if s.url != "" {
		o["url"] = s.url
	}
	if s.mark != "" {
		o["extension"] = []any{object{"url": s.mark, "valueBoolean": true}}
	}
}
