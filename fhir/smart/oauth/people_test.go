package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/oauth"
	"vitrine/fhir/smart/token"
)

const patientScope = "openid fhirUser launch/patient patient/Observation.rs patient/Patient.rs"

func TestAPatientSignsInAndAgrees(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	p := b.wants(b.ask("app-p", patientScope), 200, "App of patients", "Name of your account")
	p = b.wants(b.signIn(p, "koh"), 200, "App of patients", "Your own", "See measurements and test results in this one record.", "Know who you are.", "15 minutes")
	p = b.fill(p, "/agree", "decision", "allow")
	want := granted{Kind: "patient", User: "Patient/p", Patient: "p", Scope: patientScope, ACR: "https://refeds.org/profile/sfa", Account: "koh", AuthTime: s.now}
	if diff := cmp.Diff(want, b.granted(p)); diff != "" {
		t.Errorf("granted (-want +got):\n%s", diff)
	}
	// The request is over with it.
	b.wants(b.open("/auth/agree?request="+url.QueryEscape(p.at.Query().Get("request"))), 400)
}

func TestWhatIsNotTickedIsNotGranted(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	p := b.signIn(b.ask("app-p", patientScope), "koh")
	address, form, _ := formIn(p.body, "/agree")
	form["scope"] = []string{"patient/Patient.rs", "user/*.cruds", "patient/*.rs"} // the last two were not asked for
	form.Set("decision", "allow")
	if got := b.granted(b.send(http.MethodPost, address, form)).Scope; got != "openid fhirUser launch/patient patient/Patient.rs" {
		t.Errorf("granted %q, want only what was asked for and ticked", got)
	}
}

func TestWhoDoesNotAgreeGivesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	p := b.fill(b.signIn(b.ask("app-p", patientScope), "koh"), "/agree", "decision", "deny")
	if p.end.Get("error") != "access_denied" || p.end.Get("code") != "" || p.end.Get("state") != "state-of-the-app" {
		t.Errorf("the app gets %v, want access_denied", p.end)
	}
}

func TestAPractitionerPicksAPatientWithinTheUniverse(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("lim", "PractitionerRole/a2", true)
	b := s.browser()
	p := b.wants(b.signIn(b.ask("app-a", patientScope), "lim"), 200, "Whose record?", "Dr lim")
	b.lacks(p, "Koh") // nobody is listed unasked
	found := b.wants(b.fill(p, "/patient", "number", " s1234567d "), 200, "Patients found", "&lt;b&gt;p Koh", "1980-02-03")
	b.lacks(found, "<b>p", "S7654321F")
	for _, name := range []string{"koh", "koh ah p", "P Ah"} { // in any order, also of a name that is one text
		b.wants(b.fill(p, "/patient", "name", name, "birth-date", "1980-02-03"), 200, "Patients found", "&lt;b&gt;p Koh")
	}
	b.wants(b.fill(p, "/patient", "name", "koh lee", "birth-date", "1980-02-03"), 200, "Nobody found")

	// q, who is registered elsewhere, and one who is nowhere are the same page.
	there, nowhere := b.fill(p, "/patient", "number", "S7654321F"), b.fill(p, "/patient", "number", "S0000001I")
	if a, z := strings.ReplaceAll(there.body, "S7654321F", "S0000001I"), nowhere.body; a != z || there.status != nowhere.status {
		t.Errorf("one who may not be seen is told from one who is not:\n%s", cmp.Diff(z, a))
	}
	b.wants(there, 200, "Nobody found")
	if a, z := b.fill(p, "/patient", "patient", "q").body, b.fill(p, "/patient", "patient", "nowhere").body; a != z || !strings.Contains(a, "Nobody found") {
		t.Errorf("the id of one who may not be seen is told from that of nobody:\n%s", cmp.Diff(z, a))
	}
	b.wants(b.fill(p, "/patient", "number", "S12"), 422, "An NRIC or FIN has")
	b.wants(b.fill(p, "/patient", "name", "koh"), 422, "Give the date of birth")
	b.wants(b.fill(p, "/patient"), 422, "Give an NRIC or FIN")
	b.wants(b.open("/auth/agree?request="+url.QueryEscape(p.at.Query().Get("request"))), 200, "Whose record?")

	p = b.wants(b.fill(found, "/patient", "patient", "p"), 200, "Let this app", "App &lt;of&gt; A", "&lt;b&gt;p Koh", "An app of Clinic A")
	want := granted{Kind: "practitioner", User: "PractitionerRole/a2", Organization: "a", Patient: "p", Scope: patientScope, ACR: "https://refeds.org/profile/mfa", Account: "lim", AuthTime: s.now}
	if diff := cmp.Diff(want, b.granted(b.fill(p, "/agree", "decision", "allow"))); diff != "" {
		t.Errorf("granted (-want +got):\n%s", diff)
	}
}

