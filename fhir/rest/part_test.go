package rest_test

import (
	"strings"
	"testing"
)

// TestOutsideThePartOfAScope: what the query of a scope does not find is answered
// for as what never was, to the byte.
func TestOutsideThePartOfAScope(t *testing.T) {
	h := build(t)
	h.furnish()
	status := func(code string) string {
		return `{"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"` + code + `"}]},`
	}
	at := func(body string) string {
		return strings.TrimPrefix(h.want("clinic", "POST", "Condition", body, 201).Header().Get("Location"), base+"/")
	}
	in, _, _ := strings.Cut(at(strings.Replace(condition, "{", status("active"), 1)), "/_history")
	out, _, _ := strings.Cut(at(strings.Replace(condition, "{", status("resolved"), 1)), "/_history")
	h.want("doctor", "GET", out, "", 200)
	h.want("part", "GET", in, "", 200)
	for _, path := range []string{"", "/_history", "/_history/1"} {
		hidden, absent := h.want("part", "GET", out+path, "", 404), h.want("part", "GET", "Condition/never"+path, "", 404)
		if hidden.Body.String() != absent.Body.String() {
			t.Errorf("%s: hidden is %s, absent %s", path, hidden.Body, absent.Body)
		}
	}
	if b := bundleOf(t, h.want("part", "GET", "Condition?patient=q", "", 200)); len(b.Entry) != 1 || b.Total == nil || *b.Total != 1 {
		t.Errorf("searched: %+v", b)
	}
	h.want("part", "PUT", in, strings.Replace(condition, "{", `{"id":"`+strings.TrimPrefix(in, "Condition/")+`",`, 1), 403)
	h.want("part", "GET", "Patient/q", "", 403)
	h.want("part", "GET", in+"/$meta", "", 403)
}
