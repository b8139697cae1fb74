package validate_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
)

func TestExtensions(t *testing.T) {
	const at = " (" + example + "e)"
	context := func(kind, expression string) string {
		return `"context":[{"type":"` + kind + `","expression":"` + expression + `"}],`
	}
	simple := el("Extension.value[x]", `"min":1,"type":[{"code":"code"}]`)
	definition := func(where string) []string { return []string{sd("e Extension Extension", simple, where)} }
	ext := func(value string) string { return `"extension":[{"url":"http://x.example/e"` + value + `}]` }
	const c = `,"valueCode":"c"`
	wrongPlace := func(path string) string {
		return "error structure " + path + ": this extension must not be used here, says its definition"
	}
	tests := []struct {
		name        string
		definitions []string
		good, bad   []string
		want        []string
	}{
		{
			"its value", definition(context("element", "Patient")),
			[]string{pat(`,` + ext(c)), pat(`,"extension":[{"url":"http://x.example/unknown","valueBoolean":true}]`)},
			[]string{pat(`,` + ext(`,"valueString":"c"`)), pat(`,` + ext(`,"extension":[{"url":"x","valueCode":"c"}]`))},
			[]string{
				"error structure Patient.extension[0].value: value[x] must be of type code" + at,
				"error required Patient.extension[0].value: value[x] is required" + at,
			},
		},
		{
			"on a member", definition(context("element", "Patient.contact")),
			[]string{pat(`,"contact":[{"name":{"text":"x"},"gender":"male",` + ext(c) + `}]`)},
			[]string{pat(`,` + ext(c)), obs(`,` + ext(c))},
			[]string{wrongPlace("Patient.extension[0]"), wrongPlace("Observation.extension[0]")},
		},
		{
			"on a member of a data type, however it is named", definition(context("element", "Patient.name.family")),
			[]string{pat(`,"name":[{"_family":{` + ext(c) + `}}]`)},
			[]string{pat(`,"contact":[{"name":{"_family":{` + ext(c) + `}}}]`)},
			[]string{wrongPlace("Patient.contact[0].name.family.extension[0]")},
		},
		{
			"on a data type", definition(context("element", "HumanName")),
			[]string{pat(`,"name":[{"text":"A",` + ext(c) + `}]`), pat(`,"contact":[{"name":{"text":"A",` + ext(c) + `}}]`)},
			[]string{pat(`,"name":[{"_family":{` + ext(c) + `}}]`)},
			[]string{wrongPlace("Patient.name[0].family.extension[0]")},
		},
		{
			"on a choice", definition(context("element", "Observation.value[x]")),
			[]string{obs(`,"valueString":"x","_valueString":{` + ext(c) + `}`)},
			[]string{obs(`,"_status":{` + ext(c) + `}`)},
			[]string{wrongPlace("Observation.status.extension[0]")},
		},
		{
			"anywhere", definition(context("element", "Element")),
			[]string{pat(`,` + ext(c)), pat(`,"birthDate":"1980","_birthDate":{` + ext(c) + `}`)},
			nil, nil,
		},
		{
			"in another extension", definition(context("extension", "http://x.example/outer")),
			[]string{pat(`,"extension":[{"url":"http://x.example/outer",` + ext(c) + `}]`)},
			[]string{pat(`,"extension":[{"url":"http://x.example/other",` + ext(c) + `}]`)},
			[]string{wrongPlace("Patient.extension[0].extension[0]")},
		},
		{
			"where an expression leads", definition(context("fhirpath", "Patient.contact.where(gender='male')")),
			[]string{pat(`,"contact":[{"name":{"text":"x"},"gender":"male",` + ext(c) + `}]`)},
			[]string{pat(`,"contact":[{"name":{"text":"x"},"gender":"male"},{"name":{"text":"x"},"gender":"female",` + ext(c) + `}]`)},
			[]string{wrongPlace("Patient.contact[1].extension[0]")},
		},
		{
			"where something holds", definition(context("element", "Patient.contact") + `"contextInvariant":["gender='male'"],`),
			[]string{pat(`,"contact":[{"name":{"text":"x"},"gender":"male",` + ext(c) + `}]`)},
			[]string{pat(`,"contact":[{"name":{"text":"x"},"gender":"female",` + ext(c) + `}]`)},
			[]string{"error invariant Patient.contact[0].extension[0]: what the definition of this extension asks of its place does not hold"},
		},
		{
			"one that is made of others",
			[]string{sd("e Extension Extension", el("Extension.extension", by("value", "url", "closed"))+
				el("Extension.extension:a", `"min":1,"max":"1"`)+el("Extension.extension:a.url", `"fixedUri":"a"`)+el("Extension.extension:a.value[x]", `"min":1,"type":[{"code":"Coding"}]`)+
				el("Extension.value[x]", `"max":"0"`))},
			[]string{pat(`,` + ext(`,"extension":[{"url":"a","valueCoding":{"code":"x"}}]`))},
			[]string{
				pat(`,` + ext(`,"extension":[{"url":"a","valueCoding":{"code":"x"}},{"url":"b","valueCode":"x"}]`)),
				pat(`,` + ext(`,"extension":[{"url":"a","valueCode":"x"}]`)),
			},
			[]string{
				"error structure Patient.extension[0].extension[1]: extension is in none of its slices, and no others may be there" + at,
				"error structure Patient.extension[0].extension[0].value: value[x] must be of type Coding" + at,
			},
		},
		{
			"one that a profile asks for",
			[]string{
				sd("p Patient Patient", el("Patient.extension:e", `"min":1,"type":[{"code":"Extension","profile":["http://x.example/e"]}]`)),
				sd("e Extension Extension", simple, context("element", "Patient")),
			},
			[]string{pat(`,"meta":{"profile":["http://x.example/p"]},` + ext(c))},
			[]string{pat(`,"meta":{"profile":["http://x.example/p"]}`), pat(`,"meta":{"profile":["http://x.example/p"]},` + ext(`,"valueString":"c"`))},
			[]string{
				"error required Patient.extension: extension of the slice e is required (http://x.example/p)",
				"error structure Patient.extension[0].value: value[x] must be of type code" + at,
			},
		},
		{
			"one that changes the meaning",
			[]string{strings.Replace(sd("e Extension Extension", simple), `"path":"Extension"`, `"path":"Extension","isModifier":true`, 1)},
			[]string{pat(`,"modifierExtension":[{"url":"http://x.example/e","valueCode":"c"}]`)},
			[]string{pat(`,` + ext(c)), pat(`,"modifierExtension":[{"url":"http://x.example/f","valueCode":"c"}]`)},
			[]string{
				"error structure Patient.extension[0]: this extension changes the meaning of what it is in, and must stand in modifierExtension",
				"warning not-supported Patient.modifierExtension[0]: what this modifierExtension means is not known: its definition is not on this server",
			},
		},
		{
			"one that changes none", definition(""),
			[]string{pat(`,` + ext(c))},
			[]string{pat(`,"modifierExtension":[{"url":"http://x.example/e","valueCode":"c"}]`)},
			[]string{"error structure Patient.modifierExtension[0]: this extension changes no meaning, and must not stand in modifierExtension"},
		},
		{
			"of something that is no extension",
			[]string{sd("e Patient Patient", "")},
			nil,
			[]string{pat(`,` + ext(c))},
			[]string{"error value Patient.extension[0]: url must be that of the definition of an extension"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := shelf(t, tt.definitions...)
			for _, src := range tt.good {
				if got := against(t, s, src); got != nil {
					t.Errorf("%s\nis refused: %v", src, got)
				}
			}
			for i, src := range tt.bad {
				if diff := cmp.Diff(tt.want[i:i+1], against(t, s, src)); diff != "" {
					t.Errorf("issues (-want +got):\n%s\n%s", diff, src)
				}
			}
		})
	}
}

