package validate_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/validate"
)

// example is before the name of every profile here.
const example = "http://x.example/"

// sd is a StructureDefinition without a snapshot. about is "name type base", the
// last of which is R4's type or one of ours; elements are the differential's.
func sd(about, elements string, more ...string) string {
	f := strings.Fields(about)
	base, kind := "http://hl7.org/fhir/StructureDefinition/"+f[2], "resource"
	if f[2] != f[1] {
		base = example + f[2]
	}
	if f[1] == "Extension" || f[1] == "Identifier" {
		kind = "complex-type"
	}
	return `{"resourceType":"StructureDefinition","url":"` + example + f[0] + `","name":"P","status":"active","kind":"` + kind +
		`","abstract":false,"type":"` + f[1] + `","baseDefinition":"` + base + `","derivation":"constraint",` + strings.Join(more, "") +
		`"differential":{"element":[{"id":"` + f[1] + `","path":"` + f[1] + `"}` + elements + `]}}`
}

// el is an element of a differential: its id, and the rest of it.
func el(id, rest string) string {
	names := strings.Split(id, ".")
	slice := ""
	for i, name := range names {
		names[i], slice, _ = strings.Cut(name, ":")
	}
	if slice != "" {
		slice = `"sliceName":"` + slice + `",`
	}
	return `,{"id":"` + id + `","path":"` + strings.Join(names, ".") + `",` + slice + rest + `}`
}

// R4's definitions and value sets, and what validates by them, made once.
var (
	definitions = sync.OnceValues(r4.Load)
	valueSets   = sync.OnceValues(r4.LoadTerms)
	validator   = sync.OnceValue(func() *validate.Validator {
		d, err := definitions()
		if err != nil {
			panic(err)
		}
		return validate.New(d)
	})
)

// shelf has the StructureDefinitions, and the value sets of R4.
func shelf(tb testing.TB, all ...string) *validate.Shelf {
	tb.Helper()
	terms, err := valueSets()
	if err != nil {
		tb.Fatal(err)
	}
	filed := map[string]*fhir.Tape{}
	for _, src := range all {
		t := parse(tb, src)
		filed[t.Text(t.Field(t.Root(), "url"))] = t
	}
	out := validator().Shelf()
	out.Fetch = func(canonical string) *fhir.Tape { return filed[canonical] }
	out.Codes = func(canonical string) ([]r4.Include, bool) {
		codes, _, listed := terms.ValueSet(canonical)
		return codes, listed
	}
	return out
}

// against are the issues of a resource held against what is on the shelf.
func against(tb testing.TB, s *validate.Shelf, src string, claimed ...string) (got []string) {
	tb.Helper()
	how := validate.How{Claimed: claimed, Profiles: func(canonical string) (*validate.Profile, bool) {
		p, _, found := s.Profile(canonical)
		return p, found
	}}
	for _, i := range validator().Check(parse(tb, src), how) {
		got = append(got, line(i))
	}
	return got
}

// obs is an Observation with more members.
func obs(more string) string {
	return `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-1"}]}` + more + `}`
}

func pat(more string) string { return `{"resourceType":"Patient"` + more + `}` }

// by is a slicing.
func by(kind, path, rules string) string {
	return `"slicing":{"discriminator":[{"type":"` + kind + `","path":"` + path + `"}],"rules":"` + rules + `"}`
}

