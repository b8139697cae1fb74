package gate_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
)

// param is the number of a parameter.
func (w *world) param(t fhir.ResourceType, code string) search.Param {
	w.Helper()
	return search.Param(w.tools.Definitions.Resource(string(t)).Param(code).Number)
}

// answered are what an answer holds, "mode Type/id".
func answered(r gate.Released) []string {
	out := []string{}
	for _, i := range r.Items() {
		out = append(out, string(i.Mode)+" "+string(i.Resource.Type)+"/"+i.Resource.ID)
	}
	return out
}

// including is a search by id with includes.
func including(t fhir.ResourceType, id string, includes ...search.Include) *search.Query {
	return &search.Query{Type: t, Count: -1, Clauses: []search.Clause{{Any: []search.Match{search.IDMatch(id)}}}, Includes: includes}
}

func (w *world) gives(who consent.Caller, q *search.Query, want ...string) gate.Released {
	w.Helper()
	r := w.searched(who, q)
	if got := answered(r); !slices.Equal(got, want) {
		w.Errorf("got  %q\nwant %q", got, want)
	}
	return r
}

// searched is the first page of a query.
func (w *world) searched(who consent.Caller, q *search.Query) gate.Released {
	w.Helper()
	r, err := w.gate.Search(w.ctx(), w.request(who, "search-type", q.Type), q, "")
	if err != nil {
		w.Fatal(explain(err))
	}
	return r
}

// TestIncludesStayWithinWhatTheCallerMaySee: what is included is what a read or a
// search of the caller's own would give, and is on record.
func TestIncludesStayWithinWhatTheCallerMaySee(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Patient", "twin", `"gender":"male","link":[{"other":{"reference":"Patient/p"},"type":"seealso"}]`)
	w.register("twin", "C")
	subject := search.Include{Source: "Observation", Param: w.param("Observation", "subject")}
	link := search.Include{Source: "Patient", Param: w.param("Patient", "link")}
	conditions := search.Include{Reverse: true, Source: "Condition", Param: w.param("Condition", "subject")}

	w.gives(doctor("A"), including("Observation", "o-p", subject), "match Observation/o-p", "include Patient/p")
	again := conditions
	again.Iterate = true
	w.gives(doctor("A"), including("Observation", "o-p", subject, again),
		"match Observation/o-p", "include Patient/p", "include Condition/c-p")
	w.gives(doctor("A"), including("Observation", "o-p", subject, conditions), "match Observation/o-p", "include Patient/p")
	w.gives(doctor("A"), including("Patient", "p", conditions), "match Patient/p", "include Condition/c-p")

	// Clinic C cares for the twin alone; the custodian sees both.
	hidden := w.gives(doctor("C"), including("Patient", "twin", link), "match Patient/twin")
	w.put("Observation", "o-twin", observation("Patient/twin")[:len(observation("Patient/twin"))-1]+`},"hasMember":[{"reference":"Observation/none"}]`)
	members := search.Include{Source: "Observation", Param: w.param("Observation", "has-member")}
	absent := w.gives(doctor("C"), including("Observation", "o-twin", members), "match Observation/o-twin")
	if !hidden.Missed() || !absent.Missed() {
		t.Errorf("what is hidden is missed: %v, what is absent: %v", hidden.Missed(), absent.Missed())
	}
	w.gives(custodian(), including("Patient", "twin", link), "match Patient/twin", "include Patient/p")

	narrow := doctor("A")
	narrow.Scopes = smart.ParseScopes("user/Observation.rs")
	w.gives(narrow, including("Observation", "o-p", subject, conditions), "match Observation/o-p")

	// The twin is Patient of nobody else's concern, and so is who looked.
	events := search.Include{Reverse: true, Source: "AuditEvent", Param: w.param("AuditEvent", "patient")}
	w.gives(doctor("A"), including("Patient", "p", events), "match Patient/p")
	if got := w.searched(custodian(), including("Patient", "p", events)); len(got.Items()) < 3 {
		t.Errorf("the custodian finds no events: %q", answered(got))
	}
}

// TestIncludedPatientsAreRecorded: one event for each patient of whom something
// is given, be it found or included.
func TestIncludedPatientsAreRecorded(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Patient", "twin", `"gender":"male","link":[{"other":{"reference":"Patient/p"},"type":"seealso"}]`)
	w.register("twin", "A")
	link := search.Include{Source: "Patient", Param: w.param("Patient", "link")}
	w.gives(doctor("A"), including("Patient", "twin", link), "match Patient/twin", "include Patient/p")
	events := search.Include{Reverse: true, Source: "AuditEvent", Param: w.param("AuditEvent", "patient")}
	n := 0
	for _, i := range w.searched(custodian(), including("Patient", "p", events)).Items() {
		if i.Resource.Type == "AuditEvent" && bytes.Contains(i.Resource.JSON, []byte(`"search-type"`)) && bytes.Contains(i.Resource.JSON, []byte("dr-A")) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d events say that the doctor was given the Patient, want 1", n)
	}
}

// TestIncludesEnd: rings are gone round once, and what is too much is said to be.
func TestIncludesEnd(t *testing.T) {
	w := newClinics(t, nil)
	for i := range 12 {
		w.put("Organization", fmt.Sprintf("ring%d", i), fmt.Sprintf(`"active":true,"name":"Clinic","partOf":{"reference":"Organization/ring%d"}`, (i+1)%12))
	}
	partOf := search.Include{Source: "Organization", Param: w.param("Organization", "partof")}
	r := w.gives(custodian(), including("Organization", "ring0", partOf), "match Organization/ring0", "include Organization/ring1")
	if r.Partial() {
		t.Error("one step is called incomplete")
	}
	partOf.Iterate = true
	r = w.searched(custodian(), including("Organization", "ring0", partOf))
	if got := answered(r); len(got) != 10 || !r.Partial() {
		t.Errorf("%d resources, incomplete %v: %q", len(got), r.Partial(), got)
	}
	w.put("Organization", "ring3", `"active":true,"name":"Clinic","partOf":{"reference":"Organization/ring0"}`)
	r = w.searched(custodian(), including("Organization", "ring0", partOf))
	if got := answered(r); len(got) != 4 || r.Partial() {
		t.Errorf("%d resources, incomplete %v: %q", len(got), r.Partial(), got)
	}
}

// TestCanonicalsAreIncluded: by URL, and by the version where one is named.
func TestCanonicalsAreIncluded(t *testing.T) {
	w := newClinics(t, nil)
	for _, v := range []string{"1", "2"} {
		w.put("Questionnaire", "q"+v, `"status":"active","url":"http://q.example/one","version":"`+v+`"`)
	}
	w.put("QuestionnaireResponse", "any", `"status":"completed","questionnaire":"http://q.example/one"`)
	w.put("QuestionnaireResponse", "second", `"status":"completed","questionnaire":"http://q.example/one|2"`)
	to := search.Include{Source: "QuestionnaireResponse", Param: w.param("QuestionnaireResponse", "questionnaire")}
	w.gives(custodian(), including("QuestionnaireResponse", "any", to),
		"match QuestionnaireResponse/any", "include Questionnaire/q1", "include Questionnaire/q2")
	w.gives(custodian(), including("QuestionnaireResponse", "second", to),
		"match QuestionnaireResponse/second", "include Questionnaire/q2")
	to.Reverse = true
	w.gives(custodian(), including("Questionnaire", "q2", to),
		"match Questionnaire/q2", "include QuestionnaireResponse/any", "include QuestionnaireResponse/second")
}
