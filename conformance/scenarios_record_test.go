package conformance

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vitrine/consent/audit/balptest"
)

// Scenarios 86, 93 to 95 and 98: what the record of access says, of whom, to whom.

// of are the events of one request, each of which keeps the rules of BALP.
func (c *cast) of(t *testing.T, request string) (events []object) {
	t.Helper()
	for _, e := range c.everyEvent(t) {
		doc := encode(t, e)
		if !strings.Contains(string(doc), `"`+request+`"`) {
			continue
		}
		for _, wrong := range balptest.Check(doc) {
			t.Errorf("%s\n%s", wrong, doc)
		}
		events = append(events, e)
	}
	return events
}

func TestScenario86OnesOwnEvents(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.do(t, c.a1, get("Patient?name=Lowe").with("X-Request-Id", "all-five")).want(t, http.StatusOK)
	c.do(t, c.a1, get("Condition/c-q")).want(t, http.StatusOK)
	c.breakGlass(t, c.a1, "q", "OVRER", emergency).want(t, http.StatusCreated)
	mine := c.do(t, c.appQ, get("AuditEvent?patient=q&_count=200")).want(t, http.StatusOK)
	events := mine.matches(t)
	if len(events) < 5 {
		t.Fatalf("Q sees %d events", len(events))
	}
	mine.hides(t, "urn:ietf:params:oauth:jti", `"policy"`, `"query"`, `"description"`, `"network"`, `"address"`, "all-five", emergency, "OVRER", "PractitionerRole/a1", "vitrine-cli", "outcomeDesc")
	for _, e := range events {
		for _, other := range []string{"p", "r", "m", "b"} {
			if strings.Contains(string(encode(t, e)), `Patient/`+other+`"`) {
				t.Errorf("Q is told of %s: %s", other, encode(t, e))
			}
		}
		at := "AuditEvent/" + text(e, "id")
		c.do(t, c.appQ, get(at)).want(t, http.StatusOK)
		same(t, at, c.do(t, c.appP, get("AuditEvent/none")), c.do(t, c.appP, get(at)))
	}
	at := "AuditEvent/" + text(events[0], "id")
	for _, token := range []string{c.appQ, c.auditor, c.root, c.a1} {
		for _, r := range []request{send(http.MethodPut, at, encode(t, events[0])), {method: http.MethodDelete, path: at}, send(http.MethodPost, "AuditEvent", encode(t, without(events[0], "id")))} {
			c.do(t, token, r).want(t, http.StatusMethodNotAllowed)
		}
		patch := send(http.MethodPatch, at, []byte(`[{"op":"remove","path":"/outcome"}]`))
		patch.header["Content-Type"] = "application/json-patch+json"
		c.do(t, token, patch).want(t, http.StatusMethodNotAllowed)
	}
	if whole := c.do(t, c.auditor, get(at)).want(t, http.StatusOK); text(decode(t, whole.body), "outcome") == "" {
		t.Errorf("it was changed: %s", whole.body)
	}
}

