package search

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
)

// TestRefusalsNameTheParameter also shows that no refusal repeats a value.
func TestRefusalsNameTheParameter(t *testing.T) {
	p := indexer(t).Parser()
	for query, want := range map[string]string{
		"nonsense=secret":                                      `search parameter "nonsense": not known for Observation`,
		"code:exact=secret":                                    `"code:exact": modifier "exact" is not supported; "missing", "text", "not", "in", "not-in", "above" and "below" are`,
		"status:of-type=secret":                                `modifier "of-type" is not supported`,
		"value-string:not=secret":                              `modifier "not" is not supported; "missing", "exact" and "contains" are`,
		"date:not=secret":                                      `modifier "not" is not supported; "missing" is`,
		"code:missing=secret":                                  "must be true or false",
		"code:missing=true,false":                              "must be true or false",
		"code:below=http://s|":                                 "must be code or system|code",
		"subject:Nonsense=secret":                              `"missing", "identifier", "above", "below" and the name of a resource type are`,
		"subject=gePatient/secret":                             "has a prefix, which only numbers, dates and quantities take",
		"code=gthttp://s|secret":                               "has a prefix",
		"_profile=nehttp://secret":                             "has a prefix",
		"_profile=a,lturn:secret":                              "value 2: has a prefix",
		"status.name=secret":                                   "status is a token and leads nowhere: only a reference can be followed",
		"subject:Patient.nonsenses=x":                          `"nonsenses" is not known for Patient; known are _content, _filter, _has, _id,`,
		"subject:identifier.name=secret":                       "a chain is followed after the name of a type alone",
		"subject:Medication.name=secret":                       "subject never refers to that type",
		"subject.nonsense=secret":                              `what comes after "subject" is not known for any type that it refers to`,
		"subject:Patient.birthdate=secret":                     "has an unknown prefix",
		strings.Repeat("focus.", 50) + "code=x":                "a chain has at most 8 steps",
		"focus.focus.focus.focus.code=x":                       "name the type of each step",
		"_has:Observation:patient:code=secret":                 "patient of Observation never refers to Observation",
		"_has:Observation:code=secret":                         "must be _has:Type:reference:parameter",
		"_has=secret":                                          "must be _has:Type:reference:parameter",
		"_has:Nonsense:patient:code=secret":                    "must name a resource type after its first colon",
		"_has:Provenance:date:code=secret":                     `"date" is no reference of Provenance; agent, entity,`,
		"_has:Provenance:target:nonsenses=x":                   `"nonsenses" is not known for Provenance; known are`,
		strings.Repeat("_has:Provenance:target:", 5) + "_id=x": "_has goes at most 4 deep",
		"_list=$current-secrets":                               "lists by their function, such as $current-allergies, are not kept",
		"_list=a/secret":                                       "must be the id of a List",
		"_list=a,":                                             "value 2: must be the id of a List",
		"_list:not=secret":                                     "it takes no modifier",
		"_include=secret":                                      "must be *, Source:parameter or Source:parameter:Target",
		"_include=Observation:subject,Observation:secret":      "names one reference; for another it is given again",
		"_include=Observation:nonsenses":                       `"nonsenses" is no reference of Observation; based-on, derived-from,`,
		"_include=Observation:subject:Medication":              "subject never refers to Medication",
		"_include=Patient:link":                                "goes from a type that is not searched; :iterate",
		"_include=Nonsense:link":                               "must begin with the name of a resource type",
		"_include=Observation:subject:Nonsense":                "must end with the name of a resource type",
		"_include:deep=Observation:subject":                    `modifier "deep" is not supported; "iterate" is`,
		"_revinclude=Patient:link":                             "link never refers to what is searched",
		"_include=Observation:subject&_summary=text":           "text does not go with _include or _revinclude",
		"_elements=nonsense":                                   "is not at the root of what is searched",
		"_elements=status&_summary=data":                       "does not go with _summary",
		"_contained=secret":                                    "must be true, false or both",
		"_containedType=secret":                                "must be container or contained",
		"_type=Patient":                                        "only a search of all types takes it",
		"_query=secret":                                        "there are no named queries",
		"_summary=secret":                                      "must be true, text, data, count or false",
		"_sort=_score":                                         `key 1, "_score", is not supported`,
		"_sort=nickname":                                       `key 1, "nickname", is no search parameter of Observation`,
		"_sort=date,code-value-quantity":                       `key 2, "code-value-quantity", has no order`,
		"_sort=date,":                                          `key 2, "", is no search parameter`,
		"subject:Medication=secret":                            "it never refers to that type",
		"subject:Patient=a/secret":                             "must be the id of a resource of that type",
		"_contributor=secret":                                  "not known for Observation",
		"_awaits=secret":                                       "not known for Observation",
		"date=secret":                                          "has an unknown prefix",
		"date=2026-13":                                         "must be a date or time",
		"date=2026-02-30":                                      "must be a date or time",
		"date=2026-02-03T10":                                   "must be a date or time",
		"date=2026,2026-1x":                                    "value 2: must be a date or time",
		"date=zz2026":                                          "has an unknown prefix",
		"code=":                                                "is empty",
		"code=secret,":                                         "value 2: is empty",
		"code=|":                                               "has neither a system nor a code",
		"code=a|b|secret":                                      "must be code, system|code, |code or system|",
		`code=a\secret`:                                        "a backslash may only stand before",
		`code=secret\`:                                         "a backslash may only stand before",
		"code=\x00secret":                                      "has a character that no value can have",
		"value-string=--":                                      "has no letter or digit",
		"value-string=" + strings.Repeat("s", 600):             "is too long",
		"value-quantity=secret":                                "has an unknown prefix",
		"value-quantity=5|mg":                                  "must be number, number|system|code or number||unit",
		"value-quantity=5.":                                    "must be a number",
		"value-quantity=1e":                                    "must be a number",
		"subject=a secret":                                     "must be an id, Type/id or a URL",
		"subject=Secret/x":                                     "must be an id, Type/id or a URL",
		"code-value-quantity=secret":                           "must have a value for each of its components",
		"code-value-quantity=http://x|$5":                      "the first component must be a whole value",
		"_count=-1":                                            "must be a whole number",
		"_count=secret":                                        "must be a whole number",
		"_sort=date&_sort=code":                                "it may be given once, with commas between",
		"_elements=status&_elements=code":                      "it may be given once, with commas between",
		"_count=1&_count=2":                                    "it may be given once",
		"_total=secret":                                        "must be none, estimate or accurate",
		"_totalMethod=secret":                                  "must be count or estimate",
		"_count:exact=1":                                       "it takes no modifier",
		"code=" + strings.Repeat("x,", 1000) + "x":             "too many values",
		strings.Repeat("code=x&", 100) + "code=x":              "too many search parameters",
		strings.Repeat("n", 200) + "=x":                        `search parameter "` + strings.Repeat("n", 64) + `…": not known`,
	} {
		q, refusal := p.Parse("Observation", pairs(query), false)
		if refusal == nil || q != nil {
			t.Errorf("%.60s: understood", query)
			continue
		}
		if got := refusal.Error(); !strings.Contains(got, want) || strings.Contains(got, "secret") {
			t.Errorf("%.60s: %s\nwant %s", query, got, want)
		}
	}
	if _, refusal := p.Parse("Nonsense", nil, true); refusal == nil {
		t.Error("a type that is none was understood")
	}
}

// TestLenientLeavesOutOnlyWhatIsUnknown: a filter that is known is never
// silently widened.
func TestLenientLeavesOutOnlyWhatIsUnknown(t *testing.T) {
	p := indexer(t).Parser()
	q, refusal := p.Parse("Observation", pairs("nonsense=1&status=final&nonsense.name=x&_count=5"), true)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if q.Self != "status=final&_count=5" || len(q.Clauses) != 1 {
		t.Errorf("%+v", q)
	}
	for _, query := range []string{"status:text=final", "date=x", "subject:Patient.nonsense=x", "_has:Nonsense:x:y=z", "_query=x", "_count=x", "_sort=x", "code="} {
		if _, refusal := p.Parse("Observation", pairs(query), true); refusal == nil {
			t.Errorf("%s: left out", query)
		}
	}
}

func TestControlsAndPins(t *testing.T) {
	p := indexer(t).Parser()
	type view struct {
		Count     int
		Total     Total
		CountOnly bool
		Patients  []string
		Self      string
	}
	for _, c := range []struct {
		typ   fhir.ResourceType
		query string
		want  view
	}{
		{"Observation", "", view{Count: -1}},
		{"Observation", "_count=0", view{Count: 0, CountOnly: true, Self: "_count=0"}},
		{"Observation", "_summary=count&_total=accurate", view{Count: -1, Total: TotalAccurate, CountOnly: true, Self: "_summary=count&_total=accurate"}},
		{"Observation", "_count=0&_totalMethod=count", view{Count: 0, Total: TotalAccurate, CountOnly: true, Self: "_count=0&_totalMethod=count"}},
		{"Observation", "_summary=false&_total=none", view{Count: -1, Total: TotalNone, Self: "_summary=false&_total=none"}},
		{"Observation", "patient=p1", view{Count: -1, Patients: []string{"p1"}, Self: "patient=p1"}},
		{"Observation", "subject=Patient/p1,Patient/p2/_history/3", view{Count: -1, Patients: []string{"p1", "p2"}, Self: "subject=Patient/p1,Patient/p2/_history/3"}},
		{"Observation", "patient=a,b&subject:Patient=b", view{Count: -1, Patients: []string{"b"}, Self: "patient=a,b&subject:Patient=b"}},
		{"Observation", "subject=p1", view{Count: -1, Self: "subject=p1"}},
		{"Observation", "subject=Patient/a,Group/b", view{Count: -1, Self: "subject=Patient/a,Group/b"}},
		{"Observation", "patient=http://other.test/Patient/p1", view{Count: -1, Self: "patient=http://other.test/Patient/p1"}},
		{"Observation", "_id=o1", view{Count: -1, Self: "_id=o1"}},
		{"Patient", "_id=p1,p2", view{Count: -1, Patients: []string{"p1", "p2"}, Self: "_id=p1,p2"}},
		{"Patient", "link=Patient/p1", view{Count: -1, Self: "link=Patient/p1"}},
		{"Patient", "name=Zoë K&identifier=a|b&email=x+y", view{Count: -1, Self: "name=Zo%C3%AB%20K&identifier=a%7Cb&email=x%2By"}},
		{"Immunization", "patient=p1", view{Count: -1, Patients: []string{"p1"}, Self: "patient=p1"}},
		{"AllergyIntolerance", "patient=p1", view{Count: -1, Patients: []string{"p1"}, Self: "patient=p1"}},
		{"Condition", "patient=p1", view{Count: -1, Patients: []string{"p1"}, Self: "patient=p1"}},
		{"AuditEvent", "patient=p1&purpose=TREAT", view{Count: -1, Patients: []string{"p1"}, Self: "patient=p1&purpose=TREAT"}},
	} {
		var in []Pair
		if c.query != "" {
			in = pairs(c.query)
		}
		q, refusal := p.Parse(c.typ, in, false)
		if refusal != nil {
			t.Errorf("%s?%s: %v", c.typ, c.query, refusal)
			continue
		}
		if diff := cmp.Diff(c.want, view{q.Count, q.Total, q.CountOnly, q.Patients, q.Self}); diff != "" {
			t.Errorf("%s?%s: %s", c.typ, c.query, diff)
		}
	}
}

func TestCompartmentConfines(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	for _, c := range []struct {
		compartment, id string
		resource        string
		typ             fhir.ResourceType
		found           bool
		patients        []string
	}{
		{"Patient", "p1", observation, "Observation", true, []string{"p1"}},
		{"Patient", "p2", observation, "Observation", false, []string{"p2"}},
		{"Encounter", "e1", observation, "Observation", true, nil},
		{"Encounter", "p1", observation, "Observation", false, nil},
		{"Patient", "p1", patient, "Patient", true, nil},
	} {
		q := &Query{Type: c.typ}
		if err := p.Compartment(q, c.compartment, c.id); err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if got := q.Matches(indexed(t, x, c.resource)); got != c.found {
			t.Errorf("%s %s %s: found %v", c.compartment, c.id, c.typ, got)
		}
		if diff := cmp.Diff(c.patients, q.Patients); diff != "" {
			t.Errorf("%s %s %s: %s", c.compartment, c.id, c.typ, diff)
		}
	}
	for _, bad := range [][3]string{{"Nonsense", "x", "Observation"}, {"Patient", "a/b", "Observation"}, {"Patient", "p1", "ValueSet"}} {
		q := &Query{Type: fhir.ResourceType(bad[2])}
		if err := p.Compartment(q, bad[0], bad[1]); err == nil {
			t.Errorf("%v: confined", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	p := indexer(f).Parser()
	for _, s := range []string{
		"code=http://x|y&date=ge2026&subject:Patient=p1", "value-quantity=ap5.4e-3|s|c", `code-value-quantity=a\$b$lt5||u`,
		"_sort=-date,code&_count=3&_summary=count", "patient:identifier=a|b&_lastUpdated=sa2026-01-01T00:00:60.5+14:00",
	} {
		f.Add(s)
	}
	e := indexed(f, indexer(f), observation)
	f.Fuzz(func(t *testing.T, query string) {
		q, refusal := p.Parse("Observation", pairs(query), len(query)%2 == 0)
		if (q == nil) == (refusal == nil) {
			t.Fatal("neither a query nor a refusal")
		}
		if q != nil {
			q.Matches(e)
			again, refusal := p.Parse("Observation", pairs(query), len(query)%2 == 0)
			if refusal != nil || again.Self != q.Self {
				t.Fatal("not deterministic")
			}
		}
	})
}

// BenchmarkRefuse is what it costs to refuse what is hostile, in size once and
// eight times: what is refused takes no more than reading it.
func BenchmarkRefuse(b *testing.B) {
	p := indexer(b).Parser()
	for _, c := range []struct{ name, param, value string }{
		{"values", "code", "a,"},
		{"parentheses", "_filter", "("},
		{"tests", "_filter", "status eq a or "},
		{"words", "_text", "not "},
		{"sort", "_sort", "date,"},
		{"lists", "_list", "a,"},
		{"path", "_profile:below", "http://a/"},
	} {
		for _, times := range []int{4 << 10, 32 << 10} {
			in := []Pair{{c.param, strings.Repeat(c.value, times)}}
			b.Run(c.name+"/"+strconv.Itoa(times), func(b *testing.B) {
				for b.Loop() {
					if _, refusal := p.Parse("Observation", in, false); refusal == nil {
						b.Fatal("understood")
					}
				}
			})
		}
	}
}
