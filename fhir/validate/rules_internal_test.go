package validate

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir/r4"
)

func TestEveryInvariantCompiles(t *testing.T) {
	d, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	programs, kept := map[string]bool{}, 0
	for _, all := range New(d).rules {
		for _, r := range all {
			if _, err := r.program(); err != nil {
				t.Errorf("%s: %v", r.Key, err)
			}
			if programs[r.Key+r.Expression] = true; r.presence.op != opUnknown {
				kept++
			}
		}
	}
	t.Logf("%d invariants; of %d uses by a type are answered by presence at times", len(programs), kept)
	if len(programs) < 200 {
		t.Errorf("%d invariants", len(programs))
	}
}

func TestElementsHaveRulesOfTheirOwn(t *testing.T) {
	d, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e, all := range New(d).special {
		for _, r := range all {
			if _, err := r.program(); err != nil {
				t.Errorf("%s: %v", r.Key, err)
			}
			got = append(got, r.Key+" "+e.Path)
		}
	}
	slices.Sort(got)
	want := []string{
		"eld-3 ElementDefinition.max", "org-2 Organization.address", "org-3 Organization.telecom",
		"ras-1 RiskAssessment.prediction.probabilityDecimal", "ras-1 RiskAssessment.prediction.probabilityRange",
		"sdf-10 StructureDefinition.snapshot.element",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
