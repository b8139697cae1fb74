package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/directive"
	"vitrine/fhir"
	"vitrine/store"
)

// A directive is one person's proposal until another agrees to exactly that
// version, and stands until two agree to lift it. Who did what the server writes
// into the resource itself; what a client sends in its place counts for nothing.

// The words for what is done to a directive, as its events say them.
const (
	actProposed  = "proposed"
	actAgreed    = "agreed"
	actLifting   = "lift-proposed"
	actShortened = "shortened"
	actLifted    = "lifted"
	actWithdrawn = "withdrawn"
	actRefused   = "refused"
	actCertified = "certified"
	actAccepted  = "accepted"
)

// The reasons for which one of them is declined, for the record.
const (
	declinedPerson = "same-person"
	declinedLapsed = "proposal-lapsed"
	declinedState  = "nothing-proposed"
	declinedTarget = "no-target"
)

// order is the draft of a proposal, under the server's own label and in nobody's
// partition, with the record of who proposes it.
func (v *visit) order(ctx context.Context, d *draft) (*draft, error) {
	o, err := directive.Compile(d.tape, v.g.cfg.BaseURL)
	if err != nil {
		return nil, unread(err)
	}
	for _, t := range slices.Concat(o.Types, o.Of) {
		if v.g.tools.Definitions.Resource(string(t)) == nil {
			return nil, unreadable("a type is not one of R4", "Basic.extension")
		}
	}
	by, err := v.person(ctx)
	if err != nil {
		return nil, err
	}
	switch place, err := v.misses(ctx, &o); {
	case err != nil:
		return nil, v.g.failed(ctx, err)
	case place != "":
		return nil, invalid(statusBusiness, fhir.CodeBusinessRule, "a target is not in the directory, so that the directive would reach nobody", place)
	}
	text := directive.Recorded(d.tape, directive.Record{State: directive.Proposed, Proposed: directive.Act{By: by, At: v.now}})
	own, err := v.own(text, "Basic", "")
	if err != nil || slices.Contains(own.labels, consent.LabelOversight) { // it was there before
		return own, err
	}
	own, err = v.own(labelled(own.tape), "Basic", "")
	if err == nil {
		own.noticed = d.noticed
	}
	return own, err
}

// unread is a directive that cannot be read.
func unread(err error) error {
	place := "Basic"
	if fault := (*directive.Fault)(nil); errors.As(err, &fault) {
		place = fault.Place
	}
	return unreadable(err.Error(), place)
}

func unreadable(why, place string) error {
	return invalid(http.StatusUnprocessableEntity, fhir.CodeBusinessRule, "the directive cannot be read: "+why, place)
}

// isDirective reports whether a Basic would be an order of the ministry's.
func isDirective(t *fhir.Tape) bool {
	return slices.ContainsFunc(codings(nil, t, t.Field(t.Root(), "code")), func(c fhir.Coding) bool { return c.System == consent.SystemDirective })
}

// person is who asks for the regulator. A back end is nobody who could agree with
// anybody, and who is named by a role is the person behind it.
func (v *visit) person(ctx context.Context) (directive.Person, error) {
	c := &v.caller
	p := directive.Person{Issuer: c.Issuer, Subject: c.Subject, User: c.User}
	known := p.Known() && c.Subject != c.Client
	if id, ok := strings.CutPrefix(c.User, "PractitionerRole/"); ok {
		p.User = ""
		if _, err := v.read(ctx, "PractitionerRole", id, func(f store.Found, t *fhir.Tape) error {
			if f.Contributor == "" { // nobody else says who somebody is
				p.User = v.g.reference(t, t.Field(t.Root(), "practitioner")).Local()
			}
			return nil
		}); err != nil {
			return p, v.g.failed(ctx, err)
		}
		known = known && p.User != ""
	}
	if !known {
		return p, v.refuse(ctx, consent.RefusedPerson, "no-person")
	}
	return p, nil
}

// ordered keeps directives as they were agreed to: the regulator changes proposals
// alone, and nobody else any.
func (w *writing) ordered(prior *store.Found, d *draft) error {
	if prior.Resource.Type != "Basic" || !slices.Contains(prior.Labels, consent.LabelOversight) {
		return nil
	}
	if w.caller.Kind != consent.Regulator || d == nil {
		return invalid(statusBusiness, fhir.CodeBusinessRule,
			"a directive is kept: the regulator withdraws a proposal with $withdraw, and lifts what is in force with $lift and $agree", "Basic")
	}
	return w.g.parsed(*prior, func(_ store.Found, t *fhir.Tape) error {
		o, _ := directive.Compile(t, w.g.cfg.BaseURL)
		if o.Record.State == directive.Proposed {
			return nil
		}
		return invalid(statusBusiness, fhir.CodeBusinessRule,
			"what was agreed to, or has ended, is not changed: a change is a proposal of its own", "Basic")
	})
}

