package conformance

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// refusedSearch is a search that must be refused, with what the outcome must
// say: the parameter, and what would be right.
type refusedSearch struct {
	name, query string
	says        []string
}

func refusedSearches() []refusedSearch {
	many := strings.TrimSuffix(strings.Repeat("c,", 10_000), ",")
	return []refusedSearch{
		{"unknown parameter", "Observation?nickname=x", []string{"nickname", "code"}},
		{"parameter of another type", "Observation?birthdate=2020", []string{"birthdate"}},
		{"unknown modifier", "Observation?code:like=x", []string{"code", "like", "not", "missing"}},
		{"modifier of another kind", "Observation?date:exact=2020", []string{"date", "exact", "missing"}},
		{"modifier of another kind of token", "Patient?name:not=x", []string{"name", "not", "contains", "exact"}},
		{"modifier of an uri", "ValueSet?url:contains=x", []string{"url", "contains", "below"}},
		{"type that is none", "Observation?subject:Nonsense=1", []string{"subject", "Nonsense", "identifier"}},
		{"type never referred to", "Observation?subject:Encounter=1", []string{"subject"}},
		{"modifier of a control", "Observation?_count:exact=1", []string{"_count"}},
		{"missing neither true nor false", "Observation?code:missing=maybe", []string{"code", "true", "false"}},
		{"missing with a prefix", "Observation?date:missing=gttrue", []string{"date", "true", "false"}},

		{"a word as date", "Observation?date=yesterday", []string{"date", "ge"}},
		{"month 13", "Observation?date=2020-13-01", []string{"date"}},
		{"30 February", "Observation?date=2020-02-30", []string{"date"}},
		{"a short date", "Observation?date=2020-1-1", []string{"date"}},
		{"hour 25", "Observation?date=2020-01-01T25:00:00Z", []string{"date"}},
		{"a prefix alone", "Observation?date=gt", []string{"date"}},
		{"an unknown prefix", "Observation?date=zz2020", []string{"date"}},
		{"two prefixes", "Observation?date=gtlt2020", []string{"date"}},
		{"a date as quantity", "Observation?value-quantity=2020-01-01", []string{"value-quantity"}},
		{"a prefix that is none", "Observation?value-quantity=zz5", []string{"value-quantity"}},
		{"a word as number", "RiskAssessment?probability=gtfive", []string{"probability"}},
		{"a number with blanks", "RiskAssessment?probability=5%20000", []string{"probability"}},
		{"a quantity of four parts", "Observation?value-quantity=5|a|b|c", []string{"value-quantity"}},
		{"a prefix on a reference", "Observation?subject=gtPatient/q", []string{"subject"}},
		{"an empty value", "Observation?code=", []string{"code"}},
		{"an empty one of several", "Observation?code=a,,b", []string{"code"}},
		{"a backslash at the end", `Observation?code=a%5C`, []string{"code"}},
		{"a composite of one part", "Observation?code-value-quantity=x", []string{"code-value-quantity", "$"}},
		{"a composite of three", "Observation?code-value-quantity=x$1$2", []string{"code-value-quantity"}},
		{"of-type without a type", "Patient?identifier:of-type=a|b", []string{"identifier", "of-type"}},
		{"a value set that is unknown", "Observation?code:in=http://example.org/ValueSet/none", []string{"code", "http://example.org/ValueSet/none"}},
		{"near nothing", "Location?near=abc", []string{"near"}},
		{"near a place that is none", "Location?near=91|0|1|km", []string{"near"}},
		{"nearer than near", "Location?near=1|2|-5|km", []string{"near"}},
		{"near in an unknown unit", "Location?near=1|2|3|parsec", []string{"near", "km"}},

		{"10,000 alternatives", "Observation?code=" + many, []string{"code", "1000"}},
		{"10,000 alternatives in a chain", "Observation?has-member.code=" + many, []string{"has-member.code", "1000"}},
		{"10,000 alternatives against", "Patient?_has:Observation:patient:code=" + many, []string{"_has:Observation:patient:code", "1000"}},
		{"500 parameters", "Observation?" + strings.Repeat("code=x&", 500) + "status=final", []string{"parameters", "100"}},
		{"a chain of 50", "Patient?" + strings.Repeat("link.", 50) + "name=x", []string{"link", "8"}},
		{"a chain of 50, typed", "Patient?" + strings.Repeat("link:Patient.", 50) + "name=x", []string{"link", "8"}},
		{"_has 50 deep", "Patient?" + strings.Repeat("_has:Patient:link:", 50) + "name=x", []string{"_has", "4"}},
		{"a chain that is _has inside out", "Patient?" + strings.Repeat("link._has:Patient:link:", 20) + "name=x", []string{"link"}},
		{"a chain through a code", "Observation?code.name=x", []string{"code"}},
		{"a chain to nowhere", "Observation?subject.nickname=x", []string{"subject", "nickname"}},
		{"a chain through a type that is none", "Observation?subject:Nonsense.name=x", []string{"subject", "Nonsense"}},
		{"a chain without an end", "Observation?subject.=x", []string{"subject"}},
		{"_has of nothing", "Patient?_has:Observation=x", []string{"_has", "_has:Type:"}},
		{"_has of colons", "Patient?_has::::=x", []string{"_has"}},
		{"_has by no reference", "Patient?_has:Observation:code:code=x", []string{"_has"}},
		{"_has by an unknown parameter", "Patient?_has:Observation:nickname:code=x", []string{"_has", "nickname"}},
		{"_has of a type that is none", "Patient?_has:Nonsense:patient:code=x", []string{"_has", "Nonsense"}},

		{"includes of nothing", "Observation?_include=nonsense", []string{"_include", "Observation"}},
		{"include by an unknown parameter", "Observation?_include=Observation:nickname", []string{"_include", "nickname"}},
		{"include by a code", "Observation?_include=Observation:code", []string{"_include"}},
		{"include of a type that is none", "Observation?_include=Nonsense:subject", []string{"_include", "type"}},
		{"include of another target", "Observation?_include=Observation:subject:Encounter", []string{"_include"}},
		{"include with an unknown modifier", "Observation?_include:again=Observation:subject", []string{"_include", "iterate"}},
		{"100 includes", "Observation?" + strings.Repeat("_include=Observation:subject&", 101), []string{"100"}},

		{"no count", "Observation?_count=many", []string{"_count"}},
		{"a negative count", "Observation?_count=-1", []string{"_count"}},
		{"an endless count", "Observation?_count=" + strings.Repeat("9", 400), []string{"_count"}},
		{"two counts", "Observation?_count=1&_count=2", []string{"_count", "once"}},
		{"an order by nothing", "Observation?_sort=nickname", []string{"_sort", "nickname"}},
		{"an order by a hundred keys", "Observation?_sort=" + strings.TrimSuffix(strings.Repeat("date,", 100), ","), []string{"_sort", "8"}},
		{"an order by a composite", "Observation?_sort=code-value-quantity", []string{"_sort"}},
		{"an order twice descending", "Observation?_sort=--date", []string{"_sort"}},
		{"a total of a kind", "Observation?_total=maybe", []string{"_total", "accurate"}},
		{"a summary of a kind", "Observation?_summary=maybe", []string{"_summary", "count"}},
		{"elements that are none", "Patient?_elements=nickname", []string{"_elements", "nickname"}},
		{"contained perhaps", "Medication?_contained=maybe", []string{"_contained", "both"}},
		{"a list of the server's own making", "Observation?_list=$current-problems", []string{"_list", "id"}},
		{"a named query", "Observation?_query=everything", []string{"_query"}},
		{"a type that is none", "?_type=Observation,Nonsense", []string{"_type", "value 2"}},
		{"a parameter not of all the types", "?_type=Observation,Patient&code=x", []string{"code"}},

		{"a filter of one word", "Observation?_filter=code", []string{"_filter"}},
		{"a filter that does not close", "Observation?_filter=(code%20eq%20x", []string{"_filter"}},
		{"a filter that was never open", "Observation?_filter=code%20eq%20x)", []string{"_filter"}},
		{"a filter that closes another's", "Observation?_filter=code%20eq%20x)%20or%20(code%20eq%20y", []string{"_filter"}},
		{"a filter with an open string", "Observation?_filter=code%20eq%20%22x", []string{"_filter"}},
		{"a filter with an unknown operator", "Observation?_filter=code%20like%20x", []string{"_filter"}},
		{"a filter of an unknown parameter", "Observation?_filter=nickname%20eq%20x", []string{"_filter", "nickname"}},
		{"a filter of a bad date", "Observation?_filter=date%20gt%20yesterday", []string{"_filter"}},
		{"a filter of NUL", "Observation?_filter=code%20eq%20%22%00%22", []string{"_filter"}},
		{"a filter of 3,000 brackets", "Observation?_filter=" + strings.Repeat("(", 3000), []string{"_filter"}},
		{"a filter 3,000 deep", "Observation?_filter=" + strings.Repeat("(", 3000) + "code%20eq%20x" + strings.Repeat(")", 3000), []string{"_filter"}},
		{"a filter that says no 3,000 times", "Observation?_filter=" + strings.Repeat("not(", 3000) + "code%20eq%20x" + strings.Repeat(")", 3000), []string{"_filter"}},
		{"a filter of 3,000 terms", "Observation?_filter=code%20eq%20x" + strings.Repeat("%20or%20code%20eq%20x", 3000), []string{"_filter"}},
		{"a filter of 50 steps", "Patient?_filter=" + strings.Repeat("link.", 50) + "name%20eq%20x", []string{"_filter"}},
		{"text that does not close", "Patient?_text=(a%20and", []string{"_text"}},
		{"text of nothing", "Patient?_text=%22%22", []string{"_text"}},
		{"content that is 3,000 deep", "Patient?_content=" + strings.Repeat("(", 3000) + "a" + strings.Repeat(")", 3000), []string{"_content"}},

		{"NUL in a name", "Patient?name=%00", []string{"name", "UTF-8"}},
		{"NUL in a parameter", "Patient?na%00me=x", []string{""}},
		{"NUL in an id", "Patient?_id=%00", []string{"_id", "UTF-8"}},
		{"NUL in a code", "Observation?code=a%00b", []string{"code", "UTF-8"}},
		{"NUL in a system", "Observation?code=%00|b", []string{"code", "UTF-8"}},
		{"NUL in a chain", "Observation?subject:Patient.name=a%00b", []string{"subject:Patient.name", "UTF-8"}},
		{"bad UTF-8", "Patient?name=%ff%fe", []string{"name", "UTF-8"}},
		{"NUL written long", "Patient?name=%C0%80", []string{"name", "UTF-8"}},
		{"half an escape", "Patient?name=%f", []string{""}},
		{"no escape", "Patient?name=%zz", []string{""}},

		{"a cursor of nothing", "Observation?_cursor=%00", []string{"page"}},
		{"a huge cursor", "Observation?_cursor=" + strings.Repeat("A", 100_000), []string{"page"}},
		{"a cursor that is none", "Observation?_cursor=!!!!", []string{"page"}},
	}
}

