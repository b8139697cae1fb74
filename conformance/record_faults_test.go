package conformance

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vitrine/store/mongo/mongotest"
)

// A record of access that cannot be written to: nothing is released, and nothing
// is done, by whatever door.

// told are what answers with something of a record, or a token, are known by.
func told() []string {
	return []string{secret, "Penicillin", "Influenza", "Lowe", "S1234567D", "185.5", `"c-q"`, `"o-q"`, "c-q/", "access_token"}
}

// attempt is a request with who makes it.
type attempt struct {
	name, token string
	request     request
	// status is the answer when all is well.
	status int
}

// attempts are requests of every kind. In this order each works once.
func (s *stage) attempts(t *testing.T) (all []attempt) {
	t.Helper()
	add := func(name, token string, status int, r request) { all = append(all, attempt{name, token, r, status}) }
	for _, path := range []string{
		"Patient/q", "Condition/c-q", "Condition/c-q/_history/1", "Condition/c-q/_history", "Condition?patient=q", "Patient?name=Lowe", "Patient/q/Observation",
		"Observation?patient=q&_include=Observation:subject", "Patient?_id=q&_revinclude=Observation:subject", "?_type=Condition&patient=q", "Condition?patient=q&_summary=count",
		"Patient/q/$everything", "Patient/q/$access", "Condition/c-q/$meta", "AllergyIntolerance?patient=p", "Patient/p",
	} {
		add(path, s.a1, http.StatusOK, get(path))
	}
	add("_search", s.a1, http.StatusOK, request{
		method: http.MethodPost, path: "Condition/_search", body: []byte("patient=q"), header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
	})
	for _, path := range []string{"Patient/none", "Condition/c-p", "Condition/none/_history", "Patient/none/$everything", "Patient/none/$access"} {
		add("absent "+path, s.a1, http.StatusNotFound, get(path))
	}
	add("a purpose", s.doctor(t, "a1", "a", "--purpose", "INSURANCE"), http.StatusForbidden, get("Condition?patient=q"))
	add("history of all", s.root, http.StatusOK, get("_history"))
	add("own history", s.appQ, http.StatusOK, get("AuditEvent?patient=q"))
	add("own record", s.appQ, http.StatusOK, get("Patient/q/$everything"))
	for _, export := range []struct{ token, path string }{{s.auditor, "$export"}, {s.appQ, "Patient/q/$export"}} {
		add(export.path, export.token, http.StatusAccepted, get(export.path).with("Prefer", "respond-async").with("Accept", "application/fhir+json"))
	}
	add("the auditor", s.auditor, http.StatusOK, get("AuditEvent?_count=1"))
	post := func(name, token string, o object) {
		add(name, token, http.StatusCreated, send(http.MethodPost, text(o, "resourceType"), encode(t, o)))
	}
	post("create", s.systemA, without(condition("q", ""), "id"))
	add("update", s.root, http.StatusOK, send(http.MethodPut, "Condition/c-r", encode(t, with(condition("r", "c-r"), "recordedDate", "2026-03-04"))))
	patch := send(http.MethodPatch, "Condition/c-r", []byte(`[{"op":"replace","path":"/recordedDate","value":"2026-03-05"}]`))
	patch.header["Content-Type"] = "application/json-patch+json"
	add("patch", s.root, http.StatusOK, patch)
	add("delete", s.root, http.StatusNoContent, request{method: http.MethodDelete, path: "Condition/c-r"})
	add("transaction", s.root, http.StatusOK, send(http.MethodPost, "", encode(t, object{"resourceType": "Bundle", "type": "transaction", "entry": []any{
		asked(http.MethodPost, "Observation", without(observation("q", ""), "id")), asked(http.MethodGet, "Condition/c-q", nil),
	}})))
	add("batch", s.a1, http.StatusOK, send(http.MethodPost, "", encode(t, object{"resourceType": "Bundle", "type": "batch", "entry": []any{
		asked(http.MethodGet, "Condition/c-q", nil), asked(http.MethodGet, "Condition?patient=q", nil), asked(http.MethodGet, "Condition/none", nil),
	}})))
	post("consent", s.appQ, without(optOut("q"), "id"))
	post("directive", s.person(t, "mei"), directiveOf("Organization/c"))
	add("$break-glass", s.a1, http.StatusCreated, s.emergency(t, "p"))
	add("$break-glass-stop", s.a1, http.StatusNoContent, send(http.MethodPost, "Patient/p/$break-glass-stop", nil))
	onboard := request{method: http.MethodPost, path: s.server.root + "/admin/clients", header: map[string]string{"Content-Type": "application/json"}}
	onboard.body = encode(t, object{"client_id": "late", "client_name": "Late", "organization": "Organization/a", "jwks": s.connector.jwks(), "capabilities": []any{"read"}, "scope": "user/*.rs"})
	add("onboarding", s.root, http.StatusCreated, onboard)
	return all
}

