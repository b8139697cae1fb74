package gate

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"vitrine/consent"
	"vitrine/consent/relation"
	"vitrine/consent/restriction"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// acceptable is the draft of content that the caller may contribute as far as
// caller and content alone can tell.
func (v *visit) acceptable(ctx context.Context, t fhir.ResourceType, c Content) (*draft, error) {
	if err := v.writable(ctx, t); err != nil {
		return nil, err
	}
	d, err := v.draft(ctx, t, c)
	if err != nil {
		return nil, err
	}
	if v.caller.Kind == consent.Regulator {
		return v.order(ctx, d)
	}
	if err := v.contentRules(t, d.tape); err != nil {
		return nil, err
	}
	return d, nil
}

// writable says which types a kind of caller writes (ACCESS §2): providers
// contribute everything but Consents and Subscriptions, which would ask for what
// is to come; patients write their Consents, the regulator issues directives, and
// AuditEvents are the server's alone.
func (v *visit) writable(ctx context.Context, t fhir.ResourceType) error {
	if t == "AuditEvent" {
		return ErrMethod
	}
	ok := false
	switch v.caller.Kind {
	case consent.Custodian:
		ok = true
	case consent.Practitioner, consent.System:
		ok = t != "Consent" && t != "Subscription"
	case consent.Patient, consent.Representative:
		ok = t == "Consent"
	case consent.Regulator:
		ok = t == "Basic"
	case consent.Nobody:
	default:
	}
	if !ok && v.caller.Kind == consent.Regulator {
		return v.refuse(ctx, consent.RefusedOverseer, "kind-not-writing")
	}
	if !ok {
		return v.refuse(ctx, consent.RefusedRole, "kind-not-writing")
	}
	return nil
}

// unreserved refuses what would be hidden by something that no store has. What a
// store has there from before is deleted or left.
func (w *writing) unreserved(d *draft) error {
	if d.byServer || !slices.Contains(w.g.cfg.Reserved, string(d.typ)+"/"+d.id) {
		return nil
	}
	return invalid(statusBusiness, fhir.CodeBusinessRule, "this id is the server's own, which shows a resource of its own there; take another", string(d.typ)+".id")
}

// own is the draft of what the server itself writes.
func (v *visit) own(resource []byte, t fhir.ResourceType, contributor string) (*draft, error) {
	tape := new(fhir.Tape)
	if err := tape.Parse(resource, fhir.Stored()); err != nil {
		return nil, fmt.Errorf("parse own %s: %w", t, err)
	}
	d := v.g.understand(t, tape)
	d.partition, d.contributor = contributor, contributor
	return d, nil
}

// lawful holds a write against what is on file: a Consent is the patient's own,
// and there is one that is active.
func (w *writing) lawful(ctx context.Context, d *draft, h homing, prior *store.Found) error {
	if err := cmp.Or(w.kept(prior, d), w.unreserved(d)); err != nil {
		return err
	}
	if d.typ == "Device" && d.contributor == "" {
		return w.enrols(ctx, d, prior)
	}
	if d.typ == "PractitionerRole" && w.caller.Kind == consent.Practitioner {
		return w.unselfish(d, prior)
	}
	if d.typ == "RelatedPerson" && d.contributor == "" && relation.AuthorityFault(d.tape) {
		return invalid(http.StatusUnprocessableEntity, fhir.CodeBusinessRule,
			"an authority is named once, as valueCode: family, power-of-attorney, deputy or support-network", "RelatedPerson.extension")
	}
	if d.typ == "Organization" && d.contributor == "" {
		return w.onboarded(d, prior)
	}
	if d.typ == "Consent" && len(h.named) == 0 && w.caller.Kind == consent.Custodian {
		w.g.log.WarnContext(ctx, "a consent names no patient on file; it restricts nothing until it does",
			"alert", "consent-homeless", "consent", "Consent/"+d.id)
	}
	if d.typ != "Consent" || w.caller.Kind == consent.Custodian {
		return nil
	}
	if h.home != consent.HomePatients || len(h.patients) != 1 {
		if err := w.phantom(ctx, "Consent/"+d.id); err != nil { // as if it were somebody's
			return err
		}
		return &absence{reason: consent.ReasonNotOwn}
	}
	patient := h.patients[0]
	decision, err := w.decide(ctx, patient)
	if err != nil {
		return err
	}
	if decision.Level != consent.Self {
		return &absence{reason: decision.Reason, whom: []concerned{{patient, decision}}}
	}
	if prior != nil && !slices.Equal(prior.Patients, h.patients) {
		return &absence{reason: consent.ReasonNotOwn}
	}
	r, _ := restriction.Compile(d.tape, w.g.tools.Definitions, w.g.cfg.BaseURL, "")
	if r.Inert || w.lapsed(&r) {
		return nil
	}
	return w.sole(ctx, patient, d.id)
}

// unselfish keeps practitioners from saying in which role they act themselves: what
// ends at ten would be prolonged at nine.
func (w *writing) unselfish(d *draft, prior *store.Found) error {
	own := func(t *fhir.Tape) bool {
		return w.g.reference(t, t.Field(t.Root(), "practitioner")).Local() == w.caller.Practitioner
	}
	mine := own(d.tape)
	if prior != nil && !prior.Deleted {
		if err := w.g.parsed(*prior, func(_ store.Found, t *fhir.Tape) error {
			mine = mine || own(t)
			return nil
		}); err != nil {
			return err
		}
	}
	if mine {
		return invalid(http.StatusUnprocessableEntity, fhir.CodeBusinessRule, "nobody writes a role of their own", "PractitionerRole.practitioner")
	}
	return nil
}

// lapsed reports whether the restriction can never be in force again.
func (w *writing) lapsed(r *consent.Restriction) bool {
	return !r.Malformed && !r.Period.Until.IsZero() && r.Period.Until.Before(w.now)
}

// sole refuses a second active restriction, naming the first (ACCESS §3).
func (w *writing) sole(ctx context.Context, patient, id string) error {
	first := ""
	clauses := []search.Clause{w.g.refers("Consent", "patient", "Patient/"+patient)}
	err := w.each(ctx, "Consent", clauses, func(f store.Found, t *fhir.Tape) error {
		if f.ID == id {
			return nil
		}
		r, _ := restriction.Compile(t, w.g.tools.Definitions, w.g.cfg.BaseURL, versioned(f.Resource))
		if !r.Inert && !w.lapsed(&r) && first == "" {
			first = "Consent/" + f.ID
		}
		return nil
	})
	if err != nil || first == "" {
		return err
	}
	what := ": update it, or make it inactive first"
	if w.rehearsal {
		what = ": with its id, this Consent is seen in its place"
	}
	return invalid(http.StatusConflict, fhir.CodeConflict, "there is an active restriction already, "+first+what, "Consent")
}

// absence is an ErrNotFound whose reason is known, for the record alone.
type absence struct {
	reason string
	whom   []concerned
}

// Error implements error.
func (a *absence) Error() string { return ErrNotFound.Error() }

// Unwrap makes it an ErrNotFound.
func (a *absence) Unwrap() error { return ErrNotFound }