// Agree answers Basic/$agree: another person agrees to exactly the version that was
// proposed, to be in force or to be lifted.
func (g *Gate) Agree(ctx context.Context, req *Request, id, version string) (Released, error) {
	return g.direct(ctx, req, id, version, (*writing).agree)
}

// Lift answers Basic/$lift: a person proposes that a directive end, at a moment or,
// when that is zero, at once. Until another agrees it stands as it did.
func (g *Gate) Lift(ctx context.Context, req *Request, id, version string, until time.Time) (Released, error) {
	return g.direct(ctx, req, id, version, func(w *writing, ctx context.Context, o *directing) error {
		return w.lift(ctx, o, until)
	})
}

// Withdraw answers Basic/$withdraw: a proposal, to be in force or to be lifted, is
// taken back by who made it or refused by another.
func (g *Gate) Withdraw(ctx context.Context, req *Request, id, version string) (Released, error) {
	return g.direct(ctx, req, id, version, (*writing).withdraw)
}

// directing is a directive about to be acted on.
type directing struct {
	directive.Directive
	by    directive.Person
	prior *store.Found
	// act is the word for what is done; declined is the reason why nothing is.
	act, declined string
}

// decline says that nothing is done, and why.
func (o *directing) decline(reason, text string) error {
	return o.declineAt(reason, text, "Basic")
}

// declineAt is the same of what is wrong with one place.
func (o *directing) declineAt(reason, text, place string) error {
	o.declined = reason
	return invalid(http.StatusConflict, fhir.CodeConflict, text, place)
}

// direct does something to a directive that the regulator's person knows at its
// current version.
func (g *Gate) direct(ctx context.Context, req *Request, id, version string, do func(*writing, context.Context, *directing) error) (Released, error) {
	v, by, err := g.enterDirecting(ctx, req, "Basic")
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if version == "" {
		return Released{}, errNoVersion()
	}
	var o directing
	out, err := v.commit(ctx, func(w *writing) (Released, error) {
		o = directing{by: by}
		r, err := w.direct(ctx, id, version, &o, do)
		return Released{items: []Item{{Resource: r}}, total: -1}, err
	})
	if err != nil && o.declined != "" {
		return Released{}, v.declined(ctx, err, o.declined, "Basic/"+id)
	}
	return out, err
}

func errNoVersion() error {
	return invalid(http.StatusBadRequest, fhir.CodeRequired, "If-Match must name the version that was read: what is done is done to that one", "")
}

// enterDirecting opens a visit of the regulator's, by a person.
func (g *Gate) enterDirecting(ctx context.Context, req *Request, t fhir.ResourceType) (*visit, directive.Person, error) {
	v, err := g.open(ctx, req)
	if err != nil {
		return nil, directive.Person{}, err
	}
	err = v.admit(ctx, req.Interaction, t)
	if err == nil && v.caller.Kind != consent.Regulator {
		err = v.refuse(ctx, consent.RefusedRole, "kind-not-directing")
	}
	var by directive.Person
	if err == nil {
		by, err = v.person(ctx)
	}
	if err != nil {
		v.close()
		return nil, by, err
	}
	return v, by, nil
}

// declined puts on record that a person tried what was not to be done.
func (v *visit) declined(ctx context.Context, cause error, reason, ref string) error {
	e := v.event()
	e.Kind, e.Outcome, e.Reason, e.Entities, e.Query = audit.KindDirective, audit.OutcomeMinor, reason, []string{ref}, v.query()
	if _, err := v.record(ctx, Released{}, []audit.Event{e}); err != nil {
		return err
	}
	return cause
}

func (w *writing) direct(ctx context.Context, id, version string, o *directing, do func(*writing, context.Context, *directing) error) (fhir.Resource, error) {
	prior, err := w.current(ctx, w.addressable(), "Basic", id, version)
	if err != nil {
		return fhir.Resource{}, err
	}
	o.prior = prior
	var text []byte
	err = w.g.parsed(*prior, func(_ store.Found, t *fhir.Tape) error {
		o.Directive, err = directive.Compile(t, w.g.cfg.BaseURL)
		if err != nil && o.Record.State == directive.Proposed {
			return unread(err)
		}
		if err := do(w, ctx, o); err != nil {
			return err
		}
		text = directive.Recorded(t, o.Record)
		return nil
	})
	if err != nil {
		return fhir.Resource{}, err
	}
	w.notes.act = o.act
	return w.rewrite(ctx, prior, text)
}

