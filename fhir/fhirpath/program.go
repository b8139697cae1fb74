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
// Tape is a sensible default. A Scope may be used again, by other programs too, and
// keeps memory between evaluations; it is not for concurrent use.
type Scope struct {
	Tape *fhir.Tape
	// Focus is what it starts at; the zero Value is the resource of the tape.
	Focus Value
	// Resource is %resource: the resource around the focus.
	Resource fhir.Node
	// Container is %rootResource: the resource that Resource is contained in, or
	// Resource itself. Neither is the Bundle that it is an entry of.
	Container fhir.Node
	// Now is for now(), today() and timeOfDay(); without it they are errors.
	Now time.Time
	// Vars are further %variables.
	Vars map[string][]Value
	// HTML answers htmlChecks() about the text of a narrative; when it is nil,
	// every narrative passes.
	HTML func(xhtml []byte) bool
	// Steps is the budget of the evaluation; 0 is DefaultSteps.
	Steps int

	machine machine
}

// Left is how much of the budget the last evaluation left.
func (s *Scope) Left() int { return max(0, s.machine.left) }

// DefaultSteps is the budget of an evaluation that names none.
const DefaultSteps = 1 << 20

// Program is an expression that is ready to be evaluated. It is safe for
// concurrent use.
type Program struct {
	root   *node
	defs   *r4.Definitions
	known  known
	strict bool
}

// Run evaluates the program. An error wraps ErrEvaluation or ErrTooCostly.
func (p *Program) Run(s *Scope) (out []Value, err error) {
	err = p.with(s, func(m *machine) error {
		if err := m.eval(p.root); err != nil || len(m.vals) == 0 {
			return err
		}
		out = make([]Value, len(m.vals))
		copy(out, m.vals)
		return nil
	})
	return out, err
}

// Holds evaluates an invariant. It does not hold when the result is false. An
// empty result holds: R4's own invariants count on it, such as bdl-8, which asks
// what the fullUrl of an entry contains where it has none, and ref-1, which asks
// what a reference starts with. One value that is no boolean stands for true
// (FHIRPath 2.0 §4.5); more than one is an error.
func (p *Program) Holds(s *Scope) (holds bool, err error) {
	err = p.with(s, func(m *machine) error {
		t, err := m.truth(p.root)
		holds = t != no && err == nil
		return err
	})
	return holds, err
}

// maxKept is how many values' memory a Scope keeps for the next evaluation.
const maxKept = 1 << 12

// with runs do in the machine of the scope.
func (p *Program) with(s *Scope, do func(m *machine) error) error {
	if s.Tape == nil || s.Tape.Root() == fhir.None {
		return fail("there is no resource")
	}
	m := &s.machine
	m.prog, m.scope, m.tape, m.focus, m.left = p, s, s.Tape, s.Focus, s.Steps
	if m.left == 0 {
		m.left = DefaultSteps
	}
	if m.focus.sys == SystemNone && m.focus.Type == nil && m.focus.Node != fhir.None {
		m.focus.Type = typeOfResource(p.defs, s.Tape, m.focus.Node)
	}
	m.env = env{this: m.focus}
	err := do(m)
	if m.vals = m.vals[:0]; cap(m.vals) > maxKept {
		m.vals = nil
	}
	return err
}

func typeOfResource(d *r4.Definitions, t *fhir.Tape, n fhir.Node) *r4.Type {
	return d.ResourceBytes(t.Bytes(t.Field(n, "resourceType"), nil))
}
