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

// scope is that of an expression about a value.
func (k *shaper) scope(s spot, vars map[string][]fhirpath.Value) *fhirpath.Scope {
	return &fhirpath.Scope{
		Tape: k.t, Focus: valueOf(s), Resource: k.around(s.at()).resource, Now: k.how.Now, Vars: vars,
		Steps: min(fhirpath.DefaultSteps, max(1, (k.most-k.work)*stepsPerWork)),
	}
}

// holds says whether an expression is true of a value.
func (k *shaper) holds(s spot, p *fhirpath.Program, vars map[string][]fhirpath.Value) (bool, error) {
	return p.Holds(k.scope(s, vars))
}

// selects says whether an expression of the nearest resource leads to a value.
func (k *shaper) selects(p *fhirpath.Program, s spot) bool {
	found, err := p.Run(k.scope(k.resource(k.around(s.at()).resource), nil))
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
