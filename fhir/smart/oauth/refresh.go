package oauth

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"vitrine/fhir/smart"
)

// A refresh token is a secret of which the hash is kept, with the id of its
// authorization; that holds the hash of the one token that is good now.
type refreshable struct {
	Authorization authorization
	Current       string
}

// refreshable makes the authorization one that can be refreshed, and returns its
// first refresh token.
func (a *authorization) refreshable(m smart.Memory) (string, error) {
	return (&refreshable{Authorization: *a}).next(m)
}

// next puts a new refresh token in the place of the one before, which stays known
// until the authorization ends: that it comes again says that somebody else has
// it.
func (f *refreshable) next(m smart.Memory) (string, error) {
	text := secret()
	f.Current = hashed(text)
	if err := keep(m, keyRefresh+f.Current, f.Authorization.ID, f.Authorization.Until); err != nil {
		return "", err
	}
	return text, keep(m, keyGrant+f.Authorization.ID, f, f.Authorization.Until)
}

// redeemRefresh is the grant refresh_token with rotation (RFC 6749 §6, RFC 9700
// §4.14). All that was asked of the user's standing is asked again.
func (s *Server) redeemRefresh(ctx context.Context, x *exchange, p *proof) (map[string]any, error) {
	old := x.form.get("refresh_token")
	if old == "" {
		return nil, badRequest("refresh_token is required.")
	}
	a, err := s.refreshedBy(ctx, x, p, old)
	if err != nil {
		return nil, err
	}
	// What the app is registered for may be less by now.
	scope := smart.Narrow(a.Scope, p.client.Scope)
	if asked := x.form.get("scope"); asked != "" {
		if !smart.Within(asked, a.Scope) {
			return nil, badScope("More is asked for than was granted.")
		}
		scope = smart.Narrow(asked, scope)
	}
	if scope == "" {
		return nil, badScope("The app is not registered for any of what was granted any more.")
	}
	// Whether the user may still do it is asked before anything changes: a failure
	// must not use up the token.
	if err := s.stands(ctx, a, x); err != nil {
		return nil, s.refused(ctx, x, a, s.notAdmitted(err))
	}
	var refused *refusal
	var next string
	err = s.cfg.State.Remember(ctx, x.now, func(m smart.Memory) error {
		refused, next = nil, ""
		if err := p.spend(m); err != nil {
			return err
		}
		var f refreshable
		found, err := recall(m.Recall, keyGrant+a.ID, &f)
		switch {
		case err != nil:
			return err
		case !found:
			refused = unknownRefresh()
			return nil
		case f.Current != hashed(old):
			refused = badGrant("The refresh token was used before. All that was issued under it is void.")
			return f.Authorization.revoke(m, x.now)
		}
		if next, err = f.next(m); err != nil {
			return err
		}
		return f.Authorization.remember(m, x.now)
	})
	if err != nil {
		return nil, err
	}
	if refused != nil {
		return nil, s.refused(ctx, x, a, refused)
	}
	return s.issue(ctx, x, a, scope, next)
}

func unknownRefresh() *refusal {
	return badGrant("The refresh token is not known, was revoked, or its time is over.")
}

// refreshedBy is the authorization of a refresh token, if it is this client's.
func (s *Server) refreshedBy(ctx context.Context, x *exchange, p *proof, text string) (*authorization, error) {
	var id string
	found, err := recall(s.look(ctx, x.now), keyRefresh+hashed(text), &id)
	if err != nil {
		return nil, err
	}
	var f refreshable
	if found {
		found, err = recall(s.look(ctx, x.now), keyGrant+id, &f)
	}
	switch {
	case err != nil:
		return nil, err
	case !found || f.Authorization.Client != p.client.ID || !x.now.Before(f.Authorization.Until):
		return nil, unknownRefresh()
	default:
		return &f.Authorization, nil
	}
}

// stands asks whether the person is still who the authorization says, in that
// capacity, with that record.
func (s *Server) stands(ctx context.Context, a *authorization, x *exchange) error {
	if !s.refreshes(a.Kind) || a.Local && !s.cfg.Accounts.holds(a.Account, a.Login, a.Proof) {
		return ErrRefused
	}
	if on, err := s.signedOn(ctx, a, x); err != nil || !on {
		return cmp.Or(err, ErrRefused)
	}
	all, err := s.cfg.Registry.Capacities(ctx, a.User, x.now)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(c Capacity) bool {
		return c.User == a.User && c.Kind == a.Kind && c.Organization == a.Organization && (c.Patient == "" || c.Patient == a.Patient)
	}) {
		return ErrRefused
	}
	return s.cfg.Registry.Admit(ctx, s.draft(a, x.now), x.now)
}

// signedOn reports whether the sign-in is not over that the authorization ends with.
func (s *Server) signedOn(ctx context.Context, a *authorization, x *exchange) (bool, error) {
	if a.Session == "" {
		return true, nil
	}
	text, err := s.cfg.State.Recall(ctx, keySession+a.Session, x.now)
	return text != nil, err
}

func isRefused(err error) bool { return errors.Is(err, ErrRefused) || errors.Is(err, ErrUnknown) }