func TestOneChoosesAmongSeveralCapacitiesThatTheAppServes(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("tan", "Practitioner/tan", true)
	s.put("PractitionerRole", "a9", `"active":true,"practitioner":{"reference":"Practitioner/tan"},"organization":{"reference":"Organization/a"},"code":`+roleCode)
	b := s.browser()
	p := b.wants(b.signIn(b.ask("app-a", "openid user/*.rs"), "tan"), 200, "more than one way", "PractitionerRole/a1 a ", "PractitionerRole/a9 a ")
	b.lacks(p, "PractitionerRole/b1") // which is another organisation's
	b.wants(b.fill(p, "/choose", "capacity", "PractitionerRole/b1 b "), 422, "Choose one.")
	b.wants(b.fill(p, "/choose"), 422, "Choose one.")
	p = b.fill(b.wants(b.fill(p, "/choose", "capacity", "PractitionerRole/a9 a "), 200, "Let this app"), "/agree", "decision", "allow")
	if got := b.granted(p); got.User != "PractitionerRole/a9" || got.Organization != "a" || got.Patient != "" {
		t.Errorf("granted %+v, want the role chosen", got)
	}
}

func TestAnAppServesItsOwnOrganisationAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("lim", "PractitionerRole/a2", true)
	s.account("koh", "Patient/p", false)
	for _, c := range []struct{ client, name string }{{"app-b", "lim"}, {"app-p", "lim"}} {
		b := s.browser()
		p := b.wants(b.signIn(b.ask(c.client, "openid launch/patient patient/*.rs"), c.name), 403, "You cannot use this app")
		if p = b.fill(p, "/agree", "decision", "deny"); p.end.Get("error") != "access_denied" {
			t.Errorf("%s: the app gets %v, want access_denied", c.client, p.end)
		}
		s.now = s.now.Add(time.Minute)
	}
	b := s.browser() // one's own record is open in any app
	p := b.wants(b.signIn(b.ask("app-b", patientScope), "koh"), 200, "An app of Clinic B", "Your own")
	if got := b.granted(b.fill(p, "/agree", "decision", "allow")); got.Organization != "" || got.Patient != "p" {
		t.Errorf("granted %+v, want the own record and no organisation", got)
	}
}

func TestWhatIsWrongWithASignInIsNotSaid(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("lim", "PractitionerRole/a2", true)
	s.account("off", "Patient/p", false)
	if err := s.accounts.SetDisabled("off", true); err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	p := b.ask("app-a", patientScope)
	var bodies []string
	for _, c := range []struct{ name, password, code string }{
		{"lim", "wrong", s.code("lim")},
		{"lim", password, "000000"},
		{"lim", password, ""},
		{"nobody", password, "000000"},
		{"off", password, ""},
		{strings.Repeat("x", 300), "", ""},
	} {
		got := b.wants(b.fill(p, "/sign-in", "name", c.name, "password", c.password, "code", c.code), 422)
		bodies = append(bodies, strings.Replace(got.body, `value="`+c.name+`"`, "", 1))
	}
	for _, body := range bodies[1:] {
		if body != bodies[0] {
			t.Errorf("two failures are told apart:\n%s", cmp.Diff(bodies[0], body))
		}
	}
	b.wants(b.signIn(p, "lim"), 200, "Whose record?") // and the permit beside them
}

func TestACodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("lim", "PractitionerRole/a2", true)
	code := s.code("lim")
	b := s.browser()
	b.wants(b.fill(b.ask("app-a", patientScope), "/sign-in", "name", "lim", "password", password, "code", code[:3]+" "+code[3:]), 200, "Whose record?")
	other := s.browser()
	p := other.ask("app-a", patientScope)
	other.wants(other.fill(p, "/sign-in", "name", "lim", "password", password, "code", code), 422)
	s.now = s.now.Add(30 * time.Second)
	other.wants(other.fill(p, "/sign-in", "name", "lim", "password", password, "code", code), 422)
	other.wants(other.signIn(p, "lim"), 200, "Whose record?")
}

func TestAnAccountPausesAfterFailures(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	wait := func(d time.Duration) page { // in a request of its own, since they end
		s.now = s.now.Add(d)
		return b.ask("app-p", patientScope)
	}
	p := wait(0)
	for range 4 {
		b.wants(b.fill(p, "/sign-in", "name", "koh", "password", "wrong"), 422)
	}
	b.wants(b.signIn(p, "koh"), 200, "Let this app") // four are forgotten
	b = s.browser()
	p = wait(0)
	for range 5 {
		b.wants(b.fill(p, "/sign-in", "name", "koh", "password", "wrong"), 422)
	}
	b.wants(b.signIn(p, "koh"), 422) // although it is right
	b.wants(b.signIn(wait(59*time.Second), "koh"), 422)
	for _, pause := range []time.Duration{time.Second, 2 * time.Minute, 4 * time.Minute} {
		p = wait(pause)
		b.wants(b.fill(p, "/sign-in", "name", "koh", "password", "wrong"), 422)
		b.wants(b.signIn(p, "koh"), 422)
	}
	b.wants(b.signIn(wait(8*time.Minute-time.Second), "koh"), 422)
	b.wants(b.signIn(wait(time.Second), "koh"), 200, "Let this app")
}

func TestManyTriesAtOnceAreNoMoreThanOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	pages := make([]page, 12)
	browsers := make([]*browser, len(pages))
	for i := range pages {
		browsers[i] = s.browser()
		pages[i] = browsers[i].ask("app-p", patientScope)
	}
	var wg sync.WaitGroup
	for i := range pages {
		wg.Go(func() { browsers[i].fill(pages[i], "/sign-in", "name", "koh", "password", "wrong") })
	}
	wg.Wait()
	text, err := s.door.Recall(t.Context(), "tries/"+hashed("koh"), s.now)
	if err != nil || !strings.Contains(string(text), `"Count":5`) {
		t.Errorf("kept of twelve tries at once: %s, %v; want that five were judged", text, err)
	}
}

func TestAnAddressThatFailsTooOftenIsNotHeard(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	p := b.ask("app-p", patientScope)
	failures := []byte(`{"Count":59,"Until":"2026-09-01T10:10:00Z"}`) // with names of their own
	err := s.door.Remember(t.Context(), s.now, func(m smart.Memory) error {
		return m.Keep("tries-address/192.0.2.1", failures, s.now.Add(10*time.Minute))
	})
	if err != nil {
		t.Fatal(err)
	}
	b.wants(b.fill(p, "/sign-in", "name", "nobody", "password", "wrong"), 422)
	got := b.wants(b.signIn(p, "koh"), 429, "Too many sign-ins")
	if got.header.Get("Retry-After") != "601" {
		t.Errorf("Retry-After %q, want the rest of the span", got.header.Get("Retry-After"))
	}
	s.now = s.now.Add(10 * time.Minute)
	b.wants(b.signIn(b.ask("app-p", patientScope), "koh"), 200, "Let this app")
}

