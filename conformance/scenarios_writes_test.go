package conformance

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestScenario66VersionsOfTheHidden(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, with(observation("p", "o-p"), "status", "amended"))
	c.put(t, with(observation("q", "o-q"), "status", "amended"))
	for _, tail := range []string{"", "/_history", "/_history/1", "/_history/2", "/_history/9"} {
		none := c.do(t, c.a1, get("Observation/none"+tail)).want(t, http.StatusNotFound)
		same(t, tail, none, c.do(t, c.a1, get("Observation/o-p"+tail)))
	}
	c.do(t, c.a1, get("Observation/o-q/_history/1")).want(t, http.StatusOK)
	if got := list(decode(t, c.do(t, c.a1, get("Observation/o-q/_history")).want(t, http.StatusOK).body), "entry"); len(got) != 2 {
		t.Errorf("want two versions of what is visible, got %d", len(got))
	}
	c.do(t, c.a1, get("Patient/p/_history")).want(t, http.StatusOK).hides(t, secret)
	c.do(t, c.a1, get("Patient/p/_history/1")).want(t, http.StatusNotFound).hides(t, secret)
	for _, path := range []string{"_history", "Observation/_history", "Patient/_history", "AuditEvent/_history"} {
		c.do(t, c.a1, get(path)).want(t, http.StatusMethodNotAllowed).hides(t, secret)
		c.do(t, c.root, get(path)).want(t, http.StatusOK)
	}
	for id, of := range map[string]string{"hidden": "p", "open": "q"} { // a List that is hidden chooses nothing
		c.put(t, object{
			"resourceType": "List", "id": id, "status": "current", "mode": "working",
			"subject": ref("Patient/" + of), "entry": []any{object{"item": ref("Observation/o-q/_history/1")}},
		})
	}
	for id, want := range map[string]int{"hidden": 0, "none": 0, "open": 1} {
		got := decode(t, c.do(t, c.a1, get("Observation/o-q/_history?_list="+id)).want(t, http.StatusOK).body)
		if n := len(list(got, "entry")); n != want {
			t.Errorf("of the List %s: %d versions, want %d", id, n, want)
		}
	}
}

func TestScenario67LeakedETagIsNoOracle(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	full := c.do(t, c.root, get("Patient/p")).want(t, http.StatusOK).header.Get("ETag")
	basic := c.do(t, c.a1, get("Patient/p")).want(t, http.StatusOK).header.Get("ETag")
	if full == basic || full == "" {
		t.Fatalf("the editions share the ETag %q", full)
	}
	a := c.do(t, c.a1, get("Patient/p").with("If-None-Match", full)).want(t, http.StatusOK).hides(t, secret)
	if a.header.Get("ETag") != basic {
		t.Errorf("ETag %q, want %q", a.header.Get("ETag"), basic)
	}
	c.do(t, c.a1, get("Patient/p").with("If-None-Match", basic)).want(t, http.StatusNotModified)
	tag := c.do(t, c.root, get("Observation/o-p")).want(t, http.StatusOK).header.Get("ETag")
	c.do(t, c.a1, get("Observation/o-p").with("If-None-Match", tag)).want(t, http.StatusNotFound)
	c.do(t, c.a1, get("Observation/o-q").with("If-None-Match", tag)).want(t, http.StatusNotModified)
}

func TestScenario68HiddenEditLeavesNoTrace(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	before := c.do(t, c.a1, get("Patient/p")).want(t, http.StatusOK)
	fullBefore := c.do(t, c.root, get("Patient/p")).header.Get("ETag")
	c.put(t, with(person("p"), "address", []any{object{"city": secret + "2"}}))
	same(t, "Patient/p", before, c.do(t, c.a1, get("Patient/p")))
	if c.do(t, c.root, get("Patient/p")).header.Get("ETag") == fullBefore {
		t.Error("the full edition did not change")
	}
	c.put(t, with(person("p"), "gender", "male"))
	after := c.do(t, c.a1, get("Patient/p")).want(t, http.StatusOK)
	if after.header.Get("ETag") == before.header.Get("ETag") || text(decode(t, after.body), "gender") != "male" {
		t.Error("a change of the basic set must show")
	}
}

