package gate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/consent/plain"
	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// unnamed is a doctor of the organisation whom no Consent names.
func unnamed(organization string, p consent.Purpose) consent.Caller {
	c := doctor(organization)
	c.User, c.Subject, c.Purpose = "PractitionerRole/"+organization+"2", "second-"+organization, p
	return c
}

func (w *world) simulate(c consent.Caller, members string) (*plain.Outlook, error) {
	w.Helper()
	r, err := w.gate.Simulate(w.ctx(), w.request(c, "$simulate", "Consent"), w.content(`{"resourceType":"Consent",`+members+`}`))
	return r.Outlook(), err
}

// drawProvision is a provision as people and machines write them, some refused.
func drawProvision(t *rapid.T) (rule, provision string) {
	rule = rapid.SampledFrom([]string{"OPTIN", "OPTOUT", "OPTINR", "OPTOUTE"}).Draw(t, "rule")
	root, nested := "permit", "deny"
	if strings.HasPrefix(rule, "OPTOUT") {
		root, nested = nested, root
	}
	var all []string
	for range rapid.IntRange(0, 3).Draw(t, "nested") {
		members := []string{`"type":"` + nested + `"`}
		var actors []string
		for _, a := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"Organization/A", "Organization/B", "Organization/C", "Organization/H", "Practitioner/dA", "Organization/nowhere"}), 0, 2, rapid.ID).Draw(t, "actors") {
			actors = append(actors, actor(a))
		}
		if len(actors) > 0 {
			members = append(members, `"actor":[`+strings.Join(actors, ",")+`]`)
		}
		if class := rapid.SampledFrom([]string{"", "", "Observation", "AllergyIntolerance", "Patient", "Nonsense"}).Draw(t, "class"); class != "" {
			members = append(members, `"class":[{"system":"http://hl7.org/fhir/resource-types","code":"`+class+`"}]`)
		}
		if p := rapid.SampledFrom([]string{"", "", "ETREAT", "COC", "HPAYMT"}).Draw(t, "purpose"); p != "" {
			members = append(members, `"purpose":[{"system":"`+consent.SystemActReason+`","code":"`+p+`"}]`)
		}
		if end := rapid.SampledFrom([]string{"", "", "2026-08-31", "2027"}).Draw(t, "end"); end != "" {
			members = append(members, `"period":{"end":"`+end+`"}`)
		}
		all = append(all, "{"+strings.Join(members, ",")+"}")
	}
	provision = `{"type":"` + root + `"`
	if len(all) > 0 {
		provision += `,"provision":[` + strings.Join(all, ",") + `]`
	}
	return rule, provision + "}"
}