func TestAFormIsGoodInItsOwnBrowserAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	p := b.ask("app-p", patientScope)
	address, form, _ := formIn(p.body, "/sign-in")
	form.Set("name", "koh")
	form.Set("password", password)

	thief := s.browser() // has the handle, and not the cookie
	thief.wants(thief.open(p.at.String()), 400, "This sign-in is over")
	thief.wants(thief.send(http.MethodPost, address, form), 400)
	thief.ask("app-p", patientScope) // and with a cookie of its own
	thief.wants(thief.open(p.at.String()), 400)

	b.wants(b.fill(p, "/sign-in", "name", "koh", "password", password, "token", ""), 403)
	b.wants(b.fill(p, "/sign-in", "name", "koh", "password", password, "token", "x"), 403)
	b.header.Set("Origin", "https://evil.example")
	b.wants(b.send(http.MethodPost, address, form), 403)
	b.header = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	b.wants(b.send(http.MethodPost, address, form), 403)
	b.header = http.Header{"Origin": {origin}, "Sec-Fetch-Site": {"same-origin"}}
	agreement := b.wants(b.send(http.MethodPost, address, form), 200, "Let this app")

	// The form of the sign-in is worth nothing on the next page, nor another's.
	b.wants(b.fill(agreement, "/agree", "decision", "allow", "token", form.Get("token")), 403)
	b.granted(b.fill(agreement, "/agree", "decision", "allow"))
}

func TestASessionHasANewIDAndAnEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	cookies := func() string {
		u, _ := url.Parse(origin + "/auth/")
		for _, c := range b.client.Jar.Cookies(u) {
			if c.Name == "__Secure-vitrine-session" {
				return c.Value
			}
		}
		return ""
	}
	planted := strings.Repeat("A", 43)
	u, _ := url.Parse(origin + "/auth/")
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Secure-vitrine-session", Value: planted, Path: "/auth", Secure: true}})
	b.wants(b.signIn(b.ask("app-p", patientScope), "koh"), 200)
	first := cookies()
	if first == planted || first == "" {
		t.Fatalf("the session's id after signing in is %q", first)
	}
	b.wants(b.ask("app-p", patientScope), 200, "Let this app") // signed in already
	b.wants(b.signIn(b.ask("app-p", patientScope, "prompt", "login"), "koh"), 200, "Let this app")
	second := cookies()
	if second == first {
		t.Error("signing in again keeps the session's id")
	}
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Secure-vitrine-session", Value: first, Path: "/auth", Secure: true}})
	b.wants(b.ask("app-p", patientScope), 200, "Name of your account") // the old one is dead
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Secure-vitrine-session", Value: second, Path: "/auth", Secure: true}})
	s.now = s.now.Add(time.Hour - time.Second)
	b.wants(b.ask("app-p", patientScope), 200, "Let this app")
	s.now = s.now.Add(time.Second)
	b.wants(b.ask("app-p", patientScope), 200, "Name of your account")
}

func TestWhoIsSignedOutIsOut(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	p := b.signIn(b.ask("app-p", patientScope), "koh")
	b.wants(b.send(http.MethodPost, "/auth/sign-out", url.Values{"token": {"x"}}), 403)
	b.wants(b.open(p.at.String()), 200, "Let this app")
	b.wants(b.fill(p, "/sign-out"), 200, "Name of your account") // somebody else signs in
	b.wants(b.send(http.MethodPost, p.at.Path, url.Values{"request": {p.at.Query().Get("request")}, "decision": {"allow"}}), 200, "Name of your account")

	b.signIn(b.ask("app-p", patientScope), "koh")
	b.wants(b.fill(b.wants(b.open("/auth/sign-out"), 200), "/sign-out"), 200, "You are signed out")
	b.wants(b.open("/auth/sign-out"), 200, "Nobody is signed in")
}

func TestADisabledAccountIsOutAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	p := b.wants(b.signIn(b.ask("app-p", patientScope), "koh"), 200, "Let this app")
	if err := s.accounts.SetDisabled("koh", true); err != nil {
		t.Fatal(err)
	}
	if p = b.fill(p, "/agree", "decision", "allow"); p.end != nil || !strings.Contains(p.body, "Name of your account") {
		t.Errorf("a disabled account agrees: %v\n%s", p.end, p.body)
	}
}

