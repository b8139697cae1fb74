package gate_test

import (
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
)

// roleOf is a PractitionerRole of a practitioner at an organisation.
func roleOf(practitioner, organization, code, more string) string {
	system := "http://terminology.hl7.org/CodeSystem/practitioner-role"
	if code == "emergency" {
		system = consent.SystemRole
	}
	return `"active":true,"practitioner":{"reference":"Practitioner/` + practitioner + `"},"organization":{"reference":"Organization/` + organization +
		`"},"code":[` + concept(system, code) + `]` + more
}

// in is the doctor of an organisation, who acts in the role.
func in(organization, role string) consent.Caller {
	c := doctor(organization)
	c.User = "PractitionerRole/" + role
	return c
}

// S12: an organisation keeps the roles of its own people current.
func TestOrganisationsKeepTheirOwnRoles(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Organization", "W", `"active":true,"name":"Ward","partOf":{"reference":"Organization/A"}`)
	contributed := func(by consent.Caller, members string) string {
		t.Helper()
		r, err := w.create(by, "PractitionerRole", members)
		if err != nil {
			t.Fatal(explain(err))
		}
		return r.Items()[0].Resource.ID
	}
	const refused, seen = "403 forbidden-role", "o-q"
	sees := func(what, organization, role, want string) {
		t.Helper()
		w.want(what, w.sees(in(organization, role), "Observation", "patient=Patient/q"), want)
	}
	mine := contributed(system("A"), roleOf("dC", "A", "nurse", ""))
	sees("its own nurse", "A", mine, seen)
	sees("a role at a part of it", "W", contributed(system("A"), roleOf("dC", "W", "nurse", "")), seen)
	sees("by a part, at the whole", "A", contributed(system("W"), roleOf("dC", "A", "nurse", "")), refused)
	sees("by another", "A", contributed(system("B"), roleOf("dC", "A", "nurse", "")), refused)
	sees("a receptionist", "A", contributed(system("A"), roleOf("dC", "A", "ict", "")), refused)
	sees("without a code", "A", contributed(system("A"), strings.Replace(roleOf("dC", "A", "nurse", ""), `"code"`, `"specialty"`, 1)), refused)
	sees("a part in emergencies", "A", contributed(system("A"), roleOf("dC", "A", "emergency", "")), refused)
	stranger, err := w.create(system("A"), "Practitioner", `"active":true`)
	if err != nil {
		t.Fatal(explain(err))
	}
	sees("of somebody the custodian does not know", "A", contributed(system("A"), roleOf(stranger.Items()[0].Resource.ID, "A", "nurse", "")), refused)
	sees("of nobody", "A", contributed(system("A"), roleOf("nobody", "A", "nurse", "")), refused)
	w.put("PractitionerRole", "clerk", roleOf("dB", "A", "ict", `,"period":{"end":"2026-09-01T12:00:00Z"}`))
	clerk := contributed(system("A"), roleOf("dB", "A", "nurse", ""))
	sees("of whom the custodian calls a clerk", "A", clerk, refused)
	then := w.now
	w.now = then.Add(3 * time.Hour)
	sees("who is none any more", "A", clerk, seen)
	w.now = then
	sees("that has ended", "A", contributed(system("A"), roleOf("dC", "A", "nurse", `,"period":{"end":"2026-08-31"}`)), refused)

	change := func(by consent.Caller, id, members string) error {
		_, err := w.gate.Update(t.Context(), w.request(by, "update", "PractitionerRole"), "PractitionerRole", id, w.content(resource("PractitionerRole", id, members)), "")
		return err
	}
	if err := change(system("B"), mine, roleOf("dB", "A", "nurse", "")); outcome(err) != "not found" {
		t.Errorf("another clinic changes it: %v", err)
	}
	if err := change(system("A"), "A1", roleOf("dB", "A", "doctor", "")); outcome(err) != "not found" {
		t.Errorf("a clinic changes the custodian's: %v", err)
	}
	sees("still", "A", mine, seen)

	// A role that ends at ten o'clock is gone at ten o'clock, by its period or by a
	// write, and no sooner.
	at := w.now
	if err := change(system("A"), mine, roleOf("dC", "A", "nurse", `,"period":{"end":"`+fhir.FormatInstant(at.Add(time.Hour))+`"}`)); err != nil {
		t.Fatal(explain(err))
	}
	sees("before its end", "A", mine, seen)
	w.now = at.Add(time.Hour + time.Second)
	sees("after its end", "A", mine, refused)
	w.now = at
	if err := change(system("A"), mine, strings.Replace(roleOf("dC", "A", "nurse", ""), `"active":true`, `"active":false`, 1)); err != nil {
		t.Fatal(explain(err))
	}
	sees("made inactive", "A", mine, refused)
	if err := change(system("A"), mine, roleOf("dC", "A", "nurse", "")); err != nil {
		t.Fatal(explain(err))
	}
	w.put("Practitioner", "dC", `"active":false`)
	sees("struck off", "A", mine, refused)
	w.put("Practitioner", "dC", `"active":true`)
	sees("again", "A", mine, seen)
	w.put("Organization", "A", `"active":false,"name":"Clinic"`)
	sees("of an organisation that left", "A", mine, "403 forbidden-client")
	if n := len(w.events("subtype=http://dicom.nema.org/resources/ontology/DCM|110136&agent=Organization/A")); n < 10 {
		t.Errorf("%d changes of roles are on record", n)
	}
}

