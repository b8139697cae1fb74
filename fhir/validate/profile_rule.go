package validate

import (
	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
)

// stepsPerWork is how many steps of an expression count as one of work.
const stepsPerWork = 4

// valueOf is a value as FHIRPath takes it.
func valueOf(s spot) fhirpath.Value {
	v := fhirpath.Value{Node: s.n, Type: s.typ}
	if s.extra != fhir.None {
		v.Extra = s.extra
	}
	return v
}

// prepare readies the scope for an expression about a value. What is left of the
// work is its budget.
func (k *shaper) prepare(s spot, vars map[string][]fhirpath.Value) {
	in := k.around(s.at())
	k.scope.Tape, k.scope.Now, k.scope.Vars, k.scope.Focus = k.t, k.how.Now, vars, valueOf(s)
	k.scope.Resource, k.scope.Container = in.resource, in.container
	k.scope.Steps = max(1, k.most-k.work) * stepsPerWork
}

// settled takes what an expression cost off the work.
func (k *shaper) settled() {
	k.spend(1 + (k.scope.Steps-k.scope.Left())/stepsPerWork)
}

// holds says whether an expression is true of a value.
func (k *shaper) holds(s spot, p *fhirpath.Program, vars map[string][]fhirpath.Value) (bool, error) {
	k.prepare(s, vars)
	defer k.settled()
	return p.Holds(&k.scope)
}

// selects says whether an expression of the nearest resource leads to a value.
func (k *shaper) selects(p *fhirpath.Program, s spot) bool {
	k.prepare(k.resource(k.around(s.at()).resource), nil)
	defer k.settled()
	found, err := p.Run(&k.scope)
	if err != nil {
		return false
	}
	for _, v := range found {
		if v.Node == s.n && s.n != fhir.None || s.extra != fhir.None && v.Extra == s.extra {
			return true
		}
	}
	return false
}
