package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestScenario15DoubtfulConsent(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	rootWithActor := optOut("q")
	rootWithActor["provision"] = provision("deny", "Organization/a")
	neither := with(without(without(optOut("q"), "policyRule"), "provision"), "policy", []any{object{"uri": "https://policy.example"}})
	deep := consent("q", "OPTOUTE", "deny", with(provision("permit", "Organization/a"), "provision", []any{provision("deny", "Organization/b")}))
	unresolvable := consent("q", "OPTINR", "permit", provision("deny", "Group/everyone"))
	modified := with(optOut("q"), "modifierExtension", []any{object{"url": "http://example.org/unknown", "valueBoolean": true}})
	for name, doubtful := range map[string]object{"neither rule nor type": neither, "root with actors": rootWithActor, "too deep": deep, "actor unknown": unresolvable, "modifier": modified} {
		refused := c.post(t, c.appQ, without(doubtful, "id"))
		if refused.status != http.StatusUnprocessableEntity || text(decode(t, refused.body), "issue", 0, "severity") != "error" {
			t.Errorf("%s: posted: %d %s; want 422 and the reason", name, refused.status, refused.body)
		}
		c.put(t, doubtful)
		c.basic(t, c.a1, "q")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	c.put(t, with(optOut("q"), "status", "inactive"))
	c.full(t, c.a1, "q")
}

func TestScenario16UnresolvedPermitNeverMatches(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, consent("q", "OPTOUTE", "deny", provision("permit", "Organization/nobody")))
	c.basic(t, c.a1, "q")
	c.basic(t, c.b1, "q")
	c.put(t, consent("q", "OPTOUTE", "deny", provision("permit", "Organization/a")))
	c.full(t, c.a1, "q")
}

func TestScenario17TwoConsentsIntersect(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	second := with(optOut("r"), "id", "second")
	c.full(t, c.a1, "r")
	c.put(t, second)
	c.basic(t, c.a1, "r")
	c.put(t, with(second, "status", "inactive"))
	c.full(t, c.a1, "r")
	refused := c.post(t, c.patient(t, "r"), without(second, "id")).want(t, http.StatusConflict)
	if text(decode(t, refused.body), "issue", 0, "severity") != "error" {
		t.Errorf("want an outcome that names the first: %s", refused.body)
	}
}

func TestScenario19OrganisationHierarchy(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, o := range []object{organization("k", ""), organization("h", "k"), organization("ward", "h"), organization("sibling", "k")} {
		c.put(t, o)
	}
	callers := map[string]string{}
	for _, org := range []string{"k", "h", "ward", "sibling"} {
		c.put(t, object{"resourceType": "Practitioner", "id": "dr-" + org, "active": true})
		c.put(t, role("at-"+org, "dr-"+org, org, "doctor"))
		c.put(t, episode("q", org))
		callers[org] = c.doctor(t, "at-"+org, org)
	}
	c.put(t, consent("q", "OPTOUTE", "deny", provision("permit", "Organization/h")))
	c.full(t, callers["h"], "q")
	c.full(t, callers["ward"], "q")
	c.basic(t, callers["k"], "q")
	c.basic(t, callers["sibling"], "q")
}

func TestScenario20OrganisationCycle(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, organization("x", "y"))
	c.put(t, organization("y", "x"))
	c.put(t, object{"resourceType": "Practitioner", "id": "dr-x", "active": true})
	c.put(t, role("at-x", "dr-x", "x", "doctor"))
	c.put(t, episode("q", "x"))
	x := c.doctor(t, "at-x", "x")
	c.put(t, consent("q", "OPTOUTE", "deny", provision("permit", "Organization/y")))
	c.basic(t, x, "q")
	c.put(t, consent("q", "OPTINR", "permit", provision("deny", "Organization/y")))
	c.basic(t, x, "q")
	c.put(t, consent("q", "OPTOUTE", "deny", provision("permit", "Organization/x")))
	c.full(t, x, "q")
}

