package basic_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent/basic"
	"vitrine/fhir"
)

const tag = `"meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}`

func TestEditionKeepsWhatIsListedAndNothingElse(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{
			"patient",
			`{"resourceType":"Patient","id":"p","meta":{"versionId":"3","security":[{"code":"R"}]},"implicitRules":"secret","language":"secret",
			 "text":{"div":"secret"},"contained":[{"resourceType":"Organization","id":"secret"}],
			 "extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","id":"secret","extension":[
			   {"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2028-9","display":"Asian","extension":[{"url":"secret"}]}},
			   {"url":"text","valueString":"Asian"},{"url":"note","valueString":"secret"},{"url":"text","valueReference":{"display":"secret"}}]},
			  {"url":"https://secret.example","valueString":"secret"}],
			 "modifierExtension":[{"url":"secret"}],
			 "identifier":[{"id":"secret","use":"official","type":{"text":"secret"},"system":"https://vitrine.example/NamingSystem/nric","value":"S1234567D","assigner":{"display":"secret"}},
			  {"system":"https://hospital.example/mrn","value":"secret"}],
			 "active":true,"name":[{"use":"official","_family":{"extension":[{"url":"x","valueString":"secret"}]},"family":"Tan","given":["Ah",null,"Kow"],"_given":[null,{"extension":[{"valueString":"secret"}]}],"extension":[{"url":"secret"}]},{"use":"maiden","family":"secret"}],
			 "telecom":[{"value":"secret"}],"gender":"female","birthDate":"1970-01-02","_birthDate":{"extension":[{"url":"birthTime","valueDateTime":"secret"}]},
			 "deceasedBoolean":true,"address":[{"city":"secret"}],"contact":[{}],"generalPractitioner":[{"display":"secret"}],"managingOrganization":{"display":"secret"},"link":[{}]}`,
			`{"resourceType":"Patient","id":"p",` + tag + `,"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[` +
				`{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2028-9","display":"Asian"}},{"url":"text","valueString":"Asian"}]}],` +
				`"identifier":[{"use":"official","system":"https://vitrine.example/NamingSystem/nric","value":"S1234567D"}],` +
				`"name":[{"use":"official","family":"Tan","given":["Ah","Kow"]}],"gender":"female","birthDate":"1970-01-02"}`,
		},
		{
			"a patient known by other names alone",
			`{"resourceType":"Patient","name":[{"use":"nickname","text":"Ah Kow"}]}`,
			`{"resourceType":"Patient",` + tag + `,"name":[{"use":"nickname","text":"Ah Kow"}]}`,
		},
		{
			"a patient of whom nothing is listed",
			`{"resourceType":"Patient","address":[{"city":"secret"}],"identifier":[{"system":"https://hospital.example/mrn","value":"secret"}]}`,
			`{"resourceType":"Patient",` + tag + `}`,
		},
		{
			"allergy",
			`{"resourceType":"AllergyIntolerance","id":"a","identifier":[{"value":"secret"}],"clinicalStatus":{"coding":[{"code":"active"}]},"category":["food"],"criticality":"high",
			 "code":{"coding":[{"system":"http://snomed.info/sct","code":"91935009","display":"Allergy to peanuts"}],"text":"Peanut"},
			 "patient":{"reference":"Patient/p","display":"secret","identifier":{"system":"mrn","value":"secret"}},"encounter":{"reference":"Encounter/secret"},
			 "onsetAge":{"value":1.50,"unit":"a"},"recordedDate":"2020","recorder":{"reference":"Practitioner/secret"},"asserter":{"display":"secret"},"note":[{"text":"secret"}],
			 "reaction":[{"substance":{"text":"Nut"},"manifestation":[{"coding":[{"code":"39579001"}]}],"description":"secret","severity":"severe","note":[{"text":"secret"}]}]}`,
			`{"resourceType":"AllergyIntolerance","id":"a",` + tag + `,"clinicalStatus":{"coding":[{"code":"active"}]},"category":["food"],"criticality":"high",` +
				`"code":{"coding":[{"system":"http://snomed.info/sct","code":"91935009","display":"Allergy to peanuts"}],"text":"Peanut"},"patient":{"reference":"Patient/p"},` +
				`"onsetAge":{"value":1.50,"unit":"a"},"reaction":[{"substance":{"text":"Nut"},"manifestation":[{"coding":[{"code":"39579001"}]}],"severity":"severe"}]}`,
		},
		{
			"a reaction that words alone describe",
			`{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/p"},"reaction":[{"manifestation":[{"text":"rash"}],"description":"a rash"}]}`,
			`{"resourceType":"AllergyIntolerance",` + tag + `,"patient":{"reference":"Patient/p"},"reaction":[{"manifestation":[{"text":"rash"}],"description":"a rash"}]}`,
		},
		{
			"immunisation",
			`{"resourceType":"Immunization","id":"i","status":"completed","vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"140"}]},"patient":{"reference":"Patient/p"},
			 "encounter":{"reference":"Encounter/secret"},"occurrenceDateTime":"2020-01-01","primarySource":true,"location":{"display":"secret"},"manufacturer":{"reference":"Organization/secret","display":"Acme"},
			 "lotNumber":"L1","performer":[{"actor":{"display":"secret"}}],"reasonCode":[{"text":"secret"}],"reaction":[{"date":"2020","detail":{"reference":"Observation/secret"},"reported":false}],
			 "protocolApplied":[{"series":"s","authority":{"display":"secret"},"doseNumberPositiveInt":1}]}`,
			`{"resourceType":"Immunization","id":"i",` + tag + `,"status":"completed","vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"140"}]},"patient":{"reference":"Patient/p"},` +
				`"occurrenceDateTime":"2020-01-01","primarySource":true,"manufacturer":{"display":"Acme"},"lotNumber":"L1","reaction":[{"date":"2020","reported":false}],"protocolApplied":[{"series":"s","doseNumberPositiveInt":1}]}`,
		},
		{
			"required elements that are absent for a reason",
			`{"resourceType":"Immunization","status":"completed","vaccineCode":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},
			 "patient":{"reference":"Patient/p"},"_occurrenceString":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]},
			 "_lotNumber":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"the secret"}]}}`,
			`{"resourceType":"Immunization",` + tag + `,"status":"completed","vaccineCode":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},` +
				`"patient":{"reference":"Patient/p"},"_occurrenceString":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}}`,
		},
	} {
		got, ok := edition(t, row.in)
		if !ok {
			t.Errorf("%s: no edition", row.name)
		}
		if diff := cmp.Diff(row.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
		if bytes.Contains(got, []byte("secret")) || !json.Valid(got) {
			t.Errorf("%s: %s", row.name, got)
		}
		if again, _ := edition(t, string(got)); !bytes.Equal(got, again) {
			t.Errorf("%s: the edition of the edition differs: %s", row.name, again)
		}
	}
}

