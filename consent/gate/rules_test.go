package gate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir/smart"
)

const (
	optOut = "OPTOUT"
	closed = `{"type":"deny"}`
)

// permits is a provision that closes the record to all but an organisation.
func permits(organization string) string {
	return `{"type":"deny","provision":[{"type":"permit","actor":[` + actor("Organization/"+organization) + `]}]}`
}

// Scenario 1, 4: what a restriction hides is there without it.
func TestRestrictedRecordIsEmptyWithHint(t *testing.T) {
	w := newClinics(t, nil)
	w.want("before", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
	w.restrict("p", optOut, closed)
	w.want("restricted", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
	w.want("restricted read", w.reads(doctor("A"), "Observation", "o-p"), "not found")
	w.want("unrestricted", w.sees(doctor("A"), "Condition", "patient=Patient/q"), "c-q")
	w.want("unpinned", w.sees(doctor("A"), "Observation", ""), "o-q o-r")
}

// Scenarios 2, 3, 24: the basic set, projected.
func TestBasicSetIsProjected(t *testing.T) {
	w := newClinics(t, nil)
	full := w.reads(doctor("A"), "Patient", "p")
	if !strings.Contains(full, "Boston") {
		t.Errorf("unrestricted: %s", full)
	}
	w.restrict("p", optOut, closed)
	w.want("allergies", w.sees(doctor("A"), "AllergyIntolerance", "patient=Patient/p"), "a-p*")
	w.want("immunizations", w.sees(doctor("A"), "Immunization", "patient=Patient/p"), "i-p*")
	for _, r := range []struct{ got, keeps, hides string }{
		{w.reads(doctor("A"), "Patient", "p"), "1980-02-03", "Boston"},
		{w.reads(doctor("A"), "AllergyIntolerance", "a-p"), "nuts", "clinic A"},
		{w.reads(doctor("A"), "Immunization", "i-p"), "mmr", "secret"},
	} {
		if !strings.Contains(r.got, r.keeps) || strings.Contains(r.got, r.hides) || !strings.Contains(r.got, "SUBSETTED") {
			t.Errorf("want %q, SUBSETTED and no %q in %s", r.keeps, r.hides, r.got)
		}
	}
	w.want("by address", w.sees(doctor("A"), "Patient", "address=Boston"), "q r")
	w.want("by birth date", w.sees(doctor("A"), "Patient", "birthdate=1980-02-03"), "p q r")
}

// Scenarios 5, 9: no registration, no patient; three same answers.
func TestUnregisteredPatientIsNotFound(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	for _, id := range []string{"p", "q", "none"} {
		w.want("C reads "+id, w.reads(doctor("C"), "Patient", id), "not found")
		w.want("C searches "+id, w.sees(doctor("C"), "AllergyIntolerance", "patient=Patient/"+id), "")
	}
	w.want("C searches all", w.sees(doctor("C"), "Patient", ""), "")
	w.register("q", "C")
	w.want("registered now", w.sees(doctor("C"), "Patient", ""), "q")
}

// Scenario 6: only clinic A.
func TestChosenProvider(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("r", "OPTOUTE", permits("A"))
	w.want("A", w.sees(doctor("A"), "Observation", "patient=Patient/r"), "o-r")
	w.want("B", w.sees(doctor("B"), "Observation", "patient=Patient/r"), "*")
}

// Scenarios 7, 8, 92: one's own record, and nobody else's.
func TestOwnRecord(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	w.want("own", w.sees(person("p"), "Observation", "patient=Patient/p"), "o-p")
	w.want("another's", w.sees(person("p"), "Observation", "patient=Patient/q"), "")
	w.want("another's read", w.reads(person("p"), "Observation", "o-q"), "not found")

	w.put("RelatedPerson", "child", `"active":true,"patient":{"reference":"Patient/p"},`+authority("family"))
	child := person("p")
	child.Kind, child.User, child.Purpose = consent.Representative, "RelatedPerson/child", consent.FamilyRequest
	w.want("representative", w.sees(child, "Observation", "patient=Patient/p"), "o-p")
	child.User = "RelatedPerson/other"
	w.want("not authorised", w.sees(child, "Observation", "patient=Patient/p"), "")

	launched := doctor("A")
	launched.Scopes, launched.Patient = smart.ParseScopes("patient/*.rs"), "q"
	w.want("launch patient", w.sees(launched, "Observation", "patient=Patient/q"), "o-q")
	w.want("another patient", w.sees(launched, "Observation", "patient=Patient/r"), "")
}

// Scenarios 10, 71: lifting restores all, with what came meanwhile.
func TestLiftingRestoresAll(t *testing.T) {
	w := newClinics(t, nil)
	id := w.restrict("p", optOut, closed)
	if _, err := w.create(system("B"), "Observation", observation("Patient/p")); err != nil {
		t.Fatal(err)
	}
	w.want("restricted", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
	lifted := strings.Replace(consentOf("p", optOut, closed), `"active"`, `"inactive"`, 1)
	_, err := w.gate.Update(w.ctx(), w.request(person("p"), "update", "Consent"), "Consent", id,
		w.content(resource("Consent", id, lifted)), "")
	if err != nil {
		t.Fatal(explain(err))
	}
	r, err := w.search(doctor("A"), "Observation", "patient=Patient/p")
	if err != nil || r.Total() != 2 || r.Hint() {
		t.Errorf("after lifting: total %d, hint %v, err %v", r.Total(), r.Hint(), err)
	}
}

// TestEndlessConsent: more than can be told of is refused of an app, on trial too; from
// the custodian it is in doubt, and then nobody is looked up whom it names.
func TestEndlessConsent(t *testing.T) {
	w := newClinics(t, nil)
	var actors []string
	for i := range 201 {
		actors = append(actors, actor(fmt.Sprint("Organization/none", i)))
	}
	members := consentOf("q", "OPTIN", `{"type":"permit","provision":[{"type":"deny","actor":[`+strings.Join(actors, ",")+`]}]}`)
	_, err := w.create(person("q"), "Consent", members)
	_, trial := w.simulate(person("q"), members)
	for name, err := range map[string]error{"saved": err, "on trial": trial} {
		var invalid *gate.Invalid
		if !errors.As(err, &invalid) || invalid.Status != 422 || len(invalid.Issues) != 1 ||
			invalid.Issues[0].Expression != "Consent.provision.provision[0].actor[200]" {
			t.Errorf("%s: %v", name, explain(err))
		}
	}
	w.want("before", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	w.put("Consent", "endless", members)
	w.want("in doubt", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "*")
	r, err := w.search(doctor("A"), "Patient", "_id=q")
	if err != nil || len(r.Items()) != 1 || !strings.HasPrefix(r.Items()[0].Resource.Version, "b") {
		t.Errorf("in doubt: %v, %v", r.Items(), err)
	}
}

// Scenario 11: a restriction bites on the next page.
func TestRestrictionBetweenPages(t *testing.T) {
	w := newClinics(t, nil)
	for _, id := range []string{"x1", "x2", "x3"} {
		w.put("Observation", id, observation("Patient/q"))
	}
	q := w.query("Observation", "patient=Patient/q&_count=2")
	first, err := w.gate.Search(w.ctx(), w.request(doctor("A"), "search-type", "Observation"), q, "")
	if err != nil || len(first.Items()) != 2 || first.Total() != 4 || first.Next() == "" {
		t.Fatalf("first page: %d of %d, %v", len(first.Items()), first.Total(), err)
	}
	second, err := w.gate.Search(w.ctx(), w.request(doctor("A"), "search-type", "Observation"), q, first.Next())
	if err != nil || len(second.Items()) != 2 || second.Next() != "" {
		t.Fatalf("second page: %d, %v", len(second.Items()), err)
	}
	w.restrict("q", optOut, closed)
	second, err = w.gate.Search(w.ctx(), w.request(doctor("A"), "search-type", "Observation"), q, first.Next())
	if err != nil || len(second.Items()) != 0 || second.Total() != -1 || !second.Hint() {
		t.Errorf("after restricting: %d of %d, hint %v, %v", len(second.Items()), second.Total(), second.Hint(), err)
	}
}

// Scenario 56: a cursor is bound to who asked what.
func TestForeignCursorIsRefused(t *testing.T) {
	w := newClinics(t, nil)
	q := w.query("Patient", "_count=1")
	page, err := w.gate.Search(w.ctx(), w.request(doctor("A"), "search-type", "Patient"), q, "")
	if err != nil || page.Next() == "" {
		t.Fatal(err)
	}
	altered := page.Next()[:len(page.Next())-4] + "AAAA"
	other := w.query("Patient", "_count=1&gender=female")
	for name, try := range map[string]func() error{
		"another caller": func() error {
			_, err := w.gate.Search(w.ctx(), w.request(doctor("B"), "search-type", "Patient"), q, page.Next())
			return err
		},
		"altered": func() error {
			_, err := w.gate.Search(w.ctx(), w.request(doctor("A"), "search-type", "Patient"), q, altered)
			return err
		},
		"another query": func() error {
			_, err := w.gate.Search(w.ctx(), w.request(doctor("A"), "search-type", "Patient"), other, page.Next())
			return err
		},
	} {
		if err := try(); err == nil || outcome(err) != "bad cursor" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.gate.Search(w.ctx(), w.request(doctor("A"), "search-type", "Patient"), q, page.Next()); err != nil {
		t.Errorf("the caller's own: %v", err)
	}
}

// Scenario 19: a part shares what is permitted to the whole, and not the other
// way round.
func TestOrganizationHierarchy(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Organization", "K", `"active":true,"name":"Clinic"`)
	w.put("Organization", "A", `"active":true,"name":"Clinic","partOf":{"reference":"Organization/K"}`)
	w.put("Organization", "W", `"active":true,"name":"Clinic","partOf":{"reference":"Organization/A"}`)
	for _, o := range []string{"W", "K"} {
		w.put("PractitionerRole", o+"1", `"practitioner":{"reference":"Practitioner/dA"},"organization":{"reference":"Organization/`+o+
			`"},"code":[`+concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
	}
	w.register("r", "K")
	w.restrict("r", "OPTOUTE", permits("A"))
	w.want("the ward", w.sees(doctor("W"), "Observation", "patient=Patient/r"), "o-r")
	w.want("the clinic", w.sees(doctor("A"), "Observation", "patient=Patient/r"), "o-r")
	w.want("the cluster", w.sees(doctor("K"), "Observation", "patient=Patient/r"), "*")
	w.want("the cluster's others", w.sees(doctor("K"), "Observation", "patient=Patient/q"), "")
	w.want("the sibling", w.sees(doctor("B"), "Observation", "patient=Patient/r"), "*")
}

// Scenario 20: a cycle ends, and permits do not inherit through it.
func TestOrganizationCycle(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Organization", "W", `"active":true,"name":"Clinic","partOf":{"reference":"Organization/A"}`)
	w.put("PractitionerRole", "W1", `"practitioner":{"reference":"Practitioner/dA"},"organization":{"reference":"Organization/W"},"code":[`+
		concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
	w.register("r", "W")
	w.restrict("r", "OPTOUTE", permits("A"))
	w.want("straight", w.sees(doctor("W"), "Observation", "patient=Patient/r"), "o-r")
	w.put("Organization", "A", `"active":true,"name":"Clinic","partOf":{"reference":"Organization/W"}`)
	w.want("in a cycle", w.sees(doctor("W"), "Observation", "patient=Patient/r"), "*")
}

// Scenarios 23, 24: by type.
func TestPermitByType(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("r", "OPTOUTE", `{"type":"deny","provision":[{"type":"permit","actor":[`+actor("Organization/A")+
		`],"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Immunization"}]}]}`)
	w.want("conditions", strings.TrimSuffix(w.sees(doctor("A"), "Condition", "patient=Patient/r"), "*"), "")
	if got := w.reads(doctor("A"), "Immunization", "i-r"); !strings.Contains(got, "secret") {
		t.Errorf("immunization in full: %s", got)
	}
	if got := w.reads(doctor("A"), "AllergyIntolerance", "a-r"); strings.Contains(got, "clinic A") || !strings.Contains(got, "nuts") {
		t.Errorf("allergy projected: %s", got)
	}
}

// Scenario 25: a restriction of one record of a person covers the linked one.
func TestLinkedRecordsAreBothRestricted(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	w.want("unlinked", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	w.put("Patient", "q", `"link":[{"other":{"reference":"Patient/p"},"type":"seealso"}]`)
	w.want("linked", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "*")
	w.put("Patient", "q", "")
	w.want("unlinked again", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	w.put("Patient", "p", `"link":[{"other":{"reference":"Patient/q"},"type":"seealso"}]`)
	w.want("linked the other way", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "*")
}

// Scenarios 26, 27, 30: purposes.
func TestPurposes(t *testing.T) {
	w := newClinics(t, nil)
	for _, p := range []consent.Purpose{consent.Employment, consent.Insurance, consent.PurposeNone, consent.PatientRequest} {
		c := doctor("A")
		c.Purpose = p
		w.want(p.String(), w.reads(c, "AllergyIntolerance", "a-q"), "403 forbidden-purpose")
		w.want(p.String()+" of nobody", w.reads(c, "AllergyIntolerance", "none"), "403 forbidden-purpose")
	}
	w.want("treatment", w.sees(doctor("A"), "AllergyIntolerance", "patient=Patient/q"), "a-q")
}

// Scenario 31: an examination for an employer registers nobody.
func TestExaminationIsNoRegistration(t *testing.T) {
	w := newClinics(t, nil)
	visit := func(code string) {
		w.put("Encounter", "v", `"status":"in-progress","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},`+
			`"subject":{"reference":"Patient/q"},"serviceProvider":{"reference":"Organization/C"},"type":[`+concept(consent.Canon+"/CodeSystem/nehr-visit", code)+`]`)
	}
	visit("employment-examination")
	w.want("examination", w.sees(doctor("C"), "Observation", "patient=Patient/q"), "")
	visit("consultation")
	w.want("consultation", w.sees(doctor("C"), "Observation", "patient=Patient/q"), "o-q")
}

// Scenarios 32 to 34, 36: roles, and that changing one bites at once.
func TestRoles(t *testing.T) {
	w := newClinics(t, nil)
	role := func(more, code string) {
		w.put("PractitionerRole", "A1", `"practitioner":{"reference":"Practitioner/dA"},"organization":{"reference":"Organization/A"},"code":[`+
			concept("http://terminology.hl7.org/CodeSystem/practitioner-role", code)+`]`+more)
	}
	w.want("doctor", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	role("", "ict")
	w.want("technician", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "403 forbidden-role")
	role(`,"period":{"end":"2026-09-01T09:59:00Z"}`, "doctor")
	w.want("ended", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "403 forbidden-role")
	role(`,"active":false`, "doctor")
	w.want("inactive", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "403 forbidden-role")
	role("", "doctor")
	w.want("doctor again", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	elsewhere := doctor("A")
	elsewhere.Organization = "B"
	w.want("another's organisation", w.sees(elsewhere, "Observation", "patient=Patient/q"), "403 forbidden-role")
	w.want("a system", w.reads(system("A"), "Patient", "q"), "403 forbidden-role")
	w.put("Organization", "A", `"active":false,"name":"Clinic"`)
	w.want("organisation left", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "403 forbidden-client")
}

// Scenario 35, in part: a suspended client.
func TestSuspendedClient(t *testing.T) {
	w := newClinics(t, nil)
	device := func(status string) {
		w.put("Device", "emr", `"status":"`+status+`","identifier":[{"system":"`+consent.SystemClient+`","value":"emr"}]`)
	}
	device("active")
	w.want("active", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	device("inactive")
	w.want("suspended", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "403 forbidden-client")
}

// Scenarios 21, 22: Consents are the patient's.
func TestConsentsAreThePatients(t *testing.T) {
	w := newClinics(t, nil)
	id := w.restrict("p", "OPTOUTE", permits("A"))
	w.want("provider searches", w.sees(doctor("A"), "Consent", "patient=Patient/p"), "")
	w.want("provider reads", w.reads(doctor("A"), "Consent", id), "not found")
	w.want("patient searches", w.sees(person("p"), "Consent", "patient=Patient/p"), id)
	for name, c := range map[string]consent.Caller{"doctor": doctor("A"), "system": system("A")} {
		_, err := w.create(c, "Consent", consentOf("q", optOut, closed))
		w.want(name, outcome(err), "403 forbidden-role")
	}
	_, err := w.postConsent("q", "p", optOut, closed)
	w.want("another patient's app", outcome(err), "not found")
	_, err = w.postConsent("p", "p", optOut, closed)
	w.want("a second one", outcome(err), "409")
	_, err = w.postConsent("q", "q", "", `{"provision":[{"type":"permit"}]}`)
	w.want("in doubt", outcome(err), "422")
}

// Scenarios 15, 17: what was imported and is in doubt counts as Basic; several
// are intersected.
func TestImportedConsents(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Consent", "doubt", consentOf("p", "", ""))
	w.want("in doubt", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
	w.want("basic set", w.sees(doctor("A"), "AllergyIntolerance", "patient=Patient/p"), "a-p*")
	w.put("Consent", "one", consentOf("q", "OPTOUTE", permits("A")))
	w.want("one", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	w.put("Consent", "two", consentOf("q", optOut, closed))
	w.want("both", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "*")
}

// blockReads is the members of a directive.
func blockReads(target string) string {
	return `"code":` + concept(consent.SystemDirective, "BLOCK_READ") +
		`,"extension":[{"url":"` + consent.Canon + `/StructureDefinition/directive-target","valueReference":{"reference":"` + target + `"}}]`
}
