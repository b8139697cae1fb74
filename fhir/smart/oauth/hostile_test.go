package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/oauth"
	"vitrine/fhir/smart/token"
)

// issued is what the token endpoint says to an app.
type issued struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Scope, Error string
}

// redeem asks the token endpoint as an app without keys does.
func (b *browser) redeem(client string, form url.Values) (out issued) {
	b.Helper()
	form.Set("client_id", client)
	if p := b.send(http.MethodPost, "/auth/token", form); json.Unmarshal([]byte(p.body), &out) != nil {
		b.Fatalf("the token endpoint: %d %s", p.status, p.body)
	}
	return out
}

func (b *browser) exchange(client string, p page) issued {
	b.Helper()
	return b.redeem(client, url.Values{
		"grant_type": {"authorization_code"}, "code": {p.end.Get("code")}, "redirect_uri": {appURI}, "code_verifier": {strings.Repeat("v", 43)},
	})
}

func (b *browser) refresh(client string, was issued) issued {
	b.Helper()
	return b.redeem(client, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {was.RefreshToken}})
}

func refreshing(c *oauth.Config) { c.Refresh = []string{smart.KindPatient, smart.KindPractitioner} }

// register puts an app of patients in place of what it was.
func (s *stage) register(scope string) {
	s.Helper()
	c := smart.Client{ID: "app-p", Name: "App of patients", Device: "app-p", Scope: scope, State: smart.ClientActive, Read: true, RedirectURIs: []string{appURI}}
	text, err := c.Resource()
	if err != nil {
		s.Fatal(err)
	}
	s.store("Device", c.Device, string(text))
}

func TestARefreshIsNoMoreThanTheAppIsRegisteredForNow(t *testing.T) {
	t.Parallel()
	s := newStage(t, refreshing)
	s.account("koh", "Patient/p", false)
	s.register("openid launch/patient offline_access patient/*.rs")
	b := s.browser()
	scope := "openid launch/patient offline_access patient/Observation.rs patient/Patient.rs"
	got := b.exchange("app-p", b.fill(b.signIn(b.ask("app-p", scope), "koh"), "/agree", "decision", "allow"))
	if got = b.refresh("app-p", got); got.Scope != scope {
		t.Fatalf("refreshed %+v, want %s", got, scope)
	}
	s.register("openid launch/patient offline_access patient/Patient.rs")
	if got = b.refresh("app-p", got); got.Scope != "openid launch/patient offline_access patient/Patient.rs" {
		t.Errorf("refreshed %+v after less was registered", got)
	}
	s.register("user/Patient.rs")
	if got = b.refresh("app-p", got); got.Error != "invalid_scope" || got.AccessToken != "" {
		t.Errorf("refreshed %+v when nothing of it was registered", got)
	}
}

func TestAnotherPasswordEndsWhatTheOldOneOpened(t *testing.T) {
	t.Parallel()
	s := newStage(t, refreshing)
	s.account("koh", "Patient/p", false)
	s.register("openid launch/patient offline_access patient/*.rs")
	b := s.browser()
	got := b.exchange("app-p", b.fill(b.signIn(b.ask("app-p", "launch/patient offline_access patient/*.rs"), "koh"), "/agree", "decision", "allow"))
	if got = b.refresh("app-p", got); got.RefreshToken == "" {
		t.Fatalf("no refresh: %+v", got)
	}
	b.wants(b.ask("app-p", "launch/patient patient/*.rs"), 200, "Let this app")
	if err := s.accounts.SetPassword("koh", "another horse battery"); err != nil {
		t.Fatal(err)
	}
	b.wants(b.ask("app-p", "launch/patient patient/*.rs"), 200, "Name of your account")
	if got = b.refresh("app-p", got); got.Error != "invalid_grant" || got.AccessToken != "" {
		t.Errorf("refreshed %+v after the password was replaced", got)
	}
}

func TestOnlineAccessEndsWithTheSignIn(t *testing.T) {
	t.Parallel()
	s := newStage(t, refreshing)
	s.account("koh", "Patient/p", false)
	s.register("openid launch/patient offline_access online_access patient/*.rs")
	for _, c := range []struct{ access, want string }{{"online_access", "invalid_grant"}, {"offline_access", ""}} {
		b := s.browser()
		got := b.exchange("app-p", b.fill(b.signIn(b.ask("app-p", "launch/patient patient/*.rs "+c.access), "koh"), "/agree", "decision", "allow"))
		s.now = s.now.Add(time.Minute)
		if got = b.refresh("app-p", got); got.RefreshToken == "" {
			t.Fatalf("%s: %+v", c.access, got)
		}
		b.wants(b.fill(b.open("/auth/sign-out"), "/sign-out"), 200, "You are signed out")
		if got = b.refresh("app-p", got); got.Error != c.want || (got.AccessToken == "") != (c.want != "") {
			t.Errorf("%s after signing out: %+v, want error %q", c.access, got, c.want)
		}
	}
}

