package gate

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// enrolment is what the custodian's Devices say of a client id.
type enrolment struct {
	state consent.Client
	// device is the id of the Device; empty when there is none.
	device string
	// client is the registration; zero when there is none that counts.
	client smart.Client
}

// Client is the registration of a client in whatever state it is, or ErrNotFound.
// One that cannot be read whole is none.
func (g *Gate) Client(ctx context.Context, id string, now time.Time) (c smart.Client, err error) {
	err = g.viewing(ctx, now, func(v *view) error {
		e, err := v.enrolment(ctx, id)
		if err == nil && e.client.ID == "" {
			err = ErrNotFound
		}
		c = e.client
		c.RedirectURIs = slices.Clone(c.RedirectURIs)
		if err == nil && c.Organization != "" {
			c.Owner, err = v.nameOf(ctx, "Organization/"+c.Organization)
		}
		return err
	})
	return c, err
}

// enrolment looks the client id up among the Devices the custodian keeps.
func (v *view) enrolment(ctx context.Context, id string) (enrolment, error) {
	if id == "" {
		return enrolment{}, nil
	}
	e := enrolment{state: consent.ClientUnlisted}
	named := []search.Clause{v.g.coded("Device", "identifier", fhir.Coding{System: consent.SystemClient, Code: id})}
	err := v.each(ctx, "Device", named, func(f store.Found, t *fhir.Tape) error {
		if f.Contributor != "" {
			return nil
		}
		first := e.device == ""
		e.device = f.ID
		if !first {
			e.state, e.client = consent.ClientSeveral, smart.Client{}
			return nil
		}
		e.enrol(t, v.g.cfg.BaseURL, id)
		return nil
	})
	if e.state == consent.ClientSeveral || e.state == consent.ClientUnreadable {
		v.g.log.WarnContext(ctx, "the registration of a client is in doubt; it is let do nothing", "alert", "client-in-doubt", "device", e.device)
	}
	return e, err
}

// enrol reads the one Device of a client.
func (e *enrolment) enrol(t *fhir.Tape, base, id string) {
	c, err := smart.ReadClient(t, base)
	switch {
	case errors.Is(err, smart.ErrNoRegistration):
		e.state = consent.ClientSuspended
		if t.Text(t.Field(t.Root(), "status")) == "active" {
			e.state = consent.ClientListed
		}
	case err != nil, c.ID != id: // the index folds what the registration does not
		e.state = consent.ClientUnreadable
	default:
		e.client = c
		e.state = clientState(c.State)
	}
}

func clientState(s smart.ClientState) consent.Client {
	switch s {
	case smart.ClientPending:
		return consent.ClientPending
	case smart.ClientActive:
		return consent.ClientActive
	case smart.ClientSuspended:
		return consent.ClientSuspended
	case smart.ClientEnded:
		return consent.ClientEnded
	default:
		return consent.ClientUnreadable
	}
}

// Admit reports whether the caller would be let in now by the gates that depend
// on it alone, but for the scope: a token that says so is worth issuing. A refusal
// is a *Refused, and on record. reason is why the caller has no purpose.
func (g *Gate) Admit(ctx context.Context, c *consent.Caller, reason string, now time.Time) error {
	req := &Request{Caller: *c, Now: now, Interaction: Interaction{Code: smart.EventToken}}
	v, err := g.open(ctx, req)
	if err != nil {
		return err
	}
	defer v.close()
	if v.stand.Blocked, err = v.shut(ctx); err != nil {
		return g.failed(ctx, err)
	}
	verdict := g.cfg.Policy.Welcome(&v.caller, &v.stand, now)
	if verdict.Admitted {
		return nil
	}
	if verdict.Refusal == consent.RefusedPurpose && reason != "" {
		verdict.Reason = reason
	}
	e := v.event()
	e.Kind, e.Action = audit.KindAuthentication, audit.ActionExecute
	e.Outcome, e.Reason, e.Query = audit.OutcomeMinor, verdict.Reason, ""
	if _, err := v.record(ctx, Released{}, []audit.Event{e}); err != nil {
		return err
	}
	return &Refused{Status: http.StatusForbidden, Code: string(verdict.Refusal)}
}

// shut reports whether directives leave the caller nothing to read and nothing to
// write.
func (v *visit) shut(ctx context.Context) (bool, error) {
	if v.caller.Kind != consent.Practitioner && v.caller.Kind != consent.System {
		return false, nil
	}
	set, err := v.directiveSet(ctx)
	if err != nil {
		return false, err
	}
	return set.Shuts(&v.caller, v.device, v.now), nil
}

// Note puts on record what happened at the authorization server. It is durable
// when Note returns nil.
func (g *Gate) Note(ctx context.Context, n *smart.Event) error {
	e := noted(n)
	e.ID, e.Site, e.Observer = newEventID(n.When), g.cfg.Site, g.cfg.Site
	if e.Agent.Subject != "" {
		e.Agent.Issuer = g.cfg.BaseURL
	}
	if err := g.withCluster(ctx, &e); err != nil {
		return g.failed(ctx, err)
	}
	records, buffer := g.encode([]audit.Event{e})
	receipt, err := g.store.Record(ctx, records...)
	g.keep(buffer)
	if err != nil || !receipt.Valid() {
		g.log.ErrorContext(ctx, "what happened could not be recorded", "error", err, "request", n.RequestID)
		return ErrUnavailable
	}
	return nil
}

// noted is the record of what happened. The name of an account is kept only of
// one that there is: people type secrets into the wrong field.
func noted(n *smart.Event) audit.Event {
	typ, id, _ := strings.Cut(n.User, "/")
	word, _ := smart.KindOfUser(fhir.ResourceType(typ))
	kind, _ := consent.ParseKind(word)
	if n.User == "" && (n.Client == "" || n.Organization == "") {
		kind = consent.Nobody
	}
	e := audit.Event{
		Recorded: n.When, Kind: audit.KindAuthentication, Interaction: n.Kind, Action: audit.ActionExecute,
		Patient: n.Patient, RequestID: n.RequestID, Query: n.Request,
		Agent: audit.Agent{Kind: kind, Client: n.Client, User: n.User, Organization: n.Organization, TokenID: n.TokenID, Address: n.Address},
	}
	if n.User != "" {
		e.Agent.Subject = n.Account
	}
	if e.Patient == "" && typ == "Patient" {
		e.Patient = id
	}
	if n.Failed {
		e.Outcome, e.Reason = audit.OutcomeMinor, n.Reason
	}
	return e
}