// TestNobodyWritesARoleOfTheirOwn: a practitioner may mend others' roles of the
// organisation and not the own.
func TestNobodyWritesARoleOfTheirOwn(t *testing.T) {
	w := newClinics(t, nil)
	try := func(c consent.Caller, members string) (gate.Released, error) {
		return w.create(c, "PractitionerRole", members)
	}
	if _, err := try(doctor("A"), roleOf("dA", "A", "doctor", "")); outcome(err) != "422" {
		t.Errorf("the own: %v", err)
	}
	r, err := try(doctor("A"), roleOf("dC", "A", "nurse", ""))
	if err != nil {
		t.Fatal(explain(err))
	}
	id := r.Items()[0].Resource.ID
	w.want("the nurse", w.sees(in("A", id), "Observation", "patient=Patient/q"), "o-q")
	_, err = w.gate.Update(t.Context(), w.request(in("A", id), "update", "PractitionerRole"), "PractitionerRole", id, w.content(resource("PractitionerRole", id, roleOf("dB", "A", "nurse", ""))), "")
	w.want("handing the own on", outcome(err), "422")
}

// TestAContributedRoleRegistersNobody: who names a doctor as the general
// practitioner is registered where the custodian says that doctor works.
func TestAContributedRoleRegistersNobody(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Patient", "far", `"gender":"female","generalPractitioner":[{"reference":"Practitioner/dB"}]`)
	w.put("Observation", "o-far", observation("Patient/far"))
	w.want("where the doctor works", w.sees(doctor("B"), "Observation", "patient=Patient/far"), "o-far")
	if _, err := w.create(system("C"), "PractitionerRole", roleOf("dB", "C", "doctor", "")); err != nil {
		t.Fatal(explain(err))
	}
	w.want("who claims the doctor", w.sees(doctor("C"), "Observation", "patient=Patient/far"), "")
	w.want("without naming the patient", w.sees(doctor("C"), "Observation", "code:text=weight"), "")
}

// TestAuthorityIsNamedLastsAndFitsThePurpose is who may act for whom.
func TestAuthorityIsNamedLastsAndFitsThePurpose(t *testing.T) {
	w := newClinics(t, nil)
	acting := func(purpose consent.Purpose) consent.Caller {
		c := person("")
		c.Kind, c.User, c.Patient, c.Purpose, c.Scopes = consent.Representative, "RelatedPerson/rp", "", purpose, doctor("A").Scopes
		return c
	}
	all := map[string]consent.Purpose{"FAMRQT": consent.FamilyRequest, "PWATRNY": consent.PowerOfAttorney, "SUPNWK": consent.SupportNetwork, "PATRQT": consent.PatientRequest}
	for kind, fits := range map[string]string{"family": "FAMRQT", "power-of-attorney": "PWATRNY", "deputy": "PWATRNY", "support-network": "SUPNWK"} {
		w.put("RelatedPerson", "rp", `"active":true,"patient":{"reference":"Patient/p"},`+authority(kind))
		for code, purpose := range all {
			want := ""
			switch code {
			case fits:
				want = "o-p"
			case "PATRQT":
				want = "403 forbidden-purpose"
			}
			w.want(kind+" for "+code, w.sees(acting(purpose), "Observation", ""), want)
		}
	}
	for what, members := range map[string]string{
		"no authority": `"active":true`, "inactive": `"active":false,` + authority("family"),
		"ended":      `"active":true,"period":{"end":"2026-08-31"},` + authority("family"),
		"not begun":  `"active":true,"period":{"start":"2026-10-01"},` + authority("family"),
		"a modifier": `"active":true,"modifierExtension":[{"url":"https://x.example","valueCode":"not"}],` + authority("family"),
	} {
		w.put("RelatedPerson", "rp", `"patient":{"reference":"Patient/p"},`+members)
		w.want(what, w.sees(acting(consent.FamilyRequest), "Observation", ""), "")
	}
	w.put("RelatedPerson", "rp", `"active":true,"period":{"end":"2026-09-01T11:00:00Z"},"patient":{"reference":"Patient/p"},`+authority("family"))
	w.want("before its end", w.sees(acting(consent.FamilyRequest), "Observation", ""), "o-p")
	w.now = w.now.Add(time.Hour + time.Second)
	w.want("after its end", w.sees(acting(consent.FamilyRequest), "Observation", ""), "")
	if _, err := w.create(system("A"), "RelatedPerson", `"active":true,"patient":{"reference":"Patient/p"},`+authority("family")); err != nil {
		t.Fatal(explain(err)) // it is the record's, and gives no right
	}
	for _, wrong := range []string{authority("all"), strings.Replace(authority("family"), "]", `,{"url":"https://vitrine.example/StructureDefinition/nehr-authority","valueCode":"deputy"}]`, 1), strings.Replace(authority("family"), "valueCode", "valueString", 1)} {
		_, err := w.gate.Update(t.Context(), w.request(custodian(), "update", "RelatedPerson"), "RelatedPerson", "rp", w.content(resource("RelatedPerson", "rp", `"patient":{"reference":"Patient/p"},`+wrong)), "")
		w.want(wrong, outcome(err), "422")
	}
}
