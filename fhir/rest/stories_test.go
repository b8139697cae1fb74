package rest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const condition = `{"resourceType":"Condition","subject":{"reference":"Patient/q"},"code":{"text":"cough"}}`

func TestCreateReadUpdateDelete(t *testing.T) {
	h := build(t)
	h.furnish()
	created := h.want("clinic", "POST", "Condition", condition, 201, "Prefer", "return=minimal")
	location := created.Header().Get("Location")
	path, ok := strings.CutPrefix(location, base+"/")
	id, version, _ := strings.Cut(strings.TrimPrefix(path, "Condition/"), "/_history/")
	if !ok || version != "1" || created.Header().Get("ETag") != `W/"1"` || created.Header().Get("Last-Modified") == "" || created.Body.Len() != 0 {
		t.Fatalf("headers %v, body %q", created.Header(), created.Body)
	}
	read := h.want("doctor", "GET", "Condition/"+id, "", 200)
	want := http.Header{
		"Content-Type": {"application/fhir+json; charset=utf-8"}, "Etag": {`W/"1"`}, "Last-Modified": {"Tue, 01 Sep 2026 10:00:00 GMT"},
		"Cache-Control": {"no-store, private"}, "Vary": {"Authorization"}, "Content-Length": {strconv.Itoa(read.Body.Len())},
		"X-Request-Id": read.Header()["X-Request-Id"],
	}
	if d := cmp.Diff(want, read.Header()); d != "" {
		t.Errorf("headers of a read (-want +got):\n%s", d)
	}
	head := h.want("doctor", "HEAD", "Condition/"+id, "", 200, "X-Request-Id", read.Header().Get("X-Request-Id"))
	if d := cmp.Diff(read.Header(), head.Header()); d != "" || head.Body.Len() != 0 {
		t.Errorf("HEAD (-GET +HEAD):\n%s", d)
	}
	if vread := h.want("doctor", "GET", path, "", 200); !bytes.Equal(vread.Body.Bytes(), read.Body.Bytes()) {
		t.Errorf("vread: %s", vread.Body)
	}
	if w := h.want("doctor", "GET", "Condition/"+id, "", 304, "If-None-Match", `W/"1"`); w.Body.Len() != 0 || w.Header().Get("ETag") != `W/"1"` {
		t.Errorf("304: %v %q", w.Header(), w.Body)
	}
	h.want("doctor", "GET", "Condition/"+id, "", 200, "If-None-Match", `W/"2"`)
	h.want("doctor", "GET", "Condition/"+id, "", 304, "If-Modified-Since", "Tue, 01 Sep 2026 10:00:00 GMT")

	edited := strings.Replace(strings.Replace(condition, `{`, `{"id":"`+id+`",`, 1), "cough", "dry cough", 1)
	h.want("clinic", "PUT", "Condition/"+id, edited, 412, "If-Match", `W/"7"`)
	updated := h.want("clinic", "PUT", "Condition/"+id, edited, 200, "If-Match", `W/"1"`, "Prefer", "return=representation")
	if updated.Header().Get("ETag") != `W/"2"` || !strings.Contains(updated.Body.String(), `"dry cough"`) {
		t.Errorf("update: %v %s", updated.Header(), updated.Body)
	}
	if w := h.want("clinic", "PUT", "Condition/"+id, edited, 200, "Prefer", "return=OperationOutcome"); !strings.Contains(w.Body.String(), "OperationOutcome") || w.Header().Get("ETag") != `W/"2"` {
		t.Errorf("update: %s", w.Body)
	}
	history := bundleOf(t, h.want("doctor", "GET", "Condition/"+id+"/_history", "", 200))
	var methods []string
	for _, e := range history.Entry {
		methods = append(methods, e.Request.Method+" "+e.Response.ETag)
	}
	if d := cmp.Diff([]string{`PUT W/"2"`, `POST W/"1"`}, methods); d != "" || history.Type != "history" {
		t.Errorf("history (-want +got):\n%s", d)
	}
	h.want("good", "DELETE", "Condition/"+id, "", 204)
	if code, _ := outcome(t, h.want("doctor", "GET", "Condition/"+id, "", 410)); code != "deleted" {
		t.Errorf("gone: %s", code)
	}
}