// Every patient found by a search has an event, whichever way it was found: as a
// match, as what comes with one, in a history, in a batch.
func TestScenario93EveryWayToFindSomebody(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for name, row := range map[string]struct {
		ask  request
		want []string
	}{
		"search":     {get("Patient?name=Lowe"), []string{"b", "m", "p", "q", "r"}},
		"include":    {get("Observation?_id=o-q,o-r&_include=Observation:subject"), []string{"q", "r"}},
		"revinclude": {get("Patient?_id=q,r&_revinclude=Condition:subject"), []string{"q", "r"}},
		"post":       {request{method: http.MethodPost, path: "Patient/_search", body: []byte("_id=q,r"), header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, []string{"q", "r"}},
		"system":     {get("?_type=Condition,Observation&patient=q"), []string{"q"}},
		"everything": {get("Patient/q/$everything"), []string{"q"}},
		"history":    {get("Condition/c-r/_history"), []string{"r"}},
		"count":      {get("Condition?patient=q&_summary=count"), []string{"q"}},
		"empty":      {get("Condition?patient=q&code=nothing"), []string{"q"}},
		"nobody":     {get("Patient?identifier=S0000000X"), []string{""}},
	} {
		c.do(t, c.a1, row.ask.with("X-Request-Id", "way-"+name)).want(t, http.StatusOK)
		got := []string{}
		for _, e := range c.of(t, "way-"+name) {
			whom := ""
			for _, entity := range list(e, "entity") {
				whom += strings.TrimPrefix(text(entity, "what", "reference"), "Patient/")
				raw, err := base64.StdEncoding.DecodeString(text(entity, "query"))
				if err != nil || strings.Contains(string(raw), "Bearer") || strings.Contains(string(raw), c.a1) || strings.Contains(string(raw), "Authorization") {
					t.Errorf("%s: the query is %q, %v", name, raw, err)
				}
			}
			whom, _, _ = strings.Cut(whom, "Con") // a Condition that was read, or a Consent that decided
			got = append(got, whom)
		}
		if slices.Sort(got); !slices.Equal(got, row.want) {
			t.Errorf("%s: events about %v, want %v", name, got, row.want)
		}
	}
}

// The profile of each interaction is claimed, and kept.
func TestScenario94ProfilesAreClaimed(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	made := instance(c, c.do(t, c.systemA, send(http.MethodPost, "Condition", encode(t, without(condition("q", ""), "id"))).with("X-Request-Id", "a-create")).want(t, http.StatusCreated))
	c.do(t, c.systemA, send(http.MethodPut, made, encode(t, with(condition("q", strings.TrimPrefix(made, "Condition/")), "recordedDate", "2026-03-04"))).with("X-Request-Id", "an-update")).want(t, http.StatusOK)
	c.do(t, c.systemA, request{method: http.MethodDelete, path: made}.with("X-Request-Id", "a-delete")).want(t, http.StatusNoContent)
	c.do(t, c.a1, get("Condition/c-q").with("X-Request-Id", "a-read")).want(t, http.StatusOK)
	c.do(t, c.a1, get("Condition?patient=q").with("X-Request-Id", "a-query")).want(t, http.StatusOK)
	c.do(t, c.a1, get("Organization/a").with("X-Request-Id", "a-read-of-nobody")).want(t, http.StatusOK)
	c.do(t, c.a1, get("Condition/c-p").with("X-Request-Id", "a-refusal")).want(t, http.StatusNotFound)
	for id, want := range map[string]string{
		"a-create": "PatientCreate", "an-update": "PatientUpdate", "a-delete": "PatientDelete", "a-read": "PatientRead", "a-query": "PatientQuery", "a-read-of-nobody": "Read",
	} {
		events := c.of(t, id)
		if len(events) != 1 || !slices.Contains(balptest.Claims(encode(t, events[0])), "IHE.BasicAudit."+want) {
			t.Errorf("%s: %v, want one that claims %s", id, events, want)
		}
	}
	refused := c.of(t, "a-refusal")
	if len(refused) != 1 || text(refused[0], "outcome") != "4" || text(refused[0], "outcomeDesc") != "restricted" || strings.Contains(string(encode(t, refused[0])), "IHE.BasicAudit.PatientRead") {
		t.Errorf("a refusal: %v", refused)
	}
	decisions := c.events(t, "subtype=AuthZ-Consent")
	if len(decisions) != 1 || !strings.Contains(string(encode(t, decisions[0])), "Consent/consent-p/_history/1") {
		t.Errorf("the decision: %v", decisions)
	}
}

// Scenario 98: the operator's own looks are on record as anybody's are, the patient
// is told of them, and what the operator's tools show is nobody's record.
func TestScenario98TheOperatorIsOnRecord(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for id, path := range map[string]string{"op-read": "Condition/c-q", "op-search": "Condition?patient=q", "op-all": "Patient/q/$everything", "op-history": "Condition/c-q/_history"} {
		s.do(t, s.root, get(path).with("X-Request-Id", id)).want(t, http.StatusOK)
		events := s.of(t, id)
		if len(events) != 1 || !strings.Contains(string(encode(t, events[0])), "Patient/q") || !strings.Contains(string(encode(t, events[0])), "vitrine-cli") {
			t.Errorf("%s: %v", id, events)
		}
	}
	seen := 0
	for _, e := range s.do(t, s.appQ, get("AuditEvent?patient=q&_count=200")).want(t, http.StatusOK).matches(t) {
		if text(e, "purposeOfEvent", 0, "coding", 0, "code") == "HSYSADMIN" && text(e, "action") != "U" {
			seen++
		}
	}
	if seen < 4 {
		t.Errorf("the patient is told of %d looks of the operator, want 4", seen)
	}
	s.admin(t, http.MethodGet, "clients", nil, http.StatusOK).hides(t, secret, "Lowe", "S1234567D")
	s.admin(t, http.MethodPost, "clients/feed-b/suspend", nil, http.StatusOK)
	if changes := s.events(t, "subtype=http://dicom.nema.org/resources/ontology/DCM%7C110137"); len(changes) < 11 {
		t.Errorf("%d changes of who is let in are on record", len(changes))
	}
	for _, token := range []string{s.a1, s.systemA, s.appQ, s.auditor} {
		s.do(t, token, request{method: http.MethodGet, path: s.server.root + "/admin/clients"}).want(t, http.StatusForbidden)
	}
}
