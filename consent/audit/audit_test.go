package audit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/audit/balptest"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/smart"
	"vitrine/fhir/validate"
)

var update = flag.Bool("update", false, "write the golden files anew")

func doctor() audit.Agent {
	return audit.Agent{
		Kind: consent.Practitioner, Issuer: "https://as.example", Subject: "sub-778", Client: "emr", TokenID: "9f1c",
		User: "PractitionerRole/pr1", Practitioner: "Practitioner/dr1", Name: "Dr Tan", Organization: "a", Purpose: consent.Treatment,
		Roles:   []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/practitioner-role", Code: "doctor"}},
		Address: "203.0.113.9",
	}
}

// events are one of each recipe of DOSSIER §3.4.
func events() map[string]audit.Event {
	at := time.Date(2026, 9, 1, 2, 11, 7, 123e6, time.UTC)
	grant := "urn:uuid:5a0e3d5e-0000-4000-8000-000000000001"
	plain := audit.Event{
		ID: [16]byte{1, 2, 3}, Recorded: at, Kind: audit.KindRest, Patient: "p1", Agent: doctor(),
		RequestID: "req-1", Site: "nehr.example", Observer: "nehr-fhir-1",
	}
	make := func(change func(*audit.Event)) audit.Event {
		e := plain
		change(&e)
		return e
	}
	patient := audit.Agent{Kind: consent.Patient, Issuer: "https://as.example", Subject: "s", Client: "app", User: "Patient/p1", Purpose: consent.PatientRequest, Address: "203.0.113.7"}
	system := audit.Agent{Kind: consent.System, Issuer: "https://as.example", Subject: "lab", Client: "lab", TokenID: "t", Organization: "b", Purpose: consent.Treatment, Address: "203.0.113.8"}
	return map[string]audit.Event{
		"read": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Level, e.Reason = "read", audit.ActionRead, consent.Full, consent.ReasonUnrestricted
			e.Entities = []string{"Observation/o1/_history/3"}
		}),
		"read-cluster": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Level, e.Agent.Cluster = "read", audit.ActionRead, consent.Full, "east"
			e.Entities = []string{"Observation/o1/_history/3"}
		}),
		"search": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Level, e.Reason = "search-type", audit.ActionExecute, consent.Basic, consent.ReasonRestricted
			e.Query, e.Consents, e.BasicSet = "GET /fhir/Observation?patient=p1\nAccept: application/fhir+json", []string{"Consent/c1/_history/2"}, "nehr-basic/1"
		}),
		"search-nobody": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Patient, e.Query = "search-type", audit.ActionExecute, "", "GET /fhir/Patient?identifier=x"
		}),
		"create": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Agent, e.Entities = "create", audit.ActionCreate, system, []string{"Observation/o2/_history/1"}
		}),
		"read-labelled": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Level, e.Entities = "vread", audit.ActionRead, consent.Full, []string{"Observation/o1/_history/3"}
			e.Labels = []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/v3-ActCode", Code: "HIV"}, {System: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", Code: "R"}}
		}),
		"read-nobody": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Patient, e.Entities = "read", audit.ActionRead, "", []string{"Organization/a/_history/1"}
		}),
		"update-nobody": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Patient, e.Entities = "patch", audit.ActionUpdate, "", []string{"Organization/a/_history/2"}
		}),
		"transaction": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Query = "transaction", audit.ActionExecute, "POST /fhir/"
			e.Entities = []string{"Observation/o1/_history/1", "Observation/o2/_history/1"}
		}),
		"decision": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Outcome = audit.KindDecision, "read", audit.ActionExecute, audit.OutcomeMinor
			e.Level, e.Reason, e.Consents = consent.Basic, consent.ReasonRestricted, []string{"Consent/c1/_history/2"}
		}),
		"audit-read": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Patient = audit.KindAuditUse, "read", audit.ActionRead, ""
			e.Agent = audit.Agent{Kind: consent.Regulator, Issuer: "https://as.example", Subject: "auditor", TokenID: "t9", Client: "moh", Purpose: consent.AuditReview, Address: "203.0.113.1"}
			e.Entities = []string{"AuditEvent/0191f2c4-0000-7000-8000-000000000001"}
		}),
		"update": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Entities = "update", audit.ActionUpdate, []string{"Observation/o2/_history/2"}
		}),
		"delete": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Entities = "delete", audit.ActionDelete, []string{"Observation/o2"}
		}),
		"everything": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Level, e.Agent = "$everything", audit.ActionExecute, consent.Self, patient
			e.Query = "GET /fhir/Patient/p1/$everything"
		}),
		"denied": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Outcome, e.Reason = "read", audit.ActionRead, audit.OutcomeMinor, "purpose-excluded"
			e.Patient, e.Query, e.Agent.Purpose = "", "GET /fhir/AllergyIntolerance/a1", consent.Insurance
		}),
		"break-glass-start": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Grant = audit.KindBreakGlassStart, "$break-glass", audit.ActionExecute, grant
			e.Agent.Purpose, e.Consents = consent.BreakGlass, []string{"Consent/c1/_history/2"}
			e.Glass = audit.Glass{Reason: "OVRER", Threat: "life", Justification: "GCS 6, \"unknown\" medication", Start: at, End: at.Add(4 * time.Hour)}
		}),
		"break-glass-use": make(func(e *audit.Event) {
			e.Interaction, e.Action, e.Level, e.Grant, e.Reason = "vread", audit.ActionRead, consent.Full, grant, consent.ReasonBreakGlass
			e.Entities, e.Consents = []string{"Condition/c9/_history/1"}, []string{"Consent/c1/_history/2"}
		}),
		"break-glass-stop": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Grant = audit.KindBreakGlassStop, "$break-glass-stop", audit.ActionExecute, grant
			e.Glass = audit.Glass{Start: at, End: at.Add(time.Hour), Count: 7}
		}),
		"consent-change": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Agent = audit.KindConsentChange, "update", audit.ActionUpdate, patient
			e.Entities, e.Before = []string{"Consent/c1/_history/2"}, "Consent/c1/_history/1"
		}),
		"audit-use": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Patient = audit.KindAuditUse, "search-type", audit.ActionExecute, ""
			e.Agent = audit.Agent{Kind: consent.Regulator, Issuer: "https://as.example", Subject: "auditor", Client: "moh", Purpose: consent.AuditReview, Address: "203.0.113.1"}
			e.Query = "GET /fhir/AuditEvent?subtype=x"
		}),
		"directive": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Patient, e.Entities = audit.KindDirective, "create", audit.ActionCreate, "", []string{"Basic/d1/_history/1"}
			e.Reason = "proposed"
		}),
		"role-change": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Patient, e.Entities = audit.KindRoleChange, "update", audit.ActionUpdate, "", []string{"PractitionerRole/x/_history/2"}
		}),
		"onboarding": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Patient = audit.KindOnboarding, "update", audit.ActionUpdate, ""
			e.Entities, e.Before = []string{"Device/d1/_history/2"}, "Device/d1/_history/1"
		}),
		"export": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Agent, e.Level = audit.KindExport, "$export", audit.ActionRead, patient, consent.Self
			e.Query = "GET /fhir/Patient/p1/$export?_type=Observation"
		}),
		"review": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action = audit.KindReview, "update", audit.ActionUpdate
			e.Agent = audit.Agent{Kind: consent.Regulator, Issuer: "https://as.example", Subject: "auditor", Client: "moh", Purpose: consent.AuditReview, Address: "203.0.113.1"}
			e.Entities, e.Before = []string{"Task/t1/_history/2"}, "Task/t1/_history/1"
		}),
		"notice": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Agent = audit.KindNotice, "notice", audit.ActionExecute, audit.Agent{Kind: consent.Custodian, Client: "nehr-fhir-1"}
			e.Entities = []string{"Communication/n1/_history/1"}
		}),
		"sign-in": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action = audit.KindAuthentication, smart.EventSignIn, audit.ActionExecute
			e.Agent = audit.Agent{Kind: consent.Patient, Issuer: "https://nehr.example/fhir", Subject: "account-1", Client: "app", User: "Patient/p1", Address: "203.0.113.7"}
		}),
		"sign-in-failed": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Patient = audit.KindAuthentication, smart.EventSignIn, audit.ActionExecute, ""
			e.Outcome, e.Reason, e.Agent = audit.OutcomeMinor, "password", audit.Agent{Address: "203.0.113.7"}
		}),
		"sign-out": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Patient = audit.KindAuthentication, smart.EventSignOut, audit.ActionExecute, ""
		}),
		"authorize": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action = audit.KindAuthentication, smart.EventAuthorize, audit.ActionExecute
		}),
		"token": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Agent, e.Patient = audit.KindAuthentication, smart.EventToken, audit.ActionExecute, system, ""
			e.Query = "POST /auth/token\ngrant_type=client_credentials"
		}),
		"token-person": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Patient = audit.KindAuthentication, smart.EventToken, audit.ActionExecute, ""
			e.Agent = audit.Agent{Kind: consent.Regulator, Issuer: "https://as.example", Subject: "auditor", TokenID: "t9", Client: "moh", User: "Practitioner/m1", Address: "203.0.113.1"}
			e.Query = "POST /auth/token\ngrant_type=authorization_code"
		}),
		"token-refused": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Agent, e.Patient = audit.KindAuthentication, smart.EventToken, audit.ActionExecute, system, ""
			e.Outcome, e.Reason = audit.OutcomeMinor, "client-suspended"
		}),
		"launch": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action = audit.KindAuthentication, smart.EventLaunch, audit.ActionExecute
		}),
		"revoke": make(func(e *audit.Event) {
			e.Kind, e.Interaction, e.Action, e.Agent, e.Patient = audit.KindAuthentication, smart.EventRevoke, audit.ActionExecute, system, ""
		}),
		"bare": {Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Recorded: at},
	}
}

