package gate_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/consent/audit/balptest"
)

// told are the events that a query finds, none of which may break a rule of BALP.
func (w *world) told(query string) []string {
	w.Helper()
	events := w.events(query)
	for _, e := range events {
		if wrong := balptest.Check([]byte(e)); len(wrong) > 0 {
			w.Errorf("%s\n%s", strings.Join(wrong, "\n"), e)
		}
	}
	return events
}

// Scenario 95: what a Consent stood against is two events, the attempt and the
// decision, which names the version that decided; what is not there is one.
func TestConsentsThatDenyAreNamed(t *testing.T) {
	w := newClinics(t, nil)
	id := w.restrict("p", optOut, closed)
	w.want("hidden", w.reads(doctor("A"), "Observation", "o-p"), "not found")
	w.want("absent", w.reads(doctor("A"), "Observation", "none"), "not found")
	w.want("nobody's patient", w.reads(doctor("C"), "Observation", "o-p"), "not found")
	attempts := w.told("outcome=4&type=rest")
	if len(attempts) != 3 {
		t.Errorf("%d attempts, want 3", len(attempts))
	}
	named := slices.DeleteFunc(attempts, func(e string) bool { return !strings.Contains(e, `"Consent/`+id+`/_history/1"`) })
	if len(named) != 1 || !strings.Contains(named[0], `"restricted"`) || !strings.Contains(named[0], `"Patient/p"`) {
		t.Errorf("the attempt says not what decided: %v", named)
	}
	decisions := w.told("subtype=https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType|AuthZ-Consent")
	if len(decisions) != 1 || !strings.Contains(decisions[0], `"AuthZ-Consent"`) || !strings.Contains(decisions[0], `"Consent/`+id+`/_history/1"`) ||
		!slices.Contains(balptest.Claims([]byte(decisions[0])), "IHE.BasicAudit.AuthZconsent") {
		t.Errorf("%d decisions: %v", len(decisions), decisions)
	}
}

// TestNoSecretsAreKept: whatever a client puts in the address, what would let
// somebody act for it is not put on record, and all else is as it was sent.
func TestNoSecretsAreKept(t *testing.T) {
	for target, want := range map[string]string{
		"/fhir/Observation":                                    "/fhir/Observation",
		"/fhir/Observation?patient=q&code=a|b,c%2Cd":           "/fhir/Observation?patient=q&code=a|b,c%2Cd",
		"/fhir/Observation?access_token=xSECRETx&patient=q":    "/fhir/Observation?access_token=&patient=q",
		"/fhir/Observation?Access%5Ftoken=xSECRETx":            "/fhir/Observation?Access%5Ftoken=",
		"/fhir/Observation?a=1;password=xSECRETx;b=2":          "/fhir/Observation?a=1;password=;b=2",
		"/fhir/Observation?client_assertion=xSECRETx&&x":       "/fhir/Observation?client_assertion=&&x",
		"/fhir/Observation?_id=1&client_secret:exact=xSECRETx": "/fhir/Observation?_id=1&client_secret:exact=",
		"/fhir/Patient/q/$x?justification=xSECRETx&x=%zz":      "/fhir/Patient/q/$x?justification=&x=%zz",
	} {
		w := newClinics(t, nil)
		req := w.request(doctor("A"), "search-type", "Observation")
		req.Target = target
		if _, err := w.gate.Search(w.ctx(), req, w.query("Observation", "patient=Patient/q"), ""); err != nil {
			t.Fatal(err)
		}
		events := w.told("subtype=search-type&patient=Patient/q")
		if len(events) != 1 || !strings.HasPrefix(queryOf(t, events[0]), "GET "+want) || strings.Contains(events[0], "SECRET") {
			t.Errorf("%s is on record as %q in %d events, want %q", target, queryOf(t, events[0]), len(events), want)
		}
	}
}

// queryOf is the request that an event has in its query.
func queryOf(t *testing.T, event string) string {
	t.Helper()
	var e struct{ Entity []struct{ Query string } }
	if err := json.Unmarshal([]byte(event), &e); err != nil {
		t.Fatal(err)
	}
	for _, x := range e.Entity {
		if x.Query != "" {
			raw, err := base64.StdEncoding.DecodeString(x.Query)
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		}
	}
	return ""
}

// TestEventsNameTheLabels: what is read or written is on record with its security
// labels, and with what decided.
func TestEventsNameTheLabels(t *testing.T) {
	w := newClinics(t, nil)
	const hiv = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}`
	w.put("Observation", "o-l", `"meta":{"security":[`+hiv+`]},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/q"}`)
	if got := w.reads(doctor("A"), "Observation", "o-l"); !strings.Contains(got, `"id":"o-l"`) {
		t.Fatal(got)
	}
	for _, query := range []string{"action=R&patient=Patient/q", "entity=Observation/o-l&action:not=R"} {
		events := w.told(query)
		if len(events) != 1 || !strings.Contains(events[0], `"securityLabel":[`+hiv+`]`) {
			t.Errorf("%s: %v", query, events)
		}
	}
	if e := w.events("action=R&patient=Patient/q")[0]; !strings.Contains(e, `"outcomeDesc":"`+consent.ReasonUnrestricted+`"`) {
		t.Errorf("what decided is not said: %s", e)
	}
}

// TestTheLogsOwnUse: whoever looks at the record of access is on record too.
func TestTheLogsOwnUse(t *testing.T) {
	w := newClinics(t, nil)
	w.want("look", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	id := w.told("patient=Patient/q")[0]
	var e struct{ ID string }
	if err := json.Unmarshal([]byte(id), &e); err != nil {
		t.Fatal(err)
	}
	if got := w.reads(regulator(), "AuditEvent", e.ID); !strings.Contains(got, e.ID) {
		t.Fatal(got)
	}
	w.want("a provider", w.sees(doctor("A"), "AuditEvent", ""), "")
	const used = "subtype=http://dicom.nema.org/resources/ontology/DCM|110101"
	if reads := w.told(used + "&action=R"); len(reads) != 1 {
		t.Errorf("%d readings of the record are on record, want 1", len(reads))
	}
	if searches := w.told(used + "&action=E"); len(searches) < 3 { // the regulator's own, and the provider's
		t.Errorf("%d searches of the record are on record", len(searches))
	}
}
