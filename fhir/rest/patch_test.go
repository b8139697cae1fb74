package rest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	jsonPatch = "application/json-patch+json"
	married   = `[{"op":"add","path":"/maritalStatus","value":{"text":"married"}}]`
	// unmarried is a FHIRPath Patch.
	unmarried = `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Patient.maritalStatus"}]}]}`
)

func TestPatch(t *testing.T) {
	h := build(t)
	h.furnish()
	w := h.want("good", "PATCH", "Patient/q", married, 200, "Content-Type", jsonPatch)
	if !strings.Contains(w.Body.String(), "married") || w.Header().Get("ETag") != `W/"2"` || w.Header().Get("Content-Location") != base+"/Patient/q/_history/2" || w.Header().Get("Location") != "" {
		t.Errorf("%v\n%s", w.Header(), w.Body)
	}
	if w = h.want("good", "PATCH", "Patient/q", unmarried, 200, "Prefer", "return=minimal", "If-Match", `W/"2"`); w.Body.Len() != 0 || w.Header().Get("ETag") != `W/"3"` {
		t.Errorf("minimal: %v %s", w.Header(), w.Body)
	}
	if w = h.want("good", "PATCH", "Patient/q", unmarried, 200, "Prefer", "return=OperationOutcome", "Content-Type", "application/json; charset=utf-8"); !strings.Contains(w.Body.String(), "OperationOutcome") {
		t.Errorf("outcome: %s", w.Body)
	}
	h.want("good", "PATCH", "Patient/q", married, 412, "Content-Type", jsonPatch, "If-Match", `W/"2"`)
	h.want("good", "PATCH", "Patient/none", married, 404, "Content-Type", jsonPatch)
	h.want("good", "PATCH", "Patient/not_an_id", married, 404, "Content-Type", jsonPatch)
	h.want("good", "PATCH", "Patient?birthdate=1990-01-02", married, 200, "Content-Type", jsonPatch)
	h.want("good", "PATCH", "Patient?birthdate=1900", married, 404, "Content-Type", jsonPatch)
	h.want("good", "PATCH", "Patient?gender=male,female", married, 412, "Content-Type", jsonPatch)
	h.want("good", "PATCH", "Patient", married, 400, "Content-Type", jsonPatch)
	h.want("good", "PATCH", "AuditEvent/x", married, 405, "Content-Type", jsonPatch)
	h.want("doctor", "PATCH", "Patient/q", married, 404, "Content-Type", jsonPatch)
	if w = h.want("good", "GET", "Patient/q", "", 200); !strings.Contains(w.Body.String(), `"birthDate":"1990-01-02"`) {
		t.Errorf("stored: %s", w.Body)
	}
}

func TestPatchRefused(t *testing.T) {
	h := build(t)
	h.furnish()
	before := h.want("good", "GET", "Condition/c-p", "", 200).Body.String()
	for name, c := range map[string]struct {
		media, body string
		status      int
		says        string
	}{
		"no media type":     {"", married, 415, "json-patch"},
		"XML":               {"application/xml-patch+xml", "<diff/>", 415, "json-patch"},
		"merge patch":       {"application/merge-patch+json", `{}`, 415, "json-patch"},
		"plain JSON":        {"application/json", ` [{"op":"add"}]`, 400, "application/json-patch+json"},
		"no JSON":           {jsonPatch, `[{`, 400, "line 1"},
		"no patch":          {jsonPatch, `{"op":"add"}`, 400, "array"},
		"no pointer":        {jsonPatch, `[{"op":"remove","path":"/x"},{"op":"remove","path":"x"}]`, 400, "Operation 1 at x: path must be a JSON Pointer."},
		"no Parameters":     {"application/fhir+json", `{"resourceType":"Patient"}`, 400, "Parameters"},
		"no FHIRPath":       {"application/fhir+json", strings.ReplaceAll(unmarried, "Patient.maritalStatus", "Patient["), 400, "Operation 0"},
		"nothing there":     {jsonPatch, `[{"op":"remove","path":"/code/coding/0"}]`, 422, "Operation 0 at /code/coding/0: there is nothing at the path."},
		"a test that fails": {jsonPatch, `[{"op":"test","path":"/code/text","value":"x"}]`, 422, "Operation 0 at /code/text"},
		"another type":      {jsonPatch, `[{"op":"replace","path":"/resourceType","value":"Patient"}]`, 422, "resourceType"},
		"not valid":         {jsonPatch, `[{"op":"remove","path":"/subject"}]`, 422, "Condition.subject"},
		"other version":     {"application/fhir+json; fhirVersion=5.0", unmarried, 415, "Parameters"},
	} {
		header := []string{"Content-Type", c.media}
		if c.media == "" {
			header = []string{"Content-Type", "text/plain"}
		}
		w := h.want("good", "PATCH", "Condition/c-p", c.body, c.status, header...)
		if !strings.Contains(w.Body.String(), c.says) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %s", name, w.Body)
		}
		if got := w.Header().Get("Accept-Patch"); (got != "") != (c.status == http.StatusUnsupportedMediaType) || (got != "" && got != jsonPatch+", application/fhir+json") {
			t.Errorf("%s: Accept-Patch %q", name, got)
		}
	}
	if after := h.want("good", "GET", "Condition/c-p", "", 200).Body.String(); after != before {
		t.Errorf("a patch that was refused changed %s to %s", before, after)
	}
	h.want("good", "PATCH", "Condition/c-p", `[{"op":"test","path":"/code/text","value":"secret"}]`, 200, "Content-Type", jsonPatch)
}