func TestNobodyAgreesToWhatAnotherWindowChose(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.put("EpisodeOfCare", "e-q", `"status":"active","patient":{"reference":"Patient/q"},"managingOrganization":{"reference":"Organization/a"}`)
	s.account("lim", "PractitionerRole/a2", true)
	b := s.browser()
	picker := b.signIn(b.ask("app-a", patientScope), "lim")
	first := b.wants(b.fill(b.fill(picker, "/patient", "number", "S1234567D"), "/patient", "patient", "p"), 200, "&lt;b&gt;p Koh")
	b.wants(b.fill(b.fill(picker, "/patient", "number", "S7654321F"), "/patient", "patient", "q"), 200, "&lt;b&gt;q Koh")
	again := b.wants(b.fill(first, "/agree", "decision", "allow"), 200, "Let this app", "&lt;b&gt;q Koh")
	if again.end != nil {
		t.Fatalf("who agreed on one patient's page gave another's record: %v", again.end)
	}
	if got := b.granted(b.fill(again, "/agree", "decision", "allow")); got.Patient != "q" {
		t.Errorf("granted %+v, want the patient shown", got)
	}
}

func TestACodeThatNobodyWasGivenLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	b := s.browser()
	before := s.recorded()
	for range 3 {
		if got := b.exchange("app-p", page{end: url.Values{"code": {"x"}}}); got.Error != "invalid_grant" {
			t.Fatalf("got %+v", got)
		}
	}
	if after := s.recorded(); after != before {
		t.Errorf("%d events were put on record for codes that nobody was given", after-before)
	}
}

// recorded is how many attempts in vain are on record.
func (s *stage) recorded() (n int) {
	s.Helper()
	bearer, err := s.keys.Mint(token.Claims{
		ID: "audit", Issuer: ownName, Subject: "ministry", Client: "ministry", Audience: []string{fhirBase}, Scope: "system/AuditEvent.rs",
		IssuedAt: s.now, Expires: s.now.Add(time.Hour), Kind: smart.KindRegulator, Purposes: []fhir.Coding{consent.AuditReview.Coding()},
	})
	if err != nil {
		s.Fatal(err)
	}
	b := s.browser()
	b.header.Set("Authorization", "Bearer "+bearer)
	p := b.open("/fhir/AuditEvent?outcome=4&_summary=count")
	var set struct{ Total int }
	if err := json.Unmarshal([]byte(p.body), &set); err != nil || p.status != http.StatusOK {
		s.Fatalf("%d %v %s", p.status, err, p.body)
	}
	return set.Total
}

func TestAuthorizationsAreNotBegunWithoutEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	b := s.browser()
	begin := func(address string) *httptest.ResponseRecorder {
		q := url.Values{
			"response_type": {"code"}, "client_id": {"app-p"}, "redirect_uri": {appURI}, "scope": {patientScope}, "state": {"x"}, "aud": {fhirBase},
			"code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"},
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/auth/authorize?"+q.Encode(), http.NoBody)
		r.RemoteAddr = address
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	for n := range 1201 {
		want := http.StatusSeeOther
		if n == 1200 {
			want = http.StatusTooManyRequests
		}
		if w := begin("192.0.2.7:1234"); w.Code != want || want == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
			t.Fatalf("request %d: %d, want %d", n+1, w.Code, want)
		}
	}
	if w := begin("192.0.2.8:1234"); w.Code != http.StatusSeeOther {
		t.Errorf("another address: %d", w.Code)
	}
	s.now = s.now.Add(time.Minute)
	if w := begin("192.0.2.7:1234"); w.Code != http.StatusSeeOther {
		t.Errorf("a minute later: %d", w.Code)
	}
	if p := b.ask("app-p", strings.Repeat("patient/Patient.rs ", 300)); p.end.Get("error") != "invalid_scope" {
		t.Errorf("a scope of %d bytes: %d %v", 19*300, p.status, p.end)
	}
}

func TestARoleThatEndsEndsCodesAndRefreshes(t *testing.T) {
	t.Parallel()
	s := newStage(t, refreshing)
	s.account("lim", "PractitionerRole/a2", false)
	role := func(active string) {
		s.put("PractitionerRole", "a2", `"active":`+active+`,"practitioner":{"reference":"Practitioner/lim"},"organization":{"reference":"Organization/a"},"code":`+roleCode)
	}
	b := s.browser()
	allow := func() page {
		return b.fill(b.ask("app-a", "offline_access user/*.rs"), "/agree", "decision", "allow")
	}
	b.signIn(b.ask("app-a", "offline_access user/*.rs"), "lim")
	got, waiting := b.exchange("app-a", allow()), allow()
	if got.RefreshToken == "" {
		t.Fatalf("no refresh token: %+v", got)
	}
	role("false")
	if late := b.exchange("app-a", waiting); late.Error != "invalid_grant" || late.AccessToken != "" {
		t.Errorf("a code was redeemed after the role had ended: %+v", late)
	}
	if late := b.refresh("app-a", got); late.Error != "invalid_grant" || late.AccessToken != "" {
		t.Errorf("refreshed after the role had ended: %+v", late)
	}
	role("true")
	if got = b.refresh("app-a", got); got.AccessToken == "" {
		t.Errorf("a refresh in vain used up the token: %+v", got)
	}
}
