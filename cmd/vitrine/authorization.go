package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/rest"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/oauth"
	"vitrine/fhir/smart/token"
)

// registry is what the gate says of clients and people, in the words of the
// authorization server.
type registry struct{ gate *gate.Gate }

// Client implements oauth.Registry.
func (r registry) Client(ctx context.Context, id string, now time.Time) (smart.Client, error) {
	c, err := r.gate.Client(ctx, id, now)
	if errors.Is(err, gate.ErrNotFound) {
		err = oauth.ErrUnknown
	}
	return c, err
}

// Admit implements oauth.Registry.
func (r registry) Admit(ctx context.Context, t *smart.Token, now time.Time) error {
	caller, reason := rest.CallerOf(t)
	err := r.gate.Admit(ctx, &caller, reason, now)
	if refused := (*gate.Refused)(nil); errors.As(err, &refused) {
		return oauth.ErrRefused
	}
	return err
}

// Capacities implements oauth.Registry.
func (r registry) Capacities(ctx context.Context, user string, now time.Time) ([]oauth.Capacity, error) {
	return r.gate.Capacities(ctx, user, now)
}

// People implements oauth.Registry.
func (r registry) People(ctx context.Context, id fhir.Identifier, kinds []fhir.ResourceType, now time.Time) ([]string, error) {
	return r.gate.People(ctx, id, kinds, now)
}

// Note implements oauth.Registry.
func (r registry) Note(ctx context.Context, e oauth.Event) error { return r.gate.Note(ctx, &e) }

var _ oauth.Registry = registry{}

// buildAuthorization makes the authorization server, or none where the operator
// leaves that to other issuers. The porch it asks is set when there is one.
func (h *House) buildAuthorization(tools gate.Tools, door *gate.Gate, verifier *token.Verifier, porch http.RoundTripper) (*oauth.Server, error) {
	if !h.cfg.Authorization {
		return nil, nil //nolint:nilnil // that there is none is a choice
	}
	accounts, err := h.cfg.accounts(h.data)
	if err != nil {
		return nil, err
	}
	provider, err := h.cfg.provider()
	if err != nil {
		return nil, err
	}
	cfg := oauth.Config{
		Accounts: accounts,
		Provider: provider,
		BaseURL:  h.base,
		Keys:     h.data.keys,
		Registry: registry{gate: door},
		State:    door,
		Verifier: verifier,
		Porch:    porch,

		TokenLife:   h.cfg.TokenLife,
		SessionLife: h.cfg.SessionLife,
		RefreshLife: h.cfg.RefreshLife,
		Refresh:     h.cfg.RefreshFor,

		SystemPurpose:    consent.Treatment.Coding(),
		RegulatorPurpose: consent.AuditReview.Coding(),
		Known:            func(t fhir.ResourceType) bool { return tools.Definitions.Resource(string(t)) != nil },
		Now:              time.Now,
		Log:              h.log,
	}
	return oauth.New(cfg)
}

// told is what the porch says about the authorization server.
func told(s *oauth.Server) *rest.Authorization {
	if s == nil {
		return nil
	}
	return &rest.Authorization{SMART: s.Configuration(), OpenID: s.OpenID()}
}

// beside serves what is below oauth.Root by the authorization server and all else
// by the porch, without changing a path.
func beside(authorization *oauth.Server, porch http.Handler) http.Handler {
	if authorization == nil {
		return porch
	}
	auth := authorization.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == oauth.Root || strings.HasPrefix(r.URL.Path, oauth.Root+"/") {
			auth.ServeHTTP(w, r)
			return
		}
		porch.ServeHTTP(w, r)
	})
}