func TestOtherTypesHaveNoEdition(t *testing.T) {
	for _, in := range []string{`{"resourceType":"Condition"}`, `{}`, `{"resourceType":["Patient"]}`, `{"resourceType":"patient"}`} {
		if got, ok := edition(t, in); ok || len(got) != 0 {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(*basic.Config){
		"no version":          func(c *basic.Config) { c.Version = "" },
		"another type":        func(c *basic.Config) { c.Elements["Condition"] = []string{"code"} },
		"an unknown datatype": func(c *basic.Config) { c.Elements["Patient"] = []string{"contact:Contact"} },
		"twice":               func(c *basic.Config) { c.Elements["Patient"] = []string{"gender", "gender"} },
		"part of a whole":     func(c *basic.Config) { c.Elements["Patient"] = []string{"gender", "gender.x"} },
		"empty":               func(c *basic.Config) { c.Elements["Patient"] = []string{""} },
	} {
		cfg := basic.Default()
		change(&cfg)
		if _, err := basic.New(cfg); !errors.Is(err, basic.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := basic.New(basic.Default())
	if err != nil || s.Version() != "nehr-basic/1" {
		t.Errorf("the default: %v", err)
	}
}

// FuzzEdition: whatever is put in, JSON comes out, without what marks a place
// that is never listed.
func FuzzEdition(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","id":"p","name":[{"family":"x","given":["a",null]}],"_birthDate":{"extension":[{"url":"u"}]}}`))
	f.Add([]byte(`{"resourceType":"AllergyIntolerance","code":{"coding":[{"code":[]}]},"reaction":[[],{},{"onset":{}}],"type":null}`))
	f.Add([]byte(`{"resourceType":"Immunization","text":{"div":"<div/>"},"note":[{"text":"x"}],"status":{"a":1}}`))
	s, err := basic.New(basic.Default())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var tape fhir.Tape
		if tape.Parse(src, fhir.Limits{}) != nil {
			return
		}
		out, ok := s.Edition(&tape, nil)
		if !ok {
			return
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(out, &m); err != nil {
			t.Fatalf("%v: %q from %q", err, out, src)
		}
		for _, never := range []string{"text", "contained", "note", "modifierExtension", "encounter", "address"} {
			if _, there := m[never]; there {
				t.Errorf("%s in %q from %q", never, out, src)
			}
		}
		if strings.Contains(string(out), "[]") && !bytes.Contains(src, []byte("[]")) {
			t.Errorf("an empty array in %q from %q", out, src)
		}
	})
}

func BenchmarkEdition(b *testing.B) {
	s, err := basic.New(basic.Default())
	if err != nil {
		b.Fatal(err)
	}
	var tape fhir.Tape
	src := []byte(`{"resourceType":"Immunization","id":"i","meta":{"versionId":"1"},"status":"completed","vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"140","display":"Influenza"}],"text":"Influenza"},"patient":{"reference":"Patient/p"},"encounter":{"reference":"Encounter/e"},"occurrenceDateTime":"2020-01-01T00:00:00Z","primarySource":true}`)
	if err := tape.Parse(src, fhir.Limits{}); err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = s.Edition(&tape, buf[:0])
	}
}

func edition(t *testing.T, src string) ([]byte, bool) {
	t.Helper()
	s, err := basic.New(basic.Default())
	if err != nil {
		t.Fatal(err)
	}
	var tape fhir.Tape
	if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
		t.Fatal(err)
	}
	out, ok := s.Edition(&tape, nil)
	return slices.Clone(out), ok
}
