package rest

import (
	"context"
	"net/http"
	"strings"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir/smart"
)

// identify is the phase that turns the bearer token into a caller. refusal is
// the internal reason when the purpose of use is not exactly one that is known;
// the caller then has none, and the gate is asked to record the denial.
func (s *Server) identify(ctx context.Context, authorization []string, x *exchange) (refusal string, err error) {
	bearer, err := bearerOf(authorization)
	if err != nil {
		return "", err
	}
	token, err := s.verifier.Verify(ctx, bearer, x.request.Now)
	if err != nil {
		return "", x.tokenError(ctx, err)
	}
	x.request.Caller, refusal = CallerOf(&token)
	return refusal, nil
}

// bearerOf reads the Authorization header (RFC 6750 §2.1). A token is taken
// from nowhere else.
func bearerOf(authorization []string) (string, error) {
	if len(authorization) == 0 {
		return "", refuse(problemNoToken)
	}
	scheme, token, ok := strings.Cut(authorization[0], " ")
	if len(authorization) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", refuse(problemBadToken)
	}
	return strings.TrimSpace(token), nil
}

// tokenError keeps what is wrong with a token to the server's own log. The
// errors of a Verifier quote nothing of the token.
func (x *exchange) tokenError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return gate.ErrUnavailable
	}
	x.fault = err
	return refuse(problemBadToken)
}

// CallerOf is who the token says is asking. It is the only place that reads a
// purpose of use: from the token, never from a query or a header, and exactly
// one (DOSSIER §7.4); refusal is the internal reason when there is not.
func CallerOf(t *smart.Token) (c consent.Caller, refusal string) {
	kind, _ := consent.ParseKind(t.Kind) // an unknown one is nobody
	c = consent.Caller{
		Kind:         kind,
		Issuer:       t.Issuer,
		Subject:      t.Subject,
		Client:       t.Client,
		TokenID:      t.ID,
		Grant:        t.Grant,
		ByHand:       t.ByHand,
		User:         t.User,
		Organization: t.Organization,
		Patient:      t.Patient,
		Scopes:       t.Scopes,
		ACR:          t.ACR,
		AuthTime:     t.AuthTime,
	}
	if id, ok := strings.CutPrefix(t.User, "Patient/"); ok && c.Kind == consent.Patient {
		c.Patient = id
	}
	switch len(t.Purposes) {
	case 0:
		return c, "purpose-missing"
	case 1:
	default:
		return c, "purpose-several"
	}
	purpose, ok := consent.ParsePurpose(t.Purposes[0])
	if !ok {
		return c, "purpose-unknown"
	}
	c.Purpose = purpose
	return c, ""
}

// refusedPurpose is the one public refusal of a purpose.
func refusedPurpose() *gate.Refused {
	return &gate.Refused{Status: http.StatusForbidden, Code: "forbidden-purpose"}
}