func TestClaims(t *testing.T) {
	claim := func(url string) string { return pat(`,"meta":{"profile":["` + url + `"]}`) }
	model := strings.Replace(sd("model Patient Patient", ""), `"constraint"`, `"specialization"`, 1)
	s := shelf(t, sd("p Patient Patient", el("Patient.birthDate", `"min":1`)), sd("o Observation Observation", ""), model, sd("broken Patient nowhere", ""))
	tests := []struct {
		name, src string
		claimed   []string
		want      []string
	}{
		{"a profile that is not here", claim("http://x.example/none"), nil, []string{"warning not-supported Patient.meta.profile[0]: not checked: the profile http://x.example/none is not on this server"}},
		{"one that the request names", pat(""), []string{"http://x.example/none"}, []string{"error not-supported Patient: not checked: the profile http://x.example/none is not on this server"}},
		{"the type itself", claim("http://hl7.org/fhir/StructureDefinition/Patient"), nil, nil},
		{"another type", claim("http://hl7.org/fhir/StructureDefinition/Observation"), nil, []string{"error business-rule Patient.meta.profile[0]: the profile http://hl7.org/fhir/StructureDefinition/Observation is that of another type"}},
		{"a profile of another type", claim(example + "o"), nil, []string{"error structure Patient: the profile is one of Observation (http://x.example/o)"}},
		{"no profile", claim(example + "model"), nil, []string{"information informational Patient.meta.profile[0]: not checked: the StructureDefinition http://x.example/model is no profile"}},
		{"a long one", claim("http://x.example/" + strings.Repeat("é", 200)), nil, []string{"warning not-supported Patient.meta.profile[0]: not checked: the profile http://x.example/" + strings.Repeat("é", 91) + "… is not on this server"}},
		{
			"beside what is wrong with the structure", pat(`,"gender":"x","meta":{"profile":["http://x.example/p","http://x.example/none"]}`),
			[]string{"http://x.example/o", "http://x.example/nothing"},
			[]string{
				"error code-invalid Patient.gender: gender must be a code of http://hl7.org/fhir/ValueSet/administrative-gender: female, male, other, unknown",
				"error not-supported Patient: not checked: the profile http://x.example/nothing is not on this server",
				"warning not-supported Patient.meta.profile[1]: not checked: the profile http://x.example/none is not on this server",
				"information informational Patient: the profile http://x.example/o is not checked until what is wrong with the structure is right",
				"information informational Patient.meta.profile[0]: the profile http://x.example/p is not checked until what is wrong with the structure is right",
			},
		},
		{"one that cannot be used", claim(example + "broken"), nil, []string{"error business-rule Patient.meta.profile[0]: the profile http://x.example/broken cannot be used on this server: its StructureDefinition has faults"}},
		{
			"within a Bundle, and of what is contained",
			`{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + claim(example+"p") + `},{"resource":` + obs(`,"subject":{"reference":"#a"},"contained":[{"resourceType":"Patient","id":"a","meta":{"profile":["http://x.example/p"]}}]`) + `}]}`,
			nil,
			[]string{
				"error required Bundle.entry[0].resource.birthDate: birthDate is required (http://x.example/p)",
				"error required Bundle.entry[1].resource.contained[0].birthDate: birthDate is required (http://x.example/p)",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, against(t, s, tt.src, tt.claimed...)); diff != "" {
				t.Errorf("issues (-want +got):\n%s\n%s", diff, tt.src)
			}
		})
	}
}

func TestProfilesThatCannotBeUsed(t *testing.T) {
	const first = "error business-rule StructureDefinition.differential.element[1]"
	tests := []struct{ name, src, want string }{
		{"an element that R4 does not have", sd("p Patient Patient", el("Patient.nome", `"min":1`)), first + `: R4 has no element "nome" there`},
		{"a path of another type", sd("p Patient Patient", el("Person.name", `"min":1`)), first + ".path: path must begin with Patient"},
		{"a type that R4 does not allow", sd("p Patient Patient", el("Patient.deceased[x]", `"type":[{"code":"Quantity"}]`)), first + ".type[0].code: code must be a type that R4 allows there"},
		{"more at least than at most", sd("p Patient Patient", el("Patient.name", `"min":2,"max":"1"`)), first + ": min must not be greater than max"},
		{
			"an expression that is none", sd("p Patient Patient", el("Patient.name", `"constraint":[{"key":"a","severity":"error","human":"x","expression":"family."}]`)),
			first + ".constraint[0].expression: expression is no FHIRPath, or uses what this server does not know of it",
		},
		{
			"a slice that nothing tells apart", sd("p Patient Patient", el("Patient.name", by("value", "use", "open"))+el("Patient.name:a", `"min":1`)),
			"error business-rule StructureDefinition.differential.element[2]: nothing in this slice says what its discriminators must be",
		},
		{"a slice without slicing", sd("p Patient Patient", el("Patient.name:a", `"min":1`)), first + ": a slice needs slicing: how is it told from others?"},
		{
			"a discriminator that is none", sd("p Patient Patient", el("Patient.name", by("value", "use()", "open"))),
			first + ".slicing.discriminator[0].path: path must be $this, or members, ofType(…), extension('…') and resolve() with points between",
		},
		{"a base that is not here", sd("p Patient none", ""), "error business-rule StructureDefinition.baseDefinition: a profile without a snapshot needs its baseDefinition on this server"},
		{
			"a base of another type", strings.Replace(sd("p Patient Patient", ""), "StructureDefinition/Patient", "StructureDefinition/Person", 1),
			"error business-rule StructureDefinition.baseDefinition: baseDefinition must be of the type that is constrained",
		},
		{"itself", sd("p Patient p", ""), "error business-rule StructureDefinition.baseDefinition: a profile without a snapshot needs a baseDefinition that can be used itself, and does not build on this one"},
		{"no type of R4", strings.Replace(sd("p Patient Patient", ""), `"type":"Patient"`, `"type":"Pazient"`, 1), "error business-rule StructureDefinition.type: type must be a type of R4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, issues, found := shelf(t, tt.src).Profile(example + "p")
			if p != nil || !found || len(issues) == 0 {
				t.Fatalf("got %v, %v, %v", p, issues, found)
			}
			if got := line(issues[0]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestCyclesOfProfilesEnd(t *testing.T) {
	s := shelf(t, sd("a Patient b", ""), sd("b Patient c", ""), sd("c Patient a", ""))
	for _, name := range []string{"a", "b", "c"} {
		if p, _, found := s.Profile(example + name); p != nil || !found {
			t.Errorf("%s: got %v", name, p)
		}
	}
	// Profiles may well lead to one another by what refers to what.
	s = shelf(t, sd("p Observation Observation", el("Observation.hasMember", `"type":[{"code":"Reference","targetProfile":["http://x.example/p"]}]`)+el("Observation.issued", `"min":1`)))
	contained := func(more string) string {
		return obs(`,"issued":"2020-01-01T00:00:00Z","hasMember":[{"reference":"#a"}],"contained":[{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"},"hasMember":[{"reference":"#a"}]` + more + `}]`)
	}
	if got := against(t, s, contained(`,"issued":"2020-01-01T00:00:00Z"`), example+"p"); got != nil {
		t.Errorf("refused: %v", got)
	}
	want := []string{"error required Observation.contained[0].issued: issued is required (http://x.example/p)"}
	if diff := cmp.Diff(want, against(t, s, contained(""), example+"p")); diff != "" {
		t.Errorf("issues (-want +got):\n%s", diff)
	}
}

