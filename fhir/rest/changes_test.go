package rest_test

import (
	"fmt"
	"strings"
	"testing"

	"vitrine/consent/gate"
)

// entriesOf are the entries of a history as "POST id W/"1"" words.
func entriesOf(t *testing.T, b bundle) []string {
	t.Helper()
	if b.Type != "history" {
		t.Errorf("a Bundle of type %s", b.Type)
	}
	var out []string
	for _, e := range b.Entry {
		out = append(out, e.Request.Method+" "+strings.TrimPrefix(e.FullURL, base+"/")+" "+e.Response.ETag)
	}
	return out
}

func TestHistoryOfTypes(t *testing.T) {
	h := build(t)
	h.furnish()
	whole := bundleOf(t, h.want("good", "GET", "Organization/_history", "", 200))
	if got := fmt.Sprint(entriesOf(t, whole)); got != `[POST Organization/a W/"1" POST Organization/b W/"1"]` || whole.Total == nil || *whole.Total != 2 {
		t.Errorf("of a type: %s, %v", got, whole.Total)
	}
	if head := h.want("good", "HEAD", "Organization/_history", "", 200); head.Body.Len() != 0 || head.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %v %q", head.Header(), head.Body)
	}
	pages := []string{}
	for path := "_history?_count=4&_at=2026-09-01"; path != ""; {
		b := bundleOf(t, h.want("good", "GET", path, "", 200))
		pages = append(pages, entriesOf(t, b)...)
		if path = b.link("next"); path != "" {
			path = strings.TrimPrefix(path, base+"/")
			if b.Total != nil || !strings.Contains(path, "_at=2026-09-01") {
				t.Errorf("total %v, next %s", b.Total, path)
			}
		}
	}
	if len(pages) != 10 {
		t.Errorf("of the system: %v", pages)
	}
	for path, want := range map[string]string{
		"_history?_since=2026": "instant", "_history?_at=x": "2026-11-22", "Patient/_history?_list=$current-allergies": "List",
		"_history?_sort=_id": "-_lastUpdated", "_history?_type=Patient": "_list", "_history?_cursor=x": "page",
	} {
		if w := h.want("good", "GET", path, "", 400); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	if w := h.want("regulator", "GET", "AuditEvent/_history?_count=2&_sort=-_lastUpdated", "", 200).Body.String(); strings.Count(w, `"method":"POST"`) != 2 || !strings.Contains(w, `"next"`) {
		t.Errorf("of AuditEvents: %s", w)
	}
	batch := bundleOf(t, h.want("good", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Organization/_history?_count=1"}},{"request":{"method":"GET","url":"_history?_count=1"}}]}`, 200))
	for i, e := range batch.Entry {
		if e.Response.Status != "200 OK" || e.Resource.ResourceType != "Bundle" {
			t.Errorf("entry %d of a batch: %+v", i, e)
		}
	}
}

// Scenario 66: for everybody else there is no such thing, whatever the method.
func TestHistoryOfTypesIsThereForNobodyElse(t *testing.T) {
	h := build(t)
	h.furnish()
	for _, who := range []string{"doctor", "clinic", "self", "narrow"} {
		for _, path := range []string{"_history", "Patient/_history", "Observation/_history?_since=2026-09-01T10:00:00Z", "AuditEvent/_history"} {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
				w := h.want(who, method, path, "", 405)
				if allow, ok := w.Header()["Allow"]; !ok || allow[0] != "" {
					t.Errorf("%s %s as %s: Allow %q", method, path, who, allow)
				}
			}
		}
	}
	h.want("regulator", "GET", "Patient/_history", "", 405)
	h.want("regulator", "GET", "_history", "", 405)
	h.want("insurer", "GET", "_history", "", 403)
	h.want("good", "GET", "Nonsense/_history", "", 404)
	h.want("good", "GET", "Patient/_history", "", 200)
}

func TestHistoryEntriesOfATransaction(t *testing.T) {
	h := build(t)
	h.furnish()
	for _, city := range []string{"Boston", "Quincy"} {
		h.want("good", "PUT", "Patient/q", `{"resourceType":"Patient","id":"q","birthDate":"1990-01-02","gender":"male","address":[{"city":"`+city+`"}]}`, 200)
	}
	b := bundleOf(t, h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"GET","url":"Patient/q/_history?_count=2&_at=2026-09"}},{"request":{"method":"GET","url":"Patient/q/_history?_since=2027-01-01T00:00:00Z"}}]}`, 200))
	first := b.Entry[0].Resource
	next := ""
	for _, l := range first.Link {
		if l.Relation == "next" {
			next = strings.TrimPrefix(l.URL, base+"/")
		}
	}
	if len(first.Entry) != 2 || next == "" || len(b.Entry[1].Resource.Entry) != 0 {
		t.Fatalf("%+v", b)
	}
	if rest := bundleOf(t, h.want("doctor", "GET", next, "", 200)); fmt.Sprint(entriesOf(t, rest)) != `[POST Patient/q W/"1"]` {
		t.Errorf("the next page: %v", entriesOf(t, rest))
	}
}

func TestUpdateOfWhatMustNotBeThere(t *testing.T) {
	h := build(t)
	h.furnish()
	const patient = `{"resourceType":"Patient","id":"new"}`
	h.want("good", "PUT", "Patient/new", patient, 201, "If-None-Match", "*")
	h.want("good", "PUT", "Patient/new", patient, 412, "If-None-Match", "*")
	h.want("good", "PUT", "Patient/new", patient, 400, "If-None-Match", `W/"1"`)
	h.want("good", "PUT", "Patient/new", patient, 400, "If-None-Match", "*", "If-Match", `W/"1"`)
	h.want("good", "DELETE", "Patient/new", "", 400, "If-None-Match", "*")
	h.want("good", "PUT", "Patient/new", patient, 200)
	for _, id := range []string{"c-p", "none"} { // what others wrote is as good as absent
		h.want("other", "PUT", "Condition/"+id, strings.Replace(condition, `{`, `{"id":"`+id+`",`, 1), 404, "If-None-Match", "*")
	}
	entry := func(id string) string {
		return `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","id":"` + id + `"},"request":{"method":"PUT","url":"Patient/` + id + `","ifNoneMatch":"*"}}]}`
	}
	h.want("good", "POST", "", entry("newer"), 200)
	h.want("good", "POST", "", entry("newer"), 412)
}

