package conformance

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// stage is the cast with clients that were onboarded: clinic A's connector, which
// contributes and reads; a feed of clinic B that contributes alone; the ministry's
// auditor; and an app of clinic A and one of patients, which are launched.
type stage struct {
	*cast
	connector, feed, ministry *signer
}

const (
	redirectA = "https://app-a.example/callback"
	redirectP = "http://127.0.0.1:7777/back"
	treat     = actReason + "#TREAT"
)

func newStage(t *testing.T, flags ...string) *stage {
	t.Helper()
	return stageOn(t, newCast(t, flags...))
}

// stageOn onboards them on a stage that is set.
func stageOn(t *testing.T, c *cast) *stage {
	t.Helper()
	s := &stage{cast: c, connector: newSigner(t, "ES384"), feed: newSigner(t, "RS384"), ministry: newSigner(t, "ES384")}
	for _, client := range []object{
		{"client_id": "connector-a", "client_name": "Connector of clinic A", "organization": "Organization/a", "jwks": s.connector.jwks(), "capabilities": []any{"contribute", "read"}, "scope": "system/*.cud user/*.cruds launch"},
		{"client_id": "feed-b", "client_name": "Feed of clinic B", "organization": "Organization/b", "jwks": s.feed.jwks(), "capabilities": []any{"contribute"}, "scope": "system/*.cruds user/*.rs"},
		{"client_id": "ministry", "client_name": "The ministry's auditor", "jwks": s.ministry.jwks(), "capabilities": []any{"audit"}, "scope": "system/AuditEvent.rs system/Patient.rs"},
		{"client_id": "app-a", "client_name": "App of clinic A", "organization": "Organization/a", "redirect_uris": []any{redirectA}, "launch_uri": "https://app-a.example/launch", "capabilities": []any{"read"}, "scope": "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access patient/*.rs user/*.rs"},
		{"client_id": "app-p", "client_name": "App of patients", "redirect_uris": []any{redirectP}, "capabilities": []any{"read", "contribute"}, "scope": "openid fhirUser launch/patient offline_access patient/*.rs patient/Consent.cu"},
	} {
		s.onboard(t, client)
	}
	return s
}

// onboard registers a client and makes it active, as the operator does.
func (s *stage) onboard(t *testing.T, client object) {
	t.Helper()
	id := text(client, "client_id")
	s.admin(t, http.MethodPost, "clients", client, http.StatusCreated)
	s.admin(t, http.MethodPost, "clients/"+id+"/activate", nil, http.StatusOK)
}

// admin calls the operator's interface.
func (s *stage) admin(t *testing.T, method, path string, body object, want int) answer {
	t.Helper()
	r := request{method: method, path: s.server.root + "/admin/" + path}
	if body != nil {
		r.body, r.header = encode(t, body), map[string]string{"Content-Type": "application/json"}
	}
	a := s.do(t, s.root, r)
	if a.status != want {
		t.Fatalf("%s %s: %d, want %d\n%s", method, path, a.status, want, a.body)
	}
	return a
}

// The group Backend Services of Inferno's SMART App Launch STU 2.2 suite, test by
// test.
func TestInfernoBackendServices(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	good := func() url.Values {
		return url.Values{
			"grant_type": {"client_credentials"}, "scope": {"system/Condition.c"}, "client_assertion_type": {assertionType},
			"client_assertion": {s.connector.assertion(t, s.server, "connector-a", nil)},
		}
	}
	with := func(name, value string) url.Values {
		v := good()
		v.Set(name, value)
		return v
	}
	for _, c := range []struct {
		name   string
		form   url.Values
		status []int
		code   string
	}{
		{"smart_backend_services_invalid_grant_type", with("grant_type", "not_a_grant_type"), []int{400}, "unsupported_grant_type"},
		{"smart_backend_services_invalid_client_assertion", with("client_assertion_type", "not_an_assertion_type"), []int{400, 401}, "invalid_request"},
		{"smart_backend_services_invalid_jwt", with("client_assertion", s.connector.assertion(t, s.server, "connector-a", object{"aud": "https://elsewhere.example/token"})), []int{400, 401}, "invalid_client"},
	} {
		got, a := s.form(t, "token", c.form)
		fit := false
		for _, status := range c.status {
			fit = fit || a.status == status
		}
		if !fit || got.Error != c.code || got.AccessToken != "" {
			t.Errorf("%s: %d %+v, want %v %s", c.name, a.status, got, c.status, c.code)
		}
	}
	got, a := s.form(t, "token", good())
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Fatalf("smart_backend_services_auth_request_success: %d\n%s", a.status, a.body)
	}
	if got.AccessToken == "" || got.TokenType != "Bearer" || got.ExpiresIn <= 0 || got.ExpiresIn > 300 || got.Scope != "system/Condition.c" || got.RefreshToken != "" {
		t.Errorf("smart_backend_services_auth_response_body: %+v", got)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("headers: %v", a.header)
	}
	fresh := condition("q", "")
	delete(fresh, "id")
	s.post(t, got.AccessToken, fresh).want(t, http.StatusCreated)
	s.do(t, got.AccessToken, get("Patient/q")).want(t, http.StatusForbidden).hides(t, "Lowe")
}