func TestScenario21WhoMayWriteConsents(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	mine := without(optOut("q"), "id")
	for name, token := range map[string]string{"doctor": c.a1, "system": c.systemA} {
		c.post(t, token, mine).want(t, http.StatusForbidden)
		c.do(t, token, send(http.MethodPut, "Consent/consent-p", encode(t, optOut("p")))).want(t, http.StatusForbidden)
		a := c.do(t, token, request{method: http.MethodDelete, path: "Consent/consent-p"})
		if a.status != http.StatusForbidden {
			t.Errorf("%s deletes a Consent: %d", name, a.status)
		}
	}
	c.post(t, c.appQ, without(optOut("p"), "id")).want(t, http.StatusNotFound)
	c.do(t, c.appQ, send(http.MethodPut, "Consent/consent-p", encode(t, with(optOut("p"), "status", "inactive")))).want(t, http.StatusNotFound)
	c.post(t, c.appQ, mine).want(t, http.StatusCreated)
	c.basic(t, c.a1, "q")
}

func TestScenario22ProvidersSeeNoConsents(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, q := range []string{"Consent?patient=r", "Consent?actor=Organization/a", "Consent?status=active", "Patient/r/Consent"} {
		if got := c.do(t, c.a1, get(q)).want(t, http.StatusOK).ids(t); len(got) != 0 {
			t.Errorf("%s: a provider sees %v", q, got)
		}
	}
	same(t, "Consent read", c.do(t, c.a1, get("Consent/none")), c.do(t, c.a1, get("Consent/consent-r")))
	if got := c.do(t, c.patient(t, "r"), get("Consent?status=active")).ids(t); len(got) != 1 {
		t.Errorf("the patient sees %v, want the own Consent", got)
	}
}

func TestScenario23PermitByType(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	rule := with(provision("permit", "Organization/a"), "class", []any{object{"system": "http://hl7.org/fhir/resource-types", "code": "Immunization"}})
	c.put(t, consent("q", "OPTOUTE", "deny", rule))
	a := c.do(t, c.a1, get("Condition?patient=q")).want(t, http.StatusOK).hides(t, secret)
	if got := a.ids(t); len(got) != 0 {
		t.Errorf("conditions: %v", got)
	}
	whole := decode(t, c.do(t, c.a1, get("Immunization/i-q")).want(t, http.StatusOK).body)
	if text(whole, "note", 0, "text") != secret {
		t.Errorf("the whole Immunization is due: %v", whole)
	}
	c.do(t, c.a1, get("AllergyIntolerance/a-q")).want(t, http.StatusOK).hides(t, secret)
}

func TestScenario24BasicTypesCannotBeHidden(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	rule := with(provision("deny", "Organization/a"), "class", []any{object{"system": "http://hl7.org/fhir/resource-types", "code": "AllergyIntolerance"}})
	c.put(t, consent("q", "OPTINR", "permit", rule))
	a := c.do(t, c.a1, get("AllergyIntolerance?patient=q")).want(t, http.StatusOK).hides(t, secret)
	if got := a.ids(t); len(got) != 1 {
		t.Errorf("allergies: %v, want the basic one", got)
	}
	c.do(t, c.a1, get("Condition/c-q")).want(t, http.StatusOK)
}

func TestScenario25LinkedPatients(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	twin := person("twin")
	twin["link"] = []any{object{"type": "seealso", "other": ref("Patient/q")}}
	c.put(t, twin)
	c.put(t, episode("twin", "a"))
	c.record(t, "twin")
	c.full(t, c.a1, "q")
	c.full(t, c.a1, "twin")
	c.put(t, optOut("twin"))
	c.basic(t, c.a1, "twin")
	c.basic(t, c.a1, "q")
}

