package oauth_test

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/oauth"
)

const (
	idpOrigin = "https://idp.example"
	idpBase   = idpOrigin + "/fhir"
	idpSystem = "https://idp.example/number"
)

// federated are two servers: the one whose people sign in, and another that is
// their identity provider.
type federated struct {
	*stage
	idp *stage
	// meddle may change what the provider answers to the first.
	meddle func(*http.Response)
	down   bool
}

func (f *federated) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.down {
		return nil, io.ErrUnexpectedEOF
	}
	resp, err := f.idp.RoundTrip(r)
	if err == nil && f.meddle != nil {
		f.meddle(resp)
	}
	return resp, err
}

// newFederation has Dr Lim's account at the provider lead to her here.
func newFederation(t *testing.T, with func(*oauth.ProviderConfig)) *federated {
	t.Helper()
	f := &federated{idp: newStageAt(t, idpOrigin, nil)}
	f.stage = newStage(t, func(c *oauth.Config) {
		cfg := oauth.ProviderConfig{
			Name: "the Ministry's login", Issuer: idpBase, ClientID: "nehr", Scopes: []string{"fhirUser"}, Parameters: url.Values{"aud": {idpBase}},
			Claim: oauth.ProviderClaim{Name: "sub", System: idpSystem, Kinds: []fhir.ResourceType{"Practitioner", "Patient"}}, Transport: f,
		}
		if with != nil {
			with(&cfg)
		}
		p, err := oauth.NewProvider(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.Provider, c.Accounts = p, nil
	})
	f.world["idp.example"] = f.idp.handler
	rp := smart.Client{
		ID: "nehr", Name: "The health record", Device: "nehr", Organization: "a", State: smart.ClientActive, Read: true,
		RedirectURIs: []string{origin + "/auth/callback"}, Scope: "openid fhirUser",
	}
	text, err := rp.Resource()
	if err != nil {
		t.Fatal(err)
	}
	f.idp.store("Device", "nehr", string(text))
	f.idp.account("lim", "PractitionerRole/a2", true)
	f.secrets["lim"] = f.idp.secrets["lim"]
	f.put("Practitioner", "lim", `"active":true,"name":[{"text":"Dr lim"}],"identifier":[{"system":"`+idpSystem+`","value":"PractitionerRole/a2"}]`)
	return f
}

// pass moves both clocks.
func (f *federated) pass(d time.Duration) { f.now, f.idp.now = f.now.Add(d), f.idp.now.Add(d) }

var buttonPattern = regexp.MustCompile(`<a class="button" href="([^"]*)">`)

// press follows the link that looks like a button.
func (b *browser) press(p page) page {
	b.Helper()
	m := buttonPattern.FindStringSubmatch(p.body)
	if m == nil {
		b.Fatalf("no button on %s (%d):\n%s", p.at, p.status, p.body)
	}
	return b.open(p.at.Scheme + "://" + p.at.Host + html.UnescapeString(m[1]))
}

// atProvider signs in and agrees at the provider.
func (b *browser) atProvider(p page, name string) page {
	b.Helper()
	if p = b.press(p); strings.Contains(p.body, "Name of your account") {
		p = b.signIn(p, name)
	}
	return b.fill(b.wants(p, 200, "The health record"), "/agree", "decision", "allow")
}

func TestOneSignsInWithTheProvider(t *testing.T) {
	t.Parallel()
	f := newFederation(t, nil)
	b := f.browser()
	p := b.wants(b.ask("app-a", patientScope), 200, "Sign in with the Ministry&#39;s login")
	b.lacks(p, "Password")
	f.pass(time.Second)
	signedIn := f.now
	p = b.wants(b.atProvider(p, "lim"), 200, "Whose record?", "Dr lim")
	f.pass(time.Second)
	p = b.fill(b.fill(p, "/patient", "number", "S1234567D"), "/patient", "patient", "p")
	got := b.granted(b.fill(p, "/agree", "decision", "allow"))
	want := granted{
		Kind: "practitioner", User: "PractitionerRole/a2", Organization: "a", Patient: "p", Scope: patientScope,
		ACR: "https://refeds.org/profile/mfa", Account: idpBase + "#PractitionerRole/a2", AuthTime: signedIn,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("granted (-want +got):\n%s", diff)
	}
	b.wants(b.ask("app-a", patientScope), 200, "Whose record?") // the session is ours
}

func TestWhoMustSignInAgainDoesSoAtTheProvider(t *testing.T) {
	t.Parallel()
	f := newFederation(t, nil)
	b := f.browser()
	b.wants(b.atProvider(b.ask("app-a", patientScope), "lim"), 200, "Whose record?")
	f.pass(10 * time.Minute)
	for _, more := range [][]string{{"prompt", "login"}, {"max_age", "0"}, {"max_age", "300"}} {
		p := b.wants(b.ask("app-a", patientScope, more...), 200, "Sign in with")
		p = b.wants(b.press(p), 200, "Name of your account") // although there is a session there
		b.wants(b.fill(b.wants(b.signIn(p, "lim"), 200, "The health record"), "/agree", "decision", "allow"), 200, "Whose record?")
		f.pass(10 * time.Minute)
	}
	p := b.fill(b.wants(b.ask("app-a", patientScope), 200, "Whose record?"), "/sign-out")
	b.wants(b.press(b.wants(p, 200, "Sign in with")), 200, "Name of your account") // or it would be the same one again
}

func TestAnAnswerOfTheProviderIsForOneBrowserAndOnce(t *testing.T) {
	t.Parallel()
	f := newFederation(t, nil)
	b := f.browser()
	callback := ""
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/auth/callback" {
			callback = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.atProvider(b.ask("app-a", patientScope), "lim")
	thief := f.browser()
	thief.ask("app-a", patientScope)
	thief.wants(thief.open(callback), 400, "This sign-in is over")
	thief.wants(thief.open(strings.Replace(callback, "state=", "state=x", 1)), 400)
	thief.wants(thief.open("/auth/callback"), 400)

	b.wants(b.open(callback), 200, "Whose record?")
	b.wants(b.open(callback), 400)
}

func TestWhatTheProviderSaysIsLookedAt(t *testing.T) {
	t.Parallel()
	f := newFederation(t, nil)
	for name, c := range map[string]struct {
		claims map[string]any // those of the id_token that are others
		status int
		text   string
	}{
		"as it is":            {nil, 200, "Whose record?"},
		"nonce of another":    {map[string]any{"nonce": "x"}, 403, "did not confirm"},
		"no nonce":            {map[string]any{"nonce": nil}, 403, "did not confirm"},
		"for somebody else":   {map[string]any{"aud": "other"}, 403, "did not confirm"},
		"for several":         {map[string]any{"aud": []string{"nehr", "other"}}, 403, "did not confirm"},
		"for several, to us":  {map[string]any{"aud": []string{"nehr", "other"}, "azp": "nehr"}, 200, "Whose record?"},
		"to somebody else":    {map[string]any{"azp": "other"}, 403, "did not confirm"},
		"of another issuer":   {map[string]any{"iss": "https://evil.example"}, 403, "did not confirm"},
		"expired":             {map[string]any{"exp": 1}, 403, "did not confirm"},
		"of nobody here":      {map[string]any{"sub": "PractitionerRole/a1"}, 403, "Nobody here goes with your account"},
		"without the claim":   {map[string]any{"sub": 7}, 403, "did not confirm"},
		"not authenticated":   {map[string]any{"auth_time": nil}, 403, "did not confirm"},
		"authenticated early": {map[string]any{"auth_time": f.now.Add(-time.Hour).Unix()}, 403, "did not confirm"},
	} {
		f.pass(time.Minute)
		f.meddle = func(resp *http.Response) { f.claim(resp, c.claims) }
		b := f.browser()
		p := b.atProvider(b.ask("app-a", patientScope, "max_age", "60"), "lim")
		if p.status != c.status || !strings.Contains(p.body, c.text) {
			t.Errorf("an id_token %s: %d, want %d with %q\n%s", name, p.status, c.status, c.text, p.body)
		}
		b.lacks(p, "PractitionerRole/a1")
	}
}

// claim puts other claims into an id_token in an answer, which is signed anew.
func (f *federated) claim(resp *http.Response, claims map[string]any) {
	f.Helper()
	var answer map[string]any
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err := json.Unmarshal(body, &answer); err != nil || answer["id_token"] == nil {
		return
	}
	set := payload(f, answer["id_token"].(string))
	for name, value := range claims {
		set[name] = value
		if value == nil {
			delete(set, name)
		}
	}
	signed, err := f.idp.keys.MintID(set)
	if err != nil {
		f.Fatal(err)
	}
	answer["id_token"] = signed
	if body, err = json.Marshal(answer); err != nil {
		f.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
}

func TestAnswersOfOthersAreNotTheProviders(t *testing.T) {
	t.Parallel()
	f := newFederation(t, nil)
	for _, iss := range []string{"https://evil.example", "", "twice", "none"} {
		b := f.browser()
		b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if r.URL.Path != "/auth/callback" {
				return nil
			}
			q := r.URL.Query()
			switch iss {
			case "none":
				q.Del("iss")
			case "twice":
				q.Add("iss", "https://evil.example")
			default:
				q.Set("iss", iss)
			}
			r.URL.RawQuery = q.Encode()
			return nil
		}
		b.wants(b.atProvider(b.ask("app-a", patientScope), "lim"), 403, "did not confirm")
		f.pass(time.Minute)
	}
	b := f.browser() // who does not agree there is told so here
	p := b.signIn(b.press(b.ask("app-a", patientScope)), "lim")
	p = b.wants(b.fill(p, "/agree", "decision", "deny"), 403, "You were not signed in", "Sign in again")
	b.wants(b.press(p), 200, "Sign in with")
}

func TestAProviderThatIsDownIsAskedAgain(t *testing.T) {
	t.Parallel()
	f := newFederation(t, nil)
	f.down = true
	b := f.browser()
	p := b.ask("app-a", patientScope)
	b.wants(b.press(p), 503, "does not answer")
	f.down = false
	b.wants(b.press(p), 503, "does not answer") // not with every request
	f.pass(5 * time.Second)
	b.wants(b.atProvider(p, "lim"), 200, "Whose record?")
}

func TestAClaimMayBeAReferenceOfThisServer(t *testing.T) {
	t.Parallel()
	f := newFederation(t, func(c *oauth.ProviderConfig) { c.Claim = oauth.ProviderClaim{} })
	b := f.browser()
	b.wants(b.atProvider(b.ask("app-a", patientScope), "lim"), 403, "Nobody here goes with your account") // it is one of the other server
	f.pass(time.Minute)
	f.meddle = func(resp *http.Response) { f.claim(resp, map[string]any{"fhirUser": fhirBase + "/Practitioner/lim"}) }
	b.wants(b.atProvider(b.ask("app-a", patientScope), "lim"), 200, "Whose record?")
	f.pass(time.Minute)
	f.meddle = func(resp *http.Response) { f.claim(resp, map[string]any{"fhirUser": "Device/nehr"}) }
	b = f.browser()
	b.wants(b.atProvider(b.ask("app-a", patientScope), "lim"), 403, "Nobody here goes with your account")
}

func TestAnIdentifierOfTwoPeopleIsNobodys(t *testing.T) {
	t.Parallel()
	f := newFederation(t, nil)
	f.put("Patient", "q", `"active":true,"identifier":[{"system":"`+idpSystem+`","value":"PractitionerRole/a2"}]`)
	b := f.browser()
	b.lacks(b.wants(b.atProvider(b.ask("app-a", patientScope), "lim"), 403, "exactly one person"), "Dr lim")
}

func TestAProviderIsConfiguredWhole(t *testing.T) {
	t.Parallel()
	good := oauth.ProviderConfig{Issuer: "https://idp.example", ClientID: "x"}
	if _, err := oauth.NewProvider(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*oauth.ProviderConfig){
		"http":      func(c *oauth.ProviderConfig) { c.Issuer = "http://idp.example" },
		"no issuer": func(c *oauth.ProviderConfig) { c.Issuer = "" },
		"no client": func(c *oauth.ProviderConfig) { c.ClientID = "" },
		"no kinds":  func(c *oauth.ProviderConfig) { c.Claim = oauth.ProviderClaim{Name: "sub", System: "x"} },
		"other kinds": func(c *oauth.ProviderConfig) {
			c.Claim = oauth.ProviderClaim{Name: "sub", System: "x", Kinds: []fhir.ResourceType{"Device"}}
		},
	} {
		c := good
		change(&c)
		if _, err := oauth.NewProvider(c); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}
