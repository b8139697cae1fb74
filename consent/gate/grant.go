package gate

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The codes of the review Task in which a break-glass grant is kept.
const (
	systemGrant = consent.Canon + "/CodeSystem/nehr-grant"
	systemTask  = consent.Canon + "/CodeSystem/nehr-task"
	actCode     = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	overrer     = "OVRER"

	grantOpen, grantClosed = "open", "closed"
	grantID, grantUser     = "id", "user"
	grantOrganization      = "organization"
	grantClient            = "client"
	grantThreat            = "threat"
	grantEncounter         = "encounter"

	reviewTask = "break-glass-review"
	alertTask  = "alert"
	// reviewDue is when the review of a grant is due (DOSSIER §7.7).
	reviewDue = 7 * 24 * time.Hour
)

// The few elements of R4 that the server's own resources have.
type (
	coding struct {
		System string `json:"system"`
		Code   string `json:"code"`
	}
	concept struct {
		Coding []coding `json:"coding"`
	}
	reference struct {
		Reference string `json:"reference"`
	}
	interval struct {
		Start string `json:"start,omitempty"`
		End   string `json:"end,omitempty"`
	}
	ownMeta struct {
		Security []coding `json:"security"`
	}
	taskInput struct {
		Type  concept `json:"type"`
		Value string  `json:"valueString"`
	}
	task struct {
		ResourceType    string      `json:"resourceType"`
		Meta            ownMeta     `json:"meta"`
		Status          string      `json:"status"`
		BusinessStatus  concept     `json:"businessStatus"`
		Intent          string      `json:"intent"`
		Code            concept     `json:"code"`
		For             reference   `json:"for"`
		ExecutionPeriod interval    `json:"executionPeriod"`
		AuthoredOn      string      `json:"authoredOn"`
		Requester       reference   `json:"requester"`
		ReasonCode      concept     `json:"reasonCode"`
		Restriction     *taskLimits `json:"restriction,omitempty"`
		Input           []taskInput `json:"input"`
	}
	taskLimits struct {
		Period interval `json:"period"`
	}
)

func codes(system, code string) concept { return concept{[]coding{{system, code}}} }

// marked is the meta of the server's own oversight resources.
func marked() ownMeta { return ownMeta{[]coding{{consent.SystemLabel, labelOversight}}} }

// reviewTaskOf is the Task that holds the grant and asks for its review; the encounter,
// where one is named, is for the reviewer.
func (w *writing) reviewTaskOf(k consent.Grant, b *BreakGlassRequest) ([]byte, error) {
	requester := w.caller.Role
	if requester == "" {
		requester = k.User
	}
	input := func(code, value string) taskInput { return taskInput{codes(systemGrant, code), value} }
	inputs := []taskInput{
		input(grantID, k.ID), input(grantUser, k.User), input(grantOrganization, k.Organization),
		input(grantClient, k.Client), input(grantThreat, b.Threat),
	}
	if b.Encounter.Value != "" {
		inputs = append(inputs, input(grantEncounter, b.Encounter.System+"|"+b.Encounter.Value))
	}
	return json.Marshal(task{
		ResourceType: "Task", Meta: marked(), Status: "requested",
		BusinessStatus: concept{[]coding{{systemGrant, grantOpen}, {systemReview, string(ReviewRequested)}}},
		Intent:         "order", Code: codes(systemTask, reviewTask), For: reference{"Patient/" + k.Patient},
		ExecutionPeriod: interval{fhir.FormatInstant(k.From), fhir.FormatInstant(k.Until)},
		AuthoredOn:      fhir.FormatInstant(k.From), Requester: reference{requester}, ReasonCode: codes(actCode, overrer),
		Restriction: &taskLimits{interval{End: fhir.FormatInstant(k.From.Add(reviewDue))}},
		Input:       inputs,
	})
}

// grantOf reads the grant in a review Task.
func (g *Gate) grantOf(t *fhir.Tape) (k consent.Grant, ok bool) {
	root := t.Root()
	if !slices.Contains(codings(nil, t, t.Field(root, "code")), fhir.Coding{System: systemTask, Code: reviewTask}) {
		return k, false
	}
	k.Patient = g.reference(t, t.Field(root, "for")).ID
	p := t.Field(root, "executionPeriod")
	var err, err2 error
	k.From, err = fhir.ParseInstant(t.Text(t.Field(p, "start")))
	k.Until, err2 = fhir.ParseInstant(t.Text(t.Field(p, "end")))
	elements(t, root, "input", func(n fhir.Node) {
		for _, c := range codings(nil, t, t.Field(n, "type")) {
			if c.System != systemGrant {
				continue
			}
			value := t.Text(t.Field(n, "valueString"))
			switch c.Code {
			case grantID:
				k.ID = value
			case grantUser:
				k.User = value
			case grantOrganization:
				k.Organization = value
			case grantClient:
				k.Client = value
			}
		}
	})
	return k, err == nil && err2 == nil && k.ID != ""
}

// isOversight reports whether the server itself wrote what was found: in nobody's
// partition, under its own label.
func isOversight(f store.Found) bool {
	return f.Contributor == "" && slices.Contains(f.Labels, consent.LabelOversight)
}

// opened is a grant that is still open, with the Task that holds it.
type opened struct {
	consent.Grant
	task store.Found
}

