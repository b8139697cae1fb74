package gate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
)

// A search parameter that the custodian added is registered by a Task, which
// gives it its number and tells the custodian how far its index is. The Task is
// kept for good: a number that was given out is never given to another.

// labelIndex is the code of the label of these Tasks.
const labelIndex = "search-index"

// The codes of these Tasks.
const (
	systemIndex = consent.Canon + "/CodeSystem/search-index"
	indexTask   = "search-parameter-index"

	indexNumber     = "number"
	indexDefinition = "definition"
	indexDone       = "done"
	indexTotal      = "total"
	indexAt         = "at"
	indexPosition   = "position"
	indexOwner      = "owner"
	indexLease      = "lease"
)

// The states of a registration, as Task.status has them.
const (
	statusRequested = "requested"   // nobody is at work on it
	statusProgress  = "in-progress" // its index is being made
	statusCompleted = "completed"   // it is used
	statusCancelled = "cancelled"   // its SearchParameter was retired
)

// parametersMost is how many parameters may be added: every one costs with every
// write.
const parametersMost = 200

// job is the registration of one search parameter, and how far its index is.
type job struct {
	number     search.Param
	parameter  string // the id of the SearchParameter
	definition string // its fingerprint
	status     string
	since      string // Task.authoredOn
	// done of total resources have been looked at; the next one is of type at,
	// behind position.
	done, total int
	at          fhir.ResourceType
	position    []byte
	// owner is the process at work on it, and lease the time until which others
	// leave it alone.
	owner string
	lease time.Time

	task store.Found
	// search is what it is searched by; nil until it is read.
	search *r4.SearchParam
}

// live reports whether resources are to be indexed by it.
func (j *job) live() bool {
	return j.status == statusRequested || j.status == statusProgress || j.status == statusCompleted
}

// leased reports whether it is the work of another process than the one named.
func (j *job) leased(name string, now time.Time) bool {
	return j.owner != "" && j.owner != name && now.Before(j.lease)
}

type (
	indexResult struct {
		Type  concept `json:"type"`
		Count *int    `json:"valueInteger,omitempty"`
		Text  string  `json:"valueString,omitempty"`
	}
	indexResource struct {
		ResourceType string        `json:"resourceType"`
		Meta         ownMeta       `json:"meta"`
		Status       string        `json:"status"`
		Intent       string        `json:"intent"`
		Code         concept       `json:"code"`
		Focus        reference     `json:"focus"`
		AuthoredOn   string        `json:"authoredOn"`
		LastModified string        `json:"lastModified"`
		Input        []indexResult `json:"input"`
		Output       []indexResult `json:"output"`
	}
)

// resource is the Task as of now.
func (j *job) resource(now time.Time) ([]byte, error) {
	count := func(code string, n int) indexResult { return indexResult{Type: codes(systemIndex, code), Count: &n} }
	text := func(code, value string) indexResult { return indexResult{Type: codes(systemIndex, code), Text: value} }
	r := indexResource{
		ResourceType: "Task", Meta: ownMeta{[]coding{{consent.SystemLabel, labelIndex}}}, Status: j.status, Intent: "order",
		Code: codes(systemTask, indexTask), Focus: reference{"SearchParameter/" + j.parameter},
		AuthoredOn: j.since, LastModified: fhir.FormatInstant(now),
		Input:  []indexResult{count(indexNumber, int(j.number)), text(indexDefinition, j.definition)},
		Output: []indexResult{count(indexDone, j.done), count(indexTotal, j.total)},
	}
	if j.at != "" {
		r.Output = append(r.Output, text(indexAt, string(j.at)))
	}
	if len(j.position) > 0 {
		r.Output = append(r.Output, text(indexPosition, base64.StdEncoding.EncodeToString(j.position)))
	}
	if j.owner != "" {
		r.Output = append(r.Output, text(indexOwner, j.owner), text(indexLease, fhir.FormatInstant(j.lease)))
	}
	return json.Marshal(r)
}

// jobOf reads the registration in a Task; ok is false when it is none.
func jobOf(f store.Found, t *fhir.Tape) (j job, ok bool) {
	root := t.Root()
	j = job{status: t.Text(t.Field(root, "status")), since: t.Text(t.Field(root, "authoredOn")), task: f}
	ref := fhir.ParseReference(t.Text(t.Field(t.Field(root, "focus"), "reference")), "")
	j.parameter = ref.ID
	for _, list := range []string{"input", "output"} {
		elements(t, root, list, func(n fhir.Node) {
			for _, c := range codings(nil, t, t.Field(n, "type")) {
				if c.System == systemIndex {
					j.take(c.Code, t.Text(t.Field(n, "valueString")), string(t.Raw(t.Field(n, "valueInteger"))))
				}
			}
		})
	}
	return j, f.Contributor == "" && slices.Contains(f.Labels, consent.SystemLabel+"|"+labelIndex) && j.number >= search.FirstAdded && j.number <= search.LastAdded && ref.Type == "SearchParameter"
}

