package conformance

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"vitrine/consent/audit/balptest"
)

// Whatever there is to record is done once, and every event of it held against R4
// and against the rules of IHE BALP.

// TestEveryEventIsShaped collects all that the server has recorded, as the
// regulator finds it.
func TestEveryEventIsShaped(t *testing.T) {
	t.Parallel()
	s := newStage(t, exportFlags()...)
	s.lookAround(t)
	s.writeAround(t)
	s.breakAndMend(t)
	s.letIn(t)
	s.oversee(t)
	events := s.everyEvent(t)
	claimed, seen := map[string]int{}, map[string]int{}
	for _, e := range events {
		doc := encode(t, e)
		for _, wrong := range balptest.Check(doc) {
			t.Errorf("%s\n%s", wrong, doc)
		}
		for _, p := range balptest.Claims(doc) {
			claimed[p]++
		}
		seen[text(e, "type", "code")]++
		for _, subtype := range list(e, "subtype") {
			seen[text(subtype, "code")]++
		}
		s.saysNoSecret(t, e)
	}
	for _, name := range balptest.Names() {
		if claimed[name] == 0 {
			t.Errorf("none of %d events has the shape of %s", len(events), name)
		}
	}
	for _, code := range []string{
		"rest", "110113", "110114", "110101", "110122", "110127", "110138", "110135", "110136", "110137", "ITI-71", "AuthZ-Consent", "denied", "break-glass-use",
		"break-glass-start", "break-glass-stop", "onboarding", "read", "vread", "create", "update", "patch", "delete", "search-type", "search-system",
		"history-instance", "history-type", "history-system", "transaction", "operation", "full", "basic", "self", "authorize", "launch", "revoke", "110106", "disclose", "directive", "directive-proposed",
	} {
		if seen[code] == 0 {
			t.Errorf("none of %d events has the code %s", len(events), code)
		}
	}
	s.valid(t, events)
	t.Logf("%d events: %v", len(events), claimed)
}

// valid holds events against R4, as the server itself does. It has one thing to say
// against each: that nobody may write it.
func (c *cast) valid(t *testing.T, events []object) {
	t.Helper()
	for some := range slices.Chunk(events, 100) {
		entries := []object{}
		for _, e := range some {
			entries = append(entries, asked(http.MethodPost, "AuditEvent/$validate", e))
		}
		a := c.bundle(t, c.root, "batch", entries...).want(t, http.StatusOK)
		for i, entry := range list(decode(t, a.body), "entry") {
			faults := []string{}
			for _, issue := range list(entry, "resource", "issue") {
				said := text(issue, "details", "text")
				if severity := text(issue, "severity"); (severity == "error" || severity == "fatal") && said != "the record of access is written by the server alone" {
					faults = append(faults, said)
				}
			}
			if len(faults) > 0 || text(entry, "response", "status") != "200 OK" {
				t.Errorf("%v\n%s", faults, encode(t, some[i]))
			}
		}
	}
}

// everyEvent is the whole record of access, page by page.
func (c *cast) everyEvent(t *testing.T) (events []object) {
	t.Helper()
	for next := "AuditEvent?_count=200"; next != ""; {
		a := c.do(t, c.auditor, get(next)).want(t, http.StatusOK)
		events = append(events, a.matches(t)...)
		next = nextLink(a)
	}
	return events
}

// saysNoSecret looks for what an event may not hold: content, tokens, credentials;
// the justification stands in the start of an override alone.
func (s *stage) saysNoSecret(t *testing.T, e object) {
	t.Helper()
	whole := string(encode(t, e))
	for _, entity := range list(e, "entity") {
		raw, err := base64.StdEncoding.DecodeString(text(entity, "query"))
		if err != nil {
			t.Errorf("%v in %s", err, whole)
		}
		whole += string(raw)
	}
	for _, no := range []string{secret, "Penicillin", "185.5", s.a1, s.appP, s.auditor, "Bearer ", "Authorization", "Cookie", "eyJ", "hunter2", "correct horse"} {
		if strings.Contains(whole, no) {
			t.Errorf("an event holds %q: %s", no, whole)
		}
	}
	if strings.Contains(whole, emergency) && !strings.Contains(whole, "110127") {
		t.Errorf("a justification stands elsewhere than in the start: %s", whole)
	}
}

