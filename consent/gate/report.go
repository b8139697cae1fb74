package gate

import (
	"context"
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/relation"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// ReportRequest says of which overrides a report is.
type ReportRequest struct {
	// Start and End are the period, the end not within it; those overrides are meant
	// that began in it. Zero is for the last thirty days.
	Start, End time.Time
	// Organization and Practitioner confine it, as references; empty for all. The
	// former is meant with its parts, and the latter may be a role.
	Organization, Practitioner string
}

// Report is the answer to AuditEvent/$break-glass-report.
type Report struct {
	Start, End time.Time
	// Organization and Practitioner are those whom it is confined to.
	Organization, Practitioner string
	// Overrides are in the order in which they began.
	Overrides []Override
}

// Override is one of a report. Of the patient's record it says whether there was a
// visit, and no more.
type Override struct {
	// Grant is the URN of the grant; Patient, Practitioner and Organization are
	// references.
	Grant, Patient, Practitioner, Organization string
	Start, End                                 time.Time
	// Open says that it is not over.
	Open bool
	// Accesses are how many requests it opened.
	Accesses uint32
	// Started and Stopped are the events, as references; empty where there is none.
	Started, Stopped string
	// Task is the review, as a reference, State how far it is, and Due when it is to
	// be over. Overdue says that it is late.
	Task    string
	State   ReviewState
	Due     time.Time
	Overdue bool
	// WithoutEncounter, RepeatedByPerson, RepeatedOnPatient and OutsideHours say why
	// it stands out. EncounterAwaited says that no visit followed yet, and that there
	// is time for one.
	WithoutEncounter, EncounterAwaited, RepeatedByPerson, RepeatedOnPatient, OutsideHours bool

	role string
}

const (
	reportSpan = 30 * 24 * time.Hour
	// reportMost is how many overrides one report tells of, and reportSeen how many
	// there may be in its period.
	reportMost = 1000
	reportSeen = 20_000
)

// BreakGlassReport answers AuditEvent/$break-glass-report, for the regulator.
func (g *Gate) BreakGlassReport(ctx context.Context, req *Request, r ReportRequest) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if v.caller.Kind != consent.Regulator {
		return Released{}, v.refuse(ctx, consent.RefusedRole, "kind-not-overseeing")
	}
	if r.End.IsZero() {
		r.End = v.now
	}
	if r.Start.IsZero() {
		r.Start = r.End.Add(-reportSpan)
	}
	if !r.Start.Before(r.End) {
		return Released{}, errBackwards()
	}
	report, err := v.report(ctx, &r)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	e := v.event()
	e.Kind = audit.KindAuditUse
	return v.record(ctx, Released{total: -1, report: report}, []audit.Event{e})
}

// report gathers the overrides. What is repeated is so among all of the period,
// whatever the report is confined to.
func (v *visit) report(ctx context.Context, r *ReportRequest) (Report, error) {
	all, err := v.overrides(ctx, r.Start, r.End)
	if err != nil {
		return Report{}, err
	}
	markRepeated(all, v.g.cfg.Oversight.Repeated)
	out := Report{Start: r.Start, End: r.End, Organization: r.Organization, Practitioner: r.Practitioner}
	var within []string
	if r.Organization != "" {
		if within, err = v.andParts(ctx, strings.TrimPrefix(r.Organization, "Organization/")); err != nil {
			return Report{}, err
		}
	}
	for i := range all {
		o := &all[i]
		if r.Organization != "" && !slices.Contains(within, o.Organization) ||
			r.Practitioner != "" && o.Practitioner != r.Practitioner && o.role != r.Practitioner {
			continue
		}
		if len(out.Overrides) == reportMost {
			return Report{}, invalid(statusBusiness, fhir.CodeTooCostly,
				"there are more than 1000 overrides; a shorter period, an organization or a practitioner makes them fewer", "Parameters.parameter")
		}
		if err := v.completed(ctx, o); err != nil {
			return Report{}, err
		}
		out.Overrides = append(out.Overrides, *o)
	}
	return out, nil
}

// overrides are those that began from one moment on and before another, as their
// Tasks have them.
func (v *view) overrides(ctx context.Context, from, until time.Time) (all []Override, err error) {
	err = v.eachOverride(ctx, from, until, func(o *Override) error {
		if len(all) == reportSeen {
			return ErrTooCostly
		}
		all = append(all, *o)
		return nil
	})
	slices.SortFunc(all, func(a, b Override) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return strings.Compare(a.Task, b.Task)
	})
	return all, err
}

// eachOverride calls with for every override that began within a time, in no order.
func (v *view) eachOverride(ctx context.Context, from, until time.Time, with func(*Override) error) error {
	q, refusal := v.g.tools.Parser.Parse("Task", []search.Pair{
		{Name: "code", Value: systemTask + "|" + reviewTask},
		{Name: "authored-on", Value: "ge" + fhir.FormatInstant(from)},
		{Name: "authored-on", Value: "lt" + fhir.FormatInstant(until)},
	}, false)
	if refusal != nil {
		return refusal
	}
	return v.each(ctx, "Task", append(q.Clauses, v.g.oversight("Task")), func(f store.Found, t *fhir.Tape) error {
		k, ok := v.g.grantOf(t)
		if !ok || !isOversight(f) {
			return nil
		}
		o := v.overrideOf(f, t, k)
		return with(&o)
	})
}

