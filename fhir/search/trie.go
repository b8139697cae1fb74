package search

import (
	"fmt"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// trie is one place in a resource: what to do with a value found there, and
// where to go from it. All parameters of a type share one.
type trie struct {
	fields  map[string]*trie // by member name
	guards  []guard
	actions []action
}

// guard leads on from the same value, if it passes a test.
type guard struct {
	fhirpath.Step
	then *trie
}

// action makes entries of a value.
type action struct {
	param   Param
	extract extractor
	// resolves is the type a reference must point to; empty for any.
	resolves string
	// codes is the value set that says the system of a bare code.
	codes *r4.ValueSet
	// uri says that the parameter is a uri, so that a canonical is no reference.
	uri bool
	// refers says that the parameter is a reference.
	refers bool
	// person says that the text is part of a person's name.
	person    bool
	composite *composite
	computed  *fhirpath.Program
}

func (t *trie) child(name string) *trie {
	if c := t.fields[name]; c != nil {
		return c
	}
	if t.fields == nil {
		t.fields = make(map[string]*trie)
	}
	c := &trie{}
	t.fields[name] = c
	return c
}

func (t *trie) guarded(s fhirpath.Step) *trie {
	for _, g := range t.guards {
		if g.Step == s {
			return g.then
		}
	}
	c := &trie{}
	t.guards = append(t.guards, guard{s, c})
	return c
}

// place is a spot in a trie while a path is followed: the type there, and the
// element that led to it.
type place struct {
	at       *trie
	typ      *r4.Type
	element  *r4.Element
	resolves string
}

// follow goes along the steps from a place, through every alternative of a
// choice.
func follow(from place, steps []fhirpath.Step) ([]place, error) {
	places := []place{from}
	for _, s := range steps {
		var next []place
		for _, p := range places {
			next = append(next, p.step(s)...)
		}
		if len(next) == 0 {
			return nil, fmt.Errorf("%s has no %s", from.typ.Name, s.Name+s.Value)
		}
		places = next
	}
	return expandExtensions(places), nil
}

func (p place) step(s fhirpath.Step) []place {
	switch s.Kind {
	case fhirpath.StepMember:
		return p.members(s.Name)
	case fhirpath.StepAs:
		if p.typ == nil || !fhirpath.SameType(p.typ.Name, s.Name) {
			return nil
		}
		return []place{p}
	case fhirpath.StepResolves:
		p.resolves = s.Name
		return []place{p}
	case fhirpath.StepIndex, fhirpath.StepWhere, fhirpath.StepHasExtension:
		p.at = p.at.guarded(s)
		return []place{p}
	case fhirpath.StepExtension:
		var out []place
		for _, e := range p.members("extension") {
			e.at = e.at.guarded(fhirpath.Step{Kind: fhirpath.StepWhere, Name: "url", Value: s.Value})
			out = append(out, e)
		}
		return out
	}
	return nil
}

func (p place) members(name string) (out []place) {
	if p.typ == nil {
		return nil
	}
	for i := range p.typ.Elements {
		el := &p.typ.Elements[i]
		if el.Name == name || el.Choice == name {
			out = append(out, place{at: p.at.child(el.Name), typ: el.Type, element: el})
		}
	}
	return out
}

// expandExtensions replaces an extension by its value: parameters that name an
// extension mean what it carries.
func expandExtensions(in []place) (out []place) {
	for _, p := range in {
		if p.typ != nil && p.typ.Name == "Extension" {
			out = append(out, p.members("value")...)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// passes reports whether a value, the one at index in its array, passes.
func (g *guard) passes(t *fhir.Tape, n fhir.Node, index int) bool {
	switch g.Kind {
	case fhirpath.StepIndex:
		return index == g.Index
	case fhirpath.StepWhere:
		var buf [64]byte
		return string(t.Bytes(t.Field(n, g.Name), buf[:0])) == g.Value
	case fhirpath.StepHasExtension:
		list := t.Field(n, "extension")
		for c := t.First(list); c != fhir.None; c = t.Next(c) {
			if t.Text(t.Field(c, "url")) == g.Value {
				return true
			}
		}
	case fhirpath.StepMember, fhirpath.StepAs, fhirpath.StepExtension, fhirpath.StepResolves:
	}
	return false
}