func TestScenario26To28Purposes(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	same403 := answer{}
	for _, purpose := range []string{
		"EMPLOYMENT", "INSURANCE", "HPAYMT", "COVERAGE", "ELIGDTRM", "CLMATTCH", "MEMADMIN", "HMARKT", "HRESCH", "CLINTRL", "treat", "NOSUCH", "PATRQT",
		"TREAT,HPAYMT", "TREAT,NOSUCH", "TREAT,COC", "http://example.org/reasons|TREAT",
	} {
		token := c.doctor(t, "a1", "a", "--purpose", purpose)
		for _, path := range []string{"Condition?patient=q", "AllergyIntolerance?patient=p", "Patient/none", "Patient/p"} {
			a := c.do(t, token, get(path)).want(t, http.StatusForbidden).hides(t, secret)
			if same403.status != 0 {
				same(t, purpose+" "+path, same403, a)
			}
			same403 = a
		}
	}
	for _, purpose := range []string{"TREAT", "COC", "ETREAT", "ERTREAT"} {
		c.full(t, c.doctor(t, "a1", "a", "--purpose", purpose), "q")
	}
}

func TestScenario29PurposeComesFromTheTokenAlone(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	insurer := c.doctor(t, "a1", "a", "--purpose", "INSURANCE")
	for _, r := range []request{
		get("Patient/q").with("Purpose", "TREAT"), get("Patient/q").with("X-Purpose-Of-Use", "TREAT"), get("Patient/q?purpose=TREAT"),
		get("Patient/q").with("Category", "http://terminology.hl7.org/CodeSystem/v3-ActReason#TREAT"),
	} {
		c.do(t, insurer, r).want(t, http.StatusForbidden)
	}
	a := c.do(t, c.a1, get("Condition?patient=p").with("Category", actReason+"#BTG")).want(t, http.StatusOK).hides(t, secret)
	if len(a.ids(t)) != 0 {
		t.Error("a header opened the record")
	}
	c.do(t, c.a1, get("Patient/q")).want(t, http.StatusOK)
}

func TestScenario30GrantDoesNotLiftThePurpose(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	c.full(t, c.a1, "p")
	insurer := c.doctor(t, "a1", "a", "--purpose", "HPAYMT")
	c.do(t, insurer, get("Condition?patient=p")).want(t, http.StatusForbidden).hides(t, secret)
	c.breakGlass(t, insurer, "p", "OVRER", emergency).want(t, http.StatusForbidden)
}

// events finds what the auditor sees.
func (c *cast) events(t *testing.T, query string) []object {
	t.Helper()
	return c.do(t, c.auditor, get("AuditEvent?_count=200&"+query)).want(t, http.StatusOK).matches(t)
}

func TestScenario40BreakGlassOpens(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.basic(t, c.a1, "p")
	granted := c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	if text(decode(t, granted.body), "resourceType") != "Parameters" {
		t.Errorf("want Parameters: %s", granted.body)
	}
	c.full(t, c.a1, "p")
	started := c.events(t, "subtype="+url.QueryEscape("http://dicom.nema.org/resources/ontology/DCM|110127")+"&patient=p")
	if len(started) != 1 || text(started[0], "purposeOfEvent", 0, "coding", 0, "code") != "BTG" {
		t.Errorf("want one start with purpose BTG: %v", started)
	}
	if used := c.events(t, "purpose=BTG&patient=p&action=E"); len(used) < 5 {
		t.Errorf("want the start and every search tagged BTG, got %d", len(used))
	}
	tasks := c.do(t, c.auditor, get("Task?patient=p")).want(t, http.StatusOK).matches(t)
	if len(tasks) != 1 {
		t.Errorf("want one review Task, got %v", tasks)
	}
	told := c.do(t, c.appP, get("Communication?patient=p")).want(t, http.StatusOK).hides(t, "GCS 6").matches(t)
	if told = slices.DeleteFunc(told, func(o object) bool { return text(o, "reasonCode", 0, "coding", 0, "code") != "BTG" }); len(told) != 1 {
		t.Errorf("want the patient told, without the justification: %v", told)
	}
}

func TestScenario41ReasonAndJustification(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, row := range []struct{ reason, justification string }{
		{"OVRER", ""}, {"OVRER", "          "}, {"OVRER", "short"}, {"OVRPJ", emergency}, {"OVRTPS", emergency}, {"OVRPS", emergency}, {"OVRINCOMP", emergency}, {"", emergency},
	} {
		a := c.breakGlass(t, c.a1, "p", row.reason, row.justification)
		if a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity {
			t.Errorf("%+v: %d %s", row, a.status, a.body)
		}
	}
	c.basic(t, c.a1, "p")
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	c.full(t, c.a1, "p")
}

