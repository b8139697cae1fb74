package gate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/store"
)

// The review of a broken glass is the regulator's, and so is that of an alert. It
// stands in a Task of the server's own, which nobody writes to but by Task/$review:
// the grant in it is what opens a record.

// systemReview holds the states of a review, in Task.businessStatus beside the
// state of the grant.
const systemReview = consent.Canon + "/CodeSystem/nehr-review"

// ReviewState is how far a review is. The zero value is none.
type ReviewState string

// The states of a review, in their order. The last two are its ends.
const (
	ReviewRequested ReviewState = "requested"
	ReviewInReview  ReviewState = "in-review"
	ReviewAccepted  ReviewState = "accepted"
	ReviewReferred  ReviewState = "referred"
)

// status is Task.status in the state (R4 valueset-task-status).
func (s ReviewState) status() string {
	switch s {
	case ReviewInReview:
		return "in-progress"
	case ReviewAccepted, ReviewReferred:
		return "completed"
	case ReviewRequested:
		return "requested"
	default:
		return "requested"
	}
}

// over reports whether a review in the state is at an end.
func (s ReviewState) over() bool { return s == ReviewAccepted || s == ReviewReferred }

// follows reports whether a review may come to the state from another, or stay.
func (s ReviewState) follows(from ReviewState) bool {
	switch s {
	case ReviewInReview:
		return from == ReviewRequested || from == ReviewInReview
	case ReviewAccepted, ReviewReferred:
		return from == ReviewInReview
	case ReviewRequested:
		return from == ReviewRequested
	default:
		return false
	}
}

// ReviewRequest is the content of Task/$review.
type ReviewRequest struct {
	// State is the one to come to; empty to leave it.
	State ReviewState
	// Owner is who reviews, a reference of the directory or an identifier; empty to
	// leave it.
	Owner           string
	OwnerIdentifier fhir.Identifier
	// Comment is added to those there are; empty for none.
	Comment string
}

const (
	commentMost = 4000
	ownerMost   = 1000
)

// Review answers Task/[id]/$review. ifMatch is the version required; empty for any.
func (g *Gate) Review(ctx context.Context, req *Request, id string, r ReviewRequest, ifMatch string) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if v.caller.Kind != consent.Regulator {
		return Released{}, v.refuse(ctx, consent.RefusedRole, "kind-not-reviewing")
	}
	if _, err := v.person(ctx); err != nil {
		return Released{}, err
	}
	issues := v.faultsOfReview(&r)
	if len(issues) == 0 && r.Owner != "" && r.Owner != v.caller.User {
		listed, err := v.inDirectory(ctx, r.Owner)
		if err != nil {
			return Released{}, g.failed(ctx, err)
		}
		if !listed {
			issues = []fhir.Issue{errorIssue(fhir.CodeValue, "the owner must be in the directory, or be the one whom the token names", parameterNamed("owner"))}
		}
	}
	if len(issues) > 0 {
		return Released{}, &Invalid{Status: statusBusiness, Issues: issues}
	}
	return v.commit(ctx, func(w *writing) (Released, error) {
		item, err := w.review(ctx, id, &r, ifMatch)
		return Released{items: []Item{item}, total: -1}, err
	})
}

