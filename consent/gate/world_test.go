package gate_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/basic"
	"vitrine/consent/gate"
	"vitrine/consent/relation"
	"vitrine/fhir"
	"vitrine/fhir/compartment"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/fhir/validate"
	"vitrine/store"
	"vitrine/store/embedded"
)

const base = "https://nehr.example/fhir"

// world is a gate on a store of its own, and a clock.
type world struct {
	testing.TB
	gate  *gate.Gate
	store store.Store
	tools gate.Tools
	now   time.Time
}

// newWorld is an empty world. wrap puts something between gate and store; nil
// puts nothing.
func newWorld(t testing.TB, wrap func(store.Store) store.Store) *world {
	t.Helper()
	return newWorldOn(t, func(x *search.Indexer, d *r4.Definitions) (store.Store, error) {
		return embedded.Open(t.TempDir(), embedded.Options{Indexer: x, Definitions: d, CacheSize: 16 << 20})
	}, wrap)
}

// newWorldOn is a world on a store that open opens; it is closed with the test.
func newWorldOn(t testing.TB, open func(*search.Indexer, *r4.Definitions) (store.Store, error), wrap func(store.Store) store.Store) *world {
	t.Helper()
	d, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	x, err := search.NewIndexer(d, base)
	if err != nil {
		t.Fatal(err)
	}
	set, err := basic.New(basic.Default())
	if err != nil {
		t.Fatal(err)
	}
	db, err := open(x, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{TB: t, store: db, now: time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)}
	if wrap != nil {
		w.store = wrap(db)
	}
	w.tools = gate.Tools{
		Definitions: d, Indexer: x, Parser: x.Parser(), Validator: validate.New(d),
		Compartments: compartment.New(d), Basic: set, Terms: search.NewShipped(terms(t)), Codes: terms(t),
	}
	w.gate = gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example"}, w.tools, w.store)
	return w
}

// newClinics is a world with the cast of SCENARIOS: clinics A, B and C, a
// doctor at each, the patients p, q and r, all registered with A and B.
func newClinics(t testing.TB, wrap func(store.Store) store.Store) *world {
	t.Helper()
	w := newWorld(t, wrap)
	w.settle()
	return w
}