func TestProfiles(t *testing.T) {
	const at = " (" + example + "p)"
	tests := []struct {
		name        string
		definitions []string // the first of which is p
		good, bad   []string // resources
		want        []string // what is wrong with each bad one
	}{
		{
			"a member is required",
			[]string{sd("p Patient Patient", el("Patient.birthDate", `"min":1`))},
			[]string{pat(`,"birthDate":"1980"`), pat(`,"_birthDate":{"extension":[{"url":"http://x.example/other","valueBoolean":true}]}`)},
			[]string{pat(`,"active":true`)},
			[]string{"error required Patient.birthDate: birthDate is required" + at},
		},
		{
			"a member is forbidden, or bounded",
			[]string{sd("p Patient Patient", el("Patient.name", `"max":"1"`)+el("Patient.active", `"max":"0"`))},
			[]string{pat(`,"name":[{"text":"A"}]`)},
			[]string{pat(`,"name":[{"text":"A"},{"text":"B"}]`), pat(`,"active":true`)},
			[]string{
				"error structure Patient.name: name may be there at most 1 times" + at,
				"error structure Patient.active: active must not be there" + at,
			},
		},
		{
			"a fixed value",
			[]string{sd("p Patient Patient", el("Patient.gender", `"fixedCode":"female"`)+
				el("Patient.maritalStatus", `"fixedCodeableConcept":{"coding":[{"system":"s:a","code":"M"}]}`))},
			[]string{pat(`,"gender":"female","maritalStatus":{"coding":[{"code":"M","system":"s:a"}]}`)},
			[]string{pat(`,"gender":"male"`), pat(`,"maritalStatus":{"text":"wed","coding":[{"system":"s:a","code":"M"}]}`)},
			[]string{
				`error value Patient.gender: gender must be exactly "female"` + at,
				`error value Patient.maritalStatus: maritalStatus must be exactly {"coding":[{"system":"s:a","code":"M"}]}` + at,
			},
		},
		{
			"a pattern",
			[]string{sd("p Patient Patient", el("Patient.maritalStatus", `"patternCodeableConcept":{"coding":[{"system":"s:a","code":"M"}]}`))},
			[]string{pat(`,"maritalStatus":{"text":"wed","coding":[{"code":"?"},{"code":"M","system":"s:a","display":"Married"}]}`)},
			[]string{pat(`,"maritalStatus":{"coding":[{"system":"s:b","code":"M"}]}`)},
			[]string{`error value Patient.maritalStatus: maritalStatus must have all that is in {"coding":[{"system":"s:a","code":"M"}]}` + at},
		},
		{
			"the least and the most",
			[]string{sd("p Observation Observation", el("Observation.value[x]:valueInteger", `"minValueInteger":3,"maxValueInteger":5`)+
				el("Observation.issued", `"minValueInstant":"2020-01-01T00:00:00Z"`))},
			[]string{obs(`,"valueInteger":3`), obs(`,"valueInteger":5,"issued":"2020-01-01T00:00:00Z"`)},
			[]string{obs(`,"valueInteger":2`), obs(`,"valueInteger":6`), obs(`,"issued":"2020-01-01T00:00:00+01:00"`)},
			[]string{
				"error value Observation.value: value[x] of the slice valueInteger must not be less than 3" + at,
				"error value Observation.value: value[x] of the slice valueInteger must not be more than 5" + at,
				`error value Observation.issued: issued must not be less than "2020-01-01T00:00:00Z"` + at,
			},
		},
		{
			"a length",
			[]string{sd("p Patient Patient", el("Patient.name.family", `"maxLength":3`))},
			[]string{pat(`,"name":[{"family":"Ång"}]`)},
			[]string{pat(`,"name":[{"text":"x"},{"family":"Anna"}]`)},
			[]string{"error too-long Patient.name[1].family: family may have 3 characters at most" + at},
		},
		{
			"a choice has fewer types",
			[]string{sd("p Observation Observation", el("Observation.value[x]", `"type":[{"code":"Quantity"},{"code":"string"}]`))},
			[]string{obs(`,"valueString":"x"`), obs(`,"valueQuantity":{"value":1}`), obs("")},
			[]string{obs(`,"valueBoolean":true`)},
			[]string{"error structure Observation.value: value[x] must be of type Quantity or string" + at},
		},
		{
			"a choice is named by its type",
			[]string{sd("p Observation Observation", el("Observation.valueQuantity", `"min":1`)+el("Observation.valueQuantity.code", `"min":1`))},
			[]string{obs(`,"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"mg"}`)},
			[]string{obs(`,"valueQuantity":{"value":1}`), obs(`,"valueString":"x"`)},
			[]string{
				"error required Observation.value.code: code is required" + at,
				"error required Observation.value: value[x] of the slice valueQuantity is required" + at,
			},
		},
		{
			"a choice of one type, and its members",
			[]string{sd("p Observation Observation", el("Observation.value[x]", `"type":[{"code":"Quantity"}]`)+
				el("Observation.value[x].unit", `"min":1`))},
			[]string{obs(`,"valueQuantity":{"value":1,"unit":"mg"}`)},
			[]string{obs(`,"valueQuantity":{"value":1}`)},
			[]string{"error required Observation.value.unit: unit is required" + at},
		},
		{
			"a required value set",
			[]string{sd("p Patient Patient", el("Patient.maritalStatus",
				`"binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"}`))},
			[]string{pat(`,"maritalStatus":{"coding":[{"system":"http://hl7.org/fhir/administrative-gender","code":"male"}]}`)},
			[]string{pat(`,"maritalStatus":{"coding":[{"system":"http://hl7.org/fhir/administrative-gender","code":"M"}]}`), pat(`,"maritalStatus":{"text":"x"}`)},
			[]string{
				"error code-invalid Patient.maritalStatus: must be a code of http://hl7.org/fhir/ValueSet/administrative-gender" + at,
				"error code-invalid Patient.maritalStatus: must be a code of http://hl7.org/fhir/ValueSet/administrative-gender" + at,
			},
		},
		{
			"an extensible value set, and one that is not here",
			[]string{sd("p Patient Patient", el("Patient.maritalStatus",
				`"binding":{"strength":"extensible","valueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"}`)+
				el("Patient.contact.relationship", `"binding":{"strength":"required","valueSet":"http://x.example/none"}`))},
			[]string{pat(`,"maritalStatus":{"text":"x"}`)},
			[]string{
				pat(`,"maritalStatus":{"coding":[{"code":"M"}]}`),
				pat(`,"contact":[{"relationship":[{"text":"x"}],"name":{"text":"x"}}]`),
			},
			[]string{
				"warning code-invalid Patient.maritalStatus: should be a code of http://hl7.org/fhir/ValueSet/administrative-gender, unless none of its codes fits" + at,
				"information informational Patient: codes are not checked: the value set http://x.example/none is not known here, or cannot be listed" + at,
			},
		},
		{
			"a constraint",
			[]string{sd("p Patient Patient", el("Patient.name",
				`"constraint":[{"key":"x-1","severity":"error","human":"A family or a text","expression":"family.exists() or text.exists()"}]`))},
			[]string{pat(`,"name":[{"family":"A"},{"text":"B"}]`)},
			[]string{pat(`,"name":[{"family":"A"},{"use":"old"}]`)},
			[]string{"error invariant Patient.name[1]: the constraint x-1 does not hold: A family or a text" + at},
		},
		{
			"what is referred to is of a type",
			[]string{sd("p Observation Observation", el("Observation.subject",
				`"type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Patient"]}]`))},
			[]string{obs(`,"subject":{"reference":"Patient/1"}`), obs(`,"subject":{"display":"somebody"}`), obs(`,"subject":{"reference":"#a"},"contained":[{"resourceType":"Patient","id":"a"}]`)},
			[]string{obs(`,"subject":{"reference":"Group/1"}`)},
			[]string{"error value Observation.subject: must refer to http://hl7.org/fhir/StructureDefinition/Patient" + at},
		},
		{
			"what is referred to keeps to a profile",
			[]string{
				sd("p Observation Observation", el("Observation.subject", `"type":[{"code":"Reference","targetProfile":["http://x.example/q"]}]`)),
				sd("q Patient Patient", el("Patient.birthDate", `"min":1`)),
			},
			[]string{
				obs(`,"subject":{"reference":"Patient/1"}`),
				obs(`,"subject":{"reference":"#a"},"contained":[{"resourceType":"Patient","id":"a","birthDate":"1980"}]`),
			},
			[]string{
				obs(`,"subject":{"reference":"#a"},"contained":[{"resourceType":"Patient","id":"a"}]`),
				obs(`,"subject":{"reference":"Group/1"}`),
			},
			[]string{
				"error required Observation.contained[0].birthDate: birthDate is required (http://x.example/q)",
				"error value Observation.subject: must refer to http://x.example/q" + at,
			},
		},
		{
			"a value keeps to a profile of its type",
			[]string{
				sd("p Patient Patient", el("Patient.identifier", `"type":[{"code":"Identifier","profile":["http://x.example/q"]}]`)),
				sd("q Identifier Identifier", el("Identifier.system", `"min":1`)),
			},
			[]string{pat(`,"identifier":[{"system":"s:a","value":"1"}]`)},
			[]string{pat(`,"identifier":[{"value":"1"}]`)},
			[]string{"error required Patient.identifier[0].system: system is required (http://x.example/q)"},
		},
		{
			"a value keeps to one of two profiles",
			[]string{
				sd("p Patient Patient", el("Patient.identifier", `"type":[{"code":"Identifier","profile":["http://x.example/q","http://x.example/r"]}]`)),
				sd("q Identifier Identifier", el("Identifier.system", `"min":1`)), sd("r Identifier Identifier", el("Identifier.period", `"min":1`)),
			},
			[]string{pat(`,"identifier":[{"system":"s:a","value":"1"},{"period":{"start":"1980"}}]`)},
			[]string{pat(`,"identifier":[{"value":"1"}]`)},
			[]string{"error structure Patient.identifier[0]: must keep to one of http://x.example/q or http://x.example/r" + at},
		},
		{
			"what refers to content elsewhere follows it",
			[]string{
				sd("p Questionnaire Questionnaire", el("Questionnaire.item.text", `"min":1`)),
			},
			[]string{`{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","text":"a","item":[{"linkId":"2","type":"string","text":"b"}]}]}`},
			[]string{`{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","text":"a","item":[{"linkId":"2","type":"string"}]}]}`},
			[]string{"error required Questionnaire.item[0].item[0].text: text is required" + at},
		},
		{
			"three profiles on one another",
			[]string{
				sd("p Patient q", el("Patient.name:main.family", `"min":1`)),
				sd("q Patient r", el("Patient.name", by("value", "use", "open"))+el("Patient.name:main", `"min":1`)+el("Patient.name:main.use", `"min":1,"fixedCode":"official"`)),
				sd("r Patient Patient", el("Patient.birthDate", `"min":1`)),
			},
			[]string{pat(`,"birthDate":"1980","name":[{"use":"nickname"},{"use":"official","family":"A"}]`)},
			[]string{pat(`,"name":[{"use":"official","family":"A"}]`), pat(`,"birthDate":"1980","name":[{"use":"official","text":"A"}]`), pat(`,"birthDate":"1980","name":[{"text":"A"}]`)},
			[]string{
				"error required Patient.birthDate: birthDate is required" + at,
				"error required Patient.name[0].family: family is required" + at,
				"error required Patient.name: name of the slice main is required" + at,
			},
		},
		{
			"nothing is loosened by who builds on it",
			[]string{
				sd("p Patient q", el("Patient.birthDate", `"min":0`)+el("Patient.name", `"max":"5"`)),
				sd("q Patient Patient", el("Patient.birthDate", `"min":1`)+el("Patient.name", `"max":"1"`)),
			},
			[]string{pat(`,"birthDate":"1980"`)},
			[]string{pat(""), pat(`,"birthDate":"1980","name":[{"text":"A"},{"text":"B"}]`)},
			[]string{"error required Patient.birthDate: birthDate is required" + at, "error structure Patient.name: name may be there at most 1 times" + at},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := shelf(t, tt.definitions...)
			if _, issues, _ := s.Profile(example + "p"); issues != nil {
				t.Fatalf("the profile: %v", issues)
			}
			for _, src := range tt.good {
				if got := against(t, s, src, example+"p"); got != nil {
					t.Errorf("%s\nis refused: %v", src, got)
				}
			}
			for i, src := range tt.bad {
				if diff := cmp.Diff(tt.want[i:i+1], against(t, s, src, example+"p")); diff != "" {
					t.Errorf("issues (-want +got):\n%s\n%s", diff, src)
				}
			}
		})
	}
}
