package audit_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/audit/balptest"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/smart"
	"vitrine/fhir/validate"
)

// drawEvent makes events of every kind by every kind of agent, also those that
// nothing makes today.
func drawEvent(t *rapid.T) audit.Event {
	text := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	e := audit.Event{
		Recorded: time.UnixMilli(1_700_000_000_000).UTC(),
		Kind:     audit.Kind(rapid.Uint8Range(1, uint8(audit.KindDecision)).Draw(t, "kind")),
		Interaction: text("interaction", "read", "vread", "create", "update", "patch", "delete", "search-type", "search-system", "search-compartment",
			"history-instance", "history-type", "history-system", "batch", "transaction", "$everything", "$break-glass", "$export",
			smart.EventSignIn, smart.EventSignOut, smart.EventToken, smart.EventAuthorize, smart.EventLaunch, smart.EventRevoke),
		Action:    rapid.SampledFrom([]audit.Action{'C', 'R', 'U', 'D', 'E'}).Draw(t, "action"),
		Outcome:   rapid.SampledFrom([]audit.Outcome{audit.OutcomeSuccess, audit.OutcomeSuccess, audit.OutcomeMinor, audit.OutcomeSerious}).Draw(t, "outcome"),
		Reason:    text("reason", "", "restricted"),
		Patient:   text("patient", "", "p1"),
		Level:     rapid.SampledFrom([]consent.Level{consent.None, consent.Basic, consent.Full, consent.Self}).Draw(t, "level"),
		Entities:  rapid.SliceOfN(rapid.SampledFrom([]string{"Observation/o/_history/1", "Consent/c/_history/2"}), 0, 2).Draw(t, "entities"),
		Before:    text("before", "", "Observation/o/_history/1"),
		Query:     text("query", "", "GET /fhir/Observation?code=x\nAccept: */*\n", "\x00\n", "POST /auth/token\ngrant_type=x"),
		RequestID: text("request", "", "r1"), Grant: text("grant", "", "urn:uuid:0b0e43c9-29bb-4b53-a3b3-2f0a0a0d6a11"),
		Consents: rapid.SliceOfN(rapid.Just("Consent/c/_history/1"), 0, 2).Draw(t, "consents"),
		BasicSet: text("basic", "", "nehr-basic/1"), Site: text("site", "", "vitrine"), Observer: text("observer", "", "vitrine"),
	}
	e.Agent = audit.Agent{
		Kind:   consent.Kind(rapid.Uint8Range(0, uint8(consent.Custodian)).Draw(t, "agent")),
		Issuer: "https://idp.example", Subject: text("subject", "", "s"), Client: text("client", "", "emr"), TokenID: text("jti", "", "j1"),
		User: text("user", "", "PractitionerRole/dr", "Patient/p1"), Practitioner: text("practitioner", "", "Practitioner/dr"), Name: text("name", "", "Dr"),
		Organization: text("organization", "", "a"), Address: text("address", "", "10.0.0.1"), Purpose: consent.Purpose(rapid.Uint8Range(0, 8).Draw(t, "purpose")),
	}
	e.Agent.Cluster = text("cluster", "", "east")
	if rapid.Bool().Draw(t, "roles") {
		e.Agent.Roles = []fhir.Coding{{System: "http://snomed.info/sct", Code: "309343006"}}
	}
	if rapid.Bool().Draw(t, "labels") {
		e.Labels = []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/v3-ActCode", Code: "HIV"}}
	}
	if rapid.Bool().Draw(t, "glass") {
		e.Glass = audit.Glass{Reason: "OVRER", Threat: "life", Justification: "because", Start: e.Recorded, End: e.Recorded.Add(time.Hour), Count: 2}
	}
	return e
}

