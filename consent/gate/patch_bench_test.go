package gate_test

import (
	"testing"
	"time"

	"vitrine/fhir/patch"
)

// BenchmarkPatchAgainstUpdate changes the status of one Observation by a JSON
// Patch, by a FHIRPath Patch, and by an update that sends the whole of it, in
// turns; nothing but the durable commit is shared. "json" and "path" are the time
// of an update over that of a patch of that kind: what a patch costs beyond an
// update is to read the resource and make the change, before the store's writer is
// held up.
func BenchmarkPatchAgainstUpdate(b *testing.B) {
	w := newClinics(b, nil)
	id := w.created(system("A"), "Observation", observation("Patient/q")+`,"note":[{"text":"a note of some length, as there often is"}],"valueQuantity":{"value":185.50}`)
	states := [2]string{"amended", "final"}
	var jsons, paths [2]*patch.Document
	for i, s := range states {
		jsons[i] = w.document(`[{"op":"replace","path":"/status","value":"` + s + `"}]`)
		paths[i] = w.document(`{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},` +
			`{"name":"path","valueString":"Observation.status"},{"name":"value","valueCode":"` + s + `"}]}]}`)
	}
	const turn = 20
	var took [3]time.Duration
	timed := func(kind int, do func(i int) error) {
		began := time.Now()
		for i := range turn {
			if err := do(i % 2); err != nil {
				b.Fatal(explain(err))
			}
		}
		took[kind] += time.Since(began)
	}
	for b.Loop() {
		timed(0, func(i int) error {
			_, err := w.update(system("A"), "Observation", id, `"status":"`+states[i]+`","code":{"text":"weight"},"subject":{"reference":"Patient/q"},`+
				`"note":[{"text":"a note of some length, as there often is"}],"valueQuantity":{"value":185.50}`, "")
			return err
		})
		for kind, docs := range [2][2]*patch.Document{jsons, paths} {
			timed(kind+1, func(i int) error {
				_, err := w.gate.Patch(w.ctx(), w.request(system("A"), "patch", "Observation"), "Observation", id, docs[i], "")
				return err
			})
		}
	}
	b.ReportMetric(float64(took[0])/float64(took[1]), "json")
	b.ReportMetric(float64(took[0])/float64(took[2]), "path")
	b.ReportMetric(float64(took[0].Microseconds())/float64(b.N*turn), "update-us")
	b.ReportMetric(float64(took[1].Microseconds())/float64(b.N*turn), "json-us")
	b.ReportMetric(float64(took[2].Microseconds())/float64(b.N*turn), "path-us")
}
