package gate

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/directive"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// A direction to destroy (HIA cl. 23, 43) is a directive that holds reading back,
// and a Task to the organisation. The Task holds the manifest of what was disclosed
// to it, and the certificate that it was destroyed; what goes out of it to the
// organisation is made in directions.go.

// The codes of these Tasks.
const (
	systemDirection = consent.Canon + "/CodeSystem/nehr-direction"
	destroyTask     = "destroy"

	directionWithin      = "within"
	directionWindow      = "window"
	directionManifest    = "manifest"
	directionDisclosures = "disclosures"
	directionFrom        = "records-from"
	directionCertificate = "certificate"

	// The business statuses: the manifest is being made, or is ready; the
	// certificate is accepted.
	manifestMaking = "manifest-in-progress"
	manifestReady  = "manifest-ready"
	manifestDone   = "certificate-accepted"
)

// direction is what the Task of a direction says.
type direction struct {
	status, business string
	// order is the id of the directive, and organization that of whom it is given to;
	// within is the person or the client whom it is about, empty for all.
	order, organization, within string
	window                      consent.Period
	since                       string // Task.authoredOn
	// parts are how many Binaries the manifest has, and disclosures how many entries.
	parts, disclosures int
	// from is the moment before which the record was put away while the manifest was
	// not ready, so that it may lack what was then; zero when it has all.
	from time.Time
	// certificate is the DocumentReference, "DocumentReference/x".
	certificate string

	task store.Found
}

type (
	directionValue struct {
		Type      concept    `json:"type"`
		Reference *reference `json:"valueReference,omitempty"`
		Period    *interval  `json:"valuePeriod,omitempty"`
		Count     *int       `json:"valueInteger,omitempty"`
		At        string     `json:"valueInstant,omitempty"`
	}
	directionResource struct {
		ResourceType   string           `json:"resourceType"`
		ID             string           `json:"id,omitempty"`
		Meta           *ownMeta         `json:"meta,omitempty"`
		Status         string           `json:"status"`
		BusinessStatus *concept         `json:"businessStatus,omitempty"`
		Intent         string           `json:"intent"`
		Code           concept          `json:"code"`
		Focus          *reference       `json:"focus,omitempty"`
		AuthoredOn     string           `json:"authoredOn"`
		LastModified   string           `json:"lastModified,omitempty"`
		Owner          reference        `json:"owner"`
		Input          []directionValue `json:"input,omitempty"`
		Output         []directionValue `json:"output,omitempty"`
	}
)

func referring(code, ref string) directionValue {
	return directionValue{Type: codes(systemDirection, code), Reference: &reference{ref}}
}

// manifestPart is the id of a Binary of the manifest of a Task.
func manifestPart(task string, n int) string { return task + "-m" + strconv.Itoa(n) }

// resource is the Task as of now.
func (n *direction) resource(now time.Time) ([]byte, error) {
	meta, business := marked(), codes(systemDirection, n.business)
	r := directionResource{
		ResourceType: "Task", Meta: &meta, Status: n.status, BusinessStatus: &business, Intent: "order", Code: codes(systemTask, destroyTask),
		Focus: &reference{"Basic/" + n.order}, AuthoredOn: n.since, LastModified: fhir.FormatInstant(now),
		Owner: reference{"Organization/" + n.organization}, Input: n.input(),
	}
	if n.business != manifestMaking {
		r.Output = append(r.Output, directionValue{Type: codes(systemDirection, directionDisclosures), Count: &n.disclosures})
		for i := range n.parts {
			r.Output = append(r.Output, referring(directionManifest, "Binary/"+manifestPart(n.task.ID, i)))
		}
	}
	if !n.from.IsZero() {
		r.Output = append(r.Output, directionValue{Type: codes(systemDirection, directionFrom), At: fhir.FormatInstant(n.from)})
	}
	if n.certificate != "" {
		r.Output = append(r.Output, referring(directionCertificate, n.certificate))
	}
	return json.Marshal(r)
}

// input says what the direction is about.
func (n *direction) input() (all []directionValue) {
	if n.within != "" {
		all = append(all, referring(directionWithin, n.within))
	}
	if n.window != (consent.Period{}) {
		w := interval{}
		if !n.window.From.IsZero() {
			w.Start = fhir.FormatInstant(n.window.From)
		}
		if !n.window.Until.IsZero() {
			w.End = fhir.FormatInstant(n.window.Until)
		}
		all = append(all, directionValue{Type: codes(systemDirection, directionWindow), Period: &w})
	}
	return all
}