func TestHiddenAbsentAndMisspeltAreTheSame(t *testing.T) {
	h := build(t)
	h.furnish()
	h.want("good", "GET", "Condition/c-p", "", 200)
	hidden := h.want("doctor", "GET", "Condition/c-p", "", 404, "X-Request-Id", "r")
	for _, path := range []string{"Condition/none", "Condition/a_b", "Condition/" + strings.Repeat("x", 65), "Condition/%C3%A9", "Condition/c-p/_history/1", "Condition/c-p/_history", "Condition/none/_history/a_b"} {
		absent := h.want("doctor", "GET", path, "", 404, "X-Request-Id", "r", "If-None-Match", `W/"1"`)
		if !bytes.Equal(hidden.Body.Bytes(), absent.Body.Bytes()) {
			t.Errorf("%s: %s\nnot   %s", path, absent.Body, hidden.Body)
		}
		if d := cmp.Diff(hidden.Header(), absent.Header()); d != "" {
			t.Errorf("%s: headers (-hidden +absent):\n%s", path, d)
		}
	}
}

func TestSearch(t *testing.T) {
	h := build(t)
	h.furnish()
	for range 5 {
		h.want("clinic", "POST", "Condition", condition, 201)
	}
	first := bundleOf(t, h.want("doctor", "GET", "Condition?subject=Patient/q&_count=2&_total=accurate&_format=json", "", 200))
	if first.Type != "searchset" || first.Total == nil || *first.Total != 5 || len(first.Entry) != 2 {
		t.Fatalf("%+v", first)
	}
	if self := first.link("self"); !strings.HasPrefix(self, base+"/Condition?subject=") || strings.Contains(self, "_format") {
		t.Errorf("self %s", self)
	}
	seen := map[string]bool{}
	pages := 0
	for b := first; ; pages++ {
		for _, e := range b.Entry {
			if seen[e.FullURL] || e.FullURL != base+"/Condition/"+e.Resource.ID || e.Search.Mode != "match" {
				t.Errorf("entry %+v", e)
			}
			seen[e.FullURL] = true
		}
		next := b.link("next")
		if next == "" {
			break
		}
		b = bundleOf(t, h.want("doctor", "GET", strings.TrimPrefix(next, base+"/"), "", 200))
	}
	if len(seen) != 5 || pages != 2 {
		t.Errorf("%d resources on %d pages", len(seen), pages+1)
	}
	form := h.want("doctor", "POST", "Condition/_search?_total=accurate", "subject=Patient%2Fq&_count=0", 200, "Content-Type", "application/x-www-form-urlencoded")
	if b := bundleOf(t, form); b.Total == nil || *b.Total != 5 || len(b.Entry) != 0 {
		t.Errorf("_search: %s", form.Body)
	}
	inside := bundleOf(t, h.want("doctor", "GET", "Patient/q/Condition?_summary=count", "", 200))
	if inside.Total == nil || *inside.Total != 5 || inside.link("self") != base+"/Patient/q/Condition?_summary=count" {
		t.Errorf("compartment: %+v", inside)
	}
	h.want("doctor", "GET", "Condition?nickname=x", "", 400)
	h.want("doctor", "GET", "Condition?nickname=x", "", 200, "Prefer", "handling=lenient")
	h.want("doctor", "GET", "Condition?code=", "", 400)
	if got := h.want("doctor", "GET", "Condition?code=", "", 200, "Prefer", "handling=lenient"); strings.Contains(got.Body.String(), "code=") {
		t.Errorf("an empty parameter counts as understood: %s", got.Body)
	}
	h.want("doctor", "GET", "Condition?subject=Patient/q&_cursor=AAAA", "", 400)
}

