package search

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
)

// alone answers for a resource that nothing else is beside.
type alone struct{ t *fhir.Tape }

var errBeside = errors.New("there is nothing beside the resource")

func (a alone) Joined(*Join) (bool, error)    { return false, errBeside }
func (a alone) Reads(r Reading) (bool, error) { return r.Holds(a.t), nil }

// finds reports whether the query, which must be understood, finds the resource.
func finds(tb testing.TB, x *Indexer, resource string, params ...Pair) bool {
	tb.Helper()
	var tape fhir.Tape
	if err := tape.Parse([]byte(resource), fhir.Limits{}); err != nil {
		tb.Fatalf("%s: %v", resource, err)
	}
	q, refusal := x.Parser().Parse(fhir.ResourceType(tape.Text(tape.Field(tape.Root(), "resourceType"))), params, false)
	if refusal != nil {
		tb.Errorf("%v: %v", params, refusal)
		return false
	}
	holds, err := AllHold(q.Clauses, indexed(tb, x, resource), alone{&tape})
	if err != nil {
		tb.Errorf("%v: %v", params, err)
	}
	return holds
}

// TestFiltersFindAndDoNotFind has each operator of R4 search_filter.html for each
// kind that takes it.
func TestFiltersFindAndDoNotFind(t *testing.T) {
	x := indexer(t)
	for _, c := range []struct {
		resource      string
		found, missed []string
	}{
		{
			patient,
			[]string{
				`family eq "Carreño-Quiñones"`, `family eq carrenoquinones`, `family co noqui`, `family sw Carre`, `family ew Ñones`,
				`name ew ann`, `given eq "zoe ann"`, `gender eq FEMALE`, `gender ne male`, `name ne zoe`, `name gt carre`, `name lt d`,
				`name ge "dr zoe"`, `name le carrenoquinones`, `birthdate eq 1990-02`, `birthdate ge 1990-02-01`, `birthdate lt 1991`,
				`birthdate sa 1989`, `birthdate eb 1991`, `birthdate ne 1991`, `birthdate ap 1990-03`, `birthdate po 1990-02-10`,
				`birthdate co 1990-02-10`, `birthdate pr true`, `organization pr false`, `not (gender eq male)`, `not gender eq male`,
				`gender eq male or family sw carr`, `gender eq male and family sw x or active eq true`,
				`active eq true or gender eq male and gender eq female`, `(active eq true)`, `((gender eq male) or (not(gender eq male)))`,
				`link re Patient/p2`, `link re http://vitrine.test/fhir/Patient/p2`, `_id eq p1`, `_id ne p2`, `_lastUpdated ge 2026`,
				"  gender\teq\nfemale ", `email eq z@x.test and not (phone eq 7)`, `NOT(gender EQ male) AND active eq true`,
				`family eq "Carre\u00f1o-Qui\u00f1ones"`, `deceased eq true`, `gender ne "female" or gender eq "female"`,
			},
			[]string{
				`family eq "Carreño"`, `family co "noq x"`, `family sw quin`, `family ew carreno`, `gender eq male`, `gender ne female`,
				`family ne carrenoquinones`, `name gt zz`, `name lt carreno`, `birthdate po 1990-03`, `birthdate co 1990`, `birthdate pr false`,
				`organization pr true`, `not (gender eq female)`, `gender eq male or family sw x`,
				`active eq true and gender eq male or gender eq male`, `active eq true or active eq true and gender eq male`,
				`link re Patient/p1`, `_id eq p2`, `_id ne p1`, `not not gender eq male`, `death-date ne 2020`,
			},
		},
		{
			observation,
			[]string{
				`code eq loinc|8480-6`, `code eq http://loinc.org|8480-6 and status eq final`, `value-quantity gt 5.3||millimol`,
				`value-quantity eq 5.4|ucum|mmol/L`, `value-quantity le 5.4`, `code-value-quantity eq loinc|8480-6$5.4`,
				`subject re Patient/p1`, `performer re urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7`, `date po 2026-03-15`,
				`date co 2026-03-15`, `identifier ne bare`, `_profile eq http://p.test/bp`,
			},
			[]string{
				`code eq snomed|8480-6`, `code eq loinc|8480-7`, `value-quantity gt 5.5||millimol`, `subject re Patient/p2`, `date co 2026-03`,
				`date po 2026-03-17`, `code ne 8480-6`, `code-value-quantity eq loinc|8480-6$5.5`,
			},
		},
		{
			valueSet,
			[]string{`url eq http://V.test/vs`, `url sw http://V`, `url co test/`, `url ne http://V.test/v`, `name eq grosse`},
			[]string{`url eq http://v.test/vs`, `url sw http://v`, `url co test/w`, `url ne http://V.test/vs`},
		},
		{
			risk,
			[]string{`probability co 0.81`, `probability co 0.8`, `probability co 0.75`, `probability sa 0.7`, `probability ne 0.7`},
			[]string{`probability co 0.86`, `probability co 0.74`, `probability co 0.7`, `probability eb 0.7`},
		},
		{
			document,
			[]string{`relatesTo[code eq replaces].target re DocumentReference/d0`, `relatesTo[(target re DocumentReference/d0)].code eq "replaces"`},
			[]string{`relatesTo[code eq signs].target re DocumentReference/d0`, `relatesTo[code eq replaces].target re DocumentReference/d1`},
		},
		{
			`{"resourceType":"Group","id":"g","characteristic":[{"code":{"coding":[{"code":"gender"}]},"valueCodeableConcept":{"coding":[{"code":"mixed"}]}},
				{"code":{"coding":[{"code":"owner"}]},"valueBoolean":true}]}`,
			[]string{`characteristic[code eq gender].value eq mixed`, `characteristic eq owner`},
			[]string{`characteristic[code eq owner].value eq mixed`},
		},
		{
			`{"resourceType":"Condition","id":"c","code":{"text":"Bone pain","coding":[{"display":"Ostealgia","code":"x"}]},"text":{"status":"generated","div":"<div><p>No <b>met</b>astases<br/>in the liver&#46; caf&eacute;</p></div>"}}`,
			[]string{`_text eq "liver and not bone"`, `_content co "(bone or knee) and caf\u00e9"`, `code pr true`},
			[]string{`_text eq bone`, `not (_content eq metastases)`},
		},
	} {
		for i, list := range [][]string{c.found, c.missed} {
			for _, filter := range list {
				if got, want := finds(t, x, c.resource, Pair{"_filter", filter}), i == 0; got != want {
					t.Errorf("%s: found %v, want %v", filter, got, want)
				}
			}
		}
	}
}

