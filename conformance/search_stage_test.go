package conformance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// searchStage is where the scenarios about search play: P, who restricts, and Q,
// who does not, have the like of each other on file, but that what is P's and
// hidden is in the first world alone. A1 cares for both.
type searchStage struct {
	*cast
	pair
	asked map[string]string // what A1 asked and was answered, by the request's id
}

const (
	// hiddenOfP stands in everything of P that the basic set leaves out, in the
	// first world.
	hiddenOfP = "Qwyjibo"
	hiv       = "5221-7"
	visits    = 6 // observations of each patient
)

func newSearchStage(t *testing.T) *searchStage {
	t.Helper()
	c := newCast(t, "--base-url", worldBase)
	for id, more := range map[string]object{
		"p": {"identifier": nricOf("S0000001I"), "name": []any{object{"family": "Pauline"}}, "address": []any{object{"city": "Moved"}}, "telecom": []any{object{"system": "phone", "value": "none"}}},
		"q": {"identifier": nricOf("S0000002G"), "name": []any{object{"family": "Quentin"}}, "address": []any{object{"city": "Openville"}}, "telecom": []any{object{"system": "phone", "value": "555-1000"}}},
	} {
		o := person(id)
		for k, v := range more {
			o[k] = v
		}
		c.put(t, o)
	}
	c.put(t, object{"resourceType": "Location", "id": "ward", "status": "active", "name": "Ward"})
	for _, o := range searchable("q", "Openword") {
		c.put(t, o)
	}
	c.stop(t)
	one, two := twin(t, c.data, "one"), twin(t, c.data, "two")
	s := &searchStage{cast: c, pair: pair{t: t, one: one, two: two, since: instantLongAgo}, asked: map[string]string{}}
	t.Cleanup(func() { s.onRecord(t) })
	c.server = one
	for _, o := range append(searchable("p", hiddenOfP), privately("p")...) {
		c.put(t, o)
	}
	return s
}

// searchable are resources of a patient in which searches find the word, a
// code, dates, labels and each other.
func searchable(p, word string) []object {
	who := ref("Patient/" + p)
	meta := object{
		"tag":      []any{object{"system": "http://example.org/tag", "code": "study"}},
		"security": []any{object{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}},
		"source":   "http://example.org/lab/" + p, "profile": []any{"http://example.org/StructureDefinition/lab"},
	}
	visit := object{
		"resourceType": "Encounter", "id": "e-" + p, "status": "cancelled", "subject": who, "class": object{"system": actCode, "code": "AMB"},
		"period": object{"start": "2019-03-01", "end": "2019-03-02"}, "location": []any{object{"location": ref("Location/ward")}}, "serviceProvider": ref("Organization/b"),
	}
	out := []object{visit}
	var members []any
	for i := range visits {
		day := 2 * i
		if p == "q" {
			day++
		}
		id := fmt.Sprintf("x%d-%s", i, p)
		members = append(members, ref("Observation/"+id))
		out = append(out, object{
			"resourceType": "Observation", "id": id, "status": "final", "subject": who, "meta": meta, "encounter": ref("Encounter/e-" + p),
			"code": concept("http://loinc.org", hiv), "effectiveDateTime": fmt.Sprintf("2019-03-%02d", 1+day), "performer": []any{ref("Practitioner/dr-b")},
			"valueQuantity": object{"value": 100 + day, "unit": word, "system": "http://unitsofmeasure.org", "code": "mg"},
			"identifier":    []any{object{"system": "http://example.org/lab", "value": id}}, "note": []any{object{"text": word}},
			"text": object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">narrative ` + word + `</div>`},
		})
	}
	return append(
		out,
		object{"resourceType": "DiagnosticReport", "id": "d-" + p, "status": "final", "subject": who, "code": object{"text": word}, "encounter": ref("Encounter/e-" + p), "result": members},
		object{"resourceType": "List", "id": "l-" + p, "status": "current", "mode": "working", "subject": who, "title": word, "entry": []any{object{"item": members[0]}, object{"item": members[1]}}},
		object{
			"resourceType": "MedicationRequest", "id": "mr-" + p, "status": "active", "intent": "order", "subject": who, "encounter": ref("Encounter/e-" + p),
			"contained": []any{object{"resourceType": "Medication", "id": "med", "code": object{"text": word}}}, "medicationReference": ref("#med"), "requester": ref("Practitioner/dr-b"),
		},
	)
}