// settle puts the cast on a stage.
func (w *world) settle() {
	w.Helper()
	for _, o := range []string{"A", "B", "C"} {
		w.put("Organization", o, `"active":true,"name":"Clinic"`)
		w.put("Practitioner", "d"+o, `"active":true`)
		w.put("PractitionerRole", o+"1", `"active":true,"practitioner":{"reference":"Practitioner/d`+o+
			`"},"organization":{"reference":"Organization/`+o+`"},"code":[`+concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
	}
	for _, p := range []string{"p", "q", "r"} {
		w.put("Patient", p, `"gender":"female","birthDate":"1980-02-03","address":[{"city":"Boston"}],`+
			`"identifier":[{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"`+nrics[p]+`"}]`)
		for _, o := range []string{"A", "B"} {
			w.register(p, o)
		}
		w.put("Observation", "o-"+p, observation("Patient/"+p))
		w.put("Condition", "c-"+p, `"subject":{"reference":"Patient/`+p+`"},"code":{"text":"asthma"}`)
		w.put("AllergyIntolerance", "a-"+p, `"patient":{"reference":"Patient/`+p+`"},"code":{"text":"nuts"},`+
			`"clinicalStatus":`+concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active")+
			`,"note":[{"text":"seen at clinic A"}]`)
		w.put("Immunization", "i-"+p, `"status":"completed","patient":{"reference":"Patient/`+p+
			`"},"vaccineCode":{"text":"mmr"},"occurrenceDateTime":"2001-01-01","note":[{"text":"secret"}]`)
	}
}

func concept(system, code string) string {
	return `{"coding":[{"system":"` + system + `","code":"` + code + `"}]}`
}

// authority is the extension by which a RelatedPerson may act for its patient.
func authority(kind string) string {
	return `"extension":[{"url":"` + relation.ExtensionAuthority + `","valueCode":"` + kind + `"}]`
}

func observation(subject string) string {
	return `"status":"final","code":{"text":"weight"},"subject":{"reference":"` + subject + `"}`
}

// register has the organisation care for the patient.
func (w *world) register(patient, organization string) {
	w.Helper()
	w.put("EpisodeOfCare", "e-"+patient+"-"+organization, `"status":"active","patient":{"reference":"Patient/`+patient+
		`"},"managingOrganization":{"reference":"Organization/`+organization+`"}`)
}

// resource is a resource of the type with the members.
func resource(t fhir.ResourceType, id, members string) string {
	out := `{"resourceType":"` + string(t) + `"`
	if id != "" {
		out += `,"id":"` + id + `"`
	}
	if members != "" {
		out += "," + members
	}
	return out + "}"
}

func (w *world) content(s string) gate.Content {
	w.Helper()
	t := new(fhir.Tape)
	if err := t.Parse([]byte(s), fhir.Limits{}); err != nil {
		w.Fatalf("%v: %s", err, s)
	}
	return gate.Content{Tape: t}
}

// put stores a resource as the custodian does.
func (w *world) put(t fhir.ResourceType, id, members string) {
	w.Helper()
	_, err := w.gate.Update(w.ctx(), w.request(custodian(), "update", t), t, id, w.content(resource(t, id, members)), "")
	if err != nil {
		w.Fatalf("put %s/%s: %v", t, id, explain(err))
	}
}

func explain(err error) string {
	var invalid *gate.Invalid
	if errors.As(err, &invalid) {
		return fmt.Sprintf("%v %+v", err, invalid.Issues)
	}
	return fmt.Sprint(err)
}

func (w *world) ctx() context.Context {
	if t, ok := w.TB.(interface{ Context() context.Context }); ok {
		return t.Context()
	}
	return nil
}

// request is a request of the caller at the world's present.
func (w *world) request(c consent.Caller, code string, t fhir.ResourceType) *gate.Request {
	in := gate.Interaction{Code: code, Letter: 'r'}
	switch code {
	case "search-type":
		in.Letter = 's'
	case "create":
		in.Letter, in.Write = 'c', true
	case "update", "patch":
		in.Letter, in.Write = 'u', true
	case "delete":
		in.Letter, in.Write = 'd', true
	case "$break-glass", "$break-glass-stop":
		in.Write = true
	}
	return &gate.Request{
		Caller: c, Now: w.now, ID: "req-1", Interaction: in, Type: t, Method: "GET", Target: "/" + string(t), Address: "192.0.2.1",
	}
}

func custodian() consent.Caller {
	return consent.Caller{
		Kind: consent.Custodian, ByHand: true, Issuer: base, Subject: "jobs", Client: "import",
		Purpose: consent.SystemAdministration, Scopes: smart.ParseScopes("system/*.cruds"),
	}
}

// doctor is the doctor of an organisation, there to treat.
func doctor(organization string) consent.Caller {
	return consent.Caller{
		Kind: consent.Practitioner, ByHand: true, Issuer: base, Subject: "dr-" + organization, Client: "emr",
		User: "PractitionerRole/" + organization + "1", Organization: organization,
		Purpose: consent.Treatment, Scopes: smart.ParseScopes("user/*.cruds"),
	}
}

// system is the back end of an organisation.
func system(organization string) consent.Caller {
	return consent.Caller{
		Kind: consent.System, ByHand: true, Issuer: base, Subject: "feed-" + organization, Client: "feed", Organization: organization,
		Purpose: consent.Treatment, Scopes: smart.ParseScopes("system/*.cruds"),
	}
}

// person is the patient with the id, in the patient's own app.
func person(id string) consent.Caller {
	return consent.Caller{
		Kind: consent.Patient, ByHand: true, Issuer: base, Subject: id, Client: "app", User: "Patient/" + id, Patient: id,
		Purpose: consent.PatientRequest, Scopes: smart.ParseScopes("patient/*.cruds"),
	}
}

func regulator() consent.Caller {
	return consent.Caller{
		Kind: consent.Regulator, ByHand: true, Issuer: base, Subject: "auditor", Client: "audit",
		Purpose: consent.AuditReview, Scopes: smart.ParseScopes("user/*.cruds"),
	}
}

// restrict has the patient post a Consent of the provision.
func (w *world) restrict(patient, rule, provision string) string {
	w.Helper()
	r, err := w.postConsent(patient, patient, rule, provision)
	if err != nil {
		w.Fatalf("consent of %s: %v", patient, explain(err))
	}
	return r.Items()[0].Resource.ID
}

func (w *world) postConsent(caller, patient, rule, provision string) (gate.Released, error) {
	w.Helper()
	return w.create(person(caller), "Consent", consentOf(patient, rule, provision))
}

func consentOf(patient, rule, provision string) string {
	out := `"status":"active","scope":` + concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy") +
		`,"category":[` + concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "INFA") + `]` +
		`,"patient":{"reference":"Patient/` + patient + `"},"dateTime":"2026-08-01"`
	if rule != "" {
		out += `,"policyRule":` + concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", rule)
	} else {
		out += `,"policy":[{"uri":"https://policy.example/consent"}]`
	}
	if provision != "" {
		out += `,"provision":` + provision
	}
	return out
}

