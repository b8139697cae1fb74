package search

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"vitrine/fhir"
)

const narrated = `{"resourceType":"Condition","id":"c1","clinicalStatus":{"coding":[{"system":"http://c.test","code":"active","display":"Still there"}]},
	"identifier":[{"type":{"text":"Case number","coding":[{"display":"Never this"}]},"value":"7"}],
	"code":{"text":"Migraine headache","coding":[{"system":"http://s.test","code":"x","display":"Kopfschmerz, Migräne"}]},
	"subject":{"reference":"Patient/p1","display":"Zoë"},"note":[{"text":"O'Brien's co-op, 肝癌患者"}],"stage":[{"summary":{"text":"2b"}}],
	"extension":[{"url":"http://e.test/d","valueAttachment":{"data":"c2VjcmV0","title":"scan 4711"}}],
	"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><!-- hidden words --><p title=\"tip\">Bone m<b>etasta</b>ses</p><p>liver &amp; caf&eacute;</p></div>"}}`

func TestWordsFindAndDoNotFind(t *testing.T) {
	x := indexer(t)
	for _, c := range []struct {
		name          string
		found, missed []string
	}{
		{
			"_text",
			[]string{
				"bone", "BONE", "metastases", "café", "cafe", "(bone OR knee) and metastases", "bone metastases", `"bone metastases"`,
				"liver,knee", "knee,liver", "not knee", "not (knee and bone)", "bone not knee", "bone and not knee", "knee or bone and liver",
				"not not bone", "((((bone))))", `"liver  cafe"`, "liver-cafe",
			},
			[]string{
				"bon", "ones", "hidden", "tip", "knee", "bone and knee", `"metastases bone"`, "(bone OR liver) and knee", "not bone", "headache",
				"b", "xmlns", "http", `"metastases liver"x`, "knee or bone and elbow", "not (knee or bone)", "m", "amp",
			},
		},
		{
			"_content",
			[]string{"headache", "o'brien", `"co op"`, "co-op", "肝癌", "患者", "肝", "4711", "zoe", "bone", "kopfschmerz", "patient", `"case number"`, "2b"},
			[]string{"c2VjcmV0", "癌肝", "head", "generic", `"headache kopfschmerz"`, "hidden", "resourceType"},
		},
		{
			"code:text",
			[]string{"migraine", "head", "Migr", "kopf", "migrane", "migraine head", "knee,head"},
			[]string{"ache", "headache migraine", "kopf migr", "knee", "x", "still"},
		},
		{"clinical-status:text", []string{"still", "there", "still th"}, []string{"active", "till"}},
		{"identifier:text", []string{"case", "num"}, []string{"never", "7"}},
	} {
		for i, list := range [][]string{c.found, c.missed} {
			for _, value := range list {
				if got, want := finds(t, x, narrated, Pair{c.name, value}), i == 0; got != want {
					t.Errorf("%s=%s: found %v, want %v", c.name, value, got, want)
				}
			}
		}
	}
}

// TestContainsLooksAtWholeTexts: an entry has no more than the beginning of a long
// one.
func TestContainsLooksAtWholeTexts(t *testing.T) {
	x := indexer(t)
	set := func(description string) string {
		return `{"resourceType":"ValueSet","id":"v","status":"active","name":"Short","description":"` + description + `"}`
	}
	filler := strings.Repeat("and so on ", 300)
	for _, c := range []struct {
		resource, name, value string
		want                  bool
	}{
		{set(filler + "Nadel am Ende"), "description:contains", "NADEL", true},
		{set(filler + "Nadel am Ende"), "description:contains", "faden,el am", true},
		{set(filler + "Nadel am Ende"), "_filter", "description ew ende and description co nadel", true},
		{set(filler + "Nadel am Ende"), "_filter", "description ew nadel", false},
		{set(filler + "Nadel am Ende"), "description:contains", "faden", false},
		{set(filler), "description:contains", "nadel", false},
		{set("Nadel"), "description:contains", "ade", true},
		{set(filler), "name:contains", "hor", true},
		{set(filler), "name:contains", "so on", false},
	} {
		if got := finds(t, x, c.resource, Pair{c.name, c.value}); got != c.want {
			t.Errorf("%s=%s: found %v, want %v", c.name, c.value, got, c.want)
		}
	}
}