func TestScenario69NothingIsCached(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, path := range []string{"Patient/q", "Condition/c-q", "Condition?patient=q", "Patient/q/_history", "Patient/q/$everything", "Patient/none"} {
		a := c.do(t, c.a1, get(path))
		if got := a.header.Get("Cache-Control"); !strings.Contains(got, "no-store") || !strings.Contains(got, "private") {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	}
	c.post(t, c.appQ, without(optOut("q"), "id")).want(t, http.StatusCreated)
	c.basic(t, c.a1, "q")
}

func TestScenario70DeletedHiddenAndVisible(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, id := range []string{"o-p", "o-q"} {
		a := c.do(t, c.root, request{method: http.MethodDelete, path: "Observation/" + id})
		if a.status != http.StatusNoContent && a.status != http.StatusOK {
			t.Fatalf("delete %s: %d %s", id, a.status, a.body)
		}
	}
	same(t, "deleted and hidden", c.do(t, c.a1, get("Observation/none")), c.do(t, c.a1, get("Observation/o-p")))
	c.do(t, c.a1, get("Observation/o-q")).want(t, http.StatusGone)
}

func TestScenario71ContributionGoesOn(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, o := range []object{
		condition("p", ""), without(immunization("p", ""), "id"),
		{"resourceType": "DiagnosticReport", "status": "final", "subject": ref("Patient/p"), "code": object{"text": secret}},
	} {
		o = without(o, "id")
		p := c.post(t, c.systemA, o).want(t, http.StatusCreated)
		location := p.header.Get("Location")
		id := strings.TrimPrefix(location[:strings.Index(location, "/_history")], c.base+"/")
		c.do(t, c.appP, get(id)).want(t, http.StatusOK)
		c.do(t, c.systemA, get(id)).want(t, http.StatusForbidden)
		if !strings.HasPrefix(id, "Immunization") {
			c.do(t, c.a1, get(id)).want(t, http.StatusNotFound).hides(t, secret)
		}
	}
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	if got := c.do(t, c.a1, get("DiagnosticReport?patient=p")).ids(t); len(got) != 1 {
		t.Errorf("a grant holder sees %v, want what was contributed", got)
	}
}

func identified(o object, value string) object {
	return with(without(o, "id"), "identifier", []any{object{"system": "http://example.org/ids", "value": value}})
}

const mine = "identifier=http%3A%2F%2Fexample.org%2Fids%7C"

func TestScenario72ConditionalCreateIsNoOracle(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.post(t, c.systemB, identified(condition("p", ""), "taken")).want(t, http.StatusCreated)
	w := pair{since: instantLongAgo}
	foreign := c.do(t, c.systemA, send(http.MethodPost, "Condition", encode(t, identified(condition("p", ""), "taken"))).with("If-None-Exist", mine+"taken").with("Prefer", "return=minimal")).want(t, http.StatusCreated)
	fresh := c.do(t, c.systemA, send(http.MethodPost, "Condition", encode(t, identified(condition("p", ""), "fresh"))).with("If-None-Exist", mine+"fresh").with("Prefer", "return=minimal")).want(t, http.StatusCreated)
	if w.fresh(foreign) != w.fresh(fresh) {
		t.Errorf("the answers differ:\n%s\n%s", w.fresh(foreign), w.fresh(fresh))
	}
	c.do(t, c.systemA, send(http.MethodPost, "Condition", encode(t, identified(condition("p", ""), "taken"))).with("If-None-Exist", mine+"taken")).want(t, http.StatusOK)
}

func TestScenario73And74ForeignIsAbsent(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.post(t, c.systemB, identified(observation("p", ""), "theirs")).want(t, http.StatusCreated)
	c.do(t, c.systemA, send(http.MethodPut, "Observation?"+mine+"theirs", encode(t, identified(observation("p", ""), "theirs")))).want(t, http.StatusCreated)
	c.do(t, c.systemA, send(http.MethodPut, "Observation?"+mine+"theirs", encode(t, identified(observation("p", ""), "theirs")))).want(t, http.StatusOK)
	none := c.do(t, c.systemA, send(http.MethodPut, "Observation/none", encode(t, observation("p", "none")))).want(t, http.StatusNotFound)
	same(t, "PUT", none, c.do(t, c.systemA, send(http.MethodPut, "Observation/o-p", encode(t, observation("p", "o-p")))))
	same(t, "PUT with If-Match", none, c.do(t, c.systemA, send(http.MethodPut, "Observation/o-p", encode(t, observation("p", "o-p"))).with("If-Match", `W/"7"`)))
	absent := c.do(t, c.systemA, request{method: http.MethodDelete, path: "Observation/none"})
	same(t, "DELETE", absent, c.do(t, c.systemA, request{method: http.MethodDelete, path: "Observation/o-p"}))
	nobody := c.do(t, c.systemA, change("Observation/none", amend)).want(t, http.StatusNotFound)
	same(t, "PATCH", nobody, c.do(t, c.systemA, change("Observation/o-p", amend)))
	same(t, "PATCH with If-Match", nobody, c.do(t, c.systemA, change("Observation/o-p", amend).with("If-Match", `W/"7"`)))
	same(t, "PATCH of another's", nobody, c.do(t, c.systemB, change("Observation?"+mine+"ours", amend)))
	same(t, "PATCH by a condition", nobody, c.do(t, c.systemA, change("Observation?"+mine+"nothing", amend)))
	c.do(t, c.systemA, change("Observation?"+mine+"theirs", amend)).want(t, http.StatusOK)
	if got := c.do(t, c.root, get("Observation?"+mine+"theirs&status=amended")).ids(t); len(got) != 1 {
		t.Errorf("a conditional PATCH changed %v, want its own alone", got)
	}
	c.do(t, c.root, get("Observation/o-p")).want(t, http.StatusOK)

	created := c.post(t, c.systemA, without(observation("p", ""), "id")).want(t, http.StatusCreated)
	own := created.header.Get("Location")
	own = own[:strings.Index(own, "/_history")]
	body := encode(t, observation("p", own[strings.LastIndex(own, "/")+1:]))
	c.do(t, c.systemA, send(http.MethodPut, own, body).with("If-Match", `W/"7"`)).want(t, http.StatusPreconditionFailed)
	c.do(t, c.systemA, send(http.MethodPut, own, body).with("If-Match", `W/"1"`)).want(t, http.StatusOK)
}

const (
	mediaPatch = "application/json-patch+json"
	amend      = `[{"op":"replace","path":"/status","value":"amended"}]`
)

// change is a JSON Patch of what the path names.
func change(path, doc string) request {
	return send(http.MethodPatch, path, []byte(doc)).with("Content-Type", mediaPatch)
}

func TestScenario78TestsSeeNothingHidden(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	foreign := c.post(t, c.systemB, without(observation("p", ""), "id")).want(t, http.StatusCreated).header.Get("Location")
	foreign = foreign[len(c.base)+1 : strings.Index(foreign, "/_history")]
	own := c.post(t, c.systemA, without(observation("p", ""), "id")).want(t, http.StatusCreated).header.Get("Location")
	own = own[len(c.base)+1 : strings.Index(own, "/_history")]
	path := func(expression string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"` + expression + `"}]}]}`
	}
	for name, doc := range map[string]request{
		"a test that holds":  change("", `[{"op":"test","path":"/valueQuantity/unit","value":"`+secret+`"}]`),
		"a test that fails":  change("", `[{"op":"test","path":"/valueQuantity/unit","value":"x"}]`),
		"a test of nothing":  change("", `[{"op":"test","path":"/nothing","value":1}]`),
		"no operation":       change("", `[]`),
		"a path that holds":  send(http.MethodPatch, "", []byte(path("Observation.value.where(unit = '"+secret+"').code"))),
		"a path that fails":  send(http.MethodPatch, "", []byte(path("Observation.value.where(unit = 'x').code"))),
		"a path of too many": send(http.MethodPatch, "", []byte(path("Observation.children()"))),
	} {
		for _, token := range []string{c.systemA, c.a1, c.c1} {
			at := func(path string) request {
				doc.path = path
				return doc
			}
			none := c.do(t, token, at("Observation/none"))
			if none.status != http.StatusNotFound && none.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, none.status, none.body)
			}
			for _, hidden := range []string{"Observation/o-p", "Observation/o-q", foreign} {
				a := c.do(t, token, at(hidden)).hides(t, secret)
				same(t, name+" of "+hidden, none, a)
			}
		}
	}
	c.do(t, c.systemA, change(own, `[{"op":"test","path":"/valueQuantity/unit","value":"x"}]`)).want(t, http.StatusUnprocessableEntity).hides(t, secret)
	c.do(t, c.systemA, change(own, `[{"op":"test","path":"/valueQuantity/value","value":185.5}]`)).want(t, http.StatusOK).hides(t, secret)
	c.do(t, c.a1, change(own, amend)).want(t, http.StatusOK).hides(t, secret)
	if a := c.do(t, c.root, get(own)).want(t, http.StatusOK); !strings.Contains(string(a.body), `"value":185.5`) || text(decode(t, a.body), "status") != "amended" {
		t.Errorf("stored: %s", a.body)
	}
}

func TestScenario80ReferencesInAllForms(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	subjects := map[string]object{
		"absolute":   ref(c.base + "/Patient/p"),
		"versioned":  ref("Patient/p/_history/1"),
		"identifier": {"identifier": object{"system": nric, "value": "S7654321F"}},
		"contained":  ref("#p"),
		"display":    {"display": "Patient P"},
		"nobody":     ref("Patient/not-here"),
	}
	c.put(t, with(person("p"), "identifier", []any{object{"system": nric, "value": "S7654321F"}}))
	for name, subject := range subjects {
		o := with(observation("p", "form-"+name), "subject", subject)
		if name == "contained" {
			o["contained"] = []any{object{"resourceType": "Patient", "id": "p", "identifier": []any{object{"system": nric, "value": "S7654321F"}}}}
		}
		c.put(t, o)
		c.do(t, c.a1, get("Observation/form-"+name)).want(t, http.StatusNotFound).hides(t, secret)
	}
	linked := c.do(t, c.appP, get("Observation?patient=p&_count=50")).want(t, http.StatusOK).ids(t)
	for _, name := range []string{"absolute", "versioned", "identifier"} {
		if !slices.Contains(linked, "Observation/form-"+name) {
			t.Errorf("%s: not linked to its patient: %v", name, linked)
		}
	}
	c.put(t, with(person("late"), "identifier", []any{object{"system": nric, "value": "T1234567J"}}))
	c.put(t, episode("late", "a"))
}

func TestScenario81NoSubjectIsQuarantined(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, without(observation("q", "orphan"), "subject"))
	for name, token := range map[string]string{"A1": c.a1, "B1": c.b1, "Q": c.appQ} {
		same(t, name, c.do(t, token, get("Observation/none")), c.do(t, token, get("Observation/orphan")))
	}
	c.do(t, c.root, get("Observation/orphan")).want(t, http.StatusOK)

	waiting := with(observation("q", "waiting"), "subject", object{"identifier": object{"system": nric, "value": "T1234567J"}})
	c.put(t, waiting)
	c.do(t, c.a1, get("Observation/waiting")).want(t, http.StatusNotFound)
	c.put(t, with(person("late"), "identifier", []any{object{"system": nric, "value": "T1234567J"}}))
	c.put(t, episode("late", "a"))
	c.do(t, c.a1, get("Observation/waiting")).want(t, http.StatusOK)
}

func TestScenario85ProvenanceAndAuditEvents(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, p := range []string{"p", "q"} {
		c.put(t, object{
			"resourceType": "Provenance", "id": "prov-" + p, "target": []any{ref("Observation/o-" + p)}, "recorded": "2026-01-01T00:00:00Z",
			"agent": []any{object{"who": ref("Organization/b")}},
		})
	}
	same(t, "Provenance", c.do(t, c.a1, get("Provenance/none")), c.do(t, c.a1, get("Provenance/prov-p")))
	c.do(t, c.a1, get("Provenance/prov-q")).want(t, http.StatusOK)
	events := c.events(t, "patient=p")
	if len(events) == 0 {
		t.Fatal("no events of P")
	}
	same(t, "AuditEvent", c.do(t, c.a1, get("AuditEvent/none")), c.do(t, c.a1, get("AuditEvent/"+text(events[0], "id"))))
	if got := c.do(t, c.a1, get("AuditEvent?patient=p")).want(t, http.StatusOK).ids(t); len(got) != 0 {
		t.Errorf("a provider sees %v", got)
	}
	c.do(t, c.auditor, get("AuditEvent/"+text(events[0], "id"))).want(t, http.StatusOK)
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		c.do(t, c.auditor, send(method, "AuditEvent/"+text(events[0], "id"), encode(t, events[0]))).want(t, http.StatusMethodNotAllowed)
	}
	c.do(t, c.root, send(http.MethodPost, "AuditEvent", encode(t, without(events[0], "id")))).want(t, http.StatusMethodNotAllowed)
}

func TestScenario91Tokens(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	parts := strings.Split(c.a1, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, token := range map[string]string{
		"none":      none + "." + parts[1] + ".",
		"unsigned":  parts[0] + "." + parts[1] + ".",
		"altered":   parts[0] + "." + parts[1][:len(parts[1])-4] + "AAAA." + parts[2],
		"audience":  strings.TrimSpace(runProgram(t, "token", "--data", c.data, "--kind", "practitioner", "--user", "PractitionerRole/a1", "--org", "Organization/a", "--base-url", "http://elsewhere.test")),
		"stranger":  strings.TrimSpace(runProgram(t, "token", "--data", t.TempDir(), "--kind", "custodian")),
		"nonsense":  "nonsense",
		"too large": strings.Repeat("A", 100_000),
	} {
		a := c.do(t, token, get("Patient/q"))
		if a.status != http.StatusUnauthorized && (name != "too large" || a.status != http.StatusRequestHeaderFieldsTooLarge) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		a.hides(t, secret)
	}
	anonymous := c.do(t, "", get("Patient/q")).want(t, http.StatusUnauthorized)
	if !strings.HasPrefix(anonymous.header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("WWW-Authenticate %q", anonymous.header.Get("WWW-Authenticate"))
	}
	c.do(t, c.a1, get("Patient/q")).want(t, http.StatusOK)
	brief := c.doctor(t, "a1", "a", "--ttl", "2s")
	c.do(t, brief, get("Patient/q")).want(t, http.StatusOK)
	for c.do(t, brief, get("Patient/q")).status != http.StatusUnauthorized { // until it expires; the test's own limit ends the wait
		if t.Context().Err() != nil {
			t.Fatal("a token outlives its exp")
		}
	}
}

func TestScenario92LaunchPatient(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	launched := c.doctor(t, "a1", "a", "--patient", "Patient/r", "--scope", "patient/*.rs")
	c.full(t, launched, "r")
	same(t, "another patient", c.do(t, launched, get("Patient/none")), c.do(t, launched, get("Patient/q")))
	for _, path := range []string{"Condition?patient=q", "Condition?code=74400008&_id=c-q", "Practitioner/dr-b/AllergyIntolerance?_id=a-q"} {
		if got := c.do(t, launched, get(path)).want(t, http.StatusOK).hides(t, secret).ids(t); len(got) != 0 {
			t.Errorf("%s: %v", path, got)
		}
	}
	c.full(t, c.a1, "q")
}

func TestScenario93OneEventAPatient(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	a := c.do(t, c.a1, get("Patient?name=Lowe").with("X-Request-Id", "five-patients")).want(t, http.StatusOK)
	if len(a.ids(t)) != 5 {
		t.Fatalf("found %v, want five", a.ids(t))
	}
	patients := map[string]bool{}
	for _, e := range c.events(t, "agent=PractitionerRole/a1") {
		whole := string(encode(t, e))
		if !strings.Contains(whole, "five-patients") {
			continue
		}
		for _, entity := range list(e, "entity") {
			if r := text(entity, "what", "reference"); strings.HasPrefix(r, "Patient/") {
				patients[r] = true
			}
			if q := text(entity, "query"); q != "" {
				raw, err := base64.StdEncoding.DecodeString(q)
				if err != nil || !strings.Contains(string(raw), "name=Lowe") || strings.Contains(string(raw), "Bearer") || strings.Contains(string(raw), c.a1) {
					t.Errorf("entity.query %q: %v", raw, err)
				}
			}
		}
	}
	if len(patients) != 5 {
		t.Errorf("events about %v, want five patients under one request id", patients)
	}
}

func TestScenario94ReadAndQueryRolesAreReversed(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.do(t, c.a1, get("Condition/c-q").with("X-Request-Id", "a-read")).want(t, http.StatusOK)
	c.do(t, c.a1, get("Condition?patient=q").with("X-Request-Id", "a-query")).want(t, http.StatusOK)
	want := map[string]struct{ action, client, server string }{
		"a-read":  {"R", "110152", "110153"},
		"a-query": {"E", "110153", "110152"},
	}
	for _, e := range c.events(t, "patient=q&agent=PractitionerRole/a1") {
		for id, w := range want {
			if !strings.Contains(string(encode(t, e)), id) {
				continue
			}
			delete(want, id)
			codes := []string{}
			for _, agent := range list(e, "agent") {
				codes = append(codes, text(agent, "type", "coding", 0, "code"))
			}
			if text(e, "action") != w.action || !slices.Contains(codes, w.client) || !slices.Contains(codes, w.server) || text(e, "type", "code") != "rest" || text(e, "outcome") != "0" {
				t.Errorf("%s: %s", id, encode(t, e))
			}
			for _, agent := range list(e, "agent") {
				if code := text(agent, "type", "coding", 0, "code"); code == w.client && text(agent, "who", "identifier", "value") == "" {
					t.Errorf("%s: the client is not agent %s: %s", id, w.client, encode(t, e))
				}
			}
		}
	}
	if len(want) != 0 {
		t.Errorf("no event for %v", want)
	}
}

func TestScenario95DeniedPurposeIsRecorded(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	insurer := c.doctor(t, "a1", "a", "--purpose", "INSURANCE", "--client", "claims-app")
	c.do(t, insurer, get("Condition?patient=q").with("X-Request-Id", "denied-purpose")).want(t, http.StatusForbidden)
	found := 0
	for _, e := range c.events(t, "outcome=4") {
		whole := string(encode(t, e))
		if !strings.Contains(whole, "denied-purpose") {
			continue
		}
		found++
		for _, part := range []string{"PractitionerRole/a1", "Organization/a", "claims-app"} {
			if !strings.Contains(whole, part) {
				t.Errorf("%s is missing in %s", part, whole)
			}
		}
		if strings.Contains(whole, "Patient/q") {
			t.Errorf("a patient stands in the record of a refusal that came before any patient: %s", whole)
		}
	}
	if found != 1 {
		t.Errorf("%d events, want one", found)
	}
}