// openGrants are the grants not yet closed, of one patient or, when patient is
// empty, of all.
func (v *view) openGrants(ctx context.Context, patient string) ([]opened, error) {
	clauses := []search.Clause{
		v.g.oversight("Task"),
		v.g.coded("Task", "business-status", fhir.Coding{System: systemGrant, Code: grantOpen}),
	}
	if patient != "" {
		clauses = append(clauses, v.g.refers("Task", "patient", "Patient/"+patient))
	}
	var open []opened
	err := v.each(ctx, "Task", clauses, func(f store.Found, t *fhir.Tape) error {
		if k, ok := v.g.grantOf(t); ok && isOversight(f) {
			open = append(open, opened{k, f})
		}
		return nil
	})
	return open, err
}

// uses is how many accesses were recorded under the grant so far.
func (v *view) uses(ctx context.Context, k consent.Grant) (uint32, error) {
	q, refusal := v.g.tools.Parser.Parse("AuditEvent", []search.Pair{
		{Name: "policy", Value: k.ID},
		{Name: "subtype", Value: consent.SystemEvent + "|break-glass-use"},
	}, false)
	if refusal != nil {
		return 0, refusal
	}
	page, err := v.reader.Search(ctx, consent.Everything(), q, store.PageRequest{Limit: 1, Count: true})
	if err != nil {
		return 0, err
	}
	return uint32(page.Total), nil //nolint:gosec // not negative, and no grant has that many
}

// shut ends a grant: its Task says so, and the stop is recorded in the same
// commit (DOSSIER §3.4). One that somebody else has ended since, on this server
// or another, is left as it is: a stop is on record once.
func (w *writing) shut(ctx context.Context, k opened, at time.Time, count uint32) error {
	prior, err := newest(ctx, w.tx, consent.Everything(), "Task", k.task.ID)
	if err != nil || prior.Deleted {
		return err
	}
	var resource []byte
	closed := false
	if err := w.g.parsed(*prior, func(_ store.Found, t *fhir.Tape) error {
		status := codings(nil, t, t.Field(t.Root(), "businessStatus"))
		closed = slices.Contains(status, fhir.Coding{System: systemGrant, Code: grantClosed})
		resource = ended(t, at)
		return nil
	}); err != nil || closed {
		return err
	}
	d, err := w.own(resource, "Task", "")
	if err != nil {
		return err
	}
	if err := w.ready(d, k.task.ID); err != nil {
		return err
	}
	d.byServer = true
	if _, err := w.put(ctx, d, prior); err != nil {
		return err
	}
	w.onlyThem = true
	e := w.event()
	e.Kind, e.Patient, e.Grant, e.Entities, e.Before = audit.KindBreakGlassStop, k.Patient, k.ID, nil, ""
	e.Action = audit.ActionExecute
	e.Glass = audit.Glass{Reason: overrer, Start: k.From, End: at, Count: count}
	if w.caller.Kind != consent.Practitioner {
		if e.Agent, err = w.holder(ctx, k); err != nil {
			return err
		}
	}
	w.extra = append(w.extra, e)
	return nil
}

// holder is whose grant it was, for the record of an end that somebody else made.
func (v *view) holder(ctx context.Context, k opened) (audit.Agent, error) {
	cluster, err := v.clusterOf(ctx, k.Organization)
	return audit.Agent{
		Kind: consent.Practitioner, User: k.User, Practitioner: k.User, Organization: k.Organization, Cluster: cluster, Client: k.Client,
	}, err
}

// ended is the Task with its period ended and its status closed.
func ended(t *fhir.Tape, at time.Time) []byte {
	var edits []fhir.Edit
	replace := func(n fhir.Node, text string) {
		if start, end := t.Span(n); n != fhir.None {
			edits = append(edits, fhir.Edit{Start: start, End: end, Text: strconv.AppendQuote(nil, text)})
		}
	}
	root := t.Root()
	elements(t, t.Field(root, "businessStatus"), "coding", func(n fhir.Node) {
		if t.Text(t.Field(n, "system")) == systemGrant {
			replace(t.Field(n, "code"), grantClosed)
		}
	})
	replace(t.Field(t.Field(root, "executionPeriod"), "end"), fhir.FormatInstant(at))
	slices.SortFunc(edits, func(a, b fhir.Edit) int { return a.Start - b.Start })
	return fhir.Splice(nil, t.Source(), edits)
}

// Sweep ends the grants that have expired by now and records their stops. The
// level falls back by itself when a grant expires; this is for the record.
func (g *Gate) Sweep(ctx context.Context, now time.Time) error {
	v, due, err := g.expired(ctx, now)
	if err != nil {
		return g.failed(ctx, err)
	}
	v.close()
	if len(due) == 0 {
		return g.forget(ctx, now)
	}
	if err := g.store.Settle(ctx); err != nil { // their uses are about to be counted
		return g.failed(ctx, err)
	}
	if v, due, err = g.expired(ctx, now); err != nil {
		return g.failed(ctx, err)
	}
	defer v.close()
	for _, k := range due {
		count, err := v.uses(ctx, k.Grant)
		if err != nil {
			return g.failed(ctx, err)
		}
		if _, err := v.commit(ctx, func(w *writing) (Released, error) {
			w.onlyThem = true // nobody asked for it
			return Released{}, w.shut(ctx, k, k.Until, count)
		}); err != nil {
			return err
		}
	}
	return g.forget(ctx, now)
}

// expired are the grants that have run out by now and are not closed, in a visit
// of the server itself, which the caller closes.
func (g *Gate) expired(ctx context.Context, now time.Time) (*visit, []opened, error) {
	v, err := g.itself(ctx, "$break-glass-stop", now)
	if err != nil {
		return nil, nil, err
	}
	due, err := v.openGrants(ctx, "")
	if err != nil {
		v.close()
		return nil, nil, err
	}
	return v, slices.DeleteFunc(due, func(k opened) bool { return now.Before(k.Until) }), nil
}
