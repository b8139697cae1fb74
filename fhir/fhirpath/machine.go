package fhirpath

import (
	"fmt"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// The bounds of an evaluation beside its steps: what it may hold at once.
const (
	maxValues = 1 << 18
	maxText   = 1 << 20
)

// machine evaluates one program on one tape. Evaluating a node puts its result
// on the end of vals; who asked for it takes it off again.
type machine struct {
	prog  *Program
	scope *Scope
	tape  *fhir.Tape
	vals  []Value
	env   env
	focus Value
	left  int // steps
	units []unitEntry
	// pattern is the regular expression of the function at work, where it was
	// known beforehand.
	pattern *pattern
}

// env is where an expression stands within others.
type env struct {
	this  Value // $this; none says that there is none
	none  bool
	index int
	total []Value
}

// tri is a truth of three values (FHIRPath 2.0 §6.5). The zero value is unknown.
type tri uint8

const (
	unknown tri = iota
	no
	yes
)

func triOf(b bool) tri {
	if b {
		return yes
	}
	return no
}

func (t tri) not() tri {
	switch t {
	case yes:
		return no
	case no:
		return yes
	case unknown:
	}
	return unknown
}

// fail is an evaluation that has no value, and why.
func fail(reason string) error { return fmt.Errorf("%w: %s", ErrEvaluation, reason) }

// spend takes steps off the budget.
func (m *machine) spend(n int) error {
	if m.left -= n; m.left < 0 {
		return ErrTooCostly
	}
	return nil
}

// spendText pays for going over a text.
func (m *machine) spendText(n int) error {
	if n > maxText {
		return ErrTooCostly
	}
	return m.spend(n >> 4)
}

func (m *machine) push(v Value) error {
	if len(m.vals) >= maxValues {
		return ErrTooCostly
	}
	m.vals = append(m.vals, v)
	return nil
}

func (m *machine) pushTri(t tri) error {
	if t == unknown {
		return nil
	}
	return m.push(Boolean(t == yes))
}

// drop takes what lies between two places off the stack, under the rest.
func (m *machine) drop(from, to int) {
	n := copy(m.vals[from:], m.vals[to:])
	m.vals = m.vals[:from+n]
}

// eval puts the values of n on the stack.
func (m *machine) eval(n *node) error {
	if err := m.spend(1); err != nil {
		return err
	}
	switch n.op {
	case opEmpty:
		return nil
	case opLiteral:
		return m.push(n.value)
	case opThis:
		if m.env.none {
			return nil
		}
		return m.push(m.env.this)
	case opMember:
		return m.members(n)
	case opTypeName:
		return m.typeName(n)
	case opIndexer:
		return m.indexer(n)
	case opAs:
		return m.keepType(n)
	case opUnion:
		return m.union(n.left, n.right)
	case opArithmetic:
		return m.arithmetic(n)
	case opNegate:
		return m.negate(n)
	case opCall:
		if n.fn.truth == nil {
			return n.fn.eval(m, n)
		}
	case opIndex, opTotal, opVariable:
		return m.variable(n)
	case opIs, opAnd, opOr, opXor, opImplies, opEqual, opEquivalent, opCompare, opIn, opContains:
	}
	t, err := m.judge(n)
	if err != nil {
		return err
	}
	return m.pushTri(t)
}

// truth is what n is as a boolean: one value, and one that is no boolean is true
// (FHIRPath 2.0 §4.5).
func (m *machine) truth(n *node) (tri, error) {
	if n.logical {
		if err := m.spend(1); err != nil {
			return unknown, err
		}
		return m.judge(n)
	}
	base := len(m.vals)
	if err := m.eval(n); err != nil {
		return unknown, err
	}
	t, err := m.truthOf(m.vals[base:])
	m.vals = m.vals[:base]
	return t, err
}

func (m *machine) truthOf(in []Value) (tri, error) {
	switch len(in) {
	case 0:
		return unknown, nil
	case 1:
	default:
		return unknown, fail("a single value was expected where a boolean stands")
	}
	v := &in[0]
	switch {
	case v.sys == SystemBoolean:
		return triOf(v.num != 0), nil
	case v.sys == SystemNone && v.Type != nil && v.Type.Primitive == r4.PrimitiveBoolean:
		switch m.tape.Kind(v.Node) { //nolint:exhaustive // the others are no boolean
		case fhir.True:
			return yes, nil
		case fhir.False:
			return no, nil
		default:
			return unknown, nil
		}
	}
	return yes, nil
}

// judge is truth for the nodes that have no other value.
func (m *machine) judge(n *node) (tri, error) {
	switch n.op { //nolint:exhaustive // the others are not logical
	case opAnd, opOr, opImplies:
		return m.shortcut(n)
	case opXor:
		l, err := m.truth(n.left)
		if err != nil {
			return unknown, err
		}
		r, err := m.truth(n.right)
		if err != nil || l == unknown || r == unknown {
			return unknown, err
		}
		return triOf(l != r), nil
	case opIs:
		return m.is(n)
	case opEqual, opEquivalent:
		return m.equality(n)
	case opCompare:
		return m.compare(n)
	case opIn:
		return m.membership(n.left, n.right)
	case opContains:
		return m.membership(n.right, n.left)
	case opCall:
		return n.fn.truth(m, n)
	default:
		return unknown, fail("it is no boolean")
	}
}

// shortcut is and, or and implies: the right side is looked at only where the
// left one leaves it open.
func (m *machine) shortcut(n *node) (tri, error) {
	l, err := m.truth(n.left)
	if err != nil {
		return unknown, err
	}
	decisive := no
	switch n.op { //nolint:exhaustive // there are three
	case opOr:
		decisive = yes
	case opImplies:
		l, decisive = l.not(), yes
	}
	if l == decisive {
		return l, nil
	}
	r, err := m.truth(n.right)
	switch {
	case err != nil:
		return unknown, err
	case r == decisive:
		return r, nil
	case l == unknown || r == unknown:
		return unknown, nil
	}
	return decisive.not(), nil
}

// any reports whether n has any value, and stops at the first it finds.
func (m *machine) any(n *node) (bool, error) {
	switch n.op { //nolint:exhaustive // the others are evaluated
	case opMember:
		return m.anyMember(n)
	case opUnion:
		if found, err := m.any(n.left); found || err != nil {
			return found, err
		}
		return m.any(n.right)
	case opCall:
		if n.fn.any != nil {
			if err := m.spend(1); err != nil {
				return false, err
			}
			return n.fn.any(m, n)
		}
	}
	base := len(m.vals)
	err := m.eval(n)
	found := len(m.vals) > base
	m.vals = m.vals[:base]
	return found, err
}

// each evaluates what do says for each value of n as $this.
func (m *machine) each(n *node, do func(at int) (more bool, err error)) error {
	base := len(m.vals)
	if err := m.eval(n); err != nil {
		return err
	}
	end := len(m.vals)
	saved := m.env
	for i := base; i < end; i++ {
		if err := m.spend(1); err != nil {
			return err
		}
		m.env.this, m.env.none, m.env.index = m.vals[i], false, i-base
		if more, err := do(i); err != nil || !more {
			m.env = saved
			return err
		}
	}
	m.env = saved
	return nil
}

// single evaluates n, which must have one value at most.
func (m *machine) single(n *node) (v Value, ok bool, err error) {
	base := len(m.vals)
	if err := m.eval(n); err != nil {
		return v, false, err
	}
	switch len(m.vals) - base {
	case 0:
		return v, false, nil
	case 1:
		v = m.vals[base]
		m.vals = m.vals[:base]
		return v, true, nil
	}
	return v, false, fail("a single value was expected")
}

// scalar is single for a value of the language's own types; ok is false too for
// an element that stands for none of them.
func (m *machine) scalar(n *node) (v Value, ok bool, err error) {
	v, ok, err = m.single(n)
	if err != nil || !ok {
		return v, false, err
	}
	v, ok = m.system(v)
	return v, ok, nil
}

// is reports whether a single value is of a type.
func (m *machine) is(n *node) (tri, error) {
	v, ok, err := m.single(n.left)
	if err != nil || !ok {
		return unknown, err
	}
	return triOf(n.typ.holds(&v)), nil
}

// keepType keeps the values of a type. as is for a single value alone, but R4's
// search parameters ask it of many.
func (m *machine) keepType(n *node) error {
	base := len(m.vals)
	if err := m.eval(n.left); err != nil {
		return err
	}
	if m.prog.strict && n.name != "ofType" && len(m.vals)-base > 1 {
		return fail("a single value was expected")
	}
	kept := base
	for i := base; i < len(m.vals); i++ {
		if n.typ.keeps(&m.vals[i]) {
			m.vals[kept] = m.vals[i]
			kept++
		}
	}
	m.vals = m.vals[:kept]
	return nil
}

// variable is %resource and so on, $index or $total.
func (m *machine) variable(n *node) error {
	switch n.op { //nolint:exhaustive // there are three
	case opIndex:
		return m.push(integerOf(int64(m.env.index)))
	case opTotal:
		for _, v := range m.env.total {
			if err := m.push(v); err != nil {
				return err
			}
		}
		return nil
	}
	switch n.name {
	case "context":
		return m.push(m.focus)
	case "resource":
		return m.push(m.resource(m.scope.Resource))
	case "rootResource":
		return m.push(m.resource(m.scope.Container))
	}
	values, ok := m.scope.Vars[n.name]
	if !ok {
		return fail("there is no variable of that name")
	}
	for _, v := range values {
		if err := m.push(v); err != nil {
			return err
		}
	}
	return nil
}
