package r4_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

func load(tb testing.TB) *r4.Definitions {
	tb.Helper()
	d, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestEverythingIsThere(t *testing.T) {
	d := load(t)
	kinds := map[r4.TypeKind]int{}
	for _, typ := range d.Types() {
		kinds[typ.Kind]++
	}
	got := map[string]int{
		"resources": len(d.Resources()), "abstract and concrete": kinds[r4.KindResource], "data types": kinds[r4.KindComplex],
		"primitives": kinds[r4.KindPrimitive], "parameters": len(d.SearchParams()) - 2, "compartments": len(d.Compartments()),
	}
	// The 148 codes of http://hl7.org/fhir/resource-types, two of them abstract.
	want := map[string]int{
		"resources": 146, "abstract and concrete": 148, "data types": 41, "primitives": 20, "parameters": 1400, "compartments": 5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestNumbersAreDenseAndNamesUnique(t *testing.T) {
	d := load(t)
	for i, typ := range d.Resources() {
		if int(typ.Number) != i || (i > 0 && d.Resources()[i-1].Name >= typ.Name) {
			t.Errorf("resource %d is %s, number %d", i, typ.Name, typ.Number)
		}
	}
	for i, typ := range d.Types() {
		if int(typ.Number) != i || d.Type(typ.Name) != typ {
			t.Errorf("type %d is %s, number %d", i, typ.Name, typ.Number)
		}
	}
}

// An index on disk holds these numbers.
func TestNumbersOfSearchParametersNeverChange(t *testing.T) {
	h := sha256.New()
	for _, p := range load(t).SearchParams() {
		fmt.Fprintln(h, p.Number, p.URL)
	}
	const want = "f26e5713647d2ba00a85164364afb11e3284fd18107e8d5f5a7103363c52dc28"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("the numbers have changed: every index on disk is void\ngot  %s\nwant %s", got, want)
	}
}

func TestElementsAreFoundByTheirJSONNames(t *testing.T) {
	for _, typ := range load(t).Types() {
		slots := map[int]string{}
		for i := range typ.Elements {
			e := &typ.Elements[i]
			if got := typ.Element([]byte(e.Name)); got != e {
				t.Errorf("%s by name is %v", e.Path, got)
			}
			if typ.Element([]byte(e.Name+"x")) != nil || typ.Element([]byte("_"+e.Name)) != nil {
				t.Errorf("%s is found by another name", e.Path)
			}
			if e.Path != typ.Name+"."+e.Name || e.Type == nil || e.Slot >= typ.Slots || (e.Max != -1 && e.Max < 1) {
				t.Errorf("%s: %+v", e.Path, e)
			}
			if other, ok := slots[e.Slot]; ok && (other != e.Choice || e.Choice == "") {
				t.Errorf("%s shares a slot with %s", e.Path, other)
			}
			slots[e.Slot] = e.Choice
		}
		if len(slots) != typ.Slots {
			t.Errorf("%s fills %d of %d slots", typ.Name, len(slots), typ.Slots)
		}
		if typ.Element(nil) != nil {
			t.Errorf("%s has an element without a name", typ.Name)
		}
	}
}

func TestElements(t *testing.T) {
	type shape struct {
		Type     string
		Choice   string
		Min, Max int
		Targets  []fhir.ResourceType
		Binding  string
	}
	tests := map[string]shape{
		"Patient.id":                      {Type: "id", Max: 1},
		"Patient.contact":                 {Type: "Patient.contact", Max: -1},
		"Patient.contact.id":              {Type: "string", Max: 1},
		"Patient.gender":                  {Type: "code", Max: 1, Binding: "http://hl7.org/fhir/ValueSet/administrative-gender"},
		"Patient.deceasedDateTime":        {Type: "dateTime", Choice: "deceased", Max: 1},
		"Patient.link.other":              {Type: "Reference", Min: 1, Max: 1, Targets: []fhir.ResourceType{"Patient", "RelatedPerson"}},
		"Observation.focus":               {Type: "Reference", Max: -1},
		"Observation.valueQuantity":       {Type: "Quantity", Choice: "value", Max: 1},
		"Bundle.entry.link":               {Type: "Bundle.link", Max: -1},
		"Bundle.entry.resource":           {Type: "Resource", Max: 1},
		"Questionnaire.item.item":         {Type: "Questionnaire.item", Max: -1},
		"Questionnaire.item.answerOption": {Type: "Questionnaire.item.answerOption", Max: -1},
		"Extension.url":                   {Type: "uri", Min: 1, Max: 1},
		"Extension.valueBase64Binary":     {Type: "base64Binary", Choice: "value", Max: 1},
		"Timing.repeat":                   {Type: "Timing.repeat", Max: 1},
		"string.extension":                {Type: "Extension", Max: -1},
		"Narrative.div":                   {Type: "xhtml", Min: 1, Max: 1},
		"MedicationRequest.medicationReference": {
			Type: "Reference", Choice: "medication", Min: 1, Max: 1, Targets: []fhir.ResourceType{"Medication"},
		},
		"MedicationRequest.medicationCodeableConcept": {Type: "CodeableConcept", Choice: "medication", Min: 1, Max: 1},
	}
	d := load(t)
	for path, want := range tests {
		i := strings.LastIndexByte(path, '.')
		e := d.Type(path[:i]).Element([]byte(path[i+1:]))
		if e == nil {
			t.Errorf("%s is missing", path)
			continue
		}
		got := shape{Type: e.Type.Name, Choice: e.Choice, Min: e.Min, Max: e.Max, Targets: e.Targets}
		if e.Binding != nil {
			got.Binding = e.Binding.URL
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestResourcesAreConcrete(t *testing.T) {
	d := load(t)
	for _, name := range []string{"Resource", "DomainResource", "HumanName", "string", "Patient.contact", "patient", ""} {
		if d.Resource(name) != nil || d.ResourceBytes([]byte(name)) != nil {
			t.Errorf("%q passes for a resource type", name)
		}
	}
	if p := d.Resource("Patient"); p == nil || p.Base != d.Type("DomainResource") || p != d.ResourceBytes([]byte("Patient")) {
		t.Errorf("Patient is %v", p)
	}
}

func TestCodesOfRequiredBindings(t *testing.T) {
	d := load(t)
	gender := d.Type("Patient").Element([]byte("gender")).Binding
	want := []r4.Include{{
		System: "http://hl7.org/fhir/administrative-gender", Codes: []string{"female", "male", "other", "unknown"},
	}}
	if diff := cmp.Diff(want, gender.Includes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if system, ok := gender.System([]byte("other")); !ok || system != want[0].System {
		t.Errorf("the system of other is %q, %v", system, ok)
	}
	if system, ok := gender.System([]byte("otherwise")); ok {
		t.Errorf("otherwise is a code of %q", system)
	}
	if mime := d.Type("Attachment").Element([]byte("contentType")).Binding; mime.Listed() {
		t.Errorf("media types are listed: %v", mime.Includes)
	}
}

func TestSearchParameters(t *testing.T) {
	d := load(t)
	known := func(names []fhir.ResourceType) bool {
		return !slices.ContainsFunc(names, func(n fhir.ResourceType) bool { return d.Type(string(n)) == nil })
	}
	for _, p := range d.SearchParams() {
		if d.ParamByNumber(p.Number) != p || p.Kind.String() == "" || p.Code == "" || !known(p.Bases) || !known(p.Targets) {
			t.Errorf("%+v", p)
		}
		if (p.Kind == r4.ParamComposite) != (len(p.Components) > 0) {
			t.Errorf("%s: a %s with %d components", p.URL, p.Kind, len(p.Components))
		}
		for _, c := range p.Components {
			if c.Param == nil || c.Expression == "" {
				t.Errorf("%s: component %+v", p.URL, c)
			}
		}
	}
	for _, n := range []uint16{0, 1401, 0xFF00, 0xFFFF} {
		if p := d.ParamByNumber(n); p != nil {
			t.Errorf("parameter %d is %+v", n, p)
		}
	}
}

func TestParametersOfTypes(t *testing.T) {
	d := load(t)
	for _, typ := range d.Resources() {
		for i, p := range typ.Params() {
			if i > 0 && typ.Params()[i-1].Code >= p.Code {
				t.Errorf("%s has %s twice or out of order", typ.Name, p.Code)
			}
			if typ.Param(p.Code) != p || p.Internal {
				t.Errorf("%s by %s is %+v", typ.Name, p.Code, typ.Param(p.Code))
			}
		}
	}
	tests := []struct{ typ, code, url string }{
		{"Patient", "birthdate", "http://hl7.org/fhir/SearchParameter/individual-birthdate"},
		{"Patient", "_id", "http://hl7.org/fhir/SearchParameter/Resource-id"},
		{"Patient", "_text", "http://hl7.org/fhir/SearchParameter/DomainResource-text"},
		{"Bundle", "_id", "http://hl7.org/fhir/SearchParameter/Resource-id"},
		{"Bundle", "_text", ""},
		{"Condition", "subject", "http://hl7.org/fhir/SearchParameter/Condition-subject"},
		{"Patient", "part-agree", ""}, // the specification's example
		{"AuditEvent", "purpose", "https://vitrine.example/SearchParameter/auditevent-purpose"},
		{"Patient", "purpose", ""},
		{"Observation", "_awaits", ""},
	}
	for _, tt := range tests {
		got := ""
		if p := d.Type(tt.typ).Param(tt.code); p != nil {
			got = p.URL
		}
		if got != tt.url {
			t.Errorf("%s?%s is %q, want %q", tt.typ, tt.code, got, tt.url)
		}
	}
	if p := d.ParamByNumber(r4.ParamAwaits); p == nil || !p.Internal {
		t.Errorf("the internal parameter is %+v", p)
	}
}

func TestCompartments(t *testing.T) {
	d := load(t)
	var codes []string
	for _, c := range d.Compartments() {
		codes = append(codes, c.Code)
		for _, typ := range d.Resources() {
			params, _ := c.Params(typ.Resource())
			for _, code := range params {
				if code != "{def}" && typ.Param(code) == nil {
					t.Errorf("%s compartment: %s has no parameter %s", c.Code, typ.Name, code)
				}
			}
		}
	}
	if diff := cmp.Diff([]string{"Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"}, codes); diff != "" {
		t.Errorf("compartments (-want +got):\n%s", diff)
	}
	got, ok := d.Compartment("Patient").Params("Observation")
	if diff := cmp.Diff([]string{"subject", "performer"}, got); diff != "" || !ok {
		t.Errorf("Observation in a patient's compartment (-want +got):\n%s", diff)
	}
	if codes, ok := d.Compartment("Patient").Params("Organization"); ok {
		t.Errorf("Organization is in a patient's compartment by %v", codes)
	}
}

func TestInvariantsAreKeptWhereTheyHold(t *testing.T) {
	d := load(t)
	keys := func(is []r4.Invariant) []string {
		var out []string
		for _, i := range is {
			out = append(out, i.Key)
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff([]string{"dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "obs-6", "obs-7"}, keys(d.Type("Observation").Invariants)); diff != "" {
		t.Errorf("Observation (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ele-1", "pat-1"}, keys(d.Type("Patient.contact").Invariants)); diff != "" {
		t.Errorf("Patient.contact (-want +got):\n%s", diff)
	}
	if got := d.Type("Patient").Element([]byte("birthDate")).Invariants; got != nil {
		t.Errorf("Patient.birthDate repeats what date says: %v", got)
	}
}

func TestLookingUpAllocatesNothing(t *testing.T) {
	d := load(t)
	observation, name, typ := d.Type("Observation"), []byte("valueQuantity"), []byte("Observation")
	got := testing.AllocsPerRun(100, func() {
		if observation.Element(name) == nil || d.ResourceBytes(typ) == nil || observation.Param("code") == nil {
			t.Fatal("not found")
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations", got)
	}
}
