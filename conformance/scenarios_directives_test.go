package conformance

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Scenarios 37 to 39: the ministry's directives, to which two people must agree.

const directiveSystem = "https://vitrine.example/CodeSystem/nehr-directive"

// directiveOf is an order of the regulator's about a target.
func directiveOf(target string, more ...any) object {
	extensions := append([]any{object{"url": "https://vitrine.example/StructureDefinition/directive-target", "valueReference": ref(target)}}, more...)
	return object{"resourceType": "Basic", "code": concept(directiveSystem, "BLOCK_READ"), "extension": extensions}
}

// directed makes a call about a directive or a direction, at the version it has.
func (c *cast) directed(t *testing.T, token, at, operation string) answer {
	t.Helper()
	version := text(decode(t, c.do(t, c.auditor, get(at)).want(t, http.StatusOK).body), "meta", "versionId")
	return c.do(t, token, request{method: http.MethodPost, path: at + "/" + operation, header: map[string]string{"If-Match": `W/"` + version + `"`}})
}

// issue has one of the regulator's people propose a directive and another agree. What
// it returns lifts it in the same way.
func (c *cast) issue(t *testing.T, o object) (at string, lift func()) {
	t.Helper()
	mei, tan := c.person(t, "mei"), c.person(t, "tan")
	at = instance(c, c.post(t, mei, o).want(t, http.StatusCreated))
	c.directed(t, tan, at, "$agree").want(t, http.StatusOK)
	return at, func() {
		t.Helper()
		c.directed(t, tan, at, "$lift").want(t, http.StatusOK)
		c.directed(t, mei, at, "$agree").want(t, http.StatusOK)
	}
}

// A directive against a clinic stands against everything its people ask, and
// against nothing that patients do.
func TestScenario37DirectiveAgainstAClinic(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	connector, _ := s.connector.backend(t, s.server, "connector-a", "user/*.cruds", actingFor("PractitionerRole/a1", "Organization/a", treat))
	s.breakGlass(t, connector.AccessToken, "p", "OVRER", emergency).want(t, http.StatusCreated)
	s.full(t, connector.AccessToken, "p")
	s.basic(t, s.b1, "p")
	_, lift := s.issue(t, directiveOf("Organization/a"))
	for _, token := range []string{connector.AccessToken, s.a1, s.doctor(t, "a1", "a", "--scope", "user/*.rs"), s.doctor(t, "a1", "a", "--scope", "patient/*.rs", "--patient", "Patient/q")} {
		s.refused(t, token, "blocked")
	}
	s.breakGlass(t, connector.AccessToken, "p", "OVRER", emergency).want(t, http.StatusForbidden)
	s.post(t, connector.AccessToken, without(condition("q", ""), "id")).want(t, http.StatusCreated) // contribution goes on
	s.full(t, s.appQ, "q")
	s.basic(t, s.b1, "p")
	lift()
	s.full(t, connector.AccessToken, "p")
	s.basic(t, s.doctor(t, "a1", "a", "--client", "another"), "p")
}