// faultsOfReview are what is wrong with a request, whatever it is about.
func (v *visit) faultsOfReview(r *ReviewRequest) (issues []fhir.Issue) {
	fault := func(name, text string) {
		issues = append(issues, errorIssue(fhir.CodeValue, text, parameterNamed(name)))
	}
	if r.State != "" && r.State != ReviewInReview && !r.State.over() {
		fault("state", "the state must be in-review, accepted or referred")
	}
	if r.Comment != "" && (written(r.Comment) == 0 || len(r.Comment) > commentMost) {
		fault("comment", "the comment must be text, of 4000 bytes at most")
	}
	if r.Owner != "" {
		ref := fhir.ParseReference(r.Owner, v.g.cfg.BaseURL)
		known := ref.Type == "Practitioner" || ref.Type == "PractitionerRole" || ref.Type == "Organization"
		if ref.Form != fhir.RefLocal || ref.Version != "" || !known || len(r.Owner) > ownerMost {
			fault("owner", "the owner must be a Practitioner, a PractitionerRole or an Organization of this server, or an identifier")
		}
		r.Owner = ref.Local()
	}
	if len(r.OwnerIdentifier.System)+len(r.OwnerIdentifier.Value) > ownerMost {
		fault("owner", "the identifier of the owner is too long")
	}
	if r.State == "" && r.Owner == "" && r.OwnerIdentifier.Value == "" && r.Comment == "" {
		issues = append(issues, errorIssue(fhir.CodeRequired, "a state, an owner or a comment is required", "Parameters.parameter"))
	}
	return issues
}

func parameterNamed(name string) string { return "Parameters.parameter.where(name='" + name + "')" }