func TestWordRefusals(t *testing.T) {
	p := indexer(t).Parser()
	for value, want := range map[string]string{
		"":                            "must be words or",
		"   ":                         "must be words or",
		"and":                         "must be words or",
		"bone or":                     "must be words or",
		"bone and or liver":           "must be words or",
		"not":                         "must be words or",
		"(bone":                       "a parenthesis that is not closed",
		"bone)":                       "a parenthesis that was not opened",
		"()":                          "must be words or",
		`"bone`:                       "a quotation mark that is not closed",
		`""`:                          "a word without a letter or digit",
		"--":                          "a word without a letter or digit",
		"bone,":                       "value 2: must be words or",
		strings.Repeat("(", 1000):     "parentheses go at most 16 deep",
		strings.Repeat("bone ", 1000): "too many words: at most 64",
		strings.Repeat("not ", 2000):  "must be words or",
		strings.Repeat("a", 10000):    "is too long: at most 8192 characters",
		strings.Repeat("a,", 2000):    "too many values",
		`bone\x`:                      "a backslash may only stand before",
	} {
		_, refusal := p.Parse("Condition", []Pair{{"_text", value}}, true)
		if refusal == nil || !strings.Contains(refusal.Error(), want) {
			t.Errorf("%.40s: %v\nwant %s", value, refusal, want)
		}
	}
	for query, want := range map[string]string{
		"_text:exact=x": "it takes no modifier", "code:text=--": "no letter or digit", "code:text=a,--": "value 2: has no letter or digit",
		"onset-info:text=x": `modifier "text" is not supported`,
	} {
		_, refusal := p.Parse("Condition", pairs(query), true)
		if refusal == nil || !strings.Contains(refusal.Error(), want) {
			t.Errorf("%s: %v\nwant %s", query, refusal, want)
		}
	}
	if _, refusal := p.Parse("Bundle", pairs("_text=x"), false); refusal == nil {
		t.Error("a Bundle has no narrative, and _text was understood")
	}
	if _, refusal := p.Parse("Bundle", pairs("_content=x"), false); refusal != nil {
		t.Error(refusal)
	}
}