// TestSimulationIsWhatThenHappens: what a simulation tells is what each organisation
// then meets, and what it refuses is refused.
func TestSimulationIsWhatThenHappens(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Organization", "H", `"active":true,"name":"Hospital"`)
	w.put("Organization", "B", `"active":true,"name":"Clinic","partOf":{"reference":"Organization/H"}`)
	for _, o := range []string{"A", "B", "C", "H"} {
		w.put("Practitioner", "x"+o, `"active":true`)
		w.put("PractitionerRole", o+"2", `"active":true,"practitioner":{"reference":"Practitioner/x`+o+
			`"},"organization":{"reference":"Organization/`+o+`"},"code":[`+concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
	}
	id, refusals := "", 0
	rapid.Check(t, func(rt *rapid.T) {
		rule, provision := drawProvision(rt)
		members := consentOf("p", rule, provision)
		if id != "" {
			members += `,"id":"` + id + `"`
		}
		out, refused := w.simulate(person("p"), members)
		if refused == nil && rapid.IntRange(0, 3).Draw(rt, "look before") == 0 {
			w.holds(rt, "now", out.Now)
		}
		saved, err := w.save(id, members)
		if explain(err) != explain(refused) {
			rt.Fatalf("simulated %s, saved %s: %s", explain(refused), explain(err), members)
		}
		if err != nil {
			refusals++
			return
		}
		id = saved
		if len(out.Then) < 2 || out.Doubtful {
			rt.Fatalf("told of %d organisations; in doubt: %v", len(out.Then), out.Doubtful)
		}
		w.holds(rt, "then", out.Then)
	})
	if refusals == 0 {
		t.Error("nothing was refused")
	}
}

// save stores the Consent, in the place of the one with the id.
func (w *world) save(id, members string) (string, error) {
	c := w.content(`{"resourceType":"Consent",` + members + `}`)
	var r gate.Released
	var err error
	if id == "" {
		r, err = w.gate.Create(w.ctx(), w.request(person("p"), "create", "Consent"), c, nil)
	} else {
		r, err = w.gate.Update(w.ctx(), w.request(person("p"), "update", "Consent"), "Consent", id, c, "")
	}
	if err != nil {
		return "", err
	}
	return r.Items()[0].Resource.ID, nil
}

// holds asks at every organisation for what it is said to see.
func (w *world) holds(t *rapid.T, when string, all []plain.Sight) {
	for _, one := range all {
		other := rapid.SampledFrom([]consent.Purpose{consent.CareCoordination, consent.EmergencyTreatment, consent.EmergencyRoom}).Draw(t, "for")
		for _, p := range []consent.Purpose{consent.Treatment, other} {
			for typ, id := range map[fhir.ResourceType]string{"Patient": "p", "Observation": "o-p", "Condition": "c-p", "AllergyIntolerance": "a-p", "Immunization": "i-p"} {
				r, err := w.read(unnamed(one.Organization, p), typ, id)
				got := "none"
				var turnedAway *gate.Refused
				switch {
				case errors.As(err, &turnedAway):
				case err == nil && strings.HasPrefix(r.Items()[0].Resource.Version, "b"):
					got = "basic"
				case err == nil:
					got = "full"
				case !errors.Is(err, gate.ErrNotFound):
					t.Fatal(err)
				}
				if want := sightOf(one.Parts, typ, p); got != want {
					t.Fatalf("%s: %s at %s for %s sees %s, told %s\n%s", when, typ, one.Organization, p, got, want, fmt.Sprintf("%+v", one))
				}
			}
		}
	}
}

// sightOf is what the parts tell of a type: for the purpose, by its name, or with
// all the rest.
func sightOf(parts []plain.Part, typ fhir.ResourceType, p consent.Purpose) string {
	find := func(typ fhir.ResourceType) (plain.Part, bool) {
		var found *plain.Part
		for i := range parts {
			if parts[i].Type == typ && parts[i].Label == "" && (parts[i].Purpose == p || parts[i].Purpose == consent.PurposeNone && found == nil) {
				found = &parts[i]
			}
		}
		if found == nil {
			return plain.Part{}, false
		}
		return *found, true
	}
	if one, ok := find(typ); ok {
		return plain.SightCode(one.Edition)
	}
	rest, _ := find("")
	if rest.Edition == consent.EditionBasic && typ != "Patient" && typ != "AllergyIntolerance" && typ != "Immunization" {
		return "none"
	}
	return plain.SightCode(rest.Edition)
}

func TestSimulationKeepsNothing(t *testing.T) {
	w := newClinics(t, nil)
	if _, err := w.simulate(person("p"), consentOf("p", "OPTOUT", `{"type":"deny"}`)); err != nil {
		t.Fatal(explain(err))
	}
	w.want("a doctor", w.sees(doctor("A"), "Observation", "patient=p"), "o-p")
	w.want("the patient", w.sees(person("p"), "Consent", "patient=p"), "")
	if events := w.events("patient=p&entity-type=2"); len(w.events("subtype=110135")) != 0 {
		t.Errorf("a change of a Consent is on record: %v", events)
	}
	for _, c := range []consent.Caller{doctor("A"), system("A"), regulator(), {}} {
		if _, err := w.simulate(c, consentOf("p", "OPTOUT", `{"type":"deny"}`)); !errors.Is(err, gate.ErrNotFound) {
			t.Errorf("%s: %v", c.Kind, err)
		}
	}
}

// Who could not save a Consent is not told what one would do: an app that reads
// Consents alone learns neither where the patient is registered nor of a broken glass.
func TestSimulationIsForWhoMaySave(t *testing.T) {
	w := newClinics(t, nil)
	for scopes, want := range map[string]bool{"patient/*.cruds": true, "patient/Consent.cr": true, "patient/Consent.ru": true, "patient/Consent.rs": false, "patient/*.rs": false} {
		app := person("p")
		app.Scopes = smart.ParseScopes(scopes)
		_, err := w.simulate(app, consentOf("p", "OPTOUT", `{"type":"deny"}`))
		var refused *gate.Refused
		if errors.As(err, &refused) == want || (err == nil) != want {
			t.Errorf("%s: %v", scopes, err)
		}
	}
}

// A second restriction is refused as it would be when saved, in words about looking
// and not about saving; with the id of the first it is seen in its place.
func TestSimulationOfASecondRestriction(t *testing.T) {
	w := newClinics(t, nil)
	id := w.restrict("p", optOut, closed)
	second := consentOf("p", "OPTOUT", `{"type":"deny"}`)
	_, err := w.simulate(person("p"), second)
	if got := explain(err); outcomeOf(err) != "409" || !strings.Contains(got, "Consent/"+id+": with its id") || strings.Contains(got, "inactive") {
		t.Errorf("simulated: %s", got)
	}
	_, err = w.save("", second)
	if got := explain(err); outcomeOf(err) != "409" || !strings.Contains(got, "Consent/"+id+": update it") {
		t.Errorf("saved: %s", got)
	}
	if _, err := w.simulate(person("p"), second+`,"id":"`+id+`"`); err != nil {
		t.Errorf("in its place: %s", explain(err))
	}
}

// single is a store that keeps one resource at a time.
type single struct{ store.Store }

func (single) Transactions() bool { return false }

// Where a trial would be live until it is undone, there is none.
func TestNoSimulationWithoutTransactions(t *testing.T) {
	w := newClinics(t, func(s store.Store) store.Store { return single{s} })
	if _, err := w.simulate(person("p"), consentOf("p", optOut, closed)); !errors.Is(err, gate.ErrNoTransactions) {
		t.Errorf("simulated: %v", explain(err))
	}
}
