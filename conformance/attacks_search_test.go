package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// What moved to another patient, was labelled or deleted after the first page
// is not on the next ones, which are of the view that was then; what changed is
// as it is now.
func TestAttackWhatChangedBetweenPages(t *testing.T) {
	for _, query := range []string{"Observation?patient=q&_sort=_id&_count=2", "Observation?code=29463-7&_sort=_id&_count=2", "Observation?patient:Patient.gender=female&_sort=_id&_count=2"} {
		c := newCast(t)
		ids := []string{"a1", "a2", "a3", "a4", "a5", "a6"}
		for _, id := range ids {
			c.put(t, observation("q", id))
		}
		c.put(t, with(consent("q", "OPTINR", "permit", object{"type": "deny", "securityLabel": []any{object{"system": actCode, "code": "HIV"}}}), "id", "consent-q"))
		first := c.do(t, c.a1, get(query)).want(t, http.StatusOK)
		if got := first.ids(t); !slices.Equal(got, []string{"Observation/a1", "Observation/a2"}) {
			t.Fatalf("%s: the first page has %v", query, got)
		}
		c.put(t, with(observation("p", "a3"), "note", []any{object{"text": hiddenOfP}}))
		c.put(t, with(sensitive(observation("q", "a4")), "note", []any{object{"text": hiddenOfP}}))
		c.do(t, c.root, request{method: http.MethodDelete, path: "Observation/a5"}).want(t, http.StatusNoContent)
		c.put(t, with(observation("q", "a6"), "note", []any{object{"text": "as it is now"}}))
		var seen []string
		for next := nextLink(first); next != ""; {
			a := c.do(t, c.a1, get(next)).want(t, http.StatusOK).hides(t, hiddenOfP)
			seen, next = append(seen, a.ids(t)...), nextLink(a)
			if strings.Contains(string(a.body), `"a6"`) && !strings.Contains(string(a.body), "as it is now") {
				t.Errorf("%s: a6 is shown as it was", query)
			}
		}
		for _, id := range []string{"Observation/a3", "Observation/a4", "Observation/a5"} {
			if slices.Contains(seen, id) {
				t.Errorf("%s: %s is on a later page: %v", query, id, seen)
			}
		}
		if !slices.Contains(seen, "Observation/a6") || !slices.Contains(seen, "Observation/o-q") {
			t.Errorf("%s: %v, want what is still there", query, seen)
		}
	}
}
