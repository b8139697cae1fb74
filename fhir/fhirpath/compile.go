package fhirpath

import (
	"fmt"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// Program is an expression that was checked to use only what Eval implements.
// It is safe for concurrent use.
type Program struct {
	expr *Expr
	defs *r4.Definitions
}

// Compile reads an expression and refuses what Eval does not implement, so that
// nothing is silently empty.
func Compile(src string, d *r4.Definitions) (*Program, error) {
	e, err := Parse(src)
	if err != nil {
		return nil, err
	}
	if err := check(e); err != nil {
		return nil, err
	}
	return &Program{e, d}, nil
}

// check refuses what Eval does not implement.
func check(e *Expr) error {
	if e == nil {
		return nil
	}
	ok := true
	switch e.Kind {
	case KindEmpty, KindString, KindNumber, KindBoolean, KindMember, KindType, KindIndex:
	case KindTime, KindUnary:
		ok = false
	case KindVariable:
		ok = e.Name == "resource" || e.Name == "context"
	case KindSpecial:
		ok = e.Name == "this"
	case KindCall:
		arity, known := functionArity(e.Name)
		ok = known && arity == len(e.Args)
	case KindBinary:
		ok = isOperator(e.Name)
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("fhirpath: %w", &SyntaxError{e.Offset, "not supported: " + e.Name})
	}
	if err := check(e.Target); err != nil {
		return err
	}
	for _, a := range e.Args {
		if err := check(a); err != nil {
			return err
		}
	}
	return nil
}

func isOperator(s string) bool {
	switch s {
	case "|", "=", "!=", "and", "or":
		return true
	}
	return false
}

// functionArity is the number of arguments of a function that Eval implements.
func functionArity(name string) (int, bool) {
	switch name {
	case "exists", "empty", "not", "first", "resolve":
		return 0, true
	case "where", "as", "is", "ofType", "extension", "hasExtension":
		return 1, true
	}
	return 0, false
}

// Value is one item of a collection: an element of the tape, or a computed text
// or truth.
type Value struct {
	// Node is the element; None for what was computed.
	Node fhir.Node
	// Type is the type of the element; nil for what was computed or is unknown.
	Type *r4.Type
	// Text is a computed value; IsBool tells "true" and "false" from text.
	Text   string
	IsBool bool
	// resolved says that the element is a reference standing for its target, of
	// the type in Text.
	resolved bool
}

// Eval evaluates the program on the resource of the tape.
func (p *Program) Eval(t *fhir.Tape) []Value {
	root := Value{Node: t.Root()}
	root.Type = typeOfResource(p.defs, t, root.Node)
	return p.EvalAt(t, root)
}

// EvalAt evaluates the program with a focus within the resource of the tape.
func (p *Program) EvalAt(t *fhir.Tape, focus Value) []Value {
	m := machine{tape: t, defs: p.defs}
	return m.eval(p.expr, []Value{focus}, true)
}

func typeOfResource(d *r4.Definitions, t *fhir.Tape, n fhir.Node) *r4.Type {
	return d.ResourceBytes(t.Bytes(t.Field(n, "resourceType"), nil))
}