// lookAround reads and searches in every way there is, with and without a right to.
func (s *stage) lookAround(t *testing.T) {
	t.Helper()
	for _, token := range []string{s.a1, s.c1, s.appP, s.appQ, s.root, s.systemA, s.doctor(t, "a1", "a", "--purpose", "INSURANCE")} {
		for _, path := range []string{
			"Patient/q", "Patient/p", "Patient/none", "Condition/c-q", "Condition/c-p", "AllergyIntolerance/a-p", "Organization/a", "Condition/c-q/_history/1", "Condition/c-q/_history",
			"Condition?patient=q", "Condition?patient=p", "Condition?patient=none", "Organization?_count=1", "Patient/q/Observation", "Patient/q/$everything", "Patient/p/$everything",
			"Observation?patient=q&_include=Observation:subject", "Patient?_id=q&_revinclude=Observation:subject", "?_type=Condition,Observation&patient=q", "Patient/q/$access",
			"Condition/c-q/$meta", "Organization/a/$validate", "Condition/_history", "_history", "AuditEvent?patient=q", "Consent?patient=p", "Condition?patient=q&access_token=hunter2",
		} {
			s.do(t, token, get(path).with("Prefer", "handling=lenient").with("X-Request-Id", "look"))
		}
		s.do(t, token, request{
			method: http.MethodPost, path: "Condition/_search", body: []byte("patient=q&password=hunter2&client_assertion=hunter2"),
			header: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Prefer": "handling=lenient"},
		})
		s.bundle(t, token, "batch", asked(http.MethodGet, "Condition/c-q", nil), asked(http.MethodGet, "Condition/c-p", nil), asked(http.MethodGet, "Condition?patient=q", nil))
		s.do(t, token, send(http.MethodPost, "Condition/$validate", encode(t, condition("q", "x"))))
	}
}

// writeAround writes in every way there is.
func (s *stage) writeAround(t *testing.T) {
	t.Helper()
	labelled := with(observation("q", "labelled"), "meta", object{"security": []any{object{"system": actCode, "code": "HIV"}}})
	s.put(t, labelled)
	s.do(t, s.a1, get("Observation/labelled")).want(t, http.StatusOK)
	made := instance(s.cast, s.post(t, s.systemA, without(condition("q", ""), "id")).want(t, http.StatusCreated))
	change := with(condition("q", strings.TrimPrefix(made, "Condition/")), "recordedDate", "2026-03-04")
	s.do(t, s.systemA, send(http.MethodPut, made, encode(t, change))).want(t, http.StatusOK)
	patch := send(http.MethodPatch, made, []byte(`[{"op":"replace","path":"/recordedDate","value":"2026-03-05"}]`))
	patch.header["Content-Type"] = "application/json-patch+json"
	s.do(t, s.systemA, patch).want(t, http.StatusOK)
	s.do(t, s.systemB, request{method: http.MethodDelete, path: made}).want(t, http.StatusNotFound)
	s.do(t, s.systemA, request{method: http.MethodDelete, path: made}).want(t, http.StatusNoContent)
	s.do(t, s.systemA, send(http.MethodPost, "Condition", encode(t, without(condition("q", ""), "id"))).with("If-None-Exist", "identifier=urn:x|1"))
	s.bundle(t, s.root, "transaction",
		asked(http.MethodPost, "Observation", without(observation("q", ""), "id")), asked(http.MethodPost, "Observation", without(observation("r", ""), "id")),
		asked(http.MethodGet, "Condition?patient=q", nil), asked(http.MethodGet, "Condition/c-q", nil)).want(t, http.StatusOK)
	s.bundle(t, s.systemA, "transaction", asked(http.MethodPost, "Observation", without(observation("q", ""), "id")), asked(http.MethodDelete, "Condition/none", nil))
	s.post(t, s.appQ, without(optOut("q"), "id")).want(t, http.StatusCreated)
	s.put(t, role("late", "dr-a", "a", "nurse"))
	s.do(t, s.root, request{method: http.MethodDelete, path: "PractitionerRole/late"}).want(t, http.StatusNoContent)
	s.do(t, s.a1, send(http.MethodPut, "AuditEvent/x", []byte(`{"resourceType":"AuditEvent","id":"x"}`))).want(t, http.StatusMethodNotAllowed)
	meta := object{"resourceType": "Parameters", "parameter": []any{object{"name": "meta", "valueMeta": object{"tag": []any{object{"system": "urn:x", "code": "y"}}}}}}
	s.do(t, s.root, send(http.MethodPost, "Condition/c-q/$meta-add", encode(t, meta))).want(t, http.StatusOK)
	s.do(t, s.root, send(http.MethodPost, "Condition/c-q/$meta-delete", encode(t, meta))).want(t, http.StatusOK)
}

