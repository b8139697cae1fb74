package oauth

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"vitrine/fhir/smart"
)

// errand is a browser that was sent to the provider and is to come back. It is
// kept under the hash of the state that goes with it.
type errand struct {
	// Handle is the authorization request that waits here, Browser the hash of the
	// browser's cookie.
	Handle, Browser string
	// Nonce comes back in the id_token, Verifier goes with the code (PKCE).
	Nonce, Verifier string
	// Since is the earliest moment at which the user must have been authenticated;
	// zero for any.
	Since time.Time
}

// keyErrand is the prefix of the key of an errand.
const keyErrand = "errand/"

// fieldAgain says on the way to the provider that somebody else wants to sign in.
const fieldAgain = "again"

// providerLeeway is how far the provider's clock may be off.
const providerLeeway = time.Minute

// startProvider sends the browser to the provider.
func (v *visit) startProvider() error {
	p := v.cfg.Provider
	if v.request == nil || p == nil {
		return errPending
	}
	ctx := v.r.Context()
	found, err := p.discover(ctx, v.now)
	if err != nil {
		return v.astray(err)
	}
	t := errand{Handle: v.handle, Browser: v.browserOf(v.r), Nonce: secret(), Verifier: oauth2.GenerateVerifier()}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(t.Verifier), oauth2.SetAuthURLParam("nonce", t.Nonce)}
	age := v.request.MaxAge
	if v.request.Prompt == promptLogin || v.field(fieldAgain) != "" {
		age = 0
		options = append(options, oauth2.SetAuthURLParam("prompt", promptLogin))
	}
	if age >= 0 {
		t.Since = v.now.Add(-time.Duration(age)*time.Second - providerLeeway)
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.Itoa(age)))
	}
	for name := range p.cfg.Parameters {
		options = append(options, oauth2.SetAuthURLParam(name, p.cfg.Parameters.Get(name)))
	}
	state := secret()
	err = v.cfg.State.Remember(ctx, v.now, func(m smart.Memory) error {
		return keep(m, keyErrand+hashed(state), &t, v.now.Add(requestLife))
	})
	if err != nil {
		return err
	}
	return v.to(p.flow(found, v.callback()).AuthCodeURL(state, options...))
}

func (s *Server) callback() string { return s.cfg.BaseURL + Root + pathCallback }

// endProvider takes the browser that comes back from the provider.
func (v *visit) endProvider() error {
	p := v.cfg.Provider
	if p == nil {
		return errPending
	}
	ctx := v.r.Context()
	t, err := v.returned(v.field("state"))
	if err != nil {
		return err
	}
	v.handle = t.Handle
	if v.request, err = v.pending(ctx, v.r, v.handle); err != nil {
		return err
	}
	found, err := p.discover(ctx, v.now)
	if err != nil {
		return v.astray(err)
	}
	// An answer that names another provider was meant for somebody else (RFC 9207).
	if iss, named := v.r.URL.Query()["iss"]; (named || found.sendsIssuer) && (len(iss) != 1 || iss[0] != p.cfg.Issuer) {
		return v.astray(errProviderAnswer)
	}
	if v.field("error") != "" || v.field("code") == "" {
		return v.astray(errProviderSays)
	}
	said, err := p.redeem(ctx, found, v.callback(), v.field("code"), t, v.now)
	if err != nil {
		return v.astray(err)
	}
	if !t.Since.IsZero() && said.authTime.Before(t.Since) { // also when the provider does not say
		return v.astray(errProviderAnswer)
	}
	user, err := v.user(ctx, said, v.now)
	if err != nil {
		return v.astray(err)
	}
	l := &login{User: user, Account: p.cfg.Issuer + "#" + said.subject, ACR: said.acr, AuthTime: said.authTime, Began: v.now}
	if l.AuthTime.IsZero() || l.AuthTime.After(v.now) {
		l.AuthTime = v.now
	}
	return v.begin(l)
}

// returned finds the errand of a browser that comes back. It is over with it.
func (v *visit) returned(state string) (*errand, error) {
	if state == "" {
		return nil, errPending
	}
	var t errand
	err := v.cfg.State.Remember(v.r.Context(), v.now, func(m smart.Memory) error {
		t = errand{}
		key := keyErrand + hashed(state)
		found, err := recall(m.Recall, key, &t)
		if err != nil {
			return err
		}
		if browser := v.browserOf(v.r); !found || browser == "" || browser != t.Browser {
			return errPending
		}
		return m.Forget(key)
	})
	return &t, err
}

// astray puts on record that signing in with the provider failed, and says so.
// An error that is none of the provider's is returned as it is.
func (v *visit) astray(why error) error {
	title, status, text := "", http.StatusForbidden, ""
	switch {
	case errors.Is(why, errProviderDown):
		title, status, text = "Signing in does not work just now", http.StatusServiceUnavailable, "The service that you sign in with does not answer. Try again in a while."
	case errors.Is(why, errProviderSays), errors.Is(why, errProviderAnswer):
		title, text = "You were not signed in", "The service that you sign in with did not confirm who you are. Try again."
	case errors.Is(why, errProviderClaim):
		title, text = "Nobody here goes with your account", "You signed in, but your account does not lead to exactly one person in this record. Ask those who look after it to enter the number of your account there, or sign in with another account."
	default:
		return why
	}
	if err := v.note(smart.Event{Kind: smart.EventSignIn, Failed: true, Reason: why.Error()}); err != nil {
		return err
	}
	v.login = nil
	v.show(status, pageAstray, view{Title: title, Text: []string{text}, Provider: v.cfg.Provider.name()})
	return nil
}
