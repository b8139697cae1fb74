package search

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
)

// number is the number of a parameter that must be there.
func number(tb testing.TB, p *Parser, t fhir.ResourceType, code string) Param {
	tb.Helper()
	if pp := p.param(t, code); pp != nil {
		return pp.number
	}
	tb.Fatalf("%s has no %s", t, code)
	return 0
}

// clauseOf is the only clause of a query.
func clauseOf(tb testing.TB, p *Parser, t fhir.ResourceType, query string) Clause {
	tb.Helper()
	q, refusal := p.Parse(t, pairs(query), false)
	if refusal != nil {
		tb.Fatalf("%s?%s: %v", t, query, refusal)
	}
	if q.Self != query {
		tb.Errorf("%s: self is %s", query, q.Self)
	}
	return q.Clauses[0]
}

// outside are clauses without what chains ask of contained resources.
func outside(all []Clause) []Clause {
	all = slices.Clone(all)
	for i := range all {
		if all[i].Via = slices.Clone(all[i].Via); all[i].Via != nil {
			all[i].All = nil
		}
		for j := range all[i].Via {
			all[i].Via[j].Clauses = outside(all[i].Via[j].Clauses)
		}
	}
	return all
}

func TestChainsBecomeJoins(t *testing.T) {
	p := indexer(t).Parser()
	n := func(t2 fhir.ResourceType, code string) Param { return number(t, p, t2, code) }
	inner := func(t2 fhir.ResourceType, query string) []Clause { return outside([]Clause{clauseOf(t, p, t2, query)}) }
	for _, c := range []struct {
		typ   fhir.ResourceType
		query string
		want  Clause
	}{
		{"Observation", "subject:Patient.name=x", Clause{Via: []Join{
			{Param: n("Observation", "subject"), Type: "Patient", Clauses: inner("Patient", "name=x")},
		}}},
		{"Observation", "patient.name:exact=x,y", Clause{Via: []Join{
			{Param: n("Observation", "patient"), Type: "Patient", Clauses: inner("Patient", "name:exact=x,y")},
		}}},
		{"Observation", "subject.address-city=x", Clause{Via: []Join{ // a Group has none, and neither has a Device
			{Param: n("Observation", "subject"), Type: "Location", Clauses: inner("Location", "address-city=x")},
			{Param: n("Observation", "subject"), Type: "Patient", Clauses: inner("Patient", "address-city=x")},
		}}},
		{"Observation", "encounter.location.name:missing=true", Clause{Via: []Join{
			{Param: n("Observation", "encounter"), Type: "Encounter", Clauses: inner("Encounter", "location.name:missing=true")},
		}}},
		{"QuestionnaireResponse", "questionnaire.name=x", Clause{Via: []Join{
			{Param: n("QuestionnaireResponse", "questionnaire"), Type: "Questionnaire", Clauses: inner("Questionnaire", "name=x")},
			{Param: n("QuestionnaireResponse", "questionnaire"), Type: "Questionnaire", By: n("Questionnaire", "url"), Clauses: inner("Questionnaire", "name=x")},
		}}},
		{"Patient", "_has:Observation:patient:code=x,y", Clause{Via: []Join{
			{Reverse: true, Param: n("Observation", "patient"), Type: "Observation", Clauses: inner("Observation", "code=x,y")},
		}}},
		{"Patient", "_has:Observation:patient:_has:AuditEvent:entity:action=R", Clause{Via: []Join{
			{Reverse: true, Param: n("Observation", "patient"), Type: "Observation", Clauses: inner("Observation", "_has:AuditEvent:entity:action=R")},
		}}},
		{"Encounter", "subject:Patient._has:Observation:patient:performer:Practitioner.name=x", Clause{Via: []Join{
			{Param: n("Encounter", "subject"), Type: "Patient", Clauses: inner("Patient", "_has:Observation:patient:performer:Practitioner.name=x")},
		}}},
		{"Questionnaire", "_has:QuestionnaireResponse:questionnaire:status=completed", Clause{Via: []Join{
			{Reverse: true, Param: n("QuestionnaireResponse", "questionnaire"), Type: "QuestionnaireResponse", Clauses: inner("QuestionnaireResponse", "status=completed")},
			{
				Reverse: true, Param: n("QuestionnaireResponse", "questionnaire"), Type: "QuestionnaireResponse",
				By: n("Questionnaire", "url"), Clauses: inner("QuestionnaireResponse", "status=completed"),
			},
		}}},
		{"Patient", "_list=42,List/43", Clause{Via: []Join{
			{Reverse: true, Param: n("List", "item"), Type: "List", Clauses: []Clause{{Any: []Match{IDMatch("42"), IDMatch("43")}}}},
		}}},
		{"Observation", "code:missing=true", Clause{Any: []Match{{Param: n("Observation", "code"), Op: OpPrefix}}, Not: true}},
		{"Observation", "code:missing=false", Clause{Any: []Match{{Param: n("Observation", "code"), Op: OpPrefix}}}},
		{"Observation", "status:not=final,amended", Clause{
			Any: append(clauseOf(t, p, "Observation", "status=final").Any, clauseOf(t, p, "Observation", "status=amended").Any...), Not: true,
		}},
		{"Observation", "code:in=http://v.test/vs", Clause{Any: []Match{{Param: n("Observation", "code"), Op: OpIn, Key: []byte("http://v.test/vs")}}}},
		{"Observation", "code:not-in=ValueSet/v", Clause{Any: []Match{{Param: n("Observation", "code"), Op: OpIn, Key: []byte("ValueSet/v")}}, Not: true}},
		{"Observation", "code:below=Ab", Clause{Any: []Match{{Param: n("Observation", "code"), Op: OpBelow, Key: []byte("cAb")}}}},
		{"Observation", "code:above=http://s.test%7CAb", Clause{Any: []Match{{Param: n("Observation", "code"), Op: OpAbove, Key: []byte("shttp://s.test\x00Ab")}}}},
		{"Patient", "name:contains=Ön", Clause{Any: []Match{{Param: n("Patient", "name"), Op: OpContains, Key: []byte("ton")}}}},
	} {
		params := pairs(c.query)
		for i := range params {
			if params[i].Value == "http://s.test%7CAb" {
				params[i].Value = "http://s.test|Ab"
			}
		}
		q, refusal := p.Parse(c.typ, params, false)
		if refusal != nil {
			t.Errorf("%s?%s: %v", c.typ, c.query, refusal)
			continue
		}
		if diff := cmp.Diff([]Clause{c.want}, outside(q.Clauses)); diff != "" {
			t.Errorf("%s?%s: %s", c.typ, c.query, diff)
		}
		if q.Patients != nil {
			t.Errorf("%s?%s: confined to patients %v", c.typ, c.query, q.Patients)
		}
	}
}

