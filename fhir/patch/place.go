package patch

import (
	"bytes"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// place is where an element stands: a member of an object, with its sibling that
// has an underscore where it is a primitive (R4 json.html#primitive).
type place struct {
	owner fhir.Node
	typ   *r4.Type // of the owner
	el    *r4.Element
	// main and aside are the members by the name of the element and by that with
	// the underscore; either may be None.
	main, aside fhir.Node
	// at is the place in the lists that main and aside are; negative when they are
	// none.
	at int
}

// typeOf is the type of an object of a type, which for a resource it says itself.
func typeOf(t *fhir.Tape, n fhir.Node, typ *r4.Type, defs *r4.Definitions) *r4.Type {
	if typ == nil || typ.Name == "Resource" {
		return defs.ResourceBytes(t.Bytes(t.Field(n, "resourceType"), nil))
	}
	return typ
}

// around is the child of a container that is n or holds it.
func around(t *fhir.Tape, container, n fhir.Node) fhir.Node {
	c := t.First(container)
	for c != fhir.None {
		next := t.Next(c)
		if c <= n && (next == fhir.None || n < next) {
			return c
		}
		c = next
	}
	return fhir.None
}

// locate finds where the element n, which is not the resource itself, stands.
func locate(t *fhir.Tape, n fhir.Node, defs *r4.Definitions) (place, error) {
	owner, typ := t.Root(), typeOf(t, t.Root(), nil, defs)
	for {
		c := around(t, owner, n)
		name := bytes.TrimPrefix(t.Key(c), []byte{'_'})
		if typ == nil || c == fhir.None {
			return place{}, fault(ErrPath, "the element is not one of R4")
		}
		el := typ.Element(name)
		if el == nil {
			return place{}, fault(ErrPath, "the element is not one of R4")
		}
		p := place{
			owner: owner, typ: typ, el: el, at: -1,
			main: t.Field(owner, el.Name), aside: t.Field(owner, "_"+el.Name),
		}
		within := c
		if t.Kind(c) == fhir.Array && c != n {
			within = around(t, c, n)
			for i := t.First(c); i != within; i = t.Next(i) {
				p.at++
			}
			p.at++
		}
		if within == n {
			return p, p.aligned(t)
		}
		owner, typ = within, typeOf(t, within, el.Type, defs)
	}
}

// aligned refuses an element of which it cannot be said what belongs to it.
func (p *place) aligned(t *fhir.Tape) error {
	for _, n := range [...]fhir.Node{p.main, p.aside} {
		if n != fhir.None && (t.Kind(n) == fhir.Array) != (p.at >= 0) {
			return fault(ErrPath, "the element is not as R4 writes it")
		}
	}
	if p.at >= 0 && p.main != fhir.None && p.aside != fhir.None && count(t, p.main) != count(t, p.aside) {
		return fault(ErrPath, "the element and its extensions do not stand side by side")
	}
	return nil
}

// length is how many elements the lists have.
func (p *place) length(t *fhir.Tape) int { return max(count(t, p.main), count(t, p.aside)) }

// listAt is the list of that name in an object; it need not be there yet.
func listAt(t *fhir.Tape, owner fhir.Node, typ *r4.Type, el *r4.Element) (place, error) {
	p := place{
		owner: owner, typ: typ, el: el,
		main: t.Field(owner, el.Name), aside: t.Field(owner, "_"+el.Name),
	}
	return p, p.aligned(t)
}

// elementFor is the element of a type by its name, or by the name that the
// alternatives of a choice share, into which the value fits.
func elementFor(typ *r4.Type, name string, v *value) (*r4.Element, error) {
	known := false
	for i := range typ.Elements {
		el := &typ.Elements[i]
		if el.Name != name && el.Choice != name {
			continue
		}
		if known = true; fits(el, name, v) {
			return el, nil
		}
	}
	if known {
		return nil, fault(ErrValue, "the value is not of the type of the element")
	}
	return nil, fault(ErrValue, "the type has no element of this name")
}

// fits reports whether the value may stand for the element (R4 fhirpatch.html:
// "servers SHALL return an error if the type is wrong"). Narrative has no value[x]
// of its own and comes as a string.
func fits(el *r4.Element, name string, v *value) bool {
	switch {
	case v.typ == nil:
		return el.Name == name && el.Type != nil && el.Type.Kind != r4.KindPrimitive && el.Type.Name != "Resource"
	case el.Type == nil:
		return false
	case v.typ.Kind == r4.KindResource:
		return el.Type.Name == "Resource"
	case el.Type.Name == "xhtml":
		return v.typ.Name == "string"
	default:
		return el.Type.Name == v.typ.Name
	}
}
