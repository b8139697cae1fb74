package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

const structurePrefix = "http://hl7.org/fhir/StructureDefinition/"

// shapes turns StructureDefinitions into the model's types.
type shapes struct {
	src   *source
	out   *model
	terms *terms
}

func newShapes(src *source, out *model) *shapes {
	return &shapes{src: src, out: out, terms: newTerms(src)}
}

func (s *shapes) build() error {
	s.declare()
	for i := range s.out.types {
		if err := s.fill(&s.out.types[i]); err != nil {
			return err
		}
	}
	return nil
}

// declare lists all types in the order of their numbers: concrete resources,
// abstract resources, data types, primitives, backbone elements.
func (s *shapes) declare() {
	var types []typeModel
	for name, d := range s.src.structures {
		t := typeModel{name: name, abstract: d.Abstract, base: strings.TrimPrefix(d.BaseDefinition, structurePrefix)}
		switch d.Kind {
		case "resource":
			t.kind = kindResource
		case "primitive-type":
			t.kind = kindPrimitive
		default:
			t.kind = kindComplex
		}
		types = append(types, t)
		types = append(types, inline(d)...)
	}
	rank := map[uint8]int{kindResource: 0, kindComplex: 2, kindPrimitive: 3, kindBackbone: 4}
	order := func(t typeModel) int {
		if t.kind == kindResource && t.abstract {
			return 1
		}
		return rank[t.kind]
	}
	slices.SortFunc(types, func(a, b typeModel) int {
		if d := order(a) - order(b); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	s.out.types = types
	s.out.number = make(map[string]int, len(types))
	for i, t := range types {
		s.out.number[t.name] = i
	}
}

// inline are the types of a structure's elements that have elements of their own.
func inline(d *structure) []typeModel {
	parents := make(map[string]bool)
	for _, e := range d.Snapshot.Element {
		if i := strings.LastIndexByte(e.Path, '.'); i >= 0 {
			parents[e.Path[:i]] = true
		}
	}
	var types []typeModel
	for _, e := range d.Snapshot.Element {
		if parents[e.Path] && e.Path != d.Type {
			types = append(types, typeModel{name: e.Path, kind: kindBackbone, base: e.Type[0].Code})
		}
	}
	return types
}

// fill adds the elements and invariants of one type.
func (s *shapes) fill(t *typeModel) error {
	root, _, _ := strings.Cut(t.name, ".")
	d := s.src.structures[root]
	for i := range d.Snapshot.Element {
		e := &d.Snapshot.Element[i]
		if e.Path == t.name {
			t.invariants = s.invariants(e.Constraint, nil)
			continue
		}
		name, ok := strings.CutPrefix(e.Path, t.name+".")
		if !ok || strings.Contains(name, ".") || (t.kind == kindPrimitive && name == "value") {
			continue
		}
		m, err := s.element(t, name, e)
		if err != nil {
			return fmt.Errorf("element %s: %w", e.Path, err)
		}
		t.elements = append(t.elements, m)
	}
	return nil
}

func (s *shapes) element(t *typeModel, name string, e *element) (elementModel, error) {
	m := elementModel{name: name, min: e.Min}
	if e.Max != "*" {
		if _, err := fmt.Sscan(e.Max, &m.max); err != nil {
			return m, err
		}
	}
	m.name, m.choice = strings.CutSuffix(name, "[x]")
	m.summary, m.modifier = e.IsSummary, e.IsModifier
	m.attribute = slices.Contains(e.Representation, "xmlAttr")
	if err := s.typesOf(&m, t, e); err != nil {
		return m, err
	}
	if e.Binding.Strength == "required" {
		m.binding = 1 + s.out.valueSet(e.Binding.ValueSet, s.terms)
	}
	if s.out.types[m.types[0]].kind != kindBackbone {
		m.invariants = s.invariants(e.Constraint, m.types)
	}
	return m, nil
}

// typesOf finds the types an element may have, and the targets of a reference.
func (s *shapes) typesOf(m *elementModel, t *typeModel, e *element) error {
	names := []string{strings.TrimPrefix(e.ContentReference, "#")}
	if e.ContentReference == "" {
		names = names[:0]
		for _, et := range e.Type {
			names = append(names, typeName(t, m.name, e.Path, et, s.out))
			if et.Code == "Reference" {
				m.targets = s.out.list(targets(et.TargetProfile))
			}
		}
	}
	for _, name := range names {
		number, ok := s.out.number[name]
		if !ok {
			return fmt.Errorf("unknown type %q", name)
		}
		m.types = append(m.types, number)
	}
	if len(m.types) == 0 {
		return fmt.Errorf("no type")
	}
	return nil
}

// typeName is the name of the type of an element. System types stand where
// FHIR's are meant; the id of a resource is an id (R4 resource.html#id), which the
// snapshots do not say.
func typeName(t *typeModel, name, path string, et elementType, m *model) string {
	if _, ok := m.number[path]; ok {
		return path
	}
	if !strings.HasPrefix(et.Code, "http://hl7.org/fhirpath/") {
		return et.Code
	}
	if t.kind == kindResource && name == "id" {
		return "id"
	}
	for _, x := range et.Extension {
		if x.URL == structurePrefix+"structuredefinition-fhir-type" {
			return x.ValueURL
		}
	}
	return "string" // xhtml.id, which does not say
}

// targets are the resource types of a reference's target profiles; none stands
// for any.
func targets(profiles []string) []string {
	var names []string
	for _, p := range profiles {
		name := strings.TrimPrefix(p, structurePrefix)
		if name == "Resource" {
			return nil
		}
		names = append(names, name)
	}
	sort.Strings(names)
	return slices.Compact(names)
}

// invariants are the constraints but for those every value of the types has
// anyway.
func (s *shapes) invariants(cs []constraint, types []int) []int {
	var out []int
	for _, c := range cs {
		if c.Expression == "" || s.inherent(c.Key, types) {
			continue
		}
		out = append(out, s.out.invariant(c))
	}
	return out
}

func (s *shapes) inherent(key string, types []int) bool {
	for _, n := range types {
		d := s.src.structures[s.out.types[n].name]
		if d == nil {
			continue
		}
		for _, c := range d.Snapshot.Element[0].Constraint {
			if c.Key == key {
				return true
			}
		}
	}
	return false
}
