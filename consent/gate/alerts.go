package gate

import (
	"context"
	"encoding/json"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// systemAlert holds the codes of Alert.
const systemAlert = consent.Canon + "/CodeSystem/nehr-alert"

// raising is an alert about to be raised.
type raising struct {
	alert Alert
	// key is that of the state which says that it was raised.
	key string
	// focus is whom or what it is about, a reference; empty where client and subject
	// say it.
	focus, client, subject string
	count                  int
	span                   string
}

const (
	// alertKept is how long an alert is not raised again.
	alertKept   = 400 * 24 * time.Hour
	alertsRound = 1000 // how many are raised in one round
)

// Watch looks once at what is out of the ordinary by now, and raises alerts: each
// once, as a Task for the regulator, whichever server notices it.
func (g *Gate) Watch(ctx context.Context, now time.Time) error {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return g.failed(ctx, err)
	}
	v := &visit{
		view: view{g: g, reader: snap, snap: snap, now: now},
		req:  &Request{Now: now, Interaction: Interaction{Code: "create", Write: true}},
	}
	defer v.close()
	due, err := v.remarkable(ctx)
	if err != nil {
		return g.failed(ctx, err)
	}
	counts := g.watch.taken()
	if len(due) == 0 && len(counts) == 0 {
		return nil
	}
	var raised []raising
	_, err = v.commit(ctx, func(w *writing) (Released, error) {
		w.onlyThem, raised = true, nil // nobody asked for it
		return Released{}, w.raiseAll(ctx, due, counts, &raised)
	})
	if err != nil {
		g.watch.restore(counts)
		return err
	}
	for _, r := range raised {
		g.watch.raised[r.alert].Add(1)
		g.log.WarnContext(ctx, "the regulator is alerted", "alert", r.alert.String(), "client", r.client, "count", r.count)
	}
	return nil
}

// remarkable are the alerts that the Tasks on file give reason for and that were not
// raised yet.
func (v *view) remarkable(ctx context.Context) (due []raising, err error) {
	o := &v.g.cfg.Oversight
	day := o.Hours.Day(v.now)
	all, err := v.overrides(ctx, o.Hours.Midnight(v.now), v.now.Add(time.Millisecond))
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for i := range all {
		for who, most := range map[string]int{all[i].Practitioner: o.OverridesByPerson, all[i].Organization: o.OverridesByOrganization} {
			if counts[who]++; counts[who] == most {
				due = append(due, raising{alert: AlertOverrides, focus: who, count: most, span: day, key: keyOf("raised", AlertOverrides, day, who)})
			}
		}
	}
	late, err := v.late(ctx)
	if err != nil {
		return nil, err
	}
	fresh := due[:0]
	for _, r := range append(due, late...) {
		value, until, err := v.reader.State(ctx, r.key)
		if err != nil {
			return nil, err
		}
		if value == nil || isOver(until, v.now) {
			fresh = append(fresh, r)
		}
	}
	return fresh[:min(len(fresh), alertsRound)], nil
}

// late are the reviews that should be over.
func (v *view) late(ctx context.Context) (late []raising, err error) {
	q, refusal := v.g.tools.Parser.Parse("Task", []search.Pair{
		{Name: "code", Value: systemTask + "|" + reviewTask},
		{Name: "status", Value: "requested,in-progress"},
		{Name: "authored-on", Value: "lt" + fhir.FormatInstant(v.now.Add(-reviewDue))},
	}, false)
	if refusal != nil {
		return nil, refusal
	}
	err = v.each(ctx, "Task", append(q.Clauses, v.g.oversight("Task")), func(f store.Found, t *fhir.Tape) error {
		if _, ok := v.g.grantOf(t); ok && isOversight(f) && !reviewOf(t).over() {
			late = append(late, raising{alert: AlertOverdue, focus: "Task/" + f.ID, count: 1, key: keyOf("raised", AlertOverdue, "", f.ID)})
		}
		return nil
	})
	return late, err
}

// raiseAll writes down what was counted, and raises what is due and was not raised
// by another server meanwhile.
func (w *writing) raiseAll(ctx context.Context, due []raising, counts map[watched]map[uint64]struct{}, raised *[]raising) error {
	for key, set := range counts {
		most, until := w.g.cfg.Oversight.Sweep, w.now.Add(2*time.Hour)
		if key.alert == AlertClaims {
			most, until = w.g.cfg.Oversight.Claims, w.now.Add(48*time.Hour)
		}
		n, err := w.counted(ctx, key, set, until)
		if err != nil {
			return err
		}
		if n >= most {
			due = append(due, raising{
				alert: key.alert, client: key.client, subject: key.subject, count: n, span: key.span,
				key: keyOf("raised", key.alert, key.span, key.client, key.subject),
			})
		}
	}
	for _, r := range due {
		value, until, err := w.tx.State(ctx, r.key)
		if err != nil {
			return err
		}
		if value != nil && !isOver(until, w.now) {
			continue
		}
		if err := w.tx.SetState(r.key, []byte{1}, w.now.Add(alertKept)); err != nil {
			return err
		}
		if err := w.raise(ctx, &r); err != nil {
			return err
		}
		*raised = append(*raised, r)
	}
	return nil
}

// raise makes the Task, and the record of it. Neither names a patient.
func (w *writing) raise(ctx context.Context, r *raising) error {
	type number struct {
		Type  concept `json:"type"`
		Value int     `json:"valueInteger"`
	}
	inputs := []any{number{codes(systemAlert, "count"), r.count}}
	for _, one := range []struct{ code, value string }{{"client", r.client}, {"subject", r.subject}, {"span", r.span}} {
		if one.value != "" {
			inputs = append(inputs, taskInput{codes(systemAlert, one.code), one.value})
		}
	}
	var focus *reference
	if r.focus != "" {
		focus = &reference{r.focus}
	}
	resource, err := json.Marshal(struct {
		ResourceType   string     `json:"resourceType"`
		Meta           ownMeta    `json:"meta"`
		Status         string     `json:"status"`
		BusinessStatus concept    `json:"businessStatus"`
		Intent         string     `json:"intent"`
		Code           concept    `json:"code"`
		Focus          *reference `json:"focus,omitempty"`
		AuthoredOn     string     `json:"authoredOn"`
		ReasonCode     concept    `json:"reasonCode"`
		Restriction    taskLimits `json:"restriction"`
		Input          []any      `json:"input"`
	}{
		"Task", marked(), "requested", codes(systemReview, string(ReviewRequested)), "order", codes(systemTask, alertTask), focus,
		fhir.FormatInstant(w.now), codes(systemAlert, r.alert.String()),
		taskLimits{interval{End: fhir.FormatInstant(w.now.Add(reviewDue))}},
		inputs,
	})
	if err != nil {
		return err
	}
	ref, err := w.putOwn(ctx, resource, "Task", "")
	if err != nil {
		return err
	}
	e := w.event()
	e.Kind, e.Action, e.Entities, e.Reason = audit.KindReview, audit.ActionCreate, []string{ref}, "alert-"+r.alert.String()
	e.Agent = audit.Agent{Kind: consent.Custodian, Client: w.g.cfg.Site}
	w.extra = append(w.extra, e)
	return nil
}
