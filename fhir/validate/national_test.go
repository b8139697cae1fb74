package validate_test

import (
	"strings"
	"testing"

	"vitrine/fhir"
	"vitrine/fhir/validate"
)

func TestCheckLetters(t *testing.T) {
	const valid = "S1234567D T1234567J F1234567N G1234567X M1234567K S0000001I T0000001E F0000001U G0000001P M0000001Q " +
		"S7654321F T7654321B F7654321Q G7654321L M7654321J"
	for _, id := range strings.Fields(valid) {
		for letter := byte('A'); letter <= 'Z'; letter++ {
			other := append([]byte(id[:8]), letter)
			if got, want := validate.IsNational(other), letter == id[8]; got != want {
				t.Errorf("%s: got %v", other, got)
			}
		}
	}
	for _, id := range []string{"", "S1234567", "S1234567DD", "s1234567d", "S1234567d", "A1234567D", "S9098989Z", "S****567D", " S123456D", "S12345 7D"} {
		if validate.IsNational([]byte(id)) {
			t.Errorf("%q passes", id)
		}
	}
}

func TestNationalIdentifiersHaveTheirCheckLetter(t *testing.T) {
	v := newValidator(t)
	how := validate.How{National: []string{"http://nric.example"}}
	patient := func(identifier string) *fhir.Tape {
		return parse(t, `{"resourceType":"Patient","generalPractitioner":[{"identifier":{`+identifier+`}}]}`)
	}
	for _, good := range []string{
		`"system":"http://nric.example","value":"S1234567D"`, `"system":"http://else.example","value":"S1234567E"`, `"value":"x"`,
		`"system":"http://nric.example","_value":{"extension":[{"url":"http://x.example","valueCode":"masked"}]}`,
	} {
		if issues := v.Check(patient(good), how); issues != nil {
			t.Errorf("%s is refused: %v", good, issues)
		}
	}
	for _, bad := range []string{"S1234567E", "s1234567d", "S****567D"} {
		issues := v.Check(patient(`"system":"http://nric.example","value":"`+bad+`"`), how)
		if len(issues) != 1 || issues[0].Code != fhir.CodeBusinessRule || issues[0].Expression != "Patient.generalPractitioner[0].identifier.value" {
			t.Errorf("%s: got %v", bad, issues)
		}
		for _, i := range issues {
			if strings.Contains(line(i), bad) {
				t.Errorf("the value is repeated: %v", i)
			}
		}
	}
}