func TestConditionalDeleteOfMany(t *testing.T) {
	h := buildWith(t, gate.Config{DeleteMost: 3})
	h.furnish()
	var ids []string
	for _, n := range []string{"1", "1", "1", "2", "2", "2", "2"} {
		at := h.want("clinic", "POST", "Condition", numbered(n), 201).Header().Get("Location")
		ids = append(ids, strings.Split(strings.TrimPrefix(at, base+"/"), "/_history")[0])
	}
	h.want("other", "POST", "Condition", numbered("1"), 201)
	if w := h.want("clinic", "DELETE", "Condition?identifier=urn:x|2", "", 412); !strings.Contains(w.Body.String(), "too-costly") {
		t.Errorf("too many: %s", w.Body)
	}
	h.want("doctor", "GET", ids[3], "", 200)
	if w := h.want("clinic", "DELETE", "Condition?identifier=urn:x|1", "", 200); !strings.Contains(w.Body.String(), "Deleted 3 resources.") {
		t.Errorf("three: %s", w.Body)
	}
	for _, id := range ids[:3] {
		h.want("doctor", "GET", id, "", 410)
	}
	if w := h.want("clinic", "DELETE", "Condition?identifier=urn:x|1", "", 200); !strings.Contains(w.Body.String(), "Deleted 0 resources.") {
		t.Errorf("none that is one's own: %s", w.Body)
	}
	h.want("other", "DELETE", "Condition?identifier=urn:x|1", "", 204, "Prefer", "return=minimal")
	if w := h.want("good", "GET", "metadata", "", 200); !strings.Contains(w.Body.String(), `"conditionalDelete":"multiple"`) {
		t.Error("that several may be deleted is not declared")
	}
	alone := build(t)
	alone.furnish()
	alone.want("clinic", "POST", "Condition", numbered("1"), 201)
	alone.want("clinic", "POST", "Condition", numbered("1"), 201)
	alone.want("clinic", "DELETE", "Condition?identifier=urn:x|1", "", 412)
}

