package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestScenario54IncludesStayWithin(t *testing.T) {
	t.Parallel()
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

func TestScenario58ModifiersSeeTheEdition(t *testing.T) {
	t.Parallel()
	s := newSearchStage(t)
	sick := []string{"AllergyIntolerance/a-p"}
	filter := func(s string) string { return "_filter=" + url.QueryEscape(s) }
	s.finds(t, []sought{
		{"Observation?_content=" + hiddenOfP, nil, of("p")},
		{"Observation?_content=Openword", of("q"), nil},
		{"Observation?_text=narrative", of("q"), of("p")},
		{"Patient?_content=" + hiddenOfP, nil, []string{"Patient/p"}},
		{"Patient?_text=" + hiddenOfP, nil, []string{"Patient/p"}},
		{"Patient?_content=Pauline", []string{"Patient/p"}, nil},
		{"AllergyIntolerance?_content=" + hiddenOfP, nil, sick},
		{"AllergyIntolerance?_content=Penicillin&patient=p", sick, nil},
		{"Patient?" + filter(`address co "`+hiddenOfP+`"`), nil, []string{"Patient/p"}},
		{"Patient?" + filter(`address co "openv"`), []string{"Patient/q"}, nil},
		{"Observation?" + filter(`code eq 5221-7 and value-quantity gt 100`), of("q"), of("p")[1:]},
		{"Observation?" + filter(`subject.name sw "pau"`), nil, of("p")},
		{"Patient?_id=p&address:missing=true", []string{"Patient/p"}, nil},
		{"Patient?_id=q&address:missing=false", []string{"Patient/q"}, nil},
		{"AllergyIntolerance?patient=q&recorder:missing=false", []string{"AllergyIntolerance/a-q"}, nil},
		{"AllergyIntolerance?patient=p&recorder:missing=false", nil, sick},
		{"Observation?code:not=29463-7&encounter:missing=false", of("q"), of("p")},
		{"Observation?_tag:not=other&code=5221-7", of("q"), of("p")},
		{"AllergyIntolerance?patient=p&date=2019-03-03", nil, sick},
		{"Observation?subject:identifier=" + nric + "|S0000001I&code=5221-7", nil, nil},
		{"Observation?code=5221-7&value-quantity=gt100", of("q"), of("p")[1:]},
		{"Observation?code=5221-7&value-quantity=ge0.1|http://unitsofmeasure.org|g", of("q"), of("p")},
		{"Observation?code=5221-7&value-quantity=ne100", of("q"), of("p")[1:]},
		{"Observation?code=5221-7&value-quantity=ap105", of("q"), of("p")},
		{"Observation?code-value-quantity=5221-7$gt99", of("q"), of("p")},
		{"Observation?_list=l-p", nil, of("p")[:2]},
		{"Observation?_list=l-q", of("q")[:2], nil},
		{"Observation?_source:below=http://example.org/lab", of("q"), of("p")},
		{"Observation?code:not-in=http://hl7.org/fhir/ValueSet/administrative-gender&_tag=study", of("q"), of("p")},
	})
}
