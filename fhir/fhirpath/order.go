package fhirpath

import "bytes"

// compare is <, <=, > and >= (FHIRPath 2.0 §6.2).
func (m *machine) compare(n *node) (tri, error) {
	l, ok, err := m.scalar(n.left)
	if err != nil || !ok {
		return unknown, err
	}
	r, ok, err := m.scalar(n.right)
	if err != nil || !ok {
		return unknown, err
	}
	order, t, err := m.order(&l, &r)
	if err != nil || t != yes {
		return unknown, err
	}
	switch n.form {
	case "<":
		return triOf(order < 0), nil
	case "<=":
		return triOf(order <= 0), nil
	case ">":
		return triOf(order > 0), nil
	}
	return triOf(order >= 0), nil
}

// order says which of two values comes first; known is unknown where precision
// or units leave it open.
func (m *machine) order(a, b *Value) (order int, known tri, err error) {
	switch {
	case a.isNumber() && b.isNumber():
		if a.sys == SystemInteger && b.sys == SystemInteger {
			switch {
			case a.num < b.num:
				return -1, yes, nil
			case a.num > b.num:
				return 1, yes, nil
			}
			return 0, yes, nil
		}
		return a.asDecimal().Cmp(b.asDecimal()), yes, nil
	case a.sys == SystemQuantity || b.sys == SystemQuantity:
		x, xok := a.asQuantity()
		y, yok := b.asQuantity()
		if xok && yok {
			order, known, err = m.compareQuantities(&x, &y)
			if known == no {
				known = unknown
			}
			return order, known, err
		}
	case a.isMoment() && b.isMoment(), a.sys == SystemTime && b.sys == SystemTime:
		order, ok := compareTemporal(*a, *b)
		if !ok {
			return 0, unknown, nil
		}
		return order, yes, nil
	case a.sys == SystemString && b.sys == SystemString:
		return bytes.Compare(a.text, b.text), yes, nil
	}
	return 0, unknown, fail("values of these types have no order")
}
