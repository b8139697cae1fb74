package rest_test

import (
	"strings"
	"testing"
)

func TestMeta(t *testing.T) {
	h := build(t)
	h.furnish()
	at := strings.Split(strings.TrimPrefix(h.want("clinic", "POST", "Condition", condition, 201).Header().Get("Location"), base+"/"), "/_history")[0]
	const add = `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"urn:t","code":"seen"}]}}]}`
	want := func(who, method, path, body string, status int, has string) {
		t.Helper()
		if w := h.want(who, method, path, body, status); !strings.Contains(w.Body.String(), has) {
			t.Errorf("%s %s as %s: %s", method, path, who, w.Body)
		}
	}
	want("doctor", "GET", at+"/$meta", "", 200, `{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":{"versionId":"1","lastUpdated":"2026-09-01T10:00:00.000Z"}}]}`)
	want("clinic", "POST", at+"/$meta-add", add, 200, `"valueMeta":{"versionId":"2","lastUpdated":"2026-09-01T10:00:00.000Z"}}`)
	want("doctor", "POST", at+"/$meta-add", add, 200, `"code":"seen"`)
	want("doctor", "GET", at+"/$meta", "", 200, `"versionId":"2"`)
	want("doctor", "GET", at+"/_history/1/$meta", "", 200, `"versionId":"1"`)
	want("clinic", "POST", at+"/$meta-delete", add, 200, `"versionId":"3"`)
	if w := h.want("doctor", "HEAD", at+"/$meta", "", 200); w.Body.Len() != 0 {
		t.Errorf("HEAD: %s", w.Body)
	}
	for _, path := range []string{"Condition/$meta", "$meta"} { // no labels are in use, and an empty meta would be none
		for _, method := range []string{"GET", "POST"} {
			if b := h.want("good", method, path, "", 200).Body.String(); b != `{"resourceType":"Parameters"}` {
				t.Errorf("%s %s: %s", method, path, b)
			}
		}
	}
	want("doctor", "POST", at+"/$meta", "", 200, `"valueMeta":{"versionId":"3"`)
	want("doctor", "POST", at+"/$meta", `{"resourceType":"Parameters"}`, 200, `"versionId":"3"`)
	want("doctor", "POST", at+"/_history/1/$meta", "", 200, `"versionId":"1"`)
	want("doctor", "POST", at+"/$meta", add, 400, "The operation has no parameters.")
	want("doctor", "POST", "Condition/c-p/$meta", "", 404, "There is no such resource.")
	b := h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"`+at+`/$meta"}}]}`, 200).Body.String()
	if !strings.Contains(b, `"valueMeta":{"versionId":"3"`) || strings.Contains(b, "cough") {
		t.Errorf("in a transaction: %s", b)
	}
	if b := h.want("doctor", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"`+at+`/$meta"}}]}`, 200).Body.String(); !strings.Contains(b, `"valueMeta"`) {
		t.Errorf("in a batch: %s", b)
	}
	byPost := func(kind string) string {
		return `{"resourceType":"Bundle","type":"` + kind + `","entry":[{"request":{"method":"POST","url":"` + at + `/$meta"}}]}`
	}
	want("doctor", "POST", "", byPost("batch"), 200, `"valueMeta":{"versionId":"3"`)
	want("doctor", "POST", "", byPost("transaction"), 400, "$meta")

	// What is hidden is absent, and who does not oversee a type has no such operation.
	hidden, absent := h.want("doctor", "GET", "Condition/c-p/$meta", "", 404), h.want("doctor", "GET", "Condition/none/$meta", "", 404)
	if hidden.Body.String() != absent.Body.String() {
		t.Errorf("hidden %s\nabsent %s", hidden.Body, absent.Body)
	}
	for _, path := range []string{"Condition/$meta", "$meta"} {
		want("doctor", "GET", path, "", 404, "There is no such operation here for this caller")
		want("doctor", "POST", path, "{}", 404, "There is no such operation here for this caller")
	}
	for _, id := range []string{"Condition/c-p", "Condition/none"} {
		want("clinic", "POST", id+"/$meta-add", add, 404, "There is no such resource.")
	}
	want("doctor", "POST", "AuditEvent/none/$meta-add", add, 405, "not-supported")
	for _, bad := range []string{`{"resourceType":"Parameters"}`, `{"resourceType":"Parameters","parameter":[{"name":"meta","valueString":"x"}]}`, `{"resourceType":"Parameters","parameter":[{"name":"other"}]}`, condition} {
		want("clinic", "POST", at+"/$meta-add", bad, 400, "issue")
	}
}
