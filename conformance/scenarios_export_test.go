package conformance

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Scenario 87: providers have no $export at any level, and are told so in one way
// whatever they ask; the regulator's works; its addresses are good for nobody else, and
// for nobody after revocation.
func TestScenario87Export(t *testing.T) {
	t.Parallel()
	s := newStage(t, exportFlags()...)
	c := s.cast
	c.put(t, object{"resourceType": "Group", "id": "g", "type": "person", "actual": true, "member": []any{object{"entity": ref("Patient/p")}}})
	body := encode(t, object{"resourceType": "Parameters", "parameter": []any{object{"name": "patient", "valueReference": ref("Patient/p")}}})
	refused := c.do(t, c.a1, get("$export")).want(t, http.StatusForbidden).hides(t, secret)
	for _, token := range []string{c.a1, c.c1, c.systemA, c.root} {
		for _, path := range []string{
			"$export", "$export?_type=AuditEvent", "$export?_type=Nonsense&_since=x", "Patient/$export", "Patient/$export?_type=Condition",
			"Patient/p/$export", "Patient/q/$export", "Patient/none/$export", "Patient/-_-/$export", "Group/g/$export", "Group/none/$export",
			"Group/g/$export?_typeFilter=Condition%3Fcode=x&patient=Patient/p&_outputFormat=csv",
		} {
			same(t, "GET "+path, refused, c.do(t, token, get(path)))
			if !strings.Contains(path, "?") {
				same(t, "POST "+path, refused, c.do(t, token, send(http.MethodPost, path, body)))
				same(t, "POST of nonsense "+path, refused, c.do(t, token, send(http.MethodPost, path, []byte("{"))))
			}
		}
	}
	for _, path := range []string{"Patient/$export", "Group/g/$export", "Patient/p/$export"} {
		same(t, "the regulator's "+path, refused, c.do(t, c.auditor, get(path)))
	}
	entry := object{"resourceType": "Bundle", "type": "batch", "entry": []any{object{"request": object{"method": "GET", "url": "$export"}}, object{"request": object{"method": "GET", "url": "Patient/p/$export"}}}}
	if a := c.do(t, c.a1, send(http.MethodPost, "", encode(t, entry))).want(t, http.StatusOK); strings.Count(string(a.body), `"status":"400`) != 2 {
		t.Errorf("in a batch: %s", a.body)
	}
	if got := c.events(t, "outcome=4&patient=p&type=http://dicom.nema.org/resources/ontology/DCM|110106"); len(got) != 0 {
		t.Errorf("%d refusals are said to concern a patient", len(got))
	}

	ministry, _ := s.ministry.backend(t, s.server, "ministry", "system/AuditEvent.rs", nil)
	status := c.kickOff(t, ministry.AccessToken, get("$export?_type=AuditEvent"))
	m := c.finished(t, ministry.AccessToken, status)
	file := c.file(list(m, "output")[0])
	c.do(t, ministry.AccessToken, get(file)).want(t, http.StatusOK)
	none := c.do(t, c.auditor, get("$export-status/none")).want(t, http.StatusNotFound)
	same(t, "the status, by another client", none, c.do(t, c.auditor, get(status)))
	same(t, "a file, by another client", none, c.do(t, c.auditor, get(file)))
	same(t, "a file, by a doctor", none, c.do(t, c.a1, get(file)))

	// The same client comes back with a fresh token, as back ends do.
	fresh, _ := s.ministry.backend(t, s.server, "ministry", "system/AuditEvent.rs", nil)
	c.do(t, fresh.AccessToken, get(file)).want(t, http.StatusOK)
	s.admin(t, http.MethodPost, "clients/ministry/suspend", nil, http.StatusOK)
	same(t, "the status, suspended", none, c.do(t, fresh.AccessToken, get(status)))
	same(t, "a file, suspended", none, c.do(t, fresh.AccessToken, get(file)))
	s.admin(t, http.MethodPost, "clients/ministry/activate", nil, http.StatusOK)
	c.do(t, fresh.AccessToken, get(file)).want(t, http.StatusOK)

	s.revoke(t, ministry.AccessToken)
	same(t, "the status, revoked", none, c.do(t, ministry.AccessToken, get(status)))
	same(t, "the status, with a token that is not", none, c.do(t, fresh.AccessToken, get(status)))
	same(t, "a file, with a token that is not", none, c.do(t, fresh.AccessToken, get(file)))
}

// revoke takes back a token of the ministry.
func (s *stage) revoke(t *testing.T, token string) {
	t.Helper()
	_, a := s.form(t, "revoke", url.Values{
		"token": {token}, "client_assertion_type": {assertionType}, "client_assertion": {s.ministry.assertion(t, s.server, "ministry", nil)},
	})
	if a.status != http.StatusOK {
		t.Fatalf("revoke: %d\n%s", a.status, a.body)
	}
}
