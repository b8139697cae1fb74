package search

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

const testBase = "http://vitrine.test/fhir"

func definitions(tb testing.TB) *r4.Definitions {
	tb.Helper()
	d, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func indexer(tb testing.TB) *Indexer {
	tb.Helper()
	x, err := newIndexerIn(definitions(tb), testBase, time.UTC)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// TestEverySearchParameterCompiles lists every parameter of R4 that makes no
// entries; all others do on at least one type.
func TestEverySearchParameterCompiles(t *testing.T) {
	x := indexer(t)
	made := map[string]bool{}
	for _, p := range x.types {
		for _, pp := range p.params {
			if pp.indexed {
				made[pp.URL] = true
			}
		}
	}
	const prefix = "http://hl7.org/fhir/SearchParameter/"
	want := []string{
		"DomainResource-text", "Resource-content", "Resource-query", "filter", // later
		"codesystem-extensions-CodeSystem-author", "codesystem-extensions-CodeSystem-effective", // no expression, no base
		"codesystem-extensions-CodeSystem-end", "codesystem-extensions-CodeSystem-keyword", "codesystem-extensions-CodeSystem-workflow",
		"valueset-extensions-ValueSet-author", "valueset-extensions-ValueSet-effective",
		"valueset-extensions-ValueSet-end", "valueset-extensions-ValueSet-keyword", "valueset-extensions-ValueSet-workflow",
		"patient-extensions-Patient-age", "patient-extensions-Patient-birthOrderBoolean", // no expression
		"example", "example-extension", "example-reference", // examples that repeat real ones
	}
	var got []string
	total := 0
	for _, p := range x.defs.SearchParams() {
		if p.Internal || !strings.HasPrefix(p.URL, prefix) {
			continue
		}
		total++
		if _, err := fhirpath.Parse(p.Expression); err != nil && p.Expression != "" {
			t.Errorf("%s: %v", p.URL, err)
		}
		if !made[p.URL] {
			got = append(got, strings.TrimPrefix(p.URL, prefix))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || total != 1400 {
		t.Errorf("of %d without entries: %s", total, diff)
	}
}

// TestWalkAgreesWithEvaluation holds the compiled walk against the plain
// evaluation of each expression: what selects something makes entries.
func TestWalkAgreesWithEvaluation(t *testing.T) {
	x := indexer(t)
	for _, src := range []string{observation, patient, consultation, risk, valueSet, sequence, document, answers} {
		var tape fhir.Tape
		if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
			t.Fatal(err)
		}
		made := map[Param]bool{}
		for p := range indexed(t, x, src).All() {
			made[p] = true
		}
		for code, pp := range x.types[fhir.ResourceType(tape.Text(tape.Field(0, "resourceType")))].params {
			if !pp.indexed || pp.Kind == r4.ParamComposite { // a composite selects what its components may not be in
				continue
			}
			program, err := fhirpath.Compile(pp.Expression, x.defs)
			if err != nil {
				t.Fatal(code, err)
			}
			out, err := program.Run(&fhirpath.Scope{Tape: &tape})
			if err != nil {
				t.Fatal(code, err)
			}
			if selected := len(out) > 0 || pp.number == ParamLastUpdated; selected != made[pp.number] {
				t.Errorf("%s: selected %v, entries %v\n%s", pp.URL, selected, made[pp.number], src)
			}
		}
	}
}

// TestMalformedValuesMakeNoEntries shows the good neighbour of each bad value
// indexed all the same.
func TestMalformedValuesMakeNoEntries(t *testing.T) {
	x := indexer(t)
	typ := x.defs.Type("Observation")
	for name, c := range map[string]struct {
		src, param string
		entries    int
	}{
		"a good code":                  {`"status":"final"`, "status", 2},
		"a code that is a number":      {`"status":5`, "status", 0},
		"a code with NUL":              {`"status":"fi\u0000nal"`, "status", 0},
		"a good time":                  {`"effectiveDateTime":"2026-02-28"`, "date", 1},
		"a day that is not":            {`"effectiveDateTime":"2026-02-29"`, "date", 0},
		"a period with a bad end":      {`"effectivePeriod":{"start":"2026","end":"x"}`, "date", 0},
		"a period the wrong way round": {`"effectivePeriod":{"start":"2027","end":"2026"}`, "date", 0},
		"an empty period":              {`"effectivePeriod":{}`, "date", 0},
		"a good quantity":              {`"valueQuantity":{"value":1}`, "value-quantity", 1},
		"a quantity that is a string":  {`"valueQuantity":{"value":"1"}`, "value-quantity", 0},
		"an unknown comparator":        {`"valueQuantity":{"value":1,"comparator":"~"}`, "value-quantity", 0},
		"a good reference":             {`"subject":{"reference":"Patient/p"}`, "subject", 1},
		"a contained reference":        {`"subject":{"reference":"#p"}`, "subject", 0},
		"a reference to no type":       {`"subject":{"reference":"Nonsense/p"}`, "subject", 0},
		"a reference without an id":    {`"subject":{"reference":"Patient/"}`, "subject", 0},
		"a conditional reference":      {`"subject":{"reference":"Patient?identifier=x"}`, "subject", 0},
		"a reference with a path":      {`"subject":{"reference":"Patient/p/x"}`, "subject", 0},
		"another type than the filter": {`"subject":{"reference":"Group/g"}`, "patient", 0},
		"nulls in an array":            {`"category":[null,{"coding":[null,{"code":"1"}]},[{"coding":[{"code":"2"}]}]]`, "category", 2},
	} {
		e := indexed(t, x, `{"resourceType":"Observation","id":"o",`+c.src+`}`)
		got := 0
		for p, v := range e.All() {
			if p == Param(typ.Param(c.param).Number) && v[0] != tagPresent {
				got++
			}
		}
		if got != c.entries {
			t.Errorf("%s: %d entries, want %d", name, got, c.entries)
		}
	}
	var tape fhir.Tape
	var e Entries
	if err := tape.Parse([]byte(`{"resourceType":"Nonsense"}`), fhir.Limits{}); err != nil {
		t.Fatal(err)
	}
	if x.Index(&e, &tape) == nil || e.Len() != 0 {
		t.Error("what is no resource was indexed")
	}
}

func TestTimesWithoutZoneAreSingapores(t *testing.T) {
	x, err := NewIndexer(definitions(t), testBase)
	if err != nil {
		t.Fatal(err)
	}
	e := indexed(t, x, `{"resourceType":"Observation","id":"o","effectiveDateTime":"2026-03-14"}`)
	for query, want := range map[string]bool{
		"date=2026-03-14": true, "date=ge2026-03-14T15:59:59Z": true, "date=lt2026-03-13T16:00:01Z": true,
		"date=gt2026-03-14T16:00:00Z": false, "date=lt2026-03-13T16:00:00Z": false,
	} {
		q, refusal := x.Parser().Parse("Observation", pairs(query), false)
		if refusal != nil {
			t.Fatal(refusal)
		}
		if got := q.Matches(e); got != want {
			t.Errorf("%s: found %v", query, got)
		}
	}
}
