package gate_test

import (
	"testing"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir/validate"
	"vitrine/store"
)

// again is the gate anew, as after a restart, with content held to a level.
func (w *world) again(level validate.Level) {
	w.gate = gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example", Validation: level}, w.tools, w.store)
}

// TestTheServersLabelInOtherShapes: whatever content is held to, nobody but the
// regulator gives a directive.
func TestTheServersLabelInOtherShapes(t *testing.T) {
	for _, level := range []validate.Level{validate.LevelFull, validate.LevelStructure, validate.LevelOff} {
		w := newClinics(t, nil)
		w.again(level)
		const label = `{"system":"` + consent.SystemLabel + `","code":"`
		for name, meta := range map[string]string{
			"as it is":         `{"security":[` + label + `oversight"}]}`,
			"in another case":  `{"security":[` + label + `OverSight"}]}`,
			"one for a list":   `{"security":` + label + `oversight"}}`,
			"a list of metas":  `[{"security":[` + label + `oversight"}]}]`,
			"of registrations": `{"security":` + label + `Search-Index"}}`,
		} {
			for by, c := range map[string]consent.Caller{"a clinic": system("C"), "the custodian": custodian()} {
				_, err := w.create(c, "Basic", `"meta":`+meta+`,"code":{"text":"x"}`)
				if got := outcome(err); got != "422" && (level == validate.LevelOff || got != "400") {
					t.Errorf("level %v, by %s, %s: got %s", level, by, name, got)
				}
			}
		}
		w.again(level)
		w.want("nothing blocks", w.sees(doctor("B"), "Observation", "patient=Patient/p"), "o-p")
	}
}

// TestDirectivesBearTheLabelItself: what is on file under a label that the index
// alone takes for the server's is no directive, no grant and no registration.
func TestDirectivesBearTheLabelItself(t *testing.T) {
	w := newClinics(t, nil)
	id := w.ordered(blockReads("Organization/A"))
	w.want("a directive", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "403 blocked")
	row := consent.Row{Type: "Basic", Home: consent.HomeShared, Contributor: "C"}
	err := w.store.Write(w.ctx(), func(tx store.Tx) error {
		return tx.Put(store.Put{Row: row, ID: id, Full: store.Version{Version: "1", Updated: w.now, Unchanged: true}})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.again(validate.LevelFull)
	w.want("found by the label", w.sees(custodian(), "Basic", "_security="+consent.SystemLabel+"|oversight"), id)
	w.want("and yet no directive", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
}
