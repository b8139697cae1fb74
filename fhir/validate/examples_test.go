package validate_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/validate"
)

// sample is an official example instance.
type sample struct {
	name string
	tape *fhir.Tape
}

// examples are the 713 official example instances of R4.
func examples(tb testing.TB) (out []sample) {
	tb.Helper()
	f, err := os.Open("../../testdata/r4/examples.tar.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		src, err := io.ReadAll(r)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, sample{strings.TrimSuffix(filepath.Base(h.Name), ".json"), parse(tb, string(src))})
	}
	if len(out) != 713 {
		tb.Fatalf("%d examples, want 713", len(out))
	}
	return out
}

// faults are the official examples that break the rules of R4 themselves: how,
// and the errors they get. The table may only shrink.
var faults = map[string]struct {
	how    string
	errors []string
}{
	"ActivityDefinition-blood-tubes-supply":        {"its narrative has no content", []string{"invariant ActivityDefinition.text.div"}},
	"ActivityDefinition-heart-valve-replacement":   {"its narrative has no content", []string{"invariant ActivityDefinition.text.div"}},
	"EventDefinition-example":                      {"its narrative has no content", []string{"invariant EventDefinition.text.div"}},
	"Questionnaire-zika-virus-exposure-assessment": {"its narrative has no content", []string{"invariant Questionnaire.text.div"}},
	"Questionnaire-qs1":                            {"32 of its items have no linkId, which must be there", slices.Repeat([]string{"required linkId"}, 32)},
	"DeviceMetric-example":                         {"parent must be a Device and is a DeviceDefinition", []string{"value DeviceMetric.parent.reference"}},
	"DeviceUseStatement-example":                   {"reasonReference must not be a Procedure", []string{"value DeviceUseStatement.reasonReference[0].reference"}},
	"MedicationRequest-medrx0301":                  {"the dispenser must be an Organization and is a Practitioner", []string{"value MedicationRequest.dispenseRequest.performer.reference"}},
	"Observation-clinical-gender":                  {"an Encounter cannot perform anything", []string{"value Observation.performer[0].reference"}},
}

func TestOfficialExamplesAreValid(t *testing.T) {
	v := newValidator(t)
	left := maps.Clone(faults)
	for _, e := range examples(t) {
		var got []string
		for _, i := range v.Check(e.tape, validate.How{ErrorsOnly: true}) {
			where := i.Expression
			if e.name == "Questionnaire-qs1" {
				where = where[strings.LastIndexByte(where, '.')+1:]
			}
			got = append(got, string(i.Code)+" "+where)
		}
		if diff := cmp.Diff(faults[e.name].errors, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", e.name, diff)
		}
		delete(left, e.name)
	}
	for name := range left {
		t.Errorf("%s is no example", name)
	}
}

func TestSyntheaIsValid(t *testing.T) {
	names, err := filepath.Glob("../../testdata/synthea/*.json.gz")
	if err != nil || len(names) != 34 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	v := newValidator(t)
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		src, err := io.ReadAll(z)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range v.Check(parse(t, string(src)), validate.How{ErrorsOnly: true}) {
			t.Errorf("%s: %s", filepath.Base(name), line(i))
		}
	}
}
