package gate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/store"
)

func emergency() gate.BreakGlassRequest {
	return gate.BreakGlassRequest{
		Reason:        fhir.Coding{System: "http://terminology.hl7.org/CodeSystem/v3-ActCode", Code: "OVRER"},
		Justification: "unconscious, unknown medication", Threat: "life",
	}
}

func (w *world) breakGlass(c consent.Caller, patient string, b gate.BreakGlassRequest) (gate.Released, error) {
	return w.gate.BreakGlass(w.ctx(), w.request(c, "$break-glass", "Patient"), patient, b)
}

func (w *world) stop(c consent.Caller, patient string) error {
	_, err := w.gate.StopBreakGlass(w.ctx(), w.request(c, "$break-glass-stop", "Patient"), patient)
	return err
}

// subtype counts the events of a DICOM subtype about a patient.
func (w *world) subtype(code, patient string) int {
	w.Helper()
	return len(w.events("subtype=http://dicom.nema.org/resources/ontology/DCM|" + code + "&patient=Patient/" + patient))
}

// Scenarios 40, 42, 43, 45, 48: breaking the glass opens one record to one
// person, and ends.
func TestBreakGlass(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	r, err := w.breakGlass(doctor("A"), "p", emergency())
	if err != nil {
		t.Fatal(explain(err))
	}
	if got, want := r.Grant().Expires, w.now.Add(4*time.Hour); !got.Equal(want) || !r.Created() {
		t.Errorf("expires %v, want %v", got, want)
	}
	w.want("opened", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
	w.want("for B", w.sees(doctor("B"), "Observation", "patient=Patient/p"), "*")
	other := doctor("A")
	other.Client = "another"
	w.want("by another client", w.sees(other, "Observation", "patient=Patient/p"), "*")
	if n := w.subtype("110127", "p"); n != 1 {
		t.Errorf("starts: %d", n)
	}
	used := w.events("subtype=" + consent.SystemEvent + "|break-glass-use&patient=Patient/p")
	if len(used) != 1 || !strings.Contains(used[0], `"BTG"`) || !strings.Contains(used[0], r.Grant().ID) {
		t.Errorf("uses: %v", used)
	}

	if err := w.stop(doctor("A"), "p"); err != nil {
		t.Fatal(err)
	}
	w.want("stopped", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
	if n := w.subtype("110138", "p"); n != 1 {
		t.Errorf("stops: %d", n)
	}
	w.want("stopped twice", outcome(w.stop(doctor("A"), "p")), "not found")
}

// The patient is told, without the justification; a provider is not.
func TestBreakGlassNotifiesThePatient(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	b := emergency()
	b.Encounter = fhir.Identifier{System: "urn:example:adt", Value: "ED-1"}
	if _, err := w.breakGlass(doctor("A"), "p", b); err != nil {
		t.Fatal(err)
	}
	told, err := w.search(person("p"), "Communication", "patient=Patient/p")
	if err != nil || len(told.Items()) != 1 || strings.Contains(string(told.Items()[0].Resource.JSON), "medication") {
		t.Errorf("told: %v, %v", told.Items(), err)
	}
	tasks, err := w.search(regulator(), "Task", "patient=Patient/p")
	if err != nil || len(tasks.Items()) != 1 || !strings.Contains(string(tasks.Items()[0].Resource.JSON), "urn:example:adt|ED-1") {
		t.Errorf("review: %v, %v", tasks.Items(), err)
	}
	w.want("doctor's communications", w.sees(doctor("A"), "Communication", "patient=Patient/p"), "")
	w.want("doctor's tasks", w.sees(doctor("A"), "Task", "patient=Patient/p"), "")
	w.want("regulator's observations", w.sees(regulator(), "Observation", "patient=Patient/p"), "")
}

// Scenario 43: an expired grant falls back by itself, and its stop is on
// record.
func TestBreakGlassExpires(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	if _, err := w.breakGlass(doctor("A"), "p", emergency()); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(4*time.Hour - time.Second)
	w.want("just before", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
	w.now = w.now.Add(time.Second)
	w.want("at expiry", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
	for range 2 {
		if err := w.gate.Sweep(w.ctx(), w.now); err != nil {
			t.Fatal(explain(err))
		}
		if n := w.subtype("110138", "p"); n != 1 {
			t.Errorf("stops: %d", n)
		}
	}
}

// before is a store in which something happens before the next write.
type before struct {
	store.Store
	happens func()
}

func (b *before) Write(ctx context.Context, do func(store.Tx) error) error {
	if happens := b.happens; happens != nil {
		b.happens = nil
		happens()
	}
	return b.Store.Write(ctx, do)
}

// TestSeveralServersRecordOneStop: servers that share a store all look for
// grants that have run out.
func TestSeveralServersRecordOneStop(t *testing.T) {
	b := &before{}
	w := newClinics(t, func(s store.Store) store.Store {
		b.Store = s
		return b
	})
	w.restrict("p", optOut, closed)
	if _, err := w.breakGlass(doctor("A"), "p", emergency()); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(4 * time.Hour)
	first := errors.New("did not happen")
	b.happens = func() { first = w.gate.Sweep(w.ctx(), w.now) }
	second := w.gate.Sweep(w.ctx(), w.now)
	if err := errors.Join(first, second); err != nil {
		t.Fatal(explain(err))
	}
	if n := w.subtype("110138", "p"); n != 1 {
		t.Errorf("stops: %d, want 1", n)
	}
}

// Scenario 41: reasons that are none.
func TestBreakGlassWantsAReason(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	for name, change := range map[string]func(*gate.BreakGlassRequest){
		"none":    func(b *gate.BreakGlassRequest) { b.Justification = "" },
		"blank":   func(b *gate.BreakGlassRequest) { b.Justification = "   \t           " },
		"short":   func(b *gate.BreakGlassRequest) { b.Justification = "a b c d e f g" },
		"payment": func(b *gate.BreakGlassRequest) { b.Reason.Code = "OVRPJ" },
		"system":  func(b *gate.BreakGlassRequest) { b.Reason.System = "" },
		"threat":  func(b *gate.BreakGlassRequest) { b.Threat = "wealth" },
		"days":    func(b *gate.BreakGlassRequest) { b.TTL = 25 * time.Hour },
	} {
		b := emergency()
		change(&b)
		_, err := w.breakGlass(doctor("A"), "p", b)
		w.want(name, outcome(err), "422")
		w.want(name+" leaves the glass whole", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
	}
	for name, c := range map[string]consent.Caller{"system": system("A"), "patient": person("p"), "regulator": regulator()} {
		if _, err := w.breakGlass(c, "p", emergency()); !strings.HasPrefix(outcome(err), "403") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := w.breakGlass(doctor("A"), "q", emergency())
	w.want("unrestricted, the same", outcomeOf(err), "released")
}

func outcomeOf(err error) string {
	if err == nil {
		return "released"
	}
	return outcome(err)
}

// Scenario 44: who is not registered finds nobody; an emergency role registers
// in the same act.
func TestEmergencyRegistration(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	b := emergency()
	for _, id := range []string{"p", "q", "none"} {
		_, err := w.breakGlass(doctor("C"), id, b)
		w.want(id, outcome(err), "not found")
	}
	b.Emergency = true
	_, err := w.breakGlass(doctor("C"), "p", b)
	w.want("not an emergency role", outcome(err), "not found")
	w.put("PractitionerRole", "C1", `"practitioner":{"reference":"Practitioner/dC"},"organization":{"reference":"Organization/C"},"code":[`+
		concept(consent.SystemRole, "emergency")+`]`)
	_, err = w.breakGlass(doctor("C"), "none", b)
	w.want("nobody", outcome(err), "not found")
	_, err = w.breakGlass(doctor("C"), "p", b)
	w.want("registered in the act", outcomeOf(err), "released")
	w.want("opened", w.sees(doctor("C"), "Observation", "patient=Patient/p"), "o-p")
	w.want("and no other", w.sees(doctor("C"), "Observation", ""), "o-p")
	w.now = w.now.Add(25 * time.Hour)
	w.want("a day later", w.sees(doctor("C"), "AllergyIntolerance", "patient=Patient/p"), "")
}

// Scenarios 30, 47: a purpose of breaking the glass is no grant, and a grant is
// no purpose.
func TestGrantAndPurpose(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	claims := doctor("A")
	claims.Purpose = consent.BreakGlass
	w.want("claimed alone", w.sees(claims, "Observation", "patient=Patient/p"), "*")
	if _, err := w.breakGlass(doctor("A"), "p", emergency()); err != nil {
		t.Fatal(err)
	}
	w.want("with a grant", w.sees(claims, "Observation", "patient=Patient/p"), "o-p")
	insurer := doctor("A")
	insurer.Purpose = consent.Insurance
	w.want("insurance", w.sees(insurer, "Observation", "patient=Patient/p"), "403 forbidden-purpose")
}

func TestAccess(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	for _, c := range []struct {
		caller  consent.Caller
		patient string
		want    gate.Access
	}{
		{doctor("A"), "p", gate.Access{Level: "basic", BreakGlass: true}},
		{doctor("A"), "q", gate.Access{Level: "full"}},
		{person("p"), "p", gate.Access{Level: "self"}},
	} {
		r, err := w.gate.Access(w.ctx(), w.request(c.caller, "$access", "Patient"), c.patient)
		if err != nil || r.Access() != c.want {
			t.Errorf("%v of %s: %+v, %v", c.caller.Kind, c.patient, r.Access(), err)
		}
	}
	for _, id := range []string{"p", "none"} {
		_, err := w.gate.Access(w.ctx(), w.request(doctor("C"), "$access", "Patient"), id)
		w.want("unregistered, "+id, outcome(err), "not found")
	}
}

// What the server keeps of a broken glass, the grant with its review and what the
// patient was told, is changed and deleted by nobody.
func TestTheCustodianChangesNoReview(t *testing.T) {
	w := newClinics(t, nil)
	if _, err := w.breakGlass(doctor("A"), "p", emergency()); err != nil {
		t.Fatal(explain(err))
	}
	oversight := "_security=" + consent.SystemLabel + "|oversight"
	for _, typ := range []fhir.ResourceType{"Task", "Communication"} {
		id := w.sees(custodian(), typ, oversight)
		before := w.stored(typ, id)
		body := strings.TrimSuffix(strings.TrimPrefix(before, `{"resourceType":"`+string(typ)+`",`), "}")
		const doc = `[{"op":"add","path":"/language","value":"en"}]`
		for name, do := range map[string]func() error{
			"PATCH":             func() error { _, err := w.patch(custodian(), typ, id, doc, ""); return err },
			"conditional PATCH": func() error { _, err := w.patchWhere(custodian(), typ, oversight, doc); return err },
			"PUT": func() error {
				_, err := w.gate.Update(w.ctx(), w.request(custodian(), "update", typ), typ, id, w.content(`{"resourceType":"`+string(typ)+`",`+body+`}`), "")
				return err
			},
			"DELETE": func() error {
				_, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", typ), typ, id, "")
				return err
			},
			"conditional DELETE": func() error {
				_, err := w.gate.DeleteWhere(w.ctx(), w.request(custodian(), "delete", typ), w.query(typ, oversight), "")
				return err
			},
			"a transaction": func() error { _, err := w.transact(custodian(), w.entry("delete", typ, id, "", "")); return err },
		} {
			w.want(name+" of the "+string(typ), outcome(do()), "422")
		}
		for _, code := range []string{"$meta-add", "$meta-delete"} {
			w.want(code+" of the "+string(typ), w.relabel(custodian(), typ, id, code, `{"security":[{"system":"`+consent.SystemLabel+`","code":"oversight"}],"tag":[{"system":"http://x.example","code":"x"}]}`), "422")
		}
		if after := w.stored(typ, id); after != before {
			t.Errorf("the %s was %s and is %s", typ, before, after)
		}
	}
}
