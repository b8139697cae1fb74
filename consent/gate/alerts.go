package gate

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
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
	// count is what there is at least; zero where nothing was counted.
	count int
	span  string
}

const (
	// alertKept is how long an alert is not raised again.
	alertKept = 400 * 24 * time.Hour
	// alertsMost is how many late reviews are looked at in one round, and alertsAtOnce
	// how much one commit writes: others write between two.
	alertsMost   = 1000
	alertsAtOnce = 50
	// lateAgain is how far behind the mark may be up to which reviews were found late.
	lateAgain = time.Hour
)

// Watch looks once at what is out of the ordinary by now, and raises alerts: each
// once, as a Task for the regulator, whichever server notices it. That one cannot be
// looked at keeps none of the others.
func (g *Gate) Watch(ctx context.Context, now time.Time) error {
	var errs []error
	for _, look := range []func(*visit, context.Context) error{(*visit).watchCounts, (*visit).watchOverrides, (*visit).watchReviews} {
		errs = append(errs, g.watching(ctx, now, look))
	}
	return errors.Join(errs...)
}

// watching is a look in a visit of the server itself.
func (g *Gate) watching(ctx context.Context, now time.Time, look func(*visit, context.Context) error) error {
	v, err := g.itself(ctx, "create", now)
	if err != nil {
		return g.failed(ctx, err)
	}
	defer v.close()
	return look(v, ctx)
}

// watchCounts writes down what was counted since the last round.
func (v *visit) watchCounts(ctx context.Context) error {
	counts := v.g.watch.taken()
	for part := range slices.Chunk(slices.Collect(maps.Keys(counts)), alertsAtOnce) {
		if err := v.alert(ctx, func(w *writing) ([]raising, error) { return w.countAll(ctx, part, counts) }); err != nil {
			v.g.restore(counts)
			return err
		}
		for _, key := range part {
			delete(counts, key)
		}
	}
	return nil
}

// countAll adds up what was counted. Of whom an alert was raised no more is counted.
func (w *writing) countAll(ctx context.Context, keys []watched, counts map[watched]map[uint64]struct{}) (due []raising, err error) {
	for _, key := range keys {
		most, until := w.g.enough(key.alert), w.now.Add(2*time.Hour)
		if key.alert == AlertClaims {
			until = w.now.Add(48 * time.Hour)
		}
		r := raising{
			alert: key.alert, client: key.client, subject: key.subject, count: most, span: key.span,
			key: keyOf("raised", key.alert, key.span, key.client, key.subject),
		}
		known, err := isRaised(ctx, w.tx, r.key, w.now)
		if err != nil {
			return nil, err
		}
		if known {
			continue
		}
		n, err := w.counted(ctx, key, counts[key], most, until)
		if err != nil {
			return nil, err
		}
		if n >= most {
			due = append(due, r)
		}
	}
	return due, nil
}

// watchOverrides looks at who broke the glass many times on one day: that of now and
// the one before, whose last were perhaps not looked at.
func (v *visit) watchOverrides(ctx context.Context) error {
	o := &v.g.cfg.Oversight
	type whose struct{ who, day string }
	counts := map[whose]int{}
	err := v.eachOverride(ctx, o.Hours.Midnight(v.now.Add(-24*time.Hour)), v.now.Add(time.Millisecond), func(one *Override) error {
		day := o.Hours.Day(one.Start)
		counts[whose{one.Practitioner, day}]++
		counts[whose{one.Organization, day}]++
		return nil
	})
	if err != nil {
		return v.g.failed(ctx, err)
	}
	var due []raising
	for one, n := range counts {
		most := o.OverridesByPerson
		if strings.HasPrefix(one.who, "Organization/") {
			most = o.OverridesByOrganization
		}
		if n < most {
			continue
		}
		r := raising{alert: AlertOverrides, focus: one.who, count: n, span: one.day, key: keyOf("raised", AlertOverrides, one.day, one.who)}
		known, err := isRaised(ctx, v.reader, r.key, v.now)
		if err != nil {
			return v.g.failed(ctx, err)
		}
		if !known {
			due = append(due, r)
		}
	}
	return v.alertAll(ctx, due)
}

// lateMark is the key of the moment before which all reviews that began were looked
// at when they were due.
const lateMark = stateAlerts + "late"

// errRoundFull ends a look at reviews; the rest is left to the next round.
var errRoundFull = errors.New("enough for one round")

