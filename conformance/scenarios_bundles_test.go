package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// asked is an entry of a Bundle.
func asked(method, url string, resource object) object {
	e := object{"request": object{"method": method, "url": url}}
	if resource != nil {
		e["resource"] = resource
	}
	return e
}

// bundle posts a Bundle.
func (c *cast) bundle(t *testing.T, token, kind string, entries ...object) answer {
	t.Helper()
	all := []any{}
	for _, e := range entries {
		all = append(all, e)
	}
	return c.do(t, token, send(http.MethodPost, "", encode(t, object{"resourceType": "Bundle", "type": kind, "entry": all})))
}

func TestScenario75TransactionIsNoOracle(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, with(identified(observation("p", ""), "hidden"), "id", "h-p"))
	c.post(t, c.systemB, identified(observation("p", ""), "theirs")).want(t, http.StatusCreated)
	mineAlone := c.post(t, c.systemA, identified(observation("p", ""), "ours")).want(t, http.StatusCreated)
	refers := func(value string) object {
		o := without(observation("q", ""), "id")
		o["hasMember"] = []any{ref("Observation?" + mine + value)}
		return asked(http.MethodPost, "Observation", o)
	}
	good := asked(http.MethodPost, "Observation", without(observation("q", ""), "id"))
	before := len(c.do(t, c.root, get("Observation?patient=q")).want(t, http.StatusOK).ids(t))
	for name, token := range map[string]string{"the doctor": c.a1, "the system": c.systemA} {
		absent := c.bundle(t, token, "transaction", good, refers("nobody")).want(t, http.StatusPreconditionFailed).hides(t, secret)
		for _, value := range []string{"hidden", "theirs"} {
			same(t, name+" refers to "+value, absent, c.bundle(t, token, "transaction", good, refers(value)).hides(t, secret))
		}
	}
	absent := c.bundle(t, c.a1, "transaction", good, asked(http.MethodGet, "Observation/none", nil)).want(t, http.StatusNotFound)
	for _, path := range []string{"Observation/o-p", "Condition/c-p"} {
		hidden := c.bundle(t, c.a1, "transaction", good, asked(http.MethodGet, path, nil)).hides(t, secret)
		same(t, path, absent, hidden)
	}
	if got := text(decode(t, absent.body), "issue", 0, "expression", 0); got != "Bundle.entry[1]" {
		t.Errorf("the failure is about %q", got)
	}
	if after := len(c.do(t, c.root, get("Observation?patient=q")).want(t, http.StatusOK).ids(t)); after != before {
		t.Errorf("%d observations of Q, want %d: a transaction that failed kept something", after, before)
	}
	// What is the caller's own resolves, and what it may see is read.
	made := c.bundle(t, c.systemA, "transaction", good, refers("ours")).want(t, http.StatusOK)
	second := text(decode(t, made.body), "entry", 1, "response", "location")
	own := instance(c, mineAlone)
	if member := text(decode(t, c.do(t, c.root, get(strings.TrimPrefix(second, c.base+"/"))).body), "hasMember", 0, "reference"); member != own {
		t.Errorf("refers to %q, want %q", member, own)
	}
	c.bundle(t, c.a1, "transaction", good, asked(http.MethodGet, "Observation/o-q", nil)).want(t, http.StatusOK)
}

func TestScenario76ReferenceToTheHidden(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	visit := object{
		"resourceType": "Encounter", "id": "e9", "status": "planned", "class": object{"system": actCode, "code": "AMB"}, "subject": ref("Patient/p"),
		"reasonCode": []any{object{"text": secret}},
	}
	c.put(t, visit)
	c.put(t, with(with(visit, "id", "e8"), "subject", ref("Patient/q")))
	post := func(token, encounter string) answer {
		t.Helper()
		return c.do(t, token, send(http.MethodPost, "Observation", encode(t, with(without(observation("q", ""), "id"), "encounter", ref("Encounter/"+encounter)))).
			with("Prefer", "return=minimal")).want(t, http.StatusCreated).hides(t, secret)
	}
	w := pair{since: instantLongAgo}
	for name, token := range map[string]string{"A1": c.a1, "system A": c.systemA} {
		absent := w.fresh(post(token, "none"))
		for _, id := range []string{"e9", "e8"} {
			if got := w.fresh(post(token, id)); got != absent {
				t.Errorf("%s: Encounter/%s and one that is absent differ:\n%s\n%s", name, id, got, absent)
			}
		}
	}
	c.do(t, c.a1, get("Encounter/e9")).want(t, http.StatusNotFound).hides(t, secret)
	c.do(t, c.a1, get("Encounter/e8")).want(t, http.StatusOK)
}

