package gate

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
)

// justificationLeast is how many characters that are not space a justification
// has at least (DOSSIER §2.2); justificationMost bounds it, and encounterMost the
// identifier of the encounter.
const (
	justificationLeast = 10
	justificationMost  = 4000
	encounterMost      = 1000
)

// BreakGlass answers Patient/$break-glass (ACCESS §3). The answer is the same
// whether or not the patient restricts anything.
func (g *Gate) BreakGlass(ctx context.Context, req *Request, patient string, b BreakGlassRequest) (Released, error) {
	v, err := g.enterGlass(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if issues := g.faults(&b); len(issues) > 0 {
		return Released{}, &Invalid{Status: http.StatusUnprocessableEntity, Issues: issues}
	}
	return v.commit(ctx, func(w *writing) (Released, error) {
		if !fhir.ValidID(patient) {
			return Released{}, &absence{reason: consent.ReasonAbsent}
		}
		d, err := w.approached(ctx, patient, b.Emergency)
		if err != nil {
			return Released{}, err
		}
		k, err := w.breakGlass(ctx, patient, &b, d)
		return Released{grant: Grant{ID: k.ID, Expires: k.Until}, total: -1, created: true}, err
	})
}

// enterGlass opens a visit for breaking the glass or mending it. Only a natural
// person who treats may; a directive against reading stands against it too.
func (g *Gate) enterGlass(ctx context.Context, req *Request) (*visit, error) {
	v, err := g.open(ctx, req)
	if err != nil {
		return nil, err
	}
	in := req.Interaction
	in.Write = false
	err = v.admit(ctx, in, "Patient")
	if err == nil && v.caller.Kind != consent.Practitioner {
		err = v.refuse(ctx, consent.RefusedRole, "kind-not-breaking-glass")
	}
	if err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// faults are what is wrong with a request, whoever it is about.
func (g *Gate) faults(b *BreakGlassRequest) []fhir.Issue {
	var issues []fhir.Issue
	fault := func(name, text string) {
		issues = append(issues, fhir.Issue{
			Severity: fhir.SeverityError, Code: fhir.CodeValue, Text: text,
			Expression: "Parameters.parameter.where(name='" + name + "')",
		})
	}
	if b.Reason != (fhir.Coding{System: actCode, Code: overrer}) {
		fault("reason", "the reason must be "+actCode+"|"+overrer)
	}
	if n := written(b.Justification); n < justificationLeast || len(b.Justification) > justificationMost {
		fault("justification", "a justification of ten characters or more is required")
	}
	if b.Threat != "life" && b.Threat != "health" {
		fault("threat", "the threat must be life or health")
	}
	if len(b.Encounter.System)+len(b.Encounter.Value) > encounterMost {
		fault("encounter", "the identifier of the encounter is too long")
	}
	if b.TTL < 0 || b.TTL > g.cfg.GrantMax {
		fault("ttl", "a grant lasts at most "+g.cfg.GrantMax.String())
	}
	return issues
}

// written is how many characters of s are not space; none when it is not text.
func written(s string) int {
	if !utf8.ValidString(s) {
		return 0
	}
	n := 0
	for _, r := range s {
		if !unicode.IsSpace(r) && unicode.IsGraphic(r) {
			n++
		}
	}
	return n
}

// approached decides about the patient, after an emergency registration when
// that is asked for and open to the caller. A patient who is not there for the
// caller is not found.
func (w *writing) approached(ctx context.Context, patient string, emergency bool) (consent.Decision, error) {
	d, err := w.decide(ctx, patient)
	if err != nil || d.Level > consent.None {
		return d, err
	}
	if emergency && d.Reason == consent.ReasonNoRelationship && w.g.cfg.Policy.EmergencyEligible(w.caller.RoleCodes) {
		if err := w.registerEmergency(ctx, patient); err != nil {
			return d, err
		}
		if d, err = w.decide(ctx, patient); err != nil || d.Level > consent.None {
			return d, err
		}
	}
	out := &absence{reason: d.Reason}
	if d.Reason != consent.ReasonAbsent {
		out.whom = []concerned{{patient, d}}
	}
	return d, out
}

// registerEmergency makes the emergency registration: an EpisodeOfCare of the
// caller's organisation, for a day, until its own registration follows.
func (w *writing) registerEmergency(ctx context.Context, patient string) error {
	resource, err := json.Marshal(struct {
		ResourceType string    `json:"resourceType"`
		Status       string    `json:"status"`
		Type         []concept `json:"type"`
		Patient      reference `json:"patient"`
		Organization reference `json:"managingOrganization"`
		Period       interval  `json:"period"`
	}{
		"EpisodeOfCare", "active",
		[]concept{codes("http://terminology.hl7.org/CodeSystem/v3-ActCode", "EMER")},
		reference{"Patient/" + patient},
		reference{"Organization/" + w.caller.Organization},
		interval{fhir.FormatInstant(w.now), fhir.FormatInstant(w.now.Add(w.g.cfg.GrantMax))},
	})
	if err != nil {
		return err
	}
	ref, err := w.putOwn(ctx, resource, "EpisodeOfCare", w.caller.Organization)
	if err != nil {
		return err
	}
	e := w.event()
	e.Interaction, e.Action, e.Patient, e.Entities, e.Reason = "create", audit.ActionCreate, patient, []string{ref}, "emergency-registration"
	w.extra = append(w.extra, e)
	return nil
}

// putOwn stores a new resource of the server's own making.
func (w *writing) putOwn(ctx context.Context, resource []byte, t fhir.ResourceType, contributor string) (ref string, err error) {
	d, err := w.own(resource, t, contributor)
	if err != nil {
		return "", err
	}
	if err := w.ready(d, newID()); err != nil {
		return "", err
	}
	d.byServer = true
	r, err := w.put(ctx, d, nil)
	return versioned(r), err
}

// breakGlass makes the grant: the review Task that holds it, the patient's
// notification, and the record of the start, in one commit.
func (w *writing) breakGlass(ctx context.Context, patient string, b *BreakGlassRequest, d consent.Decision) (consent.Grant, error) {
	ttl := b.TTL
	if ttl == 0 {
		ttl = w.g.cfg.GrantTTL
	}
	from := w.now.UTC().Truncate(time.Millisecond)
	k := consent.Grant{
		ID: urn(newUUID()), Patient: patient, User: w.caller.Practitioner,
		Organization: w.caller.Organization, Client: w.caller.Client,
		From: from, Until: from.Add(ttl),
	}
	resource, err := w.reviewTaskOf(k, b)
	if err != nil {
		return k, err
	}
	if _, err := w.putOwn(ctx, resource, "Task", ""); err != nil {
		return k, err
	}
	if err := w.notify(ctx, k); err != nil {
		return k, err
	}
	e := w.event()
	e.Kind, e.Patient, e.Grant, e.Entities = audit.KindBreakGlassStart, patient, k.ID, nil
	e.Level, e.Consents = d.Level, d.Consents
	e.Glass = audit.Glass{Reason: overrer, Threat: b.Threat, Justification: b.Justification, Start: k.From, End: k.Until}
	w.extra, w.onlyThem = append(w.extra, e), true
	return k, nil
}

// urn is a UUID as a URN (RFC 9562 §4).
func urn(id [16]byte) string {
	h := hex.EncodeToString(id[:])
	return "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// StopBreakGlass answers Patient/$break-glass-stop: it ends the caller's own
// grants for the patient.
func (g *Gate) StopBreakGlass(ctx context.Context, req *Request, patient string) (Released, error) {
	if err := g.store.Settle(ctx); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	v, err := g.enterGlass(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if !fhir.ValidID(patient) {
		return Released{}, v.denied(ctx, ErrNotFound, consent.ReasonAbsent, nil)
	}
	open, err := v.openGrants(ctx, patient)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	c := &v.caller
	open = slices.DeleteFunc(open, func(k opened) bool {
		return k.User != c.Practitioner || k.Organization != c.Organization || k.Client != c.Client || !v.now.Before(k.Until)
	})
	if len(open) == 0 {
		return Released{}, v.denied(ctx, ErrNotFound, "no-grant", nil)
	}
	counts := make([]uint32, len(open))
	for i := range open {
		if counts[i], err = v.uses(ctx, open[i].Grant); err != nil {
			return Released{}, g.failed(ctx, err)
		}
	}
	return v.commit(ctx, func(w *writing) (Released, error) {
		out := Released{grant: Grant{ID: open[0].ID, Expires: v.now}, total: -1}
		for i := range open {
			if err := w.shut(ctx, open[i], v.now, counts[i]); err != nil {
				return out, err
			}
		}
		return out, nil
	})
}
