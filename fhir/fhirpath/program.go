package fhirpath

import (
	"errors"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// The ways an evaluation fails. An error of Run wraps one of them.
var (
	// ErrTooCostly says that the evaluation was stopped at its budget of steps.
	ErrTooCostly = errors.New("the expression takes too many steps")
	// ErrEvaluation says that the expression has no value there: a single item
	// was expected, or one of another type.
	ErrEvaluation = errors.New("the expression cannot be evaluated")
)

// Scope is what an expression is evaluated in. The zero value of each field but
// Tape is a sensible default.
type Scope struct {
	Tape *fhir.Tape
	// Focus is what it starts at; the zero Value is the resource of the tape.
	Focus Value
	// Resource is %resource: the resource around the focus. %rootResource is
	// always the resource of the tape.
	Resource fhir.Node
	// Now is for now(), today() and timeOfDay(); without it they are errors.
	Now time.Time
	// Vars are further %variables.
	Vars map[string][]Value
	// Member answers memberOf(); when it is nil, nothing is known of any code.
	Member func(system, code, valueSet string) (is, known bool)
	// HTML answers htmlChecks() about the text of a narrative; when it is nil,
	// every narrative passes.
	HTML func(xhtml []byte) bool
	// Steps is the budget of the evaluation; 0 is DefaultSteps.
	Steps int
}

// DefaultSteps is the budget of an evaluation that names none.
const DefaultSteps = 1 << 20

// Program is an expression that was checked to use only what is implemented.
// It is safe for concurrent use.
type Program struct {
	expr *Expr
	defs *r4.Definitions
}

// Compile reads an expression and refuses with a *SyntaxError what is none, and
// what is not known of the language, so that nothing is silently empty.
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

// CompileFor is Compile for an expression that will only be evaluated at values
// of the type; it refuses what can never have a value there.
func CompileFor(src string, d *r4.Definitions, _ *r4.Type) (*Program, error) {
	return Compile(src, d)
}

// Run evaluates the program.
func (p *Program) Run(s *Scope) ([]Value, error) {
	if s.Tape == nil || s.Tape.Root() == fhir.None {
		return nil, ErrEvaluation
	}
	focus := s.Focus
	if focus.sys == SystemNone && focus.Type == nil && focus.Node == s.Tape.Root() {
		focus.Type = typeOfResource(p.defs, s.Tape, focus.Node)
	}
	m := machine{tape: s.Tape, defs: p.defs, resource: s.Resource}
	return m.eval(p.expr, []Value{focus}, true), nil
}

// Holds evaluates an invariant. It holds when the result is one value that is
// true, or that is no boolean, which stands for true (FHIRPath 2.0 §4.5). An
// empty result is no assurance, so the invariant does not hold.
func (p *Program) Holds(s *Scope) (bool, error) {
	out, err := p.Run(s)
	if err != nil {
		return false, err
	}
	m := machine{tape: s.Tape, defs: p.defs}
	value, ok := m.single(out)
	return ok && value, nil
}

func typeOfResource(d *r4.Definitions, t *fhir.Tape, n fhir.Node) *r4.Type {
	return d.ResourceBytes(t.Bytes(t.Field(n, "resourceType"), nil))
}