func TestTheHintIsTheSameWhateverThereIs(t *testing.T) {
	h := build(t)
	h.furnish()
	some := h.want("doctor", "GET", "Condition?subject=Patient/p", "", 200)
	b := bundleOf(t, some)
	if len(b.Entry) != 1 || b.Entry[0].Search.Mode != "outcome" || b.Entry[0].Resource.ResourceType != "OperationOutcome" || b.Entry[0].Resource.Issue[0].Code != "suppressed" {
		t.Errorf("%s", some.Body)
	}
	none := h.want("doctor", "GET", "Procedure?subject=Patient/p", "", 200)
	if got, want := none.Body.String(), strings.ReplaceAll(some.Body.String(), "Condition", "Procedure"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if b := bundleOf(t, h.want("doctor", "GET", "Condition?subject=Patient/q", "", 200)); len(b.Entry) != 0 {
		t.Errorf("a patient without a restriction: %+v", b)
	}
}

func TestPurposesAreRefusedAlike(t *testing.T) {
	h := build(t)
	h.furnish()
	h.want("doctor", "GET", "Patient/q", "", 200)
	for _, path := range []string{"Patient/q", "Patient/p", "Patient/none", "AllergyIntolerance?patient=q", "Patient/q?purpose=TREAT"} {
		w := h.want("insurer", "GET", path, "", 403, "X-Purpose-Of-Use", "TREAT")
		if !strings.Contains(w.Body.String(), `"forbidden-purpose"`) {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
}

func TestConditionalWrites(t *testing.T) {
	h := build(t)
	h.furnish()
	numbered := strings.Replace(condition, `{`, `{"identifier":[{"system":"urn:x","value":"1"}],`, 1)
	first := h.want("clinic", "POST", "Condition", numbered, 201, "If-None-Exist", "identifier=urn:x|1")
	again := h.want("clinic", "POST", "Condition", numbered, 200, "If-None-Exist", "identifier=urn:x|1")
	if again.Header().Get("ETag") != first.Header().Get("ETag") {
		t.Errorf("%v", again.Header())
	}
	h.want("other", "POST", "Condition", numbered, 201, "If-None-Exist", "identifier=urn:x|1")
	h.want("clinic", "PUT", "Condition?identifier=urn:x|1", numbered, 200)
	h.want("clinic", "PUT", "Condition?identifier=urn:x|2", strings.Replace(numbered, `"1"`, `"2"`, 1), 201)
	h.want("good", "DELETE", "Condition?identifier=urn:x|2", "", 204)
	h.want("clinic", "PUT", "Condition?nickname=x", numbered, 400)
}

func TestBatch(t *testing.T) {
	h := build(t)
	h.furnish()
	w := h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[
		{"request":{"method":"GET","url":"Patient/q"}},
		{"request":{"method":"GET","url":"Condition/c-p"}},
		{"request":{"method":"GET","url":"Condition?subject=Patient/q"}},
		{"request":{"method":"GET","url":"Nonsense/x"}},
		{"request":{"method":"BREW","url":"Patient/q"}},
		{"request":{"method":"POST","url":"Condition"}},
		{"request":{"method":"POST","url":"Condition"},"resource":`+condition+`},
		{"request":{"method":"GET","url":"Patient/q","ifNoneMatch":"W/\"1\""}},
		{"request":{"method":"HEAD","url":"Patient/q"}}]}`, 200)
	b := bundleOf(t, w)
	var got []string
	for _, e := range b.Entry {
		got = append(got, e.Response.Status+" "+e.Resource.ResourceType)
	}
	want := []string{"200 OK Patient", "404 Not Found ", "200 OK Bundle", "404 Not Found ", "405 Method Not Allowed ", "400 Bad Request ", "201 Created ", "304 Not Modified ", "200 OK "}
	if d := cmp.Diff(want, got); d != "" || b.Type != "batch-response" {
		t.Errorf("%s (-want +got):\n%s", b.Type, d)
	}
	if e := b.Entry[6].Response; !strings.HasPrefix(e.Location, base+"/Condition/") || e.ETag != `W/"1"` {
		t.Errorf("%+v", e)
	}
}

func TestTransaction(t *testing.T) {
	h := build(t)
	h.furnish()
	w := h.want("good", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:5a0e3d5e-0000-4000-8000-000000000001","request":{"method":"POST","url":"Patient"},"resource":{"resourceType":"Patient","gender":"other"}},
		{"request":{"method":"POST","url":"Condition"},"resource":{"resourceType":"Condition","subject":{"reference":"urn:uuid:5a0e3d5e-0000-4000-8000-000000000001"}}},
		{"request":{"method":"GET","url":"Patient/q"}}]}`, 200)
	b := bundleOf(t, w)
	var got []string
	for _, e := range b.Entry {
		got = append(got, e.Response.Status+" "+e.Resource.ResourceType)
	}
	if d := cmp.Diff([]string{"201 Created ", "201 Created ", "200 OK Patient"}, got); d != "" || b.Type != "transaction-response" {
		t.Errorf("%s (-want +got):\n%s\n%s", b.Type, d, w.Body)
	}
	before := *bundleOf(t, h.want("good", "GET", "Condition?_summary=count", "", 200)).Total
	failed := h.want("good", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"POST","url":"Condition"},"resource":`+condition+`},
		{"request":{"method":"POST","url":"Condition"},"resource":{"resourceType":"Condition","nickname":1}}]}`, 400)
	if !strings.Contains(failed.Body.String(), "Bundle.entry[1]") {
		t.Errorf("%s", failed.Body)
	}
	if after := *bundleOf(t, h.want("good", "GET", "Condition?_summary=count", "", 200)).Total; after != before {
		t.Errorf("%d Conditions, want %d: half a transaction was kept", after, before)
	}
}

func TestBreakGlass(t *testing.T) {
	h := build(t)
	h.furnish()
	parameters := func(rest string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"reason","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OVRER"}}` + rest + `]}`
	}
	why := `,{"name":"justification","valueString":"found unconscious at home"},{"name":"threat","valueCode":"life"}`
	if w := h.want("doctor", "GET", "Patient/p/$access", "", 200); !strings.Contains(w.Body.String(), `"valueCode":"basic"`) || !strings.Contains(w.Body.String(), `"valueBoolean":true`) {
		t.Errorf("$access: %s", w.Body)
	}
	if w := h.as("doctor", "POST", "Patient/p/$break-glass", parameters("")); w.Code != 400 && w.Code != 422 {
		t.Errorf("without a justification: %d", w.Code)
	}
	h.want("doctor", "GET", "Condition/c-p", "", 404)
	p, q := h.want("doctor", "POST", "Patient/p/$break-glass", parameters(why), 201), h.want("doctor", "POST", "Patient/q/%24break-glass", parameters(why), 201)
	if !strings.Contains(p.Body.String(), `"grantId"`) || !strings.Contains(p.Body.String(), `"valueInstant":"2026-09-01T14:00:00`) || p.Body.Len() != q.Body.Len() {
		t.Errorf("$break-glass: %s\n%s", p.Body, q.Body)
	}
	h.want("doctor", "GET", "Condition/c-p", "", 200)
	h.want("elsewhere", "GET", "Condition/c-p", "", 404) // the grant is bound to the client
	h.want("doctor", "GET", "Patient/p/$everything?_count=10", "", 200)
	h.want("doctor", "POST", "Patient/p/$break-glass-stop", "", 204)
	h.want("doctor", "GET", "Condition/c-p", "", 404)
	h.want("clinic", "POST", "Patient/p/$break-glass", parameters(why), 403)
}