// TestReferencesGoThroughHierarchies: R4 search.html#recursive and #versions.
func TestReferencesGoThroughHierarchies(t *testing.T) {
	p := indexer(t).Parser()
	n := func(typ fhir.ResourceType, code string) Param { return number(t, p, typ, code) }
	location, part := n("Encounter", "location"), n("Location", "partof")
	below := Clause{Any: []Match{{Param: part, Op: OpEqual, Key: ReferenceKey("Location", "42")}}}
	above := Clause{Any: []Match{IDMatch("42")}}
	for range maxLevels - 1 {
		below = Clause{Any: below.Any[:1], Via: []Join{{Param: part, Type: "Location", Clauses: []Clause{below}}}}
		above = Clause{Any: above.Any[:1], Via: []Join{{Reverse: true, Param: part, Type: "Location", Clauses: []Clause{above}}}}
	}
	self := []Match{{Param: location, Op: OpEqual, Key: ReferenceKey("Location", "42")}}
	above = Clause{Via: []Join{{Reverse: true, Param: part, Type: "Location", Clauses: []Clause{above}}}}
	ask := n("QuestionnaireResponse", "questionnaire")
	for _, c := range []struct {
		typ   fhir.ResourceType
		query string
		want  Clause
	}{
		{"Encounter", "location:below=42", Clause{Any: self, Via: []Join{{Param: location, Type: "Location", Clauses: []Clause{below}}}}},
		{"Encounter", "location:below=Location/42", Clause{Any: self, Via: []Join{{Param: location, Type: "Location", Clauses: []Clause{below}}}}},
		{"Encounter", "location:above=42", Clause{Any: self, Via: []Join{{Param: location, Type: "Location", Clauses: []Clause{above}}}}},
		{"QuestionnaireResponse", "questionnaire:below=http://q.test/q%7C1", Clause{Any: []Match{
			{Param: ask, Op: OpEqual, Key: []byte("Rhttp://q.test/q|1")}, {Param: ask, Op: OpPrefix, Key: []byte("Rhttp://q.test/q|1.")},
		}}},
	} {
		name, value, _ := strings.Cut(c.query, "=")
		q, refusal := p.Parse(c.typ, []Pair{{name, strings.ReplaceAll(value, "%7C", "|")}}, false)
		if refusal != nil {
			t.Errorf("%s?%s: %v", c.typ, c.query, refusal)
			continue
		}
		// cmp takes minutes where joins lie so deep
		if !reflect.DeepEqual([]Clause{c.want}, q.Clauses) || q.Self != c.query {
			t.Errorf("%s?%s: self %s, clauses %+v, want %+v", c.typ, c.query, q.Self, q.Clauses, c.want)
		}
	}
	for query, want := range map[string]string{
		"location:below=Patient/1":   "names a type that has no hierarchy",
		"location:below=a b":         "must be an id or Type/id",
		"subject:below=1":            `modifier "below" is not supported; "missing", "identifier" and the name of a resource type are`,
		"location:above=42,x y":      "value 2: must be an id or Type/id",
		"location:identifier.name=x": "a chain is followed after the name of a type alone",
	} {
		_, refusal := p.Parse("Encounter", pairs(query), true)
		if refusal == nil || !strings.Contains(refusal.Error(), want) {
			t.Errorf("%s: %v\nwant %s", query, refusal, want)
		}
	}
}

func FuzzWords(f *testing.F) {
	x := indexer(f)
	for _, s := range []string{`(bone or "liver x") and not y`, "a,b c", "肝 or ß", `not (not "é")`, `a\,b`} {
		f.Add(s)
	}
	var tape fhir.Tape
	if err := tape.Parse([]byte(narrated), fhir.Limits{}); err != nil {
		f.Fatal(err)
	}
	e := indexed(f, x, narrated)
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"_text", "_content", "code:text"} {
			q, refusal := x.Parser().Parse("Condition", []Pair{{name, value}}, false)
			if (q == nil) == (refusal == nil) {
				t.Fatal("neither a query nor a refusal")
			}
			if q != nil {
				if _, err := AllHold(q.Clauses, e, alone{&tape}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if utf8.ValidString(value) { // a text has its own words, whatever they are
			words, _ := appendWords(nil, []byte(value), nil)
			if phrase := sought(value, false); phrase != nil && !strings.Contains(string(words), string(phrase)) {
				t.Fatalf("%q is not in %q", phrase, words)
			}
		}
	})
}

func FuzzChain(f *testing.F) {
	x := indexer(f)
	for _, s := range []string{
		"subject:Patient.name:exact=x", "_has:Provenance:target:agent.name=x", "performer._has:Observation:performer:code:below=x",
		"encounter.location:below=42", "_list=a,b", "_include:iterate=Observation:subject:Patient", "focus.subject.link=x",
	} {
		f.Add(s)
	}
	var tape fhir.Tape
	if err := tape.Parse([]byte(observation), fhir.Limits{}); err != nil {
		f.Fatal(err)
	}
	e := indexed(f, x, observation)
	f.Fuzz(func(t *testing.T, query string) {
		for _, typ := range []fhir.ResourceType{"Observation", ""} {
			q, refusal := x.Parser().Parse(typ, pairs(query), false)
			if (q == nil) == (refusal == nil) {
				t.Fatal("neither a query nor a refusal")
			}
			if q == nil || typ == "" {
				continue
			}
			if _, err := AllHold(q.Clauses, e, alone{&tape}); err != nil && !errors.Is(err, errBeside) {
				t.Fatal(err)
			}
		}
	})
}