func TestControlsOfResults(t *testing.T) {
	p := indexer(t).Parser()
	n := func(t2 fhir.ResourceType, code string) Param { return number(t, p, t2, code) }
	for _, c := range []struct {
		typ   fhir.ResourceType
		query string
		want  Query
	}{
		{"Observation", "_include=Observation:subject&_include:iterate=Patient:link:Patient&_revinclude=Provenance:target&_include=*", Query{
			Type: "Observation", Count: -1, Includes: []Include{
				{Source: "Observation", Param: n("Observation", "subject")},
				{Iterate: true, Source: "Patient", Param: n("Patient", "link"), Target: "Patient"},
				{Reverse: true, Source: "Provenance", Param: n("Provenance", "target")},
				{},
			},
		}},
		{"Observation", "_include:recurse=Observation:*&_revinclude:iterate=*&_include=Observation:*:Patient", Query{
			Type: "Observation", Count: -1, Includes: []Include{
				{Iterate: true, Source: "Observation"}, {Reverse: true, Iterate: true}, {Source: "Observation", Target: "Patient"},
			},
		}},
		{"Observation", "_summary=text&_contained=both", Query{Type: "Observation", Count: -1, Summary: SummaryText, Contained: ContainedBoth, Containers: true}},
		{"Observation", "_summary=data&_containedType=contained&_contained=true", Query{Type: "Observation", Count: -1, Summary: SummaryData, Contained: ContainedTrue}},
		{"Observation", "_elements=status,value,valueQuantity,status", Query{
			Type: "Observation", Count: -1, Elements: []string{"status", "value", "valueQuantity"},
		}},
		{"", "_type=Patient,Observation,Patient&_sort=-_lastUpdated,_id", Query{
			Types: []fhir.ResourceType{"Observation", "Patient"}, Count: -1,
			Sort: []SortKey{{Param: ParamLastUpdated, Range: true, Descending: true}, {Param: ParamID}},
		}},
		{"", "_id=a&_type=Observation,Patient", Query{
			Types: []fhir.ResourceType{"Observation", "Patient"}, Count: -1, Clauses: []Clause{{Any: []Match{IDMatch("a")}}},
		}},
		{"", "patient=a&_type=Observation,Condition", Query{
			Types: []fhir.ResourceType{"Condition", "Observation"}, Count: -1, Patients: []string{"a"},
			Clauses: []Clause{clauseOf(t, p, "Observation", "patient=a")},
		}},
		{"", "status:not=x&_type=Observation,Encounter", Query{
			Types: []fhir.ResourceType{"Encounter", "Observation"}, Count: -1,
			Clauses: []Clause{{Any: append(clauseOf(t, p, "Encounter", "status=x").Any, clauseOf(t, p, "Observation", "status=x").Any...), Not: true}},
		}},
	} {
		q, refusal := p.Parse(c.typ, pairs(c.query), false)
		if refusal != nil {
			t.Errorf("%s?%s: %v", c.typ, c.query, refusal)
			continue
		}
		c.want.Self = c.query
		if c.query != q.Self { // what is written otherwise for a query string
			c.want.Self = q.Self
		}
		if diff := cmp.Diff(&c.want, q); diff != "" {
			t.Errorf("%s?%s: %s", c.typ, c.query, diff)
		}
	}
}

