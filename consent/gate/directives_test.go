package gate_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit/balptest"
	"vitrine/fhir"
)

// second is another person of the regulator's.
func second() consent.Caller {
	c := regulator()
	c.Subject, c.TokenID = "inspector", "t2"
	return c
}

// directs does something to a directive or a direction; empty when it was done.
func (w *world) directs(operation string, c consent.Caller, id, version string, until ...time.Time) string {
	w.Helper()
	req := w.request(c, operation, "Basic")
	req.Interaction.Letter, req.Interaction.Write = 'u', true
	var err error
	switch operation {
	case "$agree":
		_, err = w.gate.Agree(w.ctx(), req, id, version)
	case "$lift":
		_, err = w.gate.Lift(w.ctx(), req, id, version, append(until, time.Time{})[0])
	case "$withdraw":
		_, err = w.gate.Withdraw(w.ctx(), req, id, version)
	case "$accept":
		_, err = w.gate.Accept(w.ctx(), req, id, version)
	default:
		w.Fatal(operation)
	}
	if err != nil {
		return outcome(err)
	}
	return ""
}

// ordered is a directive that two have agreed to, at version 2.
func (w *world) ordered(members string) string {
	w.Helper()
	id := w.created(regulator(), "Basic", members)
	w.want("agreed", w.directs("$agree", second(), id, "1"), "")
	return id
}

// lifted ends one, which is at the version.
func (w *world) lifted(id string, version int) {
	w.Helper()
	w.want("lifting proposed", w.directs("$lift", second(), id, strconv.Itoa(version)), "")
	w.want("lifting agreed", w.directs("$agree", regulator(), id, strconv.Itoa(version+1)), "")
}

// Scenario 37, in part: a directive stops reading once two have agreed, and not
// before; lifting it takes two as well, and restores.
func TestDirectivesTakeTwo(t *testing.T) {
	w := newClinics(t, nil)
	look := func() string { return w.sees(doctor("A"), "AllergyIntolerance", "patient=Patient/q") }
	id := w.created(regulator(), "Basic", blockReads("Organization/A"))
	w.want("proposed", look(), "a-q")
	w.want("by the same", w.directs("$agree", regulator(), id, "1"), "409")
	w.want("proposed still", look(), "a-q")
	w.want("agreed", w.directs("$agree", second(), id, "1"), "")
	w.want("blocked", look(), "403 blocked")
	w.want("others", w.sees(doctor("B"), "AllergyIntolerance", "patient=Patient/q"), "a-q")
	w.want("the patient", w.sees(person("q"), "AllergyIntolerance", "patient=Patient/q"), "a-q")
	for name, c := range map[string]consent.Caller{"the regulator": regulator(), "another": second(), "the custodian": custodian()} {
		_, err := w.gate.Delete(w.ctx(), w.request(c, "delete", "Basic"), "Basic", id, "")
		w.want("deleted by "+name, outcome(err), "422")
		_, err = w.update(c, "Basic", id, `"code":{"text":"nothing"}`, "")
		w.want("written over by "+name, outcome(err), "422")
		_, err = w.patch(c, "Basic", id, `[{"op":"remove","path":"/extension"}]`, "")
		w.want("patched by "+name, outcome(err), "422")
	}
	w.want("blocked still", look(), "403 blocked")
	w.want("agreed twice", w.directs("$agree", second(), id, "2"), "409")
	w.want("lifting proposed", w.directs("$lift", regulator(), id, "2"), "")
	w.want("blocked until agreed", look(), "403 blocked")
	w.want("by the same", w.directs("$agree", regulator(), id, "3"), "409")
	w.want("proposed twice", w.directs("$lift", second(), id, "3"), "409")
	w.want("withdrawn", w.directs("$withdraw", regulator(), id, "3"), "")
	w.want("nothing proposed", w.directs("$agree", second(), id, "4"), "409")
	w.want("blocked after all", look(), "403 blocked")
	w.lifted(id, 4)
	w.want("lifted", look(), "a-q")
	w.want("lifted for good", w.directs("$agree", second(), id, "6"), "409")
	_, err := w.create(doctor("A"), "Basic", blockReads("Organization/B")+`,"meta":{"security":[{"system":"`+consent.SystemLabel+`","code":"oversight"}]}`)
	w.want("a provider's label", outcome(err), "422")
	w.wantActs("proposed", "refused:same-person", "agreed", "lift-proposed", "withdrawn", "lifted", "refused:nothing-proposed")
}