// directionOf reads the Task of a direction; ok is false when it is none.
func (g *Gate) directionOf(f store.Found, t *fhir.Tape) (n direction, ok bool) {
	root := t.Root()
	if !isOversight(f) || !slices.Contains(codings(nil, t, t.Field(root, "code")), fhir.Coding{System: systemTask, Code: destroyTask}) {
		return n, false
	}
	n = direction{status: t.Text(t.Field(root, "status")), since: t.Text(t.Field(root, "authoredOn")), task: f}
	for _, c := range codings(nil, t, t.Field(root, "businessStatus")) {
		n.business = c.Code
	}
	n.order, n.organization = g.reference(t, t.Field(root, "focus")).ID, g.reference(t, t.Field(root, "owner")).ID
	for _, list := range []string{"input", "output"} {
		elements(t, root, list, func(item fhir.Node) {
			for _, c := range codings(nil, t, t.Field(item, "type")) {
				n.take(c.Code, t, item, g.reference(t, t.Field(item, "valueReference")).Local())
			}
		})
	}
	return n, n.organization != ""
}

// take reads one input or output of the Task.
func (n *direction) take(code string, t *fhir.Tape, item fhir.Node, ref string) {
	switch code {
	case directionWithin:
		n.within = ref
	case directionWindow:
		p := t.Field(item, "valuePeriod")
		n.window.From, _ = fhir.ParseInstant(t.Text(t.Field(p, "start")))
		n.window.Until, _ = fhir.ParseInstant(t.Text(t.Field(p, "end")))
	case directionManifest:
		n.parts++
	case directionDisclosures:
		n.disclosures, _ = strconv.Atoi(string(t.Raw(t.Field(item, "valueInteger"))))
	case directionFrom:
		n.from, _ = fhir.ParseInstant(t.Text(t.Field(item, "valueInstant")))
	case directionCertificate:
		n.certificate = ref
	}
}

// destroy gives a direction that was agreed to to the organisation, and has its
// manifest begun.
func (w *writing) destroy(ctx context.Context, o *directing) error {
	organization, within, ok := o.Destroys()
	if !ok {
		return nil
	}
	n := direction{
		status: statusRequested, business: manifestMaking, order: o.prior.ID, organization: organization, within: within,
		window: o.Window, since: fhir.FormatInstant(w.now),
	}
	resource, err := n.resource(w.now)
	if err != nil {
		return err
	}
	ref, err := w.putOwn(ctx, resource, "Task", "")
	if err != nil {
		return err
	}
	made := fhir.ParseReference(ref, "")
	o.Record.Task = made.Local()
	return w.beginManifest(ctx, made.ID, organization, within)
}

// spare cancels the Task of a direction that is lifted.
func (w *writing) spare(ctx context.Context, o *directing) error {
	if o.Record.Task == "" {
		return nil
	}
	n, err := w.directed(ctx, fhir.ParseReference(o.Record.Task, "").ID)
	if err != nil || n == nil {
		return err
	}
	n.status = statusCancelled
	_, err = w.keepDirection(ctx, n)
	return err
}

// directed is the direction that a Task holds; nil when there is none.
func (v *view) directed(ctx context.Context, task string) (n *direction, err error) {
	_, err = v.read(ctx, "Task", task, func(f store.Found, t *fhir.Tape) error {
		if one, ok := v.g.directionOf(f, t); ok {
			n = &one
		}
		return nil
	})
	return n, err
}

// keepDirection writes the Task of a direction.
func (w *writing) keepDirection(ctx context.Context, n *direction) (fhir.Resource, error) {
	resource, err := n.resource(w.now)
	if err != nil {
		return fhir.Resource{}, err
	}
	return w.rewrite(ctx, &n.task, resource)
}