func TestPatchPacked(t *testing.T) {
	h := build(t)
	h.furnish()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(married)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	h.want("good", "PATCH", "Patient/q", b.String(), 200, "Content-Type", jsonPatch, "Content-Encoding", "gzip")
}

func TestPatchInBundles(t *testing.T) {
	h := build(t)
	h.furnish()
	entry := func(url, resource string) string {
		return `{"request":{"method":"PATCH","url":"` + url + `"},"resource":` + resource + `}`
	}
	binary := func(media, doc string) string {
		return `{"resourceType":"Binary","contentType":"` + media + `","data":"` + base64.StdEncoding.EncodeToString([]byte(doc)) + `"}`
	}
	w := h.want("good", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[`+strings.Join([]string{
		entry("Patient/q", binary(jsonPatch, married)), entry("Patient/q", unmarried), entry("Patient?birthdate=1990-01-02", binary(jsonPatch, married)),
		entry("Patient/none", unmarried), entry("Patient/q", binary("application/xml", "x")), entry("Patient/q", binary(jsonPatch, "{}")),
		entry("Patient/q", `{"resourceType":"Binary","contentType":"`+jsonPatch+`","data":"?"}`), entry("Patient/q", binary(jsonPatch, `[{"op":"remove","path":"/x"}]`)),
		`{"request":{"method":"PATCH","url":"Patient/q"}}`,
	}, ",")+`]}`, 200)
	var got []string
	for _, e := range bundleOf(t, w).Entry {
		got = append(got, e.Response.Status[:3])
	}
	if d := cmp.Diff([]string{"200", "200", "200", "404", "415", "400", "400", "422", "400"}, got); d != "" {
		t.Errorf("batch (-want +got):\n%s\n%s", d, w.Body)
	}

	transaction := func(status int, entries ...string) string {
		t.Helper()
		return h.want("good", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[`+strings.Join(entries, ",")+`]}`, status).Body.String()
	}
	const full = "urn:uuid:00000000-0000-4000-8000-000000000001"
	out := transaction(200, entry("Patient/q", binary(jsonPatch, `[{"op":"add","path":"/generalPractitioner","value":[{"reference":"`+full+`"}]}]`)),
		`{"fullUrl":"`+full+`","request":{"method":"POST","url":"Organization"},"resource":{"resourceType":"Organization","name":"C"}}`)
	if !strings.Contains(out, base+"/Patient/q/_history/5") {
		t.Errorf("transaction: %s", out)
	}
	if w := h.want("good", "GET", "Patient/q", "", 200); strings.Contains(w.Body.String(), "urn:uuid") || !strings.Contains(w.Body.String(), "Organization/") {
		t.Errorf("a reference to another entry: %s", w.Body)
	}
	transaction(200, entry("Patient?birthdate=1990-01-02", unmarried))
	for name, c := range map[string]struct {
		entry  string
		status int
	}{
		"twice":         {entry("Patient?birthdate=1990-01-02", unmarried), 400},
		"absent":        {entry("Patient/none", unmarried), 404},
		"another media": {entry("Patient/p", binary("text/plain", "x")), 415},
		"failed":        {entry("Patient/p", binary(jsonPatch, `[{"op":"test","path":"/gender","value":"male"}]`)), 422},
	} {
		if out := transaction(c.status, entry("Patient/q", binary(jsonPatch, married)), c.entry); name != "twice" && !strings.Contains(out, "entry[1]") {
			t.Errorf("%s: %s", name, out)
		}
	}
	if w := h.want("good", "GET", "Patient/q", "", 200); strings.Contains(w.Body.String(), "married") {
		t.Errorf("part of a transaction that failed: %s", w.Body)
	}
}
