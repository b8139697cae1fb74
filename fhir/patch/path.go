package patch

import (
	"errors"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
)

// compile reads the path.
func (c *change) compile() error {
	expr, err := fhirpath.Parse(c.at)
	if err == nil {
		c.prog, err = fhirpath.Compile(c.at, c.defs)
	}
	if err != nil {
		return fault(ErrMalformed, "path is not a FHIRPath expression that can be used here")
	}
	if leaves(expr) {
		return fault(ErrMalformed, "a path may not leave the resource by resolve()")
	}
	if c.op == "insert" && expr.Kind == fhirpath.KindMember && expr.Target != nil {
		holder := strings.TrimRight(c.at[:expr.Offset], ". \t\r\n")
		if c.list, err = fhirpath.Compile(holder, c.defs); err != nil {
			c.list = nil
		}
		c.member = expr.Name
	}
	return nil
}

// leaves reports whether the expression follows references: what it finds need
// not be of the resource (R4 fhirpatch.html).
func leaves(e *fhirpath.Expr) bool {
	if e == nil {
		return false
	}
	if e.Kind == fhirpath.KindCall && e.Name == "resolve" || leaves(e.Target) {
		return true
	}
	for _, arg := range e.Args {
		if leaves(arg) {
			return true
		}
	}
	return false
}

// run is what the expression finds in the resource; all of it must be elements.
func run(p *fhirpath.Program, w *worker) ([]fhir.Node, error) {
	// A path takes a few steps for each element it passes, and no more than there
	// are bytes; each step is about as much work as a few bytes.
	steps := stepsLeast + len(w.tape.Source())
	if err := w.spend(stepWork * steps); err != nil {
		return nil, err
	}
	values, err := p.Run(&fhirpath.Scope{Tape: w.tape, Steps: steps})
	if errors.Is(err, fhirpath.ErrTooCostly) {
		return nil, fault(ErrTooMuch, "the path takes too many steps")
	}
	if err != nil {
		return nil, fault(ErrPath, "the path cannot be worked out on this resource")
	}
	nodes := make([]fhir.Node, len(values))
	for i, v := range values {
		if !v.IsElement() {
			return nil, fault(ErrPath, "the path works out a value and names no element")
		}
		if nodes[i] = v.Node; v.Node == fhir.None {
			nodes[i] = v.Extra
		}
	}
	return nodes, nil
}

// What the steps of an expression count for.
const (
	stepsLeast = 1 << 14
	stepWork   = 4
)

// one is the only element that the expression finds (R4 fhirpatch.html).
func one(p *fhirpath.Program, w *worker) (fhir.Node, error) {
	nodes, err := run(p, w)
	switch {
	case err != nil:
		return fhir.None, err
	case len(nodes) == 0:
		return fhir.None, nothing()
	case len(nodes) > 1:
		return fhir.None, several()
	}
	return nodes[0], nil
}

// several is the fault of a path that names more than one element.
func several() error { return fault(ErrPath, "there is more than one element at the path") }
