package search

import (
	"strings"
	"testing"
)

// TestWhatCannotBeComparedIsNotMissing has for each kind a value that a query has
// nothing to find by, and its neighbour that is not there.
func TestWhatCannotBeComparedIsNotMissing(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	for name, c := range map[string]struct {
		src, param string
		there      bool
	}{
		"a concept of text":           {`"code":{"text":"x"}`, "code", true},
		"no concept":                  {`"status":"final"`, "code", false},
		"a reference of display":      {`"subject":{"display":"x"}`, "subject", true},
		"perhaps of another type":     {`"subject":{"display":"x"}`, "patient", false},
		"a contained patient":         {`"contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"}`, "patient", true},
		"a contained group":           {`"contained":[{"resourceType":"Group","id":"p"}],"subject":{"reference":"#p"}`, "patient", false},
		"of another type":             {`"subject":{"reference":"Group/g"}`, "patient", false},
		"a quantity of a unit":        {`"valueQuantity":{"unit":"mg"}`, "value-quantity", true},
		"a series":                    {`"valueSampledData":{"origin":{"value":0},"period":1,"dimensions":1}`, "value-quantity", true},
		"a timing without times":      {`"effectiveTiming":{"code":{"text":"x"}}`, "date", true},
		"an identifier without value": {`"identifier":[{"use":"old"}]`, "identifier", true},
		"an empty value":              {`"identifier":[{}]`, "identifier", false},
	} {
		e := indexed(t, x, `{"resourceType":"Observation","id":"o",`+c.src+`}`)
		for _, missing := range []string{"true", "false"} {
			q, refusal := p.Parse("Observation", pairs(c.param+":missing="+missing), false)
			if refusal != nil {
				t.Fatal(refusal)
			}
			if got := q.Matches(e); got != (c.there == (missing == "false")) {
				t.Errorf("%s: %s:missing=%s found %v", name, c.param, missing, got)
			}
		}
	}
}

// TestVersionsOfCanonicals has above and below of what refers by canonical URL.
func TestVersionsOfCanonicals(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	e := indexed(t, x, strings.Replace(answers, "q|2", "q|2.1.0", 1))
	for query, want := range map[string]bool{
		"questionnaire=http://q.test/q": true, "questionnaire=http://q.test/q|2.1.0": true, "questionnaire=http://q.test/q|2.1": false,
		"questionnaire:below=http://q.test/q|2.1": true, "questionnaire:below=http://q.test/q|2": true, "questionnaire:below=http://q.test/q|2.1.0": true,
		"questionnaire:below=http://q.test/q|2.1.0.5": false, "questionnaire:below=http://q.test/q|1": false, "questionnaire:below=http://q.test/q|2.1.": false,
		"questionnaire:above=http://q.test/q|2.1.0.5": true, "questionnaire:above=http://q.test/q|2.1.0": true, "questionnaire:above=http://q.test/q|2.1": false,
		"questionnaire:below=http://q.test": true, "questionnaire:below=http://q.tes": false, "questionnaire:above=http://q.test/q/x": true,
		"questionnaire:above=http://q.test": false,
	} {
		q, refusal := p.Parse("QuestionnaireResponse", pairs(query), false)
		if refusal != nil {
			t.Fatal(query, refusal)
		}
		if got := q.Matches(e); got != want {
			t.Errorf("%s: found %v", query, got)
		}
	}
	for _, query := range []string{"questionnaire:below=urn:oid:1.2.3", "questionnaire:above=http://q.test/q|", "questionnaire:below=http://"} {
		if _, refusal := p.Parse("QuestionnaireResponse", pairs(query), false); refusal == nil {
			t.Errorf("%s: taken", query)
		}
	}
}
