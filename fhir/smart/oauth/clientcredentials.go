package oauth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/token"
)

// clientCredentials is the grant of back ends (SMART App Launch 2.2,
// backend-services.html). A back end alone contributes and never reads; one that
// acts for a person says for whom (the extension hl7-b2b), and reads as that
// person may (DOSSIER §4.4).
func (s *Server) clientCredentials(ctx context.Context, x *exchange, p *proof) (map[string]any, error) {
	switch {
	case p.assertion == nil:
		return nil, &refusal{status: http.StatusBadRequest, code: codeUnauthorized, description: "This grant is for clients with keys of their own."}
	case x.form.get("scope") == "":
		return nil, badScope("scope is required.")
	}
	// Whether the assertion is good once more must not depend on what follows.
	if err := s.cfg.State.Remember(ctx, x.now, p.spend); err != nil {
		return nil, err
	}
	c := &token.Claims{
		ID: secret(), Issuer: s.Issuer(), Subject: p.client.ID, Client: p.client.ID, Audience: []string{s.Issuer()},
		IssuedAt: x.now, Expires: x.now.Add(backendLife),
	}
	var err error
	if p.assertion.Person != nil {
		err = s.actFor(ctx, x, p, c)
	} else {
		err = s.actAlone(x, p, c)
	}
	if err != nil {
		return nil, s.refused(ctx, x, acting(c), err)
	}
	if err := s.cfg.Registry.Admit(ctx, told(c), x.now); err != nil {
		if isRefused(err) {
			err = &refusal{status: http.StatusBadRequest, code: codeUnauthorized, description: "The client, its organisation or the person may not do this now."}
		}
		return nil, s.refused(ctx, x, acting(c), err)
	}
	text, err := s.cfg.Keys.Mint(*c)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Registry.Note(ctx, x.minted(acting(c), c.ID)); err != nil {
		return nil, err
	}
	return map[string]any{"access_token": text, "token_type": "Bearer", "expires_in": int(backendLife / time.Second), "scope": c.Scope}, nil
}

// regulatorScope is the most that the regulator's back end is granted: the record of
// access, the reviews, and the directory of whom these name.
const regulatorScope = "system/AuditEvent.rs system/Task.rus system/Organization.rs system/Practitioner.rs system/PractitionerRole.rs system/Device.rs"

// actAlone fills in the claims of a back end without a person: the custodian's
// registration says whether it is an organisation's, which contributes, or the
// regulator's, which reads the record of access.
func (s *Server) actAlone(x *exchange, p *proof, c *token.Claims) error {
	asked := smart.KeepLetters(smart.KeepLetters(x.form.get("scope"), "user", ""), "patient", "")
	c.Scope = smart.WithoutScopes(s.within(asked, &p.client), func(one string) bool { return !strings.HasPrefix(one, "system/") })
	if p.client.Regulator {
		c.Kind = smart.KindRegulator
		c.Purposes = []fhir.Coding{s.cfg.RegulatorPurpose}
		c.Scope = smart.Narrow(c.Scope, regulatorScope)
	} else {
		c.Organization = reference("Organization", p.client.Organization)
		c.Purposes = []fhir.Coding{s.cfg.SystemPurpose}
		c.Scope = smart.KeepLetters(c.Scope, "system", "cud")
	}
	if c.Scope == "" {
		return badScope("None of the scopes asked for may be granted to a client without a person behind it: an organisation's system contributes (system/TYPE.c, .u, .d); to read, it names the person it acts for (hl7-b2b).")
	}
	return nil
}

// acting is the authorization that the claims of a back end amount to, for the
// record.
func acting(c *token.Claims) *authorization {
	return &authorization{Client: c.Client, User: c.User, Organization: strings.TrimPrefix(c.Organization, "Organization/")}
}

// told is the token as its reader will see it, for the directory to judge.
func told(c *token.Claims) *smart.Token {
	kind := c.Kind
	if kind == "" {
		typ, _, _ := strings.Cut(c.User, "/")
		kind, _ = smart.KindOfUser(fhir.ResourceType(typ))
	}
	return &smart.Token{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Client: c.Client, Scopes: smart.ParseScopes(c.Scope), Expires: c.Expires,
		Kind: kind, User: c.User, Organization: strings.TrimPrefix(c.Organization, "Organization/"), Purposes: c.Purposes, SubjectName: c.SubjectName,
	}
}