// wantActs fails unless each is among the events of directives.
func (w *world) wantActs(acts ...string) {
	w.Helper()
	events := w.events("type=http://dicom.nema.org/resources/ontology/DCM|110113")
	for _, e := range events {
		for _, wrong := range balptest.Check([]byte(e)) {
			w.Errorf("%s\n%s", wrong, e)
		}
	}
	all := strings.Join(events, "\n")
	for _, act := range acts {
		want := `"outcomeDesc":"` + strings.TrimPrefix(act, "refused:") + `"`
		if !strings.Contains(all, want) || !strings.HasPrefix(act, "refused:") && !strings.Contains(all, `"code":"directive-`+act+`"`) {
			w.Errorf("no event says %s", act)
		}
	}
}

// Two people are two subjects of one issuer; a client, another token or another
// issuer make no second person.
func TestWhoIsAnother(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Practitioner", "mei", `"active":true`)
	w.put("PractitionerRole", "mei-1", `"practitioner":{"reference":"Practitioner/mei"}`)
	w.put("PractitionerRole", "nobody", ``)
	first := regulator()
	named := func(c consent.Caller, user string) consent.Caller {
		c.User = user
		return c
	}
	with := func(change func(*consent.Caller)) consent.Caller {
		c := second()
		change(&c)
		return c
	}
	for name, row := range map[string]struct {
		first, second consent.Caller
		want          string
	}{
		"another client":             {first, with(func(c *consent.Caller) { c.Subject, c.Client = first.Subject, "other" }), "409"},
		"in capitals":                {first, with(func(c *consent.Caller) { c.Subject = " " + strings.ToUpper(first.Subject) }), "409"},
		"another issuer":             {first, with(func(c *consent.Caller) { c.Issuer = "https://elsewhere.example" }), "409"},
		"a back end":                 {first, with(func(c *consent.Caller) { c.Subject = c.Client }), "403 forbidden-person"},
		"no subject":                 {first, with(func(c *consent.Caller) { c.Subject = "" }), "403 forbidden-person"},
		"one practitioner":           {named(first, "Practitioner/mei"), named(second(), "Practitioner/mei"), "409"},
		"in a role":                  {named(first, "Practitioner/mei"), named(second(), "PractitionerRole/mei-1"), "409"},
		"a role of nobody":           {named(first, "Practitioner/mei"), named(second(), "PractitionerRole/nobody"), "403 forbidden-person"},
		"one named, the other not":   {named(first, "Practitioner/mei"), second(), "409"},
		"the custodian":              {first, custodian(), "403 forbidden-role"},
		"a doctor":                   {first, doctor("A"), "403 forbidden-role"},
		"a patient":                  {first, person("q"), "403 forbidden-role"},
		"another":                    {first, second(), ""},
		"two practitioners":          {named(first, "Practitioner/mei"), named(second(), "Practitioner/dA"), ""},
		"two practitioners, in role": {named(first, "PractitionerRole/mei-1"), named(second(), "Practitioner/dA"), ""},
	} {
		id := w.created(row.first, "Basic", blockReads("Organization/C"))
		w.want(name, w.directs("$agree", row.second, id, "1"), row.want)
	}
}