func TestScenario42GrantIsBound(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, consent("r", "OPTOUT", "deny"))
	c.put(t, role("a1-at-b", "dr-a", "b", "doctor"))
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	c.full(t, c.a1, "p")
	c.basic(t, c.a1, "r")
	c.basic(t, c.b1, "p")
	c.basic(t, c.doctor(t, "a1", "a", "--client", "another-emr"), "p")
	c.basic(t, c.doctor(t, "a1-at-b", "b"), "p")
}

func TestScenario43GrantEnds(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, id := range []string{"x1", "x2"} {
		c.put(t, condition("p", id))
	}
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	first := c.do(t, c.a1, get("Condition?patient=p&_count=1")).want(t, http.StatusOK)
	if len(first.ids(t)) != 1 {
		t.Fatal("want an open page")
	}
	c.do(t, c.a1, send(http.MethodPost, "Patient/p/$break-glass-stop", []byte(`{"resourceType":"Parameters"}`)))
	c.do(t, c.a1, get(nextLink(first))).want(t, http.StatusOK).hides(t, secret)
	c.basic(t, c.a1, "p")
	if stopped := c.events(t, "subtype="+url.QueryEscape("http://dicom.nema.org/resources/ontology/DCM|110138")+"&patient=p"); len(stopped) != 1 {
		t.Errorf("want one stop, got %d", len(stopped))
	}
}

func TestScenario44UnregisteredCannotBreakGlass(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	absent := c.breakGlass(t, c.c1, "none", "OVRER", emergency).want(t, http.StatusNotFound)
	same(t, "break-glass", absent, c.breakGlass(t, c.c1, "p", "OVRER", emergency))
	c.nothing(t, c.c1, "p")
}

func TestScenario45BreakGlassRevealsNothing(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	p, q := c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated), c.breakGlass(t, c.a1, "q", "OVRER", emergency).want(t, http.StatusCreated)
	w := pair{since: instantLongAgo}
	if w.fresh(p) != w.fresh(q) {
		t.Errorf("the answers differ:\n%s\n%s", p.body, q.body)
	}
}

func TestScenario47ClaimWithoutGrant(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.basic(t, c.doctor(t, "a1", "a", "--purpose", "BTG"), "p")
	c.full(t, c.doctor(t, "a1", "a", "--purpose", "BTG"), "q")
	c.do(t, c.a1, get("Condition?patient=p").with("X-Request-Id", "by-header").with("Category", actReason+`#BTG; scheme="http://hl7.org/fhir/tag/security"`)).want(t, http.StatusOK).hides(t, secret)
	c.do(t, c.a1, get("Condition?patient=p").with("X-Request-Id", "no-claim")).want(t, http.StatusOK)
	c.stop(t)
	alerts := map[string]bool{}
	for line := range strings.Lines(c.log.String()) {
		if strings.Contains(line, "btg-without-grant") {
			alerts[text(decode(t, []byte(line)), "request")] = true
		}
	}
	if !alerts["by-header"] || alerts["no-claim"] || len(alerts) < 8 {
		t.Errorf("want an alert for each claim, and for nothing else: %v", alerts)
	}
}

func TestScenario48ConsentCannotForbidEmergencies(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.put(t, consent("q", "OPTINR", "permit", with(provision("deny"), "purpose", []any{object{"system": actReason, "code": "BTG"}}), provision("deny", "Organization/a")))
	c.basic(t, c.a1, "q")
	before := c.do(t, c.root, get("Consent/consent-q")).want(t, http.StatusOK)
	c.breakGlass(t, c.a1, "q", "OVRER", emergency).want(t, http.StatusCreated)
	c.full(t, c.a1, "q")
	same(t, "the Consent", before, c.do(t, c.root, get("Consent/consent-q")))
}