// TestEventsAsAuditEvents compares both editions of every recipe with golden
// files and holds them against R4.
func TestEventsAsAuditEvents(t *testing.T) {
	defs, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	v := validate.New(defs)
	for name, e := range events() {
		for edition, suffix := range map[consent.Edition]string{consent.EditionFull: "full", consent.EditionBasic: "basic"} {
			got := e.AppendJSON([]byte(nil), "e1", edition)
			file := filepath.Join("testdata", name+"."+suffix+".json")
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, got, "", "  "); err != nil {
				t.Fatalf("%s: %v\n%s", file, err, got)
			}
			pretty.WriteByte('\n')
			if *update {
				if err := os.WriteFile(file, pretty.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
			var tape fhir.Tape
			if err := tape.Parse(got, fhir.Limits{}); err != nil {
				t.Fatal(err)
			}
			if issues := v.Check(&tape, validate.How{}); len(issues) > 0 {
				t.Errorf("%s: %+v", file, issues)
			}
			if edition != consent.EditionFull {
				continue
			}
			for _, wrong := range balptest.Check(got) {
				t.Errorf("%s: %s", file, wrong)
			}
		}
	}
}

// TestPatientsEditionTellsNothingMore looks for what DOSSIER §3.5 withholds.
func TestPatientsEditionTellsNothingMore(t *testing.T) {
	for name, e := range events() {
		got := string(e.AppendJSON(nil, "e1", consent.EditionBasic))
		for _, secret := range []string{
			"203.0.113", "9f1c", "sub-778", "Dr Tan", "PractitionerRole/pr1", "Practitioner/dr1", "GCS", "OVRER", "GET ", base64.StdEncoding.EncodeToString([]byte("GET ")),
			"Consent/c1", "Observation/o1", "restricted", "urn:uuid", "req-1", "emr\"", "network", "policy", "outcomeDesc",
		} {
			if strings.Contains(got, secret) {
				t.Errorf("%s shows %q: %s", name, secret, got)
			}
		}
		if e.Patient != "" && !strings.Contains(got, `"what":{"reference":"Patient/p1"}`) {
			t.Errorf("%s cannot be found by its patient: %s", name, got)
		}
	}
	e := events()["break-glass-use"]
	got := string(e.AppendJSON(nil, "e1", consent.EditionBasic))
	for _, told := range []string{`"Organization/a"`, `"doctor"`, `"BTG"`, `"break-glass-use"`, `"full"`, `"2026-09-01T02:11:07.123Z"`} {
		if !strings.Contains(got, told) {
			t.Errorf("the patient is not told %s: %s", told, got)
		}
	}
}

// TestAClusterStandsForItsParts: the patient's edition names it alone, and the full
// one does not know it.
func TestAClusterStandsForItsParts(t *testing.T) {
	e := events()["read-cluster"]
	for edition, want := range map[consent.Edition][2]string{
		consent.EditionBasic: {`"Organization/east"`, `"Organization/a"`}, consent.EditionFull: {`"Organization/a"`, "east"},
	} {
		got := string(e.AppendJSON(nil, "e1", edition))
		if !strings.Contains(got, want[0]) || strings.Contains(got, want[1]) {
			t.Errorf("edition %d: want %s and never %s: %s", edition, want[0], want[1], got)
		}
	}
}

// TestReadsAndQueriesReverseTheirParties is the classic mistake of DOSSIER §3.2.
func TestReadsAndQueriesReverseTheirParties(t *testing.T) {
	for name, want := range map[string][2]string{
		"read": {"110152", "110153"}, "search": {"110153", "110152"}, "create": {"110153", "110152"},
		"update": {"110153", "110152"}, "delete": {"110150", "custodian"},
	} {
		e := events()[name]
		var doc struct {
			Agent []struct {
				Type      struct{ Coding []fhir.Coding }
				Who       struct{ Identifier fhir.Identifier }
				Requestor bool
			}
		}
		if err := json.Unmarshal(e.AppendJSON(nil, "e1", consent.EditionFull), &doc); err != nil {
			t.Fatal(err)
		}
		got, requestors := map[string]string{}, 0
		for _, a := range doc.Agent {
			got[a.Who.Identifier.Value] = a.Type.Coding[0].Code
			if a.Requestor {
				requestors++
			}
		}
		if got[e.Agent.Client] != want[0] || got[e.Observer] != want[1] || requestors != 1 {
			t.Errorf("%s: %v with %d requestors, want client %s and server %s", name, got, requestors, want[0], want[1])
		}
	}
}

func TestRecordsComeBackWhole(t *testing.T) {
	for name, e := range events() {
		record := e.AppendBinary(nil)
		got, err := audit.Decode(record)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for n := range record {
			if _, err := audit.Decode(record[:n]); !errors.Is(err, audit.ErrRecord) {
				t.Fatalf("%s cut at %d: %v", name, n, err)
			}
		}
		if _, err := audit.Decode(append(record, 0)); !errors.Is(err, audit.ErrRecord) {
			t.Errorf("%s with a byte too many: %v", name, err)
		}
		record[0]++
		if _, err := audit.Decode(record); !errors.Is(err, audit.ErrRecord) {
			t.Errorf("%s of another version: %v", name, err)
		}
	}
}

// FuzzDecode: what is read is written again the same way, and both editions of
// it are JSON.
func FuzzDecode(f *testing.F) {
	for _, e := range events() {
		f.Add(e.AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := audit.Decode(record)
		if err != nil {
			return
		}
		again, err := audit.Decode(e.AppendBinary(nil))
		if err != nil {
			t.Fatalf("%v: %+v", err, e)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatal(diff)
		}
		for _, edition := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
			if doc := e.AppendJSON(nil, "e1", edition); !json.Valid(doc) {
				t.Fatalf("%s", doc)
			}
		}
	})
}

func BenchmarkAppendBinary(b *testing.B) {
	e := events()["read"]
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendBinary(buf[:0])
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkAppendJSON(b *testing.B) {
	e := events()["search"]
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendJSON(buf[:0], "e1", consent.EditionFull)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}
