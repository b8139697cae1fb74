package gate_test

import (
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
)

// chained is Observation?subject:Patient.gender=female.
func (w *world) chained() *search.Query {
	d := w.tools.Definitions
	inner, refusal := w.tools.Parser.Parse("Patient", []search.Pair{{Name: "gender", Value: "female"}}, false)
	if refusal != nil {
		w.Fatal(refusal)
	}
	return &search.Query{Type: "Observation", Count: -1, Clauses: []search.Clause{{Via: []search.Join{{
		Param: search.Param(d.Resource("Observation").Param("subject").Number), Type: "Patient", Clauses: inner.Clauses,
	}}}}}
}

// TestChainsReachNoFurtherThanScopes: a step into a type that the caller could
// neither search nor read finds nothing; where he could, it finds.
func TestChainsReachNoFurtherThanScopes(t *testing.T) {
	w := newClinics(t, nil)
	for _, c := range []struct {
		name, scopes string
		want         int
	}{
		{"both", "user/Observation.s user/Patient.r", 3},
		{"all", "user/*.rs", 3},
		{"observations alone", "user/Observation.rs", 0},
		{"a patient at launch", "user/Observation.rs patient/Patient.rs", 0},
		{"one patient", "patient/Observation.rs patient/Patient.rs", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			who := doctor("A")
			who.Patient, who.Scopes = "p", smart.ParseScopes(c.scopes)
			if got := w.found(who, w.chained()); got != c.want {
				t.Errorf("%d found, want %d", got, c.want)
			}
		})
	}
	if got := w.found(doctor("C"), w.chained()); got != 0 {
		t.Errorf("a clinic without registrations finds %d", got)
	}
}

// found is how many resources a query finds.
func (w *world) found(who consent.Caller, q *search.Query) int {
	w.Helper()
	return len(w.searched(who, q).Items())
}
