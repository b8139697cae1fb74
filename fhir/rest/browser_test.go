package rest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"vitrine/fhir/rest"
	"vitrine/fhir/smart"
)

// An app in a browser asks before it sends its token, and must be let see the
// answer, errors included.
func TestBrowsers(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	for _, path := range []string{"", "/", "/metadata", "/Patient", "/Patient/", "/Patient/p", "/Patient/p/_history/1", "/Patient/_search", "/Patient/p/$everything", "/Nonsense/x", "/AuditEvent", "/.well-known/smart-configuration"} {
		w := call(s, "OPTIONS", "/fhir"+path, "", "Origin", "https://app.example",
			"Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "authorization, content-type, if-match")
		h := w.Header()
		allowed := strings.ToLower(h.Get("Access-Control-Allow-Headers"))
		if w.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") {
			t.Errorf("OPTIONS %q: %d %v", path, w.Code, h)
		}
		for _, name := range []string{"authorization", "content-type", "if-match", "if-none-exist", "prefer"} {
			if !strings.Contains(allowed, name) {
				t.Errorf("OPTIONS %q does not allow %s: %s", path, name, allowed)
			}
		}
		if h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("OPTIONS %q: cookies are not for this server", path)
		}
	}
	for _, path := range []string{"/fhir/Patient/p", "/fhir/metadata", "/fhir/Nonsense", "/fhir/.well-known/smart-configuration"} {
		h := call(s, "GET", path, "", "Origin", "https://app.example").Header()
		if h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Access-Control-Expose-Headers"), "ETag") {
			t.Errorf("GET %s: a page may not read the answer: %v", path, h)
		}
	}
	exposed := strings.Split(call(s, "GET", "/fhir/metadata", "", "Origin", "https://app.example").Header().Get("Access-Control-Expose-Headers"), ", ")
	for _, name := range []string{"Accept-Ranges", "Content-Location", "Content-Range", "ETag", "Retry-After", "X-Progress"} {
		if !slices.Contains(exposed, name) {
			t.Errorf("%s is kept from a page, which cannot follow its export without it: %v", name, exposed)
		}
	}
	if h := call(s, "GET", "/fhir/Patient/p", "").Header(); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without Origin: %v", h)
	}
	for _, path := range []string{"/", "/healthz", "/metrics", "/fhirx"} {
		if h := call(s, "OPTIONS", path, "", "Origin", "https://app.example").Header(); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("OPTIONS %s: %v", path, h)
		}
	}
}

// Where there is no authorization server, no document pretends so. Who asks has no
// token yet.
func TestNoAuthorizationServer(t *testing.T) {
	s := doorless(t, rest.Config{}).Handler()
	w := call(s, "GET", "/fhir/.well-known/smart-configuration", "", "Accept", "application/json")
	if code, _ := outcome(t, w); w.Code != http.StatusNotFound || code != "not-supported" {
		t.Errorf("%d %s, want 404 not-supported", w.Code, code)
	}
}

// Where back ends alone get tokens, nothing is said of id_tokens.
func TestNobodySignsIn(t *testing.T) {
	s := doorless(t, rest.Config{Authorization: &rest.Authorization{SMART: smart.Configuration{TokenEndpoint: "https://nehr.example/auth/token"}}}).Handler()
	if w := call(s, "GET", "/fhir/.well-known/openid-configuration", ""); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "Nobody signs in") {
		t.Errorf("%d %s, want 404", w.Code, w.Body)
	}
	if w := call(s, "GET", "/fhir/.well-known/smart-configuration", ""); w.Code != http.StatusOK {
		t.Errorf("%d %s, want 200", w.Code, w.Body)
	}
}

// Where there is one, who asks is told in JSON, whatever is accepted.
func TestAuthorizationServerIsDiscovered(t *testing.T) {
	s := doorless(t, rest.Config{Authorization: &rest.Authorization{
		SMART:  smart.Configuration{TokenEndpoint: "https://nehr.example/auth/token", GrantTypes: []string{"client_credentials"}},
		OpenID: smart.Configuration{Issuer: "https://nehr.example/fhir"},
	}}).Handler()
	for path, want := range map[string]string{
		"smart-configuration":  `{"token_endpoint":"https://nehr.example/auth/token","grant_types_supported":["client_credentials"],"code_challenge_methods_supported":null}`,
		"openid-configuration": `{"issuer":"https://nehr.example/fhir","token_endpoint":"","grant_types_supported":null,"code_challenge_methods_supported":null}`,
	} {
		w := call(s, "GET", "/fhir/.well-known/"+path, "", "Accept", "application/fhir+xml", "Origin", "https://app.example")
		h := w.Header()
		if w.Code != http.StatusOK || w.Body.String() != want || h.Get("Content-Type") != "application/json" || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v %s", path, w.Code, h, w.Body)
		}
	}
	if w := call(s, "GET", "/fhir/metadata", ""); !strings.Contains(w.Body.String(), `"url":"token","valueUri":"https://nehr.example/auth/token"`) {
		t.Errorf("the CapabilityStatement does not say where tokens come from: %s", w.Body)
	}
}