// quickly is within what a refusal must come. It is no measurement: what was let
// in takes minutes.
const quickly = 10 * time.Second

// TestBadSearches: each is refused at once, by GET and by POST, names what is
// wrong, and says nothing of what is there.
func TestBadSearches(t *testing.T) {
	c := newCast(t)
	for _, row := range refusedSearches() {
		path, params, _ := strings.Cut(row.query, "?")
		post := request{
			method: http.MethodPost, path: strings.TrimPrefix(path+"/_search", "/"), body: []byte(params),
			header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		}
		for _, r := range []request{get(row.query), post} {
			began := time.Now()
			a := c.do(t, c.a1, r).hides(t, secret)
			if took := time.Since(began); took > quickly {
				t.Errorf("%s, %s: took %v", row.name, r.method, took)
			}
			tooLong := a.status == http.StatusRequestURITooLong || a.status == http.StatusRequestHeaderFieldsTooLarge
			if tooLong && r.method == http.MethodGet {
				continue // before there is a request to answer
			}
			if a.status < 400 || a.status >= 500 || text(decode(t, a.body), "resourceType") != "OperationOutcome" {
				t.Errorf("%s: %s %.200s: %d\n%.600s", row.name, r.method, row.query, a.status, a.body)
				continue
			}
			for _, word := range row.says {
				if !strings.Contains(string(a.body), word) {
					t.Errorf("%s: %s %.200s: does not say %q\n%.600s", row.name, r.method, row.query, word, a.body)
				}
			}
			if len(a.body) > 20_000 {
				t.Errorf("%s: %d bytes of refusal", row.name, len(a.body))
			}
		}
	}
	c.full(t, c.a1, "q")
}