// watchReviews looks at the reviews that should be over by now.
func (v *visit) watchReviews(ctx context.Context) error {
	until := v.now.Add(-reviewDue)
	text, over, err := v.reader.State(ctx, lateMark)
	if err != nil {
		return v.g.failed(ctx, err)
	}
	from, err := fhir.ParseInstant(string(text))
	if err != nil || isOver(over, v.now) {
		from = time.Time{} // all of them
	}
	if !from.Before(until) {
		return nil
	}
	late, err := v.late(ctx, from, until)
	more := errors.Is(err, errRoundFull)
	if err != nil && !more {
		return v.g.failed(ctx, err)
	}
	if err := v.alertAll(ctx, late); err != nil || more || until.Sub(from) < lateAgain {
		return err
	}
	return v.alert(ctx, func(w *writing) ([]raising, error) {
		return nil, w.tx.SetState(lateMark, []byte(fhir.FormatInstant(until)), w.now.Add(alertKept))
	})
}

// late are the reviews that began within the time and should be over, and of which
// nothing was said yet.
func (v *view) late(ctx context.Context, from, until time.Time) (late []raising, err error) {
	pairs := []search.Pair{
		{Name: "code", Value: systemTask + "|" + reviewTask},
		{Name: "status", Value: "requested,in-progress"},
		{Name: "authored-on", Value: "lt" + fhir.FormatInstant(until)},
	}
	if !from.IsZero() {
		pairs = append(pairs, search.Pair{Name: "authored-on", Value: "ge" + fhir.FormatInstant(from)})
	}
	q, refusal := v.g.tools.Parser.Parse("Task", pairs, false)
	if refusal != nil {
		return nil, refusal
	}
	err = v.each(ctx, "Task", append(q.Clauses, v.g.oversight("Task")), func(f store.Found, t *fhir.Tape) error {
		if _, ok := v.g.grantOf(t); !ok || !isOversight(f) || reviewOf(t).over() {
			return nil
		}
		r := raising{alert: AlertOverdue, focus: "Task/" + f.ID, key: keyOf("raised", AlertOverdue, "", f.ID)}
		known, err := isRaised(ctx, v.reader, r.key, v.now)
		if err != nil || known {
			return err
		}
		if len(late) == alertsMost {
			return errRoundFull
		}
		late = append(late, r)
		return nil
	})
	return late, err
}

// isRaised reports whether an alert was raised.
func isRaised(ctx context.Context, r store.Reader, key string, now time.Time) (bool, error) {
	value, until, err := r.State(ctx, key)
	return value != nil && !isOver(until, now), err
}

// alertAll raises alerts, some in each commit.
func (v *visit) alertAll(ctx context.Context, due []raising) error {
	for part := range slices.Chunk(due, alertsAtOnce) {
		if err := v.alert(ctx, func(*writing) ([]raising, error) { return part, nil }); err != nil {
			return err
		}
	}
	return nil
}

// alert raises in one commit what find says is due, and another server has not
// raised meanwhile.
func (v *visit) alert(ctx context.Context, find func(*writing) ([]raising, error)) error {
	var raised []raising
	_, err := v.commit(ctx, func(w *writing) (Released, error) {
		w.onlyThem, raised = true, nil // nobody asked for it
		due, err := find(w)
		if err != nil {
			return Released{}, err
		}
		raised, err = w.raiseAll(ctx, due)
		return Released{}, err
	})
	if err != nil {
		return err
	}
	for i := range raised {
		r := &raised[i]
		v.g.watch.raised[r.alert].Add(1)
		v.g.log.WarnContext(ctx, "the regulator is alerted", "alert", r.alert.String(), "client", r.client, "count", r.count)
	}
	return nil
}

func (w *writing) raiseAll(ctx context.Context, due []raising) (raised []raising, err error) {
	for i := range due {
		r := &due[i]
		known, err := isRaised(ctx, w.tx, r.key, w.now)
		if err != nil {
			return nil, err
		}
		if known {
			continue
		}
		if err := w.tx.SetState(r.key, []byte{1}, w.now.Add(alertKept)); err != nil {
			return nil, err
		}
		if err := w.raise(ctx, r); err != nil {
			return nil, err
		}
		raised = append(raised, *r)
	}
	return raised, nil
}

// raise makes the Task, and the record of it. Neither names a patient.
func (w *writing) raise(ctx context.Context, r *raising) error {
	type number struct {
		Type  concept `json:"type"`
		Value int     `json:"valueInteger"`
	}
	var inputs []any
	if r.count > 0 { // nobody counts on when it is enough
		inputs = append(inputs, number{codes(systemAlert, "at-least"), r.count})
	}
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
		Input          []any      `json:"input,omitempty"`
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
