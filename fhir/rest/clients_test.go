package rest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What clients in the field count on (fhir.js, fhirpy, HAPI's client and others).

func TestAWriteComesBackUnlessTheClientSaysOtherwise(t *testing.T) {
	h := build(t)
	h.furnish()
	created := h.want("clinic", "POST", "Condition", condition, 201)
	var r struct {
		ResourceType, ID string
		Meta             struct{ VersionID string }
	}
	if err := json.Unmarshal(created.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	version := base + "/Condition/" + r.ID + "/_history/1"
	if r.ResourceType != "Condition" || r.Meta.VersionID != "1" || created.Header().Get("Location") != version || created.Header().Get("Content-Location") != version {
		t.Errorf("%v %s", created.Header(), created.Body)
	}
	edited := strings.Replace(strings.Replace(condition, `{`, `{"id":"`+r.ID+`",`, 1), "cough", "dry cough", 1)
	if w := h.want("clinic", "PUT", "Condition/"+r.ID, edited, 200, "Prefer", "return=minimal"); w.Body.Len() != 0 ||
		w.Header().Get("Content-Location") != base+"/Condition/"+r.ID+"/_history/2" || w.Header().Get("Location") != "" {
		t.Errorf("minimal: %v %s", w.Header(), w.Body)
	}
	if w := h.want("clinic", "PUT", "Condition/"+r.ID, strings.Replace(edited, "dry", "wet", 1), 200); !strings.Contains(w.Body.String(), `"versionId":"3"`) {
		t.Errorf("update: %s", w.Body)
	}
	batch := h.want("clinic", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"POST","url":"Condition"},"resource":`+condition+`}]}`, 200)
	if strings.Contains(batch.Body.String(), "cough") {
		t.Errorf("a batch that asks for nothing back: %s", batch.Body)
	}
}

func TestTheAddressOfWhatWasThereAlready(t *testing.T) {
	h := build(t)
	h.furnish()
	numbered := strings.Replace(condition, `{`, `{"identifier":[{"system":"urn:x","value":"1"}],`, 1)
	first := h.want("clinic", "POST", "Condition", numbered, 201, "If-None-Exist", "identifier=urn:x|1").Header().Get("Location")
	for _, condition := range []string{
		"identifier=urn:x|1", "?identifier=urn:x|1", "Condition?identifier=urn:x|1", "/Condition?identifier=urn:x%7C1", base + "/Condition?identifier=urn:x|1",
	} {
		w := h.want("clinic", "POST", "Condition", numbered, 200, "If-None-Exist", condition)
		if w.Header().Get("Location") != first || w.Body.Len() != 0 { // to write is no right to read
			t.Errorf("%s: %v %s", condition, w.Header(), w.Body)
		}
		b := bundleOf(t, h.want("clinic", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Condition","ifNoneExist":"`+
			condition+`"},"resource":`+numbered+`}]}`, 200))
		if got := b.Entry[0].Response; got.Status != "200 OK" || got.Location != first {
			t.Errorf("%s in a transaction: %+v", condition, got)
		}
	}
	if w := h.want("clinic", "POST", "Condition?_format=json&identifier=urn:x|1", numbered, 200); w.Header().Get("Location") != first {
		t.Errorf("the condition in the address: %v", w.Header())
	}
	if w := h.want("clinic", "POST", "Condition", numbered, 200, "If-None-Exist", "identifier=urn:x|1", "Prefer", "return=representation"); w.Body.Len() != 0 {
		t.Errorf("who may not read is shown what was there: %s", w.Body)
	}
	if w := h.want("good", "POST", "Condition", numbered, 200, "If-None-Exist", "identifier=urn:x|1"); !strings.Contains(w.Body.String(), "cough") {
		t.Errorf("the custodian is not: %s", w.Body)
	}
	for _, kind := range []string{"batch", "transaction"} {
		b := bundleOf(t, h.want("clinic", "POST", "", `{"resourceType":"Bundle","type":"`+kind+`","entry":[{"request":{"method":"POST","url":"Condition?identifier=urn:x|1"},"resource":`+numbered+`}]}`, 200))
		if got := b.Entry[0].Response; got.Status != "200 OK" || got.Location != first {
			t.Errorf("the condition in the address within a %s: %+v", kind, got)
		}
	}
	h.want("clinic", "POST", "Condition?_format=json&_pretty=true", numbered, 201)
	h.want("clinic", "POST", "Condition?nickname=x", numbered, 400)
	h.want("clinic", "POST", "Condition", numbered, 400, "If-None-Exist", "Observation?identifier=urn:x|1")
}

