// Package r4 owns what R4 (4.0.1) says about itself: the resource types, data
// types and their elements, required bindings, invariants, search parameters
// and compartments, read from compact tables that are generated from the
// official definitions. It is the one place that knows R4's shape. It does not
// judge a resource, which is validate's, nor evaluate an expression, which is
// fhirpath's and search's.
package r4

import (
	"slices"
	"strings"

	"vitrine/fhir"
)

//go:generate go run vitrine/fhir/r4/generate -package $R4_PACKAGE -out tables.bin -terms terms.bin

// Definitions are all of R4. They never change once loaded and are safe for
// concurrent use.
type Definitions struct {
	types        map[string]*Type
	ordered      []Type // by number
	resources    []*Type
	params       []*SearchParam // official, by number, from 1
	own          []*SearchParam
	compartments []*Compartment
	valueSets    []ValueSet
}

// Type is the type of that name, concrete or abstract: a resource, a data type,
// a primitive, or a backbone element by its path ("Patient.contact"). It is nil
// when R4 has none.
func (d *Definitions) Type(name string) *Type { return d.types[name] }

// Resource is the concrete resource type of that name; nil when R4 has none.
func (d *Definitions) Resource(name string) *Type {
	if t := d.types[name]; t != nil && t.Kind == KindResource && !t.Abstract {
		return t
	}
	return nil
}

// ResourceBytes is Resource for a name that is not yet a string.
func (d *Definitions) ResourceBytes(name []byte) *Type {
	if t := d.types[string(name)]; t != nil && t.Kind == KindResource && !t.Abstract {
		return t
	}
	return nil
}

// Resources are the concrete resource types, sorted by name; the place of each
// is its Number. The slice is shared and must not be changed.
func (d *Definitions) Resources() []*Type { return d.resources }

// Types are all types in the order of their numbers. The slice is fresh.
func (d *Definitions) Types() []*Type {
	out := make([]*Type, len(d.ordered))
	for i := range d.ordered {
		out[i] = &d.ordered[i]
	}
	return out
}

// ParamByNumber is the search parameter with that number; nil when there is none.
func (d *Definitions) ParamByNumber(number uint16) *SearchParam {
	if i := int(number) - 1; i >= 0 && i < len(d.params) {
		return d.params[i]
	}
	for _, p := range d.own {
		if p.Number == number {
			return p
		}
	}
	return nil
}

// SearchParams are the official search parameters in the order of their
// numbers, then our own. The slice is fresh.
func (d *Definitions) SearchParams() []*SearchParam {
	return slices.Concat(d.params, d.own)
}

// Compartment is the compartment of that code, such as "Patient"; nil when R4
// defines none.
func (d *Definitions) Compartment(code string) *Compartment {
	for _, c := range d.compartments {
		if c.Code == code {
			return c
		}
	}
	return nil
}

// Compartments are the compartments of R4, sorted by code. The slice is shared
// and must not be changed.
func (d *Definitions) Compartments() []*Compartment { return d.compartments }

// TypeKind tells primitives, data types, backbone elements and resources apart.
type TypeKind uint8

// The kinds of types. The zero value is no type.
const (
	KindPrimitive TypeKind = iota + 1
	KindComplex
	KindBackbone
	KindResource
)

// Type is one type of R4 with all its elements, inherited ones included.
type Type struct {
	Name string // "Patient", "HumanName", "dateTime", "Patient.contact"
	Kind TypeKind
	// Abstract marks Resource, DomainResource, Element and BackboneElement.
	Abstract bool
	// Number is dense and stable for R4: the 146 concrete resources come first,
	// in the order of their names.
	Number uint16
	// Base is the type it specializes; nil for Resource and Element.
	Base *Type
	// Primitive says which primitive a type of KindPrimitive is.
	Primitive Primitive
	// Elements are in the order of the specification; a choice element is there
	// once for each of its types, side by side.
	Elements []Element
	// Slots is the number of distinct slots of Elements, 64 at most.
	Slots int
	// Invariants hold for every value of the type.
	Invariants []Invariant

	index  []uint16 // open addressing into Elements, place+1; a power of two long
	params []*SearchParam
}

// Resource is the type's name as a resource type.
func (t *Type) Resource() fhir.ResourceType { return fhir.ResourceType(t.Name) }

// Params are the search parameters of the resource type, those of Resource and
// DomainResource included, sorted by code. Internal ones are not among them. The slice is
// shared and must not be changed.
func (t *Type) Params() []*SearchParam { return t.params }

// Param is the search parameter of the type with that code; nil when there is
// none.
func (t *Type) Param(code string) *SearchParam {
	i, ok := slices.BinarySearchFunc(t.params, code, func(p *SearchParam, code string) int {
		return strings.Compare(p.Code, code)
	})
	if !ok {
		return nil
	}
	return t.params[i]
}

// Element is one element as it is named in JSON.
type Element struct {
	Name string // "birthDate", "valueQuantity"
	Path string // "Patient.birthDate", "Observation.valueQuantity"
	// Type is the element's type; Resource (abstract) where any resource may
	// stand. A content reference has the type it refers to.
	Type *Type
	// Choice is the name that alternatives share, "value" for valueQuantity;
	// empty for others.
	Choice string
	// Slot numbers the elements of a type from 0, all alternatives of a choice
	// the same.
	Slot int
	Min  int
	Max  int // -1 is *
	// Targets are the resource types a Reference may refer to; nil for any.
	Targets []fhir.ResourceType
	// Binding is the required binding; nil when there is none.
	Binding *ValueSet
	// Summary, Modifier and Attribute are isSummary, isModifier and the XML
	// representation as an attribute.
	Summary, Modifier, Attribute bool
	// Invariants hold for this element beyond those of its type.
	Invariants []Invariant
}

// Repeats says that the element is an array in JSON.
func (e *Element) Repeats() bool { return e.Max != 1 }

// Required says that the element, or one of its alternatives, must be there.
func (e *Element) Required() bool { return e.Min > 0 }

// Invariant is a rule of the specification in FHIRPath, without its prose.
type Invariant struct {
	Key        string // "pat-1"
	Severity   fhir.Severity
	Expression string
}

// ValueSet is the value set of a required binding.
type ValueSet struct {
	URL string
	// Includes are the codes by system; nil when they cannot be listed from the
	// definitions (all languages, all media types).
	Includes []Include
}

// Include is the codes of one system in a value set.
type Include struct {
	System string
	Codes  []string // sorted
}

// Listed says that the value set's codes are known.
func (v *ValueSet) Listed() bool { return len(v.Includes) > 0 }

// System is the system of a code in the value set; ok is false when the code is
// not in it, or the codes are not known.
func (v *ValueSet) System(code []byte) (system string, ok bool) {
	for i := range v.Includes {
		if v.Includes[i].Has(code) {
			return v.Includes[i].System, true
		}
	}
	return "", false
}

// Has says that the code is among those of the system.
func (i *Include) Has(code []byte) bool {
	lo, hi := 0, len(i.Codes)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if i.Codes[mid] < string(code) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(i.Codes) && i.Codes[lo] == string(code)
}
