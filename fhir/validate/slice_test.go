package validate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// coded is a CodeableConcept with one coding.
func coded(code string) string { return `{"coding":[{"system":"s:a","code":"` + code + `"}]}` }

// part is a component of an Observation.
func part(code, more string) string { return `{"code":` + coded(code) + more + `}` }

func TestSlices(t *testing.T) {
	const at = " (" + example + "p)"
	components := func(rules string) string {
		return sd("p Observation Observation", el("Observation.component", `"slicing":{"discriminator":[{"type":"value","path":"code"}],`+rules+`}`)+
			el("Observation.component:one", `"min":1,"max":"1"`)+el("Observation.component:one.code", `"patternCodeableConcept":`+coded("1"))+
			el("Observation.component:two", `"min":0,"max":"1"`)+el("Observation.component:two.code", `"patternCodeableConcept":`+coded("2"))+
			el("Observation.component:two.value[x]", `"min":1`))
	}
	list := func(parts ...string) string {
		out := `,"component":[`
		for i, p := range parts {
			if i > 0 {
				out += ","
			}
			out += p
		}
		return obs(out + "]")
	}
	one, two, other := part("1", ""), part("2", `,"valueInteger":2`), part("9", "")
	names := func(discriminator, official string) string {
		return sd("p Patient Patient", el("Patient.name", discriminator)+el("Patient.name:main", `"min":1,"max":"1"`)+official)
	}
	tests := []struct {
		name        string
		definitions []string
		good, bad   []string
		want        []string
	}{
		{
			"open",
			[]string{components(`"rules":"open"`)},
			[]string{list(one), list(other, two, one)},
			[]string{list(two), list(one, one), list(one, part("2", "")), obs("")},
			[]string{
				"error required Observation.component: component of the slice one is required" + at,
				"error structure Observation.component: component of the slice one may be there at most 1 times" + at,
				"error required Observation.component[1].value: value[x] is required" + at,
				"error required Observation.component: component of the slice one is required" + at,
			},
		},
		{
			"closed",
			[]string{components(`"rules":"closed"`)},
			[]string{list(two, one)},
			[]string{list(one, other)},
			[]string{"error structure Observation.component[1]: component is in none of its slices, and no others may be there" + at},
		},
		{
			"open at the end",
			[]string{components(`"rules":"openAtEnd"`)},
			[]string{list(two, one, other, other)},
			[]string{list(other, one)},
			[]string{"error structure Observation.component[1]: component of the slice one must stand before those in no slice" + at},
		},
		{
			"ordered",
			[]string{components(`"rules":"open","ordered":true`)},
			[]string{list(one, two), list(one, other, two)},
			[]string{list(two, one)},
			[]string{"error structure Observation.component[1]: component of the slice one must stand before those of later slices" + at},
		},
		{
			"by a fixed value",
			[]string{names(by("value", "use", "open"), el("Patient.name:main.use", `"fixedCode":"official"`))},
			[]string{pat(`,"name":[{"use":"old"},{"use":"official"}]`)},
			[]string{pat(`,"name":[{"use":"old"}]`)},
			[]string{"error required Patient.name: name of the slice main is required" + at},
		},
		{
			"by a pattern around what is discriminated",
			[]string{sd("p Patient Patient", el("Patient.contact", by("pattern", "relationship.coding.code", "open"))+
				el("Patient.contact:kin", `"min":1`)+el("Patient.contact:kin.relationship", `"patternCodeableConcept":`+coded("N")))},
			[]string{pat(`,"contact":[{"relationship":[` + coded("E") + `],"gender":"male","name":{"text":"x"}},{"relationship":[` + coded("N") + `],"gender":"male","name":{"text":"x"}}]`)},
			[]string{pat(`,"contact":[{"relationship":[` + coded("E") + `],"gender":"male","name":{"text":"x"}}]`)},
			[]string{"error required Patient.contact: contact of the slice kin is required" + at},
		},
		{
			"by a required value set",
			[]string{sd("p Patient Patient", el("Patient.communication", by("value", "language", "open"))+el("Patient.communication:sexes", `"max":"0"`)+
				el("Patient.communication:sexes.language", `"binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"}`))},
			[]string{pat(`,"communication":[{"language":` + coded("en") + `}]`)},
			[]string{pat(`,"communication":[{"language":{"coding":[{"system":"http://hl7.org/fhir/administrative-gender","code":"male"}]}}]`)},
			[]string{"error structure Patient.communication: communication of the slice sexes must not be there" + at},
		},
		{
			"by existence",
			[]string{names(by("exists", "family", "closed"), el("Patient.name:main.family", `"min":1`)+
				el("Patient.name:words", `"min":0`)+el("Patient.name:words.family", `"max":"0"`)+el("Patient.name:words.text", `"min":1`))},
			[]string{pat(`,"name":[{"family":"A"},{"text":"B"}]`)},
			[]string{pat(`,"name":[{"family":"A"},{"use":"old"}]`), pat(`,"name":[{"text":"B"}]`)},
			[]string{
				"error required Patient.name[1].text: text is required" + at,
				"error required Patient.name: name of the slice main is required" + at,
			},
		},
		{
			"by type",
			[]string{sd("p Observation Observation", el("Observation.value[x]", by("type", "$this", "closed"))+
				el("Observation.value[x]:valueQuantity", `"min":0,"max":"1","type":[{"code":"Quantity"}]`)+el("Observation.value[x]:valueQuantity.unit", `"min":1`)+
				el("Observation.value[x]:valueString", `"min":0,"max":"1","type":[{"code":"string"}]`))},
			[]string{obs(`,"valueString":"x"`), obs(`,"valueQuantity":{"value":1,"unit":"mg"}`)},
			[]string{obs(`,"valueBoolean":true`), obs(`,"valueQuantity":{"value":1}`)},
			[]string{
				"error structure Observation.value: value[x] is in none of its slices, and no others may be there" + at,
				"error required Observation.value.unit: unit is required" + at,
			},
		},
		{
			"by the type of what is referred to",
			[]string{sd("p Observation Observation", el("Observation.performer", by("type", "resolve()", "open"))+
				el("Observation.performer:who", `"min":1,"type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Practitioner"]}]`))},
			[]string{obs(`,"performer":[{"reference":"Organization/1"},{"reference":"Practitioner/1"}]`)},
			[]string{obs(`,"performer":[{"reference":"Organization/1"}]`)},
			[]string{"error required Observation.performer: performer of the slice who is required" + at},
		},
		{
			"by the type of a resource",
			[]string{sd("p Bundle Bundle", el("Bundle.entry", by("type", "resource", "closed"))+
				el("Bundle.entry:patient", `"min":1,"max":"1"`)+el("Bundle.entry:patient.resource", `"min":1,"type":[{"code":"Patient"}]`)+el("Bundle.entry:patient.resource.birthDate", `"min":1`))},
			[]string{`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","birthDate":"1980"}}]}`},
			[]string{
				`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","active":true}}]}`,
				`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","birthDate":"1980"}},{"resource":{"resourceType":"Basic","code":{"text":"x"}}}]}`,
			},
			[]string{
				"error required Bundle.entry[0].resource.birthDate: birthDate is required" + at,
				"error structure Bundle.entry[1]: entry is in none of its slices, and no others may be there" + at,
			},
		},
		{
			"by profile",
			[]string{
				sd("p Patient Patient", el("Patient.identifier", by("profile", "$this", "closed"))+el("Patient.identifier:q", `"min":1,"type":[{"code":"Identifier","profile":["http://x.example/q"]}]`)),
				sd("q Identifier Identifier", el("Identifier.system", `"min":1,"fixedUri":"s:a"`)),
			},
			[]string{pat(`,"identifier":[{"system":"s:a","value":"1"}]`)},
			[]string{pat(`,"identifier":[{"system":"s:a"},{"system":"s:b"}]`)},
			[]string{"error structure Patient.identifier[1]: identifier is in none of its slices, and no others may be there" + at},
		},
		{
			"by what a profile of the value fixes",
			[]string{
				sd("p Patient Patient", el("Patient.identifier", by("value", "system", "open"))+el("Patient.identifier:q", `"min":1,"type":[{"code":"Identifier","profile":["http://x.example/q"]}]`)),
				sd("q Identifier Identifier", el("Identifier.system", `"min":1,"fixedUri":"s:a"`)),
			},
			[]string{pat(`,"identifier":[{"system":"s:b"},{"system":"s:a","value":"1"}]`)},
			[]string{pat(`,"identifier":[{"system":"s:b"}]`)},
			[]string{"error required Patient.identifier: identifier of the slice q is required" + at},
		},
		{
			"slices of a slice",
			[]string{sd("p Patient Patient", el("Patient.name", by("value", "use", "open"))+el("Patient.name:main.use", `"fixedCode":"official"`)+
				el("Patient.name:main", `"min":1,`+by("exists", "period", "open"))+el("Patient.name:main/now", `"min":1,"max":"1"`)+el("Patient.name:main/now.period", `"max":"0"`))},
			[]string{pat(`,"name":[{"use":"old"},{"use":"official"}]`), pat(`,"name":[{"use":"official","period":{"start":"1980"}},{"use":"official"}]`)},
			[]string{pat(`,"name":[{"use":"old"},{"use":"official","period":{"start":"1980"}}]`)},
			[]string{"error required Patient.name: name of the slice main/now is required" + at},
		},
		{
			"without a discriminator, by all that is asked",
			[]string{names(`"slicing":{"rules":"open","description":"x"}`, el("Patient.name:main.family", `"min":1`))},
			[]string{pat(`,"name":[{"text":"A"},{"family":"B"}]`)},
			[]string{pat(`,"name":[{"text":"A"}]`)},
			[]string{"error required Patient.name: name of the slice main is required" + at},
		},
		{
			"the rest is a slice",
			[]string{names(by("value", "use", "closed"), el("Patient.name:main.use", `"fixedCode":"official"`)+
				el("Patient.name:@default", `"min":0`)+el("Patient.name:@default.text", `"min":1`))},
			[]string{pat(`,"name":[{"use":"official"},{"use":"old","text":"A"}]`)},
			[]string{pat(`,"name":[{"use":"official"},{"use":"old"}]`)},
			[]string{"error required Patient.name[1].text: text is required" + at},
		},
		{
			"by ofType and by an extension",
			[]string{sd("p Observation Observation", el("Observation.component", `"slicing":{"discriminator":[{"type":"value","path":"value.ofType(string)"},`+
				`{"type":"value","path":"extension('http://x.example/e').value"}],"rules":"open"}`)+
				el("Observation.component:x", `"min":1`)+el("Observation.component:x.value[x]", `"fixedString":"x"`)+
				el("Observation.component:x.extension", by("value", "url", "open"))+
				el("Observation.component:x.extension:e", `"min":1`)+el("Observation.component:x.extension:e.url", `"fixedUri":"http://x.example/e"`)+
				el("Observation.component:x.extension:e.value[x]", `"fixedCode":"c"`))},
			[]string{list(part("1", `,"valueString":"x","extension":[{"url":"http://x.example/e","valueCode":"c"}]`))},
			[]string{list(part("1", `,"valueString":"x","extension":[{"url":"http://x.example/e","valueCode":"d"}]`))},
			[]string{"error required Observation.component: component of the slice x is required" + at},
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
