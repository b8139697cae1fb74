package patch_test

import (
	"errors"
	"strings"
	"testing"

	"vitrine/fhir/patch"
	"vitrine/fhir/r4"
)

// definitions are R4's.
func definitions(t testing.TB) *r4.Definitions {
	t.Helper()
	d, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// op is one operation of FHIRPath Patch; each of the parts is a name, a colon
// and the rest of the part.
func op(kind, path string, parts ...string) string {
	out := `{"name":"operation","part":[{"name":"type","valueCode":"` + kind + `"},{"name":"path","valueString":"` + strings.ReplaceAll(path, `"`, `\"`) + `"}`
	for _, p := range parts {
		name, rest, _ := strings.Cut(p, ":")
		out += `,{"name":"` + name + `",` + rest + `}`
	}
	return out + `]}`
}

func parameters(ops ...string) string {
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(ops, ",") + `]}`
}

func applyPath(t *testing.T, defs *r4.Definitions, src, doc string) (string, error) {
	t.Helper()
	d, err := patch.ParseParameters(tape(t, doc), defs)
	if err != nil {
		return "", err
	}
	out, err := d.Apply(tape(t, src), patch.Limits{})
	return string(out), err
}

// TestFHIRPath has a case for each sentence of R4 fhirpatch.html.
func TestFHIRPath(t *testing.T) {
	const p = `{"resourceType":"Patient"`
	defs := definitions(t)
	for _, c := range []struct{ name, src, doc, want string }{
		{"add a primitive", p + `}`, parameters(op("add", "Patient", `name:"valueString":"birthDate"`, `value:"valueDate":"1930-01-01"`)), p + `,"birthDate":"1930-01-01"}`},
		{
			"add a backbone element", p + `}`, parameters(op("add", "Patient", `name:"valueString":"contact"`,
				`value:"part":[{"name":"name","valueHumanName":{"text": "a name"}}]`)), p + `,"contact":[{"name":{"text": "a name"}}]}`,
		},
		{
			"add parts that repeat", p + `}`, parameters(op("add", "Patient", `name:"valueString":"contact"`,
				`value:"part":[{"name":"telecom","valueContactPoint":{"value":"1"}},{"name":"gender","valueCode":"male"},{"name":"telecom","valueContactPoint":{"value":"2"}}]`)),
			p + `,"contact":[{"telecom":[{"value":"1"},{"value":"2"}],"gender":"male"}]}`,
		},
		{"add to a list", p + `, "name" : [ {"text":"a"} ] }`, parameters(op("add", "Patient", `name:"valueString":"name"`, `value:"valueHumanName":{"text":"b"}`)), p + `, "name" : [ {"text":"a"},{"text":"b"} ] }`},
		{"add a choice", `{"resourceType":"Observation"}`, parameters(op("add", "Observation", `name:"valueString":"value"`, `value:"valueQuantity":{"value":1.50}`)), `{"resourceType":"Observation","valueQuantity":{"value":1.50}}`},
		{"add within", p + `,"contact":[{"gender":"male"}]}`, parameters(op("add", "Patient.contact[0]", `name:"valueString":"name"`, `value:"valueHumanName":{"text":"b"}`)), p + `,"contact":[{"gender":"male","name":{"text":"b"}}]}`},
		{
			"add an extension to a primitive", p + `,"birthDate":"1930-01-01"}`, parameters(op("add", "Patient.birthDate", `name:"valueString":"extension"`, `value:"valueReference":{}`)),
			"",
		},
		{
			"add an extension made of parts", p + `,"birthDate":"1930-01-01"}`, parameters(op("add", "Patient.birthDate", `name:"valueString":"extension"`,
				`value:"part":[{"name":"url","valueUri":"http://e"},{"name":"value","valueInteger":7}]`)), p + `,"birthDate":"1930-01-01","_birthDate":{"extension":[{"url":"http://e","valueInteger":7}]}}`,
		},
		{
			"add an extension to one of a list", p + `,"name":[{"given":["a","b"]}]}`, parameters(op("add", "Patient.name.given[1]", `name:"valueString":"id"`, `value:"valueString":"x"`)),
			p + `,"name":[{"given":["a","b"],"_given":[null,{"id":"x"}]}]}`,
		},
		{
			"add a primitive with an extension", p + `,"name":[{"given":["a"]}]}`, parameters(op("add", "Patient.name", `name:"valueString":"given"`, `value:"valueString":"b","_valueString":{"id":"x"}`)),
			p + `,"name":[{"given":["a","b"],"_given":[null,{"id":"x"}]}]}`,
		},
		{
			"add beside extensions", p + `,"name":[{"given":["a"],"_given":[{"id":"x"}]}]}`, parameters(op("add", "Patient.name", `name:"valueString":"given"`, `value:"valueString":"b"`)),
			p + `,"name":[{"given":["a","b"],"_given":[{"id":"x"},null]}]}`,
		},
		{"add a contained resource", p + `}`, parameters(op("add", "Patient", `name:"valueString":"contained"`, `value:"resource":{"resourceType":"Organization","id":"o"}`)), p + `,"contained":[{"resourceType":"Organization","id":"o"}]}`},
		{"add narrative", p + `}`, parameters(op("add", "Patient", `name:"valueString":"text"`, `value:"part":[{"name":"status","valueCode":"generated"},{"name":"div","valueString":"<div/>"}]`)), p + `,"text":{"status":"generated","div":"<div/>"}}`},
		{"delete", p + `, "birthDate": "1930", "gender":"male"}`, parameters(op("delete", "Patient.birthDate")), p + `, "gender":"male"}`},
		{"delete with the sibling", p + `,"birthDate":"1930","_birthDate":{"id":"x"}}`, parameters(op("delete", "Patient.birthDate")), p + `}`},
		{"delete a sibling that stands first", p + `,"_birthDate":{"id":"x"},"gender":"male","birthDate":"1930"}`, parameters(op("delete", "Patient.birthDate")), p + `,"gender":"male"}`},
		{"delete nothing", p + `}`, parameters(op("delete", "Patient.birthDate")), p + `}`},
		{"delete one of a list", p + `,"name":[{"text":"a"}, {"text":"b"}]}`, parameters(op("delete", "Patient.name[0]")), p + `,"name":[{"text":"b"}]}`},
		{"delete the last of a list", p + `,"name":[{"text":"a"}],"gender":"male"}`, parameters(op("delete", "Patient.name[0]")), p + `,"gender":"male"}`},
		{"delete by a criterion", p + `,"identifier":[{"system":"s","value":"1"},{"system":"t","value":"2"}]}`, parameters(op("delete", "Patient.identifier.where(system = 't')")), p + `,"identifier":[{"system":"s","value":"1"}]}`},
		{"delete one with its extension", p + `,"name":[{"given":["a","b"],"_given":[null,{"id":"x"}]}]}`, parameters(op("delete", "Patient.name.given[1]")), p + `,"name":[{"given":["a"]}]}`},
		{"delete one beside extensions", p + `,"name":[{"given":["a","b"],"_given":[null,{"id":"x"}]}]}`, parameters(op("delete", "Patient.name.given[0]")), p + `,"name":[{"given":["b"],"_given":[{"id":"x"}]}]}`},
		{"delete a choice", `{"resourceType":"Observation","valueString":"x"}`, parameters(op("delete", "Observation.value")), `{"resourceType":"Observation"}`},
		{"replace a primitive", p + `, "birthDate" : "1930" }`, parameters(op("replace", "Patient.birthDate", `value:"valueDate":"1931"`)), p + `, "birthDate" : "1931" }`},
		{"replace with the sibling", p + `,"birthDate":"1930","_birthDate":{"id":"x"}}`, parameters(op("replace", "Patient.birthDate", `value:"valueDate":"1931"`)), p + `,"birthDate":"1931"}`},
		{"replace and give a sibling", p + `,"birthDate":"1930"}`, parameters(op("replace", "Patient.birthDate", `value:"valueDate":"1931","_valueDate":{"id":"x"}`)), p + `,"birthDate":"1931","_birthDate":{"id":"x"}}`},
		{"replace one of a list", p + `,"name":[{"given":["a","b"],"_given":[null,{"id":"x"}]}]}`, parameters(op("replace", "Patient.name.given[1]", `value:"valueString":"c"`)), p + `,"name":[{"given":["a","c"]}]}`},
		{"replace a complex one", p + `,"maritalStatus":{"text":"x"},"gender":"male"}`, parameters(op("replace", "Patient.maritalStatus", `value:"valueCodeableConcept":{"text":"y"}`)), p + `,"maritalStatus":{"text":"y"},"gender":"male"}`},
		{"replace within", p + `,"contact":[{"name":{"text":"a"}}]}`, parameters(op("replace", "Patient.contact[0].name.text", `value:"valueString":"b"`)), p + `,"contact":[{"name":{"text":"b"}}]}`},
		{"replace a choice by another", `{"resourceType":"Observation", "valueString": "x", "_valueString":{"id":"i"}, "status":"final"}`, parameters(op("replace", "Observation.value", `value:"valueQuantity":{"value":1}`)), `{"resourceType":"Observation", "valueQuantity":{"value":1}, "status":"final"}`},
		{"insert at the front", p + `,"identifier":[{"value":"1"}]}`, parameters(op("insert", "Patient.identifier", `index:"valueInteger":0`, `value:"valueIdentifier":{"value":"0"}`)), p + `,"identifier":[{"value":"0"},{"value":"1"}]}`},
		{"insert at the end", p + `,"identifier":[{"value":"1"}]}`, parameters(op("insert", "Patient.identifier", `index:"valueInteger":1`, `value:"valueIdentifier":{"value":"0"}`)), p + `,"identifier":[{"value":"1"},{"value":"0"}]}`},
		{"insert in between", p + `,"name":[{"given":["a","b"],"_given":[null,{"id":"x"}]}]}`, parameters(op("insert", "Patient.name.given", `index:"valueInteger":1`, `value:"valueString":"c"`)), p + `,"name":[{"given":["a","c","b"],"_given":[null,null,{"id":"x"}]}]}`},
		{"insert where nothing is", p + `}`, parameters(op("insert", "Patient.identifier", `index:"valueInteger":0`, `value:"valueIdentifier":{"value":"0"}`)), p + `,"identifier":[{"value":"0"}]}`},
		{"move to the end", p + `,"identifier":[{"value":"1"}, {"value":"2"}, {"value":"3"}]}`, parameters(op("move", "Patient.identifier", `source:"valueInteger":0`, `destination:"valueInteger":2`)), p + `,"identifier":[{"value":"2"}, {"value":"3"},{"value":"1"}]}`},
		{"move to the front", p + `,"identifier":[{"value":"1"}, {"value":"2"}, {"value":"3"}]}`, parameters(op("move", "Patient.identifier", `source:"valueInteger":2`, `destination:"valueInteger":0`)), p + `,"identifier":[{"value":"3"},{"value":"1"}, {"value":"2"}]}`},
		{"move by one", p + `,"identifier":[{"value":"1"}, {"value":"2"}, {"value":"3"}]}`, parameters(op("move", "Patient.identifier", `source:"valueInteger":0`, `destination:"valueInteger":1`)), p + `,"identifier":[{"value":"2"}, {"value":"1"},{"value":"3"}]}`},
		{"move with extensions", p + `,"name":[{"given":["a","b"],"_given":[null,{"id":"x"}]}]}`, parameters(op("move", "Patient.name.given", `source:"valueInteger":1`, `destination:"valueInteger":0`)), p + `,"name":[{"given":["b","a"],"_given":[{"id":"x"},null]}]}`},
		{"move to where it is", p + `,"name":[{"text":"a"}]}`, parameters(op("move", "Patient.name", `source:"valueInteger":0`, `destination:"valueInteger":0`)), p + `,"name":[{"text":"a"}]}`},
		{
			"one after the other", p + `,"name":[{"text":"a"}]}`, parameters(op("delete", "Patient.name"), op("add", "Patient", `name:"valueString":"name"`, `value:"valueHumanName":{"family":"f"}`),
				op("replace", "Patient.name[0].family", `value:"valueString":"g"`)), p + `,"name":[{"family":"g"}]}`,
		},
		{"within a contained resource", p + `,"contained":[{"resourceType":"Organization","id":"o","name":"a"}]}`, parameters(op("replace", "Patient.contained[0].name", `value:"valueString":"b"`)), p + `,"contained":[{"resourceType":"Organization","id":"o","name":"b"}]}`},
		{"no operations", p + ` }`, `{"resourceType":"Parameters"}`, p + ` }`},
	} {
		got, err := applyPath(t, defs, c.src, c.doc)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: want an error, got %s", c.name, got)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %s on %s: got %s, %v; want %s", c.name, c.doc, c.src, got, err, c.want)
		}
	}
}