// kept refuses what would change or delete what the server keeps: the Tasks of
// registrations and, for the regulator, directives, the Tasks of directions with
// their manifests and certificates, the reviews of broken glasses, whose grants open
// records, and what patients were told. The custodian is no more than others where
// the regulator's two must agree.
func (w *writing) kept(prior *store.Found, d *draft) error {
	if prior == nil || prior.Deleted || d != nil && d.byServer {
		return nil
	}
	if err := cmp.Or(registered(prior), w.ordered(prior, d)); err != nil || !isOversight(*prior) {
		return err
	}
	switch t := prior.Resource.Type; t {
	case "Binary", "Communication", "DocumentReference":
		return invalid(statusBusiness, fhir.CodeBusinessRule, "this is kept by the server alone, for the regulator", string(t))
	case "Task":
		return invalid(statusBusiness, fhir.CodeBusinessRule, "this Task is kept for the regulator, and changes by its operations alone, such as $review", string(t))
	default:
		return nil
	}
}

// Accept answers Task/$accept: the regulator accepts the certificate, and what the
// direction held back is open again. One person is enough: two have agreed that a
// certificate ends it, and here is one; without it there is nothing to accept.
func (g *Gate) Accept(ctx context.Context, req *Request, task, version string) (Released, error) {
	v, by, err := g.enterDirecting(ctx, req, "Task")
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if version == "" {
		return Released{}, errNoVersion()
	}
	declined := ""
	out, err := v.commit(ctx, func(w *writing) (Released, error) {
		r, reason, err := w.accept(ctx, task, version, by)
		declined = reason
		return Released{items: []Item{{Resource: r}}, total: -1}, err
	})
	if err != nil && declined != "" {
		return Released{}, v.declined(ctx, err, declined, "Task/"+task)
	}
	return out, err
}

func (w *writing) accept(ctx context.Context, task, version string, by directive.Person) (r fhir.Resource, declined string, err error) {
	if _, err := w.current(ctx, consent.Everything().Where(overseen), "Task", task, version); err != nil {
		return r, "", err
	}
	n, err := w.directed(ctx, task)
	switch {
	case err != nil:
		return r, "", err
	case n == nil:
		return r, "", ErrNotFound
	case n.status != statusCompleted || n.certificate == "":
		return r, "no-certificate", invalid(http.StatusConflict, fhir.CodeConflict, "there is no certificate to accept", "Task")
	case n.business != manifestReady:
		return r, "manifest-not-ready", invalid(http.StatusConflict, fhir.CodeConflict, "the manifest is not ready, or the certificate is accepted already", "Task")
	}
	prior, err := newest(ctx, w.reader, w.addressable(), "Basic", n.order)
	if err != nil {
		return r, "", err
	}
	o := directing{by: by, prior: prior, act: actAccepted}
	if err := w.fulfil(ctx, &o); err != nil {
		return r, o.declined, err
	}
	n.business = manifestDone
	r, err = w.keepDirection(ctx, n)
	return r, "", err
}

// fulfil ends a direction to destroy.
func (w *writing) fulfil(ctx context.Context, o *directing) error {
	var text []byte
	if err := w.g.parsed(*o.prior, func(_ store.Found, t *fhir.Tape) error {
		o.Directive, _ = directive.Compile(t, w.g.cfg.BaseURL)
		if o.Record.State != directive.Active {
			return o.decline(declinedState, "the direction is not in force")
		}
		o.Record.State, o.Record.Ended = directive.Fulfilled, directive.Act{By: o.by, At: w.now}
		o.Record.Lifting, o.Record.Until = directive.Act{}, time.Time{}
		text = directive.Recorded(t, o.Record)
		return nil
	}); err != nil {
		return err
	}
	w.notes.act = o.act
	_, err := w.rewrite(ctx, o.prior, text)
	return err
}

// directionsTo are the directions that were given to an organisation.
func (v *view) directionsTo(ctx context.Context, organization string) (all []direction, err error) {
	clauses := []search.Clause{
		v.g.oversight("Task"),
		v.g.coded("Task", "code", fhir.Coding{System: systemTask, Code: destroyTask}),
		v.g.refers("Task", "owner", "Organization/"+organization),
	}
	err = v.each(ctx, "Task", clauses, func(f store.Found, t *fhir.Tape) error {
		if n, ok := v.g.directionOf(f, t); ok && n.organization == organization {
			all = append(all, n)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b direction) int { return b.task.Updated.Compare(a.task.Updated) })
	return all, err
}

// told records what an organisation did with a direction.
func (w *writing) told(act, ref string) {
	e := w.event()
	e.Kind, e.Reason, e.Entities, e.Before = audit.KindDirective, act, []string{ref}, ""
	w.extra = append(w.extra, e)
}
