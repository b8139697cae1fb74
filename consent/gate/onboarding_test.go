package gate_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// enrol registers a client, as the custodian does.
func (w *world) enrol(c smart.Client) {
	w.Helper()
	if c.Name == "" {
		c.Name = "A client"
	}
	text, err := c.Resource()
	if err != nil {
		w.Fatal(err)
	}
	_, err = w.gate.Update(w.ctx(), w.request(custodian(), "update", "Device"), "Device", c.Device, w.content(string(text)), "")
	if err != nil {
		w.Fatalf("register %s: %v", c.ID, explain(err))
	}
}

// connector is the registration of the client of clinic A.
func connector() smart.Client {
	return smart.Client{
		ID: "emr-a", Name: "Connector", Device: "emr-a", State: smart.ClientActive, Organization: "A", Read: true, Contribute: true,
		Scope: "user/*.cruds system/*.cu",
	}
}

// through is the caller, with a token that another than the operator made for the
// client.
func through(client string, c consent.Caller) consent.Caller {
	c.ByHand, c.Client = false, client
	return c
}

func TestTheRegistrationOfAClient(t *testing.T) {
	w := newClinics(t, nil)
	client := func(id string) smart.Client {
		t.Helper()
		c, err := w.gate.Client(t.Context(), id, w.now)
		if err != nil && !errors.Is(err, gate.ErrNotFound) {
			t.Fatal(err)
		}
		return c
	}
	want := connector()
	want.Owner = "Clinic" // which the directory says, not the registration
	w.enrol(want)
	if diff := cmp.Diff(want, client("emr-a")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want.State = smart.ClientSuspended
	w.enrol(want)
	if diff := cmp.Diff(want, client("emr-a")); diff != "" {
		t.Errorf("suspended: -want +got:\n%s", diff)
	}
	w.put("Device", "by-hand", `"status":"active","identifier":[{"system":"`+consent.SystemClient+`","value":"by-hand"}]`)
	for _, id := range []string{"by-hand", "nobody", "", "EMR-A"} {
		if diff := cmp.Diff(smart.Client{}, client(id)); diff != "" {
			t.Errorf("%q: %s", id, diff)
		}
	}
}

func TestAdmitToldBeforeATokenIsIssued(t *testing.T) {
	w := newClinics(t, nil)
	w.enrol(connector())
	admit := func(c consent.Caller, reason string) string {
		t.Helper()
		if err := w.gate.Admit(t.Context(), &c, reason, w.now); err != nil {
			return outcome(err)
		}
		return "admitted"
	}
	w.want("a doctor", admit(through("emr-a", doctor("A")), ""), "admitted")
	w.want("the back end", admit(through("emr-a", system("A")), ""), "admitted")
	w.want("another clinic's doctor", admit(through("emr-a", doctor("B")), ""), "403 forbidden-client")
	w.want("a client nobody knows", admit(through("x", doctor("A")), ""), "403 forbidden-client")
	without := through("emr-a", doctor("A"))
	without.Purpose = consent.PurposeNone
	w.want("no purpose", admit(without, "purpose-several"), "403 forbidden-purpose")
	w.put("PractitionerRole", "A1", `"active":false,"practitioner":{"reference":"Practitioner/dA"},"organization":{"reference":"Organization/A"}`)
	w.want("the role has ended", admit(through("emr-a", doctor("A")), ""), "403 forbidden-role")
	var reasons []string
	for _, e := range w.events("subtype=urn:ihe:event-type-code|ITI-71&_sort=date") {
		var event struct{ OutcomeDesc string }
		if err := json.Unmarshal([]byte(e), &event); err != nil {
			t.Fatal(err)
		}
		reasons = append(reasons, event.OutcomeDesc)
	}
	for _, want := range []string{"client-elsewhere", "client-unlisted", "purpose-several", "role-inactive"} {
		if !strings.Contains(strings.Join(reasons, " "), want) {
			t.Errorf("%s is not on record: %v", want, reasons)
		}
	}
	if len(reasons) != 4 {
		t.Errorf("on record: %v, want the refusals alone", reasons)
	}
}

func TestCapacitiesAreThoseOfTheDirectoryNow(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Practitioner", "dA", `"active":true,"name":[{"given":["Mei"],"family":"Tan"}],"identifier":[{"system":"https://reg.example","value":"M1"}]`)
	w.put("PractitionerRole", "A-at-C", `"active":true,"practitioner":{"reference":"Practitioner/dA"},"organization":{"reference":"Organization/C"},`+
		`"period":{"end":"2026-08-31"},"code":[`+concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
	w.put("RelatedPerson", "rp", `"active":true,"name":[{"text":"A daughter"}],"patient":{"reference":"Patient/p"},`+authority("power-of-attorney"))
	w.put("RelatedPerson", "former", `"active":true,"period":{"end":"2026-01-01"},"patient":{"reference":"Patient/p"},`+authority("family"))
	w.put("RelatedPerson", "relative", `"active":true,"patient":{"reference":"Patient/p"}`)
	capacities := func(user string) []smart.Capacity {
		t.Helper()
		list, err := w.gate.Capacities(t.Context(), user, w.now)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	role := smart.Capacity{
		Kind: smart.KindPractitioner, User: "PractitionerRole/A1", Holder: "Practitioner/dA", Person: "Mei Tan", Title: "doctor, Clinic",
		Organization: "A", Lineage: []string{"A"}, Purposes: consent.UsualPurposes(consent.Practitioner),
	}
	for user, want := range map[string][]smart.Capacity{
		"Practitioner/dA":         {role},
		"PractitionerRole/A1":     {role},
		"PractitionerRole/A-at-C": nil,
		"Patient/p":               {{Kind: smart.KindPatient, User: "Patient/p", Patient: "p", Purposes: consent.UsualPurposes(consent.Patient)}},
		"RelatedPerson/rp": {{
			Kind: smart.KindRepresentative, User: "RelatedPerson/rp", Person: "A daughter", Patient: "p", Purposes: []fhir.Coding{consent.PowerOfAttorney.Coding()},
		}},
		"RelatedPerson/former": nil, "RelatedPerson/relative": nil, "Patient/nobody": nil, "Practitioner/nobody": nil, "Organization/A": nil, "": nil,
	} {
		if diff := cmp.Diff(want, capacities(user)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", user, diff)
		}
	}
	if got := consent.UsualPurposes(consent.Practitioner)[0].Code; got != "TREAT" {
		t.Errorf("the usual purpose is %s", got)
	}
	w.put("Organization", "A", `"active":false,"name":"Clinic"`)
	if got := capacities("Practitioner/dA"); got != nil {
		t.Errorf("an organisation that has left: %+v", got)
	}
	people := func(system, value string) string {
		t.Helper()
		all := []fhir.ResourceType{"Practitioner", "Patient", "RelatedPerson", "Organization"}
		users, err := w.gate.People(t.Context(), fhir.Identifier{System: system, Value: value}, all, w.now)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(users, " ")
	}
	w.want("by registration", people("https://reg.example", "M1"), "Practitioner/dA")
	w.want("by NRIC", people("https://fhir.synapxe.sg/NamingSystem/nric", nrics["p"]), "Patient/p")
	w.want("without a system", people("", "M1"), "")
	w.want("of nobody", people("https://reg.example", "M2"), "")
	if _, err := w.create(system("B"), "Practitioner", `"identifier":[{"system":"https://reg.example","value":"M2"}]`); err != nil {
		t.Fatal(explain(err))
	}
	w.want("as a contributor says", people("https://reg.example", "M2"), "")
}

func TestWhatTheAuthorizationServerNotesIsFound(t *testing.T) {
	w := newClinics(t, nil)
	for _, e := range []smart.Event{
		{Kind: smart.EventSignIn, User: "Patient/p", Account: "mei", Client: "app", Address: "192.0.2.9", When: w.now},
		{Kind: smart.EventSignIn, Failed: true, Reason: "password", Account: "hunter2", Address: "192.0.2.9", When: w.now.Add(time.Second)},
		{Kind: smart.EventAuthorize, User: "PractitionerRole/A1", Organization: "A", Patient: "p", Client: "emr-a", When: w.now.Add(2 * time.Second)},
		{Kind: smart.EventSignOut, User: "Patient/p", Account: "mei", Client: "app", When: w.now.Add(3 * time.Second)},
	} {
		if err := w.gate.Note(t.Context(), &e); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{
		"type=http://dicom.nema.org/resources/ontology/DCM|110114":                           3,
		"type=http://dicom.nema.org/resources/ontology/DCM|110113&outcome=4":                 1,
		"subtype=http://dicom.nema.org/resources/ontology/DCM|110122":                        2,
		"subtype=http://dicom.nema.org/resources/ontology/DCM|110123":                        1,
		"type=http://dicom.nema.org/resources/ontology/DCM|110114&patient=Patient/p":         3,
		"subtype=http://dicom.nema.org/resources/ontology/DCM|110122&outcome=4":              1,
		"type=http://dicom.nema.org/resources/ontology/DCM|110114&agent=PractitionerRole/A1": 1,
	} {
		found := w.events(query)
		if len(found) != want {
			t.Errorf("%s: found %d, want %d: %v", query, len(found), want, found)
		}
		if strings.Contains(strings.Join(found, ""), "hunter2") {
			t.Errorf("%s: the record tells what was typed into a field", query)
		}
	}
	r, err := w.search(person("p"), "AuditEvent", "type=http://dicom.nema.org/resources/ontology/DCM|110114")
	if err != nil || len(r.Items()) != 3 {
		t.Errorf("the patient finds %d events, %v; want 3", len(r.Items()), err)
	}
	for _, i := range r.Items() {
		if strings.Contains(string(i.Resource.JSON), "192.0.2.9") {
			t.Errorf("the patient is told an address: %s", i.Resource.JSON)
		}
	}
	w.want("another patient finds", w.sees(person("q"), "AuditEvent", "type=http://dicom.nema.org/resources/ontology/DCM|110114"), "")
}

// Scenarios 32 to 36 and S16: a token is good for as long as its client is.
func TestOnboardingBitesInMidToken(t *testing.T) {
	w := newClinics(t, nil)
	client := connector()
	doctor, backend, elsewhere := through("emr-a", doctor("A")), through("emr-a", system("A")), through("emr-a", doctor("B"))
	reads := func(want string) {
		t.Helper()
		w.want("a doctor reads", w.sees(doctor, "Observation", "patient=Patient/q"), want)
	}
	contributes := func(want string) {
		t.Helper()
		_, err := w.create(backend, "Observation", observation("Patient/q"))
		if err != nil {
			w.want("the back end contributes", outcome(err), want)
		} else {
			w.want("the back end contributes", "201", want)
		}
	}
	const refused = "403 forbidden-client"
	contributes(refused)
	client.State = smart.ClientPending
	w.enrol(client)
	reads(refused)
	client.State = smart.ClientActive
	w.enrol(client)
	reads("o-q")
	w.want("of another clinic", w.sees(elsewhere, "Observation", "patient=Patient/q"), refused)
	client.Read = false
	w.enrol(client)
	reads(refused)
	contributes("201")
	client.Read, client.Contribute = true, false
	w.enrol(client)
	contributes(refused)
	client.Contribute = true
	client.State = smart.ClientSuspended
	w.enrol(client)
	reads(refused)
	contributes(refused)
	client.State = smart.ClientActive
	w.enrol(client)
	contributes("201")

	organization := func(state, capabilities string) {
		w.put("Organization", "A", `"active":true,"name":"Clinic","extension":[{"url":"`+smart.ExtensionOnboarding+
			`","extension":[{"url":"state","valueCode":"`+state+`"}`+capabilities+`]}]`)
	}
	organization("active", `,{"url":"capability","valueCode":"contribute"}`)
	reads(refused)
	contributes("201")
	organization("suspended", `,{"url":"capability","valueCode":"contribute"},{"url":"capability","valueCode":"read"}`)
	contributes(refused)
	organization("active", `,{"url":"capability","valueCode":"contribute"},{"url":"capability","valueCode":"read"}`)
	contributes("201")

	client.State = smart.ClientEnded
	w.enrol(client)
	contributes(refused)
	for _, reason := range []string{"client-unlisted", "client-pending", "client-elsewhere", "client-not-reading", "client-not-contributing", "client-suspended", "client-ended", "organization-not-reading", "organization-not-onboarded"} {
		if !strings.Contains(strings.Join(w.events("outcome=4"), ""), `"outcomeDesc":"`+reason+`"`) {
			t.Errorf("%s is not on record", reason)
		}
	}
}

// TestRegistrationsAreHeldToTheirRules writes Devices as the custodian may.
func TestRegistrationsAreHeldToTheirRules(t *testing.T) {
	w := newClinics(t, nil)
	c := connector()
	w.enrol(c)
	try := func(name, want string, c consent.Caller, id string, change func(string) string) {
		t.Helper()
		client := connector()
		client.Device = id
		text, err := client.Resource()
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.gate.Update(t.Context(), w.request(c, "update", "Device"), "Device", id, w.content(change(string(text))), "")
		got := "taken"
		if err != nil {
			got = outcome(err)
		}
		w.want(name, got, want)
	}
	same := func(s string) string { return s }
	swap := func(old, with string) func(string) string {
		return func(s string) string { return strings.ReplaceAll(s, old, with) }
	}
	try("the same again", "taken", custodian(), "emr-a", same)
	try("a second Device of the id", "409", custodian(), "emr-2", same)
	try("one that cannot be read", "422", custodian(), "emr-a", swap(`"valueCode":"read"`, `"valueCode":"all"`))
	try("status alone", "422", custodian(), "emr-a", swap(`"status":"active"`, `"status":"inactive"`))
	try("another id", "422", custodian(), "emr-a", swap(`"value":"emr-a"`, `"value":"emr-z"`))
	try("without registration", "422", custodian(), "emr-a", swap(smart.ExtensionClient, "https://other.example/x"))
	try("pending again", "409", custodian(), "emr-a", func(s string) string {
		return swap(`"status":"active"`, `"status":"inactive"`)(swap(`"valueCode":"active"`, `"valueCode":"pending"`)(s))
	})
	try("by a clinic", "not found", system("A"), "emr-a", same)
	// What a clinic contributes registers nobody, and is in nobody's way.
	text := strings.ReplaceAll(string(mustResource(t, connector())), `"value":"emr-a"`, `"value":"emr-b"`)
	text = strings.Replace(text, `"id":"emr-a",`, "", 1)
	if _, err := w.gate.Create(t.Context(), w.request(system("B"), "create", "Device"), w.content(text), nil); err != nil {
		t.Fatal(explain(err))
	}
	if _, err := w.gate.Client(t.Context(), "emr-b", w.now); !errors.Is(err, gate.ErrNotFound) {
		t.Errorf("a clinic registered a client: %v", err)
	}
	c.State = smart.ClientEnded
	w.enrol(c)
	try("after the end", "409", custodian(), "emr-a", same)
}

func mustResource(tb testing.TB, c smart.Client) []byte {
	tb.Helper()
	text, err := c.Resource()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// TestWhatCannotBeToldLetsNobodyIn takes parts of the directory and the record away.
func TestWhatCannotBeToldLetsNobodyIn(t *testing.T) {
	w, f := newFaulty(t)
	w.enrol(connector())
	doctor := through("emr-a", doctor("A"))
	for _, kind := range []fhir.ResourceType{"Device", "Basic"} {
		f.deaf.Store(kind)
		w.want(string(kind)+" cannot be searched", w.sees(doctor, "Observation", "patient=Patient/q"), "unavailable")
		w.want("nor is a token worth issuing", outcome(w.gate.Admit(t.Context(), &doctor, "", w.now)), "unavailable")
	}
	f.deaf.Store(fhir.ResourceType("Device"))
	if _, err := w.gate.Client(t.Context(), "emr-a", w.now); !errors.Is(err, gate.ErrUnavailable) {
		t.Errorf("the registration: %v", err)
	}
	f.deaf.Store(fhir.ResourceType("PractitionerRole"))
	if _, err := w.gate.Capacities(t.Context(), "Practitioner/dA", w.now); !errors.Is(err, gate.ErrUnavailable) {
		t.Errorf("the capacities: %v", err)
	}
	f.deaf.Store(fhir.ResourceType(""))
	f.record.Store(true)
	unknown := through("nobody", doctor)
	w.want("a refusal that is not on record", outcome(w.gate.Admit(t.Context(), &unknown, "", w.now)), "unavailable")
	w.want("an event that is not on record", outcome(w.gate.Note(t.Context(), &smart.Event{Kind: smart.EventSignIn, When: w.now})), "unavailable")
	if list, err := w.gate.Registrations(t.Context(), w.request(custodian(), "search-type", "Device"), ""); !errors.Is(err, gate.ErrUnavailable) || len(list) != 0 {
		t.Errorf("the registrations: %v, %v", list, err)
	}
	f.record.Store(false)
	w.want("all is there", w.sees(doctor, "Observation", "patient=Patient/q"), "o-q")
}

// TestRegistrationsAreToldWhole lists what can be read, what cannot, and nothing
// of what contributors wrote.
func TestRegistrationsAreToldWhole(t *testing.T) {
	w := newClinics(t, nil)
	w.enrol(connector())
	w.put("Device", "pump", `"status":"active","deviceName":[{"name":"A pump","type":"other"}]`)
	w.put("Device", "by-hand", `"status":"active","identifier":[{"system":"`+consent.SystemClient+`","value":"by-hand"}]`)
	theirs := strings.Replace(strings.ReplaceAll(string(mustResource(t, connector())), `"value":"emr-a"`, `"value":"emr-b"`), `"id":"emr-a",`, "", 1)
	if _, err := w.gate.Create(t.Context(), w.request(system("B"), "create", "Device"), w.content(theirs), nil); err != nil {
		t.Fatal(explain(err))
	}
	list, err := w.gate.Registrations(t.Context(), w.request(custodian(), "search-type", "Device"), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]gate.Registration{{Client: connector(), Version: "1"}}, list); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for name, c := range map[string]consent.Caller{"a doctor": doctor("A"), "the regulator": regulator(), "a patient": person("p")} {
		if list, err := w.gate.Registrations(t.Context(), w.request(c, "search-type", "Device"), ""); err == nil || len(list) != 0 {
			t.Errorf("%s is told %v, %v", name, list, err)
		}
	}
}
