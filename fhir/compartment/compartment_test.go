package compartment_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vitrine/fhir"
	"vitrine/fhir/compartment"
	"vitrine/fhir/r4"
)

const base = "https://here.example/fhir"

func load(tb testing.TB) (*compartment.Compartments, *r4.Definitions) {
	tb.Helper()
	d, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return compartment.New(d), d
}

func TestOwners(t *testing.T) {
	nric := fhir.Identifier{System: "https://fhir.synapxe.sg/NamingSystem/nric", Value: "S0000001I"}
	const nricJSON = `{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"S0000001I"}`
	unclear := []fhir.Identifier{{}}
	tests := []struct {
		name, src string
		want      compartment.Owners
	}{
		{
			"subject", `{"resourceType":"Observation","subject":{"reference":"Patient/p1"}}`,
			compartment.Owners{Patients: []string{"p1"}},
		},
		{
			"every patient once, in order",
			`{"resourceType":"Observation","subject":{"reference":"Patient/p2"},"focus":[{"reference":"Patient/p1"}],
			"performer":[{"reference":"Patient/p2"},{"reference":"Practitioner/d1"}]}`,
			compartment.Owners{Patients: []string{"p1", "p2"}},
		},
		{
			"absolute to ourselves and versioned",
			`{"resourceType":"Observation","subject":{"reference":"https://here.example/fhir/Patient/p1/_history/3"}}`,
			compartment.Owners{Patients: []string{"p1"}},
		},
		{
			"within an extension and a contained resource",
			`{"resourceType":"Observation","contained":[{"resourceType":"RelatedPerson","patient":{"reference":"Patient/p2"}}],
			"extension":[{"url":"http://x.example/mother","valueReference":{"reference":"Patient/p3"}}],
			"subject":{"reference":"Patient/p1"}}`,
			compartment.Owners{Patients: []string{"p1", "p2", "p3"}},
		},
		{
			"within what R4 does not have",
			`{"resourceType":"Nonsense","x":[[{"y":{"reference":"Patient/p1"}}]]}`,
			compartment.Owners{Patients: []string{"p1"}},
		},
		{
			"a patient is its own, and not of those it is linked to",
			`{"resourceType":"Patient","id":"p1","link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]}`,
			compartment.Owners{Self: true},
		},
		{
			"a patient who refers to another outside link",
			`{"resourceType":"Patient","link":[{"other":{"reference":"Patient/p2"}}],
			"extension":[{"url":"http://x.example/mother","valueReference":{"reference":"Patient/p3"}}]}`,
			compartment.Owners{Self: true, Patients: []string{"p3"}},
		},
		{
			"another type's link counts", `{"resourceType":"Person","link":[{"target":{"reference":"Patient/p2"}}]}`,
			compartment.Owners{Patients: []string{"p2"}},
		},
		{
			"logical, by place", `{"resourceType":"Condition","subject":{"identifier":` + nricJSON + `}}`,
			compartment.Owners{Identifiers: []fhir.Identifier{nric}},
		},
		{
			"logical, by type",
			`{"resourceType":"Observation","subject":{"reference":"Patient/p1"},
			"performer":[{"type":"Patient","identifier":` + nricJSON + `}]}`,
			compartment.Owners{Patients: []string{"p1"}, Identifiers: []fhir.Identifier{nric}},
		},
		{
			"logical, of someone who acts",
			`{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"performer":[{"identifier":` + nricJSON + `}]}`,
			compartment.Owners{Patients: []string{"p1"}},
		},
		{
			"logical, in a part of the resource",
			`{"resourceType":"EnrollmentRequest","candidate":{"type":"Patient","identifier":` + nricJSON + `}}`,
			compartment.Owners{Identifiers: []fhir.Identifier{nric}},
		},
		{
			"logical, without a system", `{"resourceType":"Condition","subject":{"identifier":{"value":"S0000001I"}}}`,
			compartment.Owners{Identifiers: unclear},
		},
		{
			"in words alone",
			`{"resourceType":"Condition","subject":{"display":"X"},"asserter":{"reference":"Patient/p1"}}`,
			compartment.Owners{Patients: []string{"p1"}, Identifiers: unclear},
		},
		{
			"a URN nobody resolved",
			`{"resourceType":"Condition","subject":{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}}`,
			compartment.Owners{Identifiers: unclear},
		},
		{
			"a patient elsewhere", `{"resourceType":"Condition","subject":{"reference":"https://there.example/Patient/p1"}}`,
			compartment.Owners{Identifiers: unclear},
		},
		{
			"a patient elsewhere whom an identifier names",
			`{"resourceType":"Condition","subject":{"reference":"https://there.example/Patient/p1","identifier":` + nricJSON + `}}`,
			compartment.Owners{Identifiers: []fhir.Identifier{nric}},
		},
		{
			"a reference that is none", `{"resourceType":"Condition","subject":{"reference":"Patient/../p1"}}`,
			compartment.Owners{Identifiers: unclear},
		},
		{
			"addresses that are no references, beside another patient",
			`{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"focus":[{"reference":"https://here.example/fhir/Patient/p2?x=y"},
			{"reference":"https://here.example/fhir//Patient/p2"},{"reference":"https://there.example/Patient?identifier=x"}]}`,
			compartment.Owners{Patients: []string{"p1"}, Identifiers: unclear},
		},
		{
			"a conditional reference left over",
			`{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"performer":[{"reference":"Patient?identifier=x"}]}`,
			compartment.Owners{Patients: []string{"p1"}, Identifiers: unclear},
		},
		{
			"a contained patient with an identifier",
			`{"resourceType":"Condition","contained":[{"resourceType":"Patient","id":"p","identifier":[{"value":"7"},` + nricJSON + `]}],
			"subject":{"reference":"#p"}}`,
			compartment.Owners{Identifiers: []fhir.Identifier{nric}},
		},
		{
			"a contained patient without one",
			`{"resourceType":"Condition","contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"}}`,
			compartment.Owners{Identifiers: unclear},
		},
		{
			"a patient deep in a bundle",
			`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Bundle","entry":[{"resource":
			{"resourceType":"Patient","identifier":[` + nricJSON + `]}}]}}]}`,
			compartment.Owners{Identifiers: []fhir.Identifier{nric}},
		},
		{
			"provenance inherits",
			`{"resourceType":"Provenance","target":[{"reference":"Observation/o1/_history/2"},{"reference":"Patient/p1"}],
			"agent":[{"who":{"reference":"Practitioner/d1"}}]}`,
			compartment.Owners{
				Patients: []string{"p1"},
				Inherits: []fhir.Reference{{Form: fhir.RefLocal, Type: "Observation", ID: "o1", Version: "2"}},
			},
		},
		{
			"provenance of what cannot be found",
			`{"resourceType":"Provenance","target":[{"display":"X"},{"reference":"Observation/o1"}]}`,
			compartment.Owners{
				Inherits: []fhir.Reference{{Form: fhir.RefLocal, Type: "Observation", ID: "o1"}}, Identifiers: unclear,
			},
		},
		{
			"binary inherits",
			`{"resourceType":"Binary","contentType":"text/plain","securityContext":{"reference":"DocumentReference/d1"}}`,
			compartment.Owners{Inherits: []fhir.Reference{{Form: fhir.RefLocal, Type: "DocumentReference", ID: "d1"}}},
		},
		{"nobody", `{"resourceType":"Observation","status":"final"}`, compartment.Owners{}},
		{"nobody's binary", `{"resourceType":"Binary","contentType":"text/plain"}`, compartment.Owners{}},
		{"a directory", `{"resourceType":"Organization","name":"A"}`, compartment.Owners{MayBeShared: true}},
		{
			"a directory that names a patient",
			`{"resourceType":"Location","extension":[{"url":"http://x.example/home","valueReference":{"reference":"Patient/p1"}}]}`,
			compartment.Owners{Patients: []string{"p1"}, MayBeShared: true},
		},
		{"a catalogue", `{"resourceType":"Medication"}`, compartment.Owners{MayBeSharedByCustodian: true}},
	}
	c, _ := load(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tape fhir.Tape
			if err := tape.Parse([]byte(tt.src), fhir.Limits{}); err != nil {
				t.Fatal(err)
			}
			got := c.Of(&tape, base)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("owners (-want +got):\n%s\n%s", diff, tt.src)
			}
		})
	}
}