// emergency is the request to break the glass.
func (s *stage) emergency(t *testing.T, patient string) request {
	t.Helper()
	return send(http.MethodPost, "Patient/"+patient+"/$break-glass", encode(t, object{"resourceType": "Parameters", "parameter": []any{
		object{"name": "reason", "valueCoding": object{"system": actCode, "code": "OVRER"}},
		object{"name": "threat", "valueCode": "life"},
		object{"name": "justification", "valueString": emergency},
	}}))
}

// deafen makes the record of access refuse what is to be recorded, and all else go
// on: the disk has no room left, or the database takes no event. It returns what
// mends that.
func (s *stage) deafen(t *testing.T) (mend func()) {
	t.Helper()
	if onMongoDB() {
		name, _ := databases.Load(s.data)
		database, _ := name.(string)
		return mongotest.Refuse(t, mongotest.Server(t), database, "events")
	}
	s.stop(t)
	s.serveAnyway(t, "--disk-reserve", "1000000GiB")
	return func() {
		s.kill()
		s.serve(t)
	}
}

// TestScenario46NothingIsReleasedUnrecorded asks everything of a server whose
// record of access cannot be written to, and again when it can.
func TestScenario46NothingIsReleasedUnrecorded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	all := s.attempts(t)
	before := s.standing(t)
	mend := s.deafen(t)
	for _, a := range all {
		s.unreleased(t, &a)
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"system/Condition.c"}, "client_assertion_type": {assertionType},
		"client_assertion": {s.connector.assertion(t, s.server, "connector-a", nil)},
	}
	if got, a := s.form(t, "token", form); a.status < 500 || got.AccessToken != "" {
		t.Errorf("a token was issued unrecorded: %d %s", a.status, a.body)
	}
	mend()
	if after := s.standing(t); after != before {
		t.Errorf("something was done unrecorded:\n%s\nand was before:\n%s", after, before)
	}
	for _, a := range all {
		if got := s.do(t, a.token, a.request); got.status != a.status {
			t.Errorf("%s, recorded: %d, want %d\n%s", a.name, got.status, a.status, got.body)
		}
	}
}

// unreleased fails unless the request is answered with 503 and nothing of a record;
// each entry of a batch is.
func (s *stage) unreleased(t *testing.T, a *attempt) {
	t.Helper()
	got := s.do(t, a.token, a.request).hides(t, told()...)
	if a.name != "batch" {
		if got.status != http.StatusServiceUnavailable {
			t.Errorf("%s, unrecorded: %d, want 503\n%s", a.name, got.status, got.body)
		}
		return
	}
	if got.status == http.StatusServiceUnavailable {
		return
	}
	for _, entry := range list(decode(t, got.body), "entry") {
		if status := text(entry, "response", "status"); !strings.HasPrefix(status, "503") {
			t.Errorf("an entry of a batch, unrecorded: %s\n%s", status, got.body)
		}
	}
}

// standing is what would have changed had one of the attempts been done.
func (s *stage) standing(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, path := range []string{
		"Condition?_summary=count", "Observation?_summary=count", "Consent?_summary=count", "Basic?_summary=count", "Task?_summary=count", "Communication?_summary=count", "Device?_summary=count",
		"Condition/c-r/_history?_summary=count",
	} {
		b.WriteString(path + " " + text(decode(t, s.do(t, s.root, get(path)).want(t, http.StatusOK).body), "total") + "\n")
	}
	return b.String()
}

// serveAnyway starts the server, whether it can be ready or not.
func (s *server) serveAnyway(t *testing.T, flags ...string) {
	t.Helper()
	s.begin(t, flags...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if a, err := s.within(ctx, "", get(s.root+"/healthz")); err == nil && a.status == http.StatusOK {
			return
		}
	}
	t.Fatalf("the server was not there in time\n%s", s.log)
}