// TestEveryEventIsValid: whatever an event says, both editions are R4, what the
// full one claims it satisfies, what it satisfies it claims, and the record of it
// comes back whole.
func TestEveryEventIsValid(t *testing.T) {
	defs, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	v := validate.New(defs)
	claimed := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		back, err := audit.Decode(e.AppendBinary(nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, edition := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
			doc := e.AppendJSON(nil, "e1", edition)
			if diff := cmp.Diff(string(doc), string(back.AppendJSON(nil, "e1", edition))); diff != "" {
				t.Fatalf("the record says something else (-want +got):\n%s", diff)
			}
			var tape fhir.Tape
			if err := tape.Parse(doc, fhir.Limits{}); err != nil {
				t.Fatalf("%v\n%s", err, doc)
			}
			if issues := v.Check(&tape, validate.How{}); len(issues) > 0 {
				t.Fatalf("%+v\n%s", issues, doc)
			}
			if edition == consent.EditionBasic {
				continue
			}
			if wrong := balptest.Check(doc); len(wrong) > 0 {
				t.Fatalf("%s\n%s", strings.Join(wrong, "\n"), doc)
			}
			for _, p := range balptest.Claims(doc) {
				claimed[p]++
			}
		}
	})
}

// TestEveryProfileIsClaimed: the recipes of DOSSIER §3.4 between them have the
// shape of each profile of the table.
func TestEveryProfileIsClaimed(t *testing.T) {
	claimed := map[string]bool{}
	for name, e := range nobodysToo() {
		doc := e.AppendJSON(nil, "e1", consent.EditionFull)
		for _, wrong := range balptest.Check(doc) {
			t.Errorf("%s: %s", name, wrong)
		}
		for _, p := range balptest.Claims(doc) {
			claimed[p] = true
		}
	}
	for _, name := range balptest.Names() {
		if !claimed[name] {
			t.Errorf("no recipe has the shape of %s", name)
		}
	}
}

// nobodysToo are the recipes, each also where it concerns no patient.
func nobodysToo() map[string]audit.Event {
	out := events()
	for name, e := range events() {
		e.Patient = ""
		out[name+", nobody's"] = e
	}
	return out
}

// TestTheRulesBite: each thing that a profile asks for is missed when it is taken
// away or turned round.
func TestTheRulesBite(t *testing.T) {
	for _, row := range []struct {
		event, profile, take, put string
	}{
		{"read", "IHE.BasicAudit.PatientRead", `"code":"110152"`, `"code":"110153"`},
		{"read", "IHE.BasicAudit.PatientRead", `"action":"R"`, `"action":"E"`},
		{"read", "IHE.BasicAudit.PatientRead", `"outcome":"0"`, `"outcome":"4"`},
		{"read", "IHE.BasicAudit.PatientRead", `"code":"read"`, `"code":"update"`},
		{"read", "IHE.BasicAudit.PatientRead", `"network":{"address":"203.0.113.9","type":"2"}`, `"altId":"x"`},
		{"read", "IHE.BasicAudit.PatientRead", `"reference":"Patient/p1"`, `"display":"p1"`},
		{"read", "IHE.BasicAudit.PatientRead", `"code":"XrequestId"`, `"code":"2","system":"http://terminology.hl7.org/CodeSystem/audit-entity-type"`},
		{"read", "IHE.BasicAudit.OAUTHaccessTokenUse.Minimal", `"policy":["urn:ietf:params:oauth:jti:9f1c"]`, `"policy":["9f1c"]`},
		{"read", "IHE.BasicAudit.OAUTHaccessTokenUse.Comprehensive", `"code":"110150"`, `"code":"110151"`},
		{"read", "IHE.BasicAudit.OAUTHaccessTokenUse.Comprehensive", `"system":"https://as.example",`, ``},
		{"search", "IHE.BasicAudit.PatientQuery", `"code":"24"`, `"code":"4"`},
		{"search", "IHE.BasicAudit.PatientQuery", `"query":"`, `"name":"`},
		{"create", "IHE.BasicAudit.PatientCreate", `"code":"110153"`, `"code":"110152"`},
		{"update", "IHE.BasicAudit.PatientUpdate", `"code":"AUT"`, `"code":"IRCP"`},
		{"delete", "IHE.BasicAudit.PatientDelete", `"code":"custodian"`, `"code":"performer"`},
		{"decision", "IHE.BasicAudit.AuthZconsent", `"code":"authserver"`, `"code":"authz"`},
		{"decision", "IHE.BasicAudit.AuthZconsent", `"code":"Consent"`, `"code":"Contract"`},
		{"export", "IHE.BasicAudit.PrivacyDisclosure.Source", `"code":"disclose"`, `"code":"access"`},
		{"token-person", "IHE.IUA.71", `"code":"ITI-71"`, `"code":"ITI-72"`},
	} {
		e := events()[row.event]
		doc := string(e.AppendJSON(nil, "e1", consent.EditionFull))
		if wrong := balptest.Check([]byte(doc)); len(wrong) > 0 || !slices.Contains(balptest.Claims([]byte(doc)), row.profile) {
			t.Errorf("%s as it is: %v", row.event, wrong)
		}
		spoilt := strings.Replace(doc, row.take, row.put, 1)
		if spoilt == doc {
			t.Errorf("%s has no %s", row.event, row.take)
		}
		wrong := balptest.Check([]byte(spoilt))
		if !slices.ContainsFunc(wrong, func(w string) bool { return strings.HasPrefix(w, row.profile+":") }) {
			t.Errorf("%s with %s for %s: %v", row.event, row.put, row.take, wrong)
		}
	}
}

