package conformance

import (
	"net/http"
	"strings"
	"testing"
)

// explained is what $explain says of the newest event that a patient finds by a
// query.
func (c *cast) explained(t *testing.T, token, query string) (answer, object) {
	t.Helper()
	found := c.do(t, c.auditor, get("AuditEvent?_sort=-date&_count=1&"+query)).want(t, http.StatusOK)
	ids := found.ids(t)
	if len(ids) != 1 {
		t.Fatalf("AuditEvent?%s: %v", query, ids)
	}
	a := c.do(t, token, get(ids[0]+"/$explain")).want(t, http.StatusOK)
	return a, decode(t, a.body)
}

// said is the text of the first parameter of that name.
func said(o object, name string) string {
	for _, p := range list(o, "parameter") {
		if text(p, "name") == name {
			for _, at := range [][]any{{"valueString"}, {"valueCodeableConcept", "coding", 0, "code"}, {"valueReference", "reference"}} {
				if s := text(p, at...); s != "" {
					return s
				}
			}
			if b, ok := at(p, "valueBoolean").(bool); ok {
				return map[bool]string{true: "true", false: "false"}[b]
			}
		}
	}
	return ""
}

// TestExplain: why an access came out as it did, for the patient and the custodian,
// by the versions that decided then.
func TestExplain(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.do(t, c.a1, get("Observation?patient=q")).want(t, http.StatusOK)
	_, full := c.explained(t, c.appQ, "patient=q&agent=Organization/a")
	if said(full, "because") != "unrestricted" || said(full, "reproduced") != "true" || said(full, "reason") != "" {
		t.Errorf("unrestricted: %v", full)
	}

	c.do(t, c.a1, get("Observation?patient=p")).want(t, http.StatusOK)
	_, basic := c.explained(t, c.appP, "patient=p&agent=Organization/a")
	if said(basic, "because") != "restricted" || said(basic, "reproduced") != "true" || said(basic, "basic-set") == "" {
		t.Errorf("restricted: %v", basic)
	}
	consulted := list(basic, "parameter")
	decided := ""
	for _, p := range consulted {
		if text(p, "name") == "consent" {
			decided = partOf(p, "version") + " " + partOf(p, "decided")
		}
	}
	if decided != "Consent/consent-p/_history/1 Consent/consent-p/_history/1: Unless a rule says otherwise, organisations see the basic set only." {
		t.Errorf("who decided: %s", decided)
	}

	// An app that may not read Consents is told why, and not by which rule.
	narrow := c.token(t, "--kind", "patient", "--patient", "Patient/p", "--scope", "patient/AuditEvent.rs")
	c.do(t, narrow, get("Consent/consent-p")).want(t, http.StatusForbidden)
	a, told := c.explained(t, narrow, "patient=p&agent=Organization/a")
	a.hides(t, "consent-p", "Unless a rule says otherwise")
	if said(told, "because") != "restricted" {
		t.Errorf("to an app that reads no Consents: %v", told)
	}

	// What is on file today does not count: the same event, once the patient lifted it.
	c.do(t, c.b1, get("Condition?patient=r")).want(t, http.StatusOK)
	c.put(t, consent("r", "OPTIN", "permit"))
	_, then := c.explained(t, c.patient(t, "r"), "patient=r&agent=Organization/b")
	if said(then, "because") != "restricted" || said(then, "reproduced") != "true" {
		t.Errorf("by today's Consent? %v", then)
	}
	c.put(t, consent("r", "OPTOUTE", "deny", provision("permit", "Organization/a")))
	c.do(t, c.a1, get("Condition?patient=r")).want(t, http.StatusOK)
	a, by := c.explained(t, c.patient(t, "r"), "patient=r&agent=Organization/a")
	if said(by, "because") != "permitted" || !strings.Contains(string(a.body), "Consent.provision.provision[0]: a may see the whole record.") {
		t.Errorf("by which rule? %s", a.body)
	}

	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	_, opening := c.explained(t, c.appP, "patient=p&subtype=110127")
	c.do(t, c.a1, get("Observation?patient=p")).want(t, http.StatusOK)
	a, glass := c.explained(t, c.appP, "patient=p&agent=Organization/a")
	a.hides(t, emergency, "urn:uuid", "dr-a", "jti")
	if said(opening, "because") != "opening" || said(glass, "because") != "glass" || said(glass, "reproduced") != "true" {
		t.Errorf("broken glass: %v\n%v", opening, glass)
	}
	if _, kept := c.explained(t, c.root, "patient=p&agent=Organization/a"); said(kept, "grant") == "" || said(kept, "because") != "glass" {
		t.Errorf("to the custodian: %v", kept)
	}

	c.do(t, c.a1, get("Condition/c-m")).want(t, http.StatusNotFound)
	if _, refused := c.explained(t, c.patient(t, "m"), "patient=m&outcome=4"); said(refused, "because") != "hidden" || said(refused, "reason") != "" {
		t.Errorf("refused: %v", refused)
	}
	c.do(t, c.c1, get("Condition/c-q")).want(t, http.StatusNotFound)
	if _, refused := c.explained(t, c.appQ, "patient=q&outcome=4"); said(refused, "because") != "unrelated" {
		t.Errorf("a stranger: %v", refused)
	}
	if _, refused := c.explained(t, c.root, "patient=q&outcome=4"); said(refused, "reason") != "no-relationship" {
		t.Errorf("a stranger, to the custodian: %v", refused)
	}
	c.do(t, c.appQ, get("Condition/c-q")).want(t, http.StatusOK)
	if _, own := c.explained(t, c.appQ, "patient=q&entity=Condition/c-q&outcome=0"); said(own, "because") != "own" {
		t.Errorf("one's own: %v", own)
	}
	c.onlyOwnEvents(t)
}

