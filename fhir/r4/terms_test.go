package r4

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func loadTerms(tb testing.TB) *Terms {
	tb.Helper()
	t, err := LoadTerms()
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestHierarchies(t *testing.T) {
	const act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	terms := loadTerms(t)
	for name, c := range map[string]struct {
		ask          func(system, code string) ([]string, bool)
		system, code string
		want         []string
	}{
		"below by nesting":    {terms.Below, act, "_ActEncounterCode", []string{"AMB", "EMER", "FLD", "HH", "IMP", "ACUTE", "NONAC", "OBSENC", "PRENC", "SS", "VR", "_ActEncounterCode"}},
		"below in lower case": {terms.Below, act, "imp", []string{"ACUTE", "IMP", "NONAC"}},
		"above":               {terms.Above, act, "ACUTE", []string{"ACUTE", "IMP", "_ActCareProvisionCode", "_ActEncounterCode"}},
		"above two":           {terms.Above, "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "NAV", []string{"ASKU", "NAV", "NAVU", "NI", "UNK"}},
		"of no hierarchy":     {terms.Below, "http://hl7.org/fhir/administrative-gender", "male", []string{"male"}},
		"no such code":        {terms.Below, act, "nonsense", nil},
		"no such system":      {terms.Above, "http://loinc.org", "8480-6", nil},
	} {
		slices.Sort(c.want)
		got, ok := c.ask(c.system, c.code)
		if diff := cmp.Diff(c.want, got); diff != "" || ok != (c.want != nil) {
			t.Errorf("%s: ok %v (-want +got):\n%s", name, ok, diff)
		}
	}
	if got := terms.SystemsOf("ACUTE"); !slices.Contains(got, act) {
		t.Errorf("systems of ACUTE: %v", got)
	}
}

func TestValueSetsOfTerms(t *testing.T) {
	terms := loadTerms(t)
	for url, want := range map[string]struct {
		known, listed bool
		includes      []Include
	}{
		"http://hl7.org/fhir/ValueSet/administrative-gender": {true, true, []Include{
			{"http://hl7.org/fhir/administrative-gender", []string{"female", "male", "other", "unknown"}},
		}},
		"http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1": {true, true, []Include{
			{"http://hl7.org/fhir/administrative-gender", []string{"female", "male", "other", "unknown"}},
		}},
		"http://hl7.org/fhir/ValueSet/administrative-gender|5": {},
		"http://hl7.org/fhir/ValueSet/observation-codes":       {true, true, []Include{{"http://loinc.org", nil}}},
		"http://hl7.org/fhir/ValueSet/condition-code":          {true, false, nil}, // SNOMED CT below a code
		"http://hl7.org/fhir/ValueSet/nonsense":                {},
	} {
		includes, known, listed := terms.ValueSet(url)
		if diff := cmp.Diff(want.includes, includes); diff != "" || known != want.known || listed != want.listed {
			t.Errorf("%s: known %v, listed %v (-want +got):\n%s", url, known, listed, diff)
		}
	}
}

// TestTermsAgreeWithBindings holds the two tables against each other: a required
// binding has the same codes in both.
func TestTermsAgreeWithBindings(t *testing.T) {
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	terms := loadTerms(t)
	compared := 0
	for i := range d.valueSets {
		v := &d.valueSets[i]
		if !v.Listed() {
			continue
		}
		got, _, _ := terms.ValueSet(v.URL)
		if diff := cmp.Diff(v.Includes, got); diff != "" {
			t.Errorf("%s (-bindings +terms):\n%s", v.URL, diff)
		}
		compared++
	}
	if compared < 150 {
		t.Errorf("only %d were compared", compared)
	}
}

// TestRulesOfValueSets are those that the definitions have too few of.
func TestRulesOfValueSets(t *testing.T) {
	tree := &codeSystem{codes: []string{"a", "a1", "a11", "b"}, parents: [][]int{nil, {0}, {1}, nil}}
	set := func(rules ...termRule) *termSet { return &termSet{version: "1", listed: true, rules: rules} }
	out := func(r termRule) termRule { r.exclude = true; return r }
	some := termRule{kind: ruleCodes, system: "s", codes: []string{"1", "2"}}
	terms := &Terms{
		systems: map[string]*codeSystem{"tree": tree},
		sets: map[string]*termSet{
			"some": set(some), "tree": set(termRule{system: "tree"}), "all of s": set(termRule{system: "s"}),
			"not a":                     set(termRule{kind: ruleIsNotA, system: "tree", codes: []string{"a"}}),
			"under":                     set(termRule{kind: ruleDescendent, system: "tree", codes: []string{"a"}}),
			"both":                      set(termRule{kind: ruleSets, sets: []string{"tree", "some"}}, termRule{kind: ruleIsA, system: "tree", codes: []string{"a"}, sets: []string{"tree"}}),
			"less":                      set(termRule{system: "tree"}, out(termRule{kind: ruleIsA, system: "tree", codes: []string{"a1"}})),
			"less of what is not known": set(termRule{system: "s"}, out(some)),
			"none left":                 set(some, out(termRule{system: "s"})),
			"itself":                    set(termRule{kind: ruleSets, sets: []string{"itself"}}),
			"part of all":               set(termRule{system: "s", sets: []string{"some"}}),
			"all and some":              set(termRule{system: "s"}, some),
			"not listed":                {version: "1"},
		},
	}
	for url, want := range map[string][]Include{
		"some": {{"s", []string{"1", "2"}}}, "not a": {{"tree", []string{"b"}}}, "under": {{"tree", []string{"a1", "a11"}}},
		"both": {{"tree", []string{"a", "a1", "a11"}}}, "less": {{"tree", []string{"a", "b"}}}, "none left": nil,
		"part of all": {{"s", []string{"1", "2"}}}, "all and some": {{"s", nil}}, "all of s": {{"s", nil}},
	} {
		got, known, listed := terms.ValueSet(url)
		if diff := cmp.Diff(want, got); diff != "" || !known || !listed {
			t.Errorf("%s: known %v, listed %v (-want +got):\n%s", url, known, listed, diff)
		}
	}
	for _, url := range []string{"less of what is not known", "itself", "not listed"} {
		if got, known, listed := terms.ValueSet(url); !known || listed {
			t.Errorf("%s: %v", url, got)
		}
	}
}

func TestDamagedTermsAreRefused(t *testing.T) {
	whole := termsMagic + "\x01\x01s\x01\x01c\x00\x00"
	if _, err := decodeTerms(whole); err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{"", whole[:len(whole)-1], whole + "\x00", strings.Replace(whole, "\x01c\x00", "\x01c\x01", 1), "x" + whole} {
		if _, err := decodeTerms(src); !errors.Is(err, errTables) {
			t.Errorf("%q: %v", src, err)
		}
	}
}

func BenchmarkLoadTerms(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadTerms(); err != nil {
			b.Fatal(err)
		}
	}
}