// Approval is not taken from a body, agreeing is to one version, and proposals do
// not wait for ever.
func TestProposals(t *testing.T) {
	w := newClinics(t, nil)
	look := func() string { return w.sees(doctor("A"), "Observation", "patient=Patient/q") }
	id := w.created(regulator(), "Basic", blockReads("Organization/C"))
	forged := strings.ReplaceAll(w.stored("Basic", id), `"valueCode":"proposed"`, `"valueCode":"active"`)
	forged = strings.ReplaceAll(strings.ReplaceAll(forged, "Organization/C", "Organization/A"), `"auditor"`, `"inspector"`)
	var said map[string]json.RawMessage
	if err := json.Unmarshal([]byte(forged), &said); err != nil {
		t.Fatal(err)
	}
	members := `"code":` + string(said["code"]) + `,"extension":` + string(said["extension"])
	if _, err := w.update(regulator(), "Basic", id, members, ""); err != nil {
		t.Fatal(explain(err))
	}
	w.want("forged", look(), "o-q")
	w.want("the same person, as in the body", w.directs("$agree", regulator(), id, "2"), "409")
	w.want("what was proposed before", w.directs("$agree", second(), id, "1"), "precondition failed")
	w.want("without a version", w.directs("$agree", second(), id, ""), "400")
	w.want("unknown", w.directs("$agree", second(), "none", "1"), "not found")
	if _, err := w.update(second(), "Basic", id, members+`,"created":"2026-09-01"`, ""); err != nil {
		t.Fatal(explain(err))
	}
	w.want("who changed it last proposes it", w.directs("$agree", second(), id, "3"), "409")
	w.now = w.now.Add(7 * 24 * time.Hour)
	w.want("too late", w.directs("$agree", regulator(), id, "3"), "409")
	w.now = w.now.Add(-time.Second)
	w.want("in time", w.directs("$agree", regulator(), id, "3"), "")
	w.want("in force", look(), "403 blocked")

	w.want("an end before now", w.directs("$lift", regulator(), id, "4", w.now.Add(-time.Second)), "409")
	w.want("an end to come", w.directs("$lift", regulator(), id, "4", w.now.Add(time.Hour)), "")
	w.want("shortened", w.directs("$agree", second(), id, "5"), "")
	w.want("until then", look(), "403 blocked")
	w.want("not made longer", w.directs("$lift", regulator(), id, "6", w.now.Add(2*time.Hour)), "409")
	w.now = w.now.Add(time.Hour + time.Second)
	w.want("after", look(), "o-q")
	w.wantActs("shortened")

	other := w.created(regulator(), "Basic", blockReads("Organization/A"))
	w.want("refused", w.directs("$withdraw", second(), other, "1"), "")
	w.want("then there is nothing", w.directs("$agree", second(), other, "2"), "409")
	w.want("no effect", look(), "o-q")
	w.wantActs("refused")
}

// Of many who agree at one time to what two must agree to, one does.
func TestAgreementsAtOneTime(t *testing.T) {
	w := newClinics(t, nil)
	id := w.created(regulator(), "Basic", blockReads("Organization/A"))
	var done sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		done.Go(func() {
			c := second()
			c.Subject += strconv.Itoa(i)
			got[i] = w.directs("$agree", c, id, "1")
		})
	}
	done.Wait()
	if n := strings.Count(strings.Join(got, "|")+"|", "precondition failed|"); n != len(got)-1 {
		t.Errorf("%q", got)
	}
	w.want("in force", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "403 blocked")
}

// Targets and effects: types, professions, a person at one organisation.
func TestDirectivesOfAllKinds(t *testing.T) {
	w := newClinics(t, nil)
	code := func(effects ...string) string {
		var all []string
		for _, e := range effects {
			all = append(all, `{"system":"`+consent.SystemDirective+`","code":"`+e+`"}`)
		}
		return `"code":{"coding":[` + strings.Join(all, ",") + `]},"extension":[`
	}
	ext := func(name, value string) string {
		return `{"url":"` + consent.Canon + `/StructureDefinition/directive-` + name + `",` + value + `}`
	}
	part := func(who string) string { return `{"url":"who","valueReference":{"reference":"` + who + `"}}` }
	const practice = `"valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/practitioner-role","code":"`
	for name, row := range map[string]struct{ members, a, b, allergies, led, writes string }{
		"a type, for everybody":         {code("BLOCK_READ") + ext("of", `"valueCode":"Observation"`) + `]`, "403 blocked", "403 blocked", "a-q", "", ""},
		"a type, for one":               {code("BLOCK_READ") + ext("of", `"valueCode":"Observation"`) + "," + ext("target", `"valueReference":{"reference":"Organization/A"}`) + `]`, "403 blocked", "o-q", "a-q", "", ""},
		"contributing a type":           {code("BLOCK_WRITE") + ext("of", `"valueCode":"Observation"`) + `]`, "o-q", "o-q", "a-q", "q", "403 blocked"},
		"a profession":                  {code("BLOCK_READ") + ext("target", `"extension":[{"url":"profession",`+practice+`doctor"}}]`) + `]`, "403 blocked", "403 blocked", "403 blocked", "403 blocked", ""},
		"another profession":            {code("BLOCK_READ") + ext("target", `"extension":[{"url":"profession",`+practice+`nurse"}}]`) + `]`, "o-q", "o-q", "a-q", "q", ""},
		"no other than these":           {code("LIMIT_CLASSES") + ext("class", practice+`nurse"}`) + "," + ext("target", `"valueReference":{"reference":"Organization/A"}`) + `]`, "403 blocked", "o-q", "403 blocked", "403 blocked", ""},
		"a person there":                {code("BLOCK_READ") + ext("target", `"extension":[`+part("Practitioner/dA")+","+part("Organization/A")+`]`) + `]`, "403 blocked", "o-q", "403 blocked", "403 blocked", ""},
		"a person who is not there":     {code("BLOCK_READ") + ext("target", `"extension":[`+part("Practitioner/dB")+","+part("Organization/A")+`]`) + `]`, "o-q", "o-q", "a-q", "q", ""},
		"the stricter of two of a kind": {code("LIMIT_TYPES", "BLOCK_WRITE") + ext("type", `"valueCode":"AllergyIntolerance"`) + "," + ext("target", `"valueReference":{"reference":"Organization/A"}`) + `]`, "403 blocked", "o-q", "a-q", "403 blocked", "403 blocked"},
	} {
		id := w.ordered(row.members)
		w.want(name+", A", w.sees(doctor("A"), "Observation", "patient=Patient/q"), row.a)
		w.want(name+", B", w.sees(doctor("B"), "Observation", "patient=Patient/q"), row.b)
		w.want(name+", another type", w.sees(doctor("A"), "AllergyIntolerance", "patient=Patient/q"), row.allergies)
		w.want(name+", led to", w.sees(doctor("A"), "Patient", "_id=q&_has:Observation:patient:status=final"), row.led)
		_, err := w.create(doctor("A"), "Observation", observation("Patient/q"))
		got := ""
		if err != nil {
			got = outcome(err)
		}
		w.want(name+", contributing", got, row.writes)
		w.lifted(id, 2)
		if err == nil {
			w.sweep("Observation")
		}
	}
	_, err := w.create(regulator(), "Basic", code("BLOCK_READ")+ext("of", `"valueCode":"Condtion"`)+`]`)
	w.want("no such type", outcome(err), "422")
	_, err = w.create(regulator(), "Basic", code("BLOCK_READ")+ext("target", `"extension":[]`)+`]`)
	if err == nil {
		t.Error("a target of nobody was taken")
	}
}

