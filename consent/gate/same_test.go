package gate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
)

// TestIdenticalUpdatesMakeNoVersion: what says the same is answered for, on
// record, and not stored again.
func TestIdenticalUpdatesMakeNoVersion(t *testing.T) {
	w := newClinics(t, nil)
	members := identified("q", "1")
	id := w.created(system("A"), "Observation", members)
	before := len(w.events("entity=Observation/" + id))
	update := func(members, ifMatch string) string {
		t.Helper()
		w.now = w.now.Add(time.Minute)
		r, err := w.update(system("A"), "Observation", id, members, ifMatch)
		if err != nil {
			return outcome(err)
		}
		got := r.Items()[0].Resource
		return fmt.Sprint(got.Version, " ", got.Updated.Format(time.TimeOnly), " ", r.Created())
	}
	w.want("the same", update(members, ""), "1 10:00:00 false")
	w.want("the same, in another order", update(`"meta":{"versionId":"1"},"identifier":[{"value":"1","system":"urn:a"}],`+observation("Patient/q"), "1"), "1 10:00:00 false")
	w.want("the same, but stale", update(members, "7"), "precondition failed")
	if got := len(w.events("entity=Observation/" + id)); got != before+2 {
		t.Errorf("%d events more, want 2", got-before)
	}
	w.want("another", update(observation("Patient/q"), "1"), "2 10:04:00 false")
	if _, err := w.gate.Delete(w.ctx(), w.request(system("A"), "delete", "Observation"), "Observation", id, ""); err != nil {
		t.Fatal(err)
	}
	w.want("what was deleted", update(observation("Patient/q"), ""), "4 10:05:00 true")

	// What one practitioner says registers nobody; when the organisation's system
	// says the same, it does.
	visit := `"status":"in-progress","class":{"code":"AMB"},"subject":{"reference":"Patient/r"},"serviceProvider":{"reference":"Organization/C"}`
	visits := w.created(doctor("C"), "Encounter", visit)
	w.want("on his own word", w.reads(doctor("C"), "Observation", "o-r"), "not found")
	if _, err := w.update(system("C"), "Encounter", visits, visit, ""); err != nil {
		t.Fatal(explain(err))
	}
	if got := w.reads(doctor("C"), "Observation", "o-r"); !strings.Contains(got, "weight") {
		t.Errorf("vouched for: %s", got)
	}
}

// TestUpdateIfAbsent: If-None-Match: * creates or is refused; ids of others are
// as good as absent.
func TestUpdateIfAbsent(t *testing.T) {
	w := newClinics(t, nil)
	foreign := w.created(system("B"), "Observation", identified("q", "1"))
	own := w.created(system("A"), "Observation", identified("q", "2"))
	put := func(c consent.Caller, id string) string {
		t.Helper()
		r, err := w.update(c, "Observation", id, observation("Patient/q"), gate.Absent)
		if err != nil {
			return outcome(err)
		}
		return fmt.Sprint(r.Items()[0].Resource.Version, " ", r.Created())
	}
	w.want("new", put(custodian(), "chosen"), "1 true")
	w.want("there", put(custodian(), "chosen"), "precondition failed")
	w.want("one's own", put(system("A"), own), "precondition failed")
	w.want("another's", put(system("A"), foreign), "not found")
	w.want("nobody's", put(system("A"), "none"), "not found")
	if _, err := w.gate.Delete(w.ctx(), w.request(system("A"), "delete", "Observation"), "Observation", own, ""); err != nil {
		t.Fatal(err)
	}
	w.want("one's own, deleted", put(system("A"), own), "3 true")
}