// TestBundleOrder: what changes something is done in R4's order, whatever the
// order of the entries, and what reads sees it.
func TestBundleOrder(t *testing.T) {
	h := build(t)
	h.furnish()
	for _, kind := range []string{"batch", "transaction"} {
		h.want("good", "PUT", "Basic/old", `{"resourceType":"Basic","id":"old","code":{"text":"x"}}`, 201)
		b := bundleOf(t, h.want("good", "POST", "", `{"resourceType":"Bundle","type":"`+kind+`","entry":[
			{"request":{"method":"GET","url":"Basic?_summary=count"}},
			{"request":{"method":"PUT","url":"Basic/new-`+kind+`"},"resource":{"resourceType":"Basic","id":"new-`+kind+`","code":{"text":"x"}}},
			{"request":{"method":"DELETE","url":"Basic/old"}}]}`, 200))
		var got []string
		for _, e := range b.Entry {
			got = append(got, e.Response.Status)
		}
		if d := cmp.Diff([]string{"200 OK", "201 Created", "204 No Content"}, got); d != "" {
			t.Errorf("%s: %s", kind, d)
		}
		h.want("good", "DELETE", "Basic/new-"+kind, "", 204)
	}
}

// TestFaultsOfEntries: what is wrong in several entries is told at once, each at
// its place in the whole body.
func TestFaultsOfEntries(t *testing.T) {
	h := build(t)
	body := "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[\n" +
		"{\"request\":{\"method\":\"POST\",\"url\":\"Basic\"},\"resource\":{\"resourceType\":\"Basic\",\"code\":{\"text\":\"x\"}}},\n" +
		"{\"request\":{\"method\":\"POST\",\"url\":\"Basic\"},\"resource\":{\"resourceType\":\"Basic\",\n\"code\":{\"text\":1}}},\n" +
		"{\"request\":{\"method\":\"POST\",\"url\":\"Basic\"},\"resource\":{\"resourceType\":\"Basic\",\"code\":{\"text\":2}}}]}"
	w := h.want("good", "POST", "", body, 400)
	for _, want := range []string{"Bundle.entry[1].resource.code.text", "Bundle.entry[2].resource.code.text", "line 4, column 16", "line 5, column 94"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is missing in %s", want, w.Body)
		}
	}
	h.want("good", "GET", "Basic", "", 200)
}

