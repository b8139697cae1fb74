package rest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const directiveAgainstA = `{"resourceType":"Basic","code":{"coding":[{"system":"https://vitrine.example/CodeSystem/nehr-directive","code":"BLOCK_READ"}]},"subject":{"reference":"Organization/a"}}`

// says fails unless the first issue of an answer has the words.
func (h *house) says(token, method, path, body string, status int, words string, header ...string) {
	h.t.Helper()
	if _, said := outcome(h.t, h.want(token, method, path, body, status, header...)); !strings.Contains(said, words) {
		h.t.Errorf("%s %s: %q, want %q in it", method, path, said, words)
	}
}

// What the regulator's people do to a directive is answered with where its version is,
// and what they cannot do with what to do instead; that is one text, whatever the id.
func TestTheRegulatorIsToldWhatHelps(t *testing.T) {
	h := build(t)
	h.furnish()
	h.says("machine", "POST", "Basic", directiveAgainstA, 403, "takes a person")
	h.says("mei", "PATCH", "Task/none", `[]`, 403, "Task/[id]/$review", "Content-Type", "application/json-patch+json")
	h.says("mei", "DELETE", "Condition/c-p", "", 403, "Task/[id]/$review")
	hidden, absent := h.as("mei", "DELETE", "Condition/c-p", ""), h.as("mei", "DELETE", "Condition/none", "")
	if hidden.Body.String() != absent.Body.String() {
		t.Errorf("hidden %s, absent %s", hidden.Body, absent.Body)
	}
	h.says("good", "POST", "Basic", directiveAgainstA, 422, "the regulator's to propose")
	made := h.want("mei", "POST", "Basic", directiveAgainstA, 201).Header().Get("Location")
	at, _, _ := strings.Cut(made[strings.Index(made, "Basic/"):], "/_history")
	agree := func(token string, status int, words string) {
		h.says(token, "POST", at+"/$agree", "", status, words, "If-Match", `W/"1"`)
	}
	agree("mei", 409, "somebody other than the proposer must agree")
	agreed := h.want("tan", "POST", at+"/$agree", "", 200, "If-Match", `W/"1"`)
	if got := agreed.Header().Get("Content-Location"); !strings.HasSuffix(got, at+"/_history/2") {
		t.Errorf("agreed to: Content-Location %q", got)
	}
	agree("tan", 412, "read again")
	lifting := h.want("tan", "POST", at+"/$lift", "", 200, "If-Match", `W/"2"`)
	if got := lifting.Header().Get("Content-Location"); !strings.HasSuffix(got, at+"/_history/3") {
		t.Errorf("lifting proposed: Content-Location %q", got)
	}
	h.says("self", "GET", "AuditEvent/$break-glass-report", "", 404, "for this caller")
}

// A wrong parameter is named, with what would be right.
func TestWrongParametersAreNamed(t *testing.T) {
	h := build(t)
	h.furnish()
	for path, words := range map[string]string{
		"AuditEvent/$checkpoint?x=1":                        `"x"`,
		"AuditEvent/$consistency-proof?form=1":              "known are: from, to",
		"AuditEvent/$consistency-proof?from=1&from=2":       `"from"`,
		"AuditEvent/$consistency-proof?from=0":              "from must be a whole number, 1 or more",
		"AuditEvent/$consistency-proof?from=1&to=-1":        "to must be a whole number, 0 or more",
		"AuditEvent/$log-records":                           "count is required",
		"AuditEvent/$break-glass-report?who=me":             "agent",
		"AuditEvent/$break-glass-report?_format=text%2Fcvs": "",
	} {
		status := 400
		if words == "" {
			status = 406
		}
		h.says("regulator", "GET", path, "", status, words)
	}
	for _, header := range [][]string{nil, {"Accept", "text/csv"}} {
		path := "AuditEvent/$break-glass-report"
		if header == nil {
			path += "?_format=text/csv"
		}
		if got := h.want("regulator", "GET", path, "", 200, header...).Header().Get("Content-Type"); !strings.HasPrefix(got, "text/csv") {
			t.Errorf("%s: %s", path, got)
		}
	}
	h.want("regulator", "GET", "AuditEvent?_format=text/csv", "", 406)
	report := h.want("regulator", "GET", "AuditEvent/$break-glass-report?organization=b&practitioner=dr-a", "", 200).Body.String()
	for _, of := range []string{`{"name":"for-organization","valueReference":{"reference":"Organization/b"}}`, `{"name":"for-practitioner","valueReference":{"reference":"Practitioner/dr-a"}}`} {
		if !strings.Contains(report, of) {
			t.Errorf("not said: %s\n%s", of, report)
		}
	}
	h.says("regulator", "POST", "$export", `{"resourceType":"Parameters","parameter":[{"name":"_type","valueInteger":1}]}`, 400, "valueString")
	h.says("self", "GET", "Patient/p/$access-history?start=2026-02-01&end=2026-01-01", "", 422, "must begin before it ends")
	h.says("regulator", "POST", "AuditEvent/$checkpoint", "a note", 501, "signs", "Content-Type", "text/plain")
	h.want("regulator", "POST", "AuditEvent/$checkpoint", "a note", 415, "Content-Type", "text/html")
	h.want("regulator", "POST", "AuditEvent/$checkpoint", "a note", 400)
}

