package gate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/plain"
	"vitrine/consent/restriction"
	"vitrine/fhir"
	"vitrine/store"
)

// Explain answers AuditEvent/$explain: why an access was decided as it was, from
// what its event says and the Consent versions that it names, never from those of
// today. What is not on record it says is not.
func (g *Gate) Explain(ctx context.Context, req *Request, id string) (Released, error) {
	if !ConcernedOrKeeping(req.Caller.Kind) {
		return Released{}, ErrNotFound
	}
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	f, u, err := v.find(ctx, auditEvents, id, func(v *visit, u *consent.Universe) (store.Found, error) {
		return v.reader.Read(ctx, u, auditEvents, id)
	})
	if err != nil {
		return Released{}, err
	}
	e, err := audit.Decode(f.Record)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	x := explaining{visit: v, universe: u, event: &e, out: plain.Explanation{Event: "AuditEvent/" + id}}
	if err := x.explain(ctx); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	v.notes.entities = []string{versioned(f.Resource)}
	return v.recordUse(ctx, u, Released{explanation: &x.out, reader: v.listener(), total: -1}, f.Patients...)
}

// explaining is one explanation under way.
type explaining struct {
	*visit
	universe *consent.Universe
	event    *audit.Event
	out      plain.Explanation
}

func (x *explaining) explain(ctx context.Context) (err error) {
	if x.out.Visit, err = x.toldAs(ctx, x.event, map[string]string{}); err != nil {
		return err
	}
	x.out.BasicSet = x.event.BasicSet
	if x.caller.Kind == consent.Custodian {
		x.out.Code, x.out.Grant = x.event.Reason, x.event.Grant
	}
	e := x.event
	switch {
	case e.Outcome != audit.OutcomeSuccess:
		x.out.Why = refusedBecause(e.Reason)
		if e.Agent.Kind == consent.Practitioner && e.Level > consent.None && len(e.Consents) > 0 {
			return x.care(ctx)
		}
		if e.Reason == consent.ReasonRestricted {
			x.out.Unsaid = append(x.out.Unsaid, plain.UnsaidConsents)
		}
		return nil
	case e.Kind == audit.KindBreakGlassStart:
		x.out.Why = plain.BecauseOpening
	case e.Agent.Kind != consent.Practitioner || e.Level == consent.None || contributes(e.Action):
		x.out.Why = byKind(e)
		return nil
	}
	return x.care(ctx)
}

func contributes(a audit.Action) bool {
	return a == audit.ActionCreate || a == audit.ActionUpdate || a == audit.ActionDelete
}

// byKind is why somebody was let do something for who they are alone.
func byKind(e *audit.Event) plain.Because {
	switch e.Agent.Kind {
	case consent.Patient:
		return plain.BecauseOwn
	case consent.Representative:
		return plain.BecauseActs
	case consent.Custodian:
		return plain.BecauseKeeper
	case consent.Regulator:
		return plain.BecauseMinistry
	case consent.System:
		return plain.BecauseContributed
	case consent.Practitioner:
		if contributes(e.Action) {
			return plain.BecauseContributed
		}
		return plain.BecauseUnknown
	case consent.Nobody:
		return plain.BecauseUnknown
	default:
		return plain.BecauseUnknown
	}
}

// refusedBecause is why an attempt was refused, as far as it is the patient's to
// know: of the gates that depend on the caller alone no more than that.
func refusedBecause(reason string) plain.Because {
	switch reason {
	case consent.ReasonNoRelationship:
		return plain.BecauseUnrelated
	case consent.ReasonNotAuthorised:
		return plain.BecauseUnauthorised
	case consent.ReasonRestricted, consent.ReasonMalformed, consent.ReasonUnreadable, consent.ReasonOtherPatient, consent.ReasonNotOwn,
		consent.ReasonAbsent, "hidden", "deleted":
		return plain.BecauseHidden
	}
	for _, caller := range [...]string{"purpose-", "scope", "role-", "client-", "organization-", "directive", "kind-", "system-", "user-", "patient-"} {
		if strings.HasPrefix(reason, caller) {
			return plain.BecauseCaller
		}
	}
	return plain.BecauseUnknown
}

