package conformance

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A compartment that never holds the type is no failure of the server.
func TestAttackCompartmentThatNeverHolds(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, path := range []string{"Patient/q/Organization", "Patient/p/Binary", "Encounter/none/Consent"} {
		a := c.do(t, c.a1, get(path))
		if a.status >= http.StatusInternalServerError {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	c.do(t, c.a1, get("Patient/q/Condition")).want(t, http.StatusOK)
}

// A patient asks the record of access what its plain form leaves out.
func TestAttackProbingOnesOwnRecordOfAccess(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// Each entry of a Bundle is a request of its own.
func TestAttackEntriesPassEveryGate(t *testing.T) {
	t.Parallel()
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
		c.do(t, c.c1, bundle(kind, registration, entry("GET", "Condition?patient=q", nil))).hides(t, secret)
		c.nothing(t, c.c1, "q") // a practitioner's word registers nobody
	}
	c.post(t, c.system(t, "c"), without(episode("q", "c"), "id")).want(t, http.StatusCreated)
	c.full(t, c.c1, "q")
}

// A practitioner who writes that a patient is here has written it, and is as
// much a stranger as before: also when the visit was another patient's, or when
// the patient becomes known later.
func TestAttackRegisteringByHand(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	own, id := c.contributed(t, without(episode("b", "a"), "id"))
	c.put(t, without(person("q"), "generalPractitioner"))
	c.put(t, with(episode("q", "a"), "status", "finished"))
	c.nothing(t, c.a1, "q")
	stolen := with(episode("q", "a"), "id", id)
	c.do(t, c.a1, send(http.MethodPut, own, encode(t, stolen))).want(t, http.StatusOK)
	c.nothing(t, c.a1, "q")
	visit := object{
		"resourceType": "Encounter", "status": "in-progress", "class": object{"system": actCode, "code": "AMB"},
		"subject": object{"identifier": object{"system": nric, "value": "T1234567J"}}, "serviceProvider": ref("Organization/a"),
	}
	c.post(t, c.a1, visit).want(t, http.StatusCreated)
	c.put(t, with(person("late"), "identifier", []any{object{"system": nric, "value": "T1234567J"}}))
	c.put(t, without(with(person("late"), "identifier", []any{object{"system": nric, "value": "T1234567J"}}), "generalPractitioner"))
	c.nothing(t, c.a1, "late")
	c.post(t, c.systemA, visit).want(t, http.StatusCreated)
	c.do(t, c.a1, get("Patient/late")).want(t, http.StatusOK)
	c.post(t, c.systemA, without(episode("q", "a"), "id")).want(t, http.StatusCreated)
	c.full(t, c.a1, "q")
}

// What the clinic's system once vouched for does not let a practitioner reopen
// it, take an employer's flag off it, or claim to be the general practitioner.
func TestAttackReopeningAVisit(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, without(person("q"), "generalPractitioner"))
	c.put(t, with(episode("q", "a"), "status", "finished"))
	over := with(without(episode("q", "a"), "id"), "status", "finished")
	examined := object{
		"resourceType": "Encounter", "status": "in-progress", "class": object{"system": actCode, "code": "AMB"},
		"type": []any{concept("http://hl7.org/fhir/sid/icd-10", "Z02.1")}, "subject": ref("Patient/q"), "serviceProvider": ref("Organization/a"),
	}
	for _, row := range []struct{ sent, changed object }{{over, with(over, "status", "active")}, {examined, without(examined, "type")}} {
		at, id := c.contributed(t, row.sent)
		c.nothing(t, c.a1, "q")
		c.do(t, c.a1, send(http.MethodPut, at, encode(t, with(row.changed, "id", id)))).want(t, http.StatusOK)
		c.nothing(t, c.a1, "q")
	}
	at, id := c.contributed(t, without(without(person("x"), "id"), "generalPractitioner"))
	claimed := encode(t, with(person("x"), "id", id))
	c.do(t, c.a1, send(http.MethodPut, at, claimed)).want(t, http.StatusOK)
	c.do(t, c.a1, get(at)).want(t, http.StatusNotFound)
	c.do(t, c.systemA, send(http.MethodPut, at, claimed)).want(t, http.StatusOK)
	c.do(t, c.a1, get(at)).want(t, http.StatusOK)
}

// contributed is where clinic A's system created the resource: "Type/id", and
// the id.
func (c *cast) contributed(t *testing.T, o object) (at, id string) {
	t.Helper()
	location := c.post(t, c.systemA, o).want(t, http.StatusCreated).header.Get("Location")
	at, _, _ = strings.Cut(strings.TrimPrefix(location, c.base+"/"), "/_history")
	_, id, _ = strings.Cut(at, "/")
	return at, id
}

// Whoever probes by transactions is on record like who probes by reads.
func TestAttackProbingByTransactions(t *testing.T) {
	t.Parallel()
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

// Hostile bodies, addresses and headers are refused, and never by a failure.
func TestAttackHostileInput(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	bodies := []string{
		"", "{", "[]", "null", `"x"`, "\xff\xfe", "\x00", deep, `{"resourceType":"Observation"`, `{"resourceType":1}`,
		`{"resourceType":"Observation","resourceType":"Consent"}`, `{"resourceType":"Observation","subject":[[[]]]}`,
		`{"resourceType":"Observation","contained":{"a":1}}`, `{"resourceType":"Observation","meta":[]}`, `{"resourceType":"Observation","meta":{"security":{}}}`,
		`{"resourceType":"Observation","identifier":[null,1,{"value":{}}],"subject":{"reference":{}}}`,
		`{"resourceType":"Observation","valueQuantity":{"value":1e999999999}}`, `{"resourceType":"Observation","id":"` + strings.Repeat("a", 1<<16) + `"}`,
		`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"?="}}]}`,
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

// Lists of people say who is on them; to subscribe is to read what is to come.
func TestAttackListsAndSubscriptions(t *testing.T) {
	t.Parallel()
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

// The full form of an event is the auditor's, under whatever address.
func TestAttackFullFormOfAnEvent(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	if onMongoDB() {
		t.Skip("the files are the embedded store's")
	}
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

// A token that a client puts where it does not belong is not kept.
func TestAttackTokensInTheRecord(t *testing.T) {
	t.Parallel()
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
