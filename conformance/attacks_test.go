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
	t.Parallel()
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
	t.Parallel()
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

// An organisation gives roles at others, to those whom nobody knows, or a part in
// emergencies.
func TestAttackStaffOfOthers(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	as := func(by, org string, made object) string {
		t.Helper()
		id := instance(c, c.post(t, by, without(made, "id")).want(t, http.StatusCreated))
		return c.doctor(t, id[len("PractitionerRole/"):], org)
	}
	elsewhere := as(c.system(t, "c"), "a", role("", "dr-c", "a", "doctor"))
	c.do(t, elsewhere, get("Condition/c-q")).want(t, http.StatusForbidden).hides(t, secret)
	stranger := instance(c, c.post(t, c.systemA, object{"resourceType": "Practitioner", "active": true}).want(t, http.StatusCreated))
	unknown := as(c.systemA, "a", role("", stranger[len("Practitioner/"):], "a", "doctor"))
	c.do(t, unknown, get("Condition/c-q")).want(t, http.StatusForbidden).hides(t, secret)
	crew := with(role("", "dr-c", "a", ""), "code", []any{concept("https://vitrine.example/CodeSystem/nehr-role", "emergency")})
	c.do(t, as(c.systemA, "a", crew), get("Condition/c-q")).want(t, http.StatusForbidden).hides(t, secret)
	c.do(t, as(c.systemA, "a", role("", "dr-c", "a", "nurse")), get("Condition/c-q")).want(t, http.StatusOK)
	c.post(t, c.a1, without(role("", "dr-a", "a", "doctor"), "id")).want(t, http.StatusUnprocessableEntity)
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// Versions of what has changed hands stay with whom they were about.
func TestAttackVersionsOfWhatChangedHands(t *testing.T) {
	t.Parallel()
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
	c.do(t, c.systemB, send(http.MethodPut, made, encode(t, observation("p", id)))).want(t, http.StatusOK)
	none := c.do(t, c.a1, get("Observation/none"))
	for _, tail := range []string{"", "/_history/1", "/_history/2", "/_history/3"} {
		same(t, tail, none, c.do(t, c.a1, get(made+tail)))
	}
}

// What was worked out once must not outlive what it was worked out from.
func TestAttackStaleDirectory(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// A condition without a criterion is none: it would match whatever there is.
func TestAttackConditionWithoutACriterion(t *testing.T) {
	t.Parallel()
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