func TestScenario77IdentifierOfAnother(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	theirs := c.post(t, c.systemB, identified(observation("p", ""), "shared")).want(t, http.StatusCreated)
	w := pair{since: instantLongAgo}
	post := func(value string) answer {
		t.Helper()
		return c.do(t, c.systemA, send(http.MethodPost, "Observation", encode(t, identified(observation("p", ""), value))).
			with("Prefer", "return=minimal")).want(t, http.StatusCreated)
	}
	used, unused := post("shared"), post("unused")
	if w.fresh(used) != w.fresh(unused) {
		t.Errorf("the answers differ:\n%s\n%s", w.fresh(used), w.fresh(unused))
	}
	if instance(c, used) == instance(c, theirs) {
		t.Error("the contribution of another was taken over")
	}
	if got := len(c.do(t, c.root, get("Observation?"+mine+"shared")).want(t, http.StatusOK).ids(t)); got != 2 {
		t.Errorf("%d observations with the identifier, want two", got)
	}
}

func TestScenario79UnknownPatient(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, with(person("p"), "identifier", []any{object{"system": nric, "value": "S7654321F"}}))
	w := pair{since: instantLongAgo}
	post := func(token, value string) answer {
		t.Helper()
		subject := object{"identifier": object{"system": nric, "value": value}}
		return c.do(t, token, send(http.MethodPost, "Observation", encode(t, with(without(observation("q", ""), "id"), "subject", subject))).
			with("Prefer", "return=minimal")).want(t, http.StatusCreated).hides(t, "Patient/p", secret)
	}
	for name, token := range map[string]string{"A1": c.a1, "system A": c.systemA} {
		known, unknown := post(token, "S7654321F"), post(token, "T1234567J")
		if w.fresh(known) != w.fresh(unknown) {
			t.Errorf("%s: the answers differ:\n%s\n%s", name, w.fresh(known), w.fresh(unknown))
		}
		c.do(t, c.appP, get(instance(c, known))).want(t, http.StatusOK) // it was linked
		c.do(t, c.appP, get(instance(c, unknown))).want(t, http.StatusNotFound)
	}
}

func TestScenario82MotherAndBaby(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, with(observation("b", "delivery"), "focus", []any{ref("Patient/m")}))
	c.put(t, with(observation("b", "growth"), "focus", []any{ref("Patient/b")}))
	same(t, "the delivery", c.do(t, c.a1, get("Observation/none")), c.do(t, c.a1, get("Observation/delivery")))
	for _, q := range []string{"Observation?patient=b", "Observation?focus=Patient/m", "Patient/b/$everything", "Observation?_id=delivery"} {
		if got := c.do(t, c.a1, get(q)).want(t, http.StatusOK).ids(t); slices.Contains(got, "Observation/delivery") {
			t.Errorf("%s shows the delivery: %v", q, got)
		}
	}
	c.do(t, c.a1, get("Observation/growth")).want(t, http.StatusOK)
	c.do(t, c.a1, get("Immunization/i-b")).want(t, http.StatusOK)
	c.do(t, c.root, get("Observation/delivery")).want(t, http.StatusOK)

	// What links the two does not open the mother's record.
	c.put(t, with(person("b"), "link", []any{object{"other": ref("Patient/m"), "type": "seealso"}}))
	for _, path := range []string{"Condition/c-m", "Observation/o-m"} {
		same(t, path, c.do(t, c.a1, get("Condition/none")), c.do(t, c.a1, get(path)).hides(t, secret))
	}
	c.basic(t, c.a1, "m")
}

func TestScenario83SeveralPatients(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	shared := func(id string, patients ...string) []object {
		entries, members, participants := []any{}, []any{}, []any{}
		for _, p := range patients {
			entries = append(entries, object{"item": ref("Patient/" + p)})
			members = append(members, object{"entity": ref("Patient/" + p)})
			participants = append(participants, object{"actor": ref("Patient/" + p), "status": "accepted"})
		}
		return []object{
			{"resourceType": "List", "id": id, "status": "current", "mode": "working", "title": secret, "entry": entries},
			{"resourceType": "Appointment", "id": id, "status": "proposed", "comment": secret, "participant": participants},
			{"resourceType": "Group", "id": id, "type": "person", "actual": true, "name": secret, "member": members},
		}
	}
	for _, o := range append(shared("with-p", "p", "q"), shared("open", "q", "r")...) {
		c.put(t, o)
	}
	for _, kind := range []string{"List", "Appointment", "Group"} {
		same(t, kind, c.do(t, c.a1, get(kind+"/none")), c.do(t, c.a1, get(kind+"/with-p")).hides(t, secret))
		if got := c.do(t, c.a1, get(kind+"?_id=with-p")).want(t, http.StatusOK).hides(t, secret).ids(t); len(got) != 0 {
			t.Errorf("%s: found %v", kind, got)
		}
		c.do(t, c.root, get(kind+"/with-p")).want(t, http.StatusOK)
	}
	c.do(t, c.a1, get("List/open")).want(t, http.StatusOK)
	c.do(t, c.a1, get("Appointment/open")).want(t, http.StatusOK)
	same(t, "no Group for providers", c.do(t, c.a1, get("Group/none")), c.do(t, c.a1, get("Group/open")).hides(t, secret))
	// B1 is not among those whom R lets look.
	same(t, "one of two does not let B1", c.do(t, c.b1, get("List/none")), c.do(t, c.b1, get("List/open")).hides(t, secret))
}

