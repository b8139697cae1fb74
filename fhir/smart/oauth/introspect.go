package oauth

import (
	"context"
	"net/http"

	"vitrine/fhir/smart"
)

// introspect says what a token is worth now (RFC 7662; SMART App Launch 2.2,
// token-introspection.html). A client may ask about its own tokens, the custodian
// about all; everything else is inactive, and no more is said.
func (s *Server) introspect(ctx context.Context, w http.ResponseWriter, x *exchange) error {
	if err := x.readForm(w); err != nil {
		return err
	}
	asks, err := s.asks(ctx, x)
	if err != nil {
		return err
	}
	text := x.form.get("token")
	if text == "" {
		return badRequest("token is required.")
	}
	out, err := s.worth(ctx, x, asks, text)
	if err != nil {
		return err
	}
	if out == nil {
		out = map[string]any{"active": false}
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// asker is who asks about tokens: a client about its own, or the custodian.
type asker struct {
	client string
	all    bool
}

func (a asker) may(client string) bool { return a.all || a.client != "" && a.client == client }

// asks finds out who asks: by an access token, or as at the token endpoint.
func (s *Server) asks(ctx context.Context, x *exchange) (asker, error) {
	if x.r.Header.Get("Authorization") != "" {
		t, err := s.bearer(ctx, x)
		if err != nil {
			return asker{}, err
		}
		x.client = t.Client
		return asker{client: t.Client, all: t.Kind == smart.KindCustodian}, nil
	}
	p, err := s.prove(ctx, x)
	if err != nil {
		return asker{}, err
	}
	if p.assertion != nil {
		if err := s.cfg.State.Remember(ctx, x.now, p.spend); err != nil {
			return asker{}, err
		}
	}
	return asker{client: p.client.ID}, nil
}

// worth is what is said of a token that is good; nil of every other.
func (s *Server) worth(ctx context.Context, x *exchange, who asker, text string) (map[string]any, error) {
	t, err := s.cfg.Verifier.Verify(ctx, text, x.now)
	if err != nil {
		if ctx.Err() != nil {
			return nil, unavailable()
		}
		return s.worthOfRefresh(ctx, x, who, text)
	}
	if !who.may(t.Client) {
		return nil, nil //nolint:nilnil // nothing is said
	}
	if err := s.cfg.Registry.Admit(ctx, &t, x.now); isRefused(err) {
		return nil, nil //nolint:nilnil // nothing is said
	} else if err != nil {
		return nil, err
	}
	scope := t.Scopes.String()
	if t.Grant != "" { // the registration of its app may be less by now
		client, err := s.cfg.Registry.Client(ctx, t.Client, x.now)
		if err != nil {
			return nil, err
		}
		scope = smart.Narrow(scope, client.Scope)
	}
	out := map[string]any{
		"active": true, "scope": scope, "client_id": t.Client, "exp": t.Expires.Unix(),
		"iss": t.Issuer, "sub": t.Subject, "token_type": "Bearer", "aud": s.Issuer(),
	}
	if t.User != "" {
		out["fhirUser"] = s.Issuer() + "/" + t.User
	}
	if t.Patient != "" {
		out["patient"] = t.Patient
	}
	return out, s.launchedWith(ctx, x, t.Grant, out)
}

// launchedWith adds what an access token does not say itself: the rest of the
// launch context.
func (s *Server) launchedWith(ctx context.Context, x *exchange, grant string, out map[string]any) error {
	if grant == "" {
		return nil
	}
	var a authorization
	found, err := recall(s.look(ctx, x.now), keyContext+grant, &a)
	if err == nil && found {
		a.context(out)
		delete(out, "need_patient_banner")
	}
	return err
}

func (s *Server) worthOfRefresh(ctx context.Context, x *exchange, who asker, text string) (map[string]any, error) {
	var id string
	found, err := recall(s.look(ctx, x.now), keyRefresh+hashed(text), &id)
	if err != nil || !found {
		return nil, err
	}
	var f refreshable
	found, err = recall(s.look(ctx, x.now), keyGrant+id, &f)
	a := &f.Authorization
	if err != nil || !found || f.Current != hashed(text) || !who.may(a.Client) || !x.now.Before(a.Until) {
		return nil, err
	}
	out := map[string]any{"active": true, "scope": a.Scope, "client_id": a.Client, "exp": a.Until.Unix(), "iss": s.Issuer(), "sub": a.User, "fhirUser": s.Issuer() + "/" + a.User}
	a.context(out)
	delete(out, "need_patient_banner")
	return out, nil
}
