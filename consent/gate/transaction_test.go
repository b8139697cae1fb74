package gate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent/gate"
)

const (
	uuidOne = "urn:uuid:00000000-0000-4000-8000-000000000001"
	uuidTwo = "urn:uuid:00000000-0000-4000-8000-000000000002"
)

// anonymous is the resource with the ids that the server gave replaced.
func anonymous(s string, items []gate.Item) string {
	for i, item := range items {
		if item.Resource.ID != "" {
			s = strings.ReplaceAll(s, item.Resource.ID, fmt.Sprintf("id-%d", i))
		}
	}
	return s
}

// Wherever R4 says that a link may stand it is rewritten, and nowhere else.
func TestTransactionRewritesLinks(t *testing.T) {
	const narrative = `"text":{"status":"generated","div":"<div xmlns=\u0022http://www.w3.org/1999/xhtml\u0022>` + uuidOne +
		`<!-- <a href='` + uuidOne + `'> --><a title='x' href='` + uuidOne + `'>a</a><a\n href = \"` + uuidOne + `#part\">b<\/a>` +
		`<a href=\u0022urn:uuid:00000000-0000-4000-8000-00000000000&#x31;\u0022>c</a><img alt=\"href='` + uuidOne + `'\" src=\"` + uuidOne + `\"/><p title=\"` + uuidOne + `\"/></div>"}`
	for name, c := range map[string]struct{ before, after string }{
		"reference":     {`"subject":{"reference":"` + uuidOne + `"}`, `"subject":{"reference":"Patient/id-0"}`},
		"escaped":       {`"subject":{"reference":"urn\u003auuid:00000000-0000-4000-8000-000000000001"}`, `"subject":{"reference":"Patient/id-0"}`},
		"versioned":     {`"subject":{"reference":"` + uuidOne + `/_history/7"}`, `"subject":{"reference":"Patient/id-0/_history/1"}`},
		"value":         {`"identifier":[{"system":"urn:ietf:rfc:3986","value":"` + uuidOne + `"}]`, ""},
		"system":        {`"identifier":[{"system":"` + uuidOne + `","value":"x"}]`, ""},
		"coding":        {`"category":[{"coding":[{"system":"` + uuidOne + `","code":"x","display":"` + uuidOne + `"}]}]`, ""},
		"text":          {`"note":[{"text":"` + uuidOne + `"}]`, ""},
		"string":        {`"valueString":"` + uuidOne + `"`, ""},
		"canonical":     {`"meta":{"profile":["` + uuidOne + `"]}`, ""},
		"uri":           {`"implicitRules":"` + uuidOne + `"`, `"implicitRules":"Patient/id-0"`},
		"extension url": {`"extension":[{"url":"` + uuidOne + `","valueString":"x"}]`, ""},
		"extensions": {
			`"extension":[{"url":"urn:x","valueUri":"` + uuidOne + `"},{"url":"urn:x","valueUrl":"` + uuidOne + `"},{"url":"urn:x","valueUuid":"` + uuidOne +
				`"},{"url":"urn:x","valueReference":{"reference":"` + uuidOne + `"}},{"url":"urn:x","valueCanonical":"` + uuidOne + `"}]`,
			`"extension":[{"url":"urn:x","valueUri":"Patient/id-0"},{"url":"urn:x","valueUrl":"Patient/id-0"},{"url":"urn:x","valueUuid":"` + uuidOne + `"},` +
				`{"url":"urn:x","valueReference":{"reference":"Patient/id-0"}},{"url":"urn:x","valueCanonical":"` + uuidOne + `"}]`,
		},
		"on a primitive": {
			`"_status":{"extension":[{"url":"urn:x","valueReference":{"reference":"` + uuidOne + `"}}]}`,
			`"_status":{"extension":[{"url":"urn:x","valueReference":{"reference":"Patient/id-0"}}]}`,
		},
		"contained": {
			`"derivedFrom":[{"reference":"#d"}],"contained":[{"resourceType":"DocumentReference","id":"d","status":"current","content":[{"attachment":{"url":"` + uuidOne + `"}}],"subject":{"reference":"` + uuidOne + `"}}]`,
			`"derivedFrom":[{"reference":"#d"}],"contained":[{"resourceType":"DocumentReference","id":"d","status":"current","content":[{"attachment":{"url":"Patient/id-0"}}],"subject":{"reference":"Patient/id-0"}}]`,
		},
		"narrative": {narrative, strings.NewReplacer(
			`title='x' href='`+uuidOne, `title='x' href='Patient/id-0`, `href = \"`+uuidOne, `href = \"Patient/id-0`,
			`href=\u0022urn:uuid:00000000-0000-4000-8000-00000000000&#x31;`, `href=\u0022Patient/id-0`, ` src=\"`+uuidOne, ` src=\"Patient/id-0`,
		).Replace(narrative)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			r, err := w.transact(custodian(),
				w.entry("create", "Patient", "", uuidOne, `"gender":"male"`),
				w.entry("create", "Observation", "", uuidTwo, `"status":"final","code":{"text":"x"},`+c.before))
			if err != nil {
				t.Fatal(explain(err))
			}
			if c.after == "" {
				c.after = c.before
			}
			got := anonymous(string(r.Items()[1].Resource.JSON), r.Items())
			if c.after = strings.TrimPrefix(c.after, `"meta":{`); !strings.Contains(got, strings.TrimSuffix(c.after, "}")) {
				t.Errorf("got  %s\nwant %s", got, c.after)
			}
		})
	}
}

