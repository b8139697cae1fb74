package gate_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// parameter is the members of a SearchParameter that is active.
func parameter(code, kind, base, expression string) string {
	return `"status":"active","url":"http://x.example/SearchParameter/` + code + `","name":"x","description":"x","code":"` + code +
		`","base":["` + strings.ReplaceAll(base, ",", `","`) + `"],"type":"` + kind + `","expression":"` + expression + `"`
}

// reindex makes the indexes that are due.
func (w *world) reindex(g *gate.Gate) {
	w.Helper()
	if err := g.Reindex(w.ctx(), func() time.Time { return w.now }); err != nil {
		w.Fatal(err)
	}
	if _, err := g.Learn(w.ctx()); err != nil {
		w.Fatal(err)
	}
}

// refuses reports how a search is refused before it is asked.
func (w *world) refuses(t fhir.ResourceType, query string) string {
	w.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		w.Fatal(err)
	}
	for name, all := range values {
		if _, refusal := w.gate.Parser().Parse(t, []search.Pair{{Name: name, Value: all[0]}}, false); refusal != nil {
			return refusal.Error()
		}
	}
	return ""
}

// registrations are the Tasks of added parameters, as the custodian finds them:
// status, done of total.
func (w *world) registrations(focus string) (out []string) {
	w.Helper()
	r, err := w.search(custodian(), "Task", "code=https://vitrine.example/CodeSystem/nehr-task|search-parameter-index&focus=SearchParameter/"+focus)
	if err != nil {
		w.Fatal(explain(err))
	}
	for _, i := range r.Items() {
		var t fhir.Tape
		if err := t.Parse(i.Resource.JSON, fhir.Limits{}); err != nil {
			w.Fatal(err)
		}
		line := t.Text(t.Field(t.Root(), "status"))
		for _, list := range []string{"input", "output"} {
			for n := t.First(t.Field(t.Root(), list)); n != fhir.None; n = t.Next(n) {
				if v := t.Field(n, "valueInteger"); v != fhir.None {
					line += " " + string(t.Raw(v))
				}
			}
		}
		out = append(out, line)
	}
	return out
}

