package rest_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// issuesOf are the issues of an OperationOutcome, a line each.
func issuesOf(tb testing.TB, w *httptest.ResponseRecorder) []string {
	tb.Helper()
	var o struct {
		ResourceType string
		Issue        []struct {
			Severity, Code, Diagnostics string
			Expression                  []string
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) == 0 {
		tb.Fatalf("%v: no outcome: %s", err, w.Body)
	}
	var out []string
	for _, i := range o.Issue {
		place, _, _ := strings.Cut(i.Diagnostics, ":")
		out = append(out, strings.TrimSpace(i.Severity+" "+i.Code+" "+strings.Join(i.Expression, " ")+" "+place))
	}
	return out
}

func TestValidateOfAType(t *testing.T) {
	h := build(t)
	h.furnish()
	const (
		good  = `{"resourceType":"Condition","subject":{"reference":"Patient/q"},"code":{"text":"cough"}}`
		wrong = "{\n \"resourceType\":\"Condition\",\"subject\":{\"reference\":\"Patient/q\"},\n \"onsetDateTime\":\"2024-02-30\",\n" +
			" \"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"1-8\"}]},\"severity\":7}"
	)
	parameters := func(resource string, more string) string {
		return `{"resourceType":"Parameters","parameter":[` + more + `{"name":"resource","resource":` + resource + `}]}`
	}
	allRight := []string{"information informational"}
	for _, row := range []struct {
		name, token, path, body string
		want                    []string
	}{
		{"the resource itself", "clinic", "Condition/$validate", good, allRight},
		{"a doctor asks", "doctor", "Condition/$validate", good, allRight},
		{"Parameters", "clinic", "Condition/$validate", parameters(good, ""), allRight},
		{"mode", "clinic", "Condition/$validate", parameters(good, `{"name":"mode","valueCode":"create"},`), allRight},
		{"mode in the address", "clinic", "Condition/$validate?mode=create", good, allRight},
		{"all that is wrong, by its place", "clinic", "Condition/$validate", wrong, []string{
			"error value Condition.onset line 3, column 18",
			"error structure Condition.severity line 4, column 76",
			"information not-supported Condition.code.coding[0].code line 4, column 56",
		}},
		{"the same within Parameters", "clinic", "Condition/$validate", parameters(wrong, ""), []string{
			"error value Condition.onset line 3, column 18",
			"error structure Condition.severity line 4, column 76",
			"information not-supported Condition.code.coding[0].code line 4, column 56",
		}},
		{"on the first line of Parameters", "clinic", "Basic/$validate", `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Basic"}}]}`, []string{
			"error required Basic.code line 1, column 73",
		}},
		{"Parameters as such", "good", "Parameters/$validate", `{"resourceType":"Parameters","parameter":[{"name":"x","valueString":"y"}]}`, allRight},
		{"the record of access", "good", "AuditEvent/$validate?mode=profile&profile=http://hl7.org/fhir/StructureDefinition/AuditEvent", `{"resourceType":"AuditEvent"}`, []string{
			"error required AuditEvent.type line 1, column 1", "error required AuditEvent.recorded line 1, column 1",
			"error required AuditEvent.agent line 1, column 1", "error required AuditEvent.source line 1, column 1",
		}},
		{"a Consent that the server would refuse", "self", "Consent/$validate", `{"resourceType":"Consent","status":"active","patient":{"reference":"Patient/p"},` +
			`"scope":{"text":"x"},"category":[{"text":"x"}],"policy":[{"uri":"https://policy.example"}]}`, []string{
			"error required Consent.scope line 1, column 89", "error business-rule Consent.category line 1, column 113",
		}},
	} {
		got := issuesOf(t, h.want(row.token, "POST", row.path, row.body, 200))
		if d := cmp.Diff(row.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, d)
		}
	}
	for body, path := range map[string]string{
		good: "Observation/$validate", `{"resourceType":"Parameters"}`: "Condition/$validate", parameters("7", ""): "Condition/$validate",
		parameters(good, `{"name":"mode","valueCode":"forget"},`): "Condition/$validate", parameters(good, `{"name":"x"},`): "Condition/$validate",
	} {
		h.want("clinic", "POST", path, body, 400)
	}
	h.want("clinic", "POST", "Condition/$validate?mode=forget", good, 400)
	h.want("clinic", "POST", "Condition/$validate?mode=forget", good, 400, "Prefer", "handling=lenient")
	h.want("clinic", "POST", "Condition/$validate?mood=forget", good, 200, "Prefer", "handling=lenient")
	h.want("clinic", "POST", "Condition/$validate", "", 400)
	for _, row := range []struct{ path, body, want string }{
		{"?mode=profile", good, "profile needs the parameter profile"},
		{"?mode=delete", "", "delete is for an instance"},
		{"?mode=delete", good, "delete is for an instance"},
		{"", parameters(good, `{"name":"mode","valueCode":"create"},{"name":"mode","valueCode":"forget"},`), "must be create, update, delete or profile"},
		{"", parameters(good, `{"name":"profile","valueUri":"urn:x"},{"name":"x"},`), "known are: resource, mode, profile"},
	} {
		w := h.want("clinic", "POST", "Condition/$validate"+row.path, row.body, 400)
		if b := w.Body.String(); !strings.Contains(b, row.want) || row.path == "" && !strings.Contains(b, "Parameters.parameter[1]") {
			t.Errorf("%s %s: %s", row.path, row.body, b)
		}
	}
	if b := bundleOf(t, h.want("good", "GET", "Condition?_summary=count", "", 200)); *b.Total != 1 {
		t.Errorf("something was written: %d", *b.Total)
	}
}