// Of two directives the stricter counts, whichever it is, and when both are lifted
// nothing is left of them.
func TestScenario38TheStricterDirectiveCounts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	connector, _ := s.connector.backend(t, s.server, "connector-a", "user/*.cruds", actingFor("PractitionerRole/a1", "Organization/a", treat))
	ask := func(query string, want int) {
		t.Helper()
		s.do(t, connector.AccessToken, get(query)).want(t, want)
	}
	_, liftLimit := s.issue(t, with(directiveOf("Organization/a", object{"url": "https://vitrine.example/StructureDefinition/directive-type", "valueCode": "Immunization"}),
		"code", concept(directiveSystem, "LIMIT_TYPES")))
	ask("Condition?patient=q", http.StatusForbidden)
	ask("Immunization?patient=q", http.StatusOK)
	_, liftUser := s.issue(t, directiveOf("Practitioner/dr-a"))
	ask("Immunization?patient=q", http.StatusForbidden)
	liftUser()
	ask("Immunization?patient=q", http.StatusOK)
	_, liftType := s.issue(t, object{
		"resourceType": "Basic", "code": concept(directiveSystem, "BLOCK_READ"),
		"extension": []any{object{"url": "https://vitrine.example/StructureDefinition/directive-of", "valueCode": "Immunization"}},
	})
	ask("Immunization?patient=q", http.StatusForbidden)
	s.do(t, s.b1, get("Immunization/i-q")).want(t, http.StatusForbidden)
	s.do(t, s.b1, get("Condition/c-q")).want(t, http.StatusOK)
	s.do(t, s.b1, get("Patient/q/$everything")).want(t, http.StatusOK).hides(t, `"resourceType":"Immunization"`)
	if found := s.do(t, s.b1, get("Patient?_id=q&_revinclude=Immunization:patient")).want(t, http.StatusOK); strings.Contains(string(found.body), "i-q") {
		t.Errorf("what is blocked comes with what is not: %s", found.body)
	}
	s.do(t, s.appQ, get("Immunization/i-q")).want(t, http.StatusOK)
	liftLimit()
	ask("Condition?patient=q", http.StatusOK)
	liftType()
	s.full(t, connector.AccessToken, "q")

	// A token is not worth issuing to those who may neither read nor write.
	_, lift := s.issue(t, with(directiveOf("Organization/a"), "code", object{"coding": []any{
		object{"system": directiveSystem, "code": "BLOCK_READ"}, object{"system": directiveSystem, "code": "BLOCK_WRITE"},
	}}))
	if got, a := s.connector.backend(t, s.server, "connector-a", "user/*.rs", actingFor("PractitionerRole/a1", "Organization/a", treat)); got.AccessToken != "" {
		t.Errorf("a token for those who are blocked: %d %s", a.status, a.body)
	}
	lift()
	if got, a := s.connector.backend(t, s.server, "connector-a", "user/*.rs", actingFor("PractitionerRole/a1", "Organization/a", treat)); got.AccessToken == "" {
		t.Errorf("no token when it is lifted: %d %s", a.status, a.body)
	}
}

