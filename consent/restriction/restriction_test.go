package restriction_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/restriction"
	"vitrine/fhir"
	"vitrine/fhir/r4"
)

const (
	base    = "https://nehr.example/fhir"
	folder  = "../../testdata/consent"
	version = "Consent/c/_history/1"
)

// TestConsents runs the cases of testdata/consent/consents.txt (its first lines
// say how).
func TestConsents(t *testing.T) {
	defs := definitions(t)
	text, err := os.ReadFile(filepath.Join(folder, "consents.txt"))
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(string(text), "\n== ")[1:]
	r4Cases := 0
	for _, c := range cases {
		lines := strings.SplitN(c, "\n", 4)
		t.Run(lines[0], func(t *testing.T) { runCase(t, defs, lines[1], lines[2]) })
		if strings.HasPrefix(lines[1], "r4/") {
			r4Cases++
		}
	}
	if r4Cases != 12 {
		t.Errorf("%d of the twelve examples of R4 are cases", r4Cases)
	}
}

func runCase(t *testing.T, defs *r4.Definitions, source, outcome string) {
	t.Helper()
	src := content(t, source)
	r, problem := restriction.Compile(parse(t, src), defs, base, version)
	at := ""
	if problem != nil {
		at = problem.Issues[0].Expression
		for _, i := range problem.Issues {
			if i.Text == "" || i.Severity != fhir.SeverityError {
				t.Errorf("an issue without a reason: %+v", i)
			}
		}
	}
	got := "= accepted " + level(r, "a") + " " + level(r, "b")
	if problem != nil {
		got = "= refused " + at + " " + level(r, "a") + " " + level(r, "b")
	}
	if got != outcome {
		t.Errorf("got  %s\nwant %s\nproblem %+v\nfrom %s", got, outcome, problem, src)
	}
	if r.Version[0] != version {
		t.Errorf("version %q", r.Version[0])
	}
}

// level is what the doctor of an organisation sees under the one restriction.
func level(r consent.Restriction, organization string) string {
	now := time.Date(2026, 8, 1, 10, 0, 0, 0, time.FixedZone("", 8*60*60))
	c := &consent.Caller{
		Kind: consent.Practitioner, Purpose: consent.Treatment, Organization: organization, Client: "emr",
		Practitioner: "Practitioner/" + organization + "1", Role: "PractitionerRole/" + organization + "1",
	}
	f := &consent.Facts{
		Patient: "p", Exists: true, Restrictions: []consent.Restriction{r},
		Registrations: []consent.Registration{{Organization: "a"}, {Organization: "b"}},
	}
	return [...]string{"none", "basic", "full", "self"}[consent.Decide(consent.Policy{}, c, f, now).Level]
}

