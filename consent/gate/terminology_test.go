package gate_test

import (
	"errors"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
)

const (
	animals = `"url":"http://x.example/animals","status":"active","content":"complete","concept":[{"code":"animal","concept":[` +
		`{"code":"mammal","concept":[{"code":"dog"},{"code":"cat"}]},{"code":"bird"}]},` +
		`{"code":"platypus","property":[{"code":"parent","valueCode":"mammal"}]}]`
	animal = `{"system":"http://x.example/animals"`
)

// valueSet is the members of a ValueSet.
func valueSet(url, compose string) string {
	return `"url":"http://x.example/vs/` + url + `","status":"active","compose":{` + compose + `}`
}

// tells is what a search finds, or how it is refused.
func (w *world) tells(c consent.Caller, t fhir.ResourceType, query string) string {
	w.Helper()
	_, err := w.search(c, t, query)
	var refusal *search.Refusal
	if errors.As(err, &refusal) {
		return refusal.Error()
	}
	return w.sees(c, t, query)
}

func TestTerminologyOnFile(t *testing.T) {
	w := newClinics(t, nil)
	w.put("CodeSystem", "animals", animals)
	for _, code := range []string{"animal", "mammal", "dog", "platypus", "bird"} {
		w.put("Condition", code, `"subject":{"reference":"Patient/p"},"code":{"coding":[`+animal+`,"code":"`+code+`"}]}`)
	}
	w.put("Condition", "other", `"subject":{"reference":"Patient/p"},"code":{"coding":[{"system":"http://other.example","code":"dog"}]}`)
	for id, compose := range map[string]string{
		"some":    `"include":[` + animal + `,"concept":[{"code":"dog"},{"code":"bird"}]}]`,
		"whole":   `"include":[` + animal + `}]`,
		"unknown": `"include":[{"system":"http://other.example"}]`,
		"mammals": `"include":[` + animal + `,"filter":[{"property":"concept","op":"is-a","value":"mammal"}]}]`,
		"within":  `"include":[` + animal + `,"filter":[{"property":"concept","op":"descendent-of","value":"mammal"}]}]`,
		"not":     `"include":[` + animal + `,"filter":[{"property":"concept","op":"is-not-a","value":"mammal"}]}]`,
		"nested":  `"include":[{"valueSet":["http://x.example/vs/mammals","http://x.example/vs/some"]}]`,
		"less":    `"include":[{"valueSet":["http://x.example/vs/whole"]}],"exclude":[{"valueSet":["http://x.example/vs/mammals"]}]`,
		"cyclic":  `"include":[{"valueSet":["http://x.example/vs/cyclic"]}]`,
		"regex":   `"include":[` + animal + `,"filter":[{"property":"concept","op":"regex","value":".*"}]}]`,
	} {
		w.put("ValueSet", id, valueSet(id, compose))
	}
	w.put("ValueSet", "expanded", valueSet("expanded", `"include":[`+animal+`,"filter":[{"property":"concept","op":"regex","value":".*"}]}]`)+
		`,"expansion":{"timestamp":"2026-01-01","total":2,"contains":[`+animal+`,"code":"bird","contains":[`+animal+`,"code":"dog"}]}]}`)
	w.put("ValueSet", "partly", valueSet("partly", `"include":[`+animal+`,"filter":[{"property":"concept","op":"regex","value":".*"}]}]`)+
		`,"expansion":{"timestamp":"2026-01-01","total":9,"contains":[`+animal+`,"code":"bird"}]}`)
	const in = "code:in=http://x.example/vs/"
	for query, want := range map[string]string{
		in + "some":    "bird dog",
		in + "whole":   "animal bird dog mammal platypus",
		in + "unknown": "other",
		in + "mammals": "dog mammal platypus",
		in + "within":  "dog platypus",
		in + "not":     "animal bird",
		in + "nested":  "dog",
		in + "less":    "animal bird",
		"patient=p&code:not-in=http://x.example/vs/whole": "c-p other",
		in + "expanded": "bird dog",
		"code:below=http://x.example/animals|mammal": "dog mammal platypus",
		"code:above=http://x.example/animals|dog":    "animal dog mammal",
		"code:below=MAMMAL":                          "dog mammal platypus",
	} {
		w.want(query, w.tells(custodian(), "Condition", query), want)
		if !strings.HasPrefix(query, "patient") {
			w.want("a doctor: "+query, w.tells(doctor("A"), "Condition", query), want)
		}
	}
	for _, query := range []string{in + "cyclic", in + "regex", in + "partly", in + "nothing", "code:below=http://x.example/animals|fish"} {
		if got := w.tells(custodian(), "Condition", query); !strings.Contains(got, "not known, or its codes cannot be listed") {
			t.Errorf("%s: got %q, want a refusal", query, got)
		}
	}
}

func TestTerminologyOfOthersCountsForNothing(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Condition", "dog", `"subject":{"reference":"Patient/p"},"code":{"coding":[`+animal+`,"code":"dog"}]}`)
	w.put("Condition", "cat", `"subject":{"reference":"Patient/p"},"code":{"coding":[`+animal+`,"code":"cat"}]}`)
	const query = "code:in=http://x.example/vs/pets"
	w.created(doctor("B"), "ValueSet", valueSet("pets", `"include":[`+animal+`,"concept":[{"code":"dog"}]}]`))
	w.want("one's own", w.tells(doctor("B"), "Condition", query), "dog")
	for name, c := range map[string]consent.Caller{"another organisation's": doctor("A"), "a contributor's, for the custodian": custodian()} {
		if got := w.tells(c, "Condition", query); !strings.Contains(got, "not known") {
			t.Errorf("%s: got %q, want a refusal", name, got)
		}
	}
	w.put("ValueSet", "pets", valueSet("pets", `"include":[`+animal+`,"concept":[{"code":"cat"}]}]`))
	w.want("the custodian's beside one's own", w.tells(doctor("B"), "Condition", query), "cat")
	w.want("the custodian's", w.tells(doctor("A"), "Condition", query), "cat")
	for range 300 {
		w.created(doctor("B"), "ValueSet", valueSet("pets", `"include":[`+animal+`,"concept":[{"code":"dog"}]}]`))
	}
	w.want("the custodian's among very many of another", w.tells(doctor("A"), "Condition", query), "cat")
	narrow := doctor("A")
	narrow.Scopes = smart.ParseScopes("user/Condition.rs")
	if got := w.tells(narrow, "Condition", query); !strings.Contains(got, "not known") {
		t.Errorf("without a scope for value sets: got %q, want a refusal", got)
	}
	// What R4 defines, nobody defines anew.
	w.put("ValueSet", "status", `"url":"http://hl7.org/fhir/ValueSet/condition-clinical","status":"active","compose":{"include":[{"system":"http://x.example"}]}`)
	w.put("Condition", "active", `"subject":{"reference":"Patient/p"},"clinicalStatus":`+concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"))
	w.want("R4's own", w.tells(doctor("A"), "Condition", "clinical-status:in=http://hl7.org/fhir/ValueSet/condition-clinical"), "active")
}
