package fhirpath

import "vitrine/fhir/r4"

// opcode says what a node does. The zero value is no node.
type opcode uint8

const (
	opEmpty opcode = iota + 1
	opLiteral
	opThis
	opIndex
	opTotal
	opVariable
	opMember   // name of left, or of $this
	opTypeName // $this where it is of the type
	opIndexer  // left[right]
	opIs
	opAs
	opUnion
	opArithmetic
	opNegate
	opAnd
	opOr
	opXor
	opImplies
	opEqual
	opEquivalent
	opCompare
	opIn
	opContains
	opCall
)

// node is an expression that is ready to be evaluated. It does not change once
// compiled.
type node struct {
	op opcode
	// name is that of a member or variable.
	name        string
	left, right *node
	args        []*node
	value       Value // of a literal
	typ         typeRef
	// form is an operator: its first letter, or that and '=' of <= and >=.
	form string
	// not turns = and ~ round.
	not bool
	// logical says that judge evaluates it.
	logical bool
	// descending says that sort() turns the order of this key round.
	descending bool
	fn         *function
	// re is the pattern of matches() and others where it is known beforehand.
	re *pattern
	// offset is where it stands in the source.
	offset int
}

// function is one function of the language. Exactly one of eval, truth and pure
// says what it does.
type function struct {
	least, most int // arguments

	// lambda says that its arguments are evaluated for each item, not once.
	lambda bool
	eval   func(m *machine, n *node) error
	truth  func(m *machine, n *node) (tri, error)
	// any is a shorter way to tell whether there is a value.
	any func(m *machine, n *node) (bool, error)
	// pure computes a value from one value and the arguments; it is not asked
	// where any of them is empty.
	pure func(m *machine, in Value, args []Value) (Value, bool, error)
	// result is what a pure function makes, for the check of types.
	result System
	// takes is what a function makes it of; SystemNone for whatever it can.
	takes System
}

// typeRef is a type that an expression names: R4's, the language's own, or either.
type typeRef struct {
	typ *r4.Type
	sys System
}

// holds reports whether a value is of the type, or one derived from it.
func (r *typeRef) holds(v *Value) bool {
	if v.sys != SystemNone {
		return v.sys == r.sys
	}
	if r.typ == nil {
		return false
	}
	for t := v.Type; t != nil; t = t.Base {
		if t == r.typ {
			return true
		}
	}
	return false
}

// keeps is holds for as and ofType, which take a primitive only for what it is:
// a code is a string, but not one to ofType(string).
func (r *typeRef) keeps(v *Value) bool {
	if v.sys == SystemNone && v.Type != nil && v.Type.Kind == r4.KindPrimitive {
		return v.Type == r.typ
	}
	return r.holds(v)
}
