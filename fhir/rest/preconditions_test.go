package rest_test

import (
	"strings"
	"testing"

	"vitrine/consent/gate"
)

func numbered(n string) string {
	return strings.Replace(condition, `{`, `{"identifier":[{"system":"urn:x","value":"`+n+`"}],`, 1)
}

// inTransaction is a transaction of one entry.
func inTransaction(request, resource string) string {
	if resource != "" {
		resource = `,"resource":` + resource
	}
	return `{"resourceType":"Bundle","type":"transaction","entry":[{"request":` + request + resource + `}]}`
}

// TestDeletionRequiresAVersion: a deletion by condition is held to If-Match like
// one by id (R4 http.html#concurrency).
func TestDeletionRequiresAVersion(t *testing.T) {
	for name, most := range map[string]int{"one": 1, "many": 3} {
		t.Run(name, func(t *testing.T) {
			h := buildWith(t, gate.Config{DeleteMost: most})
			h.furnish()
			at := h.want("clinic", "POST", "Condition", numbered("1"), 201).Header().Get("Location")
			at = strings.Split(strings.TrimPrefix(at, base+"/"), "/_history")[0]
			const where = "Condition?identifier=urn:x|1"
			entry := func(version string) string {
				return inTransaction(`{"method":"DELETE","url":"`+where+`","ifMatch":"W/\"`+version+`\""}`, "")
			}
			h.want("clinic", "DELETE", where, "", 412, "If-Match", `W/"77"`)
			h.want("clinic", "DELETE", "Condition?identifier=urn:x|none", "", 412, "If-Match", `W/"1"`)
			h.want("clinic", "DELETE", where, "", 400, "If-Match", `1 or 2`)
			h.want("clinic", "POST", "", entry("77"), 412)
			h.want("doctor", "GET", at, "", 200)
			h.want("clinic", "POST", "", entry("1"), 200)
			h.want("doctor", "GET", at, "", 410)
			h.want("clinic", "POST", "Condition", numbered("1"), 201)
			if w := h.as("clinic", "DELETE", where, "", "If-Match", `W/"1"`); w.Code > 204 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			h.want("clinic", "POST", "Condition", numbered("2"), 201)
			h.want("clinic", "POST", "Condition", numbered("2"), 201)
			h.want("clinic", "DELETE", "Condition?identifier=urn:x|2", "", 412, "If-Match", `W/"1"`)
		})
	}
}

// TestConditionsThatAreEmpty: a client whose variable was empty wanted a condition
// all the same.
func TestConditionsThatAreEmpty(t *testing.T) {
	h := build(t)
	h.furnish()
	h.want("clinic", "POST", "Condition", condition, 400, "If-None-Exist", "")
	h.want("clinic", "POST", "", inTransaction(`{"method":"POST","url":"Condition","ifNoneExist":""}`, condition), 400)
	batch := strings.Replace(inTransaction(`{"method":"POST","url":"Condition","ifNoneExist":""}`, condition), "transaction", "batch", 1)
	if b := bundleOf(t, h.want("clinic", "POST", "", batch, 200)); b.Entry[0].Response.Status != "400 Bad Request" {
		t.Errorf("%+v", b.Entry)
	}
	if n := bundleOf(t, h.want("good", "GET", "Condition?_summary=count", "", 200)).Total; *n != 1 {
		t.Errorf("%d Conditions, want the one that was there", *n)
	}
	h.want("clinic", "POST", "Condition", condition, 201)
}

// TestConditionsOfOthers: a condition that the interaction does not have is refused,
// for to overlook it might overwrite what was to be spared.
func TestConditionsOfOthers(t *testing.T) {
	h := build(t)
	h.furnish()
	at := h.want("clinic", "POST", "Condition", condition, 201).Header().Get("Location")
	at = strings.Split(strings.TrimPrefix(at, base+"/"), "/_history")[0]
	same := strings.Replace(condition, `{`, `{"id":"`+strings.TrimPrefix(at, "Condition/")+`",`, 1)
	h.want("clinic", "POST", "Condition", condition, 400, "If-Match", `W/"9"`)
	h.want("clinic", "PUT", at, same, 400, "If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")
	h.want("clinic", "PUT", at, same, 400, "If-None-Exist", "identifier=urn:x|1")
	h.want("clinic", "DELETE", at, "", 400, "If-None-Exist", "identifier=urn:x|1")
	h.want("clinic", "POST", "", inTransaction(`{"method":"POST","url":"Condition","ifMatch":"W/\"1\""}`, condition), 400)
	h.want("clinic", "PUT", at, same, 200, "If-Match", `W/"1"`)
}

// TestOutcomesOfTransactions: an entry says what its request would say alone.
func TestOutcomesOfTransactions(t *testing.T) {
	h := buildWith(t, gate.Config{DeleteMost: 3})
	h.furnish()
	claims := strings.Replace(condition, `{`, `{"meta":{"profile":["http://x.example/unknown"]},`, 1)
	alone := h.want("clinic", "POST", "Condition", claims, 201, "Prefer", "return=OperationOutcome").Body.String()
	w := h.want("clinic", "POST", "", inTransaction(`{"method":"POST","url":"Condition"}`, claims), 200, "Prefer", "return=OperationOutcome").Body.String()
	if !strings.Contains(alone, `"warning"`) || !strings.Contains(w, `"warning"`) {
		t.Errorf("alone %s\nin a transaction %s", alone, w)
	}
	h.want("clinic", "POST", "Condition", numbered("1"), 201)
	h.want("clinic", "POST", "Condition", numbered("1"), 201)
	many := inTransaction(`{"method":"DELETE","url":"Condition?identifier=urn:x|1"}`, "")
	if w := h.want("clinic", "POST", "", many, 200).Body.String(); !strings.Contains(w, `"status":"200 OK"`) || !strings.Contains(w, "Deleted 2 resources.") {
		t.Errorf("%s", w)
	}
	if w := h.want("clinic", "POST", "", many, 200, "Prefer", "return=minimal").Body.String(); !strings.Contains(w, `"status":"204 No Content"`) {
		t.Errorf("%s", w)
	}
}

// TestWhatToDoInstead: refusals that integrators meet first say what would do.
func TestWhatToDoInstead(t *testing.T) {
	h := build(t)
	h.furnish()
	put := func(id string) string { return strings.Replace(condition, `{`, `{"id":"`+id+`",`, 1) }
	none := h.want("clinic", "PUT", "Condition/none", put("none"), 404).Body.String()
	if there := h.want("clinic", "PUT", "Condition/c-p", put("c-p"), 404).Body.String(); !strings.Contains(none, "POST") || there != none {
		t.Errorf("none %s\nsomebody else's %s", none, there)
	}
	if w := h.want("clinic", "GET", "Condition/_history", "", 405); strings.Contains(w.Body.String(), "Allow") {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	h.want("good", "GET", "Condition/_history", "", 200)
	h.want("good", "GET", "Condition/c-p/_history?_summary=count&_elements=id", "", 200)
	if w := h.want("good", "GET", "Condition/c-p/_history?_count=0", "", 400).Body.String(); !strings.Contains(w, "1 or more") {
		t.Errorf("%s", w)
	}
}
