package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// writeKind is a kind of write. Of those that providers make, want are statuses
// that must be met in every run.
type writeKind struct {
	name string
	make func(*writing, *writer) request
	want []int
}

// writeKinds are the ways to write that there are.
func writeKinds() []writeKind {
	return append(patchKinds(), []writeKind{
		{"create", createWrite, []int{201}},
		{"create unless", createUnless, []int{201}},
		{"create with a query", createWithQuery, []int{201}},
		{"update own", updateOwn, []int{200, 412}},
		{"update that says the same", updateSame, []int{200}},
		{"update foreign", updateForeign, []int{404}},
		{"update where", updateWhere, []int{201}},
		{"label own", labelOwn, []int{200}},
		{"label foreign", labelForeign, []int{404}},
		{"delete own", deleteOwn, []int{204, 412}},
		{"delete foreign", deleteForeign, []int{404}},
		{"delete where", deleteWhere, []int{204}},
		{"transaction", transactionWrite, []int{200, 404}},
		{"batch", batchWrite, []int{200}},
		{"conditional reference", conditionalReference, []int{412}},
		{"patient of one's own", ownPatient, []int{201}},
		{"goes with another", companionWrite, []int{201}},
		{"refused", refusedWrite, []int{400}},
	}...)
}

// launchedKinds are those of a doctor whose launch is for one patient: to know
// whose something is would be to know that it is there.
func launchedKinds() []writeKind {
	kinds := writeKinds()
	for _, k := range writeKinds() {
		if k.name == "goes with another" || k.name == "create" {
			kinds = append(kinds, k, k)
		}
	}
	return kinds
}

// writeTypes are what clinics contribute as a rule.
func writeTypes() []string {
	return []string{"Observation", "Observation", "Observation", "Condition", "AllergyIntolerance", "AllergyIntolerance", "Immunization", "MedicationRequest", "Encounter", "List", "DiagnosticReport"}
}

// contribution is something new about somebody, who is named in some way. What
// else it refers to is visible, hidden, one's own or nowhere.
func (w *writing) contribution(c *writer, kind string) object {
	g := w.g
	p := w.anybody()
	if c.launch.id != "" && g.rand.IntN(2) == 0 {
		p = c.launch
	}
	var o object
	switch kind {
	case "AllergyIntolerance":
		o = g.allergy(p, g.rand.IntN(2) == 0)
	case "Immunization":
		o = g.immunization(p, g.rand.IntN(2) == 0)
	case "Condition":
		o = object{"resourceType": kind, "code": g.code(), "recordedDate": g.day(), "identifier": g.identifier(), "encounter": ref("Encounter/" + w.someID(c, "Encounter"))}
	case "MedicationRequest":
		o = object{"resourceType": kind, "status": "active", "intent": "order", "medicationCodeableConcept": g.code(), "authoredOn": g.day(), "identifier": g.identifier()}
	case "Encounter":
		o = object{
			"resourceType": kind, "status": "finished", "class": object{"system": actCode, "code": "AMB"}, "identifier": g.identifier(),
			"period": object{"start": "2019-01-01", "end": "2019-02-01"}, "partOf": ref("Encounter/" + w.someID(c, "Encounter")),
		}
	case "List":
		o = object{"resourceType": kind, "status": "current", "mode": "working", "identifier": g.identifier(), "entry": []any{
			object{"item": ref("Observation/" + w.someID(c, "Observation"))}, object{"item": ref("Encounter/" + w.someID(c, "Encounter"))},
		}}
	case "DiagnosticReport":
		o = object{"resourceType": kind, "status": "final", "code": g.code(), "identifier": g.identifier(), "result": []any{ref("Observation/" + w.someID(c, "Observation"))}}
	default:
		o = g.observation(p, p.id, object{"hasMember": []any{ref("Observation/" + w.someID(c, "Observation"))}, "encounter": ref("Encounter/" + w.someID(c, "Encounter"))})
	}
	return w.about(without(o, "id"), p)
}

