package fhirpath

import (
	"bytes"
	"unicode"

	"github.com/cockroachdb/apd/v3"

	"vitrine/fhir"
)

// equality is = and ~, and what they are turned round (FHIRPath 2.0 §6.1).
func (m *machine) equality(n *node) (tri, error) {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return unknown, err
	}
	mid := len(m.vals)
	if mid == base && n.op == opEqual {
		return unknown, nil
	}
	if err := m.eval(n.right); err != nil {
		return unknown, err
	}
	l, r := m.vals[base:mid], m.vals[mid:]
	var t tri
	var err error
	if n.op == opEqual {
		t, err = m.equalAll(l, r)
	} else {
		t, err = m.equivalentAll(l, r)
	}
	m.vals = m.vals[:base]
	if n.not {
		t = t.not()
	}
	return t, err
}

// equalAll compares two collections item by item, in their order.
func (m *machine) equalAll(l, r []Value) (tri, error) {
	if len(l) == 0 || len(r) == 0 {
		return unknown, nil
	}
	if len(l) != len(r) {
		return no, nil
	}
	all := yes
	for i := range l {
		t, err := m.equal(&l[i], &r[i])
		if err != nil || t == no {
			return t, err
		}
		if t == unknown {
			all = unknown
		}
	}
	return all, nil
}

// equal compares two values. What cannot be told, for want of precision or of a
// way between units, is unknown.
func (m *machine) equal(a, b *Value) (tri, error) {
	if err := m.spend(1); err != nil {
		return unknown, err
	}
	if a.sys == SystemNone && b.sys == SystemNone {
		if a.Node == b.Node && a.Node != fhir.None {
			return yes, nil
		}
		if x, y, ok := m.texts(a, b); ok {
			return m.sameText(x, y)
		}
	}
	x, xok := m.system(*a)
	y, yok := m.system(*b)
	if xok != yok {
		return no, nil
	}
	if !xok {
		same, err := m.sameElement(a, b)
		return triOf(same), err
	}
	return m.equalSystem(&x, &y)
}

// texts are two strings as they stand on the tape.
func (m *machine) texts(a, b *Value) (x, y []byte, ok bool) {
	if m.tape.Kind(a.Node) != fhir.String || m.tape.Kind(b.Node) != fhir.String || a.Type == nil || b.Type == nil ||
		temporalOf(a.Type.Primitive) != SystemNone || temporalOf(b.Type.Primitive) != SystemNone {
		return nil, nil, false
	}
	return m.tape.Bytes(a.Node, nil), m.tape.Bytes(b.Node, nil), true
}

func (m *machine) equalSystem(a, b *Value) (tri, error) {
	switch {
	case a.sys == SystemQuantity || b.sys == SystemQuantity:
		x, xok := a.asQuantity()
		y, yok := b.asQuantity()
		if !xok || !yok {
			return no, nil
		}
		order, t, err := m.compareQuantities(&x, &y)
		if t != yes {
			return t, err
		}
		return triOf(order == 0), err
	case a.isNumber() && b.isNumber():
		if a.sys == SystemInteger && b.sys == SystemInteger {
			return triOf(a.num == b.num), nil
		}
		return triOf(a.asDecimal().Cmp(b.asDecimal()) == 0), nil
	case a.isMoment() && b.isMoment(), a.sys == SystemTime && b.sys == SystemTime:
		order, known := compareTemporal(*a, *b)
		if !known {
			return unknown, nil
		}
		return triOf(order == 0), nil
	case a.sys != b.sys:
		return no, nil
	case a.sys == SystemBoolean:
		return triOf(a.num == b.num), nil
	}
	if a.num != b.num {
		return no, nil
	}
	return m.sameText(a.text, b.text)
}

// sameText compares two texts, and pays for it.
func (m *machine) sameText(a, b []byte) (tri, error) {
	if len(a) != len(b) {
		return no, nil
	}
	return triOf(bytes.Equal(a, b)), m.spend(len(a) >> 6)
}

// sameElement compares two elements that are no values of the language's own.
func (m *machine) sameElement(a, b *Value) (bool, error) {
	if a.Node == fhir.None && b.Node == fhir.None && a.Type != b.Type {
		return false, nil
	}
	same, err := m.same(a.Node, b.Node)
	if err != nil || !same {
		return false, err
	}
	if a.Extra == 0 && b.Extra == 0 || a.Node != fhir.None {
		return true, nil
	}
	return m.same(a.Extra, b.Extra)
}

// same compares what stands on the tape: numbers by what they are worth, members
// in any order.
func (m *machine) same(a, b fhir.Node) (bool, error) {
	t := m.tape
	if err := m.spend(1); err != nil {
		return false, err
	}
	kind := t.Kind(a)
	if a == b || kind != t.Kind(b) {
		return a == b, nil
	}
	switch kind {
	case fhir.String:
		same, err := m.sameText(t.Bytes(a, nil), t.Bytes(b, nil))
		return same == yes, err
	case fhir.Number:
		x, xok := parseDecimal(t.Raw(a))
		y, yok := parseDecimal(t.Raw(b))
		if !xok || !yok {
			return bytes.Equal(t.Raw(a), t.Raw(b)), nil
		}
		return x.Cmp(y) == 0, nil
	case fhir.Array:
		x, y := t.First(a), t.First(b)
		for ; x != fhir.None && y != fhir.None; x, y = t.Next(x), t.Next(y) {
			if same, err := m.same(x, y); !same || err != nil {
				return false, err
			}
		}
		return x == y, nil
	case fhir.Object:
		return m.sameMembers(a, b)
	case fhir.Invalid, fhir.True, fhir.False, fhir.Null:
	}
	return true, nil
}

