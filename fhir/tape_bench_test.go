package fhir

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// panel is an Observation of about ten kilobytes in the manner of Synthea, as a
// panel of laboratory results comes from an EMR.
func panel(tb testing.TB, indented bool) []byte {
	tb.Helper()
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Observation","id":"f0a5a6a8-1c2e-4b7e-9a3e-51a3a07fd2b1",
	"meta":{"versionId":"3","lastUpdated":"2026-11-02T03:04:05.678Z",
	"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]},
	"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Comprehensive metabolic panel, 2026 — 肝功能</div>"},
	"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category",
	"code":"laboratory","display":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"51990-0",
	"display":"Basic Metabolic Panel"}],"text":"Basic Metabolic Panel"},
	"subject":{"reference":"urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba8184"},
	"encounter":{"reference":"urn:uuid:b8d3d7a2-3a21-4f5e-a1a5-26d5d4d8a3f2"},
	"effectiveDateTime":"2026-11-02T11:04:05+08:00","issued":"2026-11-02T11:04:05.678+08:00","component":[`)
	for i := range 24 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"code":{"coding":[{"system":"http://loinc.org","code":"` + strconv.Itoa(2000+i*37) +
			`-8","display":"Substance [Moles/volume] in Blood"}],"text":"Substance"},"valueQuantity":{"value":` +
			strconv.Itoa(90+i) + `.48` + strconv.Itoa(i) + `,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}`)
	}
	b.WriteString(`]}`)
	var out bytes.Buffer
	var err error
	if indented {
		err = json.Indent(&out, b.Bytes(), "", "  ")
	} else {
		err = json.Compact(&out, b.Bytes())
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func BenchmarkTape(b *testing.B) {
	for _, name := range []string{"compact", "indented"} {
		src := panel(b, name == "indented")
		b.Run(name+"/tape", func(b *testing.B) {
			var t Tape
			measure(b, src, func() error { return t.Parse(src, Limits{}) })
		})
		b.Run(name+"/jsontext", func(b *testing.B) {
			measure(b, src, func() error {
				d := jsontext.NewDecoder(bytes.NewReader(src))
				return d.SkipValue()
			})
		})
		b.Run(name+"/encoding-json", func(b *testing.B) {
			measure(b, src, func() error {
				var v map[string]any
				return json.Unmarshal(src, &v)
			})
		})
	}
}

func measure(b *testing.B, src []byte, parse func() error) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if err := parse(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTapeCrowd reads objects of very many members whose names the short
// hash does not tell apart: the time per byte must not grow with their number.
func BenchmarkTapeCrowd(b *testing.B) {
	for _, n := range []int{30, 1_000, 100_000} {
		src := crowd(n, "last")
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var t Tape
			measure(b, src, func() error { return t.Parse(src, Limits{}) })
		})
	}
}

func BenchmarkStamp(b *testing.B) {
	src := panel(b, false)
	at := time.UnixMilli(1_700_000_000_123)
	var t Tape
	if err := t.Parse(src, Limits{}); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 2*len(src))
	measure(b, src, func() error {
		dst = Stamp(dst[:0], &t, "p1", "4", at)
		return nil
	})
}

func BenchmarkParseReference(b *testing.B) {
	for _, s := range []string{"Patient/5cbc121b-cd71-4428-b8b7-31e53eba8184", testBase + "/Patient/p1", "urn:uuid:5cbc121b-cd71-4428-b8b7-31e53eba8184"} {
		b.Run(s[:8], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ParseReference(s, testBase).Form == RefInvalid {
					b.Fatal(s)
				}
			}
		})
	}
}
