package validate_test

import (
	"math/rand/v2"
	"testing"

	"vitrine/fhir"
	"vitrine/fhir/validate"
)

// FuzzProfile holds that whatever can be parsed can be compiled as a profile or
// refused, that what is compiled can be held against a resource, and that every
// issue of either says where.
func FuzzProfile(f *testing.F) {
	f.Add([]byte(sd("p Patient Patient", el("Patient.name", by("value", "use", "closed"))+el("Patient.name:a", `"min":1`)+el("Patient.name:a.use", `"fixedCode":"official"`))),
		[]byte(pat(`,"name":[{"use":"official"},{"use":"old"}]`)))
	f.Add([]byte(sd("p Observation Observation", el("Observation.value[x]:valueQuantity", `"patternQuantity":{"unit":"mg"},"type":[{"code":"Quantity"}]`)+
		el("Observation.subject", `"type":[{"code":"Reference","targetProfile":["http://x.example/p"],"aggregation":["contained"]}]`))),
		[]byte(obs(`,"subject":{"reference":"#a"},"valueQuantity":{"unit":"g"},"contained":[{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"}}]`)))
	f.Add([]byte(sd("p Extension Extension", el("Extension.value[x]", `"min":1,"type":[{"code":"code"}],"binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"}`),
		`"context":[{"type":"fhirpath","expression":"Patient.name"}],"contextInvariant":["text.exists()"],`)),
		[]byte(pat(`,"name":[{"text":"x","extension":[{"url":"http://x.example/p","valueCode":"c"}]}]`)))
	f.Add([]byte(sd("p Questionnaire Questionnaire", el("Questionnaire.item", `"constraint":[{"key":"a","human":"b","expression":"text.exists() and %resource.status='draft'"}]`)+
		el("Questionnaire.item.item", by("profile", "resolve()", "openAtEnd")))),
		[]byte(`{"resourceType":"Questionnaire","meta":{"profile":["http://x.example/p"]},"status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"2","type":"string"}]}]}`))
	f.Fuzz(func(t *testing.T, profile, resource []byte) {
		var definition, tape fhir.Tape
		if definition.Parse(profile, fhir.Limits{}) != nil || tape.Parse(resource, fhir.Limits{}) != nil {
			return
		}
		s := shelf(t)
		url := definition.Text(definition.Field(definition.Root(), "url"))
		s.Fetch = func(canonical string) *fhir.Tape {
			if canonical == url {
				return &definition
			}
			return nil
		}
		p, issues, found := s.Profile(url)
		if found && p == nil && len(issues) == 0 {
			t.Errorf("refused without a word: %s", profile)
		}
		issues = append(issues, validator().Check(&tape, validate.How{Claimed: []string{url}, Profiles: func(canonical string) (*validate.Profile, bool) {
			p, _, found := s.Profile(canonical)
			return p, found
		}})...)
		for _, i := range issues {
			if i.Expression == "" || i.Text == "" || i.Severity == "" || i.Code == "" {
				t.Errorf("%+v\n%s\n%s", i, profile, resource)
			}
		}
	})
}

// Definitions that are broken in one place, and whole or broken resources: nothing
// of it panics, and what is refused is refused with a word.
func TestBrokenDefinitionsAreRefusedOrUsed(t *testing.T) {
	definitions, examples := files(t, profileFiles), files(t, exampleFiles)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	refused := 0
	const rounds = 400
	for range rounds {
		names := [...][2]string{
			{"StructureDefinition-bp", "Observation-blood-pressure"},
			{"StructureDefinition-patient-nationality", "Patient-example"},
			{"StructureDefinition-bodyweight", "Observation-example"},
			{"StructureDefinition-lipidprofile", "Bundle-lipids"},
		}
		of := names[random.IntN(len(names))]
		src := broken(t, random, definitions[of[0]])
		definition := parse(t, src)
		s := shelf(t)
		s.Fetch = func(string) *fhir.Tape { return definition }
		url := example + "p"
		p, issues, _ := s.Profile(url)
		if p == nil {
			if refused++; len(issues) == 0 {
				t.Fatalf("refused without a word: %s", src)
			}
		}
		resource := examples[of[1]]
		if random.IntN(2) == 0 {
			resource = broken(t, random, resource)
		}
		for _, got := range against(t, s, resource, url) {
			if got == "" {
				t.Fatal("an issue without words")
			}
		}
	}
	if refused == 0 || refused == rounds {
		t.Errorf("%d of %d were refused", refused, rounds)
	}
}

// broken is a resource of which one value was replaced by another of it, or by
// something that may be of no use there.
func broken(t *testing.T, random *rand.Rand, src string) string {
	t.Helper()
	tape := parse(t, src)
	var all []fhir.Node
	var collect func(n fhir.Node)
	collect = func(n fhir.Node) {
		for m := tape.First(n); m != fhir.None; m = tape.Next(m) {
			all = append(all, m)
			collect(m)
		}
	}
	collect(tape.Root())
	pick := func() fhir.Node { return all[random.IntN(len(all))] }
	with := [...]string{`null`, `{}`, `[]`, `"x"`, `-1`, `true`, `"*"`, `[{}]`, string(tape.Raw(pick())), string(tape.Raw(pick()))}
	start, end := tape.Span(pick())
	return src[:start] + with[random.IntN(len(with))] + src[end:]
}
