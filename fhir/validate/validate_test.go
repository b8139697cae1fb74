package validate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/validate"
)

// line is an issue on one line: severity, code, where, what.
func line(i fhir.Issue) string {
	return fmt.Sprintf("%s %s %s: %s", i.Severity, i.Code, i.Expression, i.Text)
}

// conditional is what a conditional reference outside of a transaction gets.
func conditional(at string) string {
	return "error invalid " + at + ".reference: a conditional reference (Type?query) is for entries of a transaction alone; refer by Type/id"
}

func TestWhatIsRefused(t *testing.T) {
	const obs = `{"resourceType":"Observation","status":"final","code":{"text":"x"}`
	tests := []struct {
		name, src string
		want      []string
	}{
		{"nothing wrong", obs + `}`, nil},
		{"no type", `{"id":"x"}`, []string{"error required Resource: a resource must say its resourceType"}},
		{"type of another kind", `{"resourceType":7}`, []string{"error structure Resource: resourceType must be a string"}},
		{"no such type", `{"resourceType":"Pazient"}`, []string{
			`error value Resource: resourceType is not a resource type of R4; did you mean "Patient"?`,
		}},
		{"an abstract type", `{"resourceType":"DomainResource"}`, []string{
			"error value Resource: resourceType is not a resource type of R4",
		}},
		{"a data type", `{"resourceType":"HumanName"}`, []string{
			"error value Resource: resourceType is not a resource type of R4",
		}},
		{"an unknown element", `{"resourceType":"Patient","name":[{"famly":"X"}]}`, []string{
			`error structure Patient.name[0].famly: HumanName has no element "famly"; did you mean "family"?`,
		}},
		{"an element in another case", `{"resourceType":"Patient","birthdate":"1980"}`, []string{
			`error structure Patient.birthdate: Patient has no element "birthdate"; did you mean "birthDate"?`,
		}},
		{"a choice without its type", obs + `,"value":"x"}`, []string{
			`error structure Observation.value: Observation has no element "value"; value[x] takes its type into its name, ` +
				`for instance valueQuantity`,
		}},
		{"a name that may be a value", `{"resourceType":"Patient","Tan Ah Kow, S0000001I":true}`, []string{
			"error structure Patient: Patient has no such element",
		}},
		{"a choice made twice", obs + `,"valueString":"x","valueBoolean":true}`, []string{
			"error structure Observation.value: value[x] may have one type only; valueBoolean is a second",
		}},
		{"a choice made by a sibling", obs + `,"_valueString":{"extension":[{"url":"http://x.example","valueCode":"x"}]},"valueBoolean":true}`, []string{
			"error structure Observation.value: value[x] may have one type only; valueBoolean is a second",
		}},
		{"a choice and its own sibling", obs + `,"valueString":"x","_valueString":{"id":"x"}}`, nil},
		{"what is required", `{"resourceType":"MedicationRequest","subject":{"reference":"Patient/p1"},"status":"active"}`, []string{
			"error required MedicationRequest.intent: intent is required",
			"error required MedicationRequest.medication: medication[x] is required, for instance as medicationCodeableConcept",
		}},
		{"required, and told why not", `{"resourceType":"Observation","_status":{"extension":[{"url":"http://x.example","valueCode":"unknown"}]},
			"code":{"text":"x"}}`, nil},
		{"one where many may be", `{"resourceType":"Patient","name":{"family":"X"}}`, []string{
			"error structure Patient.name: name repeats and must be an array, not an object",
		}},
		{"many where one may be", `{"resourceType":"Patient","birthDate":["1980"]}`, []string{
			"error structure Patient.birthDate: birthDate takes one value, not an array",
		}},
		{"text where an object belongs", `{"resourceType":"Patient","maritalStatus":"M"}`, []string{
			"error structure Patient.maritalStatus: maritalStatus must be an object, not a string",
		}},
		{"an object where text belongs", `{"resourceType":"Patient","birthDate":{"value":"1980"}}`, []string{
			"error structure Patient.birthDate: birthDate must be a string, not an object",
		}},
		{"text for a truth", `{"resourceType":"Patient","active":"true"}`, []string{
			"error structure Patient.active: active must be true or false, not a string",
		}},
		{"text for a number", `{"resourceType":"Patient","multipleBirthInteger":"2"}`, []string{
			"error structure Patient.multipleBirth: multipleBirthInteger must be a number, not a string",
		}},
		{"nothing at all", `{}`, []string{"error required Resource: a resource must say its resourceType"}},
		{"an empty object", `{"resourceType":"Patient","maritalStatus":{}}`, []string{
			"error structure Patient.maritalStatus: an object must not be empty; leave the element out",
		}},
		{"an empty array", `{"resourceType":"Patient","name":[]}`, []string{
			"error structure Patient.name: an array must not be empty; leave name out",
		}},
		{"an empty string", `{"resourceType":"Patient","name":[{"family":""}]}`, []string{
			"error value Patient.name[0].family: a string must not be empty; leave family out",
		}},
		{"null", `{"resourceType":"Patient","birthDate":null,"name":[null]}`, []string{
			"error structure Patient.birthDate: null is no value; leave birthDate out",
			"error structure Patient.name[0]: null is no value; leave the item out",
		}},
		{"null beside an extension", `{"resourceType":"Patient","name":[{"given":["A",null,"B"],"_given":[null,{"extension":[{"url":"http://x.example","valueBoolean":true}]},null]}]}`, nil},
		{"null beside nothing", `{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null]}]}`, []string{
			"error structure Patient.name[0].given[1]: null stands for nothing here: neither a value nor extensions",
		}},
		{"null for an extension beside nothing", `{"resourceType":"Patient","name":[{"_given":[null,{"extension":[{"url":"http://x.example","valueCode":"x"}]}]}]}`, []string{
			"error structure Patient.name[0].given[0]: null stands for nothing here: neither a value nor extensions",
		}},
		{"a sibling of what is no primitive", `{"resourceType":"Patient","_name":[{"id":"x"}]}`, []string{
			`error structure Patient._name: Patient has no element "_name"`,
		}},
		{"a sibling that is no object", `{"resourceType":"Patient","_birthDate":"1980"}`, []string{
			"error structure Patient.birthDate: birthDate must be an object, not a string",
		}},
		{"a value in a sibling", `{"resourceType":"Patient","_birthDate":{"value":"1980"}}`, []string{
			`error structure Patient.birthDate.value: date has no element "value"`,
		}},
		{"a code", `{"resourceType":"Patient","gender":"M"}`, []string{
			"error code-invalid Patient.gender: gender must be a code of http://hl7.org/fhir/ValueSet/administrative-gender: " +
				"female, male, other, unknown",
		}},
		{"a coding", `{"resourceType":"Condition","subject":{"reference":"Patient/p"},"clinicalStatus":{"coding":[{"code":"active"}]}}`, []string{
			"error code-invalid Condition.clinicalStatus: clinicalStatus must be a code of http://hl7.org/fhir/ValueSet/condition-clinical: " +
				"active, inactive, recurrence, relapse, remission, resolved",
		}},
		{"one coding of two", `{"resourceType":"Condition","subject":{"reference":"Patient/p"},"clinicalStatus":{"coding":[{"code":"x"},
			{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}}`, nil},
		{"a conditional reference", `{"resourceType":"Condition","subject":{"reference":"Patient?identifier=x"}}`, []string{conditional("Condition.subject")}},
		{"a conditional reference to another type", `{"resourceType":"Condition","subject":{"reference":"Device?identifier=x"}}`, []string{conditional("Condition.subject")}},
		{"one in a collection", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Condition","subject":{"reference":"Patient?identifier=x"}}}]}`, []string{
			conditional("Bundle.entry[0].resource.subject"),
		}},
		{"one in a transaction", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Condition"},
			"resource":{"resourceType":"Condition","subject":{"reference":"Patient?identifier=x"}}}]}`, nil},
		{"one of a wrong type in a transaction", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Condition"},
			"resource":{"resourceType":"Condition","subject":{"reference":"Device?identifier=x"}}}]}`, []string{
			"error value Bundle.entry[0].resource.subject.reference: subject must not refer to Device",
		}},
		{"a contained resource", `{"resourceType":"Patient","managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o","name":"X","nome":"X"}]}`, []string{
			`error structure Patient.contained[0].nome: Organization has no element "nome"; did you mean "name"?`,
		}},
		{"contained twice over", `{"resourceType":"Patient","contained":[{"resourceType":"List","status":"current","mode":"working",
			"contained":[{"resourceType":"Patient"}]}]}`, []string{
			"error invariant Patient.contained[0].contained[0]: a contained resource must not contain another (dom-2)",
		}},
		{"a bundle's entries may contain", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":
			{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"X"}]}}]}`, nil},
		{"in a bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","active":1}}]}`, []string{
			"error structure Bundle.entry[0].resource.active: active must be true or false, not a number",
		}},
		{"a reference that is none", obs + `,"subject":{"reference":"Patient/../p1"}}`, []string{
			"error value Observation.subject.reference: reference must be Type/id with a type of R4, an absolute URL, #id or urn:uuid:…",
		}},
		{"a reference to no type", obs + `,"subject":{"reference":"Pazient/p1"}}`, []string{
			"error value Observation.subject.reference: reference must be Type/id with a type of R4, an absolute URL, #id or urn:uuid:…",
		}},
		{"a reference to another type", obs + `,"subject":{"reference":"Organization/o1"}}`, []string{
			"error value Observation.subject.reference: subject must not refer to Organization",
		}},
	}
	v := newValidator(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, i := range v.Check(parse(t, tt.src), validate.How{}) {
				got = append(got, line(i))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("issues (-want +got):\n%s\n%s", diff, tt.src)
			}
		})
	}
}

