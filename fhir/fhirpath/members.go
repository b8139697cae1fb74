package fhirpath

import (
	"bytes"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// members puts the elements of a name on the stack, all alternatives of a choice
// included.
func (m *machine) members(n *node) error {
	if n.left == nil {
		if m.env.none {
			return nil
		}
		return m.membersOf(m.env.this, n.name)
	}
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	end := len(m.vals)
	for i := base; i < end; i++ {
		if err := m.membersOf(m.vals[i], n.name); err != nil {
			return err
		}
	}
	m.drop(base, end)
	return nil
}

// anyMember reports whether there is any, and stops at the first.
func (m *machine) anyMember(n *node) (found bool, err error) {
	if err := m.spend(1); err != nil {
		return false, err
	}
	base := len(m.vals)
	if n.left == nil {
		err = m.members(n)
		found = len(m.vals) > base
		m.vals = m.vals[:base]
		return found, err
	}
	if err := m.eval(n.left); err != nil {
		return false, err
	}
	end := len(m.vals)
	for i := base; i < end && !found && err == nil; i++ {
		err = m.membersOf(m.vals[i], n.name)
		found = len(m.vals) > end
	}
	m.vals = m.vals[:base]
	return found, err
}

func (m *machine) membersOf(v Value, name string) error {
	if v.sys != SystemNone {
		return m.partOf(v, name)
	}
	obj := m.object(&v)
	if obj == fhir.None {
		return nil
	}
	if el := v.Type.Element([]byte(name)); el != nil && el.Choice == "" {
		return m.field(obj, el)
	}
	if v.Type.Alternatives([]byte(name)) != nil {
		return m.choice(obj, v.Type, name)
	}
	return nil
}

// partOf is a member of a value of the language's own types.
func (m *machine) partOf(v Value, name string) error {
	switch {
	case v.sys == systemInfo && name == "name":
		return m.push(stringOf(v.text))
	case v.sys == systemInfo && name == "namespace" && v.num != 0:
		return m.push(String("System"))
	case v.sys == systemInfo && name == "namespace":
		return m.push(String("FHIR"))
	case v.sys == SystemQuantity && name == "value":
		return m.push(decimalOf(v.dec))
	case v.sys == SystemQuantity && name == "unit":
		return m.push(stringOf(v.text))
	}
	return nil
}

// object is where the members of an element stand: beside it for a primitive.
func (m *machine) object(v *Value) fhir.Node {
	if v.Type == nil {
		return fhir.None
	}
	if v.Type.Kind != r4.KindPrimitive {
		return v.Node
	}
	if v.Extra == 0 {
		return fhir.None
	}
	return v.Extra
}

// field puts the values of one element on the stack.
func (m *machine) field(obj fhir.Node, el *r4.Element) error {
	if el.Type.Kind == r4.KindPrimitive {
		value, beside := m.tape.Primitive(obj, el.Name)
		return m.primitives(value, beside, el.Type)
	}
	return m.elements(m.tape.Field(obj, el.Name), el.Type)
}

// choice puts the values of a choice on the stack, whichever types they have.
func (m *machine) choice(obj fhir.Node, typ *r4.Type, name string) error {
	t := m.tape
	for c := t.First(obj); c != fhir.None; c = t.Next(c) {
		key := t.Key(c)
		beside := len(key) > 0 && key[0] == '_'
		if beside {
			key = key[1:]
		}
		if len(key) <= len(name) || string(key[:len(name)]) != name {
			continue
		}
		el := typ.Element(key)
		if el == nil || el.Choice != name || beside && t.Field(obj, el.Name) != fhir.None {
			continue
		}
		if err := m.field(obj, el); err != nil {
			return err
		}
	}
	return nil
}

// elements puts an element that is no primitive, or an array of them, on the
// stack.
func (m *machine) elements(n fhir.Node, typ *r4.Type) error {
	switch m.tape.Kind(n) {
	case fhir.Invalid, fhir.Null:
		return nil
	case fhir.Array:
		for c := m.tape.First(n); c != fhir.None; c = m.tape.Next(c) {
			if err := m.elements(c, typ); err != nil {
				return err
			}
		}
		return nil
	case fhir.Object, fhir.String, fhir.Number, fhir.True, fhir.False:
	}
	if typ == m.prog.known.resource {
		typ = typeOfResource(m.prog.defs, m.tape, n)
	}
	return m.push(Value{Node: n, Type: typ})
}

// primitives puts a primitive, or an array of them, on the stack together with
// what stands beside it.
func (m *machine) primitives(value, beside fhir.Node, typ *r4.Type) error {
	t := m.tape
	if t.Kind(value) != fhir.Array && t.Kind(beside) != fhir.Array {
		return m.primitive(value, beside, typ)
	}
	v, b := t.First(value), t.First(beside)
	for v != fhir.None || b != fhir.None {
		if err := m.primitive(v, b, typ); err != nil {
			return err
		}
		v, b = t.Next(v), t.Next(b)
	}
	return nil
}

func (m *machine) primitive(value, beside fhir.Node, typ *r4.Type) error {
	v := Value{Node: value, Type: typ}
	if m.tape.Kind(beside) == fhir.Object {
		v.Extra = beside
	}
	switch m.tape.Kind(value) {
	case fhir.Invalid, fhir.Null:
		if v.Node = fhir.None; v.Extra == 0 {
			return nil
		}
	case fhir.Array:
		return m.primitives(value, beside, typ)
	case fhir.Object, fhir.String, fhir.Number, fhir.True, fhir.False:
	}
	return m.push(v)
}

// children puts all elements of an element on the stack.
func (m *machine) children(v Value) error {
	obj := m.object(&v)
	t := m.tape
	for c := t.First(obj); c != fhir.None; c = t.Next(c) {
		key := t.Key(c)
		beside := len(key) > 0 && key[0] == '_'
		if beside {
			key = key[1:]
		}
		el := v.Type.Element(key)
		if el == nil || beside && t.Field(obj, el.Name) != fhir.None {
			continue
		}
		if err := m.field(obj, el); err != nil {
			return err
		}
	}
	return nil
}

// descendants puts all elements below an element on the stack, each before those
// below it.
func (m *machine) descendants(v Value) error {
	base := len(m.vals)
	if err := m.children(v); err != nil {
		return err
	}
	end := len(m.vals)
	for i := base; i < end; i++ {
		child := m.vals[i]
		if err := m.push(child); err != nil {
			return err
		}
		if err := m.descendants(child); err != nil {
			return err
		}
	}
	m.drop(base, end)
	return nil
}

// extensions puts the extensions of an element that have the URL on the stack.
func (m *machine) extensions(v Value, url []byte) error {
	base := len(m.vals)
	if err := m.membersOf(v, "extension"); err != nil {
		return err
	}
	kept := base
	var room [64]byte
	for i := base; i < len(m.vals); i++ {
		if bytes.Equal(m.tape.Bytes(m.tape.Field(m.vals[i].Node, "url"), room[:]), url) {
			m.vals[kept] = m.vals[i]
			kept++
		}
	}
	m.vals = m.vals[:kept]
	return nil
}

// typeName is $this where it is of the type that a path starts with.
func (m *machine) typeName(n *node) error {
	if m.env.none || !n.typ.holds(&m.env.this) {
		return nil
	}
	return m.push(m.env.this)
}
