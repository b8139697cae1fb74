package patch_test

import (
	"bytes"
	"testing"

	"vitrine/fhir"
	"vitrine/fhir/patch"
)

// fuzzed are resources that the patches of the fuzz targets are tried on.
var fuzzed = []string{
	`{"resourceType":"Patient","id":"p","name":[{"given":["a", null],"_given":[null,{"id":"x"}]}], "birthDate" : "1930","_birthDate":{"extension":[{"url":"u","valueInteger":1}]},"contained":[{"resourceType":"Organization","id":"o"}]}`,
	`{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.50},"component":[{"valueString":"x"},{"valueInteger":1}],"text":{"div":"<div/>"}}`,
	`{"a":[],"b":{},"c":[[{"d":1}]]}`,
}

// tried applies a document to every resource: what comes out must parse, and be
// the source itself where nothing was done.
func tried(t *testing.T, d *patch.Document) {
	for _, src := range fuzzed {
		in := tape(t, src)
		out, err := d.Apply(in, patch.Limits{Size: 1 << 16, Work: 1 << 20})
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			continue
		}
		var again fhir.Tape
		if err := again.Parse(out, fhir.Limits{}); err != nil {
			t.Errorf("%s: %v", out, err)
		}
		if !bytes.Equal(in.Source(), []byte(src)) {
			t.Error("the resource itself was written to")
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, doc := range []string{
		`[{"op":"add","path":"/name/0/given/-","value":"x"},{"op":"remove","path":"/name/0/given/0"}]`,
		`[{"op":"move","from":"/name","path":"/a"},{"op":"copy","from":"","path":"/c"},{"op":"test","path":"/a~1b","value":1e5}]`,
		`[{"op":"replace","path":"","value":{"resourceType":"Patient","id":"p"}}]`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if d, err := patch.ParseJSON(doc, fhir.Limits{}); err == nil {
			tried(t, d)
		}
	})
}

func FuzzParameters(f *testing.F) {
	defs := definitions(f)
	for _, o := range []string{
		op("add", "Patient.name.given[0]", `name:"valueString":"id"`, `value:"valueString":"x"`),
		op("insert", "Patient.name.given", `index:"valueInteger":1`, `value:"valueString":"x","_valueString":{"id":"y"}`),
		op("delete", "Patient.birthDate.extension"),
		op("replace", "Observation.value", `value:"valueCodeableConcept":{"text":"x"}`),
		op("move", "Observation.component", `source:"valueInteger":1`, `destination:"valueInteger":0`),
		op("add", "Observation", `name:"valueString":"component"`, `value:"part":[{"name":"value","valueString":"x"},{"name":"code","valueCodeableConcept":{}}]`),
	} {
		f.Add([]byte(parameters(o)))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var in fhir.Tape
		if in.Parse(doc, fhir.Limits{}) != nil {
			return
		}
		if d, err := patch.ParseParameters(&in, defs); err == nil {
			tried(t, d)
		}
	})
}
