package subset

import (
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// tree are the elements asked for of one type, by name; a choice by the name
// that its types share, or by that of one type. An element without any below it
// is asked for whole.
type tree map[string]tree

// under are the elements asked for below an element; ok is false when it is not
// asked for.
func (t tree) under(e *r4.Element) (sub tree, ok bool) {
	if sub, ok = t[e.Name]; ok || e.Choice == "" {
		return sub, ok
	}
	sub, ok = t[e.Choice]
	return sub, ok
}

// add asks for what a path of names leads to, whatever was asked for before.
func (t tree) add(path []string) {
	sub, known := t[path[0]]
	switch {
	case len(path) == 1:
		t[path[0]] = tree{}
		return
	case known && len(sub) == 0:
		return // the whole is asked for already
	case !known:
		sub = tree{}
		t[path[0]] = sub
	}
	sub.add(path[1:])
}

// Unknown are the elements of an _elements that no type asked about has.
type Unknown struct {
	Elements []string
	Types    []fhir.ResourceType
}

const (
	namesTold = 5
	lengthOf  = 64
)

// Error names them; it is fit to be sent.
func (u *Unknown) Error() string {
	var b strings.Builder
	for i, name := range u.Elements {
		if i == namesTold {
			b.WriteString(" and more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(printable(name))
	}
	b.WriteString(" is no element")
	if len(u.Types) == 1 {
		b.WriteString(" of " + string(u.Types[0]))
	}
	return b.String() + "; write the name of an element, such as name, Patient.name or Patient.contact.name"
}

// printable is a name from a request, short enough and safe to be repeated.
func printable(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if len(clean) > lengthOf {
		clean = strings.ToValidUTF8(clean[:lengthOf], "") + "…"
	}
	return strconv.Quote(clean)
}

// Elements is _elements, for a search for resources of the types. A name alone,
// such as "name", asks for that element of the types searched; "Patient.name"
// asks for it of Patients, be they searched or included; both may go on to what
// is within it. A choice is asked for as value, value[x] or valueQuantity. What
// must be there or changes the meaning of the rest, id and meta are always sent.
// Resources of which nothing is asked for are sent whole. It fails with an
// *Unknown.
func (s *Subsets) Elements(types []fhir.ResourceType, names []string) (*Form, error) {
	f := &Form{of: s, how: formElements, trees: map[fhir.ResourceType]tree{}}
	unknown := &Unknown{Types: types}
	for _, name := range names {
		path := strings.Split(strings.TrimSpace(name), ".")
		known := false
		if typ := s.defs.Resource(path[0]); typ != nil && len(path) > 1 {
			known = f.ask(typ, path[1:])
		} else {
			for _, t := range types {
				if typ := s.defs.Resource(string(t)); typ != nil && f.ask(typ, path) {
					known = true
				}
			}
		}
		if !known && !slices.Contains(unknown.Elements, name) {
			unknown.Elements = append(unknown.Elements, name)
		}
	}
	if len(unknown.Elements) > 0 {
		return nil, unknown
	}
	for _, t := range types { // of which some may have none of the elements
		if _, ok := f.trees[t]; !ok && slices.ContainsFunc(names, plain(s.defs)) {
			f.trees[t] = tree{}
		}
	}
	return f, nil
}

// plain holds for names that are of the types searched.
func plain(d *r4.Definitions) func(string) bool {
	return func(name string) bool {
		typ, _, qualified := strings.Cut(strings.TrimSpace(name), ".")
		return !qualified || d.Resource(typ) == nil
	}
}

// ask adds a path to what is asked for of the type; false when it has no such
// element.
func (f *Form) ask(typ *r4.Type, path []string) bool {
	names := make([]string, len(path))
	at := typ
	for i, name := range path {
		if at == nil {
			return false
		}
		name = strings.TrimSuffix(name, "[x]")
		e := named(at, name)
		if e == nil {
			return false
		}
		names[i], at = name, e.Type
		if at.Kind == r4.KindPrimitive || at.Kind == r4.KindResource || name == e.Choice {
			at = nil // nothing below can be asked for
		}
	}
	if f.trees[typ.Resource()] == nil {
		f.trees[typ.Resource()] = tree{}
	}
	f.trees[typ.Resource()].add(names)
	return true
}

// named is the element of that name, or one of the choice of that name.
func named(t *r4.Type, name string) *r4.Element {
	if name == "" {
		return nil
	}
	if e := t.Element([]byte(name)); e != nil {
		return e
	}
	for i := range t.Elements {
		if t.Elements[i].Choice == name {
			return &t.Elements[i]
		}
	}
	return nil
}
