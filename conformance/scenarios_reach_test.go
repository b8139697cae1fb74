package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestScenario54IncludesStayWithin(t *testing.T) {
	s := newSearchStage(t)
	own := append(of("q"), "Encounter/e-q", "DiagnosticReport/d-q", "List/l-q", "MedicationRequest/mr-q")
	hidden := append(of("p"), "Encounter/e-p", "DiagnosticReport/d-p", "List/l-p", "MedicationRequest/mr-p", "Consent/consent-p", "Condition/c-p")
	for query, want := range map[string][]string{
		"Patient?_id=p,q&_revinclude=Observation:subject":                                                         of("q"),
		"Patient?_id=p,q&_revinclude=*":                                                                           own,
		"Patient?_id=p,q&_revinclude=Encounter:patient&_revinclude:iterate=Observation:encounter":                 append(of("q"), "Encounter/e-q"),
		"Patient?_id=p,q&_revinclude=Consent:patient":                                                             nil,
		"Patient?_id=p,q&_revinclude=AuditEvent:patient":                                                          nil,
		"Practitioner?_id=dr-b&_revinclude=Observation:performer":                                                 of("q"),
		"Practitioner?_id=dr-b&_revinclude=Observation:performer&_include:iterate=Observation:encounter":          append(of("q"), "Encounter/e-q"),
		"Practitioner?_id=dr-b&_revinclude=*":                                                                     append(of("q"), "MedicationRequest/mr-q", "AllergyIntolerance/a-q"),
		"Location?_id=ward&_revinclude=Encounter:location&_revinclude:iterate=Observation:encounter":              append(of("q"), "Encounter/e-q"),
		"Organization?_id=b&_revinclude=*":                                                                        {"Encounter/e-q", "Immunization/i-q"},
		"Observation?code=5221-7&_include=*":                                                                      append(of("q"), "Encounter/e-q", "Patient/q", "Practitioner/dr-b"),
		"DiagnosticReport?status=final&_include=DiagnosticReport:result&_include:iterate=Observation:subject":     append(of("q"), "Patient/q", "DiagnosticReport/d-q"),
		"List?status=current&_include=List:item":                                                                  {"List/l-q", "Observation/x0-q", "Observation/x1-q"},
		"AllergyIntolerance?patient=p,q&_include=AllergyIntolerance:recorder&_include=AllergyIntolerance:patient": {"AllergyIntolerance/a-p", "AllergyIntolerance/a-q", "Patient/p", "Patient/q", "Practitioner/dr-b"},
		"AllergyIntolerance?patient=p&_include=*":                                                                 {"AllergyIntolerance/a-p", "Patient/p"},
	} {
		a := s.ask(t, s.a1, get(query))
		if a.status != http.StatusOK {
			t.Errorf("%s: status %d\n%s", query, a.status, a.body)
			continue
		}
		got := everyID(t, a)
		for _, id := range want {
			if !slices.Contains(got, id) {
				t.Errorf("%s: %s is missing in %v", query, id, got)
			}
		}
		for _, id := range got {
			if slices.Contains(hidden, id) || strings.HasPrefix(id, "AuditEvent/") || strings.HasPrefix(id, "Consent/") {
				t.Errorf("%s: %s came along", query, id)
			}
		}
		if strings.HasPrefix(query, "AllergyIntolerance?patient=p&") && slices.Contains(got, "Practitioner/dr-b") {
			t.Errorf("%s: the recorder that the basic set leaves out came along", query)
		}
	}
}