// about makes the resource one about the patient, by one of the forms that a
// reference has.
func (w *writing) about(o object, p worldPatient) object {
	coded := func(system, value string) object {
		return object{"identifier": object{"system": system, "value": value}}
	}
	forms := []object{
		ref("Patient/" + p.id), ref("Patient/" + p.id), ref("Patient/" + p.id), ref(worldBase + "/fhir/Patient/" + p.id), ref("Patient/" + p.id + "/_history/1"),
		coded(nric, p.nric()), coded(nric, p.nric()), with(coded(nric, p.nric()), "type", "Patient"), coded(passport, "E"+p.id), coded(passport, "E"+p.id),
		ref("#who"),
		{"display": "somebody"},
		ref("http://elsewhere.example/fhir/Patient/" + p.id), ref("urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
		with(ref("Patient/"+p.id), "identifier", object{"system": nric, "value": w.anybody().nric()}),
	}
	who := forms[w.g.rand.IntN(len(forms))]
	name := "subject"
	if kind := text(o, "resourceType"); kind == "AllergyIntolerance" || kind == "Immunization" {
		name = "patient"
	}
	if text(who, "reference") == "#who" {
		o["contained"] = []any{object{"resourceType": "Patient", "id": "who", "identifier": []any{object{"system": nric, "value": p.nric()}}}}
	}
	return with(o, name, who)
}

// someID is the id of something of a type: the caller's own, somebody else's in
// the first world, something made with the worlds, or nothing.
func (w *writing) someID(c *writer, kind string) string {
	switch w.g.rand.IntN(4) {
	case 0:
		return w.ownID(c, kind)
	case 1:
		return w.foreignID(kind)
	case 2:
		return w.g.anyID(kind)
	default:
		return "none"
	}
}

// foreignID is the id of something that clinic B contributed in the first world.
func (w *writing) foreignID(kind string) string {
	var all []string
	for _, at := range w.foreign {
		if k, id, _ := strings.Cut(at, "/"); k == kind {
			all = append(all, id)
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return all[w.g.rand.IntN(len(all))]
}

// aType is a type to write, and own one of which the caller has something.
func (w *writing) aType() string { return writeTypes()[w.g.rand.IntN(len(writeTypes()))] }

// preferring adds a Prefer header, or none.
func (w *writing) preferring(r request) request {
	forms := []string{"", "", "", "return=minimal", "return=representation", "return=OperationOutcome", "return=everything", "handling=lenient", "respond-async"}
	if f := forms[w.g.rand.IntN(len(forms))]; f != "" {
		return r.with("Prefer", f)
	}
	return r
}

func createWrite(w *writing, c *writer) request {
	kind := w.aType()
	return w.preferring(send(http.MethodPost, kind, mustJSON(w.contribution(c, kind))))
}

func createUnless(w *writing, c *writer) request {
	kind := w.aType()
	return w.preferring(send(http.MethodPost, kind, mustJSON(w.contribution(c, kind))).with("If-None-Exist", w.condition(c, kind)))
}

func createWithQuery(w *writing, c *writer) request {
	kind := w.aType()
	return send(http.MethodPost, kind+"?"+w.condition(c, kind), mustJSON(w.contribution(c, kind)))
}

// matching adds an If-Match: the version that is right, a wrong one, those that
// hidden resources may have, or none.
func (w *writing) matching(r request, own int) request {
	tags := []string{"", "", `W/"1"`, `W/"2"`, `W/"3"`, `W/"b1"`, `W/"99"`, `"1"`}
	if own >= 0 {
		tags = append(tags, `W/"`+w.made[own].version+`"`, `W/"`+w.made[own].version+`"`, `W/"`+w.made[own].version+`"`)
	}
	if r.method == http.MethodPut && w.g.rand.IntN(10) == 0 {
		return r.with("If-None-Match", "*")
	}
	if tag := tags[w.g.rand.IntN(len(tags))]; tag != "" {
		return r.with("If-Match", tag)
	}
	return r
}

// updateSame sends once more what was sent last, as others may have done since
// with theirs.
func updateSame(w *writing, c *writer) request {
	for range 10 {
		n, ok := w.own(c, writeTypes()...)
		if !ok || len(w.made[n].body) == 0 {
			continue
		}
		var o object
		if err := json.Unmarshal(w.made[n].body, &o); err != nil {
			w.t.Fatal(err)
		}
		return w.preferring(w.matching(send(http.MethodPut, w.made[n].kind+"/"+twinID(n), mustJSON(with(o, "id", twinID(n)))), n))
	}
	return updateForeign(w, c)
}

func updateOwn(w *writing, c *writer) request {
	n, ok := w.own(c, writeTypes()...)
	if !ok {
		return updateForeign(w, c)
	}
	kind := w.made[n].kind
	return w.preferring(w.matching(send(http.MethodPut, kind+"/"+twinID(n), mustJSON(with(w.contribution(c, kind), "id", twinID(n)))), n))
}

// theirs is what the caller may not address: others' in the first world, what is
// in both, what is nowhere.
func (w *writing) theirs() (kind, id string) {
	all := []string{w.foreign[w.g.rand.IntN(len(w.foreign))], w.foreign[w.g.rand.IntN(len(w.foreign))], w.g.ids[w.g.rand.IntN(len(w.g.ids))], "Patient/" + w.anybody().id, "Observation/none"}
	kind, id, _ = strings.Cut(all[w.g.rand.IntN(len(all))], "/")
	return kind, id
}

func updateForeign(w *writing, c *writer) request {
	kind, id := w.theirs()
	o := object{"resourceType": kind}
	switch said := w.said[kind+"/"+id]; {
	case said != nil && w.g.rand.IntN(3) == 0: // what it says already
		o = said
	case slices.Contains(writeTypes(), kind):
		o = w.contribution(c, kind)
	}
	return w.matching(send(http.MethodPut, kind+"/"+id, mustJSON(with(o, "id", id))), -1)
}

// labelOwn changes labels of what one's own organisation made.
func labelOwn(w *writing, c *writer) request {
	n, ok := w.own(c, writeTypes()...)
	if !ok {
		return labelForeign(w, c)
	}
	return w.label(w.made[n].kind + "/" + twinID(n))
}

func labelForeign(w *writing, _ *writer) request {
	kind, id := w.theirs()
	return w.label(kind + "/" + id)
}

func (w *writing) label(at string) request {
	return w.preferring(send(http.MethodPost, at+[]string{"/$meta-add", "/$meta-delete"}[w.g.rand.IntN(2)], labelRequest()))
}

func updateWhere(w *writing, c *writer) request {
	kind := w.aType()
	o := w.contribution(c, kind)
	switch w.g.rand.IntN(5) {
	case 0:
		o["id"] = w.ownID(c, kind)
	case 1:
		o["id"] = w.foreignID(kind)
	}
	r := send(http.MethodPut, kind+"?"+w.condition(c, kind), mustJSON(o))
	if w.g.rand.IntN(4) > 0 {
		return w.preferring(r)
	}
	return w.preferring(w.matching(r, -1))
}

func deleteOwn(w *writing, c *writer) request {
	n, ok := w.own(c, writeTypes()...)
	if !ok {
		return deleteForeign(w, c)
	}
	return w.preferring(w.matching(request{method: http.MethodDelete, path: w.made[n].kind + "/" + twinID(n)}, n))
}

func deleteForeign(w *writing, _ *writer) request {
	kind, id := w.theirs()
	return w.matching(request{method: http.MethodDelete, path: kind + "/" + id}, -1)
}

func deleteWhere(w *writing, c *writer) request {
	kind := w.aType()
	return w.preferring(request{method: http.MethodDelete, path: kind + "?" + w.condition(c, kind)})
}

// condition is one that is answered from what the caller's organisation
// contributed.
func (w *writing) condition(c *writer, kind string) string {
	g := w.g
	all := []string{
		"identifier=http://example.org/ids|n" + fmt.Sprint(g.rand.IntN(40)), "identifier=http://example.org/ids|n" + fmt.Sprint(g.rand.IntN(12)),
		"_id=" + w.someID(c, kind), "_id=" + w.ownID(c, kind), "_lastUpdated=lt2026-01-01", "_lastUpdated=ge2026-01-01", "patient=" + w.anybody().id, "patient:Patient=" + w.anybody().id,
		"patient.family={family}", "patient.address-city={secret}", "patient.identifier={nricsystem}|" + w.anybody().nric(), "patient:identifier={nricsystem}|" + w.anybody().nric(), "patient:identifier=" + passport + "|E" + w.anybody().id,
		"patient:missing=true", "identifier:missing=true", "_tag:not=t1", "_has:List:item:status=current", "_has:Provenance:target:recorded=gt2020", "_list=" + w.someID(c, "List"),
		"_filter=patient.phone eq %22555-000{n}%22", "_filter=identifier eq http://example.org/ids|n{n} and _lastUpdated ge 2020", "_content={word}", "_text=narrated", "patient._has:Condition:patient:code={code}",
	}
	if kind == "Observation" {
		all = append(all, farConditions()...)
		all = append(all, "code:in=http://example.org/ValueSet/some", "code:in=http://example.org/ValueSet/ours", "code:below={codes}|c0", "site-text=site", "encounter=Encounter/"+w.someID(c, "Encounter"),
			"has-member=Observation/"+w.someID(c, "Observation"), "value-quantity=gt150", "code={code}&date=ge2020", "code-value-quantity={code}$gt100", "subject:Patient.birthdate=ge1980", "encounter:missing=true")
	}
	return escaped(g.fill(all[g.rand.IntN(len(all))]))
}
