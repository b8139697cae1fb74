package conformance

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The attacks: what somebody tried who wanted to see, or to infer, what is not
// for him. Each is paired with the permit that must go on working.

// nricOf is an identifier that no other patient of the cast has.
func nricOf(value string) []any { return []any{object{"system": nric, "value": value}} }

const unknownNRIC = "T1234567J"

// An organisation says in which role it employs the doctor whom patients name as
// their own; their records must not open to it.
func TestAttackClaimingSomebodysDoctor(t *testing.T) {
	c := newCast(t)
	c.put(t, with(person("g"), "generalPractitioner", []any{ref("Practitioner/dr-a")}))
	c.put(t, condition("g", "c-g"))
	c.nothing(t, c.c1, "g")
	c.post(t, c.system(t, "c"), without(role("", "dr-a", "c", "doctor"), "id")).want(t, http.StatusCreated)
	c.nothing(t, c.c1, "g")
	if got := c.do(t, c.c1, get("Patient?name=Lowe")).ids(t); len(got) != 0 {
		t.Errorf("C1 found %v", got)
	}
	c.put(t, role("visiting", "dr-a", "c", "doctor"))
	c.do(t, c.c1, get("Condition/c-g")).want(t, http.StatusOK)
}

// An organisation makes doctors of its staff.
func TestAttackPromotingOnesStaff(t *testing.T) {
	c := newCast(t)
	c.put(t, object{"resourceType": "Practitioner", "id": "desk", "active": true})
	c.put(t, role("desk-a", "desk", "a", "receptionist"))
	desk := c.token(t, "--kind", "practitioner", "--user", "Practitioner/desk", "--org", "Organization/a")
	c.do(t, desk, get("Condition/c-q")).want(t, http.StatusForbidden)
	made := c.post(t, c.systemA, without(role("", "desk", "a", "doctor"), "id")).want(t, http.StatusCreated)
	c.do(t, desk, get("Condition/c-q")).want(t, http.StatusForbidden)
	named := c.doctor(t, instance(c, made)[len("PractitionerRole/"):], "a")
	c.do(t, named, get("Condition/c-q")).want(t, http.StatusForbidden)
	c.put(t, role("desk-b", "desk", "a", "doctor"))
	c.do(t, desk, get("Condition/c-q")).want(t, http.StatusOK)
}

// instance is "Type/id" of what was created.
func instance(c *cast, a answer) string {
	location := strings.TrimPrefix(a.header.Get("Location"), c.base+"/")
	id, _, _ := strings.Cut(location, "/_history")
	return id
}

// What one organisation sent about a patient who is not on file yet must not
// fall to another that makes up a Patient of that identifier.
func TestAttackMadeUpPatientDrawsWhatWaits(t *testing.T) {
	c := newCast(t)
	subject := object{"identifier": nricOf(unknownNRIC)[0]}
	waiting := instance(c, c.post(t, c.systemB, with(without(condition("", ""), "id"), "subject", subject)).want(t, http.StatusCreated))
	fake := with(without(person("fake"), "id"), "identifier", nricOf(unknownNRIC))
	c.post(t, c.system(t, "c"), with(fake, "generalPractitioner", []any{ref("Organization/c")})).want(t, http.StatusCreated)
	later := instance(c, c.post(t, c.systemB, with(without(condition("", ""), "id"), "subject", subject)).want(t, http.StatusCreated))
	if got := c.do(t, c.c1, get("Patient?name=Lowe")).ids(t); len(got) != 1 {
		t.Fatalf("C1 found %v, want what its own system made up", got)
	}
	for _, id := range []string{waiting, later} {
		same(t, id, c.do(t, c.c1, get("Condition/none")), c.do(t, c.c1, get(id)))
	}
	c.put(t, with(person("true"), "identifier", nricOf(unknownNRIC)))
	c.put(t, episode("true", "a"))
	for _, id := range []string{waiting, later} {
		c.do(t, c.a1, get(id)).want(t, http.StatusOK)
	}
}

