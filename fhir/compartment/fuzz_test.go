package compartment_test

import (
	"slices"
	"testing"

	"vitrine/fhir"
)

// FuzzOf holds that no patient who is referred to by what looks like a Reference
// anywhere goes unnoticed, Patient.link excepted.
func FuzzOf(f *testing.F) {
	for _, src := range []string{
		`{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"x":[[{"reference":"Patient/p2"}],{"y":{"reference":"Patient/p3"}}]}`,
		`{"resourceType":"Patient","link":[{"other":{"reference":"Patient/p2"}}],"contained":[{"link":[{"other":{"reference":"Patient/p3"}}]}]}`,
		`{"reference":"Patient/p1"}`,
		`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Bundle","link":{"reference":"https://here.example/fhir/Patient/p1"}}}]}`,
	} {
		f.Add([]byte(src))
	}
	c, _ := load(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		var tape fhir.Tape
		if tape.Parse(src, fhir.Limits{}) != nil {
			return
		}
		owners := c.Of(&tape, base)
		from, to := 0, 0
		if owners.Self {
			from, to = tape.Span(tape.Field(tape.Root(), "link"))
		}
		eachReference(&tape, tape.Root(), func(ref fhir.Node) {
			at, _ := tape.Span(ref)
			r := fhir.ParseReference(tape.Text(ref), base)
			if r.Form != fhir.RefLocal || r.Type != "Patient" || at >= from && at < to {
				return
			}
			if !slices.Contains(owners.Patients, r.ID) {
				t.Errorf("patient %s is missing from %v\n%s", r.ID, owners.Patients, src)
			}
		})
	})
}

// eachReference yields every string called reference at n or below.
func eachReference(t *fhir.Tape, n fhir.Node, yield func(ref fhir.Node)) {
	for c := t.First(n); c != fhir.None; c = t.Next(c) {
		if t.Kind(n) == fhir.Object && t.Kind(c) == fhir.String && string(t.Key(c)) == "reference" {
			yield(c)
		}
		eachReference(t, c, yield)
	}
}
