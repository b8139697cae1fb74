package oauth

import (
	"context"
	"net/http"
	"time"

	"vitrine/fhir/smart"
)

// revoke takes a token back (RFC 7009), and with it all that was issued under the
// same authorization. It is void with the next request. A token that is not
// known, or is another client's, is answered alike.
func (s *Server) revoke(ctx context.Context, w http.ResponseWriter, x *exchange) error {
	if err := x.readForm(w); err != nil {
		return err
	}
	who, err := s.asks(ctx, x)
	if err != nil {
		return err
	}
	text := x.form.get("token")
	if text == "" {
		return badRequest("token is required.")
	}
	a, until, err := s.revocable(ctx, x, who, text)
	if err != nil {
		return err
	}
	if a != nil {
		err := s.cfg.State.Remember(ctx, x.now, func(m smart.Memory) error {
			if err := m.Forget(keyGrant + a.ID); err != nil {
				return err
			}
			return m.Revoke(a.ID, until)
		})
		if err != nil {
			return err
		}
		if err := s.cfg.Registry.Note(ctx, x.event(smart.EventRevoke, a)); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// revocable is what a token stands for and until when it could be used; nil when
// the caller has nothing to do with it. A token that belongs to no authorization
// is revoked by its own id.
func (s *Server) revocable(ctx context.Context, x *exchange, who asker, text string) (*authorization, time.Time, error) {
	t, err := s.cfg.Verifier.Verify(ctx, text, x.now)
	switch {
	case err == nil && !who.may(t.Client):
		return nil, time.Time{}, nil
	case err == nil:
		id, until := t.Grant, x.now.Add(MaxTokenLife+time.Minute)
		if id == "" {
			id, until = t.ID, t.Expires.Add(time.Minute)
		}
		if id == "" {
			return nil, time.Time{}, &refusal{status: http.StatusBadRequest, code: codeTokenType, description: "This token has no id (jti) by which it could be revoked."}
		}
		return &authorization{ID: id, Client: t.Client, User: t.User, Organization: t.Organization, Patient: t.Patient}, until, nil
	case ctx.Err() != nil:
		return nil, time.Time{}, unavailable()
	}
	var id string
	found, err := recall(s.look(ctx, x.now), keyRefresh+hashed(text), &id)
	if err != nil || !found {
		return nil, time.Time{}, err
	}
	var f refreshable
	found, err = recall(s.look(ctx, x.now), keyGrant+id, &f)
	if err != nil || !found || !who.may(f.Authorization.Client) {
		return nil, time.Time{}, err
	}
	return &f.Authorization, x.now.Add(MaxTokenLife + time.Minute), nil
}
