package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/consent/basic"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/compartment"
	"vitrine/fhir/r4"
	"vitrine/fhir/rest"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/fhir/validate"
	"vitrine/store/embedded"
)

const actReason = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

// cast are the callers: the custodian, a doctor registered with patients p and
// q, her clinic's back end, and one of another clinic.
func cast() words {
	w := tokens()
	treat := []fhir.Coding{{System: actReason, Code: "TREAT"}}
	w["doctor"] = smart.Token{
		Kind: smart.KindPractitioner, Client: "emr-a", Issuer: "urn:x", Subject: "a1", ID: "j1", User: "PractitionerRole/a1", Organization: "a",
		Scopes: smart.ParseScopes("user/*.cruds"), Purposes: treat,
	}
	elsewhere := w["doctor"]
	elsewhere.Client, elsewhere.ID = "another-emr", "j2"
	w["elsewhere"] = elsewhere
	insurer := w["doctor"]
	insurer.Purposes = []fhir.Coding{{System: actReason, Code: "TREAT"}, {System: actReason, Code: "HPAYMT"}}
	w["insurer"] = insurer
	w["clinic"] = smart.Token{Kind: smart.KindSystem, Client: "emr-a", Organization: "a", Scopes: smart.ParseScopes("system/*.cud"), Purposes: treat}
	w["self"] = smart.Token{
		Kind: smart.KindPatient, Client: "app", Issuer: "urn:x", Subject: "p", ID: "j3", Patient: "p", Scopes: smart.ParseScopes("patient/*.cruds"),
		Purposes: []fhir.Coding{{System: actReason, Code: "PATRQT"}},
	}
	w["regulator"] = smart.Token{
		Kind: smart.KindRegulator, Client: "ministry", Issuer: "urn:x", Subject: "r", ID: "j4", Scopes: smart.ParseScopes("system/*.rs"),
		Purposes: []fhir.Coding{{System: consent.SystemPurpose, Code: "AUDIT"}},
	}
	mei := w["regulator"]
	mei.Subject, mei.ID, mei.Scopes = "mei", "j7", smart.ParseScopes("user/*.cruds")
	tan, machine := mei, mei
	tan.Subject, machine.Subject = "tan", "ministry"
	w["mei"], w["tan"], w["machine"] = mei, tan, machine
	narrow := w["doctor"]
	narrow.ID, narrow.Scopes = "j5", smart.ParseScopes("user/Condition.rs user/Encounter.r")
	w["narrow"] = narrow
	part := w["doctor"]
	part.ID, part.Scopes = "j6", smart.ParseScopes("user/Condition.rs?clinical-status=http://terminology.hl7.org/CodeSystem/condition-clinical|active")
	w["part"] = part
	w["other"] = smart.Token{Kind: smart.KindSystem, Client: "emr-b", Organization: "b", Scopes: smart.ParseScopes("system/*.cud"), Purposes: treat}
	for name, t := range w { // the operator vouches for their clients
		t.ByHand = true
		w[name] = t
	}
	return w
}

// house is a porch before a real gate on the embedded store.
type house struct {
	t testing.TB
	http.Handler
	door *gate.Gate
}

// build wires it.
func build(tb testing.TB) *house {
	tb.Helper()
	return buildWith(tb, gate.Config{})
}

// buildWith wires it with other settings of the gate.
func buildWith(tb testing.TB, cfg gate.Config) *house {
	tb.Helper()
	cfg.Reserved = rest.Reserved()
	return houses(tb, cfg)[0]
}

// buildAfter is a house, and one of before it on the same store, which had nothing of
// its own to show.
func buildAfter(tb testing.TB) (h, older *house) {
	tb.Helper()
	all := houses(tb, gate.Config{Reserved: rest.Reserved()}, gate.Config{})
	return all[0], all[1]
}

