package fhirpath

import (
	"testing"

	"vitrine/fhir/r4"
)

// TestEveryInvariantCompiles asks it twice: leniently, and with the type that it
// is evaluated at, where a few of R4's own are at odds with R4.
func TestEveryInvariantCompiles(t *testing.T) {
	d := load(t)
	count := 0
	broken := map[string]bool{}
	check := func(typ *r4.Type, i r4.Invariant) {
		count++
		if _, err := Compile(i.Expression, d); err != nil {
			t.Errorf("%s %s: %v", typ.Name, i.Key, err)
		}
		if _, err := CompileFor(i.Expression, d, typ); err != nil {
			t.Logf("%s %s: %v\n%s", typ.Name, i.Key, err, i.Expression)
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
	t.Log(count, broken)
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