// TestRecordsOfBefore: a record as it was written before events had labels, or a
// cluster, is still read.
func TestRecordsOfBefore(t *testing.T) {
	e := events()["read"]
	plain := e.AppendBinary(nil)
	if plain[0] != 1 || plain[1] != 0 {
		t.Errorf("version %d, flags %d: a record without labels and cluster is written as before", plain[0], plain[1])
	}
	e.Labels = []fhir.Coding{{System: "s", Code: "c"}}
	labelled := e.AppendBinary(nil)
	if string(labelled[2:len(plain)]) != string(plain[2:]) || labelled[1] != 2 {
		t.Errorf("labels follow what was there before: % x", labelled)
	}
	e.Agent.Cluster = "east"
	both := e.AppendBinary(nil)
	if string(both[2:]) != string(labelled[2:])+"\x04east" || both[1] != 6 {
		t.Errorf("the cluster follows what was there before: % x", both)
	}
	if _, err := audit.Decode(append(both[:len(labelled)], 0)); !errors.Is(err, audit.ErrRecord) {
		t.Errorf("a cluster that is said to be there and is none: %v", err)
	}
}

// TestQueriesAreDescribed: what a person reads of a query is its first line,
// without what a well-formed one does not have; the query itself is as it was.
func TestQueriesAreDescribed(t *testing.T) {
	for request, want := range map[string]string{
		"GET /fhir/Observation?patient=p1\nAccept: x": "GET /fhir/Observation?patient=p1",
		"GET /fhir/Observation?code=\x00\x1b[31mé":    "GET /fhir/Observation?code=[31m",
		"\x01": "",
	} {
		e := events()["search"]
		e.Query = request
		var doc struct {
			Entity []struct{ Query, Description string }
		}
		if err := json.Unmarshal(e.AppendJSON(nil, "e1", consent.EditionFull), &doc); err != nil {
			t.Fatal(err)
		}
		got, kept := "", ""
		for _, x := range doc.Entity {
			if x.Query != "" {
				raw, _ := base64.StdEncoding.DecodeString(x.Query)
				got, kept = x.Description, string(raw)
			}
		}
		if got != want || kept != request {
			t.Errorf("%q is described as %q and kept as %q, want %q", request, got, kept, want)
		}
	}
}
