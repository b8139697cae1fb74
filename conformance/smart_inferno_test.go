package conformance

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the groups of Inferno's SMART App Launch STU 2.2 suite check, test by test
// and by their names (inferno-framework/smart-app-launch-test-kit 1.0.0). Those
// about TLS are the deployment's: the tests run over loopback.

func TestInfernoDiscovery(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()+"/data")
	a := s.do(t, "", get(".well-known/smart-configuration").with("Accept", "application/xml").with("Origin", "https://inferno.example")).want(t, http.StatusOK)
	if ct := a.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		t.Errorf("well_known_endpoint: Content-Type %q", ct)
	}
	if a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("smart_cors_well_known_endpoint: %v", a.header)
	}
	if h := s.do(t, "", get("metadata").with("Origin", "https://inferno.example")).want(t, http.StatusOK).header; h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("smart_cors_metadata_request: %v", h)
	}
	o := decode(t, a.body)
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "issuer", "jwks_uri", "introspection_endpoint", "revocation_endpoint"} {
		if v, _ := o[name].(string); !strings.HasPrefix(v, s.root+"/") {
			t.Errorf("well_known_capabilities_stu2: %s is %q, want an absolute address", name, v)
		}
	}
	for name, want := range map[string][]string{
		"grant_types_supported":                      {"authorization_code", "client_credentials", "refresh_token"},
		"code_challenge_methods_supported":           {"S256"},
		"revocation_endpoint_auth_methods_supported": {"private_key_jwt"},
		"capabilities":                               {"launch-ehr", "launch-standalone", "sso-openid-connect", "client-public", "client-confidential-asymmetric", "permission-v2", "permission-patient", "permission-user", "context-ehr-patient", "context-standalone-patient", "authorize-post"},
	} {
		got := texts(o[name])
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("well_known_capabilities_stu2: %s is %v, without %s", name, got, w)
			}
		}
	}
	if slices.Contains(texts(o["code_challenge_methods_supported"]), "plain") {
		t.Error("well_known_capabilities_stu2: plain is offered")
	}
	off := start(t, t.TempDir()+"/data", "--no-authorization")
	off.do(t, "", get(".well-known/smart-configuration")).want(t, http.StatusNotFound)
	off.do(t, "", request{method: http.MethodPost, path: off.root + "/auth/token"}).want(t, http.StatusNotFound)
}

func texts(v any) (out []string) {
	all, _ := v.([]any)
	for _, one := range all {
		s, _ := one.(string)
		out = append(out, s)
	}
	return out
}

// checkedExchange is the tests of a token response: smart_token_exchange_stu2_2,
// smart_token_response_body_stu2_2, smart_token_response_headers and
// smart_cors_token_exchange.
func checkedExchange(t *testing.T, got tokenAnswer, a answer) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("smart_token_exchange_stu2_2: %d %s", a.status, a.body)
	}
	if got.AccessToken == "" || got.TokenType != "Bearer" || got.ExpiresIn <= 0 || got.ExpiresIn > 3600 || got.Scope == "" {
		t.Errorf("smart_token_response_body_stu2_2: %+v", got)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("smart_token_response_headers: %v", a.header)
	}
	if a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("smart_cors_token_exchange: %v", a.header)
	}
}

// checkedIdentity is the group smart_openid_connect_stu2_2.
func checkedIdentity(t *testing.T, s *server, l *launching, token tokenAnswer, user string) {
	t.Helper()
	header, body := claims(t, token.IDToken)
	o := decode(t, s.do(t, "", get(".well-known/openid-configuration")).want(t, http.StatusOK).body)
	for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"} {
		if o[name] == nil {
			t.Errorf("openid_required_configuration_fields: no %s", name)
		}
	}
	uri, _ := o["jwks_uri"].(string)
	keys, _ := decode(t, s.do(t, "", get(uri)).want(t, http.StatusOK).body)["keys"].([]any)
	var key object
	for _, k := range keys {
		if k, _ := k.(object); k["kid"] == header["kid"] {
			key = k
		}
	}
	if key == nil || header["alg"] != "RS256" || key["kty"] != "RSA" || key["d"] != nil {
		t.Fatalf("openid_token_header: %v, key %v", header, key)
	}
	if !verifiesRS256(t, key, token.IDToken) {
		t.Error("openid_token_payload: the signature does not hold")
	}
	now := float64(time.Now().Unix())
	exp, _ := body["exp"].(float64)
	iat, _ := body["iat"].(float64)
	if body["iss"] != o["issuer"] || body["aud"] != l.client || body["nonce"] != l.nonce || exp < now || iat > now+5 || body["sub"] == "" || body["auth_time"] == nil {
		t.Errorf("openid_token_payload: %v", body)
	}
	if body["fhirUser"] != s.base+"/"+user {
		t.Errorf("openid_fhir_user_claim: %v, want %s", body["fhirUser"], user)
	}
	a := s.do(t, token.AccessToken, get(user).with("Origin", "https://inferno.example")).want(t, http.StatusOK)
	if a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("smart_cors_openid_fhir_user_claim: %v", a.header)
	}
}