// A condition that matches must not give back what is on file: to write is no
// right to read.
func TestAttackReadingByConditionalCreate(t *testing.T) {
	c := newCast(t)
	c.post(t, c.systemA, identified(condition("p", ""), "mine")).want(t, http.StatusCreated)
	harmless := encode(t, with(identified(condition("p", ""), "mine"), "code", object{"text": "harmless"}))
	ask := send(http.MethodPost, "Condition", harmless).with("If-None-Exist", mine+"mine").with("Prefer", "return=representation")
	for _, token := range []string{c.systemA, c.a1} {
		c.do(t, token, ask).want(t, http.StatusOK).hides(t, secret)
		entry := object{"resource": decode(t, harmless), "request": object{"method": "POST", "url": "Condition", "ifNoneExist": mine + "mine"}}
		for _, kind := range []string{"transaction", "batch"} {
			bundle := object{"resourceType": "Bundle", "type": kind, "entry": []any{entry}}
			c.do(t, token, send(http.MethodPost, "", encode(t, bundle)).with("Prefer", "return=representation")).want(t, http.StatusOK).hides(t, secret)
		}
	}
	own := identified(condition("p", ""), "fresh")
	c.do(t, c.systemA, send(http.MethodPost, "Condition", encode(t, own)).with("Prefer", "return=representation")).want(t, http.StatusCreated)
}

// What the server linked inside itself is no criterion of the contributor's own
// conditions: it would tell who is on file, and under which id.
func TestAttackConditionsAskWhoIsOnFile(t *testing.T) {
	c := newCast(t)
	const known = "S9876543C"
	c.put(t, with(person("known"), "identifier", nricOf(known)))
	systemC := c.system(t, "c")
	statuses := map[string][]int{}
	for _, value := range []string{known, unknownNRIC} {
		o := with(without(condition("", ""), "id"), "subject", object{"identifier": object{"system": nric, "value": value}})
		o = identified(o, "probe-"+value)
		c.post(t, systemC, o).want(t, http.StatusCreated)
		for _, criterion := range []string{"patient=known", "subject=Patient/known", "patient:Patient=known"} {
			cond := mine + "probe-" + value + "&" + criterion
			entry := object{"resource": object{
				"resourceType": "Observation", "status": "final", "code": object{"text": "x"},
				"subject": ref("Patient/known"), "hasMember": []any{ref("Condition?" + cond)},
			}, "request": object{"method": "POST", "url": "Observation"}}
			for _, r := range []request{
				send(http.MethodPost, "", encode(t, object{"resourceType": "Bundle", "type": "transaction", "entry": []any{entry}})),
				send(http.MethodPut, "Condition?"+cond, encode(t, o)),
				{method: http.MethodDelete, path: "Condition?" + cond},
				send(http.MethodPost, "Condition", encode(t, o)).with("If-None-Exist", cond),
			} {
				statuses[value] = append(statuses[value], c.do(t, systemC, r).status)
			}
		}
	}
	if !slices.Equal(statuses[known], statuses[unknownNRIC]) {
		t.Errorf("the answers tell who is on file: %v for one who is, %v for one who is not", statuses[known], statuses[unknownNRIC])
	}
	o := identified(with(condition("", ""), "subject", object{"identifier": object{"system": nric, "value": known}}), "own")
	c.post(t, systemC, o).want(t, http.StatusCreated)
	for _, criterion := range []string{"", "&patient:identifier=" + nric + "%7C" + known} {
		c.do(t, systemC, send(http.MethodPost, "Condition", encode(t, o)).with("If-None-Exist", mine+"own"+criterion)).want(t, http.StatusOK)
	}
}

// A restriction holds from its commit, also when it names somebody else who is
// not known, so that it has no home.
func TestAttackRestrictionWithoutAHome(t *testing.T) {
	c := newCast(t)
	c.full(t, c.a1, "q")
	c.put(t, with(optOut("q"), "performer", []any{ref("https://elsewhere.example/fhir/Patient/9")}))
	c.basic(t, c.a1, "q")
	c.do(t, c.root, request{method: http.MethodDelete, path: "Consent/consent-q"})
	c.full(t, c.a1, "q")
}

