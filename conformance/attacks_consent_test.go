package conformance

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A restriction holds from its commit, also when it names somebody else who is
// not known, so that it has no home.
func TestAttackRestrictionWithoutAHome(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.full(t, c.a1, "q")
	c.put(t, with(optOut("q"), "performer", []any{ref("https://elsewhere.example/fhir/Patient/9")}))
	c.basic(t, c.a1, "q")
	c.do(t, c.root, request{method: http.MethodDelete, path: "Consent/consent-q"})
	c.full(t, c.a1, "q")
}

// A Consent may say whose it is in every form a Reference has.
func TestAttackConsentNamesItsPatientOtherwise(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	const known = "S9876543C"
	c.put(t, with(person("q"), "identifier", nricOf(known)))
	contained := with(optOut("q"), "patient", ref("#me"))
	contained["contained"] = []any{object{"resourceType": "Patient", "id": "me", "identifier": nricOf(known)}}
	for name, o := range map[string]object{
		"absolute":   with(optOut("q"), "patient", ref(c.base+"/Patient/q")),
		"versioned":  with(optOut("q"), "patient", ref("Patient/q/_history/1")),
		"identifier": with(optOut("q"), "patient", object{"identifier": object{"system": nric, "value": known}}),
		"contained":  contained,
	} {
		t.Run(name, func(t *testing.T) {
			c.full(t, c.a1, "q")
			c.put(t, o)
			c.basic(t, c.a1, "q")
			c.put(t, with(o, "status", "inactive"))
			c.full(t, c.a1, "q")
			a := c.post(t, c.appQ, without(o, "id"))
			if a.status == http.StatusCreated {
				c.basic(t, c.a1, "q")
				id := instance(c, a)
				c.do(t, c.appQ, request{method: http.MethodDelete, path: id})
			}
			c.full(t, c.a1, "q")
		})
	}
}

// What a rule hides of one type or label must not come out through a resource
// that holds or accompanies it.
func TestAttackWhatAccompaniesTheHidden(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	label := object{"security": []any{object{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}}}
	c.put(t, object{
		"resourceType": "DocumentReference", "id": "letter", "status": "current", "subject": ref("Patient/q"),
		"content": []any{object{"attachment": object{"url": "Binary/scan"}}},
	})
	c.put(t, object{"resourceType": "Binary", "id": "scan", "contentType": "text/plain", "data": "Wnl4d3Z1dA==", "securityContext": ref("DocumentReference/letter")})
	c.put(t, with(condition("q", "psy"), "meta", label))
	c.put(t, object{
		"resourceType": "Provenance", "id": "of-psy", "target": []any{ref("Condition/psy")}, "recorded": "2026-01-01T00:00:00Z",
		"agent": []any{object{"who": ref("Organization/b")}},
	})
	c.put(t, object{"resourceType": "Bundle", "id": "doc", "type": "collection", "entry": []any{object{"resource": with(condition("q", "inner"), "meta", label)}}})
	c.put(t, object{
		"resourceType": "DiagnosticReport", "id": "report", "status": "final", "subject": ref("Patient/q"), "code": object{"text": "x"},
		"contained": []any{with(without(observation("q", "in"), "id"), "id", "in")}, "result": []any{ref("#in")},
	})
	all := []string{"DocumentReference/letter", "Binary/scan", "Condition/psy", "Provenance/of-psy", "Bundle/doc", "DiagnosticReport/report"}
	see := func(name string, hidden ...string) {
		t.Helper()
		for _, path := range all {
			a := c.do(t, c.a1, get(path))
			if want := !slices.Contains(hidden, path); (a.status == http.StatusOK) != want {
				t.Errorf("%s: %s answers %d", name, path, a.status)
			}
		}
	}
	classes := func(types ...string) object {
		p := provision("deny")
		list := []any{}
		for _, typ := range types {
			list = append(list, object{"system": "http://hl7.org/fhir/resource-types", "code": typ})
		}
		return with(p, "class", list)
	}
	see("nothing restricted")
	c.put(t, consent("q", "OPTIN", "permit", classes("DocumentReference")))
	see("no documents", "DocumentReference/letter", "Binary/scan")
	c.put(t, consent("q", "OPTIN", "permit", classes("Observation")))
	see("no observations", "DiagnosticReport/report")
	c.put(t, consent("q", "OPTIN", "permit", with(provision("deny"), "securityLabel", []any{object{"system": actCode, "code": "PSY"}})))
	see("no psychiatry", "Condition/psy", "Provenance/of-psy", "Bundle/doc")
}