func content(t *testing.T, source string) []byte {
	t.Helper()
	if strings.HasPrefix(source, "r4/") {
		src, err := os.ReadFile(filepath.Join(folder, source))
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(expand(source)), &members); err != nil {
		t.Fatalf("%v in %s", err, source)
	}
	var plain map[string]json.RawMessage
	if err := json.Unmarshal([]byte(`{"resourceType": "Consent", "id": "c", "status": "active",
		"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
		"category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "patient": {"reference": "Patient/p"}}`), &plain); err != nil {
		t.Fatal(err)
	}
	maps.Copy(plain, members)
	maps.DeleteFunc(plain, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	src, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// expand writes out the words in angle brackets.
func expand(s string) string {
	concept := func(system, code string) string {
		return `{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/` + system + `", "code": "` + code + `"}]}`
	}
	var pairs []string
	for _, c := range []string{"OPTIN", "OPTINR", "OPTOUT", "OPTOUTE", "NOPP"} {
		pairs = append(pairs, "<"+c+">", concept("v3-ActCode", c))
	}
	for _, c := range []string{"IRCP", "CST"} {
		pairs = append(pairs, "<"+c+">", concept("v3-ParticipationType", c))
	}
	for _, c := range []string{"TREAT", "ETREAT", "BTG", "HPAYMT"} {
		pairs = append(pairs, "<"+c+">", `{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "`+c+`"}`)
	}
	for _, c := range []string{"a", "b"} {
		pairs = append(pairs, "<"+c+">", `{"role": `+concept("v3-ParticipationType", "IRCP")+`, "reference": {"reference": "Organization/`+c+`"}}`)
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// TestCompileReadsEveryCondition compares the whole of what is compiled.
func TestCompileReadsEveryCondition(t *testing.T) {
	src := content(t, `{"policyRule": <OPTINR>, "provision": {"type": "permit", "period": {"start": "2026", "end": "2027-02"}, "provision": [
		{"type": "deny", "period": {"start": "2026-08-01T09:00:00Z"}, "purpose": [<TREAT>], "actor": [<a>, {"role": <IRCP>, "reference": {"reference": "Practitioner/x/_history/3"}}],
		 "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}],
		 "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD"}]}]}}`)
	got, problem := restriction.Compile(parse(t, src), definitions(t), base, version)
	if problem != nil {
		t.Fatal(problem)
	}
	const act = "http://terminology.hl7.org/CodeSystem/v3-ActCode|"
	sgt := time.FixedZone("SGT", 8*60*60)
	want := consent.Restriction{
		Version: [1]string{version}, Base: consent.Permit,
		Period: consent.Period{From: time.Date(2026, 1, 1, 0, 0, 0, 0, sgt), Until: time.Date(2027, 3, 1, 0, 0, 0, 0, sgt).Add(-1)},
		Rules: []consent.Rule{{
			Place:   "Consent.provision.provision[0]",
			Effect:  consent.Deny,
			Actors:  []consent.Actor{{Organization: "a"}, {Practitioner: "Practitioner/x"}},
			Period:  consent.Period{From: time.Date(2026, 8, 1, 9, 0, 0, 0, time.UTC)},
			Purpose: consent.Treatment,
			Types:   []fhir.ResourceType{"Condition"},
			Labels:  []string{act + "SUD", act + "ETHUD", act + "OPIOIDUD"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("compiled (-want +got):\n%s", diff)
	}
	var named []string
	got.Names(func(a consent.Actor, e consent.Effect) bool {
		named = append(named, a.Reference())
		return true
	})
	if diff := cmp.Diff([]string{"Organization/a", "Practitioner/x"}, named); diff != "" {
		t.Errorf("named (-want +got):\n%s", diff)
	}
}

// TestConsentIsBounded: as much as may be said is read, and more than that is refused
// where it begins; on file it is in doubt, and nobody is looked up for it.
func TestConsentIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		most  int
		part  func(n int) string
		place func(most int) string
	}{
		"actors of one rule": {200, func(n int) string {
			return `{"type": "deny", "actor": [` + list(n, `<a>`) + `]}`
		}, func(most int) string { return fmt.Sprintf("Consent.provision.provision[0].actor[%d]", most) }},
		"actors of several rules": {200, func(n int) string {
			return `{"type": "deny", "actor": [<a>, <b>]}, {"type": "deny", "actor": [` + list(n-2, `<a>`) + `]}`
		}, func(most int) string { return fmt.Sprintf("Consent.provision.provision[1].actor[%d]", most-2) }},
		"rules": {200, func(n int) string {
			return list(n, `{"type": "deny", "purpose": [<TREAT>]}`)
		}, func(most int) string { return fmt.Sprintf("Consent.provision.provision[%d]", most) }},
		"classes": {200, func(n int) string {
			return `{"type": "deny", "class": [` + list(n, `{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}`) + `]}`
		}, func(most int) string { return fmt.Sprintf("Consent.provision.provision[0].class[%d]", most) }},
		"labels": {100, func(n int) string {
			return `{"type": "deny", "securityLabel": [` + list(n, `{"system": "urn:s", "code": "l"}`) + `]}`
		}, func(most int) string { return fmt.Sprintf("Consent.provision.provision[0].securityLabel[%d]", most) }},
	} {
		t.Run(name, func(t *testing.T) {
			compile := func(n int) (consent.Restriction, *restriction.Problem) {
				src := content(t, `{"policyRule": <OPTINR>, "provision": {"type": "permit", "provision": [`+c.part(n)+`]}}`)
				return restriction.Compile(parse(t, src), definitions(t), base, version)
			}
			if r, problem := compile(c.most); problem != nil || r.Malformed {
				t.Fatalf("%d: %v", c.most, problem)
			}
			for _, n := range []int{c.most + 1, 3 * c.most} {
				r, problem := compile(n)
				if diff := cmp.Diff(consent.Restriction{Version: [1]string{version}, Malformed: true}, r); diff != "" {
					t.Errorf("%d on file (-want +got):\n%s", n, diff)
				}
				if problem == nil || len(problem.Issues) != 1 || problem.Issues[0].Expression != c.place(c.most) || !strings.Contains(problem.Issues[0].Text, strconv.Itoa(c.most)) {
					t.Errorf("%d: %+v, want it refused at %s", n, problem, c.place(c.most))
				}
			}
		})
	}
}

// list is the element so many times over.
func list(n int, element string) string {
	return strings.TrimSuffix(strings.Repeat(element+", ", n), ", ")
}

// FuzzCompile: whatever is on file gives a restriction, and one that is refused
// for doubt is never more than basic for a stranger.
func FuzzCompile(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join(folder, "r4", "*.json"))
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	defs := definitions(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		var tape fhir.Tape
		if tape.Parse(src, fhir.Limits{}) != nil {
			return
		}
		r, problem := restriction.Compile(&tape, defs, base, version)
		if problem != nil && len(problem.Issues) == 0 {
			t.Errorf("refused without a reason: %s", src)
		}
		if r.Malformed && (problem == nil || level(r, "a") != "basic") {
			t.Errorf("in doubt and yet %s, %v: %s", level(r, "a"), problem, src)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	src, err := os.ReadFile(filepath.Join(folder, "r4", "Consent-consent-example-notOrg.json"))
	if err != nil {
		b.Fatal(err)
	}
	defs, tape := definitions(b), fhir.Tape{}
	if err := tape.Parse(src, fhir.Limits{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		restriction.Compile(&tape, defs, base, version)
	}
}

func definitions(tb testing.TB) *r4.Definitions {
	tb.Helper()
	d, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func parse(tb testing.TB, src []byte) *fhir.Tape {
	tb.Helper()
	var tape fhir.Tape
	if err := tape.Parse(src, fhir.Limits{}); err != nil {
		tb.Fatal(err)
	}
	return &tape
}
