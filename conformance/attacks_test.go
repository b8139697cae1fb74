package conformance

import (
	"net/http"
	"slices"
	"strings"
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
