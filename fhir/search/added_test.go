package search

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// favourite is a parameter that R4 does not have.
func favourite(code string, kind r4.ParamKind, expression string, bases ...fhir.ResourceType) Added {
	return Added{&r4.SearchParam{
		Number: uint16(FirstAdded), Code: code, Name: code, URL: "http://x.example/" + code, Kind: kind,
		Bases: bases, Expression: expression,
	}, true}
}

func baseIndexer(tb testing.TB) *Indexer {
	tb.Helper()
	d, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	x, err := NewIndexer(d, "http://localhost/fhir")
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

func encodedBy(tb testing.TB, x *Indexer, src string) Encoded {
	tb.Helper()
	var tape fhir.Tape
	if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
		tb.Fatal(err)
	}
	var e Entries
	if err := x.Index(&e, &tape); err != nil {
		tb.Fatal(err)
	}
	e.Sort()
	return e.Encode(nil)
}

func TestAddedParametersAreIndexedAndSearched(t *testing.T) {
	const (
		patient = `{"resourceType":"Patient","name":[{"family":"Tan"}],"extension":[{"url":"http://x.example/colour","valueCodeableConcept":` +
			`{"coding":[{"system":"http://x.example/cs","code":"red"}]}},{"url":"http://x.example/other","valueCode":"blue"}],` +
			`"contact":[{"name":{"family":"Lim"},"organization":{"reference":"Organization/o1"}}]}`
		observation = `{"resourceType":"Observation","component":[{"code":{"coding":[{"code":"a"}]},"valueQuantity":{"value":2}},` +
			`{"code":{"coding":[{"code":"b"}]},"valueQuantity":{"value":3}}],"referenceRange":[{"low":{"value":4}}]}`
	)
	base := baseIndexer(t)
	pair := favourite("pair", r4.ParamComposite, "Observation.component", "Observation")
	pair.Components = []r4.Component{
		{Param: base.defs.Resource("Observation").Param("component-code"), Expression: "code"},
		{Param: base.defs.Resource("Observation").Param("component-value-quantity"), Expression: "value.as(Quantity)"},
	}
	for _, c := range []struct {
		added       Added
		src         string
		found, lost Pair
	}{
		{
			favourite("colour", r4.ParamToken, "Patient.extension.where(url='http://x.example/colour').value", "Patient"),
			patient,
			Pair{"colour", "http://x.example/cs|red"},
			Pair{"colour", "blue"},
		},
		{
			favourite("colour", r4.ParamToken, "Patient.extension('http://x.example/other').value as code", "Patient"),
			patient,
			Pair{"colour", "blue"},
			Pair{"colour", "red"},
		},
		{favourite("contact", r4.ParamString, "Patient.contact.name", "Patient"), patient, Pair{"contact", "lim"}, Pair{"contact", "tan"}},
		{
			favourite("contact-org", r4.ParamReference, "Patient.contact.organization", "Patient"),
			patient,
			Pair{"contact-org", "o1"},
			Pair{"contact-org", "o2"},
		},
		{
			favourite("low", r4.ParamQuantity, "Observation.referenceRange.low", "Observation"),
			observation,
			Pair{"low", "gt3"},
			Pair{"low", "lt4"},
		},
		{
			favourite("named", r4.ParamToken, "name.exists() and name.family = 'Tan'", "Patient"),
			patient,
			Pair{"named", "true"},
			Pair{"named", "false"},
		},
		{pair, observation, Pair{"pair", "a$2"}, Pair{"pair", "a$3"}},
	} {
		x, err := base.With([]Added{c.added})
		if err != nil {
			t.Errorf("%s: %v", c.added.Expression, err)
			continue
		}
		typ := c.added.Bases[0]
		for _, one := range []struct {
			Pair
			want bool
		}{{c.found, true}, {c.lost, false}} {
			q, refusal := x.Parser().Parse(typ, []Pair{one.Pair}, false)
			if refusal != nil {
				t.Errorf("%s %s=%s is refused: %v", c.added.Expression, one.Name, one.Value, refusal)
				continue
			}
			if got := q.Matches(encodedBy(t, x, c.src)); got != one.want {
				t.Errorf("%s %s=%s finds it: %v, want %v", c.added.Expression, one.Name, one.Value, got, one.want)
			}
			if !x.Parser().Serves(q) || base.Parser().Serves(q) {
				t.Errorf("%s=%s is served by who has the parameter: %v, and by who has not: %v", one.Name, one.Value,
					x.Parser().Serves(q), base.Parser().Serves(q))
			}
		}
		if _, refusal := base.Parser().Parse(typ, []Pair{c.found}, false); refusal == nil {
			t.Errorf("%s is known to who has not added it", c.found.Name)
		}
		if diff := cmp.Diff(string(encodedBy(t, baseIndexer(t), c.src)), string(encodedBy(t, base, c.src))); diff != "" {
			t.Errorf("%s: R4's own entries changed (-want +got):\n%s", c.added.Expression, diff)
		}
	}
}

