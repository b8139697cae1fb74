package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"vitrine/fhir/smart"
)

// Authorization is what is told of the authorization server beside the porch.
type Authorization struct {
	// SMART and OpenID are the documents below .well-known; OpenID is that of nobody
	// where it names no issuer.
	SMART, OpenID smart.Configuration
}

// documents are the two, as they are sent.
type documents struct{ smart, openID []byte }

func (a *Authorization) documents() (d documents, err error) {
	if a == nil {
		return documents{}, nil
	}
	if d.smart, err = json.Marshal(a.SMART); err != nil {
		return documents{}, err
	}
	if a.OpenID.Issuer != "" {
		d.openID, err = json.Marshal(a.OpenID)
	}
	return d, err
}

// smartConfiguration tells apps where to get tokens (SMART App Launch 2.2,
// conformance.html#using-well-known), in JSON whatever they accept.
func (s *Server) smartConfiguration(context.Context, *exchange) (answer, error) {
	return wellKnown(s.documents.smart)
}

// openIDConfiguration tells who verifies id_tokens what it needs (OpenID Connect
// Discovery §4): the issuer is the FHIR base.
func (s *Server) openIDConfiguration(context.Context, *exchange) (answer, error) {
	if s.documents.smart != nil && s.documents.openID == nil {
		return answer{}, refuse(problemNoOpenID)
	}
	return wellKnown(s.documents.openID)
}

func wellKnown(document []byte) (answer, error) {
	if document == nil {
		return answer{}, refuse(problemNoSMART)
	}
	return answer{form: formStatic, status: http.StatusOK, media: []string{"application/json"}, text: document}, nil
}

// oauthURIs appends to CapabilityStatement.rest.security where tokens come from
// (SMART App Launch, conformance.html#declaring-support-for-oauth2-endpoints).
func (s *Server) oauthURIs(w text) text {
	a := s.cfg.Authorization
	if a == nil {
		return w
	}
	w = w.raw(`"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[{"url":"token","valueUri":`).quote(a.SMART.TokenEndpoint).raw("}")
	for _, more := range [...]struct{ name, uri string }{
		{"authorize", a.SMART.AuthorizationEndpoint}, {"introspect", a.SMART.IntrospectionEndpoint}, {"revoke", a.SMART.RevocationEndpoint},
	} {
		if more.uri != "" {
			w = w.raw(`,{"url":`).quote(more.name).raw(`,"valueUri":`).quote(more.uri).raw("}")
		}
	}
	return w.raw(`]}],`)
}
