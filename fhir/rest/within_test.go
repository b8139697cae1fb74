package rest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
)

// TestIssuesInTheirPlace: what is wrong with an entry is said of where it stands in
// the Bundle; a parameter stands in the entry's address, and in no resource.
func TestIssuesInTheirPlace(t *testing.T) {
	for expression, want := range map[string]string{
		"":                      "Bundle.entry[2]",
		"Patient.name[0].given": "Bundle.entry[2].resource.name[0].given",
		"Patient":               "Bundle.entry[2].resource",
		"Bundle.entry[1]":       "Bundle.entry[1]",
		"http.from":             "Bundle.entry[2].request.url",
	} {
		got := within(place(2), []fhir.Issue{{Expression: expression}})
		if diff := cmp.Diff([]fhir.Issue{{Expression: want}}, got); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", expression, diff)
		}
	}
}