// A directive that would reach nobody is refused, and so is one by anybody but the
// regulator, whose refusal is one whatever is on file.
func TestDirectivesReachSomebody(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Practitioner", "mei", `"active":true`)
	theirs := w.created(system("A"), "Practitioner", `"active":true`)
	target := func(who string) string {
		return `"extension":[{"url":"` + consent.Canon + `/StructureDefinition/directive-target","valueReference":{"reference":"` + who + `"}}]`
	}
	for who, want := range map[string]string{
		"Organization/A": "released", "Practitioner/mei": "released", "PractitionerRole/A1": "released",
		"Organization/nope": "422", "Practitioner/nope": "422", "Practitioner/q": "422", "Practitioner/" + theirs: "422", "Device/nope": "422",
	} {
		_, err := w.create(regulator(), "Basic", blockReads(who))
		w.want(who, outcomeOf(err), want)
		if want == "422" && !strings.Contains(explain(err), "not in the directory") {
			t.Errorf("%s: %s", who, explain(err))
		}
	}
	code := `"code":` + concept(consent.SystemDirective, "BLOCK_READ") + ","
	said := map[string]bool{}
	for _, c := range []consent.Caller{custodian(), doctor("A"), system("A"), doctor("B")} {
		for _, who := range []string{"Organization/A", "Organization/nope", "Patient/p", "Patient/nope"} {
			_, err := w.create(c, "Basic", code+target(who)+`,"subject":{"reference":"`+who+`"}`)
			w.want(c.Kind.String()+" about "+who, outcomeOf(err), "422")
			said[explain(err)] = true
		}
	}
	if len(said) != 1 {
		t.Errorf("said in %d ways: %v", len(said), said)
	}
	if _, err := w.create(system("A"), "Basic", `"code":{"text":"a note"},"subject":{"reference":"Patient/q"}`); err != nil {
		t.Errorf("what is no directive: %s", explain(err))
	}
	_, err := w.create(regulator(), "Basic", code+`"subject":{"reference":"Organization/A"},"extension":[{"url":"`+consent.Canon+`/StructureDefinition/directive-periods"}]`)
	if got := explain(err); !strings.Contains(got, "Basic.extension[0]") || strings.Contains(got, "directive: ") {
		t.Errorf("a misspelt extension: %s", got)
	}
}

// sweep takes away what a test contributed beside the cast.
func (w *world) sweep(t fhir.ResourceType) {
	w.Helper()
	r, err := w.search(custodian(), t, "patient=Patient/q")
	if err != nil {
		w.Fatal(err)
	}
	for _, i := range r.Items() {
		if i.Resource.ID == "o-q" {
			continue
		}
		if _, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", t), t, i.Resource.ID, ""); err != nil {
			w.Fatal(err)
		}
	}
}
