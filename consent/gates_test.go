package consent_test

import (
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

func doctor() (*consent.Caller, *consent.Standing) {
	return &consent.Caller{
			Kind: consent.Practitioner, ByHand: true, Client: "emr", Organization: "a", Practitioner: "Practitioner/x",
			Purpose: consent.Treatment, Scopes: smart.ParseScopes("user/*.cruds"),
		}, &consent.Standing{
			Client: consent.ClientUnlisted, OrganizationActive: true, OrganizationMay: consent.Capabilities{Read: true, Contribute: true},
			Role: consent.Role{
				Active: true, Organization: "a", Practitioner: "Practitioner/x",
				Codes: []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/practitioner-role", Code: "doctor"}},
			},
		}
}

func TestGatesAdmitADoctorAndNameEachRefusal(t *testing.T) {
	read := consent.Ask{Letter: 'r', Type: "Condition"}
	c, s := doctor()
	if v := (consent.Policy{}).Admit(c, s, read, noon); !v.Admitted || v.Confined || v.Refusal != "" {
		t.Fatalf("the permit beside the denials: %+v", v)
	}
	for _, row := range []struct {
		name    string
		change  func(*consent.Caller, *consent.Standing)
		refusal consent.Refusal
		reason  string
	}{
		{"nobody", func(c *consent.Caller, _ *consent.Standing) { c.Kind = consent.Nobody }, consent.RefusedClient, "unknown-caller"},
		{"client not looked up", func(_ *consent.Caller, s *consent.Standing) { s.Client = 0 }, consent.RefusedClient, "client-unknown"},
		{"client suspended", func(_ *consent.Caller, s *consent.Standing) { s.Client = consent.ClientSuspended }, consent.RefusedClient, "client-suspended"},
		{"no organisation", func(c *consent.Caller, _ *consent.Standing) { c.Organization = "" }, consent.RefusedClient, "organization-missing"},
		{"organisation inactive", func(_ *consent.Caller, s *consent.Standing) { s.OrganizationActive = false }, consent.RefusedClient, "organization-not-onboarded"},
		{"directive", func(_ *consent.Caller, s *consent.Standing) { s.Blocked = true }, consent.RefusedBlocked, "directive"},
		{"no scope", func(c *consent.Caller, _ *consent.Standing) { c.Scopes = smart.Scopes{} }, consent.RefusedScope, "scope"},
		{"scope of another type", func(c *consent.Caller, _ *consent.Standing) { c.Scopes = smart.ParseScopes("user/Observation.rs") }, consent.RefusedScope, "scope"},
		{"no role", func(_ *consent.Caller, s *consent.Standing) { s.Role = consent.Role{} }, consent.RefusedRole, "role-missing"},
		{"role elsewhere", func(_ *consent.Caller, s *consent.Standing) { s.Role.Organization = "b" }, consent.RefusedRole, "role-elsewhere"},
		{"role of another", func(_ *consent.Caller, s *consent.Standing) { s.Role.Practitioner = "Practitioner/y" }, consent.RefusedRole, "role-of-another"},
		{"role inactive", func(_ *consent.Caller, s *consent.Standing) { s.Role.Active = false }, consent.RefusedRole, "role-inactive"},
		{"role ended", func(_ *consent.Caller, s *consent.Standing) { s.Role.Period.Until = noon.Add(-time.Minute) }, consent.RefusedRole, "role-ended"},
		{"role not begun", func(_ *consent.Caller, s *consent.Standing) { s.Role.Period.From = noon.Add(time.Minute) }, consent.RefusedRole, "role-ended"},
		{"receptionist", func(_ *consent.Caller, s *consent.Standing) {
			s.Role.Codes = []fhir.Coding{{System: "http://snomed.info/sct", Code: "159483005"}}
		}, consent.RefusedRole, "role-not-eligible"},
		{"right code, wrong system", func(_ *consent.Caller, s *consent.Standing) { s.Role.Codes = []fhir.Coding{{Code: "doctor"}} }, consent.RefusedRole, "role-not-eligible"},
		{"no code", func(_ *consent.Caller, s *consent.Standing) { s.Role.Codes = nil }, consent.RefusedRole, "role-not-eligible"},
		{"no purpose", func(c *consent.Caller, _ *consent.Standing) { c.Purpose = 0 }, consent.RefusedPurpose, "purpose-not-allowed"},
		{"insurance", func(c *consent.Caller, _ *consent.Standing) { c.Purpose = consent.Insurance }, consent.RefusedPurpose, "purpose-excluded"},
		{"a patient's purpose", func(c *consent.Caller, _ *consent.Standing) { c.Purpose = consent.PatientRequest }, consent.RefusedPurpose, "purpose-not-allowed"},
		{"a reading system", func(c *consent.Caller, _ *consent.Standing) { c.Kind = consent.System }, consent.RefusedRole, "system-reading"},
		{"a patient without a record", func(c *consent.Caller, _ *consent.Standing) {
			c.Kind, c.Purpose = consent.Patient, consent.PatientRequest
		}, consent.RefusedRole, "patient-missing"},
	} {
		c, s := doctor()
		row.change(c, s)
		want := consent.Verdict{Refusal: row.refusal, Reason: row.reason}
		if got := (consent.Policy{}).Admit(c, s, read, noon); got != want {
			t.Errorf("%s: got %+v, want %+v", row.name, got, want)
		}
	}
	if v := (consent.Policy{}).Admit(nil, nil, read, noon); v.Admitted {
		t.Error("nobody was admitted")
	}
}

func TestGatesAdmitWritingSystemsAndConfineLaunches(t *testing.T) {
	c, s := doctor()
	c.Kind, s.Role = consent.System, consent.Role{}
	if v := (consent.Policy{}).Admit(c, s, consent.Ask{Letter: 'c', Type: "Condition", Write: true}, noon); !v.Admitted {
		t.Errorf("a contributing system: %+v", v)
	}
	c, s = doctor()
	c.Scopes = smart.ParseScopes("patient/Condition.rs user/Observation.rs")
	if v := (consent.Policy{}).Admit(c, s, consent.Ask{Letter: 'r', Type: "Condition"}, noon); !v.Admitted || !v.Confined {
		t.Errorf("a patient/ scope: %+v", v)
	}
	if v := (consent.Policy{}).Admit(c, s, consent.Ask{Letter: 'r', Type: "Observation"}, noon); !v.Admitted || v.Confined {
		t.Errorf("a user/ scope: %+v", v)
	}
	s.Client = consent.ClientUnlisted
	if v := (consent.Policy{ClientsListed: true}).Admit(c, s, consent.Ask{Letter: 'r', Type: "Observation"}, noon); v.Reason != "client-unlisted" {
		t.Errorf("clients must be listed: %+v", v)
	}
	listed := consent.Policy{Roles: []fhir.Coding{}}
	if v := listed.Admit(c, s, consent.Ask{Letter: 'r', Type: "Observation"}, noon); v.Reason != "role-not-eligible" {
		t.Errorf("an empty list of roles: %+v", v)
	}
}