// breakAndMend opens P's record in an emergency, looks, and ends it.
func (s *stage) breakAndMend(t *testing.T) {
	t.Helper()
	s.breakGlass(t, s.c1, "p", "OVRER", emergency).want(t, http.StatusNotFound)
	s.breakGlass(t, s.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	s.full(t, s.a1, "p")
	s.do(t, s.a1, get("Condition/c-p")).want(t, http.StatusOK)
	s.do(t, s.a1, send(http.MethodPost, "Patient/p/$break-glass-stop", nil)).want(t, http.StatusNoContent)
	s.do(t, s.a1, send(http.MethodPost, "Patient/p/$break-glass-stop", nil)).want(t, http.StatusNotFound)
}

// letIn has tokens issued, used, refused and revoked, and clients onboarded.
func (s *stage) letIn(t *testing.T) {
	t.Helper()
	q := s.account(t, "quentin", "Patient/q", false)
	l := s.authorize("app-p", redirectP, "launch/patient openid offline_access patient/*.rs")
	got, _ := l.exchange(t, l.received(t, q.through(t, l.address(), nil)))
	s.do(t, got.AccessToken, get("Condition?patient=q")).want(t, http.StatusOK)
	s.form(t, "token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.RefreshToken}, "client_id": {"app-p"}})
	connector, _ := s.connector.backend(t, s.server, "connector-a", "user/*.cruds launch", actingFor("PractitionerRole/a1", "Organization/a", treat))
	s.full(t, connector.AccessToken, "r")
	s.do(t, connector.AccessToken, request{
		method: http.MethodPost, path: s.server.root + "/auth/launch", body: []byte(url.Values{"client_id": {"app-a"}, "patient": {"Patient/r"}}.Encode()),
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
	})
	ministry, _ := s.ministry.backend(t, s.server, "ministry", "system/AuditEvent.rs", nil)
	s.do(t, ministry.AccessToken, get("AuditEvent?_count=1")).want(t, http.StatusOK)
	s.form(t, "revoke", url.Values{
		"client_assertion_type": {assertionType}, "client_assertion": {s.connector.assertion(t, s.server, "connector-a", nil)}, "token": {connector.AccessToken},
	})
	s.do(t, connector.AccessToken, get("Patient/r")).want(t, http.StatusUnauthorized)
	s.admin(t, http.MethodPost, "clients/feed-b/suspend", nil, http.StatusOK)
	s.feed.backend(t, s.server, "feed-b", "system/*.c", nil)
}

// oversee does what the regulator does.
func (s *stage) oversee(t *testing.T) {
	t.Helper()
	s.issue(t, directiveOf("Organization/c"))
	for token, path := range map[string]string{s.auditor: "$export", s.appP: "Patient/p/$export"} {
		at := s.kickOff(t, token, get(path))
		s.download(t, token, s.finished(t, token, at))
		s.do(t, token, request{method: http.MethodDelete, path: at})
	}
	first := s.events(t, "subtype=http://dicom.nema.org/resources/ontology/DCM%7C110127")
	if len(first) != 1 {
		t.Fatalf("%d overrides", len(first))
	}
	s.do(t, s.auditor, get("AuditEvent/"+text(first[0], "id"))).want(t, http.StatusOK)
	s.do(t, s.auditor, get("Task?code=break-glass-review"))
	s.do(t, s.auditor, get("Condition?patient=q"))
}