// A Consent may say whose it is in every form a Reference has.
func TestAttackConsentNamesItsPatientOtherwise(t *testing.T) {
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

// A compartment that never holds the type is no failure of the server.
func TestAttackCompartmentThatNeverHolds(t *testing.T) {
	c := newCast(t)
	for _, path := range []string{"Patient/q/Organization", "Patient/p/Binary", "Encounter/none/Consent"} {
		a := c.do(t, c.a1, get(path))
		if a.status >= http.StatusInternalServerError {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	c.do(t, c.a1, get("Patient/q/Condition")).want(t, http.StatusOK)
}

// A Consent that does not say whose it is would restrict nothing.
func TestAttackConsentOfNobody(t *testing.T) {
	c := newCast(t)
	o := with(without(without(optOut("q"), "id"), "patient"), "performer", []any{ref("Patient/q")})
	if a := c.post(t, c.appQ, o); a.status == http.StatusCreated {
		t.Errorf("taken, and restricts nothing: %s", a.body)
	}
	c.post(t, c.appQ, without(optOut("q"), "id")).want(t, http.StatusCreated)
	c.basic(t, c.a1, "q")
}

// Versions of what has changed hands stay with whom they were about.
func TestAttackVersionsOfWhatChangedHands(t *testing.T) {
	c := newCast(t)
	made := instance(c, c.post(t, c.systemB, without(observation("p", ""), "id")).want(t, http.StatusCreated))
	id := strings.TrimPrefix(made, "Observation/")
	harmless := with(observation("q", id), "valueQuantity", object{"value": 1})
	c.do(t, c.systemB, send(http.MethodPut, made, encode(t, harmless))).want(t, http.StatusOK)
	c.do(t, c.a1, get(made)).want(t, http.StatusOK).hides(t, secret)
	same(t, "the version about P", c.do(t, c.a1, get(made+"/_history/7")), c.do(t, c.a1, get(made+"/_history/1")))
	if got := list(decode(t, c.do(t, c.a1, get(made+"/_history")).want(t, http.StatusOK).hides(t, secret).body), "entry"); len(got) != 1 {
		t.Errorf("want the one version about Q, got %d", len(got))
	}
	back := c.do(t, c.systemB, send(http.MethodPut, made, encode(t, observation("p", id)))).want(t, http.StatusOK)
	_ = back
	none := c.do(t, c.a1, get("Observation/none"))
	for _, tail := range []string{"", "/_history/1", "/_history/2", "/_history/3"} {
		same(t, tail, none, c.do(t, c.a1, get(made+tail)))
	}
}

// What was worked out once must not outlive what it was worked out from.
func TestAttackStaleDirectory(t *testing.T) {
	c := newCast(t)
	c.nothing(t, c.c1, "q")
	c.put(t, organization("c", "a"))
	c.full(t, c.c1, "q")
	c.basic(t, c.c1, "p")
	c.full(t, c.c1, "r")
	c.put(t, with(organization("a", ""), "active", false))
	c.nothing(t, c.c1, "q")
	c.do(t, c.a1, get("Condition/c-q")).want(t, http.StatusForbidden)
	c.put(t, organization("a", ""))
	c.full(t, c.c1, "q")
	c.put(t, organization("c", ""))
	c.nothing(t, c.c1, "q")
	c.full(t, c.a1, "q")
	ended := with(role("a1", "dr-a", "a", "doctor"), "period", object{"end": "2020-01-01"})
	c.put(t, ended)
	c.do(t, c.a1, get("Condition/c-q")).want(t, http.StatusForbidden)
	c.put(t, role("a1", "dr-a", "a", "doctor"))
	c.full(t, c.a1, "q")
	c.put(t, object{"resourceType": "Practitioner", "id": "dr-a", "active": false})
	c.do(t, c.a1, get("Condition/c-q")).want(t, http.StatusForbidden)
	c.put(t, object{"resourceType": "Practitioner", "id": "dr-a", "active": true})
	c.full(t, c.a1, "q")
}

// Registrations and the patient itself end and come back.
func TestAttackStaleRegistration(t *testing.T) {
	c := newCast(t)
	c.put(t, without(person("q"), "generalPractitioner"))
	c.full(t, c.a1, "q")
	c.put(t, with(episode("q", "a"), "status", "finished"))
	c.nothing(t, c.a1, "q")
	c.put(t, person("q"))
	c.full(t, c.a1, "q")
	c.put(t, without(person("q"), "generalPractitioner"))
	c.nothing(t, c.a1, "q")
	c.put(t, with(episode("q", "a"), "patient", ref("Patient/b")))
	c.nothing(t, c.a1, "q")
	c.put(t, episode("q", "a"))
	c.full(t, c.a1, "q")
	c.do(t, c.root, request{method: http.MethodDelete, path: "Patient/q"})
	c.nothing(t, c.a1, "q")
	c.put(t, person("q"))
	c.full(t, c.a1, "q")
	c.do(t, c.root, request{method: http.MethodDelete, path: "Consent/consent-p"})
	c.full(t, c.a1, "p")
	c.put(t, optOut("p"))
	c.basic(t, c.a1, "p")
	c.put(t, with(person("q"), "link", []any{object{"other": ref("Patient/p"), "type": "seealso"}}))
	c.basic(t, c.a1, "q")
	c.put(t, with(optOut("p"), "status", "inactive"))
	c.full(t, c.a1, "q")
}

// A patient asks the record of access what its plain form leaves out.
func TestAttackProbingOnesOwnRecordOfAccess(t *testing.T) {
	c := newCast(t)
	c.do(t, c.a1, get("Condition?patient=q&code=74400008").with("X-Request-Id", "probe-me")).want(t, http.StatusOK)
	all := c.do(t, c.appQ, get("AuditEvent?patient=q&_count=1000")).want(t, http.StatusOK).hides(t, "Practitioner", "jti", "74400008", "probe-me", "Condition")
	if len(all.ids(t)) == 0 {
		t.Fatal("no history")
	}
	for _, query := range []string{
		"agent=PractitionerRole/a1", "agent=Practitioner/dr-a", "altid=Practitioner/dr-a", "address=127.0.0.1", "entity=Condition/c-q",
		"agent:identifier=vitrine-cli", "entity:identifier=probe-me", "agent-name=a", "outcome-desc=no", "source=vitrine",
	} {
		code, _, _ := strings.Cut(query, "=")
		a := c.do(t, c.appQ, get("AuditEvent?patient=q&"+query))
		if a.status == http.StatusOK && len(a.ids(t)) != 0 {
			t.Errorf("%s finds %d events", code, len(a.ids(t)))
		}
	}
	if got := c.do(t, c.auditor, get("AuditEvent?patient=q&agent=PractitionerRole/a1")).want(t, http.StatusOK).ids(t); len(got) == 0 {
		t.Error("the auditor finds no event by agent")
	}
	if got := c.do(t, c.appQ, get("AuditEvent?patient=p")).want(t, http.StatusOK).ids(t); len(got) != 0 {
		t.Errorf("Q sees %v of P", got)
	}
}

// HEAD, conditional reads and a wrong method say of the hidden what they say of
// the absent.
func TestAttackAskingSideways(t *testing.T) {
	c := newCast(t)
	for _, method := range []string{http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodOptions, http.MethodTrace} {
		for _, kind := range []string{"Observation/o-p", "Consent/consent-p"} {
			name, _, _ := strings.Cut(kind, "/")
			same(t, method, c.do(t, c.a1, send(method, name+"/none", []byte("{}"))), c.do(t, c.a1, send(method, kind, []byte("{}"))))
		}
	}
	for name, value := range map[string]string{"If-None-Match": "*", "If-Modified-Since": "Mon, 01 Jan 2035 00:00:00 GMT", "Range": "bytes=0-3", "X-HTTP-Method-Override": "DELETE"} {
		same(t, name, c.do(t, c.a1, get("Observation/none").with(name, value)), c.do(t, c.a1, get("Observation/o-p").with(name, value)))
	}
	c.do(t, c.a1, get("Observation/o-q").with("If-None-Match", "*")).want(t, http.StatusNotModified)
}

// A condition without a criterion is none: it would match whatever there is.
func TestAttackConditionWithoutACriterion(t *testing.T) {
	c := newCast(t)
	c.post(t, c.systemA, identified(condition("q", ""), "only")).want(t, http.StatusCreated)
	for _, query := range []string{"_count=1", "_sort=code", "_total=none", "_summary=count", ""} {
		if a := c.do(t, c.systemA, request{method: http.MethodDelete, path: "Condition?" + query}); a.status < 400 {
			t.Errorf("DELETE Condition?%s: %d", query, a.status)
		}
		o := encode(t, identified(condition("q", ""), "other"))
		if a := c.do(t, c.systemA, send(http.MethodPut, "Condition?"+query, o)); a.status < 400 {
			t.Errorf("PUT Condition?%s: %d", query, a.status)
		}
	}
	c.do(t, c.systemA, request{method: http.MethodDelete, path: "Condition?" + mine + "only"}).want(t, http.StatusNoContent)
}

// Each entry of a Bundle is a request of its own.
func TestAttackEntriesPassEveryGate(t *testing.T) {
	c := newCast(t)
	entry := func(method, url string, resource any) object {
		e := object{"request": object{"method": method, "url": url}}
		if resource != nil {
			e["resource"] = resource
		}
		return e
	}
	bundle := func(kind string, entries ...any) request {
		return send(http.MethodPost, "", encode(t, object{"resourceType": "Bundle", "type": kind, "entry": entries}))
	}
	narrow := c.doctor(t, "a1", "a", "--scope", "user/Observation.cruds")
	insurer := c.doctor(t, "a1", "a", "--purpose", "INSURANCE")
	registration := entry("POST", "EpisodeOfCare", without(episode("q", "c"), "id"))
	for _, kind := range []string{"batch", "transaction"} {
		for name, row := range map[string]struct {
			token string
			r     request
		}{
			"a system reads":               {c.systemA, bundle(kind, entry("GET", "Condition/c-q", nil))},
			"a system searches":            {c.systemA, bundle(kind, entry("GET", "Condition?patient=q", nil))},
			"beyond the scope":             {narrow, bundle(kind, entry("GET", "Condition/c-q", nil))},
			"an excluded purpose":          {insurer, bundle(kind, entry("GET", "Condition/c-q", nil))},
			"a provider writes a Consent":  {c.a1, bundle(kind, entry("PUT", "Consent/consent-p", with(optOut("p"), "status", "inactive")))},
			"a provider reads a Consent":   {c.a1, bundle(kind, entry("GET", "Consent/consent-p", nil))},
			"hidden":                       {c.a1, bundle(kind, entry("GET", "Condition/c-p", nil))},
			"hidden, searched":             {c.a1, bundle(kind, entry("GET", "Condition?patient=p", nil))},
			"hidden versions":              {c.a1, bundle(kind, entry("GET", "Condition/c-p/_history/1", nil))},
			"an event":                     {c.a1, bundle(kind, entry("GET", "AuditEvent?patient=q", nil))},
			"everything":                   {c.a1, bundle(kind, entry("GET", "Patient/p/$everything", nil))},
			"another's":                    {c.appP, bundle(kind, entry("GET", "Condition?patient=q", nil))},
			"a bundle in a bundle":         {c.a1, bundle(kind, entry("POST", "", object{"resourceType": "Bundle", "type": "batch"}))},
			"elsewhere":                    {c.a1, bundle(kind, entry("GET", "http://elsewhere.example/fhir/Condition/c-p", nil))},
			"the oversight label":          {c.a1, bundle(kind, entry("POST", "Task", object{"resourceType": "Task", "status": "requested", "intent": "order", "for": ref("Patient/p"), "meta": object{"security": []any{object{"system": "https://vitrine.example/CodeSystem/label", "code": "oversight"}}}}))},
			"registered with another's":    {c.a1, bundle(kind, entry("POST", "EpisodeOfCare", without(episode("p", "b"), "id")), entry("GET", "Condition?patient=p", nil))},
			"a grant of one's own making":  {c.a1, bundle(kind, entry("POST", "Task", without(forgedGrant(), "id")), entry("GET", "Condition?patient=p", nil))},
			"an organisation of one's own": {c.a1, bundle(kind, entry("PUT", "Organization/a", organization("a", "b")), entry("GET", "Condition?patient=p", nil))},
		} {
			c.do(t, row.token, row.r).hides(t, secret)
			if t.Failed() {
				t.Fatalf("%s: %s", kind, name)
			}
		}
		a := c.do(t, c.c1, bundle(kind, registration, entry("GET", "Condition?patient=q", nil)))
		if !strings.Contains(string(a.body), secret) {
			t.Errorf("%s: who registers a patient reads: %d %s", kind, a.status, a.body)
		}
	}
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

// Whoever probes by transactions is on record like who probes by reads.
func TestAttackProbingByTransactions(t *testing.T) {
	c := newCast(t)
	body := func(url string) []byte {
		return encode(t, object{"resourceType": "Bundle", "type": "transaction", "entry": []any{object{"request": object{"method": "GET", "url": url}}}})
	}
	none := c.do(t, c.a1, send(http.MethodPost, "", body("Condition/none"))).want(t, http.StatusNotFound)
	same(t, "hidden", none, c.do(t, c.a1, send(http.MethodPost, "", body("Condition/c-p")).with("X-Request-Id", "probe-p")))
	found := false
	for _, e := range c.events(t, "patient=p&outcome=4") {
		found = found || strings.Contains(string(encode(t, e)), "probe-p")
	}
	if !found {
		t.Error("P's record of access does not tell of the attempt")
	}
	c.do(t, c.a1, send(http.MethodPost, "", body("Condition/c-q"))).want(t, http.StatusOK)
}

// A restriction holds from its commit, whatever is read at the same time.
func TestAttackReadingWhileItIsRestricted(t *testing.T) {
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
	c := newCast(t)
	c.put(t, role("a2", "dr-a", "a", "nurse"))
	c.put(t, role("a3", "dr-c", "a", "doctor"))
	c.put(t, role("ab", "dr-a", "b", "doctor"))
	forged := c.post(t, c.systemA, forgedGrant())
	c.basic(t, c.a1, "p")
	_ = forged
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

// Hostile bodies, addresses and headers are refused, and never by a failure.
func TestAttackHostileInput(t *testing.T) {
	c := newCast(t)
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	bodies := []string{
		"", "{", "[]", "null", `"x"`, "\xff\xfe", "\x00", deep, `{"resourceType":"Observation"`, `{"resourceType":1}`,
		`{"resourceType":"Observation","resourceType":"Consent"}`, `{"resourceType":"Observation","subject":[[[]]]}`,
		`{"resourceType":"Observation","contained":{"a":1}}`, `{"resourceType":"Observation","meta":[]}`, `{"resourceType":"Observation","meta":{"security":{}}}`,
		`{"resourceType":"Observation","identifier":[null,1,{"value":{}}],"subject":{"reference":{}}}`,
		`{"resourceType":"Observation","valueQuantity":{"value":1e999999999}}`, `{"resourceType":"Observation","id":"` + strings.Repeat("a", 1<<16) + `"}`,
		`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"?"}}]}`,
		`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p?x=y"}},{}]}`,
		`{"resourceType":"Bundle","type":"batch","entry":[null,1,{"request":{"method":"GET","url":"Patient/%70/../q"}}]}`,
		`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"/","request":{"method":"POST","url":"Patient"},"resource":{"resourceType":"Patient"}}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"reason","valueCoding":[]}]}`, `{"resourceType":"Parameters","parameter":{}}`,
	}
	for _, path := range []string{"", "Observation", "Observation/o-q", "Consent", "Patient/p/$break-glass", "Patient/q/$break-glass-stop", "Observation?identifier=x", "Bundle", "Parameters"} {
		for i, body := range bodies {
			for _, method := range []string{http.MethodPost, http.MethodPut} {
				for _, token := range []string{c.a1, c.root, c.appQ} {
					a := c.do(t, token, send(method, path, []byte(body))).hides(t, secret)
					if a.status >= http.StatusInternalServerError {
						t.Errorf("%s %s, body %d: %d %s", method, path, i, a.status, a.body)
					}
				}
			}
		}
	}
	c.full(t, c.a1, "q")
}

// What goes with a document goes where the document goes.
func TestAttackCompanionsOfWhatMoved(t *testing.T) {
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

// Lists of people say who is on them; to subscribe is to read what is to come.
func TestAttackListsAndSubscriptions(t *testing.T) {
	c := newCast(t)
	c.put(t, object{"resourceType": "Group", "id": "cohort", "type": "person", "actual": true, "member": []any{object{"entity": ref("Patient/q")}}})
	c.put(t, object{"resourceType": "List", "id": "both", "status": "current", "mode": "working", "entry": []any{object{"item": ref("Patient/q")}, object{"item": ref("Patient/p")}}})
	c.put(t, object{"resourceType": "List", "id": "one", "status": "current", "mode": "working", "subject": ref("Patient/q"), "entry": []any{object{"item": ref("Condition/c-q")}}})
	same(t, "Group", c.do(t, c.a1, get("Group/none")), c.do(t, c.a1, get("Group/cohort")))
	same(t, "List", c.do(t, c.a1, get("List/none")), c.do(t, c.a1, get("List/both")))
	for _, path := range []string{"Group?member=Patient/q", "Patient/q/Group", "List?item=Patient/p", "Patient/q/$everything?_type=Group"} {
		for _, r := range c.do(t, c.a1, get(path)).want(t, http.StatusOK).ids(t) {
			t.Errorf("%s finds %s", path, r)
		}
	}
	c.do(t, c.a1, get("List/one")).want(t, http.StatusOK)
	ask := object{
		"resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": "Condition?patient=p",
		"channel": object{"type": "rest-hook", "endpoint": "http://127.0.0.1:1/"},
	}
	for _, token := range []string{c.a1, c.systemA, c.appP} {
		c.post(t, token, ask).want(t, http.StatusForbidden)
	}
}

// Whom a patient shuts out is shut out, in whatever form he is named, or the
// Consent is refused.
func TestAttackNamingActorsOtherwise(t *testing.T) {
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

// The full form of an event is the auditor's, under whatever address.
func TestAttackFullFormOfAnEvent(t *testing.T) {
	c := newCast(t)
	c.do(t, c.a1, get("Condition?patient=q&code=74400008")).want(t, http.StatusOK)
	ids := c.do(t, c.appQ, get("AuditEvent?patient=q&subtype=search-type")).want(t, http.StatusOK).ids(t)
	if len(ids) == 0 {
		t.Fatal("no event")
	}
	for _, tail := range []string{"", "/_history", "/_history/1", "/_history/b1"} {
		a := c.do(t, c.appQ, get(ids[0]+tail)).hides(t, "PractitionerRole/a1", "entity.query", `"query"`)
		if tail == "/_history/1" && a.status != http.StatusNotFound {
			t.Errorf("%s: %d", tail, a.status)
		}
		same(t, tail, c.do(t, c.appP, get("AuditEvent/none"+tail)), c.do(t, c.appP, get(ids[0]+tail)))
	}
	for _, path := range []string{"Patient/q/$everything?_count=1000", "Patient/q/AuditEvent", "AuditEvent?entity=Patient/q"} {
		c.do(t, c.appQ, get(path)).hides(t, "PractitionerRole/a1", `"query"`)
	}
	if a := c.do(t, c.auditor, get(ids[0])).want(t, http.StatusOK); !strings.Contains(string(a.body), `"query"`) {
		t.Errorf("the auditor's form lacks the query: %s", a.body)
	}
}

// The record lies in files that are their owner's alone, however the directory
// around them was made.
func TestAttackReadingTheFiles(t *testing.T) {
	data := t.TempDir() + "/data"
	if err := os.Mkdir(data, 0o755); err != nil { //nolint:gosec // as an operator would
		t.Fatal(err)
	}
	s := start(t, data)
	outside := t.TempDir() + "/copies"
	if err := os.Mkdir(outside, 0o755); err != nil { //nolint:gosec // as an operator would
		t.Fatal(err)
	}
	runProgram(t, "backup", "--data", data, "--out", outside+"/one")
	s.stop(t)
	runProgram(t, "backup", "--data", data, "--out", outside+"/two")
	for _, dir := range []string{data + "/store", outside + "/one", outside + "/two"} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", filepath.Base(dir), info.Mode())
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 2 {
		t.Errorf("%v %v, want the two backups", left, err)
	}
	runProgram(t, "restore", "--from", outside+"/one", "--data", data+"-restored")
	start(t, data+"-restored")
}

// What is about two patients needs both, however the other is written down.
func TestAttackSecondPatientInOtherWords(t *testing.T) {
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

// A token that a client puts where it does not belong is not kept.
func TestAttackTokensInTheRecord(t *testing.T) {
	c := newCast(t)
	lenient := get("Condition?patient=q&access_token="+c.a1+"&code=x").with("Prefer", "handling=lenient").with("X-Request-Id", "token-in-the-line")
	c.do(t, c.a1, lenient).want(t, http.StatusOK).hides(t, c.a1)
	form := request{
		method: http.MethodPost, path: "Condition/_search", body: []byte("patient=q&access_token=" + c.a1),
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Prefer": "handling=lenient"},
	}
	c.do(t, c.a1, form).want(t, http.StatusOK).hides(t, c.a1)
	kept := 0
	for _, e := range c.events(t, "patient=q&agent=PractitionerRole/a1") {
		for _, entity := range list(e, "entity") {
			line, err := base64.StdEncoding.DecodeString(text(entity, "query"))
			if err != nil || strings.Contains(string(line), c.a1) {
				t.Errorf("the record keeps %q, %v", line, err)
			}
			if strings.Contains(string(line), "patient=q") {
				kept++
			}
		}
	}
	if kept != 2 || strings.Contains(c.log.String(), c.a1) {
		t.Errorf("%d lines, want 2", kept)
	}
}
