package fhirpath

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

const bundled = `{"resourceType":"Bundle","type":"collection","entry":[
	{"fullUrl":"http://x.org/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1","birthDate":"1974","_birthDate":{"id":"b",
		"extension":[{"url":"u","valueString":"x"}]},"name":[{"family":"A","given":["Peter",null],"_given":[null,{"extension":[{"url":"v","valueCode":"y"}]}],
		"_use":{"extension":[{"url":"w","valueBoolean":true}]}}],"contained":[{"resourceType":"Practitioner","id":"c"}],
		"generalPractitioner":[{"reference":"#c"},{"reference":"Practitioner/9"},{"type":"Organization","display":"z"},{"display":"?"}]}},
	{"fullUrl":"urn:uuid:0b65b4b4-0000-4000-8000-000000000001","resource":{"resourceType":"Observation","id":"o","status":"final",
		"code":{"coding":[{"system":"s","code":"1"},{"system":"s","code":"2"}]},"subject":{"reference":"Patient/1"},
		"performer":[{"reference":"urn:uuid:0b65b4b4-0000-4000-8000-000000000001"}]}}]}`

// shown are the results of an expression at an entry of the Bundle.
func shown(t *testing.T, d *r4.Definitions, tape *fhir.Tape, at fhir.Node, src string, scope Scope) []string {
	t.Helper()
	p, err := Compile(src, d)
	if err != nil {
		t.Fatal(src, err)
	}
	scope.Tape, scope.Resource, scope.Container, scope.Focus = tape, at, at, Value{Node: at}
	out, err := p.Run(&scope)
	if err != nil {
		t.Errorf("%s: %v", src, err)
	}
	var got []string
	for _, v := range out {
		got = append(got, show(tape, v))
	}
	return got
}

// TestElements asks what stands beside primitives, and what references lead to.
func TestElements(t *testing.T) {
	d, tape := load(t), parse(t, bundled)
	list := tape.First(tape.Field(tape.Root(), "entry"))
	patient, observation := tape.Field(list, "resource"), tape.Field(tape.Next(list), "resource")
	for src, want := range map[string][]string{
		"birthDate.extension('u').value":                                       {"x"},
		"birthDate.id":                                                         {"b"},
		"birthDate.children().count()":                                         {"2"},
		"birthDate.hasValue() and birthDate.getValue() = @1974":                {"true"},
		"birthDate.hasExtension('u')":                                          {"true"},
		"name.given.count()":                                                   {"2"},
		"name.given.hasValue()":                                                {"false"},
		"name.given.select(hasValue())":                                        {"true", "false"},
		"name.given.where(hasValue().not()).extension.value":                   {"y"},
		"name.use.exists() and name.use.hasValue().not()":                      {"true"},
		"name.use = 'official'":                                                {"false"},
		"name.children().extension.value":                                      {"y", "true"},
		"descendants().where($this is Extension).url":                          {"u", "v", "w"},
		"generalPractitioner.resolve().type().name":                            {"Practitioner", "Practitioner", "Organization"},
		"generalPractitioner.where(resolve() is Practitioner).reference":       {"#c", "Practitioner/9"},
		"generalPractitioner.resolve().id":                                     {"c"},
		"%rootResource.contained.id = %resource.contained.id":                  {"true"},
		"contained.select(%context.id)":                                        {"1"},
		"%`vs-x` & %`ext-y`":                                                   {"http://hl7.org/fhir/ValueSet/xhttp://hl7.org/fhir/StructureDefinition/y"},
		"checkModifiers('m').id":                                               {"1"},
		"%given":                                                               {"g"},
		"conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')": {"true"},
	} {
		scope := Scope{Vars: map[string][]Value{"given": {String("g")}}}
		if diff := cmp.Diff(want, shown(t, d, tape, patient, src, scope)); diff != "" {
			t.Errorf("%s: %s", src, diff)
		}
	}
	for src, want := range map[string][]string{
		"subject.resolve().birthDate":                                 {"1974"},
		"performer.resolve().status":                                  {"final"},
		"code.memberOf('of one')":                                     nil,
		"code.coding.first().subsumes(%resource.code.coding.first())": {"true"},
		"code.coding.first().subsumes(%resource.code.coding.last())":  nil,
	} {
		if diff := cmp.Diff(want, shown(t, d, tape, observation, src, Scope{})); diff != "" {
			t.Errorf("%s: %s", src, diff)
		}
	}
}

