package search

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
)

// TestOnlyWhatNamesPatientsConfines: a search is confined to patients by clauses
// that hold for nobody else's resources, and by no others.
func TestOnlyWhatNamesPatientsConfines(t *testing.T) {
	p := indexer(t).Parser()
	for _, c := range []struct {
		typ   fhir.ResourceType
		query string
		want  []string
	}{
		{"Observation", "patient=a", []string{"a"}},
		{"Observation", "patient:missing=false", nil},
		{"Observation", "patient:missing=true", nil},
		{"Observation", "patient:identifier=Patient/a", nil},
		{"Observation", "patient._id=a", nil},
		{"Observation", "patient._id=a&patient=b", []string{"b"}},
		{"Observation", "_has:Provenance:target:patient=a", nil},
		{"Observation", "_filter=patient re Patient/a", nil},
		{"Observation", "_list=a", nil},
		{"Observation", "_text=Patient/a", nil},
		{"Observation", "_profile=Patient/a", nil},
		{"Observation", "code=Patient/a", nil},
		{"QuestionnaireResponse", "questionnaire=Patient/a", nil},
		{"Encounter", "location:below=Location/a", nil},
		{"Patient", "_id=a,b", []string{"a", "b"}},
		{"Patient", "_id:not=a", nil},
		{"Patient", "_id:missing=false", nil},
		{"Patient", "link=Patient/a", nil},
		{"Patient", "_filter=_id eq a", nil},
		{"", "_type=Observation,Condition&patient=a", []string{"a"}},
		{"", "_type=Observation,Condition&patient:missing=true", nil},
		{"", "_type=Observation,Patient&_id=a", nil},
		{"", "_id=a", nil},
	} {
		q, refusal := p.Parse(c.typ, pairs(c.query), false)
		if refusal != nil {
			t.Errorf("%s?%s: %v", c.typ, c.query, refusal)
			continue
		}
		if diff := cmp.Diff(c.want, q.Patients); diff != "" {
			t.Errorf("%s?%s: %s", c.typ, c.query, diff)
		}
	}
}

// TestCompartmentsOfSeveralTypes: each type is confined by its own references.
func TestCompartmentsOfSeveralTypes(t *testing.T) {
	p := indexer(t).Parser()
	q, refusal := p.Parse("", pairs("_type=Patient,Observation,ValueSet&_id=x"), false)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if err := p.Compartment(q, "Patient", "p1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]fhir.ResourceType{"Observation", "Patient"}, q.Types); diff != "" || q.Within != "Patient/p1" || q.Patients != nil {
		t.Errorf("%s: within %q, of %v", diff, q.Within, q.Patients)
	}
	for typ, patients := range map[fhir.ResourceType][]string{"Observation": {"p1"}, "Patient": nil} {
		got, err := p.Of(q, typ)
		if err != nil {
			t.Fatal(err)
		}
		want := &Query{Type: typ, Count: -1, Clauses: slices.Clone(q.Clauses), Self: q.Self}
		if err := p.Compartment(want, "Patient", "p1"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || !slices.Equal(got.Patients, patients) {
			t.Errorf("%s: of %v %s", typ, got.Patients, diff)
		}
	}
	if _, err := p.Of(q, "ValueSet"); err == nil {
		t.Error("a ValueSet was in the compartment of a Patient")
	}
	if len(q.Clauses) != 1 {
		t.Error("the query of several types was changed")
	}
}