// TestSystemLevelTakesWhatAllTypesHave: with a permit beside each refusal.
func TestSystemLevelTakesWhatAllTypesHave(t *testing.T) {
	p := indexer(t).Parser()
	for query, want := range map[string]string{
		"_lastUpdated=2026":                             "",
		"code=x":                                        "not known for all of the types searched; known are _content, _filter, _has, _id, _lastUpdated, _list,",
		"_type=Observation,Condition&code=x":            "",
		"_type=Observation,Patient&code=x":              "not known for all of the types searched",
		"_type=Observation,Nonsense":                    `"_type": value 2: must be the name of a resource type`,
		"_type=":                                        "must be the name of a resource type",
		"_type=Patient&_type=Observation":               "it may be given once, with commas between",
		"_type=Encounter,Observation&_sort=status":      "is not one and the same parameter for all types searched",
		"_type=Encounter,Observation&_sort=date":        "",
		"_type=Encounter,Observation&subject.name=x":    "",
		"_type=Encounter,Observation&status.name=x":     "status is a token and leads nowhere",
		"_has:Provenance:target:_id=x":                  "",
		"_type=Observation&_contained=true":             "only a search of one type takes it",
		"_list=x":                                       "",
		"_include=Observation:subject":                  "",
		"_type=Patient&_include=Observation:subject":    "goes from a type that is not searched",
		"_type=Patient&_revinclude=Observation:subject": "",
	} {
		_, refusal := p.Parse("", pairs(query), false)
		switch {
		case refusal == nil && want != "", refusal != nil && want == "":
			t.Errorf("%s: %v", query, refusal)
		case refusal != nil:
			if got := refusal.Error(); !strings.Contains(got, want) {
				t.Errorf("%s: %s\nwant %s", query, got, want)
			}
		}
	}
}

const order = `{"resourceType":"MedicationRequest","id":"m1","status":"active","intent":"order","subject":{"reference":"#p"},
	"contained":[{"resourceType":"Medication","id":"m","code":{"coding":[{"code":"abc","display":"Aspirin"}]}},
		{"resourceType":"Medication","id":"other","code":{"coding":[{"code":"xyz"}]}},
		{"resourceType":"Practitioner","id":"d","name":[{"family":"Lim"}]},{"resourceType":"Patient","id":"p","gender":"male"}],
	"medicationReference":{"reference":"#m"},"requester":{"reference":"#d"}}`

// TestChainsGoIntoWhatIsContained: R4 search.html#contained.
func TestChainsGoIntoWhatIsContained(t *testing.T) {
	x := indexer(t)
	for query, want := range map[string]bool{
		"medication.code=abc":                     true,
		"medication.code:text=aspi":               true,
		"medication:Medication.code:not=xyz":      true,
		"requester.name=lim":                      true,
		"requester.family:contains=i":             true,
		"_filter=medication.code eq abc":          true,
		"_filter=not (medication.code eq xyz)":    true,
		"medication._id=m":                        true,
		"medication.code=xyz":                     false, // which nothing refers to
		"medication.code:text=x":                  false,
		"requester.name=tan":                      false,
		"requester:PractitionerRole.identifier=a": false,
		"medication._id=other":                    false,
	} {
		name, value, _ := strings.Cut(query, "=")
		var tape fhir.Tape
		if err := tape.Parse([]byte(order), fhir.Limits{}); err != nil {
			t.Fatal(err)
		}
		q, refusal := x.Parser().Parse("MedicationRequest", []Pair{{name, value}}, false)
		if refusal != nil {
			t.Errorf("%s: %v", query, refusal)
			continue
		}
		got, err := AllHold(q.Clauses, indexed(t, x, order), nowhere{alone{&tape}})
		if err != nil || got != want {
			t.Errorf("%s: found %v, %v, want %v", query, got, err, want)
		}
	}
	for query, contained := range map[string]bool{"patient.gender=male": false, "subject.gender=male": false, "encounter.status=x": true, "encounter.patient.gender=male": false} {
		if c := clauseOf(t, x.Parser(), "MedicationRequest", query); (len(c.All) > 0) != contained {
			t.Errorf("%s: %+v", query, c)
		}
	}
}

// nowhere is alone where joins lead to nothing.
type nowhere struct{ alone }

func (nowhere) Joined(*Join) (bool, error) { return false, nil }