// privately are P's Patient and allergy with more in them that the basic set
// leaves out.
func privately(p string) []object {
	patient := person(p)
	patient["identifier"] = append(nricOf("S0000001I"), object{"system": "http://example.org/passport", "value": hiddenOfP})
	patient["name"] = []any{object{"family": "Pauline"}}
	patient["address"] = []any{object{"city": hiddenOfP}}
	patient["telecom"] = []any{object{"system": "phone", "value": "555-9999"}}
	patient["text"] = object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">` + hiddenOfP + `</div>`}
	sick := allergy(p, "a-"+p)
	sick["note"], sick["recordedDate"] = []any{object{"text": hiddenOfP}}, "2019-03-03"
	return []object{patient, sick}
}

// ask makes the request in both worlds: the answers must be the same, and tell
// nothing that is hidden.
func (s *searchStage) ask(t *testing.T, token string, r request) answer {
	t.Helper()
	id := fmt.Sprintf("asked-%d", len(s.asked))
	r = r.with("X-Request-Id", id)
	a, b := s.one.do(t, token, r), s.two.do(t, token, r)
	if token == s.a1 && a.status == http.StatusOK {
		s.asked[id] = r.method + " " + r.path
	}
	if x, y := s.fresh(a), s.fresh(b); x != y {
		t.Errorf("%s %s %s\n--- with hidden data\n%.1500s\n--- without\n%.1500s", r.method, r.path, r.body, x, y)
	}
	said := a
	said.body = linksPattern.ReplaceAll(a.body, nil) // they repeat what was asked
	said.hides(t, hiddenOfP)
	return a
}

// onRecord fails unless the record of access tells of everything A1 was answered,
// an empty searchset included.
func (s *searchStage) onRecord(t *testing.T) {
	t.Helper()
	recorded := s.recorded(t, "asked-")
	for id, what := range s.asked {
		if recorded[id] == "" {
			t.Errorf("%s is not on record", what)
		}
	}
}

var linksPattern = regexp.MustCompile(`"link":\[[^\]]*\]`)

// sought is a query, what A1 is to find by it, and what it finds of P's besides,
// when the custodian asks in the first world.
type sought struct {
	query        string
	want, hidden []string
}

// finds checks what A1 finds, and that there was something to hide.
func (s *searchStage) finds(t *testing.T, rows []sought) {
	t.Helper()
	for _, row := range rows {
		a := s.ask(t, s.a1, get(row.query))
		if a.status != http.StatusOK {
			t.Errorf("%s: status %d\n%s", row.query, a.status, a.body)
			continue
		}
		if got := everyID(t, a); !sameIDs(got, row.want) {
			t.Errorf("%s: A1 found %v, want %v", row.query, got, row.want)
		}
		all := everyID(t, s.one.do(t, s.root, get(row.query)).want(t, http.StatusOK))
		for _, id := range row.hidden {
			if !slices.Contains(all, id) {
				t.Errorf("%s: the custodian found %v, want %s among them", row.query, all, id)
			}
		}
	}
}

func sameIDs(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// everyID is "Type/id" of every resource in the searchset, included ones too.
func everyID(t *testing.T, a answer) []string {
	t.Helper()
	out := []string{}
	for _, e := range list(decode(t, a.body), "entry") {
		if kind := text(e, "resource", "resourceType"); kind != "OperationOutcome" {
			out = append(out, kind+"/"+text(e, "resource", "id"))
		}
	}
	return out
}

// of are the ids of a patient's observations on the stage.
func of(p string) []string {
	var out []string
	for i := range visits {
		out = append(out, fmt.Sprintf("Observation/x%d-%s", i, p))
	}
	return out
}

// totalOf is Bundle.total; -1 when there is none.
func totalOf(t *testing.T, a answer) int {
	t.Helper()
	if n, ok := at(decode(t, a.body), "total").(float64); ok {
		return int(n)
	}
	return -1
}

// renamed is the answer with the words replaced, so that what was asked does not
// tell two answers apart.
func renamed(a answer, words ...string) answer {
	for _, w := range words {
		a.body = []byte(regexp.MustCompile(regexp.QuoteMeta(w)).ReplaceAllString(string(a.body), strings.Repeat("X", len(words[0]))))
	}
	return a
}