// actor is a provision's actor who receives information.
func actor(reference string) string {
	return `{"role":` + concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP") +
		`,"reference":{"reference":"` + reference + `"}}`
}

func (w *world) create(c consent.Caller, t fhir.ResourceType, members string) (gate.Released, error) {
	w.Helper()
	return w.gate.Create(w.ctx(), w.request(c, "create", t), w.content(resource(t, "", members)), nil)
}

func (w *world) read(c consent.Caller, t fhir.ResourceType, id string) (gate.Released, error) {
	return w.gate.Read(w.ctx(), w.request(c, "read", t), t, id)
}

func (w *world) query(t fhir.ResourceType, query string) *search.Query {
	w.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		w.Fatal(err)
	}
	var pairs []search.Pair
	for name, all := range values {
		for _, v := range all {
			pairs = append(pairs, search.Pair{Name: name, Value: v})
		}
	}
	q, refusal := w.gate.Parser().Parse(t, pairs, false)
	if refusal != nil {
		w.Fatalf("%s?%s: %+v", t, query, refusal.Issues)
	}
	return q
}

func (w *world) search(c consent.Caller, t fhir.ResourceType, query string) (gate.Released, error) {
	w.Helper()
	return w.gate.Search(w.ctx(), w.request(c, "search-type", t), w.query(t, query), "")
}

// sees is what a search finds, as "id id", with the hint as a star.
func (w *world) sees(c consent.Caller, t fhir.ResourceType, query string) string {
	w.Helper()
	r, err := w.search(c, t, query)
	if err != nil {
		return outcome(err)
	}
	found := strings.Fields(ids(r))
	if !strings.Contains(query, "_sort") { // the order between patients is the store's own
		slices.Sort(found)
	}
	out := strings.Join(found, " ")
	if r.Hint() {
		out += "*"
	}
	return out
}

func ids(r gate.Released) string {
	var out []string
	for _, i := range r.Items() {
		out = append(out, i.Resource.ID)
	}
	return strings.Join(out, " ")
}

// reads is what a read gives: the text of the resource, or the refusal.
func (w *world) reads(c consent.Caller, t fhir.ResourceType, id string) string {
	r, err := w.read(c, t, id)
	if err != nil {
		return outcome(err)
	}
	return string(r.Items()[0].Resource.JSON)
}

// outcome names a refusal.
func outcome(err error) string {
	var refused *gate.Refused
	if errors.As(err, &refused) {
		return fmt.Sprint(refused.Status, " ", refused.Code)
	}
	var invalid *gate.Invalid
	if errors.As(err, &invalid) {
		return fmt.Sprint(invalid.Status)
	}
	return err.Error()
}

// events are the AuditEvents that a regulator finds.
func (w *world) events(query string) []string {
	w.Helper()
	r, err := w.search(regulator(), "AuditEvent", query)
	if err != nil {
		w.Fatalf("AuditEvent?%s: %v", query, err)
	}
	var out []string
	for _, i := range r.Items() {
		out = append(out, string(i.Resource.JSON))
	}
	return out
}

// want compares.
func (w *world) want(what, got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// terms are the code systems and value sets that ship with the server.
func terms(tb testing.TB) *r4.Terms {
	tb.Helper()
	t, err := r4.LoadTerms()
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// nrics are those of the patients of the clinics.
var nrics = map[string]string{"p": "S0000001I", "q": "S0000002G", "r": "S0000003E"}
