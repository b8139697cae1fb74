package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/fhir/smart"
)

func TestChoresGoOnUntilTheyAreEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var rounds []time.Duration
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			each(ctx, 10*time.Second, func(now time.Time) { rounds = append(rounds, now.Sub(start)) })
		}()
		time.Sleep(35 * time.Second)
		cancel()
		<-done
		time.Sleep(time.Minute)
		if len(rounds) != 3 || rounds[0] != 10*time.Second || rounds[2] != 30*time.Second {
			t.Errorf("rounds at %v, want 10s, 20s, 30s", rounds)
		}
	})
}

// TestTheEndOfAGrantIsRecorded breaks the glass for a second and does not stop:
// the record says all the same that it ended.
func TestTheEndOfAGrantIsRecorded(t *testing.T) {
	s := serveWith(t, t.TempDir(), func(c *settings) { c.GrantTTL = time.Second })
	for _, r := range []string{
		`Organization/a {"resourceType":"Organization","id":"a","active":true,"name":"Clinic A"}`,
		`Practitioner/dr {"resourceType":"Practitioner","id":"dr","active":true}`,
		`PractitionerRole/dr {"resourceType":"PractitionerRole","id":"dr","active":true,"practitioner":{"reference":"Practitioner/dr"},"organization":{"reference":"Organization/a"},` +
			`"code":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/practitioner-role","code":"doctor"}]}]}`,
		`Patient/p ` + patient,
		`EpisodeOfCare/p {"resourceType":"EpisodeOfCare","id":"p","status":"active","patient":{"reference":"Patient/p"},"managingOrganization":{"reference":"Organization/a"}}`,
	} {
		path, body, _ := strings.Cut(r, " ")
		if status, text := s.ask(t, "PUT", path, body); status != http.StatusCreated {
			t.Fatal(status, text)
		}
	}
	doctor := tokenRequest{Kind: smart.KindPractitioner, User: "PractitionerRole/dr", Org: "Organization/a"}
	status, text := s.askAs(t, doctor, "POST", "Patient/p/$break-glass", `{"resourceType":"Parameters","parameter":[
		{"name":"reason","valueCoding":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OVRER"}},
		{"name":"justification","valueString":"found unconscious at home"},{"name":"threat","valueCode":"life"}]}`)
	if status != http.StatusCreated {
		t.Fatal(status, text)
	}
	stops := "AuditEvent?_summary=count&subtype=" + url.QueryEscape("http://dicom.nema.org/resources/ontology/DCM|110138")
	waitFor(t, func() bool {
		_, text = s.askAs(t, tokenRequest{Kind: smart.KindRegulator}, "GET", stops, "")
		return strings.Contains(text, `"total":1`)
	})
}
