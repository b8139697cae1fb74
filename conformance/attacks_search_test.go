package conformance

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What moved to another patient, was labelled or deleted after the first page
// is not on the next ones, which are of the view that was then; what changed is
// as it is now.
func TestAttackWhatChangedBetweenPages(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"Observation?patient=q&_sort=_id&_count=2", "Observation?code=29463-7&_sort=_id&_count=2", "Observation?patient:Patient.gender=female&_sort=_id&_count=2"} {
		c := newCast(t)
		ids := []string{"a1", "a2", "a3", "a4", "a5", "a6"}
		for _, id := range ids {
			c.put(t, observation("q", id))
		}
		c.put(t, with(consent("q", "OPTINR", "permit", object{"type": "deny", "securityLabel": []any{object{"system": actCode, "code": "HIV"}}}), "id", "consent-q"))
		first := c.do(t, c.a1, get(query)).want(t, http.StatusOK)
		if got := first.ids(t); !slices.Equal(got, []string{"Observation/a1", "Observation/a2"}) {
			t.Fatalf("%s: the first page has %v", query, got)
		}
		c.put(t, with(observation("p", "a3"), "note", []any{object{"text": hiddenOfP}}))
		c.put(t, with(sensitive(observation("q", "a4")), "note", []any{object{"text": hiddenOfP}}))
		c.do(t, c.root, request{method: http.MethodDelete, path: "Observation/a5"}).want(t, http.StatusNoContent)
		c.put(t, with(observation("q", "a6"), "note", []any{object{"text": "as it is now"}}))
		var seen []string
		for next := nextLink(first); next != ""; {
			a := c.do(t, c.a1, get(next)).want(t, http.StatusOK).hides(t, hiddenOfP)
			seen, next = append(seen, a.ids(t)...), nextLink(a)
			if strings.Contains(string(a.body), `"a6"`) && !strings.Contains(string(a.body), "as it is now") {
				t.Errorf("%s: a6 is shown as it was", query)
			}
		}
		for _, id := range []string{"Observation/a3", "Observation/a4", "Observation/a5"} {
			if slices.Contains(seen, id) {
				t.Errorf("%s: %s is on a later page: %v", query, id, seen)
			}
		}
		if !slices.Contains(seen, "Observation/a6") || !slices.Contains(seen, "Observation/o-q") {
			t.Errorf("%s: %v, want what is still there", query, seen)
		}
	}
}

