package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/store"
)

// watched are the clinics with low thresholds, and a second server on the same
// store.
func watched(t *testing.T, wrap func(store.Store) store.Store) (w *world, other *gate.Gate) {
	t.Helper()
	w = newClinics(t, wrap)
	config := gate.Config{
		BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example",
		Oversight: consent.Oversight{OverridesByPerson: 3, OverridesByOrganization: 4, Sweep: 5, Claims: 3},
	}
	w.gate, other = gate.New(config, w.tools, w.store), gate.New(config, w.tools, w.store)
	return w, other
}

func (w *world) watch(servers ...*gate.Gate) {
	w.Helper()
	for _, g := range append(servers, w.gate) {
		if err := g.Watch(w.ctx(), w.now); err != nil {
			w.Fatal(explain(err))
		}
	}
}

// alerts are those the regulator finds, in short.
func (w *world) alerts() string {
	w.Helper()
	r, err := w.search(regulator(), "Task", "code=alert")
	if err != nil {
		w.Fatal(explain(err))
	}
	var out []string
	for _, i := range r.Items() {
		var one struct {
			taskJSON
			ReasonCode struct{ Coding []struct{ Code string } }
			Input      []struct {
				Type         struct{ Coding []struct{ Code string } }
				ValueString  string
				ValueInteger int
			} `json:"input"`
		}
		if err := json.Unmarshal(i.Resource.JSON, &one); err != nil {
			w.Fatal(err)
		}
		said := one.ReasonCode.Coding[0].Code
		if strings.HasPrefix(one.Focus.Reference, "Task/") {
			said += " Task"
		} else if one.Focus.Reference != "" {
			said += " " + one.Focus.Reference
		}
		for _, in := range one.Input {
			said += " " + in.Type.Coding[0].Code + "="
			if in.ValueString != "" {
				said += in.ValueString
			} else {
				said += fmt.Sprint(in.ValueInteger)
			}
		}
		out = append(out, said)
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// TestAlertsOfOverrides: a person, and an organisation, that break the glass often on
// one day; below the threshold nothing is said, and above it once.
func TestAlertsOfOverrides(t *testing.T) {
	w, other := watched(t, nil)
	w.at("2026-09-01T23:59:00+08:00")
	for _, patient := range []string{"p", "q"} {
		w.override(doctor("A"), patient)
	}
	w.watch(other)
	w.want("below the threshold", w.alerts(), "")
	w.now = w.now.Add(30 * time.Second)
	w.override(doctor("A"), "r")
	w.now = w.now.Add(time.Minute) // the next day
	w.override(doctor("B"), "r")
	w.override(doctor("A"), "p")
	w.watch(other)
	w.watch(other)
	const person = "overrides Practitioner/dA at-least=3 span=2026-09-01"
	w.want("the last of a day counts for it", w.alerts(), person)
	w.now = w.now.Add(time.Minute)
	colleague := doctor("A")
	colleague.User, colleague.Subject = "PractitionerRole/A2", "dr-A2"
	w.put("Practitioner", "dA2", `"active":true`)
	w.put("PractitionerRole", "A2", `"active":true,"practitioner":{"reference":"Practitioner/dA2"},"organization":{"reference":"Organization/A"},"code":[`+
		concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
	for _, who := range []consent.Caller{doctor("A"), colleague, colleague} {
		w.override(who, "q")
	}
	w.watch(other)
	w.want("an organisation", w.alerts(), "overrides Organization/A at-least=4 span=2026-09-02; "+person)
	if n := w.gate.Alerted(gate.AlertOverrides) + other.Alerted(gate.AlertOverrides); n != 2 {
		t.Errorf("%d alerts in the metrics, want 2", n)
	}
}

// TestAlertsOfLateReviews: of a review that is not over when it is due, once.
func TestAlertsOfLateReviews(t *testing.T) {
	w, other := watched(t, nil)
	done, left := w.override(doctor("A"), "p"), w.override(doctor("A"), "q")
	for _, patient := range []string{"p", "q"} {
		if err := w.stop(doctor("A"), patient); err != nil {
			t.Fatal(explain(err))
		}
	}
	for _, s := range []gate.ReviewState{gate.ReviewInReview, gate.ReviewAccepted} {
		if err := w.review(regulator(), done, "", to(s)); err != nil {
			t.Fatal(explain(err))
		}
	}
	w.now = w.now.Add(7 * 24 * time.Hour)
	w.watch(other)
	w.want("in time", w.alerts(), "")
	for range 5 {
		w.now = w.now.Add(time.Second)
		w.watch(other)
	}
	w.want("late", w.alerts(), "overdue-review Task")
	w.now = w.now.Add(24 * time.Hour)
	w.watch(other)
	if got := w.tasks("code=alert")[0].Focus.Reference; got != "Task/"+left {
		t.Errorf("about %s, want Task/%s", got, left)
	}
	w.want("once", w.alerts(), "overdue-review Task")
	w.override(doctor("A"), "r")
	w.now = w.now.Add(8 * 24 * time.Hour)
	w.watch(other)
	w.want("and of the next", w.alerts(), "overdue-review Task; overdue-review Task")
}

// TestAlertsOfSweeps: somebody who asks about many patients who are not there, with
// whichever server, in whatever way; what is asked again counts once, and those who
// are there do not count.
func TestAlertsOfSweeps(t *testing.T) {
	w, other := watched(t, nil)
	const sweep = "sweep at-least=5 client=emr subject=dr-C span=2026-09-01T10"
	for range 10 {
		w.reads(doctor("C"), "Patient", "p") // hidden
		w.reads(doctor("C"), "Patient", "none")
		w.sees(doctor("C"), "Observation", "patient=Patient/p")
		w.sees(doctor("C"), "Patient", "identifier="+nrics["q"])
		w.sees(doctor("A"), "Patient", "identifier="+nrics["p"]+","+nrics["q"]+","+nrics["r"])
		w.sees(doctor("A"), "Observation", "patient=Patient/p,Patient/q,Patient/r")
	}
	w.watch(other)
	w.want("below the threshold", w.alerts(), "")
	first := w.gate
	w.gate = other
	w.sees(doctor("C"), "Observation", "patient.identifier=S0000004C")
	w.gate = first
	w.watch(other)
	w.want("one more", w.alerts(), "")
	w.sees(doctor("C"), "Patient", "identifier=S0000005A")
	w.watch(other)
	w.watch(other)
	w.want("of both servers", w.alerts(), sweep)
	w.sees(doctor("A"), "Patient", "identifier="+nrics["p"]+",S0000011E,S0000012C,S0000013A,S0000014Z,S0000015H")
	w.watch(other)
	w.want("many in one request", w.alerts(), "sweep at-least=5 client=emr subject=dr-A span=2026-09-01T10; "+sweep)
	for _, g := range []*gate.Gate{w.gate, other} {
		for _, a := range []gate.Alert{gate.AlertOverrides, gate.AlertOverdue, gate.AlertClaims, 0, 200} {
			if g.Alerted(a) != 0 {
				t.Errorf("%v in the metrics", a)
			}
		}
	}
}

// TestAlertsOfClaims: somebody who says there is an emergency, and breaks no glass.
// The ids that a client gives its requests do not make them one.
func TestAlertsOfClaims(t *testing.T) {
	w, other := watched(t, nil)
	w.restrict("p", optOut, closed)
	w.restrict("q", optOut, closed)
	claims := doctor("A")
	claims.Purpose = consent.BreakGlass
	for range 2 {
		w.sees(claims, "Observation", "patient=Patient/p,Patient/q")
	}
	w.watch(other)
	w.want("below the threshold", w.alerts(), "")
	w.sees(claims, "Observation", "patient=Patient/p,Patient/q")
	w.watch(other)
	w.watch(other)
	w.want("above", w.alerts(), "emergency-claims at-least=3 client=emr subject=dr-A span=2026-09-01")
}

// TestTwoServersRaiseOneAlert: both find the same at the same time.
func TestTwoServersRaiseOneAlert(t *testing.T) {
	b := &before{}
	w, other := watched(t, func(s store.Store) store.Store {
		b.Store = s
		return b
	})
	for _, patient := range []string{"p", "q", "r"} {
		w.override(doctor("A"), patient)
	}
	first := errors.New("did not happen")
	b.happens = func() { first = other.Watch(w.ctx(), w.now) }
	second := w.gate.Watch(w.ctx(), w.now)
	if err := errors.Join(first, second); err != nil {
		t.Fatal(explain(err))
	}
	w.want("one", w.alerts(), "overrides Practitioner/dA at-least=3 span=2026-09-01")
	if a, b := w.gate.Alerted(gate.AlertOverrides), other.Alerted(gate.AlertOverrides); a+b != 1 {
		t.Errorf("%d and %d in the metrics", a, b)
	}
}

// TestCountsOutliveAFailure: what could not be written down is tried again.
func TestCountsOutliveAFailure(t *testing.T) {
	f := &failingWrites{}
	w, _ := watched(t, func(s store.Store) store.Store {
		f.Store = s
		return f
	})
	for n := range 5 {
		w.reads(doctor("C"), "Patient", fmt.Sprint("none", n))
	}
	f.fails = true
	if err := w.gate.Watch(w.ctx(), w.now); err == nil {
		t.Error("nothing was written, and nothing said")
	}
	f.fails = false
	w.watch()
	w.want("then", w.alerts(), "sweep at-least=5 client=emr subject=dr-C span=2026-09-01T10")
}

// TestAlertsAreTheRegulators: nobody else sees an alert, nobody writes to it, and
// none names a patient; it is on record, and goes through a review as an override
// does.
func TestAlertsAreTheRegulators(t *testing.T) {
	w, _ := watched(t, nil)
	w.override(doctor("A"), "p")
	for n := range 5 {
		w.reads(doctor("C"), "Patient", fmt.Sprint("none", n))
	}
	w.now = w.now.Add(8 * 24 * time.Hour)
	w.watch()
	all := w.tasks("code=alert")
	if len(all) != 2 {
		t.Fatalf("%d alerts, want 2: %s", len(all), w.alerts())
	}
	for _, a := range all {
		text := w.stored("Task", a.ID)
		for _, secret := range []string{"Patient/", "none0", nrics["p"], "unconscious"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s in %s", secret, text)
			}
		}
		for name, c := range map[string]consent.Caller{"the doctor": doctor("C"), "another": doctor("A"), "the patient": person("p"), "a system": system("A")} {
			w.want(name+" reads", w.reads(c, "Task", a.ID), w.reads(c, "Task", "no-such-task"))
			w.want(name+" finds", w.sees(c, "Task", "code=alert"), w.sees(c, "Task", "code=no-such"))
		}
		w.want("the custodian changes it", outcome(w.remove(custodian(), "Task", a.ID)), "422")
		w.want("state", a.state(), "requested requested")
		if err := w.review(regulator(), a.ID, "", to(gate.ReviewInReview)); err != nil {
			t.Error(explain(err))
		}
		if err := w.review(regulator(), a.ID, "", to(gate.ReviewReferred)); err != nil {
			t.Error(explain(err))
		}
	}
	w.want("the patient's", w.sees(person("p"), "Task", "patient=Patient/p"), "")
	if got := w.events("entity=Task/" + all[0].ID + "&action=C"); len(got) != 1 || !strings.Contains(got[0], "alert-") {
		t.Errorf("on record: %v", got)
	}
}

// failingWrites is a store that does not take writes for a while.
type failingWrites struct {
	store.Store
	fails bool
}

func (f *failingWrites) Write(ctx context.Context, do func(store.Tx) error) error {
	if f.fails {
		return errors.New("no room")
	}
	return f.Store.Write(ctx, do)
}

func (w *world) remove(c consent.Caller, t fhir.ResourceType, id string) error {
	_, err := w.gate.Delete(w.ctx(), w.request(c, "delete", t), t, id, "")
	return err
}
