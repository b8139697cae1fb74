package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/token"
)

// The names of grants and of the one way a client proves who it is (RFC 7523
// §2.2).
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantClient  = "client_credentials"

	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// token is the token endpoint: each grant in a file of its own.
func (s *Server) token(ctx context.Context, w http.ResponseWriter, x *exchange) error {
	if err := x.readForm(w); err != nil {
		return err
	}
	var redeem func(context.Context, *exchange, *proof) (map[string]any, error)
	switch x.form.get("grant_type") {
	case grantCode:
		redeem = s.redeemCode
	case grantRefresh:
		redeem = s.redeemRefresh
	case grantClient:
		redeem = s.clientCredentials
	case "":
		return badRequest("grant_type is required.")
	default:
		return &refusal{status: http.StatusBadRequest, code: codeGrantType, description: "grant_type must be authorization_code, refresh_token or client_credentials."}
	}
	p, err := s.prove(ctx, x)
	if err != nil {
		return err
	}
	answer, err := redeem(ctx, x, p)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// proof is a client that is active, and how it showed who it is.
type proof struct {
	client smart.Client
	// assertion is what a confidential client signed; nil for a public one.
	assertion *token.Assertion
}

// spend makes the assertion void for another time (RFC 7523 §3), within the change
// that it brought about; nothing changes when it was used before.
func (p *proof) spend(m smart.Memory) error {
	if p.assertion == nil {
		return nil
	}
	key := keyJTI + hashed(p.client.ID) + "/" + hashed(p.assertion.ID)
	used, err := m.Recall(key)
	if err != nil {
		return err
	}
	if used != nil {
		return badClient()
	}
	return m.Keep(key, []byte("1"), p.assertion.Expires.Add(time.Second))
}

// prove finds out which client asks. One that has keys must show that it holds
// them, whatever it asks for; one that has none says its name, and for it PKCE and
// rotation stand.
func (s *Server) prove(ctx context.Context, x *exchange) (*proof, error) {
	if x.r.Header.Get("Authorization") != "" || x.form.get("client_secret") != "" {
		scheme := "" // RFC 6749 §5.2: the one that was tried
		if strings.HasPrefix(strings.ToLower(x.r.Header.Get("Authorization")), "basic ") {
			scheme = "Basic"
		}
		return nil, &refusal{status: http.StatusUnauthorized, code: codeClient, scheme: scheme, description: "Client secrets are not taken: a client proves itself by private_key_jwt (client_assertion), or is public and sends its client_id alone."}
	}
	name, text := x.form.get("client_id"), x.form.get("client_assertion")
	switch kind := x.form.get("client_assertion_type"); {
	case kind != "" && kind != assertionType:
		return nil, &refusal{status: http.StatusBadRequest, code: codeRequest, description: "client_assertion_type must be " + assertionType + "."}
	case (kind == "") != (text == ""):
		return nil, badRequest("client_assertion and client_assertion_type go together.")
	case text == "" && name == "":
		return nil, badRequest("client_id is required, or a client_assertion.")
	}
	if text != "" {
		asserted, err := token.Asserted(text)
		if err != nil || name != "" && name != asserted {
			return nil, badClient()
		}
		name = asserted
	}
	return s.proved(ctx, x, name, text)
}

// proved holds what a client sends against its registration. Who fails often is
// not heard for a while, and a failure is one whatever it is due to.
func (s *Server) proved(ctx context.Context, x *exchange, name, text string) (*proof, error) {
	who := x.address + " " + hashed(name)
	if wait := s.throttle.wait(who, x.now); wait > 0 {
		return nil, tooMany(wait)
	}
	p, err := s.known(ctx, x, name, text)
	if r := (*refusal)(nil); errors.As(err, &r) && r.code == codeClient {
		s.throttle.charge(who, x.now)
	}
	return p, err
}

// known is the client, if it is active and proves itself as it was registered to.
func (s *Server) known(ctx context.Context, x *exchange, name, text string) (*proof, error) {
	client, err := s.cfg.Registry.Client(ctx, name, x.now)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, badClient()
	case err != nil:
		return nil, err
	case client.State != smart.ClientActive || client.Confidential() != (text != ""):
		return nil, badClient()
	}
	x.client = client.ID
	p := &proof{client: client}
	if text == "" {
		return p, nil
	}
	select {
	case s.throttle.slots <- struct{}{}:
		defer func() { <-s.throttle.slots }()
	case <-ctx.Done():
		return nil, unavailable()
	}
	assertion, err := s.assertions.Verify(ctx, text, &client, []string{s.at("token")}, x.now)
	if err != nil {
		if ctx.Err() != nil {
			return nil, unavailable()
		}
		s.cfg.Log.InfoContext(ctx, "authorization", "endpoint", "token", "client", client.ID, "assertion", err.Error())
		return nil, badClient()
	}
	p.assertion = &assertion
	return p, nil
}