func TestPromptAndAgeOfASignIn(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	if p := b.ask("app-p", patientScope, "prompt", "none"); p.end.Get("error") != "login_required" {
		t.Errorf("prompt=none, signed out: %v, want login_required", p.end)
	}
	b.signIn(b.ask("app-p", patientScope), "koh")
	if p := b.ask("app-p", patientScope, "prompt", "none"); p.end.Get("error") != "consent_required" {
		t.Errorf("prompt=none, signed in: %v, want consent_required", p.end)
	}
	s.now = s.now.Add(time.Minute)
	b.wants(b.ask("app-p", patientScope, "max_age", "60"), 200, "Let this app")
	b.wants(b.ask("app-p", patientScope, "max_age", "59"), 200, "Name of your account")
	p := b.ask("app-p", patientScope, "max_age", "0")
	b.wants(b.signIn(p, "koh"), 200, "Let this app") // and does not ask for ever
	p = b.wants(b.ask("app-p", patientScope, "prompt", "login"), 200, "Name of your account")
	b.wants(b.open("/auth/agree?"+p.at.RawQuery), 200, "Name of your account") // no way around
}

func TestEveryPageIsHardened(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("koh", "Patient/p", false)
	b := s.browser()
	first := b.ask("app-p", patientScope)
	second := b.signIn(first, "koh")
	for _, p := range []page{first, second, b.open("/auth/sign-out"), b.open("/auth/agree"), b.open("/auth/sign-in?request=%3Cscript%3E")} {
		csp := p.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy %q lacks %s", p.at, csp, want)
			}
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Cross-Origin-Opener-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := p.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", p.at, name, got, want)
			}
		}
		if regexp.MustCompile(`(?i)<script|style=| on[a-z]+=`).MatchString(p.body) {
			t.Errorf("%s has a script or a style in it:\n%s", p.at, p.body)
		}
	}
	for redirect, want := range map[string]string{
		"https://app.example/back?x=1": " https://app.example;", "http://127.0.0.1:8080/cb": " http://127.0.0.1:8080;",
		"com.example.app:/signed-in": " com.example.app:;", "http://[::1]:8080/cb": " http:;",
	} {
		if csp := oauth.PagePolicy(redirect); !strings.Contains(csp, "form-action 'self'"+want) {
			t.Errorf("a form may end at %s: %q, want %q", redirect, csp, want)
		}
	}
	if csp := second.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://app.example;") {
		t.Errorf("the form may not end at the app: %q", csp)
	}
	b.wants(b.open("/auth/nowhere"), 404)
	u, _ := url.Parse(origin + "/auth/")
	if got := b.client.Jar.Cookies(u); len(got) != 2 {
		t.Errorf("%d cookies below /auth, want 2", len(got))
	}
	u, _ = url.Parse(origin + "/fhir/")
	if got := b.client.Jar.Cookies(u); len(got) != 0 {
		t.Errorf("the FHIR base gets cookies: %v", got)
	}
}

func TestCookiesAreHardened(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+"/auth/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"app-p"}, "redirect_uri": {appURI}, "scope": {"openid"}, "state": {"s"}, "aud": {fhirBase},
		"code_challenge": {strings.Repeat("x", 43)}, "code_challenge_method": {"S256"},
	}.Encode(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := inner{s.handler}.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	got := resp.Cookies()
	if len(got) != 1 || !got[0].HttpOnly || !got[0].Secure || got[0].SameSite != http.SameSiteLaxMode || got[0].Path != "/auth" || got[0].Domain != "" || !strings.HasPrefix(got[0].Name, "__Secure-") {
		t.Errorf("cookies %v", got)
	}
}

func TestNobodySignsInByAnAccountWhereThereAreNone(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(c *oauth.Config) { c.Accounts = nil })
	b := s.browser()
	if p := b.ask("app-p", patientScope); p.status != http.StatusNotFound && strings.Contains(p.body, "Name of your account") {
		t.Errorf("%d:\n%s", p.status, p.body)
	}
}

// launched asks for a launch as the EMR in which a doctor has a patient open.
func (s *stage) launched(app, user, org, patient string) string {
	s.Helper()
	bearer, err := s.keys.Mint(token.Claims{
		ID: "j", Issuer: ownName, Subject: user, Client: "emr", Audience: []string{fhirBase}, Scope: "user/*.rs", User: user,
		Organization: "Organization/" + org, Purposes: []fhir.Coding{consent.Treatment.Coding()}, IssuedAt: s.now, Expires: s.now.Add(time.Hour),
	})
	if err != nil {
		s.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, origin+"/auth/launch", strings.NewReader(url.Values{"client_id": {app}, "patient": {patient}}.Encode()))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := inner{s.handler}.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct{ Launch string }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.Launch == "" {
		s.Fatalf("launch: %d, %v", resp.StatusCode, err)
	}
	return out.Launch
}