func (m *machine) sameMembers(a, b fhir.Node) (bool, error) {
	t := m.tape
	count := 0
	for x := t.First(a); x != fhir.None; x = t.Next(x) {
		if err := m.spend(4); err != nil {
			return false, err
		}
		y := t.Field(b, string(t.Key(x)))
		if same, err := m.same(x, y); y == fhir.None || !same || err != nil {
			return false, err
		}
		count++
	}
	for y := t.First(b); y != fhir.None; y = t.Next(y) {
		count--
	}
	return count == 0, nil
}

// equivalentAll compares two collections in any order; two that are empty are
// equivalent.
func (m *machine) equivalentAll(l, r []Value) (tri, error) {
	if len(l) != len(r) {
		return no, nil
	}
	taken := make([]bool, len(r))
next:
	for i := range l {
		for j := range r {
			if taken[j] {
				continue
			}
			same, err := m.equivalent(&l[i], &r[j])
			if err != nil {
				return unknown, err
			}
			if same {
				taken[j] = true
				continue next
			}
		}
		return no, nil
	}
	return yes, nil
}

// equivalent compares two values leniently; it always can tell.
func (m *machine) equivalent(a, b *Value) (bool, error) {
	if err := m.spend(1); err != nil {
		return false, err
	}
	x, xok := m.system(*a)
	y, yok := m.system(*b)
	if xok != yok {
		return false, nil
	}
	if !xok {
		return m.equivalentElements(a, b)
	}
	switch {
	case x.sys == SystemQuantity || y.sys == SystemQuantity:
		p, pok := x.asQuantity()
		q, qok := y.asQuantity()
		if !pok || !qok {
			return false, nil
		}
		return m.equivalentQuantities(&p, &q)
	case x.isNumber() && y.isNumber():
		return equivalentDecimals(x.asDecimal(), y.asDecimal()), nil
	case x.sys == SystemString && y.sys == SystemString:
		if err := m.spendText(len(x.text) + len(y.text)); err != nil {
			return false, err
		}
		return bytes.Equal(plain(x.text), plain(y.text)), nil
	}
	t, err := m.equalSystem(&x, &y)
	return t == yes, err
}

// equivalentElements compares the elements of two, each with those of its name.
func (m *machine) equivalentElements(a, b *Value) (bool, error) {
	if a.Node == b.Node && a.Node != fhir.None {
		return true, nil
	}
	if a.Type == nil || a.Type != b.Type {
		return false, nil
	}
	for i := range a.Type.Elements {
		name := a.Type.Elements[i].Name
		if name == "id" {
			continue
		}
		base := len(m.vals)
		x, y := *a, *b
		if obj := m.object(&x); obj != fhir.None {
			if err := m.field(obj, &a.Type.Elements[i]); err != nil {
				return false, err
			}
		}
		mid := len(m.vals)
		if obj := m.object(&y); obj != fhir.None {
			if err := m.field(obj, &a.Type.Elements[i]); err != nil {
				return false, err
			}
		}
		l, r := m.vals[base:mid:mid], m.vals[mid:len(m.vals):len(m.vals)]
		t, err := m.equivalentAll(l, r)
		m.vals = m.vals[:base]
		if t != yes || err != nil {
			return false, err
		}
	}
	return true, nil
}

// equivalentDecimals compares as far as the less precise of two is told; zeros
// at the end tell nothing.
func equivalentDecimals(a, b *apd.Decimal) bool {
	var x, y apd.Decimal
	x.Reduce(a)
	y.Reduce(b)
	e := min(max(x.Exponent, y.Exponent), 0)
	ctx := reckoning()
	ctx.Precision = 2 * maxExponent
	if _, err := ctx.Quantize(&x, a, e); err != nil {
		return a.Cmp(b) == 0
	}
	if _, err := ctx.Quantize(&y, b, e); err != nil {
		return a.Cmp(b) == 0
	}
	return x.Cmp(&y) == 0
}

// plain is a text in lower case, with blanks for all white space.
func plain(s []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		return unicode.ToLower(r)
	}, s)
}

// membership reports whether a value is in a collection.
func (m *machine) membership(item, in *node) (tri, error) {
	base := len(m.vals)
	v, ok, err := m.single(item)
	if err != nil || !ok {
		return unknown, err
	}
	if err := m.eval(in); err != nil {
		return unknown, err
	}
	found, err := m.has(m.vals[base:], &v)
	m.vals = m.vals[:base]
	return triOf(found), err
}

// has reports whether a collection has a value.
func (m *machine) has(all []Value, v *Value) (bool, error) {
	for i := range all {
		if t, err := m.equal(&all[i], v); t == yes || err != nil {
			return t == yes, err
		}
	}
	return false, nil
}