// current is what is on file under an id, if it is at the version.
func (w *writing) current(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id, version string) (*store.Found, error) {
	if !fhir.ValidID(id) {
		return nil, ErrNotFound
	}
	prior, err := newest(ctx, w.reader, u, t, id)
	switch {
	case err != nil:
		return nil, err
	case prior.Deleted:
		return nil, ErrGone
	case prior.Version != version:
		return nil, ErrPrecondition
	default:
		return prior, nil
	}
}

// rewrite stores the server's own next version of what it keeps.
func (w *writing) rewrite(ctx context.Context, prior *store.Found, text []byte) (fhir.Resource, error) {
	d, err := w.own(text, prior.Resource.Type, prior.Contributor)
	if err != nil {
		return fhir.Resource{}, fmt.Errorf("rewrite own %s: %w", prior.Resource.Type, err)
	}
	if err := w.ready(d, prior.ID); err != nil {
		return fhir.Resource{}, err
	}
	d.byServer = true
	return w.put(ctx, d, prior)
}

// agree makes a proposal hold.
func (w *writing) agree(ctx context.Context, o *directing) error {
	r := &o.Record
	proposed := &r.Lifting
	if r.State == directive.Proposed {
		proposed = &r.Proposed
	}
	if err := o.agreeable(proposed, w.now); err != nil {
		return err
	}
	agreed := directive.Act{By: o.by, At: w.now}
	switch {
	case r.State == directive.Proposed:
		if err := w.stillReaches(ctx, o); err != nil {
			return err
		}
		o.act, r.State, r.Agreed = actAgreed, directive.Active, agreed
		return w.destroy(ctx, o)
	case r.Until.After(w.now):
		o.act, r.Ended, r.End = actShortened, agreed, r.Until
	default:
		o.act, r.Ended, r.State = actLifted, agreed, directive.Lifted
		if err := w.spare(ctx, o); err != nil {
			return err
		}
	}
	r.Lifting, r.Until = directive.Act{}, time.Time{}
	return nil
}

// agreeable reports why who asks cannot agree to what somebody proposed.
func (o *directing) agreeable(proposed *directive.Act, now time.Time) error {
	switch {
	case o.Record.State != directive.Proposed && o.Record.State != directive.Active, proposed.At.IsZero():
		return o.decline(declinedState, "there is nothing to agree to")
	case proposed.Lapsed(now):
		return o.decline(declinedLapsed, "the proposal has waited for more than seven days; it must be made anew")
	case !proposed.By.Other(o.by):
		return o.decline(declinedPerson, "somebody other than the proposer must agree: another subject of the same issuer, and another practitioner")
	default:
		return nil
	}
}

// stillReaches declines what a target has left since it was proposed.
func (w *writing) stillReaches(ctx context.Context, o *directing) error {
	place, err := w.misses(ctx, &o.Directive)
	if err != nil || place == "" {
		return err
	}
	return o.declineAt(declinedTarget, "a target is not in the directory any more, so that the directive would reach nobody", place)
}

// lift proposes the end of a directive.
func (w *writing) lift(_ context.Context, o *directing, until time.Time) error {
	r := &o.Record
	switch _, _, destroys := o.Destroys(); {
	case r.State != directive.Active:
		return o.decline(declinedState, "there is nothing in force to lift")
	case !r.Lifting.At.IsZero() && !r.Lifting.Lapsed(w.now):
		return o.decline("lift-proposed-already", "that it be lifted is proposed already: agree to that, or withdraw it")
	case !until.IsZero() && destroys:
		return o.decline("lift-moment", "a direction to destroy is lifted at once, or not at all")
	case !until.IsZero() && (!until.After(w.now) || !o.Period.Until.IsZero() && !until.Before(o.Period.Until)):
		return o.decline("lift-moment", "the moment at which it is to end must be to come, and before the one at which it ends by itself")
	}
	o.act, r.Lifting, r.Until = actLifting, directive.Act{By: o.by, At: w.now}, until
	return nil
}

// withdraw takes a proposal back, or refuses another's.
func (w *writing) withdraw(_ context.Context, o *directing) error {
	r := &o.Record
	proposed := r.Lifting
	if r.State == directive.Proposed {
		proposed = r.Proposed
	}
	o.act = actWithdrawn
	if proposed.By.Other(o.by) {
		o.act = actRefused
	}
	switch {
	case r.State == directive.Proposed:
		r.State, r.Ended = directive.Withdrawn, directive.Act{By: o.by, At: w.now}
	case r.State == directive.Active && !proposed.At.IsZero():
		r.Lifting, r.Until = directive.Act{}, time.Time{}
	default:
		return o.decline(declinedState, "there is nothing proposed to withdraw")
	}
	return nil
}