func (v *view) overrideOf(f store.Found, t *fhir.Tape, k consent.Grant) Override {
	o := Override{
		Grant: k.ID, Patient: "Patient/" + k.Patient, Practitioner: k.User, Organization: "Organization/" + k.Organization,
		Start: k.From, End: k.Until, Task: "Task/" + f.ID, State: reviewOf(t),
		role: v.g.reference(t, t.Field(t.Root(), "requester")).Local(),
	}
	o.Open = slices.Contains(codings(nil, t, t.Field(t.Root(), "businessStatus")), fhir.Coding{System: systemGrant, Code: grantOpen})
	o.Due = dueOf(t, k.From)
	o.Overdue = !o.State.over() && o.Due.Before(v.now)
	o.OutsideHours = !v.g.cfg.Oversight.Hours.Include(k.From)
	return o
}

// dueOf is when the review in a Task is to be over.
func dueOf(t *fhir.Tape, from time.Time) time.Time {
	due, err := fhir.ParseInstant(t.Text(t.Field(t.Field(t.Field(t.Root(), "restriction"), "period"), "end")))
	if err != nil {
		return from.Add(reviewDue)
	}
	return due
}

// markRepeated marks the overrides of whom there are more than most.
func markRepeated(all []Override, most int) {
	people, patients := map[string]int{}, map[string]int{}
	for i := range all {
		people[all[i].Practitioner]++
		patients[all[i].Patient]++
	}
	for i := range all {
		all[i].RepeatedByPerson = people[all[i].Practitioner] > most
		all[i].RepeatedOnPatient = patients[all[i].Patient] > most
	}
}

// completed adds what the record of access says of an override, and whether a visit
// followed.
func (v *visit) completed(ctx context.Context, o *Override) error {
	q, refusal := v.g.tools.Parser.Parse(auditEvents, []search.Pair{
		{Name: "policy", Value: o.Grant},
		{Name: "subtype", Value: consent.SystemEvent + "|break-glass-start," + consent.SystemEvent + "|break-glass-stop"},
	}, false)
	if refusal != nil {
		return refusal
	}
	page, err := v.reader.Search(ctx, consent.Everything(), q, store.PageRequest{Limit: 4})
	if err != nil {
		return err
	}
	counted := false
	for i := range page.Found {
		e, err := audit.Decode(page.Found[i].Record)
		if err != nil {
			return err
		}
		ref := string(auditEvents) + "/" + page.Found[i].ID
		switch e.Kind { //nolint:exhaustive // no others were asked for
		case audit.KindBreakGlassStart:
			o.Started = ref
		case audit.KindBreakGlassStop:
			o.Stopped, o.Accesses, counted = ref, e.Glass.Count, true
		}
	}
	if !counted {
		if o.Accesses, err = v.uses(ctx, consent.Grant{ID: o.Grant}); err != nil {
			return err
		}
	}
	seen, err := v.attended(ctx, o)
	late := v.now.After(v.attendedBy(o))
	o.WithoutEncounter, o.EncounterAwaited = !seen && late, !seen && !late
	return err
}

// attendedBy is when the patient is to have been seen.
func (v *view) attendedBy(o *Override) time.Time {
	return o.Start.Add(v.g.cfg.Oversight.EncounterWithin)
}

// attended reports whether the patient was seen at the organisation: an Encounter
// there, vouched for as a registration is, that was under way when the glass was
// broken or began soon after. That of a part is one of the organisation, and one of
// the organisation is that of its parts.
func (v *visit) attended(ctx context.Context, o *Override) (bool, error) {
	id := strings.TrimPrefix(o.Organization, "Organization/")
	q, refusal := v.g.tools.Parser.Parse("Encounter", []search.Pair{
		{Name: "service-provider:below", Value: o.Organization},
		{Name: "patient", Value: o.Patient},
		{Name: "date", Value: "ge" + fhir.FormatInstant(o.Start)},
		{Name: "date", Value: "le" + fhir.FormatInstant(v.attendedBy(o))},
	}, false)
	if refusal != nil {
		return false, refusal
	}
	line, err := v.lineage(ctx, id)
	if err != nil {
		return false, err
	}
	for _, above := range line.ids {
		q.Clauses[0].Any = append(q.Clauses[0].Any, v.g.refers("Encounter", "service-provider", "Organization/"+above).Any...)
		if line.broken {
			break
		}
	}
	l := factsLoad{view: &v.view, facts: &consent.Facts{Patient: strings.TrimPrefix(o.Patient, "Patient/")}}
	seen := false
	err = v.each(ctx, "Encounter", q.Clauses, func(f store.Found, t *fhir.Tape) error {
		var failure error
		_, ok := relation.FromEncounter(t, l.source(ctx, f, &failure), v.g.cfg.Grace)
		seen = seen || ok && l.vouched(f) && t.Text(t.Field(t.Root(), "status")) != "planned"
		return failure
	})
	return seen, err
}
