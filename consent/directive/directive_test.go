package directive_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/consent/directive"
	"vitrine/fhir"
)

const base = "https://nehr.example/fhir"

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// about are targets of one reference each.
func about(refs ...string) (all []directive.Target) {
	for _, ref := range refs {
		all = append(all, directive.Target{Who: []string{ref}})
	}
	return all
}

func ward() *consent.Caller {
	return &consent.Caller{
		Kind: consent.Practitioner, Organization: "ward", Lineage: []string{"ward", "hospital"}, LineageBroken: true,
		Practitioner: "Practitioner/x", Role: "PractitionerRole/y",
	}
}

func TestCompileReadsEveryPart(t *testing.T) {
	got, err := compile(t, `{"resourceType":"Basic","id":"d","code":{"coding":[
		{"system":"https://vitrine.example/CodeSystem/nehr-directive","code":"BLOCK_WRITE"},
		{"system":"https://vitrine.example/CodeSystem/nehr-directive","code":"LIMIT_TYPES"},{"system":"other","code":"x"}]},
		"subject":{"reference":"Organization/a"},"extension":[
		{"url":"https://vitrine.example/StructureDefinition/directive-target","valueReference":{"reference":"https://nehr.example/fhir/Device/d1"}},
		{"url":"https://vitrine.example/StructureDefinition/directive-type","valueCode":"Immunization"},
		{"url":"https://vitrine.example/StructureDefinition/directive-period","valuePeriod":{"start":"2026-08-01T00:00:00Z"}},{"url":"other"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := directive.Directive{
		ID: "d", Effects: []directive.Effect{directive.BlockWrite, directive.LimitTypes},
		Targets: about("Organization/a", "Device/d1"), Types: []fhir.ResourceType{"Immunization"},
		Period: consent.Period{From: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)},
	}
	want.Targets[0].Place, want.Targets[1].Place = "Basic.subject", "Basic.extension[0]"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWhatCannotBeReadBlocks: a directive is a prohibition.
func TestWhatCannotBeReadBlocks(t *testing.T) {
	const code = `"code":{"coding":[{"system":"https://vitrine.example/CodeSystem/nehr-directive","code":"BLOCK_READ"}]}`
	for name, row := range map[string]struct {
		src  string
		want error
	}{
		"nothing":                  {`{"resourceType":"Basic"}`, directive.ErrEffect},
		"unknown effect":           {`{"resourceType":"Basic","code":{"coding":[{"system":"https://vitrine.example/CodeSystem/nehr-directive","code":"FORGET"}]},"subject":{"reference":"Organization/ward"}}`, directive.ErrEffect},
		"no target":                {`{"resourceType":"Basic",` + code + `}`, directive.ErrTarget},
		"another target":           {`{"resourceType":"Basic",` + code + `,"subject":{"reference":"Patient/p"}}`, directive.ErrTarget},
		"logical target":           {`{"resourceType":"Basic",` + code + `,"subject":{"identifier":{"value":"x"}}}`, directive.ErrTarget},
		"no types":                 {`{"resourceType":"Basic","code":{"coding":[{"system":"https://vitrine.example/CodeSystem/nehr-directive","code":"LIMIT_TYPES"}]},"subject":{"reference":"Organization/ward"}}`, directive.ErrTypes},
		"period":                   {`{"resourceType":"Basic",` + code + `,"subject":{"reference":"Organization/ward"},"extension":[{"url":"https://vitrine.example/StructureDefinition/directive-period","valuePeriod":{"end":"x"}}]}`, directive.ErrPeriod},
		"modifier":                 {`{"resourceType":"Basic",` + code + `,"subject":{"reference":"Organization/ward"},"modifierExtension":[{"url":"x"}]}`, directive.ErrOther},
		"one of two":               {`{"resourceType":"Basic",` + code + `,"subject":{"reference":"Organization/ward"},"extension":[{"url":"https://vitrine.example/StructureDefinition/directive-target"}]}`, directive.ErrTarget},
		"misspelt, beside another": {`{"resourceType":"Basic",` + code + `,"subject":{"reference":"Organization/elsewhere"},"extension":[{"url":"https://vitrine.example/StructureDefinition/directive-targets","valueReference":{"reference":"Organization/ward"}}]}`, directive.ErrOther},
		"not even a type":          {`{}`, directive.ErrEffect},
	} {
		d, err := compile(t, row.src)
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
		if !(directive.Set{d}).Blocks(ward(), "", false, "Condition", noon) {
			t.Errorf("%s: does not block", name)
		}
	}
}

// TestFaultsNameTheirPlace: where a directive cannot be read is said with the reason,
// and what the server itself keeps in one is none of it.
func TestFaultsNameTheirPlace(t *testing.T) {
	const code = `"code":{"coding":[{"system":"https://vitrine.example/CodeSystem/nehr-directive","code":"BLOCK_READ"}]}`
	const ward = `"subject":{"reference":"Organization/ward"}`
	extension := func(name, value string) string {
		return `{"url":"https://vitrine.example/StructureDefinition/directive-` + name + `",` + value + `}`
	}
	for src, want := range map[string]string{
		`"subject":{"reference":"Organization/ward"}`:                                                          "Basic.code",
		code + `,"subject":{"reference":"Patient/p"}`:                                                          "Basic.subject",
		code + `,` + ward + `,"extension":[{"url":"x"},` + extension("target", `"valueString":"x"`) + `]`:      "Basic.extension[1]",
		code + `,` + ward + `,"extension":[` + extension("periods", `"valuePeriod":{}`) + `]`:                  "Basic.extension[0]",
		code + `,` + ward + `,"modifierExtension":[{"url":"x"}]`:                                               "Basic.modifierExtension",
		strings.Replace(code, "BLOCK_READ", "DESTROY", 1) + `,"subject":{"reference":"Device/d"}`:              "Basic",
		code + `,` + ward + `,"extension":[` + extension("record", `"valueString":"x"`) + `,{"url":"other"}]`:  "",
		strings.Replace(code, "BLOCK_READ", "LIMIT_TYPES", 1) + `,` + ward:                                     "Basic.extension",
		code + `,` + ward + `,"extension":[` + extension("target", `"extension":[{"url":"profession"}]`) + `]`: "Basic.extension[0]",
	} {
		_, err := compile(t, `{"resourceType":"Basic",`+src+`}`)
		got := ""
		if fault := (*directive.Fault)(nil); errors.As(err, &fault) {
			got = fault.Place
		}
		if got != want {
			t.Errorf("%s: %q (%v), want %q", src, got, err, want)
		}
	}
}

func TestDirectivesBlockThoseTheyAreAbout(t *testing.T) {
	read := []directive.Effect{directive.BlockRead}
	for name, row := range map[string]struct {
		d           directive.Directive
		read, write bool
	}{
		"the organisation":         {directive.Directive{Effects: read, Targets: about("Organization/ward")}, true, false},
		"what it is part of":       {directive.Directive{Effects: read, Targets: about("Organization/hospital")}, true, false},
		"another organisation":     {directive.Directive{Effects: read, Targets: about("Organization/clinic")}, false, false},
		"the person":               {directive.Directive{Effects: read, Targets: about("Practitioner/x")}, true, false},
		"another person":           {directive.Directive{Effects: read, Targets: about("Practitioner/y")}, false, false},
		"the role":                 {directive.Directive{Effects: read, Targets: about("PractitionerRole/y")}, true, false},
		"the client":               {directive.Directive{Effects: read, Targets: about("Device/dev")}, true, false},
		"another client":           {directive.Directive{Effects: read, Targets: about("Device/other")}, false, false},
		"one of several":           {directive.Directive{Effects: read, Targets: about("Device/other", "Practitioner/x")}, true, false},
		"writing":                  {directive.Directive{Effects: []directive.Effect{directive.BlockWrite}, Targets: about("Organization/ward")}, false, true},
		"both":                     {directive.Directive{Effects: []directive.Effect{directive.BlockWrite, directive.BlockRead}, Targets: about("Organization/ward")}, true, true},
		"types, this left":         {directive.Directive{Effects: []directive.Effect{directive.LimitTypes}, Types: []fhir.ResourceType{"Condition"}}, false, false},
		"types, this not left":     {directive.Directive{Effects: []directive.Effect{directive.LimitTypes}, Types: []fhir.ResourceType{"Patient"}}, true, false},
		"the zero value":           {directive.Directive{}, true, true},
		"not yet":                  {directive.Directive{Period: consent.Period{From: noon.Add(1)}}, false, false},
		"until now":                {directive.Directive{Period: consent.Period{Until: noon}}, true, true},
		"over":                     {directive.Directive{Period: consent.Period{Until: noon.Add(-1)}}, false, false},
		"an effect of another day": {directive.Directive{Effects: []directive.Effect{99}}, true, true},
	} {
		s := directive.Set{{Period: consent.Period{Until: noon.Add(-1)}}, row.d}
		if got := s.Blocks(ward(), "dev", false, "Condition", noon); got != row.read {
			t.Errorf("%s: blocks reading: %v", name, got)
		}
		if got := s.Blocks(ward(), "dev", true, "Condition", noon); got != row.write {
			t.Errorf("%s: blocks writing: %v", name, got)
		}
	}
	for _, k := range []consent.Kind{consent.Patient, consent.Representative, consent.Regulator, consent.Custodian} {
		if (directive.Set{{}}).Blocks(&consent.Caller{Kind: k}, "", false, "Condition", noon) {
			t.Errorf("%s is blocked", k)
		}
	}
	if !(directive.Set{{}}).Blocks(&consent.Caller{}, "", false, "Condition", noon) {
		t.Error("nobody is not blocked")
	}
	if (directive.Set)(nil).Blocks(ward(), "", false, "Condition", noon) {
		t.Error("no directive blocks")
	}
}

func compile(t *testing.T, src string) (directive.Directive, error) {
	t.Helper()
	var tape fhir.Tape
	if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
		t.Fatal(err)
	}
	return directive.Compile(&tape, base)
}

// TestRecordsRoundTrip: what the server writes of who did what it reads again, and
// nothing that a client sends in its place is left.
func TestRecordsRoundTrip(t *testing.T) {
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "none") {
			return time.Time{}
		}
		return noon.Add(time.Duration(rapid.IntRange(0, 1<<30).Draw(t, "ms")) * time.Millisecond)
	})
	act := rapid.Custom(func(t *rapid.T) (a directive.Act) {
		if a.At = instant.Draw(t, "at"); !a.At.IsZero() {
			a.By = directive.Person{Issuer: "https://idp.example", Subject: rapid.String().Draw(t, "subject"), User: rapid.SampledFrom([]string{"", "Practitioner/x"}).Draw(t, "user")}
		}
		return a
	})
	bodies := []string{
		`{"resourceType":"Basic"}`, `{"resourceType":"Basic","extension":[]}`, `{"resourceType":"Basic","extension":[{"url":"x"}],"id":"d"}`,
		`{"resourceType":"Basic","extension":[{"url":"x"},{"url":"` + directive.ExtensionRecord + `","extension":[{"url":"state","valueCode":"lifted"}]},{"url":"y"}]}`,
		`{"resourceType":"Basic","extension":[{"url":"` + directive.ExtensionRecord + `"},{"url":"` + directive.ExtensionRecord + `","extension":[{"url":"state","valueCode":"lifted"}]}]}`,
	}
	rapid.Check(t, func(rt *rapid.T) {
		want := directive.Record{
			State:    directive.State(rapid.IntRange(0, 4).Draw(rt, "state")), //nolint:gosec // one of five
			Proposed: act.Draw(rt, "proposed"), Agreed: act.Draw(rt, "agreed"), Lifting: act.Draw(rt, "lifting"), Ended: act.Draw(rt, "ended"),
			Until: instant.Draw(rt, "until"), End: instant.Draw(rt, "end"), Task: rapid.SampledFrom([]string{"", "Task/x"}).Draw(rt, "task"),
		}
		var tape, again fhir.Tape
		if err := tape.Parse([]byte(rapid.SampledFrom(bodies).Draw(rt, "body")), fhir.Limits{}); err != nil {
			rt.Fatal(err)
		}
		out := directive.Recorded(&tape, want)
		if err := again.Parse(out, fhir.Limits{}); err != nil {
			rt.Fatalf("%v: %s", err, out)
		}
		d, _ := directive.Compile(&again, base)
		if diff := cmp.Diff(want, d.Record); diff != "" {
			rt.Fatalf("(-want +got):\n%s\n%s", diff, out)
		}
		if twice := directive.Recorded(&again, want); string(twice) != string(out) {
			rt.Fatalf("written twice:\n%s\n%s", out, twice)
		}
	})
}

// TestUnionOfBlocks: several directives together block what any of them blocks, and
// one more never blocks less; those that are not in force are as good as absent.
func TestUnionOfBlocks(t *testing.T) {
	nurse := fhir.Coding{System: "s", Code: "nurse"}
	types := []fhir.ResourceType{"Condition", "Immunization", "Observation"}
	one := rapid.Custom(func(t *rapid.T) directive.Directive {
		return directive.Directive{
			Effects: rapid.SliceOfN(rapid.SampledFrom([]directive.Effect{directive.BlockRead, directive.BlockWrite, directive.LimitTypes, directive.LimitClasses, directive.Destroy}), 1, 2).Draw(t, "effects"),
			Targets: []directive.Target{{Who: rapid.SliceOfN(rapid.SampledFrom([]string{"Organization/ward", "Organization/hospital", "Practitioner/x", "Practitioner/z", "Device/dev", "Device/other"}), 1, 2).Draw(t, "who")}},
			Types:   rapid.SliceOf(rapid.SampledFrom(types)).Draw(t, "types"), Of: rapid.SliceOf(rapid.SampledFrom(types)).Draw(t, "of"), Classes: []fhir.Coding{nurse},
			Record: directive.Record{State: directive.State(rapid.IntRange(0, 4).Draw(t, "state"))}, //nolint:gosec // one of five
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		all := directive.Set(rapid.SliceOf(one).Draw(rt, "set"))
		c := ward()
		c.RoleCodes = []fhir.Coding{rapid.SampledFrom([]fhir.Coding{nurse, {System: "s", Code: "doctor"}}).Draw(rt, "role")}
		readable := false
		for _, ty := range types {
			for _, write := range []bool{false, true} {
				any := false
				for _, d := range all {
					blocks := directive.Set{d}.Blocks(c, "dev", write, ty, noon)
					if blocks && d.Record.State != directive.Active {
						rt.Fatalf("%v blocks and is not in force", d)
					}
					any = any || blocks
				}
				got := all.Blocks(c, "dev", write, ty, noon)
				if got != any {
					rt.Fatalf("together %v, one by one %v", got, any)
				}
				readable = readable || !got
			}
		}
		if all.Shuts(c, "dev", noon) && readable {
			rt.Fatal("shut, and yet something is open")
		}
	})
}