// A Consent that does not say whose it is would restrict nothing.
func TestAttackConsentOfNobody(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	o := with(without(without(optOut("q"), "id"), "patient"), "performer", []any{ref("Patient/q")})
	if a := c.post(t, c.appQ, o); a.status == http.StatusCreated {
		t.Errorf("taken, and restricts nothing: %s", a.body)
	}
	c.post(t, c.appQ, without(optOut("q"), "id")).want(t, http.StatusCreated)
	c.basic(t, c.a1, "q")
}

// forgedGrant is a break-glass grant as the server itself would write it, but
// for the label.
func forgedGrant() object {
	input := func(code, value string) object {
		return object{"type": concept("https://vitrine.example/CodeSystem/nehr-grant", code), "valueString": value}
	}
	return object{
		"resourceType": "Task", "status": "requested", "intent": "order", "for": ref("Patient/p"),
		"code":            concept("https://vitrine.example/CodeSystem/nehr-task", "break-glass-review"),
		"businessStatus":  concept("https://vitrine.example/CodeSystem/nehr-grant", "open"),
		"executionPeriod": object{"start": "2020-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z"},
		"input": []any{
			input("id", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"), input("user", "Practitioner/dr-a"),
			input("organization", "a"), input("client", "vitrine-cli"),
		},
	}
}

// A restriction holds from its commit, whatever is read at the same time.
func TestAttackReadingWhileItIsRestricted(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for round := range 5 {
		c.full(t, c.a1, "q")
		var committed atomic.Bool
		var readers sync.WaitGroup
		stop := make(chan struct{})
		for range 6 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					after := committed.Load()
					a, err := c.try(c.a1, get("Condition?patient=q"))
					if err == nil && after && strings.Contains(string(a.body), secret) {
						t.Error("a read that began after the commit shows what is restricted")
						return
					}
				}
			})
		}
		made := c.post(t, c.appQ, without(optOut("q"), "id")).want(t, http.StatusCreated)
		committed.Store(true)
		for range 20 {
			c.basic(t, c.a1, "q")
		}
		close(stop)
		readers.Wait()
		c.do(t, c.appQ, request{method: http.MethodDelete, path: instance(c, made)}).want(t, http.StatusNoContent)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// A grant is for one patient, person, organisation and client; it lifts nothing
// but the restriction, and nobody but the server makes one.
func TestAttackMoreThanAGrant(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, role("a2", "dr-a", "a", "nurse"))
	c.put(t, role("a3", "dr-c", "a", "doctor"))
	c.put(t, role("ab", "dr-a", "b", "doctor"))
	c.post(t, c.systemA, forgedGrant()).want(t, http.StatusCreated)
	c.basic(t, c.a1, "p")
	launched := c.doctor(t, "a1", "a", "--patient", "Patient/q", "--scope", "patient/*.cruds")
	none := c.breakGlass(t, launched, "none", "OVRER", emergency).want(t, http.StatusNotFound)
	same(t, "beyond the launch", none, c.breakGlass(t, launched, "p", "OVRER", emergency))
	same(t, "unregistered", c.breakGlass(t, c.c1, "none", "OVRER", emergency), c.breakGlass(t, c.c1, "p", "OVRER", emergency))
	for name, token := range map[string]string{"system": c.systemA, "patient": c.appP, "auditor": c.auditor, "custodian": c.root} {
		if a := c.breakGlass(t, token, "p", "OVRER", emergency); a.status == http.StatusCreated {
			t.Errorf("%s breaks the glass", name)
		}
	}
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	c.full(t, c.a1, "p")
	c.basic(t, c.a1, "m")
	for name, token := range map[string]string{
		"another client": c.doctor(t, "a1", "a", "--client", "other"), "another person": c.doctor(t, "a3", "a"),
		"another organisation": c.doctor(t, "ab", "b"),
	} {
		a := c.do(t, token, get("Condition?patient=p")).want(t, http.StatusOK)
		if len(a.ids(t)) != 0 {
			t.Errorf("%s sees %v", name, a.ids(t))
		}
	}
	if a := c.do(t, c.a1, get("Consent?patient=p")).want(t, http.StatusOK); len(a.ids(t)) != 0 {
		t.Errorf("a grant shows %v", a.ids(t))
	}
	for _, kind := range []string{"Task", "Communication", "AuditEvent"} {
		if a := c.do(t, c.a1, get(kind+"?patient=p")); a.status == http.StatusOK && len(a.ids(t)) != 0 && kind != "Task" {
			t.Errorf("a grant shows %v", a.ids(t))
		}
	}
	c.do(t, c.doctor(t, "a1", "a", "--purpose", "INSURANCE"), get("Condition/c-p")).want(t, http.StatusForbidden)
	c.put(t, without(person("p"), "generalPractitioner"))
	c.put(t, with(episode("p", "a"), "status", "finished"))
	c.nothing(t, c.a1, "p")
}

