package gate

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"vitrine/consent"
	"vitrine/consent/audit"
)

// concerned is a patient whom an attempt would have concerned, and what was
// decided about it.
type concerned struct {
	patient  string
	decision consent.Decision
}

// denied records that nothing was released and returns the error to answer
// with: cause, or ErrUnavailable when it could not be recorded. The reason is
// for the record alone; whom are those whom the server itself found the attempt
// to concern. Who has gone meanwhile is on record as well, and is told nothing.
func (v *visit) denied(ctx context.Context, cause error, reason string, whom []concerned) error {
	events := make([]audit.Event, 0, 2)
	for _, w := range whom {
		e := v.attempt(reason)
		v.decided(&e, w.patient, &w.decision)
		e.Reason = reason
		events = append(events, e)
		if v.byConsent(&w.decision) {
			events = append(events, v.judgement(&e))
		}
	}
	if len(whom) == 0 {
		events = append(events, v.attempt(reason))
	}
	if errors.Is(cause, ErrNotFound) {
		v.hold()
	}
	if _, err := v.recordGone(ctx, Released{}, events); err != nil {
		return err
	}
	return cause
}

// attempt is the event of a request that was refused, concerning no patient yet.
func (v *visit) attempt(reason string) audit.Event {
	e := v.event()
	e.Outcome, e.Reason, e.Query = audit.OutcomeMinor, reason, v.query()
	return e
}

// byConsent reports whether it was a Consent that stood against a person of an
// organisation.
func (v *visit) byConsent(d *consent.Decision) bool {
	c := &v.caller
	return len(d.Consents) > 0 && d.Grant == "" && c.Kind == consent.Practitioner && c.Organization != ""
}

// judgement is the event that stands beside that of an attempt and names the
// Consents which decided against it (BALP AuthZconsent).
func (v *visit) judgement(attempt *audit.Event) audit.Event {
	e := *attempt
	e.ID = newEventID(v.req.Now)
	e.Kind, e.Action, e.Query, e.Entities, e.Labels, e.Before = audit.KindDecision, audit.ActionExecute, "", nil, nil, ""
	return e
}

// secrets are the parameters whose values are no matter for a record, in whatever
// case they are written: they would let whoever reads it act for the client.
func secrets() []string {
	return []string{
		"access_token", "refresh_token", "id_token", "id_token_hint", "token", "bearer_token", "authorization", "assertion", "client_assertion", "client_secret",
		"password", "passwd", "secret", "code_verifier", "api_key", "apikey", "justification",
	}
}

// withoutSecrets is the target of a request without the values of such
// parameters, which a client may put there though nothing is taken from there
// (RFC 6750 §2.3). All else is as it was sent.
func withoutSecrets(target string) string {
	path, query, ok := strings.Cut(target, "?")
	if !ok {
		return target
	}
	pairs := strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' })
	if !slices.ContainsFunc(pairs, secret) {
		return target
	}
	var b strings.Builder
	b.WriteString(path + "?")
	for len(query) > 0 {
		end := strings.IndexAny(query, "&;")
		if end < 0 {
			end = len(query)
		}
		pair := query[:end]
		if secret(pair) {
			name, _, _ := strings.Cut(pair, "=")
			pair = name + "="
		}
		b.WriteString(pair)
		if query = query[end:]; query != "" {
			b.WriteString(query[:1])
			query = query[1:]
		}
	}
	return b.String()
}

// secret reports whether a pair of a query is one whose value is not kept.
func secret(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	name, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(name)), ":")
	return slices.Contains(secrets(), name)
}
