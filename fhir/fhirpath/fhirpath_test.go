package fhirpath

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

func TestPathsOfEveryForm(t *testing.T) {
	member := func(n string) Step { return Step{Kind: StepMember, Name: n} }
	as := func(n string) Step { return Step{Kind: StepAs, Name: n} }
	for src, want := range map[string][]Path{
		"Account.identifier":       {{Root: "Account", Steps: []Step{member("identifier")}}},
		"Observation":              {{Root: "Observation"}},
		"value.as(Quantity)":       {{Steps: []Step{member("value"), as("Quantity")}}},
		"(Group.value as boolean)": {{Root: "Group", Steps: []Step{member("value"), as("boolean")}}},
		"A.b | B.c":                {{Root: "A", Steps: []Step{member("b")}}, {Root: "B", Steps: []Step{member("c")}}},
		"(Observation.value as FHIR.CodeableConcept).text": {
			{Root: "Observation", Steps: []Step{member("value"), as("CodeableConcept"), member("text")}},
		},
		"A.s.where(resolve() is Patient)":   {{Root: "A", Steps: []Step{member("s"), {Kind: StepResolves, Name: "Patient"}}}},
		"A.t.where(system='phone')":         {{Root: "A", Steps: []Step{member("t"), {Kind: StepWhere, Name: "system", Value: "phone"}}}},
		"Bundle.entry[0].resource":          {{Root: "Bundle", Steps: []Step{member("entry"), {Kind: StepIndex}, member("resource")}}},
		"Device.extension('http://x')":      {{Root: "Device", Steps: []Step{{Kind: StepExtension, Value: "http://x"}}}},
		"%resource.referenceSeq.chromosome": {{Root: RootResource, Steps: []Step{member("referenceSeq"), member("chromosome")}}},
		"Q.i.where(hasExtension('u')).v.ofType(Reference)": {{Root: "Q", Steps: []Step{
			member("i"), {Kind: StepHasExtension, Value: "u"}, member("v"), as("Reference"),
		}}},
	} {
		e, err := Parse(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, ok := e.Paths()
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s: ok=%v %s", src, ok, diff)
		}
	}
}

func TestComputingExpressionHasNoPaths(t *testing.T) {
	for _, src := range []string{"Patient.deceased.exists() and Patient.deceased != false", "a = b", "'x'", "a.count()"} {
		e, err := Parse(src)
		if err != nil {
			t.Fatal(src, err)
		}
		if paths, ok := e.Paths(); ok {
			t.Errorf("%s: %v", src, paths)
		}
	}
}

func TestParseRefusesWhatIsNoExpression(t *testing.T) {
	for _, src := range []string{
		"", "a.", "a b", "(a", "a[", "a[0", "'x", "a.where(", "a and", "@", "a | ", "`x", "a..b", "/* x", "1 is", "and",
		strings.Repeat("(", 1000) + "a", strings.Repeat("-", 1000) + "a",
	} {
		if e, err := Parse(src); err == nil && src != "@" {
			t.Errorf("%.20q: parsed as %+v", src, e)
		}
	}
}

func load(tb testing.TB) *r4.Definitions {
	tb.Helper()
	d, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func parse(tb testing.TB, src string) *fhir.Tape {
	tb.Helper()
	tape := new(fhir.Tape)
	if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
		tb.Fatal(err)
	}
	return tape
}

// show is a value as it is written: computed ones by toString(), elements by what
// stands on the tape.
func show(t *fhir.Tape, v Value) string {
	switch {
	case !v.IsElement():
		return v.Text()
	case t.Kind(v.Node) == fhir.String:
		return t.Text(v.Node)
	case v.Node == fhir.None:
		return string(t.Raw(v.Extra))
	}
	return string(t.Raw(v.Node))
}

func TestRun(t *testing.T) {
	d := load(t)
	tape := parse(t, `{"resourceType":"Patient","deceasedBoolean":true,"contained":[{"resourceType":"Organization","id":"o"}],
		"telecom":[{"system":"phone","value":"1"},{"system":"email","value":"2"}],
		"managingOrganization":{"reference":"#o"},"extension":[{"url":"u","valueString":"x"}]}`)
	for expr, want := range map[string][]string{
		"Patient.deceased.exists() and Patient.deceased != false":                 {"true"},
		"Patient.telecom.where(system='email').value":                             {"2"},
		"Patient.telecom[0].value | Patient.telecom.value":                        {"1", "2"},
		"Patient.managingOrganization.where(resolve() is Patient)":                nil,
		"Patient.managingOrganization.where(resolve() is Organization).reference": {"#o"},
		"extension('u').value.as(string)":                                         {"x"},
		"Observation.status":                                                      nil,
		"Patient.name.exists().not()":                                             {"true"},
		"(Patient.deceased as boolean)":                                           {"true"},
		"(Patient.deceased as dateTime)":                                          nil,
	} {
		p, err := Compile(expr, d)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		out, err := p.Run(&Scope{Tape: tape})
		if err != nil {
			t.Fatal(expr, err)
		}
		var got []string
		for _, v := range out {
			got = append(got, show(tape, v))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", expr, diff)
		}
	}
}

func TestCompileRefusesWhatIsNotOfTheLanguage(t *testing.T) {
	for _, src := range []string{"a.nonsense()", "$other", "a.$index", "a.where()", "a.first(b)", "a is nonsense", "'a'.matches('[')", "1 'mg' 'g'"} {
		if _, err := Compile(src, load(t)); err == nil {
			t.Errorf("%s: compiled", src)
		}
	}
}
