package rest_test

import (
	"strings"
	"testing"
	"time"

	"vitrine/fhir/smart"
)

// TestARevokedTokenIsABadToken: the answer is that to any token that was not
// accepted, in a batch too.
func TestARevokedTokenIsABadToken(t *testing.T) {
	h := build(t)
	h.furnish()
	batch := `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/q"}},{"request":{"method":"GET","url":"Condition?patient=q"}}]}`
	for _, e := range bundleOf(t, h.want("doctor", "POST", "", batch, 200)).Entry {
		if e.Response.Status != "200 OK" {
			t.Errorf("before: %+v", e.Response)
		}
	}
	err := h.door.Remember(t.Context(), now(), func(m smart.Memory) error { return m.Revoke("j1", now().Add(time.Minute)) })
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"Patient/q", "Condition?patient=q", "Patient/q/$everything", "Patient/nobody"} {
		w, bad := h.as("doctor", "GET", path, ""), h.as("no such token", "GET", path, "")
		if w.Code != 401 || w.Code != bad.Code || w.Body.String() != bad.Body.String() || w.Header().Get("WWW-Authenticate") != bad.Header().Get("WWW-Authenticate") {
			t.Errorf("%s: %d %v %s, want what a bad token gets: %d %v %s", path, w.Code, w.Header(), w.Body, bad.Code, bad.Header(), bad.Body)
		}
		if !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
	for _, e := range bundleOf(t, h.want("doctor", "POST", "", batch, 200)).Entry {
		if !strings.HasPrefix(e.Response.Status, "401") {
			t.Errorf("in a batch: %+v", e.Response)
		}
	}
	h.want("doctor", "POST", "", strings.Replace(batch, `"batch"`, `"transaction"`, 1), 401)
	h.want("insurer", "GET", "Patient/q", "", 401) // though its purposes are refused as well
	h.want("elsewhere", "GET", "Patient/q", "", 200)
}