func TestSearchParametersAreUsedOnceTheirIndexIsMade(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("q", optOut, closed)
	w.put("SearchParameter", "noted", parameter("noted", "string", "AllergyIntolerance,Immunization", "AllergyIntolerance.note.text | Immunization.note.text"))
	if got := w.refuses("AllergyIntolerance", "noted=seen"); !strings.Contains(got, "not known") {
		t.Errorf("before there is an index: got %q, want a refusal", got)
	}
	if diff := cmp.Diff([]string{"requested 32768 0 0"}, w.registrations("noted")); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
	w.put("AllergyIntolerance", "a2-p", `"clinicalStatus":`+concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active")+`,"patient":{"reference":"Patient/p"},"note":[{"text":"seen since"}]`)
	w.reindex(w.gate)
	if diff := cmp.Diff([]string{"completed 32768 7 7"}, w.registrations("noted")); diff != "" {
		t.Errorf("once it is made (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		caller consent.Caller
		t      fhir.ResourceType
		query  string
		want   string
	}{
		{custodian(), "AllergyIntolerance", "noted=seen", "a-p a-q a-r a2-p"},
		{custodian(), "AllergyIntolerance", "noted=seen since", "a2-p"},
		{custodian(), "AllergyIntolerance", "noted=seen&_sort=-noted,_id", "a2-p a-p a-q a-r"},
		{custodian(), "Immunization", "noted=secret", "i-p i-q i-r"},
		{custodian(), "AllergyIntolerance", "noted:contains=een sin", "a2-p"},
		{custodian(), "AllergyIntolerance", "noted:exact=seen since", "a2-p"},
		{custodian(), "AllergyIntolerance", "noted:missing=true", ""},
		// Who gets the basic set of q does not find q by what is not in it.
		{doctor("A"), "AllergyIntolerance", "noted=seen", "a-p a-r a2-p"},
		{doctor("A"), "Immunization", "noted=secret", "i-p i-r"},
		{doctor("A"), "Immunization", "noted:missing=true", "i-q"},
		{doctor("A"), "Condition", "subject:Patient._has:AllergyIntolerance:patient:noted=seen since", "c-p"},
		{doctor("A"), "Condition", "subject:Patient._has:AllergyIntolerance:patient:noted=seen", "c-p c-r"},
		{doctor("A"), "Immunization", "patient=q", "i-q*"},
		{doctor("C"), "AllergyIntolerance", "noted=seen", ""},
	} {
		w.want(fmt.Sprintf("%s: %s?%s", c.caller.Subject, c.t, c.query), w.sees(c.caller, c.t, c.query), c.want)
	}
	if got := w.refuses("Condition", "noted=x"); got == "" {
		t.Error("a type that is no base has the parameter")
	}
}

func TestBasicEditionsAreIndexedByAddedParameters(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("q", optOut, closed)
	w.put("SearchParameter", "when", parameter("when", "date", "Immunization", "Immunization.occurrence"))
	w.reindex(w.gate)
	w.want("who gets the basic set", w.sees(doctor("A"), "Immunization", "when=2001"), "i-p i-q i-r")
	w.want("what it says", fmt.Sprint(strings.Contains(w.reads(doctor("A"), "Immunization", "i-q"), "secret")), "false")
	w.want("what it says of others", fmt.Sprint(strings.Contains(w.reads(doctor("A"), "Immunization", "i-p"), "secret")), "true")
}

func TestRetiredSearchParametersAreNotUsed(t *testing.T) {
	w := newClinics(t, nil)
	said := parameter("said", "string", "Condition", "Condition.code.text")
	w.put("SearchParameter", "said", said)
	w.reindex(w.gate)
	w.want("while it is active", w.sees(custodian(), "Condition", "said=asthma"), "c-p c-q c-r")
	before := w.query("Condition", "said=asthma")
	w.put("SearchParameter", "said", strings.Replace(said, `"description":"x"`, `"description":"y"`, 1))
	w.want("when something else is said of it", w.sees(custodian(), "Condition", "said=asthma"), "c-p c-q c-r")
	w.put("SearchParameter", "said", strings.Replace(said, "active", "retired", 1))
	_, err := w.gate.Search(w.ctx(), w.request(custodian(), "search-type", "Condition"), before, "")
	w.want("a query from before", outcome(err), "400")
	w.want("a query from after", fmt.Sprint(w.refuses("Condition", "said=asthma") != ""), "true")

	w.put("SearchParameter", "said", strings.Replace(said, "Condition.code.text", "Condition.code.text | Condition.note.text", 1))
	w.put("Condition", "c2-p", `"subject":{"reference":"Patient/p"},"note":[{"text":"asthma"}]`)
	w.reindex(w.gate)
	w.want("with another expression", w.sees(custodian(), "Condition", "said=asthma"), "c-p c-q c-r c2-p")
	if _, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", "SearchParameter"), "SearchParameter", "said", ""); err != nil {
		t.Fatal(err)
	}
	w.reindex(w.gate)
	w.want("once it is deleted", fmt.Sprint(w.refuses("Condition", "said=asthma") != ""), "true")
	w.put("SearchParameter", "other", parameter("other", "string", "Condition", "Condition.code.text"))
	if diff := cmp.Diff([]string{"requested 32770 0 0"}, w.registrations("other")); diff != "" {
		t.Errorf("the number of the next (-want +got):\n%s", diff)
	}
}

func TestSearchParametersThatCannotBe(t *testing.T) {
	w := newWorld(t, nil)
	w.put("SearchParameter", "colour", parameter("colour", "token", "Patient", "Patient.extension('http://x.example').value"))
	for _, c := range []struct{ name, members, element, says string }{
		{"a code of R4", parameter("birthdate", "date", "Patient", "Patient.birthDate"), "code", "already"},
		{"a code of another", parameter("colour", "token", "Person,Patient", "Patient.gender | Person.gender"), "code", "already"},
		{"a code of a control", parameter("_sort", "token", "Patient", "Patient.gender"), "code", "must be a letter"},
		{"no kind of search", parameter("x", "special", "Patient", "Patient.gender"), "type", "must be number"},
		{"the record of access", parameter("x", "token", "AuditEvent", "AuditEvent.action"), "base", "record of access"},
		{"no expression", strings.Replace(parameter("x", "token", "Patient", "#"), `,"expression":"#"`, "", 1), "expression", "is needed"},
		{"no such element", parameter("x", "token", "Patient", "Patient.sex"), "expression", "for Patient"},
		{"another kind", parameter("x", "date", "Patient", "Patient.name"), "expression", "a date cannot be made of HumanName"},
		{"nothing of a type", parameter("x", "token", "Patient,Person", "Patient.gender"), "expression", "for Person"},
		{"targets of a token", parameter("x", "token", "Patient", "Patient.gender") + `,"target":["Patient"]`, "target", "only a reference"},
		{"no components", parameter("x", "composite", "Observation", "Observation"), "component", "is needed"},
		{
			"a component unknown", parameter("x", "composite", "Observation", "Observation") +
				`,"component":[{"definition":"http://x.example","expression":"code"},{"definition":"http://x.example","expression":"value"}]`,
			"component[0].definition", "must be the URL",
		},
	} {
		_, err := w.create(custodian(), "SearchParameter", c.members)
		var got *gate.Invalid
		if !errors.As(err, &got) || got.Status != 422 {
			t.Errorf("%s: got %v, want 422", c.name, explain(err))
			continue
		}
		if i := got.Issues[0]; i.Expression != "SearchParameter."+c.element || !strings.Contains(i.Text, c.says) {
			t.Errorf("%s: refused for %s, %q, want %s, %q", c.name, i.Expression, i.Text, c.element, c.says)
		}
	}
	if _, err := w.create(custodian(), "SearchParameter", strings.Replace(parameter("birthdate", "date", "Patient", "x("), "active", "draft", 1)); err != nil {
		t.Errorf("a draft is refused: %v", explain(err))
	}
	if diff := cmp.Diff([]string{"requested 32768 0 0"}, w.registrations("colour")); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
}

func TestRegistrationsAreTheServersOwn(t *testing.T) {
	w := newClinics(t, nil)
	w.put("SearchParameter", "colour", parameter("colour", "token", "Patient", "Patient.extension('http://x.example').value"))
	r, err := w.search(custodian(), "Task", "focus=SearchParameter/colour")
	if err != nil || len(r.Items()) != 1 {
		t.Fatalf("got %d Tasks, %v", len(r.Items()), err)
	}
	task := r.Items()[0].Resource
	_, err = w.gate.Update(w.ctx(), w.request(custodian(), "update", "Task"), "Task", task.ID,
		w.content(resource("Task", task.ID, `"status":"cancelled","intent":"order"`)), "")
	w.want("changing one", outcome(err), "422")
	_, err = w.gate.Delete(w.ctx(), w.request(custodian(), "delete", "Task"), "Task", task.ID, "")
	w.want("deleting one", outcome(err), "422")
	_, err = w.gate.Create(w.ctx(), w.request(custodian(), "create", "Task"), w.content(string(task.JSON)), nil)
	w.want("making one up", outcome(err), "422")
	w.want("a doctor reading one", w.reads(doctor("A"), "Task", task.ID), "not found")
}

// Another process is a gate that shares nothing with the first but the store.
func TestIndexesAreMadeByWhoeverIsThere(t *testing.T) {
	w := newClinics(t, nil)
	const rows = 150
	for i := range rows {
		w.put("Observation", fmt.Sprint("n", i), observation("Patient/p")+`,"note":[{"text":"x"}]`)
	}
	w.put("SearchParameter", "noted", parameter("noted", "string", "Observation,Condition", "Observation.note.text | Condition.note.text"))
	other := gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}}, w.tools, w.store)

	ctx, cancel := context.WithCancel(w.ctx())
	defer cancel()
	asked := 0
	err := w.gate.Reindex(ctx, func() time.Time {
		if asked++; asked == 9 {
			cancel()
		}
		return w.now
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v, want to be cancelled", err)
	}
	got := w.registrations("noted")
	var number, done, total int
	if _, err := fmt.Sscanf(strings.Join(got, ","), "requested %d %d %d", &number, &done, &total); err != nil || done == 0 || done >= total {
		t.Fatalf("stopped in the middle: %q", got)
	}
	if _, err := other.Update(w.ctx(), w.request(custodian(), "update", "Observation"), "Observation", "n1",
		w.content(resource("Observation", "n1", observation("Patient/p")+`,"note":[{"text":"y"}]`)), ""); err != nil {
		t.Fatal(explain(err))
	}
	w.reindex(other)
	if diff := cmp.Diff([]string{fmt.Sprintf("completed %d %d %d", number, total, total)}, w.registrations("noted")); diff != "" {
		t.Errorf("ended by another (-want +got):\n%s", diff)
	}
	for query, want := range map[string]int{"noted=x&_count=1000": rows - 1, "noted=y": 1} {
		if r, err := w.search(custodian(), "Observation", query); err != nil || len(r.Items()) != want {
			t.Errorf("%s: %d found, %v, want %d", query, len(r.Items()), err, want)
		}
	}
	for i := range 3 { // a version more would tell who reads that something was written
		w.want("its version", strings.Split(w.reads(custodian(), "Observation", fmt.Sprint("n", i+5)), `"versionId":"`)[1][:1], "1")
	}
}