// What Inferno does not ask of assertions.
func TestAssertionsThatProveNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	other := newSigner(t, "ES384")
	other.kid = s.connector.kid
	hmac := s.connector.sign(t, object{"alg": "HS384", "kid": s.connector.kid, "typ": "JWT"}, object{"iss": "connector-a", "sub": "connector-a", "aud": s.server.root + "/auth/token", "exp": time.Now().Add(time.Minute).Unix(), "jti": "x"})
	none := strings.Join(strings.Split(s.connector.sign(t, object{"alg": "none", "kid": s.connector.kid, "typ": "JWT"}, object{"iss": "connector-a", "sub": "connector-a"}), ".")[:2], ".") + "."
	replayed := s.connector.assertion(t, s.server, "connector-a", nil)
	for _, c := range []struct{ name, assertion, client string }{
		{"another's key under the same kid", other.assertion(t, s.server, "connector-a", nil), ""},
		{"alg confusion", hmac, ""},
		{"alg none", none, ""},
		{"another client's key", s.feed.assertion(t, s.server, "connector-a", nil), ""},
		{"a client that is not there", s.connector.assertion(t, s.server, "nobody", nil), ""},
		{"two client ids", s.connector.assertion(t, s.server, "connector-a", nil), "feed-b"},
		{"exp beyond five minutes", s.connector.assertion(t, s.server, "connector-a", object{"exp": time.Now().Add(10 * time.Minute).Unix()}), ""},
		{"expired", s.connector.assertion(t, s.server, "connector-a", object{"exp": time.Now().Add(-time.Second).Unix()}), ""},
		{"without jti", s.connector.assertion(t, s.server, "connector-a", object{"jti": nil}), ""},
		{"sub is not iss", s.connector.assertion(t, s.server, "connector-a", object{"sub": "feed-b"}), ""},
		{"aud is the FHIR base", s.connector.assertion(t, s.server, "connector-a", object{"aud": s.base}), ""},
		{"no JWT", "x", ""},
		{"an access token", s.root, ""},
	} {
		v := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Condition.c"}, "client_assertion_type": {assertionType}, "client_assertion": {c.assertion}}
		if c.client != "" {
			v.Set("client_id", c.client)
		}
		got, a := s.form(t, "token", v)
		if a.status != http.StatusUnauthorized || got.Error != "invalid_client" || got.AccessToken != "" {
			t.Errorf("%s: %d %+v, want 401 invalid_client", c.name, a.status, got)
		}
	}
	v := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Condition.c"}, "client_assertion_type": {assertionType}, "client_assertion": {replayed}}
	if got, a := s.form(t, "token", v); a.status != http.StatusOK || got.AccessToken == "" {
		t.Errorf("the first time: %d %s", a.status, a.body)
	}
	if got, a := s.form(t, "token", v); a.status != http.StatusUnauthorized || got.AccessToken != "" {
		t.Errorf("jti replay: %d %s", a.status, a.body)
	}
}

