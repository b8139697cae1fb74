package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// entryOf is a request as an entry of a Bundle.
func entryOf(r request) object {
	asked := object{"method": r.method, "url": r.path}
	for header, name := range map[string]string{"If-Match": "ifMatch", "If-None-Exist": "ifNoneExist", "If-None-Match": "ifNoneMatch"} {
		if v := r.header[header]; v != "" {
			asked[name] = v
		}
	}
	e := object{"request": asked}
	if len(r.body) > 0 {
		e["resource"] = rawJSON(r.body)
		if r.method == http.MethodPatch {
			e["resource"] = rawJSON(patchEntry(r))
		}
	}
	return e
}

// rawJSON goes into JSON as it is.
type rawJSON []byte

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

func bundleOf(kind string, entries ...any) request {
	return send(http.MethodPost, "", mustJSON(object{"resourceType": "Bundle", "type": kind, "entry": entries}))
}

func batchWrite(w *writing, c *writer) request {
	makes := []func(*writing, *writer) request{
		createWrite, createUnless, createWithQuery, updateOwn, updateForeign, updateWhere, deleteOwn, deleteForeign, deleteWhere, refusedWrite, patchOwn, patchForeign, patchWhere,
		func(w *writing, _ *writer) request { return w.looks() },
	}
	var entries []any
	for range 2 + w.g.rand.IntN(4) {
		entries = append(entries, entryOf(makes[w.g.rand.IntN(len(makes))](w, c)))
	}
	return w.preferring(bundleOf("batch", entries...))
}

// transactionWrite has entries that as a rule go well, and now and then one that
// does not.
func transactionWrite(w *writing, c *writer) request {
	makes := []func(*writing, *writer) request{createWrite, createWrite, createUnless, deleteWhere}
	switch w.g.rand.IntN(6) {
	case 0:
		makes = append(makes, updateForeign, deleteForeign, patchForeign)
	case 1:
		makes = append(makes, updateOwn, deleteOwn, updateWhere, patchOwn, patchOwn)
	case 2:
		makes = append(makes, func(w *writing, _ *writer) request { return w.looks() })
	case 3:
		makes = append(makes, refusedWrite)
	}
	var entries []any
	for range 1 + w.g.rand.IntN(4) {
		entries = append(entries, entryOf(makes[w.g.rand.IntN(len(makes))](w, c)))
	}
	return w.preferring(bundleOf("transaction", entries...))
}

// bundleWrite writes and looks. The regulator looks at no history of all: the record
// of access is in it, which tells of hidden data, as it must.
func bundleWrite(w *writing, c *writer) request {
	kind, write, decide, look := []string{"batch", "transaction"}[w.g.rand.IntN(2)], createWrite(w, c), consentWrite(w, c), w.looks()
	if c.partition == "regulator" && (strings.HasPrefix(look.path, "_history") || look.path == "AuditEvent/_history") {
		look = get("Organization/employer")
	}
	return bundleOf(kind, entryOf(write), entryOf(decide), entryOf(look))
}

// conditionalReference refers to something by a condition, in an entry beside
// others that refer to each other.
func conditionalReference(w *writing, c *writer) request {
	g := w.g
	where := func(query string) string { return escapedReference(g.fill(query)) }
	observed := where("Observation?identifier=http://example.org/ids|n" + fmt.Sprint(g.rand.IntN(40)))
	of := []object{
		{"subject": ref(where("Patient?identifier={nricsystem}|" + w.anybody().nric()))},
		{"subject": ref(where("Patient?identifier=" + passport + "|E" + w.anybody().id))},
		{"hasMember": []any{ref(observed)}},
		{"hasMember": []any{ref(where("Observation?_id=" + w.someID(c, "Observation")))}},
		{"encounter": ref(where("Encounter?_id=" + w.someID(c, "Encounter")))},
		{"encounter": ref(where("Encounter?part-of.status=finished"))},
		{"performer": []any{ref(where("Practitioner?identifier=http://example.org/reg|N1"))}},
		{"performer": []any{ref(where("Practitioner?_has:Observation:performer:code={code}"))}},
		{"performer": []any{ref(where("Organization?name=clinic-b"))}},
		{"performer": []any{ref(where("Organization?_has:Patient:general-practitioner:gender=female"))}},
		{"hasMember": []any{ref(where("Observation?patient.address-city={secret}"))}},
		{"hasMember": []any{ref(where("Observation?code:not={code}&_has:List:item:status=current"))}},
	}[g.rand.IntN(12)]
	o := w.contribution(c, "Observation")
	for k, v := range of {
		o[k] = v
	}
	const urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
	first := with(entryOf(send(http.MethodPost, "Observation", mustJSON(o))), "fullUrl", urn)
	report := with(w.contribution(c, "DiagnosticReport"), "result", []any{ref(urn)})
	return w.preferring(bundleOf("transaction", first, entryOf(send(http.MethodPost, "DiagnosticReport", mustJSON(report)))))
}

