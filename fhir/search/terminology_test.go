package search

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir/r4"
)

// few is a terminology of one value set and one hierarchy, a over b over c.
type few struct{}

func (few) Members(_ context.Context, url string) ([]Codes, error) {
	switch url {
	case "http://v.test/vs":
		return []Codes{{System: "http://s.test", Codes: []string{"b", "C"}}, {System: "http://whole.test", Whole: true}}, nil
	case "http://v.test/none":
		return nil, nil
	case "http://v.test/large":
		return []Codes{{System: "http://s.test", Codes: make([]string, MaxCodes+1)}}, nil
	case "http://v.test/broken":
		return nil, errors.New("broken")
	}
	return nil, ErrUnknownTerms
}

func (few) Above(_ context.Context, system, code string) ([]Codes, error) {
	at := strings.Index("abc", code)
	if system != "http://s.test" || at < 0 {
		return nil, ErrUnknownTerms
	}
	return []Codes{{System: system, Codes: strings.Split("abc"[:at+1], "")}}, nil
}

func (few) Below(_ context.Context, system, code string) ([]Codes, error) {
	at := strings.Index("abc", code)
	if system != "http://s.test" || at < 0 {
		return nil, ErrUnknownTerms
	}
	return []Codes{{System: system, Codes: strings.Split("abc"[at:], "")}}, nil
}

// naming makes a match of code that a terminology has to list.
func naming(x *Indexer) func(what string, op Op) Match {
	return func(what string, op Op) Match {
		if op != OpIn {
			what = "shttp://s.test\x00" + what
		}
		return Match{Param: Param(x.defs.Type("Observation").Param("code").Number), Op: op, Key: []byte(what)}
	}
}

// TestResolvedTermsFind asks with every match that needs a terminology, in a
// clause of its own, in a group and in a join.
func TestResolvedTermsFind(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	named := naming(x)
	coded := func(system, c string) Encoded {
		return indexed(t, x, `{"resourceType":"Observation","code":{"coding":[{"system":"`+system+`","code":"`+c+`"}]}}`)
	}
	for name, c := range map[string]struct {
		m             Match
		found, missed []string
	}{
		"in":         {named("http://v.test/vs", OpIn), []string{"b", "B", "c", "C"}, []string{"a", "d"}},
		"in nothing": {named("http://v.test/none", OpIn), nil, []string{"a", "b"}},
		"above":      {named("b", OpAbove), []string{"a", "b"}, []string{"c", "d"}},
		"below":      {named("b", OpBelow), []string{"b", "c"}, []string{"a", "d"}},
	} {
		for place, clause := range map[string]func() []Clause{
			"alone":   func() []Clause { return []Clause{{Any: []Match{c.m}}} },
			"grouped": func() []Clause { return []Clause{{All: [][]Clause{{{Any: []Match{c.m}}}}}} },
			"joined":  func() []Clause { return []Clause{{Via: []Join{{Clauses: []Clause{{Any: []Match{c.m}}}}}}} },
		} {
			q := &Query{Type: "Observation", Clauses: clause()}
			if refusal, err := p.Resolve(t.Context(), q, few{}); refusal != nil || err != nil {
				t.Fatal(name, refusal, err)
			}
			if place == "joined" {
				q.Clauses = q.Clauses[0].Via[0].Clauses
			}
			for i, list := range [][]string{c.found, c.missed} {
				for _, v := range list {
					if got := q.Matches(coded("http://s.test", v)); got != (i == 0) {
						t.Errorf("%s, %s: %s found %v", name, place, v, got)
					}
				}
			}
		}
	}
	q := &Query{Clauses: []Clause{{Any: []Match{named("http://v.test/vs", OpIn)}}}}
	if _, err := p.Resolve(t.Context(), q, few{}); err != nil || !q.Matches(coded("http://whole.test", "any")) {
		t.Error("a whole system: not found", err)
	}
}

func TestUnresolvedTermsAreRefusedByName(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	named := naming(x)
	for want, m := range map[string]Match{
		`search parameter "code": value set "http://v.test/other" is not known, or its codes cannot be listed`:    named("http://v.test/other", OpIn),
		`search parameter "code": value set "http://v.test/large" stands for more than 4000 codes`:                named("http://v.test/large", OpIn),
		`search parameter "code": code "z" of system "http://s.test" is not known, or its codes cannot be listed`: named("z", OpBelow),
	} {
		q := &Query{Clauses: []Clause{{Any: []Match{m}}}}
		refusal, err := p.Resolve(t.Context(), q, few{})
		if err != nil || refusal == nil {
			t.Fatal(refusal, err)
		}
		if diff := cmp.Diff(want, refusal.Error()); diff != "" {
			t.Error(diff)
		}
	}
	q := &Query{Clauses: []Clause{{Any: []Match{named("http://v.test/broken", OpIn)}}}}
	if _, err := p.Resolve(t.Context(), q, few{}); err == nil {
		t.Error("an error was taken for an answer")
	}
	if (&Query{Clauses: []Clause{{Any: []Match{named("http://v.test/vs", OpIn)}}}}).Matches(indexed(t, x, observation)) {
		t.Error("a match that was not resolved holds")
	}
}

func TestShippedTerms(t *testing.T) {
	loaded, err := r4.LoadTerms()
	if err != nil {
		t.Fatal(err)
	}
	terms := NewShipped(loaded)
	below, err := terms.Below(t.Context(), "http://terminology.hl7.org/CodeSystem/v3-ActCode", "IMP")
	want := []Codes{{System: "http://terminology.hl7.org/CodeSystem/v3-ActCode", Codes: []string{"ACUTE", "IMP", "NONAC"}}}
	if diff := cmp.Diff(want, below); diff != "" || err != nil {
		t.Error(err, diff)
	}
	any, err := terms.Above(t.Context(), "", "NONAC")
	want[0].Codes = []string{"IMP", "NONAC", "_ActCareProvisionCode", "_ActEncounterCode"}
	if diff := cmp.Diff(want, any); diff != "" || err != nil {
		t.Error(err, diff)
	}
	whole, err := terms.Members(t.Context(), "http://hl7.org/fhir/ValueSet/observation-codes")
	if diff := cmp.Diff([]Codes{{System: "http://loinc.org", Whole: true}}, whole); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for name, ask := range map[string]func() ([]Codes, error){
		"value set": func() ([]Codes, error) { return terms.Members(t.Context(), "http://v.test/x") },
		"system":    func() ([]Codes, error) { return terms.Below(t.Context(), "http://snomed.info/sct", "404684003") },
		"code":      func() ([]Codes, error) { return terms.Below(t.Context(), "", "no such code") },
	} {
		if got, err := ask(); !errors.Is(err, ErrUnknownTerms) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
