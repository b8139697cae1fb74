// Package validate owns the structural rules of R4 that a resource must keep to
// be stored: elements, JSON kinds, cardinalities, choices, primitive formats and
// required codes. It does not parse, which is fhir's; it does not know the shape
// of R4, which is r4's; and it never repeats a value in what it reports, only
// names of elements.
package validate

import (
	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// The bounds of one report. Warnings have their own, so that they cannot crowd
// out an error.
const (
	maxErrors   = 80
	maxWarnings = 20
	// maxDepth is how deep elements may nest; the tape's own limit is reached
	// first unless it has been raised.
	maxDepth = 104
)

// Validator checks resources against the definitions. It is safe for concurrent
// use.
type Validator struct {
	defs *r4.Definitions
	// required has, by the number of a type, a bit for each slot that must be
	// filled.
	required []uint64
}

// New makes a Validator.
func New(d *r4.Definitions) *Validator {
	v := &Validator{defs: d}
	for _, t := range d.Types() {
		var slots uint64
		for i := range t.Elements {
			if t.Elements[i].Required() {
				slots |= 1 << t.Elements[i].Slot
			}
		}
		v.required = append(v.required, slots)
	}
	return v
}

// Validate reports all that is wrong with the resource, a hundred issues at
// most; nil when nothing is. A resource with an issue of SeverityError must not
// be stored. It allocates nothing for a resource without issues.
func (v *Validator) Validate(t *fhir.Tape) []fhir.Issue {
	w := walker{v: v, t: t}
	w.resource(t.Root())
	return w.report()
}