// escapedReference is a conditional reference as it stands in a resource.
func escapedReference(query string) string {
	u, err := url.Parse(query)
	if err != nil {
		return query
	}
	return u.Path + "?" + escaped(u.RawQuery)
}

// ownPatient is a Patient that an organisation keeps for itself: under somebody's
// number, of its own clinic, and maybe linked to somebody.
func ownPatient(w *writing, c *writer) request {
	p := w.anybody()
	o := without(w.g.person(p, w.g.rand.IntN(2) == 0), "id")
	o["generalPractitioner"] = []any{ref("Organization/" + c.partition)}
	if w.g.rand.IntN(2) == 0 {
		o["link"] = []any{object{"other": ref("Patient/" + []string{w.anybody().id, shut.id}[w.g.rand.IntN(2)]), "type": "seealso"}}
	}
	return w.preferring(send(http.MethodPost, "Patient", mustJSON(o)))
}

// companionWrite is what shares the owners of another resource, which is visible,
// hidden, one's own or nowhere.
func companionWrite(w *writing, c *writer) request {
	at := []string{"Observation/" + w.someID(c, "Observation"), "Condition/" + w.someID(c, "Condition"), "Encounter/" + w.someID(c, "Encounter"), "Patient/" + w.anybody().id}[w.g.rand.IntN(4)]
	if of := w.of[c.launch.id]; len(of) > 0 && w.g.rand.IntN(2) == 0 {
		at = of[w.g.rand.IntN(len(of))]
	}
	if w.g.rand.IntN(2) == 0 {
		return send(http.MethodPost, "Binary", mustJSON(object{"resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8=", "securityContext": ref(at)}))
	}
	return w.preferring(send(http.MethodPost, "Provenance", mustJSON(without(w.g.provenance(at), "id"))))
}

// refusedWrite is what no server takes, or not from a provider.
func refusedWrite(w *writing, c *writer) request {
	o := w.contribution(c, "Observation")
	oversight := object{"security": []any{object{"system": "https://vitrine.example/CodeSystem/label", "code": "oversight"}}}
	kind, id := w.theirs()
	return []request{
		send(http.MethodPost, "Observation", mustJSON(without(o, "status"))), send(http.MethodPost, "Observation", mustJSON(with(o, "nickname", "x"))),
		send(http.MethodPost, "Observation", mustJSON(with(o, "effectiveDateTime", "yesterday"))), send(http.MethodPost, "Condition", mustJSON(o)),
		send(http.MethodPost, "Observation", mustJSON(with(o, "meta", oversight))), send(http.MethodPost, "Consent", mustJSON(without(w.g.restriction(worldPatient{w.anybody().id, optedOut}), "id"))),
		send(http.MethodPut, kind+"/"+id, mustJSON(o)), send(http.MethodPut, "Observation/none", mustJSON(with(o, "id", "other"))),
		send(http.MethodPost, "Observation", mustJSON(o)).with("If-None-Exist", "nickname=x"), send(http.MethodPost, "Observation", mustJSON(o)).with("If-None-Exist", "code:in=http://example.org/ValueSet/none"),
		{method: http.MethodDelete, path: "Observation?_count=1"},
		{method: http.MethodDelete, path: kind + "/" + id, header: map[string]string{"If-Match": "*"}},
		send(http.MethodPut, kind+"/"+id, mustJSON(object{"resourceType": kind, "id": id})).with("If-None-Match", "*"), send(http.MethodPost, "AuditEvent", mustJSON(object{"resourceType": "AuditEvent"})),
		send(http.MethodPost, kind+"/"+id, mustJSON(o)), send(http.MethodPatch, "Observation/"+id, mustJSON(o)),
	}[w.g.rand.IntN(16)]
}