// Which entry a reference means follows from the fullUrl of the entry in which it
// stands (R4 bundle.html#references).
func TestTransactionReferenceRules(t *testing.T) {
	const here, there = "http://one.example/fhir/", "http://two.example/r4/"
	for name, c := range map[string]struct{ full, reference, want string }{
		"absolute":               {uuidTwo, there + "Patient/1", "Patient/id-1"},
		"relative to here":       {here + "Observation/9", "Patient/1", "Patient/id-0"},
		"relative to there":      {there + "Observation/9", "Patient/1", "Patient/id-1"},
		"relative to elsewhere":  {"http://three.example/Observation/9", "Patient/1", "Patient/1"},
		"one has that end":       {uuidTwo, "Patient/2", "Patient/id-2"},
		"several have that end":  {uuidTwo, "Patient/1", "400 Observation.subject.reference"},
		"none has that end":      {"", "Patient/3", "Patient/3"},
		"with a version":         {here + "Observation/9", "Patient/1/_history/4", "Patient/id-0/_history/1"},
		"absolute, with version": {uuidTwo, there + "Patient/1/_history/4", "Patient/id-1/_history/1"},
		"an update":              {uuidTwo, "http://four.example/Patient/77", "Patient/id-3"},
		"an update's version":    {uuidTwo, "http://four.example/Patient/77/_history/9", "Patient/id-3/_history/2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.put("Patient", "own", `"gender":"female"`)
			r, err := w.transact(custodian(),
				w.entry("create", "Patient", "", here+"Patient/1", `"gender":"male"`),
				w.entry("create", "Patient", "", there+"Patient/1", `"gender":"male"`),
				w.entry("create", "Patient", "", there+"Patient/2", `"gender":"male"`),
				w.entry("update", "Patient", "own", "http://four.example/Patient/77", `"gender":"male"`),
				w.entry("create", "Observation", "", c.full, observation(c.reference)))
			got := ""
			var entry *gate.EntryError
			var bad *gate.Invalid
			switch {
			case errors.As(err, &entry) && entry.Index == 4 && errors.As(err, &bad):
				got = fmt.Sprint(bad.Status, " ", bad.Issues[0].Expression)
			case err != nil:
				t.Fatal(explain(err))
			default:
				got = string(r.Items()[4].Resource.JSON)
				_, got, _ = strings.Cut(anonymous(got, r.Items()), `"subject":{"reference":"`)
				got, _, _ = strings.Cut(got, `"`)
			}
			w.want("the subject", got, c.want)
		})
	}
}