// TestHolds shows that what is false fails, and what is empty does not.
func TestHolds(t *testing.T) {
	d, tape := load(t), parse(t, bundled)
	for src, want := range map[string]bool{
		"true": true, "false": false, "{}": true, "'x'": true, "id.startsWith('a')": true,
		"entry.exists()": true, "entry.empty()": false, "entry.all(resource.id = '1')": false,
	} {
		p, err := Compile(src, d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Holds(&Scope{Tape: tape}); got != want || err != nil {
			t.Errorf("%s: %v %v", src, got, err)
		}
	}
	p, err := Compile("entry.fullUrl", d)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Holds(&Scope{Tape: tape}); got || !errors.Is(err, ErrEvaluation) {
		t.Errorf("two strings: %v %v", got, err)
	}
}

// TestCostIsBounded asks for what grows without end, or takes long to work out.
func TestCostIsBounded(t *testing.T) {
	d, tape := load(t), parse(t, bundled)
	for _, src := range []string{
		"1.repeat($this + 1)",
		"'abcdefgh'.toChars().aggregate($total & $total & $total & $total & $this, 'abcdefghabcdefgh')",
		"descendants().select(%resource.descendants()).select(%resource.descendants()).count()",
		"descendants().descendants().descendants().descendants().descendants().combine(descendants()).isDistinct()",
		"descendants().where(%resource.descendants().where(%resource.descendants().exists($this is Patient)).exists()).select(%resource.descendants().descendants()).count()",
	} {
		p, err := Compile(src, d)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := p.Run(&Scope{Tape: tape, Steps: 1 << 16}); !errors.Is(err, ErrTooCostly) && len(out) > 1000 {
			t.Errorf("%s: %d values, %v", src, len(out), err)
		}
	}
	p, err := Compile("1.repeat($this + 1)", d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(&Scope{Tape: tape}); !errors.Is(err, ErrTooCostly) {
		t.Errorf("without a budget of its own: %v", err)
	}
}

// TestErrors shows that what cannot be evaluated is an error, and its neighbour
// is none.
func TestErrors(t *testing.T) {
	d, tape := load(t), parse(t, bundled)
	for src, fails := range map[string]bool{
		"entry.single()": true, "entry.first().single()": false, "now()": true, "%other": true, "1 + 'a'": true, "1 + 1": false,
		"1 < 'a'": true, "entry.fullUrl.length()": true, "(1|2) and true": true, "1 and true": false, "-'a'": true, "conformsTo('x')": true,
		"'a'.matches('(')": true, "'a'.matches('(' & 'a)')": false, "'a'.matches('(' & 'a')": true, "@2012 + 1": true, "@2012 + 1 'mo'": true,
	} {
		p, err := Compile(src, d)
		if err == nil {
			_, err = p.Run(&Scope{Tape: tape})
		}
		if (err != nil) != fails {
			t.Errorf("%s: %v", src, err)
		}
	}
	if got := shown(t, d, tape, 0, "0.power(0) = 1 and 185.5.exp() > 10.power(80) and 185.5.exp() < 10.power(81)", Scope{}); len(got) != 1 || got[0] != "true" {
		t.Errorf("a large power: %v", got)
	}
	p, err := Compile("true", d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(&Scope{}); !errors.Is(err, ErrEvaluation) {
		t.Errorf("without a resource: %v", err)
	}
}
