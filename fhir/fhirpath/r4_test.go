package fhirpath

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir/r4"
)

// TestEveryInvariantCompiles asks it twice: leniently, and with the type that it
// is evaluated at, where a few of R4's own are at odds with R4.
func TestEveryInvariantCompiles(t *testing.T) {
	d := load(t)
	count := 0
	broken := map[string]bool{}
	// ChargeItemDefinition has no name, and the probability of a RiskAssessment,
	// where it is a number, no low and high.
	want := map[string]bool{"cid-0": true, "ras-1": true}
	check := func(typ *r4.Type, i r4.Invariant) {
		count++
		if _, err := Compile(i.Expression, d); err != nil {
			t.Errorf("%s %s: %v", typ.Name, i.Key, err)
		}
		if _, err := compileFor(i.Expression, d, typ); err != nil {
			broken[i.Key] = true
		}
	}
	for _, typ := range d.Types() {
		for _, i := range typ.Invariants {
			check(typ, i)
		}
		for j := range typ.Elements {
			for _, i := range typ.Elements[j].Invariants {
				check(typ.Elements[j].Type, i)
			}
		}
	}
	if diff := cmp.Diff(want, broken); diff != "" || count < 1400 {
		t.Errorf("of %d, refused with a type: %s", count, diff)
	}
}

func TestEverySearchParameterCompiles(t *testing.T) {
	d := load(t)
	for _, p := range d.SearchParams() {
		if p.Expression == "" {
			continue
		}
		if _, err := Compile(p.Expression, d); err != nil {
			t.Errorf("%s: %v", p.URL, err)
		}
	}
}
