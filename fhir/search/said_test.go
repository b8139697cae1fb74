package search

import (
	"testing"

	"vitrine/fhir"
)

// leading is led to whatever a join names, by entries that have it.
type leading struct {
	alone
	entries Encoded
}

func (l leading) Joined(j *Join) (bool, error) {
	for number, value := range l.entries.All() {
		if t, _, ok := LocalReference(value); ok && number == j.Param && t == j.Type {
			return true, nil
		}
	}
	return false, nil
}

// TestSaid: what is asked of a resource's own words is answered by them, whatever
// the logical references in it were linked to.
func TestSaid(t *testing.T) {
	x := indexer(t)
	const nric = `"identifier":{"system":"http://nric.test","value":"S1"}`
	link := Link{Identifier: fhir.Identifier{System: "http://nric.test", Value: "S1"}, Patient: "p"}
	for name, resource := range map[string]string{
		"logical":             `{"resourceType":"Observation","subject":{` + nric + `}}`,
		"logical and literal": `{"resourceType":"Observation","subject":{"reference":"Group/g",` + nric + `}}`,
		"contained":           `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"c","identifier":[{"system":"http://nric.test","value":"S1"}]}],"subject":{"reference":"#c"}}`,
		"literal":             `{"resourceType":"Observation","subject":{"reference":"Patient/p"}}`,
		"composite":           `{"resourceType":"DocumentReference","subject":{` + nric + `},"relatesTo":[{"code":"replaces","target":{` + nric + `}}]}`,
	} {
		var tape fhir.Tape
		if err := tape.Parse([]byte(resource), fhir.Limits{}); err != nil {
			t.Fatal(err)
		}
		said := func(links ...Link) Encoded {
			var e Entries
			if err := x.IndexSaid(&e, &tape, links...); err != nil {
				t.Fatal(err)
			}
			e.Sort()
			return e.Encode(nil)
		}
		holds := func(clauses []Clause, e Encoded) bool {
			ok, err := AllHold(clauses, e, leading{alone{&tape}, e})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return ok
		}
		typ := fhir.ResourceType(tape.Text(tape.Field(tape.Root(), "resourceType")))
		queries := []string{
			"patient=Patient/p", "subject=p", "subject:missing=true", "patient:missing=true", "subject:Patient.gender=female",
			"subject:identifier=http://nric.test|S1", "_filter=subject re Patient/p", "_filter=not (subject.gender eq female)",
		}
		if name == "composite" {
			queries = append(queries[:4:4], "relatesto=Patient/p", "relatesto:missing=true", "relationship=Patient/p$replaces", "relationship:missing=true")
		}
		for _, query := range queries {
			q, refusal := x.Parser().Parse(typ, pairs(query), false)
			if refusal != nil {
				t.Errorf("%s?%s: %v", name, query, refusal)
				continue
			}
			want := holds(q.Clauses, indexed(t, x, resource))
			for _, e := range []Encoded{said(), said(link)} {
				if got := holds(x.Said(q.Clauses), e); got != want {
					t.Errorf("%s?%s: %v, want %v as the words have it", name, query, got, want)
				}
			}
		}
		q, _ := x.Parser().Parse(typ, pairs("patient=Patient/p"), false)
		if !holds(q.Clauses, said(link)) {
			t.Errorf("%s: a reader does not find it by whom it is linked to", name)
		}
	}
}
