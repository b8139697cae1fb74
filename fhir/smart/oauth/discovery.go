package oauth

import (
	"context"
	"net/http"
	"slices"

	"vitrine/fhir/smart"
)

// Configuration is the document at {FHIR base}/.well-known/smart-configuration,
// true to what is enabled.
func (s *Server) Configuration() smart.Configuration {
	c := smart.Configuration{
		Issuer: s.Issuer(), JWKSURI: s.at("jwks"), TokenEndpoint: s.at("token"),
		IntrospectionEndpoint: s.at("introspect"), RevocationEndpoint: s.at("revoke"),
		GrantTypes:           []string{grantClient},
		AuthMethods:          []string{"private_key_jwt"},
		AuthAlgorithms:       []string{"RS384", "ES384"},
		CodeChallengeMethods: []string{"S256"},
		Scopes:               []string{"system/*.cud", "system/AuditEvent.rs", "user/*.cruds"},
		Capabilities:         []string{"client-confidential-asymmetric", "permission-v2"},
	}
	if !s.signsIn() { // then nobody is told who signed in either
		c.Issuer, c.JWKSURI = "", ""
		return everywhere(c)
	}
	c.AuthorizationEndpoint = s.at("authorize")
	c.GrantTypes = []string{grantCode, grantClient}
	c.ResponseTypes, c.ResponseModes = []string{"code"}, []string{"query"}
	c.AuthMethods = []string{"private_key_jwt", "none"}
	c.IssParameter = true
	c.Scopes = append([]string{
		smart.ScopeOpenID, smart.ScopeUser, smart.ScopeProfile, smart.ScopeLaunch, smart.ScopeLaunchPatient, "patient/*.cruds",
	}, c.Scopes...)
	c.Capabilities = []string{
		"launch-ehr", "launch-standalone", "authorize-post", "client-public", "client-confidential-asymmetric", "sso-openid-connect",
		"context-ehr-patient", "context-ehr-encounter", "context-standalone-patient", "context-banner",
		"permission-patient", "permission-user", "permission-v1", "permission-v2",
	}
	if len(s.cfg.Refresh) > 0 {
		c.GrantTypes = append(c.GrantTypes, grantRefresh)
		c.Scopes = append(c.Scopes, smart.ScopeOffline, smart.ScopeOnline)
		c.Capabilities = append(c.Capabilities, "permission-offline", "permission-online")
	}
	return everywhere(c)
}

// everywhere adds that a client proves itself in the same way everywhere, or where
// tokens are looked at and taken back comes with an access token (RFC 8414 §2).
func everywhere(c smart.Configuration) smart.Configuration {
	methods := append(slices.Clone(c.AuthMethods), "Bearer")
	c.RevocationMethods, c.RevocationAlgorithms = methods, c.AuthAlgorithms
	c.IntrospectionMethods, c.IntrospectionAlgorithms = methods, c.AuthAlgorithms
	return c
}

// OpenID is the document at {issuer}/.well-known/openid-configuration (OpenID
// Connect Discovery §3, RFC 8414).
func (s *Server) OpenID() smart.Configuration {
	c, no := s.Configuration(), false
	c.Capabilities = nil
	c.SubjectTypes = []string{"public"}
	c.IDTokenAlgorithms = []string{"RS256"}
	c.Claims = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "nonce", "fhirUser", "profile", "name"}
	c.Prompts = []string{"none", "login", "consent"}
	c.RequestParameter, c.RequestURI = &no, &no
	return c
}

// jwks are the public keys with which the server's tokens can be checked (RFC
// 7517 §5); retired ones until the last token signed with them has ended.
func (s *Server) jwks(_ context.Context, w http.ResponseWriter, _ *exchange) error {
	text := s.cfg.Keys.JWKS()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(text)
	return nil
}