// Who looked is the auditor's to know: a patient learns it by no detour, and the
// auditor learns nothing of the record by one.
func TestAttackDetoursToTheRecordOfAccess(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	c.do(t, c.a1, get("Condition?patient=q&code=74400008").with("X-Request-Id", "probe-me")).want(t, http.StatusOK)
	c.do(t, c.a1, get("Condition/c-q")).want(t, http.StatusOK)
	for _, query := range []string{
		"AuditEvent?agent:PractitionerRole._id=a1", "AuditEvent?agent:PractitionerRole.organization=Organization/a", "AuditEvent?entity:Condition.code=74400008", "AuditEvent?entity:missing=false&altid:missing=false",
		"AuditEvent?_content=a1", "AuditEvent?_content=probe-me", "AuditEvent?_filter=agent%20re%20PractitionerRole/a1", "AuditEvent?_filter=address%20eq%20%22127.0.0.1%22", "PractitionerRole?_has:AuditEvent:agent:action=R",
		"PractitionerRole?_has:AuditEvent:agent:patient=Patient/q", "Practitioner?_has:AuditEvent:agent:patient=Patient/q", "Condition?_has:AuditEvent:entity:action=E",
		"PractitionerRole?_has:AuditEvent:agent:_has:AuditEvent:entity:action=R",
	} {
		a := c.do(t, c.appQ, get(query))
		if a.status == http.StatusOK && len(a.ids(t)) != 0 {
			t.Errorf("the patient: %s finds %v", query, a.ids(t))
		}
	}
	for _, query := range []string{"AuditEvent?patient=q&_include=*&_include:iterate=*", "PractitionerRole?_id=a1&_revinclude=AuditEvent:agent", "AuditEvent?patient=q&_include=AuditEvent:agent", "AuditEvent?patient=q&_sort=agent,-altid&_elements=agent"} {
		for _, id := range everyID(t, c.do(t, c.appQ, get(query)).hides(t, "probe-me")) {
			if strings.HasPrefix(id, "Practitioner/") || id == "PractitionerRole/a1" && !strings.HasPrefix(query, "PractitionerRole") {
				t.Errorf("the patient: %s brings %s", query, id)
			}
		}
	}
	for _, query := range []string{
		"AuditEvent?patient=q&_include=*&_include:iterate=*&_revinclude=*", "AuditEvent?entity:Condition.code=74400008", "AuditEvent?patient:Patient.name=Lowe", "AuditEvent?patient.address-city=" + secret, "PractitionerRole?_has:Encounter:participant:status=finished",
		"Organization?_has:Patient:general-practitioner:gender=female", "Organization?_id=a&_revinclude=*", "Practitioner?_id=dr-b&_revinclude=AllergyIntolerance:recorder", "?_type=Condition,AuditEvent&_content=" + secret, "?_id=c-q,a-q,q",
	} {
		a := c.do(t, c.auditor, get(query))
		said := a
		// What the auditor itself asks by is in the links, and in the event of its asking.
		said.body = ownQuery.ReplaceAll(linksPattern.ReplaceAll(a.body, nil), nil)
		said.hides(t, secret)
		if a.status != http.StatusOK {
			continue
		}
		for _, id := range everyID(t, a) {
			kind, _, _ := strings.Cut(id, "/")
			if id == "Patient/q" && strings.Contains(query, "patient=q&_include=") && !strings.Contains(string(a.body), "birthDate") {
				continue // of whom the events are, by the number alone
			}
			if slices.Contains([]string{"Patient", "Condition", "Observation", "AllergyIntolerance", "Immunization", "MedicationRequest", "EpisodeOfCare"}, kind) {
				t.Errorf("the auditor: %s brings %s", query, id)
			}
		}
		if (strings.Contains(query, "entity:") || strings.Contains(query, "patient:") || strings.Contains(query, "patient.") || strings.Contains(query, "_has:")) && len(a.ids(t)) != 0 {
			t.Errorf("the auditor: %s finds %d", query, len(a.ids(t)))
		}
	}
	if got := c.do(t, c.auditor, get("AuditEvent?patient=q&agent:PractitionerRole._id=a1")).want(t, http.StatusOK).ids(t); len(got) == 0 {
		t.Error("the auditor finds no event by a chain to the directory")
	}
	if got := c.do(t, c.appQ, get("Condition?patient.gender=female&_include=Condition:subject")).want(t, http.StatusOK); !slices.Contains(everyID(t, got), "Patient/q") {
		t.Errorf("the patient's own chain brings %v", everyID(t, got))
	}
}

// A system contributes; it searches by no form, and learns nothing by the
// condition of a write that leads elsewhere.
func TestAttackSystemsSearchByNoForm(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	for _, query := range []string{"Observation?patient.name=Lowe", "?_type=Observation", "?_id=o-q", "Patient?_has:Observation:patient:code=29463-7", "Organization?_id=a&_revinclude=*", "Patient/q/Observation"} {
		if a := c.do(t, c.systemA, get(query)).hides(t, secret); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	body := encode(t, without(observation("q", ""), "id"))
	for known, unknown := range map[string]string{
		"patient.name=Lowe": "patient.name=Nobody", "patient.identifier=S1234567D": "patient.identifier=S7654321D", "_has:List:item:status=current": "_has:List:item:status=retired",
		"patient._has:Condition:patient:code=74400008": "patient._has:Condition:patient:code=none", "_filter=patient.name%20co%20%22low%22": "_filter=patient.name%20co%20%22now%22", "_content=Penicillin": "_content=Nothing",
	} {
		for _, r := range []func(string) request{
			func(q string) request { return send(http.MethodPost, "Observation", body).with("If-None-Exist", q) },
			func(q string) request { return request{method: http.MethodDelete, path: "Observation?" + q} },
		} {
			x, y := c.do(t, c.systemB, r(known)), c.do(t, c.systemB, r(unknown))
			if x.status != y.status {
				t.Errorf("%s: %d for what is on file and %d for what is not\n%s", known, x.status, y.status, x.body)
			}
		}
	}
	c.full(t, c.a1, "q")
}

// ownQuery is the description of an event of somebody's question.
var ownQuery = regexp.MustCompile(`"description":"GET /fhir/AuditEvent[^"]*"`)
