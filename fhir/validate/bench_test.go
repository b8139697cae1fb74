package validate_test

import (
	"testing"

	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/validate"
)

// observation is a resource of the ordinary kind and size.
const observation = `{"resourceType":"Observation","id":"o1","meta":{"versionId":"1","lastUpdated":"2024-05-01T10:00:00.000Z",
"profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns"]},"status":"final",
"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"55284-4","display":"Blood Pressure"}],"text":"Blood Pressure"},
"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},
"effectiveDateTime":"2010-10-02T10:12:00-04:00","issued":"2010-10-02T10:12:00.160-04:00",
"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4","display":"Diastolic Blood Pressure"}]},
"valueQuantity":{"value":87.86,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},
"valueQuantity":{"value":125.50,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`

func parse(tb testing.TB, src string) *fhir.Tape {
	tb.Helper()
	var tape fhir.Tape
	if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
		tb.Fatalf("parse: %v\n%s", err, src)
	}
	return &tape
}

func newValidator(tb testing.TB) *validate.Validator {
	tb.Helper()
	d, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return validate.New(d)
}

func BenchmarkValidate(b *testing.B) {
	v, tape := newValidator(b), parse(b, observation)
	b.SetBytes(int64(len(observation)))
	b.ReportAllocs()
	for b.Loop() {
		if issues := v.Check(tape, validate.How{}); issues != nil {
			b.Fatal(issues)
		}
	}
}

// BenchmarkNew is what the validator adds to the start of a server.
func BenchmarkNew(b *testing.B) {
	d, err := r4.Load()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		validate.New(d)
	}
}

// BenchmarkExamples is the mean of the official examples, by level.
func BenchmarkExamples(b *testing.B) {
	v, all := newValidator(b), examples(b)
	for name, level := range map[string]validate.Level{"full": validate.LevelFull, "structure": validate.LevelStructure} {
		b.Run(name, func(b *testing.B) {
			size := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				size = 0
				for _, e := range all {
					v.Check(e.tape, validate.How{Level: level, ErrorsOnly: true})
					size += int64(len(e.tape.Source()))
				}
			}
			b.SetBytes(size)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(all)), "us/resource")
		})
	}
}
