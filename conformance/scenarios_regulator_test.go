package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// What the regulator finds, reviews and is alerted to: scenarios 40, 43, 50 and 97.

// numbers gives the people and organisations of the cast numbers of their own.
func (c *cast) numbers(t *testing.T) {
	t.Helper()
	for p, number := range map[string]string{"p": "S0000001I", "q": "S0000002G", "r": "S0000003E"} {
		c.put(t, with(person(p), "identifier", []any{object{"system": nric, "value": number}}))
	}
	for org, letter := range map[string]string{"a": "A", "b": "B"} {
		c.put(t, with(organization(org, ""), "identifier", []any{object{"system": "http://hci.example", "value": "200001" + letter}}))
		c.put(t, object{"resourceType": "Practitioner", "id": "dr-" + org, "active": true, "identifier": []any{object{"system": "http://smc.example", "value": "M12345" + letter}}})
	}
}

func TestScenario50TheAuditorFindsOverrides(t *testing.T) {
	c := newCast(t)
	c.numbers(t)
	c.breakGlass(t, c.a1, "p", "OVRER", emergency).want(t, http.StatusCreated)
	c.breakGlass(t, c.b1, "r", "OVRER", emergency).want(t, http.StatusCreated)
	start := "subtype=" + url.QueryEscape("http://dicom.nema.org/resources/ontology/DCM|110127")
	for _, row := range []struct {
		query string
		want  int
	}{
		{start, 2},
		{start + "&patient=p", 1},
		{start + "&patient=Patient/r", 1},
		{start + "&agent=PractitionerRole/a1", 1},
		{start + "&agent=PractitionerRole/nobody", 0},
		{start + "&date=ge2026-01-01", 2},
		{start + "&date=lt2026-01-01", 0},
		{start + "&purpose=BTG", 2},
		{start + "&purpose=PATRQT", 0},
		{start + "&patient.identifier=" + nric + "|S0000001I", 1},
		{start + "&patient:identifier=S0000003E", 1},
		{start + "&patient.identifier=S0000002G", 0},
		{start + "&entity.identifier=S0000001I", 1},
		{start + "&agent.identifier=http://smc.example|M12345A", 1},
		{start + "&agent:identifier=M12345B", 1},
		{start + "&agent.identifier=200001A", 1},
		{start + "&agent.identifier=M12345A&patient.identifier=S0000003E", 0},
		{start + "&source.identifier=vitrine", 2},
		{start + "&date=ge2026-01-01&agent.identifier=M12345A&patient.identifier=S0000001I&purpose=BTG", 1},
	} {
		if got := c.events(t, row.query); len(got) != row.want {
			t.Errorf("%s: %d events, want %d", row.query, len(got), row.want)
		}
	}
	for _, e := range c.events(t, start) {
		for _, name := range []string{"reason", "threat", "justification", "expires"} {
			if !strings.Contains(string(encode(t, e)), `"type":"`+name+`"`) {
				t.Errorf("an override without its %s: %v", name, e)
			}
		}
	}
	first := c.do(t, c.auditor, get("AuditEvent?"+start+"&patient=p&_include=*")).want(t, http.StatusOK).hides(t, secret, "birthDate", "Lowe")
	var with []string
	for _, e := range list(decode(t, first.body), "entry") {
		if text(e, "search", "mode") == "include" {
			with = append(with, text(e, "resource", "resourceType")+"/"+text(e, "resource", "id"))
		}
	}
	if slices.Sort(with); !slices.Equal(with, []string{"Organization/a", "Patient/p", "PractitionerRole/a1"}) {
		t.Errorf("with an override come %v", with)
	}
	if got := c.do(t, c.auditor, get("Condition?patient=p")).hides(t, secret).ids(t); len(got) != 0 {
		t.Errorf("the auditor sees clinical data: %v", got)
	}
	if a := c.do(t, c.auditor, get("Patient/p")).hides(t, secret); a.status != http.StatusNotFound && a.status != http.StatusForbidden {
		t.Errorf("the auditor reads a Patient: %d", a.status)
	}
}