// take reads one input or output of the Task.
func (j *job) take(code, text, number string) {
	n, _ := strconv.Atoi(number)
	switch code {
	case indexNumber:
		j.number = search.Param(n) //nolint:gosec // held against the numbers there are
	case indexDefinition:
		j.definition = text
	case indexDone:
		j.done = n
	case indexTotal:
		j.total = n
	case indexAt:
		j.at = fhir.ResourceType(text)
	case indexPosition:
		j.position, _ = base64.StdEncoding.DecodeString(text)
	case indexOwner:
		j.owner = text
	case indexLease:
		j.lease, _ = fhir.ParseInstant(text)
	}
}

// jobs are all registrations there ever were, by number.
func (v *view) jobs(ctx context.Context) (jobs []job, err error) {
	labelled := v.g.coded("Task", "_security", fhir.Coding{System: consent.SystemLabel, Code: labelIndex})
	err = v.each(ctx, "Task", []search.Clause{labelled}, func(f store.Found, t *fhir.Tape) error {
		if j, ok := jobOf(f, t); ok {
			jobs = append(jobs, j)
		}
		return nil
	})
	slices.SortFunc(jobs, func(a, b job) int { return int(a.number) - int(b.number) })
	return jobs, err
}

// registering brings the registration of a SearchParameter in line with what it
// says now: d is its draft, nil when it is deleted. It fails with an *Invalid
// when the parameter would clash with another.
func (w *writing) registering(ctx context.Context, id string, d *draft) error {
	var now *r4.SearchParam
	if d != nil {
		p, problem := w.g.definition(d.tape)
		if problem != nil {
			return problem
		}
		now = p
	}
	old := w.params.jobOf(id)
	if old == nil && now == nil || old != nil && now != nil && old.definition == fingerprint(now) {
		return nil
	}
	jobs, err := w.jobs(ctx)
	if err != nil {
		return err
	}
	for i := range jobs {
		if j := &jobs[i]; j.parameter == id && j.live() {
			j.status, j.owner = statusCancelled, ""
			if err := w.keep(ctx, j); err != nil {
				return err
			}
		}
	}
	w.tx.Touch(keyParameters)
	w.parametersChanged = true
	if now == nil {
		return nil
	}
	return w.register(ctx, id, now, jobs)
}

// register gives a parameter its number, if it fits in with the others.
func (w *writing) register(ctx context.Context, id string, p *r4.SearchParam, jobs []job) error {
	number := search.FirstAdded
	if len(jobs) > 0 {
		number = jobs[len(jobs)-1].number + 1
	}
	added := []search.Added{{SearchParam: p}}
	for _, j := range w.params.jobs {
		if j.parameter != id {
			added = append(added, search.Added{SearchParam: j.search})
		}
	}
	if number > search.LastAdded || len(added) > parametersMost {
		return invalid(http.StatusUnprocessableEntity, fhir.CodeTooCostly, "no more search parameters can be added", "SearchParameter")
	}
	p.Number = uint16(number)
	if _, err := w.g.tools.Indexer.With(added); err != nil {
		return clashing(err, p)
	}
	return w.keep(ctx, &job{
		number: number, parameter: id, definition: fingerprint(p), status: statusRequested, since: fhir.FormatInstant(w.now),
	})
}

// keep writes the Task of a registration.
func (w *writing) keep(ctx context.Context, j *job) error {
	resource, err := j.resource(w.now)
	if err != nil {
		return err
	}
	d, err := w.own(resource, "Task", "")
	if err != nil {
		return err
	}
	id := j.task.ID
	var prior *store.Found
	if id == "" {
		id = newID()
	} else if prior, err = newest(ctx, w.tx, consent.Everything(), "Task", id); err != nil {
		return err
	}
	if err := w.ready(d, id); err != nil {
		return err
	}
	d.byServer = true
	_, err = w.put(ctx, d, prior)
	return err
}

// registered refuses what would change or delete the Task of a registration, whose
// number would be given to another parameter.
func registered(prior *store.Found) error {
	if prior.Resource.Type != "Task" || !slices.Contains(prior.Labels, consent.SystemLabel+"|"+labelIndex) {
		return nil
	}
	return invalid(statusBusiness, fhir.CodeBusinessRule,
		"this Task is kept by the server alone: retire or delete its SearchParameter instead", "Task")
}