func verifiesRS256(t *testing.T, key object, jwt string) bool {
	t.Helper()
	number := func(name string) *big.Int {
		text, _ := key[name].(string)
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b)
	}
	at := strings.LastIndexByte(jwt, '.')
	signature, err := base64.RawURLEncoding.DecodeString(jwt[at+1:])
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(jwt[:at]))
	public := &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}
	return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
}

// The group smart_full_standalone_launch, by a patient's app.
func TestInfernoStandaloneLaunch(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	q := s.account(t, "quentin", "Patient/q", false)
	l := s.authorize("app-p", redirectP, "launch/patient openid fhirUser offline_access patient/*.rs")
	code := l.received(t, q.through(t, l.address(), nil))
	token, a := l.exchange(t, code)
	checkedExchange(t, token, a)
	if token.Patient != "q" || token.Scope != "launch/patient openid fhirUser offline_access patient/*.rs" {
		t.Errorf("smart_token_response_body_stu2_2: %+v", token)
	}
	checkedIdentity(t, s.server, l, token, "Patient/q")
	if ids := s.do(t, token.AccessToken, get("Observation?patient=q")).want(t, http.StatusOK).ids(t); len(ids) == 0 {
		t.Error("the app reads nothing")
	}
	s.do(t, token.AccessToken, get("Patient/r")).want(t, http.StatusNotFound)
	checkedRefresh(t, s.server, l, token)
}

// checkedRefresh is the groups smart_token_refresh_stu2 without and with scopes,
// and what Inferno does not ask: rotation, reuse, and that scopes never widen.
func checkedRefresh(t *testing.T, s *server, l *launching, first tokenAnswer) {
	t.Helper()
	refresh := func(token, scope string) (tokenAnswer, answer) {
		v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {l.client}}
		if scope != "" {
			v.Set("scope", scope)
		}
		return s.form(t, "token", v, "Origin", "https://inferno.example")
	}
	second, a := refresh(first.RefreshToken, "")
	checkedExchange(t, second, a)
	if second.Scope != first.Scope || second.RefreshToken == "" || second.RefreshToken == first.RefreshToken || second.Patient != first.Patient {
		t.Errorf("without scopes: %+v", second)
	}
	for _, wider := range []string{"patient/*.cruds", "user/*.rs", "patient/Patient.rs fhirUser profile", "system/*.rs"} {
		if got, a := refresh(second.RefreshToken, wider); a.status != http.StatusBadRequest || got.Error != "invalid_scope" {
			t.Errorf("%s was not granted, and taken: %d %s", wider, a.status, a.body)
		}
	}
	third, a := refresh(second.RefreshToken, "launch/patient patient/Patient.rs")
	checkedExchange(t, third, a)
	if third.Scope != "launch/patient patient/Patient.rs" || third.IDToken != "" {
		t.Errorf("with scopes: %+v", third)
	}
	s.do(t, third.AccessToken, get("Patient/"+first.Patient)).want(t, http.StatusOK)
	s.do(t, third.AccessToken, get("Observation?patient="+first.Patient)).want(t, http.StatusForbidden)
	if got, a := refresh(second.RefreshToken, ""); a.status != http.StatusBadRequest || got.Error != "invalid_grant" {
		t.Errorf("a used refresh token: %d %s", a.status, a.body)
	}
	for name, token := range map[string]string{"first": first.AccessToken, "third": third.AccessToken} {
		if a := s.do(t, token, get("Patient/"+first.Patient)); a.status != http.StatusUnauthorized {
			t.Errorf("the %s access token outlives the reuse: %d", name, a.status)
		}
	}
	if got, a := refresh(third.RefreshToken, ""); a.status != http.StatusBadRequest || got.Error != "invalid_grant" {
		t.Errorf("the newest refresh token outlives the reuse: %d %s", a.status, a.body)
	}
}