// Scenario 36, and the scopes of back ends: a system alone contributes and never
// reads; whom it acts for is looked up.
func TestScenario36SystemsNeverRead(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, c := range []struct {
		name   string
		by     *signer
		client string
		scope  string
		change object
		want   string // the scope granted, or the error
	}{
		{"reading is not granted", s.connector, "connector-a", "system/Patient.rs", nil, "invalid_scope"},
		{"contribution is", s.connector, "connector-a", "system/*.cruds", nil, "system/*.cud"},
		{"reading is not, whatever is registered", s.feed, "feed-b", "system/*.cruds", nil, "system/*.cud"},
		{"user scopes need a user", s.connector, "connector-a", "user/Patient.rs", nil, "invalid_scope"},
		{"no scope", s.connector, "connector-a", "", nil, "invalid_scope"},
		{"a doctor of the clinic", s.connector, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/a1", "Organization/a", treat), "user/Patient.rs"},
		{"the same by the person", s.connector, "connector-a", "user/Patient.rs", actingFor("Practitioner/dr-a", s.base+"/Organization/a", treat), "user/Patient.rs"},
		{"by the OID of the code system", s.connector, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/a1", "Organization/a", "urn:oid:2.16.840.1.113883.5.8#TREAT"), "user/Patient.rs"},
		{"a doctor of another clinic", s.connector, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/b1", "Organization/b", treat), "invalid_grant"},
		{"a doctor elsewhere", s.connector, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/b1", "Organization/a", treat), "invalid_grant"},
		{"nobody", s.connector, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/none", "Organization/a", treat), "invalid_grant"},
		{"no organisation", s.connector, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/a1", "", treat), "invalid_grant"},
		{"for insurance", s.connector, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/a1", "Organization/a", "https://vitrine.example/CodeSystem/nehr-purpose#INSURANCE"), "invalid_grant"},
		{"for marketing", s.connector, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/a1", "Organization/a", actReason+"#HMARKT"), "invalid_grant"},
		{"a code alone", s.connector, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/a1", "Organization/a", "TREAT"), "invalid_grant"},
		{"a patient", s.connector, "connector-a", "user/Patient.rs", actingFor("Patient/q", "Organization/a", treat), "invalid_grant"},
		{"onboarded to contribute alone", s.feed, "feed-b", "user/Patient.rs", actingFor("PractitionerRole/b1", "Organization/b", treat), "unauthorized_client or a token that reads nothing"},
		{"the regulator", s.ministry, "ministry", "system/AuditEvent.rs system/Patient.rs", nil, "system/AuditEvent.rs"},
	} {
		got, a := c.by.backend(t, s.server, c.client, c.scope, c.change)
		switch {
		case strings.HasPrefix(c.want, "unauthorized_client"):
			if got.AccessToken != "" {
				s.do(t, got.AccessToken, get("Patient/q")).want(t, http.StatusForbidden).hides(t, "Lowe")
			}
		case strings.HasPrefix(c.want, "invalid_"):
			if a.status != http.StatusBadRequest || got.Error != c.want || got.AccessToken != "" {
				t.Errorf("%s: %d %+v, want 400 %s", c.name, a.status, got, c.want)
			}
		case a.status != http.StatusOK || got.Scope != c.want:
			t.Errorf("%s: %d %+v, want %s", c.name, a.status, got, c.want)
		}
	}
	both := actingFor("PractitionerRole/a1", "Organization/a", treat)
	both["extensions"].(object)["hl7-b2b"].(object)["purpose_of_use"] = []any{treat, actReason + "#ETREAT"} //nolint:forcetypeassert // made two lines above
	if got, a := s.connector.backend(t, s.server, "connector-a", "user/Patient.rs", both); a.status != http.StatusBadRequest || got.AccessToken != "" {
		t.Errorf("two purposes: %d %+v", a.status, got)
	}
	got, _ := s.connector.backend(t, s.server, "connector-a", "user/*.rs", actingFor("PractitionerRole/a1", "Organization/a", treat))
	s.full(t, got.AccessToken, "q")
	s.basic(t, got.AccessToken, "p")
	ministry, _ := s.ministry.backend(t, s.server, "ministry", "system/AuditEvent.rs", nil)
	s.do(t, ministry.AccessToken, get("AuditEvent?_count=1")).want(t, http.StatusOK)
	s.do(t, ministry.AccessToken, get("Patient/q")).want(t, http.StatusForbidden).hides(t, "Lowe")
}

// A client, an organisation, a role or a token that ends is gone with the next
// request.
func TestNothingOutlivesItsEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	doctor := func() string {
		got, a := s.connector.backend(t, s.server, "connector-a", "user/*.rs", actingFor("PractitionerRole/a1", "Organization/a", treat))
		if a.status != http.StatusOK {
			t.Fatalf("no token: %d %s", a.status, a.body)
		}
		return got.AccessToken
	}
	ask := get("Patient/q")
	assertion := func() url.Values {
		return url.Values{"client_assertion_type": {assertionType}, "client_assertion": {s.connector.assertion(t, s.server, "connector-a", nil)}}
	}

	revoked, kept := doctor(), doctor()
	s.do(t, revoked, ask).want(t, http.StatusOK)
	v := assertion()
	v.Set("token", revoked)
	if _, a := s.form(t, "revoke", v); a.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.status, a.body)
	}
	s.do(t, revoked, ask).want(t, http.StatusUnauthorized).hides(t, "Lowe")
	s.do(t, kept, ask).want(t, http.StatusOK)

	s.admin(t, http.MethodPost, "clients/connector-a/suspend", nil, http.StatusOK)
	s.do(t, kept, ask).want(t, http.StatusForbidden).hides(t, "Lowe")
	if got, a := s.connector.backend(t, s.server, "connector-a", "system/Condition.c", nil); a.status != http.StatusUnauthorized || got.AccessToken != "" {
		t.Errorf("a suspended client got %d %+v", a.status, got)
	}
	s.admin(t, http.MethodPost, "clients/connector-a/activate", nil, http.StatusOK)
	s.do(t, kept, ask).want(t, http.StatusOK)

	ended := role("a1", "dr-a", "a", "doctor")
	ended["period"] = object{"end": time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)}
	s.put(t, ended)
	s.do(t, kept, ask).want(t, http.StatusForbidden).hides(t, "Lowe")
	if got, a := s.connector.backend(t, s.server, "connector-a", "user/*.rs", actingFor("PractitionerRole/a1", "Organization/a", treat)); a.status != http.StatusBadRequest || got.AccessToken != "" {
		t.Errorf("an ended role got %d %+v", a.status, got)
	}
	s.put(t, role("a1", "dr-a", "a", "doctor"))
	s.do(t, kept, ask).want(t, http.StatusOK)

	gone := organization("a", "")
	gone["active"] = false
	s.put(t, gone)
	s.do(t, kept, ask).want(t, http.StatusForbidden).hides(t, "Lowe")
	s.put(t, organization("a", ""))
	s.do(t, kept, ask).want(t, http.StatusOK)
}

// The group Token Introspection, for tokens of back ends.
func TestInfernoTokenIntrospection(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	got, _ := s.connector.backend(t, s.server, "connector-a", "user/Patient.rs", actingFor("PractitionerRole/a1", "Organization/a", treat))
	asked := func(by *signer, client, token string) (object, answer) {
		_, a := s.form(t, "introspect", url.Values{
			"client_assertion_type": {assertionType}, "client_assertion": {by.assertion(t, s.server, client, nil)}, "token": {token},
		})
		return decode(t, a.body), a
	}
	o, _ := asked(s.connector, "connector-a", got.AccessToken)
	_, said := claims(t, got.AccessToken)
	for name, want := range map[string]any{
		"active": true, "scope": "user/Patient.rs", "client_id": "connector-a", "exp": said["exp"], "iss": s.base, "sub": "PractitionerRole/a1",
		"fhirUser": s.base + "/PractitionerRole/a1",
	} {
		if o[name] != want {
			t.Errorf("smart_token_introspection: %s is %v, want %v", name, o[name], want)
		}
	}
	for name, token := range map[string]string{"invalid": "x", "of another": "", "ended": got.AccessToken} {
		by, client := s.connector, "connector-a"
		switch name {
		case "of another":
			by, client, token = s.feed, "feed-b", got.AccessToken
		case "ended":
			if _, a := s.form(t, "revoke", url.Values{"client_assertion_type": {assertionType}, "client_assertion": {by.assertion(t, s.server, client, nil)}, "token": {token}}); a.status != http.StatusOK {
				t.Fatalf("revoke: %d", a.status)
			}
		}
		if o, a := asked(by, client, token); a.status != http.StatusOK || len(o) != 1 || o["active"] != false {
			t.Errorf("%s: %d %s, want inactive and nothing else", name, a.status, a.body)
		}
	}
	if _, a := s.form(t, "introspect", url.Values{"token": {got.AccessToken}}); a.status != http.StatusBadRequest {
		t.Errorf("nobody asks: %d %s", a.status, a.body)
	}
}

// Who fails to prove itself again and again is not heard for a while, and keeps
// nobody else out.
func TestTriesOfKeysAreFew(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	status := 0
	var header http.Header
	for range 40 {
		_, a := s.feed.backend(t, s.server, "connector-a", "system/Condition.c", nil)
		if status, header = a.status, a.header; status == http.StatusTooManyRequests {
			break
		}
	}
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("forty false keys: %d %v", status, header)
	}
	if got, a := s.feed.backend(t, s.server, "feed-b", "system/Condition.c", nil); a.status != http.StatusOK || got.AccessToken == "" {
		t.Errorf("another client at the same address: %d %s", a.status, a.body)
	}
}