func TestProfilesBuildOnSoManyOthers(t *testing.T) {
	chain := func(n int) string {
		definitions := []string{sd("p0 Patient Patient", el("Patient.birthDate", `"min":1`))}
		for i := 1; i <= n; i++ {
			definitions = append(definitions, sd("p"+string(rune('0'+i))+" Patient p"+string(rune('0'+i-1)), ""))
		}
		p, _, _ := shelf(t, definitions...).Profile(example + "p" + string(rune('0'+n)))
		if p == nil {
			return "refused"
		}
		return "taken"
	}
	if got := []string{chain(8), chain(9)}; !cmp.Equal(got, []string{"taken", "refused"}) {
		t.Errorf("8 and 9 deep: %v", got)
	}
}

func TestHostileProfilesAreBounded(t *testing.T) {
	many := strings.Repeat(el("Patient.name", `"max":"1"`), 5000)
	wide := strings.Repeat("x", 1<<18)
	for name, src := range map[string]string{
		"many elements": sd("p Patient Patient", many),
		"long words":    sd("p Patient Patient", el("Patient.name.text", `"fixedString":"`+wide+`"`)),
		"long rules":    sd("p Patient Patient", el("Patient.name", `"constraint":[{"key":"a","expression":"'`+wide+`'='a'"}]`)),
	} {
		if p, issues, _ := shelf(t, src).Profile(example + "p"); p != nil || len(issues) == 0 {
			t.Errorf("%s: taken", name)
		}
	}
	slices := el("Patient.name", by("value", "text", "open"))
	for i := range 900 {
		n := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		slices += el("Patient.name:"+n, `"min":0`) + el("Patient.name:"+n+".text", `"fixedString":"`+n+`"`)
	}
	s := shelf(t, sd("p Patient Patient", slices))
	if p, issues, _ := s.Profile(example + "p"); p == nil {
		t.Fatal(issues)
	}
	src := pat(`,"name":[{"text":"b"}` + strings.Repeat(`,{"text":"none"}`, 20000) + `]`)
	got := against(t, s, src, example+"p")
	if want := "error " + string(fhir.CodeTooCostly) + " Patient: it takes too long to hold the resource against its profiles"; len(got) != 1 || got[0] != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