func TestALaunchSignsInWhomItWasIssuedForAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.account("lim", "PractitionerRole/a2", true)
	s.account("tan", "Practitioner/tan", true)
	s.account("koh", "Patient/p", false)
	scope := "openid fhirUser launch patient/Observation.rs"
	for _, wrong := range []string{"lim", "koh"} {
		b := s.browser()
		p := b.signIn(b.ask("app-a", scope, "launch", s.launched("app-a", "PractitionerRole/a1", "a", "p")), wrong)
		b.lacks(b.wants(p, 403, "Somebody else must sign in", "Sign in as somebody else"), "tan", "Koh")
		if end := b.fill(p, "/agree", "decision", "allow"); end.end != nil || end.status != 403 {
			t.Errorf("%s agrees in another's place: %v", wrong, end.end)
		}
		p = b.wants(b.fill(p, "/sign-out"), 200, "Name of your account")
		p = b.wants(b.signIn(p, "tan"), 200, "Let this app", "&lt;b&gt;p Koh", "Dr tan") // no choice of role, no picker
		want := granted{Kind: "practitioner", User: "PractitionerRole/a1", Organization: "a", Patient: "p", Scope: scope, ACR: "https://refeds.org/profile/mfa", Account: "tan", AuthTime: s.now}
		if diff := cmp.Diff(want, b.granted(b.fill(p, "/agree", "decision", "allow"))); diff != "" {
			t.Errorf("granted (-want +got):\n%s", diff)
		}
		s.now = s.now.Add(time.Minute) // for another code
	}
	// A patient whom the doctor may not see is not named, and not told from nobody.
	b := s.browser()
	there := b.signIn(b.ask("app-a", scope, "launch", s.launched("app-a", "PractitionerRole/a1", "a", "q")), "tan")
	b.lacks(b.wants(there, 200, "The patient that is open in the system you came from"), "q Koh")
	b.wants(b.send(http.MethodPost, "/auth/patient", picking(there, "p")), 403) // nor another taken
}

// picking is the form of a patient, made of the agreement's.
func picking(p page, id string) url.Values {
	_, form, _ := formIn(p.body, "/agree")
	form.Set("patient", id)
	return form
}

func TestOtherAddressesAreNobodys(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	for _, c := range []struct{ method, path, media, want string }{
		{"GET", "/auth/", "text/html; charset=utf-8", "There is no such page"},
		{"GET", "/auth/token/", "text/html; charset=utf-8", "There is no such page"},
		{"POST", "/auth/token/", "application/json", `"error":"invalid_request"`},
		{"PUT", "/auth/sign-in", "application/json", `"error":"invalid_request"`},
	} {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != 404 || w.Header().Get("Content-Type") != c.media || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: %d %v %s, want 404 and %q", c.method, c.path, w.Code, w.Header(), w.Body, c.want)
		}
	}
}

func TestARepresentativeActsForOneRecord(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.put("RelatedPerson", "mother", `"active":true,"patient":{"reference":"Patient/p"},"name":[{"text":"Mdm Ong"}],`+
		`"extension":[{"url":"https://vitrine.example/StructureDefinition/nehr-authority","valueCode":"family"}]`)
	s.account("ong", "RelatedPerson/mother", false)
	b := s.browser()
	p := b.wants(b.signIn(b.ask("app-p", patientScope), "ong"), 200, "Let this app", "Mdm Ong", "&lt;b&gt;p Koh")
	want := granted{Kind: "representative", User: "RelatedPerson/mother", Patient: "p", Scope: patientScope, ACR: "https://refeds.org/profile/sfa", Account: "ong", AuthTime: s.now}
	agreed := b.fill(p, "/agree", "decision", "allow")
	if diff := cmp.Diff(want, b.granted(agreed)); diff != "" {
		t.Errorf("granted (-want +got):\n%s", diff)
	}
	s.put("RelatedPerson", "mother", `"active":false,"patient":{"reference":"Patient/p"}`)
	b.wants(b.ask("app-p", patientScope), 403, "You cannot use this app") // at once
}
