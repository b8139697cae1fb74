package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"time"

	"vitrine/fhir/smart"
)

// issued is a code that waits to be redeemed, or was.
type issued struct {
	Authorization authorization
	RedirectURI   string
	Challenge     string
	Until         time.Time
	Used          bool
}

// redeemCode is the grant authorization_code (RFC 6749 §4.1.3, RFC 7636 §4.5). A
// code is good once: that it comes a second time says that somebody else has it,
// and its tokens are taken back.
func (s *Server) redeemCode(ctx context.Context, x *exchange, p *proof) (map[string]any, error) {
	code, verifier := x.form.get("code"), x.form.get("code_verifier")
	if code == "" || x.form.get("redirect_uri") == "" {
		return nil, badRequest("code and redirect_uri are required.")
	}
	var c issued
	var refused *refusal
	var refresh string
	key := keyCode + hashed(code)
	// One that nobody was given is no matter for the record, and changes nothing:
	// anybody may send as many as they like.
	known, err := s.cfg.State.Recall(ctx, key, x.now)
	switch {
	case err != nil:
		return nil, err
	case known == nil:
		return nil, badGrant("The code is not known.")
	}
	err = s.cfg.State.Remember(ctx, x.now, func(m smart.Memory) error {
		c, refused, refresh = issued{}, nil, ""
		if err := p.spend(m); err != nil {
			return err
		}
		found, err := recall(m.Recall, key, &c)
		switch {
		case err != nil:
			return err
		case !found || c.Authorization.Client != p.client.ID:
			refused = badGrant("The code is not known.")
			return nil
		case c.Used:
			refused = badGrant("The code was used before. What was issued for it is void.")
			return c.Authorization.revoke(m, x.now)
		}
		switch {
		case !x.now.Before(c.Until):
			refused = badGrant("The code's time is over.")
		case c.RedirectURI != x.form.get("redirect_uri"):
			refused = badGrant("redirect_uri is not that of the authorization request.")
		case !matches(verifier, c.Challenge):
			refused = badGrant("code_verifier does not match the code_challenge.")
		}
		c.Used = true // also when it fails: nobody is let try verifiers
		if err := keep(m, key, &c, x.now.Add(codeLife+MaxTokenLife)); err != nil || refused != nil {
			return err
		}
		if c.Authorization.Until.After(x.now) {
			if refresh, err = c.Authorization.refreshable(m); err != nil {
				return err
			}
		}
		return c.Authorization.remember(m, x.now)
	})
	if err != nil {
		return nil, err
	}
	if refused != nil {
		return nil, s.refused(ctx, x, &c.Authorization, refused)
	}
	return s.issue(ctx, x, &c.Authorization, c.Authorization.Scope, refresh)
}

// matches reports whether a verifier is the one of a challenge (RFC 7636 §4.6).
func matches(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 || !unreserved(verifier, "-._~") {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// issue asks the directory once more, puts on record what is issued, and answers
// with it: a role may have ended since the user agreed.
func (s *Server) issue(ctx context.Context, x *exchange, a *authorization, scope, refresh string) (map[string]any, error) {
	if err := s.cfg.Registry.Admit(ctx, s.draft(a, x.now), x.now); err != nil {
		return nil, s.refused(ctx, x, a, s.notAdmitted(err))
	}
	jti := secret()
	out, err := s.answer(a, jti, scope, refresh, x.now)
	if err != nil {
		return nil, err
	}
	return out, s.cfg.Registry.Note(ctx, x.minted(a, jti))
}

// notAdmitted is what a client is told when the directory says no.
func (s *Server) notAdmitted(err error) error {
	if isRefused(err) {
		return badGrant("The user, the organisation or the app may not do this now.")
	}
	return err
}

// refused puts on record that tokens were asked for in vain, and returns what to
// answer with.
func (s *Server) refused(ctx context.Context, x *exchange, a *authorization, why error) error {
	e := x.event(smart.EventToken, a)
	e.Failed, e.Reason = true, asRefusal(why).code
	if err := s.cfg.Registry.Note(ctx, e); err != nil {
		return err
	}
	return why
}

// event is what the record of access must hold of a request.
func (x *exchange) event(kind string, a *authorization) smart.Event {
	return smart.Event{
		Kind: kind, Client: x.client, User: a.User, Organization: a.Organization, Patient: a.Patient, Account: a.Account,
		Address: x.address, RequestID: x.id, When: x.now,
	}
}

// minted is the event of a token that is issued: its id, and what of the request is
// no secret (IHE IUA ITI-71). Only the parameters named here are kept, so that none
// that is thought of later is.
func (x *exchange) minted(a *authorization, jti string) smart.Event {
	e := x.event(smart.EventToken, a)
	e.TokenID = jti
	kept := url.Values{}
	for _, name := range []string{"grant_type", "client_id", "redirect_uri", "scope", "resource", "client_assertion_type"} {
		if v := x.form.get(name); v != "" && len(v) <= keptMost {
			kept.Set(name, v)
		}
	}
	e.Request = x.r.Method + " " + x.r.URL.Path + "\n" + kept.Encode()
	return e
}

// keptMost bounds a parameter that is put on record.
const keptMost = 2000

// remember keeps what its access tokens do not say themselves, for introspection.
func (a *authorization) remember(m smart.Memory, now time.Time) error {
	return keep(m, keyContext+a.ID, a, now.Add(MaxTokenLife))
}

// revoke takes an authorization back, and all that was issued under it.
func (a *authorization) revoke(m smart.Memory, now time.Time) error {
	if err := m.Forget(keyGrant + a.ID); err != nil {
		return err
	}
	return m.Revoke(a.ID, now.Add(MaxTokenLife+time.Minute))
}