// glassKind breaks and mends the glass of patients who are not there.
func glassKind() writeKind {
	return writeKind{name: "glass", make: func(w *writing, _ *writer) request {
		p := []string{absent.id, shut.id, nobody.id, w.g.ofPosture(unrelated).id, w.g.ofPosture(examined).id, "none"}[w.g.rand.IntN(6)]
		if w.g.rand.IntN(3) == 0 {
			return send(http.MethodPost, "Patient/"+p+"/$break-glass-stop", []byte(`{"resourceType":"Parameters"}`))
		}
		return send(http.MethodPost, "Patient/"+p+"/$break-glass", glassRequest())
	}}
}

// consentWrite is a patient's: of herself as a rule, or of somebody else.
func consentWrite(w *writing, c *writer) request {
	p := bystander
	if w.g.rand.IntN(3) == 0 {
		p = w.anybody()
	}
	o := without(w.g.restriction(worldPatient{p.id, []posture{optedOut, denied, allowedB, doubtful}[w.g.rand.IntN(4)]}), "id")
	o = with(o, "identifier", w.g.identifier())
	if w.g.rand.IntN(3) == 0 {
		o["status"] = "inactive"
	}
	if w.g.rand.IntN(4) == 0 {
		o["patient"] = object{"identifier": object{"system": nric, "value": p.nric()}}
	}
	at := w.ownID(c, "Consent")
	switch w.g.rand.IntN(7) {
	case 0:
		return send(http.MethodPut, "Consent/"+at, mustJSON(with(o, "id", at)))
	case 1:
		return request{method: http.MethodDelete, path: "Consent/" + at}
	case 2:
		return request{method: http.MethodDelete, path: "Consent/consent-" + w.anybody().id}
	case 3:
		id := "consent-" + w.anybody().id
		return send(http.MethodPut, "Consent/"+id, mustJSON(with(o, "id", id)))
	case 4:
		return send(http.MethodPost, "Consent", mustJSON(o)).with("If-None-Exist", escaped("identifier=http://example.org/ids|n"+fmt.Sprint(w.g.rand.IntN(40))))
	default:
		return w.preferring(send(http.MethodPost, "Consent", mustJSON(o)))
	}
}

// directiveWrite is the regulator's, about an organisation that has no part in
// the story.
func directiveWrite(w *writing, c *writer) request {
	o := object{
		"resourceType": "Basic", "code": concept("https://vitrine.example/CodeSystem/nehr-directive", "BLOCK_READ"),
		"extension": []any{object{"url": "https://vitrine.example/StructureDefinition/directive-target", "valueReference": ref("Organization/employer")}},
	}
	switch n, ok := w.own(c, "Basic"); {
	case ok && w.g.rand.IntN(3) == 0:
		return request{method: http.MethodDelete, path: "Basic/" + twinID(n)}
	case ok && w.g.rand.IntN(2) == 0:
		return w.matching(directing(w.g, "Basic", twinID(n)), n)
	case ok && w.g.rand.IntN(2) == 0:
		return w.matching(send(http.MethodPut, "Basic/"+twinID(n), mustJSON(with(o, "id", twinID(n)))), n)
	default:
		return w.preferring(send(http.MethodPost, "Basic", mustJSON(o)))
	}
}

// directing is an operation of directives and directions.
func directing(g *worldMaker, kind, id string) request {
	at := []string{kind + "/" + id, "Basic/" + id, "Task/" + id, "Basic/none", "Task/none"}[g.rand.IntN(5)]
	switch g.rand.IntN(6) {
	case 0:
		return get("Task/$directions")
	case 1:
		return get(at + "/$agree")
	case 2:
		return send(http.MethodPost, at+"/$certify", mustJSON(object{"resourceType": "DocumentReference", "status": "current", "content": []any{object{"attachment": object{"contentType": "text/plain", "data": "eA=="}}}}))
	default:
		return request{method: http.MethodPost, path: at + "/" + []string{"$agree", "$lift", "$withdraw", "$accept"}[g.rand.IntN(4)], header: map[string]string{"If-Match": `W/"1"`}}
	}
}