// accessToken signs what an authorization is worth now.
func (s *Server) accessToken(a *authorization, jti, scope string, now time.Time, life time.Duration) (string, error) {
	return s.cfg.Keys.Mint(token.Claims{
		ID: jti, Issuer: s.Issuer(), Subject: a.User, Client: a.Client, Audience: []string{s.Issuer()}, Scope: scope,
		IssuedAt: now, Expires: now.Add(life), User: a.User, Patient: a.Patient, Organization: reference("Organization", a.Organization),
		Purposes: []fhir.Coding{a.Purpose}, ACR: a.ACR, AuthTime: a.AuthTime, SubjectName: a.Person, Grant: a.ID,
	})
}

// reference is a reference to a resource; empty for none.
func reference(t, id string) string {
	if id == "" {
		return ""
	}
	return t + "/" + id
}

// answer is what the token endpoint says of an authorization (SMART App Launch
// 2.2, app-launch.html#obtain-access-token).
func (s *Server) answer(a *authorization, jti, scope, refresh string, now time.Time) (map[string]any, error) {
	access, err := s.accessToken(a, jti, scope, now, s.cfg.TokenLife)
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(s.cfg.TokenLife.Seconds()), "scope": scope,
	}
	if refresh != "" {
		out["refresh_token"] = refresh
	}
	a.context(out)
	if smart.HasScope(scope, smart.ScopeOpenID) {
		if out["id_token"], err = s.idToken(a, scope, now); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// context adds the launch context. The banner is wanted: this server's apps may
// be shown anywhere.
func (a *authorization) context(out map[string]any) {
	if a.Patient != "" {
		out["patient"] = a.Patient
		out["need_patient_banner"] = true
	}
	if a.Encounter != "" {
		out["encounter"] = a.Encounter
	}
	if a.Intent != "" {
		out["intent"] = a.Intent
	}
}

// idToken says who signed in (OpenID Connect Core §2; SMART App Launch 2.2,
// scopes-and-launch-context.html#scopes-for-requesting-identity-data).
func (s *Server) idToken(a *authorization, scope string, now time.Time) (string, error) {
	claims := map[string]any{
		"iss": s.Issuer(), "sub": a.User, "aud": a.Client, "iat": now.Unix(), "exp": now.Add(s.cfg.TokenLife).Unix(),
	}
	if !a.AuthTime.IsZero() {
		claims["auth_time"] = a.AuthTime.Unix()
	}
	for name, value := range map[string]string{"nonce": a.Nonce, "acr": a.ACR} {
		if value != "" {
			claims[name] = value
		}
	}
	if smart.HasScope(scope, smart.ScopeUser) || smart.HasScope(scope, smart.ScopeProfile) {
		user := s.Issuer() + "/" + a.User
		claims["fhirUser"] = user
		if smart.HasScope(scope, smart.ScopeProfile) {
			claims["profile"] = user
			if a.Person != "" {
				claims["name"] = a.Person
			}
		}
	}
	return s.cfg.Keys.MintID(claims)
}
