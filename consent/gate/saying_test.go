package gate_test

import (
	"errors"
	"testing"

	"vitrine/consent/gate"
)

// TestConditionsThatLeadElsewhere: a condition of a write may lead to other
// resources of the contributor's own, by what they say themselves, and no further.
func TestConditionsThatLeadElsewhere(t *testing.T) {
	w := newClinics(t, nil)
	own := system("A")
	if _, err := w.gate.Create(w.ctx(), w.request(own, "create", "Encounter"), w.content(resource("Encounter", "",
		`"status":"finished","class":{"code":"AMB"},"identifier":[{"system":"http://a","value":"visit"}],"subject":{"reference":"Patient/p"}`)), nil); err != nil {
		t.Fatal(explain(err))
	}
	visit := w.query("Encounter", "identifier=http://a|visit")
	found, err := w.gate.UpdateWhere(w.ctx(), w.request(own, "update", "Encounter"), visit, w.content(resource("Encounter", "",
		`"status":"finished","class":{"code":"IMP"},"identifier":[{"system":"http://a","value":"visit"}],"subject":{"reference":"Patient/p"}`)), "")
	if err != nil || found.Created() {
		t.Fatalf("%v %v", found.Created(), err)
	}
	encounter := found.Items()[0].Resource.ID
	content := `"status":"final","code":{"text":"w"},"subject":{"reference":"Patient/p"},"encounter":{"reference":"Encounter/` + encounter + `"}`
	for _, row := range []struct {
		query   string
		created bool
	}{
		{"encounter:Encounter.identifier=http://a|visit", true}, // nothing matches yet
		{"encounter:Encounter.identifier=http://a|visit", false},
		{"encounter.identifier=http://a|visit&status=final", false},
		{"subject:Patient.gender=female", true}, // the Patient is another's
		{"encounter:Encounter.identifier:not=http://a|other&status:not=amended&_id:missing=true", true},
	} {
		got, err := w.gate.Create(w.ctx(), w.request(own, "create", "Observation"), w.content(resource("Observation", "", content)),
			w.query("Observation", row.query))
		if err != nil {
			t.Fatalf("%s: %s", row.query, explain(err))
		}
		if got.Created() != row.created {
			t.Errorf("%s: created %v, want %v", row.query, got.Created(), row.created)
		}
	}
	many := w.query("Observation", "encounter:Encounter.identifier=http://a|visit")
	if _, err := w.gate.DeleteWhere(w.ctx(), w.request(own, "delete", "Observation"), many, ""); !errors.Is(err, gate.ErrMultiple) {
		t.Errorf("several: %v", err)
	}
	none := w.query("Observation", "_has:Provenance:target:_id=x")
	if _, err := w.gate.DeleteWhere(w.ctx(), w.request(own, "delete", "Observation"), none, ""); err != nil {
		t.Errorf("none: %v", err)
	}
	// What the custodian asks is asked of everything.
	all := w.query("Encounter", "_has:Observation:encounter:status=final&subject:Patient.gender=female")
	if got, err := w.gate.UpdateWhere(w.ctx(), w.request(custodian(), "update", "Encounter"), all, w.content(resource("Encounter", "",
		`"status":"finished","class":{"code":"EMER"},"subject":{"reference":"Patient/p"}`)), ""); err != nil || got.Created() {
		t.Errorf("the custodian's: %v", explain(err))
	}
}