// ehrLaunch asks for a launch as an EMR does.
func (s *stage) ehrLaunch(t *testing.T, token, client, patient string, more ...string) (object, answer) {
	t.Helper()
	v := url.Values{"client_id": {client}, "patient": {patient}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	_, a := s.form(t, "launch", v, "Bearer", token)
	return decode(t, a.body), a
}

// The group smart_full_ehr_launch, by an app of clinic A.
func TestInfernoEHRLaunch(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a1 := s.account(t, "a1", "PractitionerRole/a1", true)
	emr, _ := s.connector.backend(t, s.server, "connector-a", "user/*.rs", actingFor("PractitionerRole/a1", "Organization/a", treat))
	launched, _ := s.ehrLaunch(t, emr.AccessToken, "app-a", "q", "encounter", "e9", "intent", "reconcile")
	opened, err := url.Parse(text(launched, "launch_url"))
	if err != nil || opened.Query().Get("iss") != s.base || opened.Query().Get("launch") == "" {
		t.Fatalf("smart_app_launch: %v %v", launched, err)
	}
	l := s.authorize("app-a", redirectA, "launch openid fhirUser patient/*.rs user/Practitioner.rs user/PractitionerRole.rs", "launch", opened.Query().Get("launch"))
	code := l.received(t, a1.through(t, l.address(), nil))
	token, a := l.exchange(t, code)
	checkedExchange(t, token, a)
	if token.Patient != "q" || token.Encounter != "e9" || token.Intent != "reconcile" || token.RefreshToken != "" {
		t.Errorf("smart_launch_received: %+v", token)
	}
	checkedIdentity(t, s.server, l, token, "PractitionerRole/a1")
	s.full(t, token.AccessToken, "q")
	s.do(t, token.AccessToken, get("Observation/o-r")).want(t, http.StatusNotFound).hides(t, secret) // permitted to clinic A, and not launched

	o := decode(t, func() []byte {
		_, a := s.form(t, "introspect", url.Values{"client_id": {"app-a"}, "token": {token.AccessToken}})
		return a.body
	}())
	want := object{"active": true, "client_id": "app-a", "scope": token.Scope, "patient": "q", "encounter": "e9", "intent": "reconcile", "fhirUser": s.base + "/PractitionerRole/a1"}
	for name, v := range want {
		if o[name] != v {
			t.Errorf("smart_token_introspection: %s is %v, want %v", name, o[name], v)
		}
	}

	// An EMR that knows the person alone launches for the role the person signs in to.
	byPerson := s.token(t, "--kind", "practitioner", "--user", "Practitioner/dr-a", "--org", "Organization/a", "--client", "connector-a")
	launched, _ = s.ehrLaunch(t, byPerson, "app-a", "q")
	person := s.authorize("app-a", redirectA, "launch patient/*.rs", "launch", text(launched, "launch"))
	if token, a := person.exchange(t, person.received(t, a1.through(t, person.address(), nil))); a.status != http.StatusOK || token.Patient != "q" {
		t.Errorf("launched by the person: %d %s", a.status, a.body)
	}

	if _, a := s.ehrLaunch(t, token.AccessToken, "app-a", "r"); a.status != http.StatusBadRequest {
		t.Errorf("an app about one patient launched another about somebody else: %d %s", a.status, a.body)
	}

	again := s.authorize("app-a", redirectA, "launch patient/*.rs", "launch", opened.Query().Get("launch"))
	if at := a1.through(t, again.address(), nil); at == nil || at.Query().Get("error") == "" || at.Query().Get("code") != "" {
		t.Errorf("a launch was used twice: %v", at)
	}
}

// A restricted patient's record stays behind glass whatever app looks.
func TestLaunchOnARestrictedPatient(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a1 := s.account(t, "a1", "Practitioner/dr-a", false)
	emr, _ := s.connector.backend(t, s.server, "connector-a", "user/*.rs", actingFor("PractitionerRole/a1", "Organization/a", treat))
	launched, hidden := s.ehrLaunch(t, emr.AccessToken, "app-a", "p")
	_, absent := s.ehrLaunch(t, emr.AccessToken, "app-a", "none")
	if hidden.status != absent.status || len(hidden.body) != len(absent.body) {
		t.Errorf("a launch tells whether there is a patient: %d %s, %d %s", hidden.status, hidden.body, absent.status, absent.body)
	}
	l := s.authorize("app-a", redirectA, "launch patient/*.rs", "launch", text(launched, "launch"))
	token, _ := l.exchange(t, l.received(t, a1.through(t, l.address(), nil)))
	s.basic(t, token.AccessToken, "p")
	for _, shown := range a1.seen {
		if strings.Contains(shown.text, secret) {
			t.Errorf("%s shows the secret", shown.address.Path)
		}
	}
	var sent map[string]any
	if err := json.Unmarshal(hidden.body, &sent); err != nil || sent["launch"] == "" {
		t.Errorf("%v %v", sent, err)
	}
}
