package conformance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// specCompartments are the parameters by which resources are in a compartment (R4
// compartmentdefinition.html), of the types and parameters that the world has.
const specCompartments = `
Patient Observation subject performer
Patient Condition patient
Patient Encounter patient
Patient MedicationRequest subject
Patient List subject source
Patient RiskAssessment subject
Patient MolecularSequence patient
Patient ChargeItem subject
Patient QuestionnaireResponse subject
Encounter Observation encounter
Encounter Condition encounter
Encounter MedicationRequest encounter
Practitioner Observation performer
Practitioner Encounter practitioner participant
Practitioner MedicationRequest requester
Practitioner List source
`

// compartments reads the table: by the compartment and the type within.
func compartments() map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(specCompartments) {
		if f := strings.Fields(line); len(f) > 0 {
			out[f[0]+" "+f[1]] = f[2:]
		}
	}
	return out
}

// inCompartment reports whether a resource is in that of another.
func (w *specWorld) inCompartment(r *specResource, owner string) bool {
	of := w.byName[owner]
	return slices.ContainsFunc(w.compartments[of.typ+" "+r.typ], func(name string) bool {
		return slices.Contains(w.targets(r, w.param(r.typ, name)), of)
	})
}

// confined asks a query within the compartment of some resource, if its type is in
// one.
func (a *asker) confined(q *query) {
	for range 6 {
		owner := pick(a.specMaker, "Patient", "Patient", "Encounter", "Practitioner")
		if len(a.w.compartments[owner+" "+q.typ]) == 0 {
			continue
		}
		one := pick(a.specMaker, a.w.byType[owner]...)
		for range 8 { // most have something in it
			if slices.ContainsFunc(a.w.byType[q.typ], func(r *specResource) bool { return a.w.inCompartment(r, one.name()) }) {
				break
			}
			one = pick(a.specMaker, a.w.byType[owner]...)
		}
		q.owner, q.all = one.name(), q.all[:a.upTo(1)]
		return
	}
}

// request is the query as a request, by GET or by POST.
func (q query) request(more ...given) request {
	path := q.path(more...)
	if !q.posted {
		return get(path)
	}
	at, form, _ := strings.Cut(path, "?")
	// some of it may stand in the address, which R4 allows
	if first, rest, ok := strings.Cut(form, "&"); ok && len(form)%3 == 0 {
		return posted(at, "?"+first, rest)
	}
	return posted(at, "", form)
}

func posted(at, address, form string) request {
	r := request{method: http.MethodPost, path: strings.TrimPrefix(at+"/_search", "/") + address, body: []byte(form)}
	return r.with("Content-Type", "application/x-www-form-urlencoded")
}

// counted asks for nothing but how many there are.
func (d *differential) counted(q query, want int) {
	q.sort, q.includes = nil, nil
	way := given{"_summary", "count"}
	if d.requests%2 == 0 {
		way = given{"_count", "0"}
	}
	a := d.server.do(d.t, d.token, q.request(way))
	d.requests++
	d.counts++
	var bundle struct {
		Total *int
		Entry []any
	}
	if err := json.Unmarshal(a.body, &bundle); err != nil || a.status != http.StatusOK {
		d.differ(q, "%s=%s: status %d: %.500s", way.name, way.value, a.status, a.body)
		return
	}
	if bundle.Total == nil || *bundle.Total != want || len(bundle.Entry) > 0 {
		d.differ(q, "%s=%s: want %d: %.500s", way.name, way.value, want, a.body)
	}
}