func TestNobodysTypesAreInNoPatientsCompartment(t *testing.T) {
	c, d := load(t)
	sharable := 0
	for _, typ := range d.Resources() {
		var tape fhir.Tape
		if err := tape.Parse([]byte(`{"resourceType":"`+typ.Name+`"}`), fhir.Limits{}); err != nil {
			t.Fatal(err)
		}
		o := c.Of(&tape, base)
		if !o.MayBeShared && !o.MayBeSharedByCustodian {
			continue
		}
		sharable++
		if codes := c.Params("Patient", typ.Name); codes != nil {
			t.Errorf("%s is shared, yet in a patient's compartment by %v", typ.Name, codes)
		}
	}
	if sharable != 60 {
		t.Errorf("got %d sharable types, want 60", sharable)
	}
}

func TestParamsAreThoseOfTheDefinitions(t *testing.T) {
	c, _ := load(t)
	tests := []struct {
		compartment, typ string
		want             []string
	}{
		{"Patient", "Observation", []string{"subject", "performer"}},
		{"Patient", "Patient", []string{"link"}},
		{"Patient", "AllergyIntolerance", []string{"patient", "recorder", "asserter"}},
		{"Patient", "Organization", nil},
		{"Encounter", "Encounter", []string{"{def}"}},
		{"Practitioner", "Observation", []string{"performer"}},
		{"Nowhere", "Observation", nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, c.Params(tt.compartment, tt.typ)); diff != "" {
			t.Errorf("%s/%s (-want +got):\n%s", tt.compartment, tt.typ, diff)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	c, _ := load(b)
	var tape fhir.Tape
	src := `{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"55284-4"}]},
		"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"performer":[{"reference":"Practitioner/d1"}]}`
	if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Of(&tape, base)
	}
}
