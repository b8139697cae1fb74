package gate_test

import (
	"net/http"
	"testing"

	"vitrine/consent/gate"
)

// TestConditionsSayNothingOfLinks: whether the server linked a contributor's own
// row to a patient on file, and to whom, changes nothing of what a condition finds:
// else it would tell who is on file, and under which id.
func TestConditionsSayNothingOfLinks(t *testing.T) {
	w := newClinics(t, nil)
	own := system("A")
	mine := w.created(own, "Patient", `"gender":"male","identifier":[{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"S0000001I"},{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"S0000006Z"}]`)
	for name, nric := range map[string]string{"on file": "S0000001I", "not on file": "S0000006Z"} {
		code := concept("http://a", nric)
		content := `"status":"final","code":` + code + `,"subject":{"identifier":{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"` + nric + `"}}`
		w.created(own, "Observation", content)
		for query, finds := range map[string]bool{
			"status:not=amended":                                       true,
			"patient=Patient/p":                                        false,
			"patient=" + mine:                                          false,
			"subject:missing=true":                                     false,
			"subject:Patient.gender=male":                              false,
			"_filter=not (subject re Patient/p)":                       true,
			"_filter=not (subject re Patient/" + mine + ")":            true,
			"_filter=(not (patient re Patient/p)) and status eq final": true,
			"_filter=not (not (subject re Patient/p))":                 false,
			"_filter=not (subject.gender eq male)":                     true,
			"_filter=not (subject.gender eq female)":                   true,
			"subject:Patient.gender:not=female":                        false,
		} {
			got, err := w.gate.Create(w.ctx(), w.request(own, "create", "Observation"), w.content(resource("Observation", "", content)),
				w.query("Observation", query+"&code=http://a|"+nric))
			if err != nil {
				t.Fatalf("%s: %s", query, explain(err))
			}
			if got.Created() == finds {
				t.Errorf("%s: %s found something: %v, want %v", name, query, !finds, finds)
			}
			if !got.Created() {
				continue
			}
			id := got.Items()[0].Resource.ID
			if r, err := w.gate.Delete(w.ctx(), w.request(own, "delete", "Observation"), "Observation", id, ""); err != nil || r.Items()[0].Status != http.StatusNoContent {
				t.Fatal(explain(err))
			}
		}
	}
}

// TestManyLinkedRowsCostNothing: a condition does not come by what is linked and does
// not say so itself, so that neither a refusal nor its time tells of it.
func TestManyLinkedRowsCostNothing(t *testing.T) {
	w := newClinics(t, nil)
	own := system("A")
	content := `"status":"final","code":{"text":"x"},"subject":{"identifier":{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"S0000001I"}}`
	for range 1010 {
		w.created(own, "Observation", content)
	}
	got, err := w.gate.Create(w.ctx(), w.request(own, "create", "Observation"), w.content(resource("Observation", "", content)),
		w.query("Observation", "patient=Patient/p"))
	if err != nil || !got.Created() {
		t.Errorf("got %v, want one more", explain(err))
	}
	// Together no more than each by itself.
	var deletes []gate.Entry
	for range 100 {
		e := w.entry("delete", "Observation", "", "", "")
		e.Query = w.query("Observation", "patient=Patient/p")
		deletes = append(deletes, e)
	}
	if _, err := w.transact(own, deletes...); err != nil {
		t.Errorf("a hundred conditions that match nothing by what is said: %v", explain(err))
	}
}