// Around the two people there is no way: not by another token or client of one of
// them, by anybody else, by what a body says, nor by another kind of write.
func TestAttackOnePersonDirects(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	mei, tan := c.person(t, "mei"), c.person(t, "tan")
	o := directiveOf("Organization/a")
	c.post(t, c.auditor, o).want(t, http.StatusForbidden) // a back end is no person
	at := instance(c, c.post(t, mei, with(o, "id", "chosen")).want(t, http.StatusCreated))
	id := strings.TrimPrefix(at, "Basic/")
	look := func(want int) {
		t.Helper()
		c.do(t, c.a1, get("Condition/c-q")).want(t, want)
	}
	agree := func(token, version string, want int) answer {
		t.Helper()
		return c.do(t, token, request{method: http.MethodPost, path: at + "/$agree", header: map[string]string{"If-Match": `W/"` + version + `"`}}).want(t, want)
	}
	agree(mei, "1", http.StatusConflict)
	agree(c.token(t, "--kind", "regulator", "--user", "Practitioner/mei", "--client", "another"), "1", http.StatusConflict)
	agree(c.auditor, "1", http.StatusForbidden)
	agree(tan, "2", http.StatusPreconditionFailed)
	c.do(t, tan, request{method: http.MethodPost, path: at + "/$agree"}).want(t, http.StatusBadRequest)
	unknown := c.do(t, c.a1, request{method: http.MethodPost, path: "Basic/none/$agree"}).want(t, http.StatusNotFound)
	for name, token := range map[string]string{"doctor": c.a1, "system": c.systemA, "patient": c.appQ, "custodian": c.root} {
		for _, operation := range []string{"$agree", "$lift", "$withdraw"} {
			same(t, name+" "+operation, unknown, c.do(t, token, request{method: http.MethodPost, path: at + "/" + operation, header: map[string]string{"If-Match": `W/"1"`}}))
		}
	}
	look(http.StatusOK)

	// Forged by the body, in every kind of write.
	said := decode(t, c.do(t, mei, get(at)).want(t, http.StatusOK).body)
	forged := json.RawMessage(strings.ReplaceAll(strings.ReplaceAll(string(encode(t, without(said, "meta"))), `"proposed"`, `"active"`), "mei", "tan"))
	transaction := func(method, url string, resource any) request {
		e := object{"request": object{"method": method, "url": url}}
		if resource != nil {
			e["resource"] = resource
		}
		return send(http.MethodPost, "", encode(t, object{"resourceType": "Bundle", "type": "transaction", "entry": []any{e}}))
	}
	for name, r := range map[string]request{
		"update": send(http.MethodPut, at, forged), "in a transaction": transaction("PUT", at, forged),
		"patch": send(http.MethodPatch, at, []byte(`[{"op":"replace","path":"/extension/1/extension/0/valueCode","value":"active"}]`)).with("Content-Type", "application/json-patch+json"),
	} {
		c.do(t, mei, r).want(t, http.StatusOK)
		look(http.StatusOK)
		if got := c.do(t, mei, get(at)).want(t, http.StatusOK).hides(t, `"active"`, "Practitioner/tan"); !strings.Contains(string(got.body), `"proposed"`) {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	proposed := text(decode(t, c.do(t, mei, get(at)).body), "meta", "versionId")
	agree(mei, proposed, http.StatusConflict)

	// Whose proposal it is not changes nothing, and nobody deletes it.
	for name, r := range map[string]request{
		"update": send(http.MethodPut, at, encode(t, with(o, "id", id))), "update as one": transaction("PUT", at, with(o, "id", id)),
		"patch":  send(http.MethodPatch, at, []byte(`[{"op":"replace","path":"/subject/reference","value":"Organization/b"}]`)).with("Content-Type", "application/json-patch+json"),
		"delete": {method: http.MethodDelete, path: at}, "delete as one": transaction("DELETE", at, nil),
	} {
		for who, token := range map[string]string{"the custodian": c.root, "mei": mei} {
			if who == "mei" && !strings.HasPrefix(name, "delete") {
				continue // it is hers
			}
			if a := c.do(t, token, r); a.status/100 != 4 {
				t.Errorf("%s by %s: %d %s", name, who, a.status, a.body)
			}
			if got := text(decode(t, c.do(t, mei, get(at)).want(t, http.StatusOK).body), "meta", "versionId"); got != proposed {
				t.Fatalf("%s by %s made version %s", name, who, got)
			}
		}
	}
	c.directed(t, tan, at, "$agree").want(t, http.StatusOK)
	look(http.StatusForbidden)

	// And no way back.
	version := text(decode(t, c.do(t, mei, get(at)).body), "meta", "versionId")
	for name, token := range map[string]string{"mei": mei, "tan": tan, "the custodian": c.root} {
		for what, r := range map[string]request{
			"delete": {method: http.MethodDelete, path: at}, "delete where": {method: http.MethodDelete, path: "Basic?_id=" + id},
			"update": send(http.MethodPut, at, encode(t, with(o, "id", id))), "update where": send(http.MethodPut, "Basic?_id="+id, encode(t, with(o, "id", id))),
			"patch":             send(http.MethodPatch, at, []byte(`[{"op":"remove","path":"/extension"}]`)).with("Content-Type", "application/json-patch+json"),
			"delete as one":     transaction("DELETE", at, nil),
			"update as one":     transaction("PUT", at, with(o, "id", id)),
			"taking the labels": send(http.MethodPost, at+"/$meta-delete", encode(t, object{"resourceType": "Parameters", "parameter": []any{object{"name": "meta", "valueMeta": object{"security": []any{object{"system": "https://vitrine.example/CodeSystem/label", "code": "oversight"}}}}}})),
		} {
			if a := c.do(t, token, r); a.status != http.StatusNoContent && a.status/100 != 4 || a.status == http.StatusNoContent && what != "delete where" {
				t.Errorf("%s by %s: %d %s", what, name, a.status, a.body)
			}
			look(http.StatusForbidden)
			if got := text(decode(t, c.do(t, mei, get(at)).want(t, http.StatusOK).body), "meta", "versionId"); got != version {
				t.Fatalf("%s by %s made version %s", what, name, got)
			}
		}
	}
	c.directed(t, mei, at, "$lift").want(t, http.StatusOK)
	c.directed(t, mei, at, "$agree").want(t, http.StatusConflict)
	look(http.StatusForbidden)
	c.directed(t, tan, at, "$agree").want(t, http.StatusOK)
	look(http.StatusOK)
	for _, e := range c.events(t, "type=http://dicom.nema.org/resources/ontology/DCM|110113&entity="+at) {
		if by := text(e, "agent", 0, "who", "reference"); by != "Practitioner/mei" && by != "Practitioner/tan" {
			t.Errorf("done by %q: %v", by, e)
		}
	}
	if all := c.do(t, mei, get("Basic?code="+directiveSystem+"%7C")).want(t, http.StatusOK).ids(t); !slices.Equal(all, []string{at}) {
		t.Errorf("the regulator's list: %v", all)
	}
	if n := len(list(decode(t, c.do(t, tan, get(at+"/_history")).want(t, http.StatusOK).body), "entry")); n < 7 {
		t.Errorf("%d versions", n)
	}
	c.do(t, c.a1, get(at)).want(t, http.StatusNotFound)
	if found := c.do(t, c.a1, get("Basic")).want(t, http.StatusOK).ids(t); len(found) != 0 {
		t.Errorf("a doctor finds %v", found)
	}
}

// manifest are the lines of the manifest of a Task, once it is ready.
func (c *cast) manifest(t *testing.T, task string) (lines []object) {
	t.Helper()
	tick, deadline := time.NewTicker(50*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	var said object
	for text(said, "businessStatus", "coding", 0, "code") != "manifest-ready" {
		select {
		case <-deadline:
			t.Fatalf("no manifest: %v", said)
		case <-tick.C:
			said = decode(t, c.do(t, c.auditor, get(task)).want(t, http.StatusOK).body)
		}
	}
	for _, o := range list(said, "output") {
		if text(o, "type", "coding", 0, "code") != "manifest" {
			continue
		}
		part := c.do(t, c.auditor, get(text(o, "valueReference", "reference"))).want(t, http.StatusOK)
		data, err := base64.StdEncoding.DecodeString(text(decode(t, part.body), "data"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
			lines = append(lines, decode(t, []byte(line)))
		}
	}
	return lines
}

// A direction to destroy makes a manifest that is the union of what the clinic was
// shown, by the record, and a Task; reading is held back until the certificate.
func TestScenario39DestroyWhatWasDisclosed(t *testing.T) {
	t.Parallel()
	c := newCast(t, "--manifest-after=1ms")
	for _, query := range []string{"Condition/c-q", "AllergyIntolerance?patient=p", "Patient?name=Lowe", "Condition?patient=p", "Condition/c-p", "Patient/r/$everything?_count=3", "Observation/o-q/_history"} {
		for _, token := range []string{c.a1, c.b1, c.c1} {
			c.do(t, token, get(query))
		}
	}
	c.breakGlass(t, c.a1, "m", "OVRER", emergency).want(t, http.StatusCreated)
	c.do(t, c.a1, get("Condition?patient=m")).want(t, http.StatusOK)
	c.do(t, c.a1, send(http.MethodPost, "", encode(t, object{"resourceType": "Bundle", "type": "batch", "entry": []any{object{"request": object{"method": "GET", "url": "Observation/o-q"}}}}))).want(t, http.StatusOK)
	c.full(t, c.appQ, "q")

	at, _ := c.issue(t, with(directiveOf("Organization/a"), "code", concept(directiveSystem, "DESTROY")))
	c.refused(t, c.a1, "blocked")
	c.post(t, c.systemA, without(condition("q", ""), "id")).want(t, http.StatusCreated)
	c.full(t, c.appQ, "q")
	task := text(decode(t, c.do(t, c.auditor, get("Task?code=destroy&focus="+at)).want(t, http.StatusOK).body), "entry", 0, "resource", "id")
	lines := c.manifest(t, "Task/"+task)

	// The union of its disclosures, worked out from the record anew.
	want, got := map[string]int{}, map[string]int{}
	for _, e := range c.events(t, "agent=Organization/a&outcome=0") {
		view, kind := "", ""
		for _, s := range list(e, "subtype") {
			switch text(s, "system") {
			case "https://vitrine.example/CodeSystem/nehr-view":
				view = text(s, "code")
			case "http://hl7.org/fhir/restful-interaction":
				kind = text(s, "code")
			}
		}
		if kind == "" || kind == "create" || view == "none" {
			continue
		}
		patient, whats := "", []string{}
		for _, entity := range list(e, "entity") {
			what := text(entity, "what", "reference")
			switch {
			case strings.HasPrefix(what, "Patient/") && text(entity, "role", "code") == "1":
				patient = what
			case text(entity, "role", "code") == "4":
				whats = append(whats, what)
			}
		}
		if len(whats) == 0 {
			whats = []string{"question"}
		}
		for _, what := range whats {
			if patient != "" {
				want["AuditEvent/"+text(e, "id")+" "+patient+" "+what]++
			}
		}
	}
	for _, line := range lines {
		what := text(line, "what")
		if what == "" && strings.HasPrefix(text(line, "query"), "GET /fhir/") {
			what = "question"
		}
		got[text(line, "event")+" "+text(line, "patient")+" "+what]++
		if text(line, "organization") != "Organization/a" || text(line, "person") != "Practitioner/dr-a" || text(line, "when") == "" || text(line, "view") == "" {
			t.Errorf("a line that is not the clinic's: %v", line)
		}
	}
	if len(want) < 10 || !maps.Equal(got, want) {
		t.Errorf("the manifest\n%v\nis not the union of the disclosures\n%v", got, want)
	}
	c.destroyed(t, task)
	c.full(t, c.a1, "q")
	c.full(t, c.a1, "m") // the glass is broken still
	c.basic(t, c.a1, "p")
	if got := text(decode(t, c.do(t, c.auditor, get("Task/"+task)).body), "businessStatus", "coding", 0, "code"); got != "certificate-accepted" {
		t.Errorf("the Task is %s", got)
	}
}

// destroyed has the clinic send its certificate, and the regulator accept it.
func (c *cast) destroyed(t *testing.T, task string) {
	t.Helper()
	mei, at := c.person(t, "mei"), "Task/"+task
	for name, token := range map[string]string{"system": c.systemA, "doctor": c.a1} {
		told := c.do(t, token, get("Task/$directions")).want(t, http.StatusOK).hides(t, "Patient/", "Binary", "Practitioner/mei", secret)
		if ids := told.ids(t); !slices.Equal(ids, []string{at}) {
			t.Errorf("the %s is told %v: %s", name, ids, told.body)
		}
	}
	if told := c.do(t, c.systemB, get("Task/$directions")).want(t, http.StatusOK); len(told.ids(t)) != 0 {
		t.Errorf("clinic B is told %s", told.body)
	}
	c.do(t, c.appQ, get("Task/$directions")).want(t, http.StatusNotFound)
	c.directed(t, mei, at, "$accept").want(t, http.StatusConflict)
	certify := func(token, task string) answer {
		return c.do(t, token, send(http.MethodPost, "Task/"+task+"/$certify", encode(t, object{
			"resourceType": "DocumentReference", "status": "current", "description": "Certificate of destruction",
			"content": []any{object{"attachment": object{"contentType": "text/plain", "data": "YWxsIG9mIGl0"}}},
		})))
	}
	none := certify(c.systemB, "none").want(t, http.StatusNotFound)
	same(t, "another's direction", none, certify(c.systemB, task))
	done := certify(c.systemA, task).want(t, http.StatusOK)
	if text(decode(t, done.body), "status") != "completed" {
		t.Errorf("certified: %s", done.body)
	}
	c.refused(t, c.a1, "blocked")
	document := text(decode(t, done.body), "output", 0, "valueReference", "reference")
	if a := c.do(t, mei, get(document)).want(t, http.StatusOK); !strings.Contains(string(a.body), "YWxsIG9mIGl0") {
		t.Errorf("the certificate: %s", a.body)
	}
	c.do(t, c.systemA, request{method: http.MethodDelete, path: document}).want(t, http.StatusNotFound)
	c.do(t, c.root, request{method: http.MethodDelete, path: document}).want(t, http.StatusUnprocessableEntity)
	c.do(t, c.root, request{method: http.MethodPost, path: at + "/$accept", header: map[string]string{"If-Match": `W/"1"`}}).want(t, http.StatusNotFound)
	c.directed(t, mei, at, "$accept").want(t, http.StatusOK)
}