func TestAddedParametersNotUsedAreIndexedAlone(t *testing.T) {
	base := baseIndexer(t)
	a := favourite("contact", r4.ParamString, "Patient.contact.name", "Patient")
	used, err := base.With([]Added{a})
	if err != nil {
		t.Fatal(err)
	}
	a.Used = false
	unused, err := base.With([]Added{a})
	if err != nil {
		t.Fatal(err)
	}
	const src = `{"resourceType":"Patient","contact":[{"name":{"family":"Lim"}}]}`
	if diff := cmp.Diff(string(encodedBy(t, used, src)), string(encodedBy(t, unused, src))); diff != "" {
		t.Errorf("entries (-used +unused):\n%s", diff)
	}
	if _, refusal := unused.Parser().Parse("Patient", []Pair{{"contact", "lim"}}, false); refusal == nil {
		t.Error("a parameter that is not used yet is not refused")
	}
	q, refusal := used.Parser().Parse("Patient", []Pair{{"contact", "lim"}, {"_sort", "contact"}}, false)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if unused.Parser().Serves(q) {
		t.Error("a query by what is no longer used is served")
	}
}

func TestParametersThatCannotBeAdded(t *testing.T) {
	base := baseIndexer(t)
	for _, c := range []struct {
		name  string
		added []Added
		want  AddedError
	}{
		{"a code of R4", []Added{favourite("birthdate", r4.ParamDate, "Patient.birthDate", "Patient")}, AddedError{Base: "Patient", Clash: true}},
		{
			"a code twice",
			[]Added{
				favourite("x", r4.ParamDate, "Patient.birthDate", "Patient"), favourite("x", r4.ParamDate, "Patient.birthDate", "Patient"),
			},
			AddedError{Base: "Patient", Clash: true},
		},
		{"no expression", []Added{favourite("x", r4.ParamDate, "Patient.birth(", "Patient")}, AddedError{Base: "Patient"}},
		{"an element that is not there", []Added{favourite("x", r4.ParamDate, "Patient.birthday", "Patient")}, AddedError{Base: "Patient"}},
		{"another kind", []Added{favourite("x", r4.ParamDate, "Patient.name", "Patient")}, AddedError{Base: "Patient"}},
		{"another type", []Added{favourite("x", r4.ParamToken, "Patient.gender", "Patient", "Person")}, AddedError{Base: "Person"}},
		{"a type that is none", []Added{favourite("x", r4.ParamToken, "Thing.gender", "Thing")}, AddedError{Base: "Thing"}},
	} {
		_, err := base.With(c.added)
		var got *AddedError
		if !errors.As(err, &got) {
			t.Errorf("%s: got %v, want an AddedError", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, AddedError{Base: got.Base, Clash: got.Clash}); diff != "" {
			t.Errorf("%s (-want +got):\n%s%v", c.name, diff, err)
		}
	}
}

func FuzzAdded(f *testing.F) {
	base := baseIndexer(f)
	for _, s := range []string{
		"Patient.name", "Patient.extension('x').value as code", "Patient.contact.where(gender='male').name | Patient.name",
		"Patient.link.other.where(resolve() is Patient)", "%resource.id", "$this", "Patient.contained", "Patient.name[0].given[1]",
	} {
		f.Add(s, uint8(r4.ParamString))
	}
	const src = `{"resourceType":"Patient","name":[{"family":"Tan","given":["a","b"]}],"contained":[{"resourceType":"Basic"}],` +
		`"extension":[{"url":"x","valueCode":"c"}],"link":[{"other":{"reference":"Patient/1"}}],"birthDate":"1980"}`
	f.Fuzz(func(t *testing.T, expression string, kind uint8) {
		if len(expression) > 1<<10 {
			return
		}
		x, err := base.With([]Added{favourite("x", r4.ParamKind(kind%9+1), expression, "Patient")})
		if err != nil {
			return
		}
		encodedBy(t, x, src)
	})
}