// What a conditional reference means may be written by another entry, in any
// order (R4 http.html#trules resolves them last).
func TestTransactionConditionalReferences(t *testing.T) {
	const observed = `"contained":[{"resourceType":"Patient","id":"c","generalPractitioner":[{"reference":"Organization?identifier=urn:o|1"}]}],` +
		`"extension":[{"url":"urn:x","valueReference":{"reference":"Practitioner?identifier=urn:d|1"}}],"note":[{"text":"Patient?identifier=urn:p|1"}],` +
		`"status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=urn:p|1"},"focus":[{"reference":"#c"}]`
	known := func(system string) string { return `"identifier":[{"system":"` + system + `","value":"1"}]` }
	w := newWorld(t, nil)
	w.put("Organization", "o", known("urn:o"))
	entries := func() []gate.Entry {
		return []gate.Entry{
			w.entry("create", "Observation", "", "", observed),
			w.entry("create", "Patient", "", "", known("urn:p")+`,"generalPractitioner":[{"reference":"Practitioner?identifier=urn:d|1"}]`),
			w.entry("create", "Practitioner", "", "", known("urn:d")),
		}
	}
	_, err := w.transact(custodian(), entries()[:2]...)
	w.want("one is missing", outcomeOf(err), "412")
	r, err := w.transact(custodian(), entries()...)
	if err != nil {
		t.Fatal(explain(err))
	}
	got := anonymous(string(r.Items()[0].Resource.JSON), r.Items())
	for _, want := range []string{`"subject":{"reference":"Patient/id-1"}`, `"Practitioner/id-2"`, `"Organization/o"`, `"text":"Patient?identifier=urn:p|1"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	_, err = w.transact(custodian(), entries()...) // each would be there twice
	w.want("ambiguous in the end", outcomeOf(err), "412")
	w.want("nothing was kept", fmt.Sprint(len(strings.Fields(w.sees(custodian(), "Observation", "")))), "1")
}

func TestTransactionIsAboutAResourceOnce(t *testing.T) {
	w := newWorld(t, nil)
	one := `"identifier":[{"system":"urn:o","value":"1"}]`
	create := func(value string) gate.Entry {
		e := w.entry("create", "Organization", "", "", `"identifier":[{"system":"urn:o","value":"`+value+`"}]`)
		e.IfNoneExist = w.query("Organization", "identifier=urn:o|"+value)
		return e
	}
	where := func(code string) gate.Entry {
		e := w.entry(code, "Organization", "", "", map[string]string{"update": one}[code])
		e.Query = w.query("Organization", "identifier=urn:o|1")
		return e
	}
	_, err := w.transact(custodian(), create("1"), create("1"))
	w.want("two that look for the same", outcomeOf(err)+" "+issueOf(err), "412 duplicate")
	_, err = w.transact(custodian(), create("1"), w.entry("create", "Organization", "", "", one))
	w.want("one that makes what the other looks for", outcomeOf(err)+" "+issueOf(err), "412 duplicate")
	w.want("nothing was kept", w.sees(custodian(), "Organization", ""), "")
	w.put("Organization", "o", one)
	for name, entries := range map[string][]gate.Entry{
		"update and delete":                 {w.entry("update", "Organization", "o", "", one), w.entry("delete", "Organization", "o", "", "")},
		"update and conditional delete":     {w.entry("update", "Organization", "o", "", one), where("delete")},
		"conditional update and delete":     {where("update"), w.entry("update", "Organization", "o", "", one)},
		"conditional update and deletion":   {where("update"), w.entry("delete", "Organization", "o", "", "")},
		"conditional create and update":     {create("1"), w.entry("update", "Organization", "o", "", one)},
		"conditional delete and delete":     {where("delete"), w.entry("delete", "Organization", "o", "", "")},
		"two conditional updates":           {where("update"), where("update")},
		"two conditional creates of one":    {create("1"), create("1")},
		"twice the same conditional delete": {where("delete"), where("delete")},
	} {
		_, err := w.transact(custodian(), entries...)
		w.want(name, outcomeOf(err)+" "+issueOf(err), "400 duplicate")
		w.want(name, w.sees(custodian(), "Organization", ""), "o")
	}
	r, err := w.transact(custodian(), create("1"), where("delete")) // what is deleted first is no match
	if err != nil || statuses(r) != "201,204" {
		t.Errorf("delete and create: %v %v", statuses(r), explain(err))
	}
	if r, err := w.transact(custodian()); err != nil || len(r.Items()) != 0 {
		t.Errorf("without entries: %v", explain(err))
	}
}

// issueOf is the code of the first issue.
func issueOf(err error) string {
	var bad *gate.Invalid
	if errors.As(err, &bad) {
		return string(bad.Issues[0].Code)
	}
	return ""
}

// All entries that are wrong in themselves are told of together.
func TestTransactionTellsOfEveryFault(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.transact(custodian(),
		w.entry("create", "Patient", "", "", `"gender":"none of these"`),
		w.entry("create", "Patient", "", "", `"gender":"male"`),
		w.entry("create", "Observation", "", "", `"status":"final"`))
	var several gate.EntryErrors
	if !errors.As(err, &several) {
		t.Fatalf("got %v", explain(err))
	}
	var got []int
	for _, one := range several {
		got = append(got, one.Index)
	}
	if d := cmp.Diff([]int{0, 2}, got); d != "" {
		t.Error(d)
	}
	w.want("nothing was kept", w.sees(custodian(), "Patient", ""), "")
}

// TestReadsOfWhatIsUndoneAreOnRecord: which entry fails tells what the others before
// it have found.
func TestReadsOfWhatIsUndoneAreOnRecord(t *testing.T) {
	w, f := newFaulty(t)
	get := func(code, id string) gate.Entry {
		e := gate.Entry{Interaction: gate.Interaction{Code: code, Letter: 'r'}, Type: "Observation", ID: id, Method: "GET", Target: "/Observation/" + id}
		if code == "search-type" {
			e.Interaction.Letter, e.Query = 's', w.query("Observation", "patient=Patient/p")
		}
		return e
	}
	asked := 0
	read := func() int {
		asked++ // and that was on record, too
		return len(w.events("patient=Patient/p&outcome=0")) - asked
	}
	for _, code := range []string{"read", "history-instance", "search-type"} {
		before := read()
		_, err := w.transact(doctor("A"), get(code, "o-p"), get("read", "none"))
		w.want(code, fmt.Sprint(err), "not found")
		if got := read() - before; got != 1 {
			t.Errorf("%s: %d events", code, got)
		}
	}
	before := read()
	_, err := w.transact(doctor("A"), get("read", "none"), get("read", "o-p"))
	w.want("what is not reached", fmt.Sprint(err, " ", read()-before), "not found 0")
	f.record.Store(true)
	_, err = w.transact(doctor("A"), get("read", "o-p"), get("read", "none"))
	w.want("when it cannot be recorded", fmt.Sprint(err), gate.ErrUnavailable.Error())
}