func TestScenario84DocumentAndItsBytes(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	const data = "Wnl4d3Z1dA==" // the secret
	document := func(p string) {
		c.put(t, object{
			"resourceType": "DocumentReference", "id": "d-" + p, "status": "current", "subject": ref("Patient/" + p), "description": secret,
			"content": []any{object{"attachment": object{"url": "Binary/scan-" + p}}},
		})
		c.put(t, object{"resourceType": "Binary", "id": "scan-" + p, "contentType": "text/plain", "data": data, "securityContext": ref("DocumentReference/d-" + p)})
	}
	document("p")
	document("q")
	hidden := func(p string) {
		t.Helper()
		for _, kind := range []string{"DocumentReference/d-", "Binary/scan-"} {
			none := kind[:strings.Index(kind, "/")] + "/none"
			for name, r := range map[string]func(string) request{
				"GET":   get,
				"HEAD":  func(path string) request { return request{method: http.MethodHead, path: path} },
				"Range": func(path string) request { return get(path).with("Range", "bytes=0-10") },
				"text":  func(path string) request { return get(path).with("Accept", "text/plain, application/fhir+json;q=0.1") },
			} {
				same(t, name+" "+kind+p, c.do(t, c.a1, r(none)), c.do(t, c.a1, r(kind+p)).hides(t, secret, data))
			}
		}
		if got := c.do(t, c.a1, get("DocumentReference?_include=*&patient="+p)).want(t, http.StatusOK).hides(t, data).ids(t); len(got) != 0 {
			t.Errorf("found %v", got)
		}
	}
	hidden("p")
	for _, path := range []string{"DocumentReference/d-q", "Binary/scan-q"} {
		c.do(t, c.a1, get(path)).want(t, http.StatusOK)
	}
	c.post(t, c.appQ, without(optOut("q"), "id")).want(t, http.StatusCreated)
	hidden("q")
	c.do(t, c.appQ, get("DocumentReference/d-q")).want(t, http.StatusOK)
}

// Each entry of a batch has its own scope check, answer and record.
func TestBatchRecordsEveryDenial(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	narrow := c.doctor(t, "a1", "a", "--scope", "user/Observation.rs user/Condition.rs")
	var entries []object
	for _, path := range []string{"Observation/o-q", "Observation/o-p", "Condition/none", "MedicationRequest/m-q", "Observation?patient=q&_count=1"} {
		entries = append(entries, asked(http.MethodGet, path, nil))
	}
	entries = append(entries, asked(http.MethodPost, "Observation", without(observation("q", ""), "id")))
	all := encode(t, object{"resourceType": "Bundle", "type": "batch", "entry": entries})
	a := c.do(t, narrow, send(http.MethodPost, "", all).with("X-Request-Id", "mixed-batch")).want(t, http.StatusOK)
	for i, want := range []string{"200", "404", "404", "403", "200", "403"} {
		if got := text(decode(t, a.body), "entry", i, "response", "status"); !strings.HasPrefix(got, want) {
			t.Errorf("entry %d: %s, want %s", i, got, want)
		}
	}
	outcomes := map[string]int{}
	for _, e := range c.events(t, "agent=PractitionerRole/a1") {
		if strings.Contains(string(encode(t, e)), "mixed-batch") {
			outcomes[text(e, "outcome")]++
		}
	}
	if outcomes["0"] != 2 || outcomes["4"] != 4 {
		t.Errorf("events by outcome %v, want two of what was released and four of what was not", outcomes)
	}
}

// A transaction that is undone leaves a record of what was denied, and none of
// what it did not do.
func TestUndoneTransactionIsRecorded(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	all := encode(t, object{"resourceType": "Bundle", "type": "transaction", "entry": []any{
		asked(http.MethodPost, "Observation", without(observation("q", ""), "id")), asked(http.MethodGet, "Observation/o-p", nil),
	}})
	c.do(t, c.a1, send(http.MethodPost, "", all).with("X-Request-Id", "undone")).want(t, http.StatusNotFound)
	found := 0
	for _, e := range c.events(t, "agent=PractitionerRole/a1") {
		if strings.Contains(string(encode(t, e)), "undone") {
			found++
			if text(e, "outcome") != "4" || text(e, "subtype", 0, "code") != "read" {
				t.Errorf("the record says %s", encode(t, e))
			}
		}
	}
	if found != 1 {
		t.Errorf("%d events, want one", found)
	}
}