// care explains what somebody who treats saw: consent.Decide is asked again, with
// nothing but what is on record of that moment.
func (x *explaining) care(ctx context.Context) error {
	e := x.event
	c, err := x.then(ctx)
	if err != nil {
		return err
	}
	f := consent.Facts{Patient: e.Patient, Exists: true, Registrations: []consent.Registration{{Organization: e.Agent.Organization}}}
	x.out.Again = true
	for _, ref := range e.Consents {
		one, r, err := x.consulted(ctx, ref, c)
		if err != nil {
			return err
		}
		x.out.Again = x.out.Again && !one.Gone
		x.out.Consulted = append(x.out.Consulted, one)
		if !one.Gone {
			f.Restrictions = append(f.Restrictions, r)
		}
	}
	f.Unreadable = len(e.Consents) == 0 && e.Level == consent.Basic // it is the one way to that
	if e.Grant != "" && e.Kind != audit.KindBreakGlassStart {
		f.Grants = []consent.Grant{{
			ID: e.Grant, Patient: e.Patient, User: c.Practitioner, Organization: c.Organization, Client: c.Client,
			From: e.Recorded, Until: e.Recorded.Add(time.Second),
		}}
	}
	d := consent.Decide(x.g.cfg.Policy, c, &f, e.Recorded)
	x.out.Same = x.out.Again && d.Level == e.Level
	if x.out.Why == "" {
		x.out.Why = x.because(&d, &f)
	}
	x.unsaid(c, &f)
	return nil
}