func TestASlashAtTheEndIsOverlooked(t *testing.T) {
	h := build(t)
	h.furnish()
	if got := h.want("doctor", "GET", "Patient/q/", "", 200).Body.String(); got != h.want("doctor", "GET", "Patient/q", "", 200).Body.String() {
		t.Errorf("%s", got)
	}
	if b := bundleOf(t, h.want("doctor", "GET", "Condition/?patient=q", "", 200)); b.link("self") != base+"/Condition?patient=q" {
		t.Errorf("self is %s", b.link("self"))
	}
	h.want("clinic", "POST", "Condition/", condition, 201)
	h.want("doctor", "GET", "Condition/c-p/", "", http.StatusNotFound)
	if call(h, "GET", "/fhir/Patient/q/", "").Code != http.StatusUnauthorized {
		t.Error("a slash at the end gets past the token")
	}
}

func TestAWholeAnswerIsCounted(t *testing.T) {
	h := build(t)
	h.furnish()
	for range 3 {
		h.want("clinic", "POST", "Condition", condition, 201)
	}
	for query, want := range map[string]int{"": 3, "?_count=3": 3, "?code=none": 0, "?_count=2": -1, "?_total=none": -1, "?_count=2&_total=accurate": 3} {
		b := bundleOf(t, h.want("doctor", "GET", "Condition"+query, "", 200))
		got := -1
		if b.Total != nil {
			got = *b.Total
		}
		if got != want {
			t.Errorf("Condition%s: total %d, want %d", query, got, want)
		}
		if next := b.link("next"); next != "" {
			b = bundleOf(t, h.want("doctor", "GET", strings.TrimPrefix(next, base+"/"), "", 200))
			if b.Total != nil {
				t.Errorf("Condition%s: the last page has a total", query)
			}
		}
	}
}

func TestEverythingByPost(t *testing.T) {
	h := build(t)
	h.furnish()
	h.want("clinic", "POST", "Condition", condition, 201)
	all := bundleOf(t, h.want("doctor", "GET", "Patient/q/$everything", "", 200))
	if len(all.Entry) != 3 || all.Total == nil || *all.Total != 3 {
		t.Errorf("%+v", all)
	}
	for _, body := range []string{"", `{"resourceType":"Parameters"}`, `{"resourceType":"Parameters","parameter":[{"name":"_since","valueInstant":"2026-09-01T18:00:00+08:00"}]}`} {
		if b := bundleOf(t, h.want("doctor", "POST", "Patient/q/$everything", body, 200)); len(b.Entry) != 3 {
			t.Errorf("%s: %d entries", body, len(b.Entry))
		}
	}
	first := bundleOf(t, h.want("doctor", "POST", "Patient/q/$everything", `{"resourceType":"Parameters","parameter":[
		{"name":"_type","valueCode":"Patient"},{"name":"_type","valueCode":"Condition"},{"name":"_count","valueInteger":1}]}`, 200))
	if len(first.Entry) != 1 || first.Entry[0].Resource.ResourceType != "Patient" || first.Total != nil {
		t.Errorf("%+v", first)
	}
	second := bundleOf(t, h.want("doctor", "GET", strings.TrimPrefix(first.link("next"), base+"/"), "", 200))
	if len(second.Entry) != 1 || second.Entry[0].Resource.ResourceType != "Condition" {
		t.Errorf("%+v", second)
	}
	for query, want := range map[string]int{"_since=2026-09-01T10:00:00Z": 3, "_since=2026-09-01T18:00:00+08:00": 3, "_since=2026-09-01T10:00:01Z": 0, "_type=Condition": 1, "_type=Condition&_since=2027-01-01T00:00:00Z": 0} {
		if b := bundleOf(t, h.want("doctor", "GET", "Patient/q/$everything?"+query, "", 200)); len(b.Entry) != want {
			t.Errorf("%s: %d entries, want %d", query, len(b.Entry), want)
		}
	}
	h.want("doctor", "GET", "Patient/q/$everything?_since=yesterday", "", 400)
	h.want("doctor", "POST", "Patient/q/$everything", `{"resourceType":"Parameters","parameter":[{"name":"start","valueDate":"2020"}]}`, 400)
	h.want("doctor", "POST", "Patient/q/$everything", `{"resourceType":"Patient"}`, 400)
	h.want("doctor", "POST", "Patient/none/$everything", "", 404)
}