func TestFHIRPathRefused(t *testing.T) {
	const src = `{"resourceType":"Patient","id":"p","name":[{"text":"secret"},{"text":"b"}],"birthDate":"1930","managingOrganization":{"reference":"Organization/o"}}`
	defs := definitions(t)
	birth := `value:"valueDate":"1931"`
	for _, c := range []struct {
		name, doc string
		kind      error
		index     int
	}{
		{"another resource", `{"resourceType":"Bundle"}`, patch.ErrMalformed, -1},
		{"another parameter", `{"resourceType":"Parameters","parameter":[{"name":"x","part":[]}]}`, patch.ErrMalformed, 0},
		{"no parts", `{"resourceType":"Parameters","parameter":[{"name":"operation"}]}`, patch.ErrMalformed, 0},
		{"no type", `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"path","valueString":"Patient"}]}]}`, patch.ErrMalformed, 0},
		{"a type that is none", parameters(op("delete", "Patient.photo"), op("merge", "Patient")), patch.ErrMalformed, 1},
		{"an unknown part", parameters(op("delete", "Patient.name", `where:"valueString":"x"`)), patch.ErrMalformed, 0},
		{"a part twice", parameters(op("replace", "Patient.birthDate", birth, birth)), patch.ErrMalformed, 0},
		{"no value", parameters(op("replace", "Patient.birthDate")), patch.ErrMalformed, 0},
		{"no index", parameters(op("insert", "Patient.name", `value:"valueHumanName":{}`)), patch.ErrMalformed, 0},
		{"an index that is none", parameters(op("insert", "Patient.name", `value:"valueHumanName":{}`, `index:"valueInteger":-1`)), patch.ErrMalformed, 0},
		{"two values in one", parameters(op("replace", "Patient.birthDate", birth+`,"valueString":"x"`)), patch.ErrMalformed, 0},
		{"a value that R4 does not know", parameters(op("replace", "Patient.birthDate", `value:"valuePatient":{}`)), patch.ErrMalformed, 0},
		{"no FHIRPath", parameters(op("delete", "Patient.name[")), patch.ErrMalformed, 0},
		{"another resource", parameters(op("replace", "Patient.managingOrganization.resolve().name", `value:"valueString":"x"`)), patch.ErrMalformed, 0},
		{"nothing there", parameters(op("replace", "Patient.gender", `value:"valueCode":"male"`)), patch.ErrPath, 0},
		{"more than one", parameters(op("delete", "Patient.name")), patch.ErrPath, 0},
		{"another type", parameters(op("delete", "Observation.status"), op("add", "Observation", `name:"valueString":"status"`, `value:"valueCode":"final"`)), patch.ErrPath, 1},
		{"what is worked out", parameters(op("delete", "Patient.name.exists()")), patch.ErrPath, 0},
		{"there already", parameters(op("add", "Patient", `name:"valueString":"birthDate"`, birth)), patch.ErrPath, 0},
		{"an unknown name", parameters(op("add", "Patient", `name:"valueString":"shoeSize"`, birth)), patch.ErrValue, 0},
		{"a value of another type", parameters(op("replace", "Patient.birthDate", `value:"valueString":"1931"`)), patch.ErrValue, 0},
		{"a value of another type added", parameters(op("add", "Patient", `name:"valueString":"gender"`, `value:"valueString":"male"`)), patch.ErrValue, 0},
		{"a value of another type inserted", parameters(op("insert", "Patient.name", `index:"valueInteger":0`, `value:"valueString":"x"`)), patch.ErrValue, 0},
		{"parts for a primitive", parameters(op("add", "Patient", `name:"valueString":"gender"`, `value:"part":[{"name":"x","valueString":"x"}]`)), patch.ErrValue, 0},
		{"parts that the type does not have", parameters(op("add", "Patient", `name:"valueString":"contact"`, `value:"part":[{"name":"x","valueString":"x"}]`)), patch.ErrValue, 0},
		{"a part twice where one may be", parameters(op("add", "Patient", `name:"valueString":"contact"`, `value:"part":[{"name":"gender","valueCode":"male"},{"name":"gender","valueCode":"male"}]`)), patch.ErrValue, 0},
		{"beyond the end", parameters(op("insert", "Patient.name", `index:"valueInteger":3`, `value:"valueHumanName":{"text":"x"}`)), patch.ErrPath, 0},
		{"moved from beyond the end", parameters(op("move", "Patient.name", `source:"valueInteger":2`, `destination:"valueInteger":0`)), patch.ErrPath, 0},
		{"a part of a list", parameters(op("move", "Patient.name[0]", `source:"valueInteger":0`, `destination:"valueInteger":0`)), patch.ErrPath, 0},
		{"no list", parameters(op("insert", "Patient.birthDate", `index:"valueInteger":0`, birth)), patch.ErrPath, 0},
		{"no list that is not there", parameters(op("insert", "Patient.gender", `index:"valueInteger":0`, `value:"valueCode":"male"`)), patch.ErrPath, 0},
		{"the resource", parameters(op("delete", "Patient")), patch.ErrFixed, 0},
		{"the resource replaced", parameters(op("replace", "Patient", `value:"resource":{"resourceType":"Patient"}`)), patch.ErrFixed, 0},
		{"the id", parameters(op("replace", "Patient.id", `value:"valueId":"q"`)), patch.ErrFixed, -1},
		{"no id", parameters(op("delete", "Patient.id")), patch.ErrFixed, -1},
	} {
		_, err := applyPath(t, defs, src, c.doc)
		got := (*patch.Error)(nil)
		if !errors.As(err, &got) || !errors.Is(err, c.kind) || got.Index != c.index {
			t.Errorf("%s: %s: got %v, want %v of operation %d", c.name, c.doc, err, c.kind, c.index)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells a value: %v", c.name, err)
		}
	}
}
