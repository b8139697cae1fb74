package gate

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
)

// What an organisation is told of the directions to destroy that were given to it:
// that there is one, whom and what time it is about, and what it sent itself. Not
// the manifest: it lists patients whom the organisation may read no more, and a
// certificate is worth something when it was not copied from what it is held
// against. The regulator may hand out what it thinks fit.

const (
	// certificateMost is how many bytes a certificate has, and certificatesMost how
	// many are sent for one direction.
	certificateMost  = 1 << 20
	certificatesMost = 10
)

// Directed reports whether somebody of the kind may be given directions.
func Directed(k consent.Kind) bool { return k.IsProvider() }

// enterDirected opens a visit of somebody of an organisation, whom no directive
// keeps from what he is directed to do. Who may write Tasks may also see these: a
// back end reads nothing else.
func (g *Gate) enterDirected(ctx context.Context, req *Request) (*visit, error) {
	v, err := g.open(ctx, req)
	if err != nil {
		return nil, err
	}
	stand := v.stand
	stand.Blocked = false
	asks := []consent.Ask{{Letter: 'u', Type: "Task", Write: true}, {Letter: 'r', Type: "Task"}}
	if req.Interaction.Write {
		asks = asks[:1]
	}
	var refused consent.Verdict
	for i := range asks {
		o := v.opens(asks[i].Letter, "Task")
		asks[i].Open = &consent.Opening{OK: o.ok && !o.narrowed, Confined: o.confined}
		verdict := v.g.cfg.Policy.Admit(&v.caller, &stand, asks[i], v.now)
		if verdict.Admitted && !verdict.Confined && Directed(v.caller.Kind) && v.caller.Organization != "" {
			return v, nil
		}
		if i == 0 {
			refused = verdict
		}
	}
	if refused.Admitted {
		refused.Refusal, refused.Reason = consent.RefusedRole, "kind-not-directed"
	}
	err = v.refuse(ctx, refused.Refusal, refused.Reason)
	v.close()
	return nil, err
}

// Directions answers Task/$directions: the directions that were given to the
// caller's organisation.
func (g *Gate) Directions(ctx context.Context, req *Request) (Released, error) {
	v, err := g.enterDirected(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	all, err := v.directionsTo(ctx, v.caller.Organization)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	out := Released{total: len(all)}
	for i := range all {
		r, err := all[i].released()
		if err != nil {
			return Released{}, g.failed(ctx, err)
		}
		out.items = append(out.items, Item{Resource: r, Mode: ModeMatch})
	}
	return v.record(ctx, out, []audit.Event{v.event()})
}

// released is the Task as the organisation is told it.
func (n *direction) released() (fhir.Resource, error) {
	r := directionResource{
		ResourceType: "Task", ID: n.task.ID, Status: n.status, Intent: "order", Code: codes(systemTask, destroyTask),
		AuthoredOn: n.since, Owner: reference{"Organization/" + n.organization}, Input: n.input(),
	}
	if n.business == manifestDone {
		accepted := codes(systemDirection, manifestDone)
		r.BusinessStatus = &accepted
	}
	if n.certificate != "" {
		r.Output = []directionValue{referring(directionCertificate, n.certificate)}
	}
	text, err := json.Marshal(r)
	return fhir.Resource{Type: "Task", ID: n.task.ID, JSON: text}, err
}

// Certify answers Task/$certify: the organisation certifies that it has destroyed
// what it was directed to. The certificate goes to the regulator, as it is: whoever
// sent it changes it no more, but may send another until one is accepted.
func (g *Gate) Certify(ctx context.Context, req *Request, task string, c Content) (Released, error) {
	v, err := g.enterDirected(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	d, err := v.certificate(ctx, c)
	if err != nil {
		return Released{}, err
	}
	return v.commit(ctx, func(w *writing) (Released, error) {
		n, err := w.directed(ctx, task)
		switch {
		case err != nil:
			return Released{}, err
		case n == nil || n.organization != w.caller.Organization:
			return Released{}, &absence{reason: consent.ReasonAbsent}
		case n.status == statusCancelled || n.business == manifestDone:
			return Released{}, invalid(http.StatusConflict, fhir.CodeConflict, "the direction is not in force any more", "Task")
		}
		if err := w.putCertificate(ctx, n, d.tape.Source()); err != nil {
			return Released{}, err
		}
		n.status = statusCompleted
		if _, err := w.keepDirection(ctx, n); err != nil {
			return Released{}, err
		}
		w.told(actCertified, "Task/"+n.task.ID)
		r, err := n.released()
		return Released{items: []Item{{Resource: r}}, total: -1}, err
	})
}

// putCertificate stores a certificate in the place of the one before.
func (w *writing) putCertificate(ctx context.Context, n *direction, text []byte) error {
	if n.certificate == "" {
		ref, err := w.putOwn(ctx, text, "DocumentReference", "")
		n.certificate = fhir.ParseReference(ref, "").Local()
		return err
	}
	prior, err := newest(ctx, w.reader, consent.Everything(), "DocumentReference", fhir.ParseReference(n.certificate, "").ID)
	if err != nil {
		return err
	}
	if sent, err := strconv.Atoi(prior.Version); err != nil || sent >= certificatesMost {
		return invalid(http.StatusConflict, fhir.CodeTooCostly, "as many certificates were sent as may be: the regulator accepts the last, or lifts the direction", "Task")
	}
	_, err = w.rewrite(ctx, prior, text)
	return err
}

// certificate is the draft of the DocumentReference that certifies. It is about no
// patient, and has in itself all that there is to read.
func (v *visit) certificate(ctx context.Context, c Content) (*draft, error) {
	if len(c.Tape.Source()) > certificateMost {
		return nil, invalid(http.StatusRequestEntityTooLarge, fhir.CodeTooLong, "a certificate has 1 MiB at most, with the content in it", "DocumentReference")
	}
	d, err := v.draft(ctx, "DocumentReference", c)
	if err != nil {
		return nil, err
	}
	t := d.tape
	if !d.owners.None() || t.Field(t.Root(), "contained") != fhir.None {
		return nil, invalid(statusBusiness, fhir.CodeBusinessRule, "a certificate is about no patient, and contains no resources", "DocumentReference")
	}
	whole := false
	elements(t, t.Root(), "content", func(n fhir.Node) {
		whole = whole || t.Field(t.Field(n, "attachment"), "data") != fhir.None
	})
	if !whole {
		return nil, invalid(statusBusiness, fhir.CodeBusinessRule, "a certificate has its content in it", "DocumentReference.content.attachment.data")
	}
	if slices.Contains(d.labels, consent.LabelOversight) {
		return d, nil
	}
	return v.own(labelled(t), "DocumentReference", "")
}