// review makes the next version of the Task.
func (w *writing) review(ctx context.Context, id string, r *ReviewRequest, ifMatch string) (Item, error) {
	if !fhir.ValidID(id) {
		return Item{}, &absence{reason: consent.ReasonAbsent}
	}
	prior, err := newest(ctx, w.tx, consent.Everything(), "Task", id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (prior.Deleted || !isOversight(*prior)) {
		return Item{}, &absence{reason: consent.ReasonAbsent}
	}
	if err != nil {
		return Item{}, err
	}
	var resource []byte
	err = w.g.parsed(*prior, func(_ store.Found, t *fhir.Tape) (err error) {
		if !isReviewed(t) {
			return &absence{reason: consent.ReasonAbsent}
		}
		if ifMatch != "" && ifMatch != prior.Version {
			return ErrPrecondition
		}
		if err := mayReview(t, r); err != nil {
			return err
		}
		resource, err = w.reviewed(t, r)
		return err
	})
	if err != nil {
		return Item{}, err
	}
	d, err := w.own(resource, "Task", "")
	if err != nil {
		return Item{}, err
	}
	if err := w.ready(d, id); err != nil {
		return Item{}, err
	}
	d.byServer = true
	out, err := w.put(ctx, d, prior)
	if err != nil {
		return Item{}, err
	}
	w.onlyThem = true
	e := w.event()
	e.Kind, e.Action, e.Query = audit.KindReview, audit.ActionUpdate, ""
	e.Entities, e.Before = []string{versioned(out)}, versioned(prior.Resource)
	if len(prior.Patients) == 1 {
		e.Patient = prior.Patients[0]
	}
	w.extra = append(w.extra, e)
	return Item{Resource: out, Status: http.StatusOK}, nil
}

// isReviewed reports whether a Task of the server's own asks for a review.
func isReviewed(t *fhir.Tape) bool {
	return slices.ContainsFunc(codings(nil, t, t.Field(t.Root(), "code")), func(c fhir.Coding) bool {
		return c.System == systemTask && (c.Code == reviewTask || c.Code == alertTask)
	})
}

// reviewOf is how far the review in a Task is.
func reviewOf(t *fhir.Tape) ReviewState {
	for _, c := range codings(nil, t, t.Field(t.Root(), "businessStatus")) {
		if c.System == systemReview {
			return ReviewState(c.Code)
		}
	}
	return ReviewRequested
}

// mayReview holds a change against how far the review is. What is not over yet is
// not judged, and what was judged stays so.
func mayReview(t *fhir.Tape, r *ReviewRequest) error {
	from := reviewOf(t)
	open := fhir.Coding{System: systemGrant, Code: grantOpen}
	switch {
	case from.over():
		return invalid(statusBusiness, fhir.CodeBusinessRule, "the review is at its end and changes no more", "Task.businessStatus")
	case r.State != "" && !r.State.follows(from):
		return invalid(statusBusiness, fhir.CodeBusinessRule,
			"a review goes from requested to in-review, and from there to accepted or referred", parameterNamed("state"))
	case r.State.over() && slices.Contains(codings(nil, t, t.Field(t.Root(), "businessStatus")), open):
		return invalid(statusBusiness, fhir.CodeBusinessRule, "the override is not over yet; its review ends after it", parameterNamed("state"))
	default:
		return nil
	}
}

// remark is Task.note.
type remark struct {
	Author *reference `json:"authorReference,omitempty"`
	Name   string     `json:"authorString,omitempty"`
	Time   string     `json:"time"`
	Text   string     `json:"text"`
}

// reviewed is the Task as the request has it: state, owner, comment and when that
// was, and every other byte as it was.
func (w *writing) reviewed(t *fhir.Tape, r *ReviewRequest) ([]byte, error) {
	e := members{tape: t}
	if r.State != "" {
		e.set("status", r.State.status())
		e.code("businessStatus", fhir.Coding{System: systemReview, Code: string(r.State)})
	}
	switch {
	case r.Owner != "":
		e.set("owner", reference{r.Owner})
	case r.OwnerIdentifier.Value != "":
		e.set("owner", map[string]any{"identifier": struct {
			System string `json:"system,omitempty"`
			Value  string `json:"value"`
		}{r.OwnerIdentifier.System, r.OwnerIdentifier.Value}})
	}
	if r.Comment != "" {
		n := remark{Time: fhir.FormatInstant(w.now), Text: r.Comment}
		if u := w.caller.User; u != "" {
			n.Author = &reference{u}
		} else {
			n.Name = w.caller.Subject
		}
		e.append("note", n)
	}
	e.set("lastModified", fhir.FormatInstant(w.now.UTC().Truncate(time.Millisecond)))
	return e.made()
}

// members changes members of the resource on a tape.
type members struct {
	tape  *fhir.Tape
	edits []fhir.Edit
	err   error
}

func (e *members) text(value any) []byte {
	out, err := json.Marshal(value)
	if e.err == nil {
		e.err = err
	}
	return out
}

// set puts a value in place of that of a member, or a new member first of all.
func (e *members) set(name string, value any) {
	text := e.text(value)
	root := e.tape.Root()
	if n := e.tape.Field(root, name); n != fhir.None {
		start, end := e.tape.Span(n)
		e.edits = append(e.edits, fhir.Edit{Start: start, End: end, Text: text})
		return
	}
	start, _ := e.tape.Span(root)
	e.insert(start+1, append(append(fhir.AppendString(nil, name), ':'), append(text, ',')...))
}

// append adds a value to a list, which may be new.
func (e *members) append(name string, value any) {
	n := e.tape.Field(e.tape.Root(), name)
	if n == fhir.None {
		e.set(name, []any{value})
		return
	}
	_, end := e.tape.Span(n)
	e.insert(end-1, append([]byte{','}, e.text(value)...))
}

// code sets the code that a concept has of a system.
func (e *members) code(name string, c fhir.Coding) {
	t := e.tape
	n := t.Field(t.Root(), name)
	for at := t.First(t.Field(n, "coding")); at != fhir.None; at = t.Next(at) {
		if t.Text(t.Field(at, "system")) == c.System {
			start, end := t.Span(t.Field(at, "code"))
			e.edits = append(e.edits, fhir.Edit{Start: start, End: end, Text: fhir.AppendString(nil, c.Code)})
			return
		}
	}
	_, end := t.Span(t.Field(n, "coding"))
	e.insert(end-1, append([]byte{','}, e.text(coding{c.System, c.Code})...))
}

func (e *members) insert(at int, text []byte) {
	e.edits = append(e.edits, fhir.Edit{Start: at, End: at, Text: text})
}

// made is the resource with the changes.
func (e *members) made() ([]byte, error) {
	slices.SortStableFunc(e.edits, func(a, b fhir.Edit) int { return a.Start - b.Start })
	return fhir.Splice(nil, e.tape.Source(), e.edits), e.err
}
