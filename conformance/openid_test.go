package conformance

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

// TestGoClientsCompleteTheirs takes the code flow with PKCE through
// golang.org/x/oauth2 and has coreos/go-oidc verify the id_token, as an app in Go
// would. The person at the forms is played over HTTP.
func TestGoClientsCompleteTheirs(t *testing.T) {
	t.Parallel()
	p := newPeople(t, newCast(t))
	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, p.base)
	if err != nil {
		t.Fatal(err)
	}
	app := &oauth2.Config{
		ClientID: "diary", Endpoint: provider.Endpoint(), RedirectURL: p.app + "/kit.html",
		Scopes: []string{oidc.ScopeOpenID, "fhirUser", "launch/patient", oidc.ScopeOfflineAccess, "patient/Observation.rs"},
	}
	verifier := oauth2.GenerateVerifier()
	address := app.AuthCodeURL("a state of the app", oauth2.SetAuthURLParam("aud", p.base), oidc.Nonce("a nonce"), oauth2.S256ChallengeOption(verifier))
	back := p.signsInAndAgrees(address, "koh")
	if back.Get("state") != "a state of the app" || back.Get("iss") != p.base {
		t.Fatalf("back with %v", back)
	}
	if _, err := app.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier())); err == nil {
		t.Error("a code is redeemed with another verifier")
	}
	back = p.signsInAndAgrees(address, "koh") // one that was tried in vain is used up
	answer, err := app.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := answer.Extra("id_token").(string)
	token, err := provider.Verifier(&oidc.Config{ClientID: "diary"}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ FHIRUser string }
	if err := token.Claims(&claims); err != nil || token.Nonce != "a nonce" || claims.FHIRUser != p.base+"/Patient/p" || answer.Extra("patient") != "p" {
		t.Errorf("id_token: nonce %q, fhirUser %q, patient %v, %v", token.Nonce, claims.FHIRUser, answer.Extra("patient"), err)
	}
	if _, err := provider.Verifier(&oidc.Config{ClientID: "growth"}).Verify(ctx, raw); err == nil {
		t.Error("the id_token is good for another app")
	}
	p.looks(ctx, app.Client(ctx, answer))

	answer.Expiry = time.Now().Add(-time.Minute) // so that it is refreshed first
	fresh := app.TokenSource(ctx, answer)
	renewed, err := fresh.Token()
	if err != nil || renewed.AccessToken == answer.AccessToken || renewed.RefreshToken == answer.RefreshToken {
		t.Fatalf("refresh: %v; want another access token and another refresh token", err)
	}
	p.looks(ctx, oauth2.NewClient(ctx, fresh))
}

// looks reads with the client of an app what it came for, and not what it did
// not ask for.
func (p *people) looks(ctx context.Context, app *http.Client) {
	p.t.Helper()
	for _, c := range []struct {
		path   string
		status int
		ids    []string
	}{{"/Observation", 200, []string{"Observation/o-p"}}, {"/Observation?patient=q", 200, []string{}}, {"/Condition", 403, nil}} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+c.path, http.NoBody)
		if err != nil {
			p.t.Fatal(err)
		}
		resp, err := app.Do(r)
		if err != nil {
			p.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		a := answer{resp.StatusCode, resp.Header, body}.want(p.t, c.status)
		if c.ids == nil {
			continue
		}
		if diff := cmp.Diff(c.ids, a.ids(p.t)); diff != "" {
			p.t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
	}
}

var hiddenPattern = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// signsInAndAgrees is a person without a second factor: it opens an address,
// fills in what is shown, and returns with what the app is called back.
func (p *people) signsInAndAgrees(address, account string) url.Values {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), p.app) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := browser.Get(address)
	for _, filled := range []url.Values{
		{"name": {account}, "password": {p.passwords[account]}},
		{"decision": {"allow"}, "scope": {"patient/Observation.rs", "offline_access"}},
	} {
		if err != nil {
			p.t.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		for _, m := range hiddenPattern.FindAllStringSubmatch(string(page), -1) {
			filled.Set(m[1], m[2])
		}
		if resp, err = browser.PostForm(resp.Request.URL.String(), filled); err != nil {
			p.t.Fatal(err)
		}
	}
	resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		p.t.Fatalf("the app is not called back: status %d", resp.StatusCode)
	}
	return location.Query()
}