// What goes with a document goes where the document goes.
func TestAttackCompanionsOfWhatMoved(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	letter := object{"resourceType": "DocumentReference", "status": "current", "subject": ref("Patient/q"), "content": []any{object{"attachment": object{"title": "x"}}}}
	document := instance(c, c.post(t, c.systemB, letter).want(t, http.StatusCreated))
	scan := instance(c, c.post(t, c.systemB, object{"resourceType": "Binary", "contentType": "text/plain", "data": "Wnl4d3Z1dA==", "securityContext": ref(document)}).want(t, http.StatusCreated))
	origin := instance(c, c.post(t, c.systemB, object{
		"resourceType": "Provenance", "target": []any{ref(scan)}, "recorded": "2026-01-01T00:00:00Z",
		"agent": []any{object{"who": ref("Organization/b")}},
	}).want(t, http.StatusCreated))
	move := func(o object) {
		t.Helper()
		c.do(t, c.systemB, send(http.MethodPut, document, encode(t, with(o, "id", strings.TrimPrefix(document, "DocumentReference/"))))).want(t, http.StatusOK)
	}
	see := func(what string, status int) {
		t.Helper()
		for _, path := range []string{document, scan, origin} {
			if a := c.do(t, c.a1, get(path)); a.status != status {
				t.Errorf("%s: %s answers %d, want %d", what, path, a.status, status)
			}
		}
	}
	see("of Q", http.StatusOK)
	move(with(letter, "subject", ref("Patient/p")))
	see("of P, who restricts", http.StatusNotFound)
	move(letter)
	see("of Q again", http.StatusOK)
	c.put(t, consent("q", "OPTIN", "permit", with(provision("deny"), "securityLabel", []any{object{"system": actCode, "code": "PSY"}})))
	see("not labelled", http.StatusOK)
	move(with(letter, "meta", object{"security": []any{object{"system": actCode, "code": "PSY"}}}))
	see("labelled, which Q restricts", http.StatusNotFound)
	move(with(letter, "subject", object{"identifier": nricOf(unknownNRIC)[0]}))
	see("of somebody who is not on file", http.StatusNotFound)
	c.put(t, with(person("late"), "identifier", nricOf(unknownNRIC)))
	c.put(t, episode("late", "a"))
	see("of somebody who has come", http.StatusOK)
}