// onlyOwnEvents fails unless the events of others are as good as absent.
func (c *cast) onlyOwnEvents(t *testing.T) {
	t.Helper()
	theirs := c.do(t, c.auditor, get("AuditEvent?patient=p&_count=1")).ids(t)[0]
	const nobodys = "AuditEvent/0190a000-0000-7000-8000-000000000000"
	same(t, "another's event", c.do(t, c.appQ, get(nobodys+"/$explain")).want(t, http.StatusNotFound), c.do(t, c.appQ, get(theirs+"/$explain")))
	for name, token := range map[string]string{"a doctor": c.a1, "a system": c.systemA, "the auditor": c.auditor} {
		unknown := c.do(t, token, get(nobodys+"/$made-up")).want(t, http.StatusNotFound)
		for _, id := range []string{theirs, nobodys, "AuditEvent/x"} {
			same(t, name, unknown, c.do(t, token, get(id+"/$explain")))
		}
		same(t, name+", by POST", unknown, c.do(t, token, send(http.MethodPost, theirs+"/$explain", []byte(`{}`))))
	}
}

// after is what follows the word that tells of when it is.
func after(t *testing.T, summary, when string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(summary, when)
	if !ok {
		t.Errorf("%q does not say %q", summary, when)
	}
	return rest
}

// TestSimulate: what would be so is told, and what would be refused is refused.
func TestSimulate(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	simulate := func(token string, o object) answer {
		return c.do(t, token, send(http.MethodPost, "Consent/$simulate", encode(t, o)))
	}
	sees := func(a answer, org string) (now, then string) {
		for _, p := range list(decode(t, a.body), "parameter") {
			if text(p, "name") != "organization" || partOf(p, "who") != "Organization/"+org {
				continue
			}
			for _, side := range list(p, "part") {
				switch text(side, "name") {
				case "now":
					now = after(t, partOf(side, "summary"), "Now: ")
				case "then":
					then = after(t, partOf(side, "summary"), "With this choice: ")
				}
			}
		}
		return now, then
	}
	a := simulate(c.appQ, without(consent("q", "OPTOUTE", "deny", provision("permit", "Organization/a")), "id")).want(t, http.StatusOK)
	const whole, set = " can see your whole record.", " can see the basic set of your record, and nothing else."
	if now, then := sees(a, "a"); now != "a"+whole || then != "a"+whole {
		t.Errorf("clinic A: %q, then %q", now, then)
	}
	if now, then := sees(a, "b"); now != "b"+whole || then != "b"+set {
		t.Errorf("clinic B: %q, then %q", now, then)
	}
	if now, then := sees(a, "c"); now+then != "" {
		t.Errorf("clinic C: %q, then %q", now, then)
	}
	c.full(t, c.b1, "q") // nothing of it was kept
	if got := c.do(t, c.appQ, get("Consent?patient=q")).ids(t); len(got) != 0 {
		t.Errorf("kept: %v", got)
	}

	byType := consent("q", "OPTINR", "permit", object{"type": "deny", "class": []any{object{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}}})
	wrapped := object{"resourceType": "Parameters", "parameter": []any{object{"name": "resource", "resource": without(byType, "id")}}}
	if _, then := sees(simulate(c.appQ, wrapped).want(t, http.StatusOK), "a"); then != "a can see part of your record: of measurements and laboratory results, none of it and of everything else, the whole of it." {
		t.Errorf("by type: %q", then)
	}

	second := simulate(c.appP, without(optOut("p"), "id")).want(t, http.StatusConflict)
	if !strings.Contains(string(second.body), "Consent/consent-p: with its id") {
		t.Errorf("a second restriction: %s", second.body)
	}
	c.post(t, c.appP, without(optOut("p"), "id")).want(t, http.StatusConflict)
	if now, then := sees(simulate(c.appP, consent("p", "OPTIN", "permit")).want(t, http.StatusOK), "a"); now != "a"+set || then != "a"+whole {
		t.Errorf("in the place of the first: %q, then %q", now, then)
	}
	doubtful := without(consent("q", "OPTOUT", "permit"), "id")
	same(t, "in doubt", c.post(t, c.appQ, doubtful).want(t, http.StatusUnprocessableEntity), simulate(c.appQ, doubtful))
	same(t, "of another", c.post(t, c.appQ, without(optOut("r"), "id")).want(t, http.StatusNotFound), simulate(c.appQ, without(optOut("r"), "id")))
	simulate(c.root, optOut("r")).want(t, http.StatusOK)
	for name, token := range map[string]string{"a doctor": c.a1, "a system": c.systemA, "the auditor": c.auditor} {
		unknown := c.do(t, token, send(http.MethodPost, "Consent/$made-up", encode(t, optOut("q")))).want(t, http.StatusNotFound)
		for _, o := range []object{optOut("q"), optOut("none"), {"resourceType": "Nonsense"}} {
			same(t, name, unknown, simulate(token, o))
		}
		same(t, name+", by GET", unknown, c.do(t, token, get("Consent/$simulate")))
		same(t, name+", by DELETE", c.do(t, token, request{method: http.MethodDelete, path: "Consent/$made-up"}), c.do(t, token, request{method: http.MethodDelete, path: "Consent/$simulate"}))
	}
}
