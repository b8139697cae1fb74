package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// errPending: there is no such request, its time is over, or another browser made
// it.
var errPending = errors.New("authorization request not found")

// authorization is what a user agreed to and a code, and after it a refresh token,
// stands for. It is never more than what was agreed to.
type authorization struct {
	// ID names it in its tokens: revoking it revokes them.
	ID     string
	Client string
	// Kind, User, Person and Organization are those of the capacity.
	Kind, User, Person, Organization string
	Patient, Encounter, Intent       string
	Purpose                          fhir.Coding
	Scope, Nonce, ACR, Account       string
	AuthTime                         time.Time
	// Login is whom the account led to; Local says that the account is one of ours.
	Login, Proof string
	Local        bool
	// Session is the hash of the id of the sign-in that it ends with; empty when it
	// outlives it.
	Session string
	// Until is when it ends however often it is refreshed; zero when it cannot be.
	Until time.Time
}

// pending returns the request that waits under the handle, if this browser made it.
func (s *Server) pending(ctx context.Context, r *http.Request, handle string) (*request, error) {
	return s.pendingIn(s.look(ctx, s.cfg.Now()), r, handle)
}

func (s *Server) pendingIn(get func(string) ([]byte, error), r *http.Request, handle string) (*request, error) {
	var q request
	found, err := recall(get, keyRequest+hashed(handle), &q)
	if err != nil {
		return nil, err
	}
	if browser := s.browserOf(r); !found || browser == "" || browser != q.Browser {
		return nil, errPending
	}
	return &q, nil
}

// decline ends a request with an error code of OAuth (access_denied, …) and
// returns where the browser goes.
func (s *Server) decline(ctx context.Context, r *http.Request, handle, code string) (location string, err error) {
	now := s.cfg.Now()
	err = s.cfg.State.Remember(ctx, now, func(m smart.Memory) error {
		q, err := s.pendingIn(m.Recall, r, handle)
		if err != nil {
			return err
		}
		location = s.back(q, url.Values{"error": {code}})
		return m.Forget(keyRequest + hashed(handle))
	})
	return location, err
}

// grant ends a request as the user decided and returns where the browser goes:
// with a code, or with access_denied where the directory does not let this person
// use this app now.
func (s *Server) grant(ctx context.Context, r *http.Request, handle string, d decision) (location string, err error) {
	now := s.cfg.Now()
	q, err := s.pending(ctx, r, handle)
	if err != nil {
		return "", err
	}
	a, err := s.agreed(ctx, q, &d, now)
	event := smart.Event{
		Kind: smart.EventAuthorize, Client: q.Client, User: d.Capacity.User, Organization: d.Capacity.Organization,
		Patient: a.Patient, Account: d.Login.Account, Address: host(r.RemoteAddr), RequestID: requestID(r), When: now,
	}
	if errors.Is(err, ErrRefused) {
		event.Failed, event.Reason = true, "not-admitted"
		if err := s.cfg.Registry.Note(ctx, event); err != nil {
			return "", err
		}
		return s.decline(ctx, r, handle, codeDenied)
	}
	if err != nil {
		return "", err
	}
	if err := s.cfg.Registry.Note(ctx, event); err != nil {
		return "", err
	}
	code := secret()
	err = s.cfg.State.Remember(ctx, now, func(m smart.Memory) error {
		if _, err := s.pendingIn(m.Recall, r, handle); err != nil {
			return err
		}
		if err := m.Forget(keyRequest + hashed(handle)); err != nil {
			return err
		}
		if q.LaunchKey != "" {
			if l, err := m.Recall(q.LaunchKey); err != nil || l == nil {
				return errors.Join(err, errPending) // another window was faster
			}
			if err := m.Forget(q.LaunchKey); err != nil {
				return err
			}
		}
		// It is kept for as long as its tokens may live, so that a code that comes
		// twice is known and takes them back.
		return keep(m, keyCode+hashed(code), issued{
			Authorization: a, RedirectURI: q.RedirectURI, Challenge: q.Challenge, Until: now.Add(codeLife),
		}, now.Add(codeLife+MaxTokenLife))
	})
	if err != nil {
		return "", err
	}
	return s.back(q, url.Values{"code": {code}}), nil
}