// TestBatchGoesOutInParts: a long answer is not kept until it is whole.
func TestBatchGoesOutInParts(t *testing.T) {
	h := build(t)
	h.furnish()
	big := strings.Repeat("x", 200_000)
	h.want("good", "PUT", "Basic/big", `{"resourceType":"Basic","id":"big","code":{"text":"`+big+`"}}`, 201)
	entry := `{"request":{"method":"GET","url":"Basic/big"}},`
	ask := func(n int) *httptest.ResponseRecorder {
		t.Helper()
		return h.want("good", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[`+strings.TrimSuffix(strings.Repeat(entry, n), ",")+`]}`, 200)
	}
	for n, parts := range map[int]bool{2: false, 20: true} {
		w := ask(n)
		if got := len(bundleOf(t, w).Entry); got != n {
			t.Errorf("%d entries, want %d", got, n)
		}
		if whole := w.Header().Get("Content-Length") != ""; whole == parts || w.Header().Get("Cache-Control") == "" || w.Header().Get("Content-Type") == "" {
			t.Errorf("%d entries: headers %v", n, w.Header())
		}
	}
}

// What answers in a form of its own is a request of its own, and so is a trial, which
// keeps those who write waiting.
func TestTheLogAndATrialAreNoEntriesOfABatch(t *testing.T) {
	h := build(t)
	for ask, entry := range map[string]string{
		"$checkpoint":                  `{"request":{"method":"GET","url":"AuditEvent/$checkpoint"}}`,
		"$log-records?start=0&count=1": `{"request":{"method":"GET","url":"AuditEvent/$log-records?start=0&count=1"}}`,
		"$log-tiles?level=0&start=0":   `{"request":{"method":"GET","url":"AuditEvent/$log-tiles?level=0&start=0"}}`,
		"$simulate":                    `{"resource":{"resourceType":"Consent","status":"active"},"request":{"method":"POST","url":"Consent/$simulate"}}`,
	} {
		w := h.want("regulator", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[`+entry+`]}`, 200)
		if !json.Valid(w.Body.Bytes()) || !strings.Contains(w.Body.String(), "a request of its own") {
			t.Errorf("%s: %q", ask, w.Body)
		}
	}
}