// Whom a patient shuts out is shut out, in whatever form he is named, or the
// Consent is refused.
func TestAttackNamingActorsOtherwise(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	clinic := func(id string) []object {
		return []object{
			ref("Organization/" + id), ref(c.base + "/Organization/" + id), ref("Organization/" + id + "/_history/1"), ref("PractitionerRole/" + id + "1"),
			ref("Practitioner/dr-" + id),
			{"identifier": object{"system": "http://example.org/clinics", "value": id}},
			{"display": "Clinic " + id},
			ref("#x"), ref("urn:uuid:c757873d-ec9a-4326-a141-556f43239520"), ref("https://elsewhere.example/fhir/Organization/" + id),
			ref("Organization?name=" + id), ref("Group/x"), ref("CareTeam/x"), ref("Organization/not-on-file"), ref(" Organization/" + id), ref("organization/" + id),
			{"reference": "Organization/" + id, "identifier": object{"system": "x", "value": "y"}},
			{"reference": "Organization/" + id, "type": "Practitioner"},
		}
	}
	rule := func(kind string, actor object) object {
		return object{"type": kind, "actor": []any{object{"role": concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"), "reference": actor}}}
	}
	for i, actor := range clinic("a") {
		o := consent("q", "OPTIN", "permit", rule("deny", actor))
		if a := c.do(t, c.root, send(http.MethodPut, "Consent/consent-q", encode(t, o))); a.status >= 400 {
			continue
		}
		if a := c.do(t, c.a1, get("Condition?patient=q")); strings.Contains(string(a.body), secret) {
			t.Errorf("deny %d, %v: A1 sees the record", i, actor)
		}
		c.do(t, c.appQ, get("Condition/c-q")).want(t, http.StatusOK)
	}
	for i, actor := range clinic("b") {
		o := consent("q", "OPTOUTE", "deny", rule("permit", actor))
		if a := c.do(t, c.root, send(http.MethodPut, "Consent/consent-q", encode(t, o))); a.status >= 400 {
			continue
		}
		if a := c.do(t, c.a1, get("Condition?patient=q")); strings.Contains(string(a.body), secret) {
			t.Errorf("permit %d, %v: A1 sees the record", i, actor)
		}
	}
	c.put(t, consent("q", "OPTOUTE", "deny", rule("permit", ref("Organization/b"))))
	c.full(t, c.b1, "q")
}

// What is about two patients needs both, however the other is written down.
func TestAttackSecondPatientInOtherWords(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, about := range []string{
		"Patient/m", "Patient/m/_history/1", c.base + "/Patient/m", c.base + "/Patient/m/", c.base + "//Patient/m", c.base + "/Patient/m?x=y",
		c.base + "/Patient/m#x", "HTTP" + c.base[len("http"):] + "/Patient/m", "https://elsewhere.example/Patient/m", "https://elsewhere.example/Patient?identifier=x",
		"Patient?_id=m", "Patient/m#x", "/Patient/m", "Patient/m ", "patient/m", "Patient%2Fm",
	} {
		o := with(observation("q", "odd"), "focus", []any{ref(about)})
		if a := c.do(t, c.root, send(http.MethodPut, "Observation/odd", encode(t, o))); a.status >= 400 {
			continue
		}
		if a := c.do(t, c.a1, get("Observation/odd")); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", about, a.status)
		}
		c.do(t, c.root, request{method: http.MethodDelete, path: "Observation/odd"})
	}
	c.put(t, with(observation("q", "even"), "focus", []any{ref("Patient/q"), ref("https://elsewhere.example/Device/m")}))
	c.do(t, c.a1, get("Observation/even")).want(t, http.StatusOK)
}

// Whoever may not register in an emergency learns nothing by asking for it, and
// whoever may registers for his own organisation alone.
func TestAttackEmergencyOfOnesOwnMaking(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	ask := func(token, patient string) answer {
		return c.do(t, token, send(http.MethodPost, "Patient/"+patient+"/$break-glass", encode(t, object{"resourceType": "Parameters", "parameter": []any{
			object{"name": "reason", "valueCoding": object{"system": actCode, "code": "OVRER"}},
			object{"name": "threat", "valueCode": "life"},
			object{"name": "justification", "valueString": emergency},
			object{"name": "emergency", "valueBoolean": true},
		}})))
	}
	none := ask(c.c1, "none").want(t, http.StatusNotFound)
	for _, patient := range []string{"p", "q"} {
		same(t, patient, none, ask(c.c1, patient))
	}
	ambulance := with(role("er", "dr-c", "c", "doctor"), "code", []any{concept("https://vitrine.example/CodeSystem/nehr-role", "emergency")})
	c.post(t, c.system(t, "c"), without(ambulance, "id")).want(t, http.StatusCreated)
	byPerson := c.token(t, "--kind", "practitioner", "--user", "Practitioner/dr-c", "--org", "Organization/c")
	same(t, "a role of one's own making", none, ask(byPerson, "p"))
	c.nothing(t, c.c1, "p")
	c.nothing(t, byPerson, "q")
	if tasks := c.do(t, c.auditor, get("Task?patient=p")).want(t, http.StatusOK).ids(t); len(tasks) != 0 {
		t.Errorf("grants were made: %v", tasks)
	}
	c.put(t, ambulance)
	er := c.doctor(t, "er", "c")
	same(t, "nobody", none, ask(er, "none"))
	ask(er, "p").want(t, http.StatusCreated)
	c.full(t, er, "p")
	c.put(t, role("colleague", "dr-b", "c", "doctor"))
	c.basic(t, c.doctor(t, "colleague", "c"), "p")
}