// TestFiltersBecomeClauses: what a store can follow is not hidden in groups.
func TestFiltersBecomeClauses(t *testing.T) {
	p := indexer(t).Parser()
	status, code := clauseOf(t, p, "Observation", "status=final"), clauseOf(t, p, "Observation", "code=x")
	not := func(c Clause) Clause { c.Not = true; return c }
	name := func() Clause {
		c := clauseOf(t, p, "Patient", "name=x")
		return Clause{Any: c.Any[:1]}
	}()
	for filter, want := range map[string]Clause{
		`status eq final`:                         status,
		`status eq final or code eq x`:            {Any: append(append([]Match(nil), status.Any...), code.Any...)},
		`status eq final and code eq x`:           {All: [][]Clause{{status, code}}},
		`not (status eq final)`:                   not(status),
		`not (not (status eq final))`:             status,
		`not (status eq final and code eq x)`:     {All: [][]Clause{{status, code}}, Not: true},
		`status eq final or not (code eq x)`:      {Any: status.Any, All: [][]Clause{{not(code)}}},
		`subject pr false`:                        clauseOf(t, p, "Observation", "subject:missing=true"),
		`code in http://v.test/vs`:                clauseOf(t, p, "Observation", "code:in=http://v.test/vs"),
		`code ni http://v.test/vs`:                clauseOf(t, p, "Observation", "code:not-in=http://v.test/vs"),
		`code ss x`:                               clauseOf(t, p, "Observation", "code:below=x"),
		`code sb x`:                               clauseOf(t, p, "Observation", "code:above=x"),
		`patient.name sw x`:                       {Via: []Join{{Param: number(t, p, "Observation", "patient"), Type: "Patient", Clauses: []Clause{name}}}},
		`patient.name pr false`:                   not(clauseOf(t, p, "Observation", "patient.name:missing=false")),
		`_has:Provenance:target:recorded pr true`: clauseOf(t, p, "Observation", "_has:Provenance:target:recorded:missing=false"),
		`patient[gender eq male and active eq true].birthdate ge 2000`: {Via: []Join{{
			Param: number(t, p, "Observation", "patient"), Type: "Patient", Clauses: []Clause{
				clauseOf(t, p, "Patient", "gender=male"), clauseOf(t, p, "Patient", "active=true"), clauseOf(t, p, "Patient", "birthdate=ge2000"),
			},
		}}},
	} {
		q, refusal := p.Parse("Observation", []Pair{{"_filter", filter}}, false)
		if refusal != nil {
			t.Errorf("%s: %v", filter, refusal)
			continue
		}
		if diff := cmp.Diff(outside([]Clause{want}), outside(q.Clauses)); diff != "" {
			t.Errorf("%s: %s", filter, diff)
		}
	}
}