func TestValidateOfAnInstance(t *testing.T) {
	h := build(t)
	h.furnish()
	h.want("good", "PUT", "Condition/c-q", `{"resourceType":"Condition","id":"c-q","subject":{"reference":"Patient/q"},"code":{"text":"cough"}}`, 201)
	allRight := []string{"information informational"}
	const other = `{"resourceType":"Condition","id":"other","subject":{"reference":"Patient/q"}}`
	for _, row := range []struct {
		name, method, path, body string
		want                     []string
	}{
		{"what is on file", "GET", "", "", allRight},
		{"by POST", "POST", "", `{"resourceType":"Parameters"}`, allRight},
		{"to be deleted", "GET", "?mode=delete", "", allRight},
		{"under another id", "POST", "?mode=update", other, []string{"error invalid Condition.id"}},
		{"as such", "POST", "?mode=profile&profile=http://hl7.org/fhir/StructureDefinition/Condition", other, allRight},
	} {
		got := issuesOf(t, h.want("doctor", row.method, "Condition/c-q/$validate"+row.path, row.body, 200))
		if d := cmp.Diff(row.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, d)
		}
		// Hidden is absent, whatever is asked, and whatever is sent.
		hidden := h.want("doctor", row.method, "Condition/c-p/$validate"+row.path, row.body, 404, "X-Request-Id", "r")
		absent := h.want("doctor", row.method, "Condition/none/$validate"+row.path, row.body, 404, "X-Request-Id", "r")
		if !bytes.Equal(hidden.Body.Bytes(), absent.Body.Bytes()) {
			t.Errorf("%s: %s\nnot %s", row.name, hidden.Body, absent.Body)
		}
	}
	h.want("clinic", "GET", "Condition/c-q/$validate", "", 403) // a system never reads
	h.want("doctor", "GET", "Condition/c-q/$validate?profil=x", "", 400)
	if w := h.want("doctor", "HEAD", "Condition/c-q/$validate", "", 200); w.Body.Len() != 0 {
		t.Errorf("HEAD: %s", w.Body)
	}
}

func TestValidateInABatch(t *testing.T) {
	h := build(t)
	h.furnish()
	b := bundleOf(t, h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[
		{"request":{"method":"POST","url":"Condition/$validate"},"resource":{"resourceType":"Condition","subject":{"reference":"Patient/q"}}},
		{"request":{"method":"GET","url":"Condition/c-p/$validate"}}]}`, 200))
	if len(b.Entry) != 2 || b.Entry[0].Response.Status != "200 OK" || b.Entry[0].Resource.Issue[0].Code != "informational" || b.Entry[1].Response.Status != "404 Not Found" {
		t.Errorf("%+v", b.Entry)
	}
}

func TestWhatWasNoticedIsToldToWhoAsks(t *testing.T) {
	h := build(t)
	h.furnish()
	const cough = `{"resourceType":"Condition","subject":{"reference":"Patient/q"},"code":{"coding":[{"system":"http://snomed.info/sct","code":"49727002"}]}}`
	want := []string{"information informational", "information not-supported Condition.code.coding[0].code line 1, column " + strconv.Itoa(strings.Index(cough, `"49727002"`)+1)}
	if d := cmp.Diff(want, issuesOf(t, h.want("clinic", "POST", "Condition", cough, 201, "Prefer", "return=OperationOutcome"))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if w := h.want("clinic", "POST", "Condition", cough, 201); strings.Contains(w.Body.String(), "OperationOutcome") {
		t.Errorf("told to who did not ask: %s", w.Body)
	}
}

func TestWhoseRuleIsBroken(t *testing.T) {
	h := build(t)
	h.furnish()
	patient := func(more, nric string) string {
		return `{"resourceType":"Patient",` + more + `"identifier":[{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"` + nric + `"}]}`
	}
	h.want("clinic", "POST", "Patient", patient("", "S1234567D"), 201)
	h.want("clinic", "POST", "Patient", patient("", "S1234567A"), 422)
	h.want("clinic", "POST", "Patient", patient(`"gender":"x",`, "S1234567A"), 400)
	h.want("clinic", "POST", "Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"referenceRange":[{"age":{"low":{"value":1}}}]}`, 400) // obs-3
}