func TestReferencesToWhatIsNotThere(t *testing.T) {
	h := buildWith(t, gate.Config{RefuseDangling: true})
	h.furnish()
	const dangling = `{"resourceType":"Condition","subject":{"reference":"Patient/q"},"stage":[{"assessment":[{"reference":"Observation/secret-1"}]}],"code":{"text":"cough"}}`
	w := h.want("good", "POST", "Condition", dangling, 422)
	if !strings.Contains(w.Body.String(), "Condition.stage[0].assessment[0].reference") || strings.Contains(w.Body.String(), "secret-1") {
		t.Errorf("%s", w.Body)
	}
	h.want("clinic", "POST", "Condition", dangling, 201) // a contributor is not told what there is
	together := `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:5f0c1d7a-6b39-4e4e-9a51-2c8d1e7b4f61","resource":` + strings.Replace(condition, "Patient/q", "urn:uuid:5f0c1d7a-6b39-4e4e-9a51-2c8d1e7b4f62", 1) + `,"request":{"method":"POST","url":"Condition"}},
		{"fullUrl":"urn:uuid:5f0c1d7a-6b39-4e4e-9a51-2c8d1e7b4f62","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}]}`
	h.want("good", "POST", "", together, 200)
	apart := strings.Replace(together, `{"resourceType":"Patient"}`, `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/none"}}`, 1)
	if w := h.want("good", "POST", "", apart, 422); !strings.Contains(w.Body.String(), "Bundle.entry[1].resource.managingOrganization.reference") {
		t.Errorf("%s", w.Body)
	}
	lost := strings.Replace(together, `"urn:uuid:5f0c1d7a-6b39-4e4e-9a51-2c8d1e7b4f62","resource"`, `"urn:uuid:5f0c1d7a-6b39-4e4e-9a51-2c8d1e7b4f63","resource"`, 1)
	if w := h.want("good", "POST", "", lost, 422); !strings.Contains(w.Body.String(), "Bundle.entry[0].resource.subject.reference") {
		t.Errorf("%s", w.Body)
	}
	open := build(t)
	open.furnish()
	open.want("good", "POST", "", lost, 200)
	open.want("good", "POST", "Condition", dangling, 201)
}

func TestConditionalReads(t *testing.T) {
	h := build(t)
	h.furnish()
	const then, before = "Tue, 01 Sep 2026 10:00:00 GMT", "Tue, 01 Sep 2026 09:59:59 GMT"
	for _, row := range []struct {
		status int
		header []string
	}{
		{304, []string{"If-None-Match", `W/"1"`}},
		{304, []string{"If-None-Match", `"1"`}},
		{304, []string{"If-None-Match", `W/"7", W/"1"`}},
		{304, []string{"If-None-Match", "*"}},
		{200, []string{"If-None-Match", `W/"2"`}},
		{200, []string{"If-None-Match", `W/"2"`, "If-Modified-Since", then}}, // the tag decides
		{304, []string{"If-None-Match", `W/"1"`, "If-Modified-Since", before}},
		{304, []string{"If-Modified-Since", then}},
		{200, []string{"If-Modified-Since", before}},
		{200, []string{"If-Modified-Since", "yesterday"}},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, path := range []string{"Patient/q", "Patient/q/_history/1"} {
				w := h.want("doctor", method, path, "", row.status, row.header...)
				if row.status == 304 && (w.Body.Len() != 0 || w.Header().Get("ETag") != `W/"1"`) {
					t.Errorf("%s %s %q: %v", method, path, row.header, w.Header())
				}
			}
			h.want("doctor", method, "Condition/c-p", "", 404, row.header...)
		}
	}
}