// TestFilterRefusalsSayWhere also shows that hostile ones are refused at once.
func TestFilterRefusalsSayWhere(t *testing.T) {
	p := indexer(t).Parser()
	for filter, want := range map[string]string{
		"":                               "at character 1: the name of a search parameter must stand here",
		"status":                         "at character 7: must be one of the operators eq ne co sw",
		"status eq":                      "at character 10: a space and a value must follow",
		"status eq ":                     "at character 11: a value must stand here",
		"status is secret":               "at character 8: must be one of the operators",
		"status eq secret code eq x":     `at character 18: "and", "or" or the end must follow`,
		"(status eq secret":              "at character 18: a parenthesis is not closed",
		"status eq secret)":              `at character 17: "and", "or" or the end must follow`,
		"status eq secret and":           "at character 21: the name of a search parameter must stand here",
		`status eq "secret`:              "at character 11: a quotation mark is not closed",
		`status eq "sec\x"`:              "at character 11: is no JSON string",
		"subject[name eq x":              "at character 18: a bracket is not closed",
		"subject[name eq x] eq secret":   "at character 19: a point and a parameter must follow",
		"9status eq secret":              "at character 1: the name of a search parameter must stand here",
		"_has:Observation eq secret":     "_has must go on as _has:Type:reference:parameter",
		"nonsense eq secret":             "not known for Observation; known are",
		"patient.nonsense eq secret":     `"nonsense" is not known for Patient; known are`,
		"status sw secret":               "at character 8: status is a token, which sw does not compare; it takes eq, ne, ss, sb, in, ni and pr",
		"subject eq secret":              "subject is a reference, which eq does not compare; it takes re and pr",
		"date sw secret":                 "date is a date, which sw does not compare",
		"date ge secret":                 "at character 6: must be a date or time",
		"date po secret":                 "must be a date or time",
		"value-quantity co secret":       "value-quantity is a quantity, which co does not compare",
		"value-quantity gt secret":       "must be a number",
		"status pr secret":               "pr must be followed by true or false",
		"status.name eq secret":          "status is a token and leads nowhere",
		"_list sw secret":                "_list is compared with eq alone",
		"related[type eq x].target re y": "related stands for search parameters that R4 does not define",
		`status eq ""`:                   "the value is empty",
		strings.Repeat("(", 100000):      "is too long",
		strings.Repeat("(", 50000):       "too deep: at most 32 parentheses",
		strings.Repeat("not ", 10000):    "too deep",
		strings.Repeat("a[", 30000):      "too deep",
		strings.Repeat("a.", 30000):      "a path has at most 8 steps",
		strings.Repeat("status eq a or ", 1001) + "status eq b":           "too many tests: at most 1000",
		strings.Repeat("status eq a or code eq x and ", 40) + "code eq b": "and and or change places too often",
		strings.Repeat("focus.", 6) + "code eq secret":                    "name the type of each step",
	} {
		q, refusal := p.Parse("Observation", []Pair{{"_filter", filter}}, true)
		if refusal == nil || q != nil {
			t.Errorf("%.60s: understood", filter)
			continue
		}
		if got := refusal.Error(); !strings.Contains(got, want) || strings.Contains(got, "secret") {
			t.Errorf("%.60s: %s\nwant %s", filter, got, want)
		}
	}
	if _, refusal := p.Parse("Observation", []Pair{{"_filter", strings.Repeat("status eq a or ", 999) + "status eq b"}}, false); refusal != nil {
		t.Error(refusal)
	}
}

func FuzzFilter(f *testing.F) {
	x := indexer(f)
	for _, s := range []string{
		`status eq final and (code eq loinc|x or not (date po 2026))`, `patient[gender eq "m\u0041"].birthdate ge 2000-01-01`,
		`_has:Provenance:target:recorded pr false`, `value-string co "a b" or code in http://v.test`, `relatesTo[code eq x].target re y`,
		`performer.name ne x`, `_content eq "a or \"b c\" and not (d)"`,
	} {
		f.Add(s)
	}
	var tape fhir.Tape
	if err := tape.Parse([]byte(observation), fhir.Limits{}); err != nil {
		f.Fatal(err)
	}
	e := indexed(f, x, observation)
	f.Fuzz(func(t *testing.T, filter string) {
		q, refusal := x.Parser().Parse("Observation", []Pair{{"_filter", filter}}, false)
		if (q == nil) == (refusal == nil) {
			t.Fatal("neither a query nor a refusal")
		}
		if q != nil {
			if _, err := AllHold(q.Clauses, e, alone{&tape}); err != nil && !errors.Is(err, errBeside) {
				t.Fatal(err)
			}
		}
	})
}