// then is the caller as the event has it. What its organisation was part of is
// taken from the versions of the directory of that moment.
func (x *explaining) then(ctx context.Context) (*consent.Caller, error) {
	a := &x.event.Agent
	c := &consent.Caller{
		Kind: a.Kind, Client: a.Client, User: a.User, Practitioner: a.Practitioner, RoleCodes: a.Roles, Organization: a.Organization, Purpose: a.Purpose,
	}
	if strings.HasPrefix(a.User, "PractitionerRole/") {
		c.Role = a.User
	}
	for next := a.Organization; next != ""; {
		if slices.Contains(c.Lineage, next) || len(c.Lineage) > lineageDepth {
			c.LineageBroken = true
			break
		}
		c.Lineage = append(c.Lineage, next)
		f, ok, err := x.versionAt(ctx, "Organization", next, x.event.Recorded)
		if err != nil {
			return nil, err
		}
		next = ""
		if !ok {
			c.LineageBroken = true
			break
		}
		if err := x.g.parsed(f, func(_ store.Found, t *fhir.Tape) error {
			above := t.Field(t.Root(), "partOf")
			if above == fhir.None {
				return nil
			}
			ref := x.g.reference(t, above)
			if next = ref.ID; ref.Type != "Organization" {
				next, c.LineageBroken = "", true
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return c, nil
}

const (
	// versionsStep is how many versions are read at once to find one of a moment, and
	// versionsLooked how many at most.
	versionsStep   = 50
	versionsLooked = 2000
)

// versionAt is the version that was current at a moment.
func (v *view) versionAt(ctx context.Context, t fhir.ResourceType, id string, at time.Time) (f store.Found, ok bool, err error) {
	if !fhir.ValidID(id) {
		return f, false, nil
	}
	var after []byte
	for looked := 0; looked < versionsLooked; looked += versionsStep {
		versions, next, _, err := v.reader.History(ctx, consent.Everything(), t, id, versionsStep, after)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) {
			return f, false, nil
		}
		if err != nil {
			return f, false, err
		}
		for i := range versions {
			if !versions[i].Updated.After(at) {
				return versions[i], !versions[i].Deleted, nil
			}
		}
		if len(next) == 0 {
			break
		}
		after = next
	}
	return f, false, nil
}

// consulted is one Consent version that the event names, and what it says for the
// caller.
func (x *explaining) consulted(ctx context.Context, ref string, c *consent.Caller) (out plain.Consulted, r consent.Restriction, err error) {
	out.Reference = ref
	at := fhir.ParseReference(ref, x.g.cfg.BaseURL)
	if !fhir.ValidID(at.ID) || !fhir.ValidID(at.Version) {
		out.Gone = true
		return out, r, nil
	}
	if open, err := x.verdict(ctx, Interaction{Code: "vread", Letter: 'r'}, "Consent"); err != nil {
		return out, r, err
	} else if !open.Admitted {
		out.Reference = "" // an app that may not read Consents is told of none
	}
	if x.caller.Kind != consent.Custodian {
		_, err := x.reader.Version(ctx, x.universe, "Consent", at.ID, at.Version)
		switch {
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
			out.Reference = "" // of a record that is linked to the reader's
		case err != nil:
			return out, r, err
		}
	}
	f, err := x.reader.Version(ctx, consent.Everything(), "Consent", at.ID, at.Version)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) || err == nil && f.Deleted {
		out.Gone = true
		return out, r, nil
	}
	if err != nil {
		return out, r, err
	}
	if err := x.g.parsed(f, func(_ store.Found, t *fhir.Tape) error {
		r, _ = restriction.Compile(t, x.g.tools.Definitions, x.g.cfg.BaseURL, ref)
		return nil
	}); err != nil {
		return out, r, err
	}
	if err := x.resolvedThen(ctx, &r); err != nil {
		return out, r, err
	}
	out.Doubtful = r.Malformed
	if out.Reference == "" {
		return out, r, nil
	}
	out.Base = r.Base
	return out, r, x.deciding(ctx, &out, &r, c)
}

// resolvedThen puts a restriction in doubt that denied somebody who was not on file
// at that moment, as facts does at its own.
func (x *explaining) resolvedThen(ctx context.Context, r *consent.Restriction) error {
	var failure error
	r.Names(func(a consent.Actor, e consent.Effect) bool {
		if e == consent.Permit {
			return true
		}
		ref := fhir.ParseReference(a.Reference(), x.g.cfg.BaseURL)
		_, ok, err := x.versionAt(ctx, ref.Type, ref.ID, x.event.Recorded)
		failure = err
		r.Malformed = r.Malformed || !ok
		return err == nil && !r.Malformed
	})
	return failure
}

// deciding adds the rules that decided about each kind of data that was asked for,
// and about the record at large.
func (x *explaining) deciding(ctx context.Context, out *plain.Consulted, r *consent.Restriction, c *consent.Caller) error {
	for _, t := range append(slices.Clone(x.out.Visit.Data), "") {
		effect, rule := r.Deciding(c, t, nil, x.event.Recorded)
		part := plain.Part{Type: t, Edition: consent.EditionBasic}
		if effect == consent.Permit {
			part.Edition = consent.EditionFull
		}
		out.Parts = append(out.Parts, part)
		if rule == nil || slices.ContainsFunc(out.By, func(s plain.Saying) bool { return s.Rule == rule }) {
			continue
		}
		said, err := x.sayings(ctx, []consent.Rule{*rule})
		if err != nil {
			return err
		}
		out.By = append(out.By, plain.Saying{Rule: rule, Names: said[0].Names})
	}
	return nil
}

// because is the reason of a decision about care.
func (x *explaining) because(d *consent.Decision, f *consent.Facts) plain.Because {
	e := x.event
	switch {
	case e.Grant != "":
		return plain.BecauseGlass
	case f.Unreadable:
		return plain.BecauseUnreadable
	case len(e.Consents) == 0:
		return plain.BecauseUnrestricted
	case slices.ContainsFunc(x.out.Consulted, func(c plain.Consulted) bool { return c.Doubtful }):
		return plain.BecauseMalformed
	}
	permitted, restricted := false, false
	for _, p := range singledOut(f.Restrictions) {
		whole := d.Level == consent.Full
		switch {
		case p.Label != "":
			whole = d.Edition(unnamed(nil), []string{p.Label}) == consent.EditionFull
		case p.Type != "":
			whole = d.Edition(p.Type, nil) == consent.EditionFull
		}
		permitted, restricted = permitted || whole, restricted || !whole
	}
	switch {
	case permitted && restricted:
		return plain.BecausePartly
	case permitted:
		return plain.BecausePermitted
	default:
		return plain.BecauseRestricted
	}
}

// unsaid says what bore on the decision and is not in the event.
func (x *explaining) unsaid(c *consent.Caller, f *consent.Facts) {
	x.out.Unsaid = append(x.out.Unsaid, plain.UnsaidRegistration)
	if len(c.Lineage) > 1 || c.LineageBroken {
		x.out.Unsaid = append(x.out.Unsaid, plain.UnsaidLineage)
	}
	if slices.ContainsFunc(singledOut(f.Restrictions), func(p plain.Part) bool { return p.Label != "" }) {
		x.out.Unsaid = append(x.out.Unsaid, plain.UnsaidLabels)
	}
	if x.out.Again && !x.out.Same {
		x.out.Unsaid = append(x.out.Unsaid, plain.UnsaidDifferent)
	}
}