func TestIssuesSayWhere(t *testing.T) {
	src := "{\n  \"resourceType\": \"Patient\",\n  \"name\": [{\"text\": \"Ångström\", \"famly\": \"X\"}],\n" +
		"  \"contact\": [\n    {\"gender\": \"?\",\"name\":{\"text\":\"x\"}}\n  ],\n  \"link\": [{\"type\": \"seealso\"}]\n}"
	want := []fhir.Issue{
		{
			Severity: fhir.SeverityError, Code: fhir.CodeStructure, Expression: "Patient.name[0].famly", Line: 3, Column: 33,
			Text: `HumanName has no element "famly"; did you mean "family"?`,
		},
		{
			Severity: fhir.SeverityError, Code: fhir.CodeCodeInvalid, Expression: "Patient.contact[0].gender", Line: 5, Column: 16,
			Text: "gender must be a code of http://hl7.org/fhir/ValueSet/administrative-gender: female, male, other, unknown",
		},
		{
			Severity: fhir.SeverityError, Code: fhir.CodeRequired, Expression: "Patient.link[0].other", Line: 7, Column: 12,
			Text: "other is required",
		},
	}
	got := newValidator(t).Check(parse(t, src), validate.How{})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("issues (-want +got):\n%s", diff)
	}
}

func TestFormats(t *testing.T) {
	tests := []struct {
		element   string // of Extension
		good, bad []string
	}{
		{
			"valueDate",
			[]string{`"1980"`, `"1980-02"`, `"2024-02-29"`, `"0001-12-31"`},
			[]string{`"80"`, `"1980-13"`, `"2023-02-29"`, `"1900-02-29"`, `"1980-04-31"`, `"1980-1-1"`, `"1980-01-01T00:00:00Z"`, `"0000"`, `" 1980"`, `1980`},
		},
		{
			"valueDateTime",
			[]string{`"1980"`, `"1980-02"`, `"1980-02-03"`, `"1980-02-03T04:05:06Z"`, `"1980-02-03T04:05:06.789012+08:00"`, `"1980-02-03T23:59:60-11:30"`},
			[]string{`"1980-02-03T04:05:06"`, `"1980-02-03T04:05Z"`, `"1980-02-03T24:00:00Z"`, `"1980-02-30T04:05:06Z"`, `"1980-02-03T04:05:06.Z"`, `"1980-02-03T04:05:06+0800"`, `"1980-02-03T04:05:06+14:30"`, `"1980-02-03 04:05:06Z"`},
		},
		{
			"valueInstant",
			[]string{`"1980-02-03T04:05:06Z"`, `"1980-02-03T04:05:06.7+14:00"`},
			[]string{`"1980"`, `"1980-02-03"`, `"1980-02-03T04:05:06"`},
		},
		{"valueTime", []string{`"04:05:06"`, `"04:05:06.5"`}, []string{`"04:05"`, `"24:00:00"`, `"04:05:06Z"`, `"04:05:06."`, `"04:60:00"`}},
		{"valueCode", []string{`"a"`, `"a b"`}, []string{`" a"`, `"a "`, `"a  b"`, `"a\tb"`, `" "`}},
		{"valueId", []string{`"a-B.9"`}, []string{`"a_b"`, `"a b"`, `"` + strings.Repeat("a", 65) + `"`}},
		{"valueUri", []string{`"urn:x"`, `"http://x.example/a?b#c"`, `"x"`}, []string{`"a b"`, `"a\n"`, `" "`}},
		{"valueOid", []string{`"urn:oid:1.2.840"`, `"urn:oid:2.0.10"`}, []string{`"1.2.3"`, `"urn:oid:3.1"`, `"urn:oid:1"`, `"urn:oid:1.02"`, `"urn:oid:1."`}},
		{
			"valueUuid",
			[]string{`"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"`},
			[]string{`"c757873d-ec9a-4326-a141-556f43239520"`, `"urn:uuid:c757873d-ec9a-4326-a141-556f4323952g"`, `"urn:uuid:c757873dec9a4326a141556f43239520"`},
		},
		{"valueBase64Binary", []string{`"QQ=="`, `"QUI="`, `"QUJD"`, `"QU\nJD"`}, []string{`"Q"`, `"QQ="`, `"Q==="`, `"QQ==QQ=="`, `"Q-I="`, `" "`}},
		{"valueBoolean", []string{`true`, `false`}, []string{`"true"`, `1`, `null`}},
		{"valueInteger", []string{`0`, `-2147483648`, `2147483647`}, []string{`2147483648`, `-2147483649`, `1.0`, `1e3`, `99999999999999999999999999`, `"1"`}},
		{"valueUnsignedInt", []string{`0`, `2147483647`}, []string{`-1`, `2147483648`, `0.5`}},
		{"valuePositiveInt", []string{`1`}, []string{`0`, `-1`}},
		{"valueDecimal", []string{`0`, `-1.50`, `1e-9`, `123456789012345678901234567890.1`}, []string{`"1.5"`, `true`}},
		{"valueString", []string{`"x"`, `" "`, `"a\tb\r\nc"`, `"\u0041"`, `"\u000a"`}, []string{`""`, `"a\u0000b"`, `"\b"`, `"\u001F"`, `1`}},
		{"valueMarkdown", []string{`"# x\n"`}, []string{`"\f"`}},
	}
	v := newValidator(t)
	for _, tt := range tests {
		src := func(value string) string {
			return `{"resourceType":"Basic","code":{"text":"x"},"extension":[{"url":"http://x.example","` + tt.element + `":` + value + `}]}`
		}
		for _, value := range tt.good {
			if issues := v.Check(parse(t, src(value)), validate.How{ErrorsOnly: true}); issues != nil {
				t.Errorf("%s %s is refused: %v", tt.element, value, issues)
			}
		}
		for _, value := range tt.bad {
			issues := v.Check(parse(t, src(value)), validate.How{})
			if len(issues) != 1 || issues[0].Severity != fhir.SeverityError || issues[0].Expression != "Basic.extension[0].value" {
				t.Errorf("%s %s: got %v, want one error", tt.element, value, issues)
			}
		}
	}
}

func TestNarratives(t *testing.T) {
	v := newValidator(t)
	src := func(div string) string {
		return `{"resourceType":"Basic","code":{"text":"x"},"text":{"status":"generated","div":"` + div + `"}}`
	}
	for _, div := range []string{`<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>`, `\u003cdiv xmlns=\"http://www.w3.org/1999/xhtml\"\u003ex</div>`} {
		if issues := v.Check(parse(t, src(div)), validate.How{}); issues != nil {
			t.Errorf("%s is refused: %v", div, issues)
		}
	}
	for _, div := range []string{`x`, `<p>x</p>`, `<`, `\n<div>`, `\u003c`, `<div>x</div>`, `<div><p xmlns=\"http://www.w3.org/1999/xhtml\">x</p></div>`, `<div xmlns=\"urn:x\">x</div>`} {
		if issues := v.Check(parse(t, src(div)), validate.How{}); len(issues) != 1 {
			t.Errorf("%s: got %v, want one error", div, issues)
		}
	}
}
