// Package validate owns the rules of R4 that a resource must keep to be stored:
// elements, JSON kinds, cardinalities, choices, formats, required codes,
// narratives, references, contained resources, invariants, and what profiles ask
// beyond R4. It does not parse, which is fhir's; it does not know the shape of R4,
// which is r4's; it does not evaluate expressions, which is fhirpath's; it does not
// choose the profiles that count, which is gate's; and it never repeats a value in
// what it reports, only names of elements.
package validate

import (
	"sync"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// maxDepth is how deep elements may nest; the tape's own limit is reached first
// unless it has been raised.
const maxDepth = 104

// Level is how much is checked. The zero value is everything.
type Level uint8

// The levels of validation.
const (
	LevelFull      Level = iota
	LevelStructure       // elements, kinds, cardinalities, formats and codes
	LevelOff             // that it is a resource of R4
)

// How is what Check is told beyond the resource. The zero value asks for
// everything that needs nothing from outside.
type How struct {
	Level Level
	// ErrorsOnly leaves out what is no error: what a write need not know.
	ErrorsOnly bool
	// Now is the moment of the request, for rules that ask for it.
	Now time.Time
	// National are the systems of NRIC and FIN, whose values have a check letter.
	National []string
	// Codes says whether a code is one of its system, and whether that system is
	// known at all; nil leaves it unasked. It does not forbid to store anything.
	Codes func(system, code string) (in, known bool)
	// Profiles finds a compiled profile by its canonical; nil when none are known.
	Profiles func(canonical string) (*Profile, bool)
	// Claimed are profiles to check against beyond those of meta.profile.
	Claimed []string
}

// Validator checks resources against the definitions. It is safe for concurrent
// use.
type Validator struct {
	defs *r4.Definitions
	// required has, by the number of a type, a bit for each slot that must be
	// filled.
	required []uint64
	// core are the invariants of R4, by key and expression.
	core map[string]bool
	// rules has, by the number of a type, the invariants of its values.
	rules [][]invariant
	// special has those that elements have besides.
	special map[*r4.Element][]invariant
	walkers sync.Pool
}

// New makes a Validator.
func New(d *r4.Definitions) *Validator {
	v := &Validator{defs: d, core: coreRules(d)}
	v.rules, v.special = rulesOf(d)
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

// Check reports all that is wrong with the resource, a hundred issues at most;
// nil when nothing is. Where the structure is wrong it names the profiles that it
// left unasked. A resource with an issue of SeverityError must not be
// stored. It allocates nothing for a resource without issues.
func (v *Validator) Check(t *fhir.Tape, how How) []fhir.Issue {
	w, _ := v.walkers.Get().(*walker)
	if w == nil {
		w = &walker{v: v}
	}
	defer v.walkers.Put(w)
	w.start(t, how)
	if how.Level == LevelOff {
		w.typed(t.Root())
		return w.report()
	}
	w.whole(t.Root())
	if how.Level == LevelFull {
		w.profiles(&w.how)
	}
	return w.report()
}
