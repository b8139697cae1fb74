package fhirpath

import "maps"

// language are the functions by their names, but for is, as and ofType.
//
//nolint:gochecknoglobals // never changed
var language = functions()

func functions() map[string]*function {
	all := collectionFunctions()
	for _, more := range []map[string]*function{
		lambdaFunctions(), stringFunctions(), mathFunctions(), conversionFunctions(), timeFunctions(), fhirFunctions(),
	} {
		maps.Copy(all, more)
	}
	return all
}

// pureFunction is a function of one value and its arguments.
func pureFunction(least, most int, takes, result System, pure func(m *machine, in Value, args []Value) (Value, bool, error)) *function {
	f := &function{least: least, most: most, takes: takes, result: result, pure: pure}
	f.eval = func(m *machine, n *node) error { return m.apply(n) }
	return f
}

// apply evaluates a pure function.
func (m *machine) apply(n *node) error {
	base := len(m.vals)
	in, ok, err := m.scalarOf(n.left, n.fn.takes)
	if err != nil || !ok {
		return err
	}
	for _, a := range n.args {
		v, ok, err := m.scalar(a)
		if err != nil || !ok {
			m.vals = m.vals[:base]
			return err
		}
		if err := m.push(v); err != nil {
			return err
		}
	}
	m.pattern = n.re
	v, ok, err := n.fn.pure(m, in, m.vals[base:])
	m.vals = m.vals[:base]
	if err != nil || !ok {
		return err
	}
	return m.push(v)
}

// scalarOf is scalar for a function that takes values of one type; the language
// converts what may stand for another.
func (m *machine) scalarOf(n *node, takes System) (v Value, ok bool, err error) {
	v, ok, err = m.single(n)
	if err != nil || !ok {
		return v, false, err
	}
	element := v
	if v, ok = m.system(v); !ok {
		if m.isComplex(&element) && takes != SystemNone {
			return v, false, fail("the function is not for values of this type")
		}
		return v, false, nil
	}
	switch {
	case takes == SystemNone, v.sys == takes:
	case takes == SystemString && element.IsElement() && temporalOf(element.Type.Primitive) != SystemNone:
		return stringOf(v.text), true, nil // R4 writes dates and times as strings
	case takes == SystemDecimal && (v.isNumber() || v.sys == SystemQuantity):
	default:
		return v, false, fail("the function is not for values of this type")
	}
	return v, true, nil
}

// isComplex reports whether a value is an element that is no primitive.
func (m *machine) isComplex(v *Value) bool {
	return v.sys == SystemNone && v.Type != nil && v.Type.Primitive == 0
}