// houses are several on one store.
func houses(tb testing.TB, all ...gate.Config) (out []*house) {
	tb.Helper()
	definitions, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	indexer, err := search.NewIndexer(definitions, base)
	if err != nil {
		tb.Fatal(err)
	}
	set, err := basic.New(basic.Default())
	if err != nil {
		tb.Fatal(err)
	}
	db, err := embedded.Open(tb.TempDir(), embedded.Options{Indexer: indexer, Definitions: definitions})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	tools := gate.Tools{
		Definitions: definitions, Indexer: indexer, Parser: indexer.Parser(),
		Validator: validate.New(definitions), Compartments: compartment.New(definitions), Basic: set, Terms: search.NewShipped(terms(tb)), Codes: terms(tb),
	}
	for _, cfg := range all {
		cfg.BaseURL = base
		door := gate.New(cfg, tools, db)
		s, err := rest.New(rest.Config{BaseURL: base, Now: now}, rest.Tools{Definitions: definitions, Parser: indexer.Parser()}, door, cast())
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, &house{tb, s.Handler(), door})
	}
	return out
}

// furnish stores what the stories need.
func (h *house) furnish() {
	h.t.Helper()
	for _, r := range []string{
		`{"resourceType":"Organization","id":"a","active":true,"name":"Clinic A"}`,
		`{"resourceType":"Organization","id":"b","active":true,"name":"Clinic B"}`,
		`{"resourceType":"Practitioner","id":"dr-a","active":true}`,
		`{"resourceType":"PractitionerRole","id":"a1","active":true,"practitioner":{"reference":"Practitioner/dr-a"},"organization":{"reference":"Organization/a"},` +
			`"code":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/practitioner-role","code":"doctor"}]}]}`,
		`{"resourceType":"Patient","id":"p","birthDate":"1980-01-02","gender":"female"}`,
		`{"resourceType":"Patient","id":"q","birthDate":"1990-01-02","gender":"male"}`,
		`{"resourceType":"EpisodeOfCare","id":"p-a","status":"active","patient":{"reference":"Patient/p"},"managingOrganization":{"reference":"Organization/a"}}`,
		`{"resourceType":"EpisodeOfCare","id":"q-a","status":"active","patient":{"reference":"Patient/q"},"managingOrganization":{"reference":"Organization/a"}}`,
		`{"resourceType":"Condition","id":"c-p","subject":{"reference":"Patient/p"},"code":{"text":"secret"}}`,
		`{"resourceType":"Consent","id":"no","status":"active","patient":{"reference":"Patient/p"},"scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},` +
			`"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTOUT"}]},"provision":{"type":"deny"}}`,
	} {
		var head struct{ ResourceType, ID string }
		if err := json.Unmarshal([]byte(r), &head); err != nil {
			h.t.Fatal(err)
		}
		h.want("good", "PUT", head.ResourceType+"/"+head.ID, r, 201)
	}
}

// as sends a request with a token; a body is FHIR JSON.
func (h *house) as(token, method, path, body string, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	header = append(header, "Authorization", "Bearer "+token)
	if body != "" && !strings.Contains(strings.Join(header, " "), "Content-Type") {
		header = append(header, "Content-Type", "application/fhir+json")
	}
	return call(h, method, "/fhir/"+path, body, header...)
}

// want sends a request and insists on the status.
func (h *house) want(token, method, path, body string, status int, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.as(token, method, path, body, header...)
	if w.Code != status {
		h.t.Fatalf("%s %s %s: %d, want %d\n%s", token, method, path, w.Code, status, w.Body)
	}
	return w
}

// bundle is as much of a Bundle as the tests look at.
type bundle struct {
	Type  string
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		FullURL  string
		Resource struct {
			ResourceType, ID, Type string
			Meta                   struct{ VersionID string }
			Link                   []struct{ Relation, URL string }
			Entry                  []struct{ FullURL string }
			Issue                  []struct{ Code string }
		}
		Search   struct{ Mode string }
		Request  struct{ Method, URL string }
		Response struct {
			Status, Location, ETag, LastModified string
			Outcome                              struct{ Issue []struct{ Code string } }
		}
	}
}

func bundleOf(tb testing.TB, w *httptest.ResponseRecorder) bundle {
	tb.Helper()
	var tape fhir.Tape
	if err := tape.Parse(w.Body.Bytes(), fhir.Limits{}); err != nil {
		tb.Fatalf("%v\n%s", err, w.Body)
	}
	var b bundle
	if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil {
		tb.Fatal(err)
	}
	return b
}

func (b bundle) link(relation string) string {
	for _, l := range b.Link {
		if l.Relation == relation {
			return l.URL
		}
	}
	return ""
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
