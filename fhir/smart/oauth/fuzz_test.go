package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever is asked of the authorization endpoint, it answers without failing, and
// sends a browser nowhere but to its own pages and to the address that an app
// registered, there with an error alone.
func FuzzAuthorize(f *testing.F) {
	s := newStage(f, nil)
	good := url.Values{
		"response_type": {"code"}, "client_id": {"app-a"}, "redirect_uri": {appURI}, "scope": {"openid patient/*.rs"}, "state": {"s"}, "aud": {fhirBase},
		"code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"}, "launch": {"x"}, "prompt": {"none"}, "max_age": {"1"},
	}
	f.Add(good.Encode())
	f.Add("client_id=app-a&client_id=app-a&redirect_uri=https%3A%2F%2Fevil.example%2F")
	f.Add("%zz&;=&response_type=code;client_id=app-a")
	f.Fuzz(func(t *testing.T, query string) {
		for _, r := range []*http.Request{
			{Method: http.MethodGet, URL: &url.URL{Path: "/auth/authorize", RawQuery: query}, Header: http.Header{}, Body: http.NoBody, RemoteAddr: "192.0.2.1:1"},
			httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/auth/authorize", strings.NewReader(query)),
		} {
			if r.Method == http.MethodPost {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			to := w.Header().Get("Location")
			ours := strings.HasPrefix(to, origin+"/auth/sign-in?request=")
			refused := strings.HasPrefix(to, appURI+"?error=") && !strings.Contains(to, "code=")
			if w.Code >= http.StatusInternalServerError || to != "" && !ours && !refused {
				t.Errorf("%s %q: %d, to %q", r.Method, query, w.Code, to)
			}
		}
	})
}

// Whatever is sent to the token endpoint and its neighbours, they answer without
// failing and give nothing away.
func FuzzToken(f *testing.F) {
	s := newStage(f, nil)
	const assertion = "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCIsImtpZCI6ImsifQ.eyJpc3MiOiJlbXIiLCJzdWIiOiJlbXIifQ.AAAA"
	for _, form := range []url.Values{
		{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {appURI}, "client_id": {"app-a"}, "code_verifier": {strings.Repeat("v", 50)}},
		{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {"app-a"}, "scope": {"patient/*.rs"}},
		{"grant_type": {"client_credentials"}, "scope": {"system/*.rs"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}},
		{"token": {"x"}, "client_id": {"app-a"}},
	} {
		f.Add(form.Encode())
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, endpoint := range []string{"token", "introspect", "revoke", "launch"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/auth/"+endpoint, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code >= http.StatusInternalServerError || strings.Contains(w.Body.String(), "access_token") || strings.Contains(w.Body.String(), `"active":true`) {
				t.Errorf("%s %q: %d %s", endpoint, body, w.Code, w.Body)
			}
		}
	})
}