// What is told of nothing is in no language.
func TestNothingIsSaidInNoLanguage(t *testing.T) {
	h := build(t)
	h.furnish()
	if said, there := h.want("self", "GET", "Patient/p/$access-history?end=2020", "", 200).Header()["Content-Language"]; there {
		t.Errorf("Content-Language %q", said)
	}
	if said := h.want("self", "GET", "Patient/p/$access-history", "", 200).Header().Get("Content-Language"); said != "en" {
		t.Errorf("Content-Language %q", said)
	}
}

// An export is said to be accepted, under way and cancelled, each in its own words.
func TestExportsSayHowFarTheyAre(t *testing.T) {
	h := build(t)
	h.furnish()
	kicked := h.want("regulator", "GET", "$export", "", 202)
	if _, said := outcome(t, kicked); !strings.Contains(said, "Content-Location") {
		t.Errorf("accepted: %q", said)
	}
	_, at, _ := strings.Cut(kicked.Header().Get("Content-Location"), "/fhir/")
	h.says("regulator", "GET", at, "", 202, "in progress")
	h.says("regulator", "DELETE", at, "", 202, "cancelled")
}

// TestAllFaultsOfParametersAreTold: not the first alone, in the body as in the address;
// of very many, as many as somebody reads.
func TestAllFaultsOfParametersAreTold(t *testing.T) {
	h := build(t)
	issues := func(token, method, path, body string) (texts []string) {
		t.Helper()
		var got struct {
			Issue []struct{ Details struct{ Text string } }
		}
		if err := json.Unmarshal(h.want(token, method, path, body, 400).Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, i := range got.Issue {
			texts = append(texts, i.Details.Text)
		}
		return texts
	}
	const checkpoint = "AuditEvent/$checkpoint"
	parameters := func(all ...string) string {
		return `{"resourceType":"Parameters","parameter":[` + strings.Join(all, ",") + `]}`
	}
	const one, missing = "The one parameter is checkpoint, and must have a valueString.", "The parameter checkpoint is required."
	for name, row := range map[string]struct {
		body string
		want []string
	}{
		"two unknown, and it is missing": {parameters(`{"name":"a","valueString":"x"}`, `{"name":"b","valueString":"x"}`), []string{one, one, missing}},
		"of another type":                {parameters(`{"name":"checkpoint","valueInteger":1}`, `{"valueString":"x"}`), []string{one, "Every parameter must have a name."}},
		"twice, and unknown":             {parameters(`{"name":"checkpoint","valueString":"x"}`, `{"name":"checkpoint","valueString":"y"}`, `{"name":"a"}`), []string{"A parameter stands there twice.", one}},
		"without any":                    {parameters(), []string{missing}},
	} {
		if d := cmp.Diff(row.want, issues("regulator", "POST", checkpoint, row.body)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if got := issues("regulator", "POST", checkpoint, parameters(strings.Repeat(`{},`, 5000)+"{}")); len(got) != 20 {
		t.Errorf("%d issues", len(got))
	}
	want := []string{
		`Parameter "x": known are: count, start.`, "The parameter count must be a whole number, 1 or more.", "The parameter start is required.",
	}
	if d := cmp.Diff(want, issues("regulator", "GET", "AuditEvent/$log-records?x=1&count=many", "")); d != "" {
		t.Errorf("in the address (-want +got):\n%s", d)
	}
	if got := issues("doctor", "POST", "Patient/p/$break-glass", parameters(`{"name":"x"}`, `{"name":"y"}`)); len(got) != 2 {
		t.Errorf("of another operation: %q", got)
	}
}
