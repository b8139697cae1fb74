package oauth

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"vitrine/fhir"
)

// ProviderConfig is what a deployment says about the OpenID Connect provider that
// its people sign in with.
type ProviderConfig struct {
	// Name is what people call it; empty is the host of the issuer.
	Name string
	// Issuer is its issuer, byte for byte; ClientID what this server is called
	// there, and Secret its password, empty for a public client.
	Issuer, ClientID, Secret string
	// Scopes are asked for besides openid.
	Scopes []string
	// Parameters are sent with every authorization request, such as acr_values.
	Parameters url.Values
	Claim      ProviderClaim
	// Transport carries requests to it; nil is the network.
	Transport http.RoundTripper
}

// ProviderClaim says how a claim of an id_token leads to somebody in the record.
type ProviderClaim struct {
	// Name is the claim.
	Name string
	// System is that of the identifier that the claim has the value of; empty when
	// the claim is a reference to the user (fhirUser).
	System string
	// Kinds are the types to look among, of Practitioner, Patient and RelatedPerson.
	Kinds []fhir.ResourceType
}

// Provider is an OpenID Connect provider that people sign in with. It is safe for
// concurrent use.
type Provider struct {
	cfg    ProviderConfig
	client *http.Client

	mu    sync.Mutex
	found *discovered
	// retry is when discovery may be tried again after it failed.
	retry time.Time
}

// discovered is what the provider says of itself.
type discovered struct {
	oidc *oidc.Provider
	// sendsIssuer says that its answers name it (RFC 9207).
	sendsIssuer bool
}

// The bounds of talking to a provider.
const (
	providerTimeout = 10 * time.Second
	providerAnswer  = 1 << 20
	discoveryPause  = 5 * time.Second
)

// The failures of signing in with a provider, in one word each, as the record has
// them.
var (
	errProviderDown   = errors.New("provider-unavailable")
	errProviderSays   = errors.New("provider-refused")
	errProviderAnswer = errors.New("provider-answer")
	errProviderClaim  = errors.New("provider-nobody")
)

// NewProvider checks the configuration. It asks the provider nothing yet.
func NewProvider(cfg ProviderConfig) (*Provider, error) {
	u, err := url.Parse(cfg.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, errors.New("identity provider: its issuer must be an https URL")
	}
	if cfg.ClientID == "" {
		return nil, errors.New("identity provider: no client id")
	}
	if cfg.Claim.Name == "" {
		cfg.Claim = ProviderClaim{Name: "fhirUser"}
	}
	for _, kind := range cfg.Claim.Kinds {
		if kind != "Practitioner" && kind != "Patient" && kind != "RelatedPerson" {
			return nil, errors.New("identity provider: an identifier is that of a Practitioner, Patient or RelatedPerson")
		}
	}
	if cfg.Claim.System != "" && len(cfg.Claim.Kinds) == 0 {
		return nil, errors.New("identity provider: whose identifier the claim is must be said")
	}
	if cfg.Name == "" {
		cfg.Name = u.Hostname()
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport
	}
	return &Provider{cfg: cfg, client: &http.Client{Timeout: providerTimeout, Transport: bounded{cfg.Transport}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("an identity provider does not move")
	}}}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// bounded cuts off what is too long to be an answer.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, providerAnswer), resp.Body}
	}
	return resp, err
}

// name is what people call the provider; empty for none.
func (p *Provider) name() string {
	if p == nil {
		return ""
	}
	return p.cfg.Name
}

// discover asks the provider about itself, once. When that fails it is asked
// again later: a provider that is down does not keep the server from starting.
func (p *Provider) discover(ctx context.Context, now time.Time) (*discovered, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	if now.Before(p.retry) {
		return nil, errProviderDown
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err != nil {
		p.retry = now.Add(discoveryPause)
		return nil, errProviderDown // not wrapped: it quotes whatever was sent
	}
	var more struct {
		SendsIssuer bool `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, errProviderDown
	}
	p.found = &discovered{oidc: found, sendsIssuer: more.SendsIssuer}
	return p.found, nil
}

// flow is the code flow with this server's callback.
func (p *Provider) flow(d *discovered, callback string) *oauth2.Config {
	endpoint := d.oidc.Endpoint()
	if p.cfg.Secret == "" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.Secret, Endpoint: endpoint, RedirectURL: callback,
		Scopes: append([]string{oidc.ScopeOpenID}, p.cfg.Scopes...),
	}
}

// proven is what an id_token says.
type proven struct {
	subject  string
	acr      string
	authTime time.Time
	claim    string
}

// redeem turns a code into what the provider says of the user.
func (p *Provider) redeem(ctx context.Context, d *discovered, callback, code string, t *errand, now time.Time) (proven, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), providerTimeout)
	defer cancel()
	answer, err := p.flow(d, callback).Exchange(ctx, code, oauth2.VerifierOption(t.Verifier))
	if err != nil {
		if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) {
			return proven{}, errProviderSays
		}
		return proven{}, errProviderDown
	}
	raw, _ := answer.Extra("id_token").(string)
	verifier := d.oidc.Verifier(&oidc.Config{ClientID: p.cfg.ClientID, Now: func() time.Time { return now }})
	token, err := verifier.Verify(ctx, raw)
	if err != nil || !sameToken(token.Nonce, t.Nonce) {
		return proven{}, errProviderAnswer // not wrapped: it may quote the token
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return proven{}, errProviderAnswer
	}
	party, _ := claims["azp"].(string)
	if (party != "" || len(token.Audience) > 1) && party != p.cfg.ClientID { // OpenID Connect Core §3.1.3.7
		return proven{}, errProviderAnswer
	}
	out := proven{subject: token.Subject}
	out.acr, _ = claims["acr"].(string)
	out.claim, _ = claims[p.cfg.Claim.Name].(string)
	if seconds, ok := claims["auth_time"].(float64); ok && seconds > 0 {
		out.authTime = time.Unix(int64(seconds), 0).UTC()
	}
	return out, nil
}

// user is whom the provider's word leads to.
func (s *Server) user(ctx context.Context, said proven, now time.Time) (string, error) {
	claim := s.cfg.Provider.cfg.Claim
	if said.claim == "" {
		return "", errProviderClaim
	}
	if claim.System == "" {
		r, ok := s.local(said.claim, "Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
		if !ok {
			return "", errProviderClaim
		}
		return string(r.Type) + "/" + r.ID, nil
	}
	found, err := s.cfg.Registry.People(ctx, fhir.Identifier{System: claim.System, Value: said.claim}, claim.Kinds, now)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", errProviderClaim
	}
	typ, _, _ := strings.Cut(found[0], "/")
	if !slices.Contains(claim.Kinds, fhir.ResourceType(typ)) {
		return "", errProviderClaim
	}
	return found[0], nil
}