func TestConditionalReadsWithinBundles(t *testing.T) {
	h := build(t)
	h.furnish()
	for _, kind := range []string{"batch", "transaction"} {
		b := bundleOf(t, h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"`+kind+`","entry":[
			{"request":{"method":"GET","url":"Patient/q","ifNoneMatch":"W/\"1\""}},
			{"request":{"method":"GET","url":"Patient/q","ifNoneMatch":"W/\"2\""}},
			{"request":{"method":"GET","url":"Patient/q","ifModifiedSince":"2026-09-01T10:00:00Z"}}]}`, 200))
		var got []string
		for _, e := range b.Entry {
			got = append(got, e.Response.Status+" "+e.Resource.ResourceType)
		}
		if d := cmp.Diff([]string{"304 Not Modified ", "200 OK Patient", "304 Not Modified "}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", kind, d)
		}
	}
}

// A page within a transaction is a page like any other: it says how to go on, and
// counts nothing that it does not show.
func TestPagesWithinATransaction(t *testing.T) {
	h := build(t)
	h.furnish()
	for range 3 {
		h.want("clinic", "POST", "Condition", condition, 201)
	}
	h.want("good", "PUT", "Patient/q", `{"resourceType":"Patient","id":"q","gender":"male","active":true}`, 200)
	w := h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"GET","url":"Condition?code:exact=none"}}]}`, 400)
	outcome(t, w)
	var b struct {
		Entry []struct {
			Resource bundle
			Response struct{ Status string }
		}
	}
	if err := json.Unmarshal(h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"GET","url":"Condition?_count=2&_sort=_id"}},
		{"request":{"method":"GET","url":"Condition?_count=3"}},
		{"request":{"method":"GET","url":"Patient/q/_history"}}]}`, 200).Body.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	first, whole, history := b.Entry[0].Resource, b.Entry[1].Resource, b.Entry[2].Resource
	if len(first.Entry) != 2 || first.Total != nil || first.link("next") == "" {
		t.Errorf("a page: %+v", first)
	}
	if len(whole.Entry) != 3 || whole.Total == nil || *whole.Total != 3 || whole.link("next") != "" {
		t.Errorf("all there is: %+v", whole)
	}
	if len(history.Entry) != 2 || history.Type != "history" || history.Total == nil || *history.Total != 2 {
		t.Errorf("a history: %+v", history)
	}
	rest := bundleOf(t, h.want("doctor", "GET", strings.TrimPrefix(first.link("next"), base+"/"), "", 200))
	if len(rest.Entry) != 1 || rest.Entry[0].FullURL == first.Entry[0].FullURL || rest.Entry[0].FullURL == first.Entry[1].FullURL {
		t.Errorf("the next page: %+v", rest)
	}
	for _, path := range []string{"Patient/none/_history", "Condition/c-p/_history"} {
		h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"`+path+`"}}]}`, 404)
	}
}

func TestLinksOfANarrativeFollow(t *testing.T) {
	h := build(t)
	h.furnish()
	const urn = "urn:uuid:5a0e3d5e-0000-4000-8000-000000000001"
	div := `<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"` + urn + `\">x</a><img src='` + urn + `'/><a href=\"http://elsewhere\">` + urn + `</a></div>`
	b := bundleOf(t, h.want("good", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"POST","url":"Condition"},"resource":{"resourceType":"Condition","text":{"status":"generated","div":"`+div+`"},"subject":{"reference":"`+urn+`"}}},
		{"fullUrl":"`+urn+`","request":{"method":"POST","url":"Patient"},"resource":{"resourceType":"Patient"}}]}`, 200))
	patient, _, _ := strings.Cut(strings.TrimPrefix(b.Entry[1].Response.Location, base+"/"), "/_history")
	got := h.want("good", "GET", strings.TrimPrefix(b.Entry[0].FullURL, base+"/"), "", 200).Body.String()
	want := `<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"` + patient + `\">x</a><img src='` + patient + `'/><a href=\"http://elsewhere\">` + urn + `</a></div>`
	if !strings.Contains(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestAByteOrderMarkIsOverlooked(t *testing.T) {
	h := build(t)
	h.furnish()
	if w := h.want("clinic", "POST", "Condition", "\ufeff"+condition, 201); !strings.HasPrefix(w.Body.String(), "{") {
		t.Errorf("%q", w.Body)
	}
}

func TestAnUpdateUnderAnIDThatIsNone(t *testing.T) {
	h := build(t)
	h.furnish()
	for _, id := range []string{"a_b", strings.Repeat("x", 65)} {
		w := h.want("good", "PUT", "Patient/"+id, `{"resourceType":"Patient","id":"`+id+`"}`, 400)
		if !strings.Contains(w.Body.String(), "64") {
			t.Errorf("%s", w.Body)
		}
		h.want("good", "GET", "Patient/"+id, "", 404)
	}
}

func TestHistorySince(t *testing.T) {
	h := build(t)
	h.furnish()
	for query, want := range map[string]int{"": 1, "?_since=2026-09-01T10:00:00Z": 1, "?_since=2026-09-01T18:00:00+08:00&_count=1": 1, "?_since=2026-09-01T10:00:01Z": 0} {
		b := bundleOf(t, h.want("doctor", "GET", "Patient/q/_history"+query, "", 200))
		if len(b.Entry) != want || b.Total == nil || *b.Total != want {
			t.Errorf("%s: %+v, want %d", query, b, want)
		}
	}
	h.want("doctor", "GET", "Patient/q/_history?_since=2026", "", 400)
	h.want("doctor", "GET", "Patient/none/_history?_since=2026-09-01T10:00:00Z", "", 404)
}

func TestABatchMayAskForTheCapabilities(t *testing.T) {
	h := build(t)
	h.furnish()
	b := bundleOf(t, h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"metadata"}},{"request":{"method":"GET","url":"/Patient/q/"}}]}`, 200))
	if b.Entry[0].Resource.ResourceType != "CapabilityStatement" || b.Entry[1].Resource.ID != "q" {
		t.Errorf("%+v", b)
	}
}
