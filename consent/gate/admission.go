package gate

import (
	"context"
	"net/http"
	"slices"
	"time"

	"vitrine/consent"
	"vitrine/consent/directive"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// visit is one request under way: who asks, resolved against the directory,
// and the one view of the store from which it is answered.
type visit struct {
	view
	req    *Request
	caller consent.Caller
	device string
	stand  consent.Standing
	// params are the search parameters that there are.
	params *parameters
	// letter is the permission by which what is under way reads; openings are those
	// of types that were worked out.
	letter   byte
	openings openings
	// bundle are the entries of a transaction: the record of what was denied is
	// about one of them.
	bundle []Entry
	// notes are what the events of the request have in common.
	notes notes
	// claims says that it was noticed that the request claims an emergency.
	claims bool
}

// open takes the request's one snapshot, resolves the caller and turns away whose
// token was revoked. close must follow.
func (g *Gate) open(ctx context.Context, req *Request) (*visit, error) {
	if !req.Interaction.Write && req.Type == "AuditEvent" {
		if err := g.store.Settle(ctx); err != nil {
			return nil, g.failed(ctx, err)
		}
	}
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return nil, g.failed(ctx, err)
	}
	v := &visit{view: view{g: g, reader: snap, snap: snap, now: req.Now}, req: req, caller: req.Caller, letter: req.Interaction.Letter}
	v.reader = v.sifted(snap)
	if err := v.learn(ctx); err != nil {
		v.close()
		return nil, g.failed(ctx, err)
	}
	s, err := v.standing(ctx, &v.caller)
	if err != nil {
		v.close()
		return nil, g.failed(ctx, err)
	}
	v.stand, v.device = s.resolve(&g.cfg.Policy, &v.caller, v.now), s.client.device
	v.bound(s)
	if err := v.unrevoked(ctx); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// bound leaves of the scopes of a token what the client is registered for now: what
// another issuer grants, and what an app was granted before its registration was cut
// down. The operator vouches for what is made by hand, and what the server makes for
// a back end or for itself is cut down when it is made and lives for minutes.
func (v *visit) bound(s *standing) {
	if v.caller.ByHand || s.client.client.ID == "" || v.caller.Issuer == v.g.cfg.BaseURL && v.caller.Grant == "" {
		return
	}
	v.caller.Scopes = s.within(v.caller.Scopes)
	v.reader = v.sifted(v.snap)
}

// enter opens a visit and passes it through the gates that depend on the
// caller alone (ACCESS §3).
func (g *Gate) enter(ctx context.Context, req *Request) (*visit, error) {
	v, err := g.open(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := v.admit(ctx, req.Interaction, req.Type); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// itself is a visit of the server's own, in which nobody asks for anything; code is
// that of what it does. The caller closes it.
func (g *Gate) itself(ctx context.Context, code string, now time.Time) (*visit, error) {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return &visit{
		view: view{g: g, reader: snap, snap: snap, now: now},
		req:  &Request{Now: now, Interaction: Interaction{Code: code, Write: true}},
	}, nil
}

func (v *visit) close() {
	if v.snap != nil {
		if err := v.snap.Close(); err != nil {
			v.g.log.Error("snapshot did not close", "error", err)
		}
	}
}

// admit is the gates that depend on the caller alone. A refusal is recorded
// before it is returned.
func (v *visit) admit(ctx context.Context, in Interaction, t fhir.ResourceType) error {
	verdict, err := v.verdict(ctx, in, t)
	if err != nil {
		return v.g.failed(ctx, err)
	}
	if !verdict.Admitted {
		return v.refuse(ctx, verdict.Refusal, verdict.Reason)
	}
	v.caller.Confined = verdict.Confined
	return nil
}

// blocked asks the directives. They concern providers alone; when they cannot
// be read, the request fails, for a directive is a prohibition (DOSSIER §7.2).
func (v *visit) blocked(ctx context.Context, in Interaction, t fhir.ResourceType) (bool, error) {
	if v.caller.Kind != consent.Practitioner && v.caller.Kind != consent.System {
		return false, nil
	}
	set, err := v.directiveSet(ctx)
	if err != nil {
		return false, err
	}
	return set.Blocks(&v.caller, v.device, in.Write, t, v.now), nil
}

// directiveSet is every directive on file: what bears the server's own label, which
// the regulator's orders alone are given. The index folds the case of labels and
// takes other shapes than R4's, so that by it alone nobody would be known to be one.
func (v *view) directiveSet(ctx context.Context) (directive.Set, error) {
	if set, ok := v.g.directives.get("", v.snap, v.now); ok {
		return set, nil
	}
	var b basis
	b.on(v.snap, directivesKey)
	var set directive.Set
	err := v.each(ctx, "Basic", []search.Clause{v.g.oversight("Basic")}, func(f store.Found, t *fhir.Tape) error {
		if !slices.Contains(f.Labels, consent.LabelOversight) {
			return nil
		}
		d, problem := directive.Compile(t, v.g.cfg.BaseURL)
		if problem != nil && d.Record.State == directive.Active {
			v.g.log.WarnContext(ctx, "a directive on file is in doubt; it blocks", "alert", "directive-malformed", "id", f.ID)
		}
		if d.Record.State == directive.Active { // the others are so for good, or until the next write
			set = append(set, d)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	v.g.directives.put("", set, b)
	return set, nil
}

// oversight is the clause that a resource carries the server's own label.
func (g *Gate) oversight(t fhir.ResourceType) search.Clause {
	return g.coded(t, "_security", fhir.Coding{System: consent.SystemLabel, Code: labelOversight})
}

// labelOversight is the code of consent.LabelOversight.
const labelOversight = "oversight"

// refuse records a refusal that depends on the caller alone and returns it.
func (v *visit) refuse(ctx context.Context, code consent.Refusal, reason string) error {
	return v.denied(ctx, &Refused{Status: http.StatusForbidden, Code: string(code)}, reason, nil)
}

// Deny records a refusal that the porch found and returns the error to answer
// with. reason is the internal reason, such as "purpose-several".
func (g *Gate) Deny(ctx context.Context, req *Request, r *Refused, reason string) error {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return g.failed(ctx, err)
	}
	v := &visit{view: view{g: g, reader: snap, snap: snap, now: req.Now}, req: req, caller: req.Caller}
	defer v.close()
	if err := v.unrevoked(ctx); err != nil { // which comes first, whatever else is wrong
		return err
	}
	return v.denied(ctx, r, reason, nil)
}