// TestGreedySearches: what is well-formed and could cost without end is answered
// or refused, and soon.
func TestGreedySearches(t *testing.T) {
	c := newCast(t)
	for _, id := range []string{"ring-1", "ring-2", "ring-3"} {
		o := observation("q", id)
		o["hasMember"] = []any{ref("Observation/ring-" + map[string]string{"ring-1": "2", "ring-2": "3", "ring-3": "1"}[id])}
		c.put(t, o)
	}
	for _, query := range []string{
		"Basic?" + strings.Repeat("subject.", 8) + "_id=x",
		"Task?" + strings.Repeat("focus.", 8) + "_id=x",
		"Provenance?target.target.target.target.patient.name=x",
		"List?" + strings.Repeat("item.", 8) + "code=x",
		"Observation?" + strings.Repeat("focus.", 7) + "subject.name=x",
		"Observation?has-member.has-member.has-member.has-member.has-member.has-member.has-member.has-member.code=29463-7",
		"Observation?_has:Observation:has-member:_has:Observation:has-member:_has:Observation:has-member:_has:Observation:has-member:code=29463-7",
		"Observation?_include:iterate=Observation:has-member&_revinclude:iterate=Observation:has-member",
		"Observation?_include:iterate=*&_revinclude:iterate=*",
		"Patient?_revinclude=*&_include=*&_count=1000",
		"?_content=(a or b) and not c&_type=" + strings.Repeat("Observation,", 1) + "Condition",
		"Observation?code:not=" + strings.TrimSuffix(strings.Repeat("c,", 900), ","),
		"Observation?" + strings.Repeat("code:not=x&", 90) + "status=final",
		"Observation?" + strings.Repeat("patient._has:Observation:patient:code:not=x&", 60) + "status=final",
	} {
		path, params, _ := strings.Cut(query, "?")
		began := time.Now()
		a := c.do(t, c.a1, get(path+"?"+strings.ReplaceAll(params, " ", "%20"))).hides(t, "o-p", "c-p")
		if took := time.Since(began); took > quickly || a.status >= http.StatusInternalServerError {
			t.Errorf("%.120s: %d after %v\n%.600s", query, a.status, took, a.body)
		}
		if strings.Contains(query, "_include:iterate=Observation:has-member") {
			seen := map[string]bool{}
			for _, id := range everyID(t, a.want(t, http.StatusOK)) {
				if seen[id] {
					t.Errorf("%s comes twice", id)
				}
				seen[id] = true
			}
			if !seen["Observation/ring-1"] {
				t.Errorf("%v, want the ring", seen)
			}
		}
	}
	c.full(t, c.a1, "q")
}