// agreed works out what a decision comes to. The directory has the last word.
func (s *Server) agreed(ctx context.Context, q *request, d *decision, now time.Time) (authorization, error) {
	client, err := s.cfg.Registry.Client(ctx, q.Client, now)
	if err != nil || client.State != smart.ClientActive {
		return authorization{}, errors.Join(err, ErrRefused)
	}
	c := &d.Capacity
	a := authorization{
		ID: secret(), Client: q.Client, Kind: c.Kind, User: c.User, Person: c.Person, Organization: c.Organization,
		Patient: d.Patient, Nonce: q.Nonce, ACR: d.Login.ACR, AuthTime: d.Login.AuthTime, Account: d.Login.Account,
		Login: d.Login.User, Proof: d.Login.Proof, Local: d.Login.Local,
	}
	if c.Patient != "" {
		a.Patient = c.Patient
	}
	if len(c.Purposes) == 0 {
		return a, ErrRefused
	}
	a.Purpose = c.Purposes[0]
	if l := q.Launch; l != nil {
		if !l.isFor(c) {
			return a, ErrRefused
		}
		a.Patient, a.Encounter, a.Intent = l.Patient, l.Encounter, l.Intent
		purpose := fhir.Coding{System: l.PurposeSystem, Code: l.PurposeCode}
		if purpose.Code != "" && !slices.Contains(c.Purposes, purpose) {
			return a, ErrRefused
		}
		if purpose.Code != "" {
			a.Purpose = purpose
		}
	}
	a.Scope = s.grantable(smart.Narrow(d.Scope, q.Scope), &a)
	if a.Patient != "" && !fhir.ValidID(a.Patient) || a.Scope == "" {
		return a, ErrRefused
	}
	if smart.HasScope(a.Scope, smart.ScopeOffline) || smart.HasScope(a.Scope, smart.ScopeOnline) {
		a.Until = now.Add(s.cfg.RefreshLife)
		if !smart.HasScope(a.Scope, smart.ScopeOffline) { // as long as the sign-in
			a.Until, a.Session = d.Login.Began.Add(s.cfg.SessionLife), d.Session
		}
	}
	return a, s.cfg.Registry.Admit(ctx, s.draft(&a, now), now)
}

// isFor reports whether a launch was issued for the capacity: for the organisation,
// and for the role or the person who holds it. A launch signs nobody in.
func (l *launch) isFor(c *Capacity) bool {
	return c.Kind == smart.KindPractitioner && l.Organization == c.Organization && l.User != "" && (l.User == c.User || l.User == c.Holder)
}

// grantable leaves out what comes to nothing: a patient's record without a
// patient, and refresh tokens for those who get none.
func (s *Server) grantable(scope string, a *authorization) string {
	return smart.WithoutScopes(scope, func(one string) bool {
		switch {
		case one == smart.ScopeOffline || one == smart.ScopeOnline:
			return !s.refreshes(a.Kind)
		case one == smart.ScopeLaunchPatient || strings.HasPrefix(one, "patient/"):
			return a.Patient == ""
		case one == smart.ScopeLaunchEncounter:
			return a.Encounter == ""
		default:
			return false
		}
	})
}

// draft is the token that an authorization would be worth now, for the directory
// to judge.
func (s *Server) draft(a *authorization, now time.Time) *smart.Token {
	return &smart.Token{
		Issuer: s.Issuer(), Subject: a.User, Client: a.Client, Kind: a.Kind, User: a.User, Organization: a.Organization,
		Patient: a.Patient, Purposes: []fhir.Coding{a.Purpose}, Scopes: smart.ParseScopes(a.Scope), Expires: now.Add(s.cfg.TokenLife),
		ACR: a.ACR, AuthTime: a.AuthTime, Grant: a.ID,
	}
}
