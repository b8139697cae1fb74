package subset_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/subset"
	"vitrine/fhir/validate"
)

const (
	tag     = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
	patient = `{"resourceType":"Patient","id":"p1","meta":{"versionId":"1","tag":[{"code":"x"}]},` +
		`"text":{"status":"generated","div":"<div/>"},"extension":[{"url":"http://e.example","valueDecimal":1.50}],` +
		`"modifierExtension":[{"url":"http://m.example","valueDecimal":1.50}],` +
		`"identifier":[{"extension":[{"url":"http://e.example"}],"system":"urn:x","value":"1"},{"id":"a"}],"active":true,` +
		`"name":[{"family":"Tan","given":["Ah", "Kow"],"_given":[null,{"id":"g"}]}],"birthDate":"1980","_birthDate":{"id":"b"},` +
		`"maritalStatus":{"text":"m"},"contact":[{"name":{"text":"c"},"gender":"male"}],"link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]}`
	observation = `{"resourceType":"Observation","status":"final","category":[{"text":"k"}],"code":{"coding":[{"code":"a"}],"text":"t"},` +
		`"valueQuantity":{"value":1.50,"unit":"kg"},"note":[{"text":"n"}]}`
)

func subsets(tb testing.TB) (*subset.Subsets, *r4.Definitions) {
	tb.Helper()
	d, err := r4.Load()
	if err != nil {
		tb.Fatal(err)
	}
	return subset.New(d), d
}

func parse(tb testing.TB, src []byte) *fhir.Tape {
	tb.Helper()
	var tape fhir.Tape
	if err := tape.Parse(src, fhir.Limits{}); err != nil {
		tb.Fatalf("parse: %v\n%s", err, src)
	}
	return &tape
}

func TestWhatIsLeft(t *testing.T) {
	s, _ := subsets(t)
	elements := func(typ fhir.ResourceType, names ...string) *subset.Form {
		f, err := s.Elements([]fhir.ResourceType{typ}, names)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const (
		head     = `{"resourceType":"Patient","id":"p1","meta":{"versionId":"1","tag":[{"code":"x"},` + tag + `]},`
		modifier = `"modifierExtension":[{"url":"http://m.example","valueDecimal":1.50}],`
		link     = `"link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]}`
		obsHead  = `{"resourceType":"Observation","meta":{"tag":[` + tag + `]},"status":"final",`
		obsCode  = `"code":{"coding":[{"code":"a"}],"text":"t"}`
	)
	for _, c := range []struct {
		name, src string
		form      *subset.Form
		want      string
	}{
		{
			"a summary", patient, s.Summary(), head + modifier + `"identifier":[{"system":"urn:x","value":"1"}],"active":true,` +
				`"name":[{"family":"Tan","given":["Ah", "Kow"],"_given":[null,{"id":"g"}]}],"birthDate":"1980","_birthDate":{"id":"b"},` + link,
		},
		{"a summary without meta", observation, s.Summary(), obsHead + obsCode + `,"valueQuantity":{"value":1.50,"unit":"kg"}}`},
		{"the text", patient, s.Text(), head + `"text":{"status":"generated","div":"<div/>"}}`},
		{"the text where there is none", observation, s.Text(), obsHead + obsCode + `}`},
		{
			"the data", patient, s.Data(), head + strings.SplitN(patient, `"div":"<div/>"},`, 2)[1],
		},
		{"one element", patient, elements("Patient", "birthDate"), head + modifier + `"active":true,"birthDate":"1980","_birthDate":{"id":"b"},` + link},
		{
			"an element by its type, and one within another", patient, elements("Patient", "Patient.maritalStatus", "contact.gender"),
			head + modifier + `"active":true,"maritalStatus":{"text":"m"},"contact":[{"gender":"male"}],` + link,
		},
		{
			"the whole beside a part", patient, elements("Patient", "contact", "contact.gender"),
			head + modifier + `"active":true,"contact":[{"name":{"text":"c"},"gender":"male"}],` + link,
		},
		{"a choice", observation, elements("Observation", "value"), obsHead + obsCode + `,"valueQuantity":{"value":1.50,"unit":"kg"}}`},
		{"a choice as it is defined", observation, elements("Observation", "value[x]"), obsHead + obsCode + `,"valueQuantity":{"value":1.50,"unit":"kg"}}`},
		{"a choice by its type", observation, elements("Observation", "valueQuantity.unit"), obsHead + obsCode + `,"valueQuantity":{"unit":"kg"}}`},
		{"a choice of another type", observation, elements("Observation", "valueString"), obsHead + obsCode + `}`},
		{"a part of what must be there", observation, elements("Observation", "code.text"), obsHead + `"code":{"text":"t"}}`},
		{"a part that is not there of what must be", observation, elements("Observation", "code.extension"), obsHead + obsCode + `}`},
		{"elements of another type", observation, elements("Patient", "name"), observation},
		{"elements of the other type", observation, elements("Patient", "Observation.note"), obsHead + obsCode + `,"note":[{"text":"n"}]}`},
		{"a type unknown", `{"resourceType":"Thing","a":1}`, s.Summary(), `{"resourceType":"Thing","a":1}`},
		{"meta that is empty", `{"meta":{ },"resourceType":"Basic"}`, s.Data(), `{"meta":{"tag":[` + tag + `]},"resourceType":"Basic"}`},
		{"meta that is none", `{"meta":7,"resourceType":"Basic"}`, s.Data(), `{"meta":{"tag":[` + tag + `]},"resourceType":"Basic"}`},
		{"no tags", `{"resourceType":"Basic","meta":{"tag":[]}}`, s.Data(), `{"resourceType":"Basic","meta":{"tag":[` + tag + `]}}`},
		{"the tag is there", `{"resourceType":"Basic","meta":{"tag":[` + tag + `]}}`, s.Data(), `{"resourceType":"Basic","meta":{"tag":[` + tag + `]}}`},
		{"nothing but the type", `{"resourceType":"Basic"}`, s.Text(), `{"resourceType":"Basic","meta":{"tag":[` + tag + `]}}`},
	} {
		if diff := cmp.Diff(c.want, string(c.form.Append(nil, parse(t, []byte(c.src))))); diff != "" {
			t.Errorf("%s (-want +got):\n%s\nof %s", c.name, diff, c.src)
		}
	}
}

func TestElementsThatNoTypeHasAreNamed(t *testing.T) {
	s, _ := subsets(t)
	for _, c := range []struct {
		types []fhir.ResourceType
		names []string
		want  []string // that are unknown
	}{
		{[]fhir.ResourceType{"Patient"}, []string{"name", "nam", "Patient.named", "Observation.status", "Observation.name"}, []string{"nam", "Patient.named", "Observation.name"}},
		{[]fhir.ResourceType{"Patient", "Observation"}, []string{"name", "status", "code", "item"}, []string{"item"}},
		{[]fhir.ResourceType{"Patient"}, []string{"", ".", "name.", "Patient.", "Patient", "name.family.x", "contained.id", "birthDate.extension"}, []string{
			"", ".", "name.", "Patient.", "Patient", "name.family.x", "contained.id", "birthDate.extension",
		}},
		{[]fhir.ResourceType{"Patient"}, []string{"contact.name.family", " name", "deceased", "deceased[x]", "id", "meta"}, nil},
	} {
		_, err := s.Elements(c.types, c.names)
		var unknown *subset.Unknown
		got := []string(nil)
		if errors.As(err, &unknown) {
			got = unknown.Elements
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v of %v are unknown (-want +got):\n%s", c.names, c.types, diff)
		}
	}
	_, err := s.Elements([]fhir.ResourceType{"Patient"}, []string{"nam\x00e", strings.Repeat("é", 100)})
	const want = `"nam?e", "éééééééééééééééééééééééééééééééé…" is no element of Patient; ` +
		`write the name of an element, such as name, Patient.name or Patient.contact.name`
	if err == nil || err.Error() != want {
		t.Errorf("refused with %v, want %s", err, want)
	}
}

// examples are those of the specification.
func examples(tb testing.TB) [][]byte {
	tb.Helper()
	f, err := os.Open("../../testdata/r4/examples.tar.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	plain, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var all [][]byte
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			tb.Fatal(err)
		}
		if strings.HasSuffix(header.Name, ".json") && bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
			all = append(all, content)
		}
	}
	if len(all) < 500 {
		tb.Fatalf("%d examples, want the specification's", len(all))
	}
	return all
}

// Of every example in every form: it is JSON, it lacks nothing that must be
// there, and has nothing but the tag that the example had not.
func TestSubsetsOfExamples(t *testing.T) {
	s, d := subsets(t)
	v := validate.New(d)
	all := examples(t)
	rapid.Check(t, func(rt *rapid.T) {
		src := rapid.SampledFrom(all).Draw(rt, "example")
		tape := parse(t, src)
		typ := d.ResourceBytes(tape.Bytes(tape.Field(tape.Root(), "resourceType"), nil))
		if typ == nil {
			return
		}
		got := drawForm(rt, s, typ).Append(nil, tape)
		part := parse(t, got)
		if lacking := required(v.Check(tape, validate.How{})); len(lacking) == 0 {
			if diff := cmp.Diff([]string(nil), required(v.Check(part, validate.How{}))); diff != "" {
				rt.Fatalf("lacking (-want +got):\n%s\nin %s", diff, got)
			}
		}
		contained(rt, src, got)
	})
}

func drawForm(rt *rapid.T, s *subset.Subsets, typ *r4.Type) *subset.Form {
	switch rapid.IntRange(0, 3).Draw(rt, "form") {
	case 0:
		return s.Summary()
	case 1:
		return s.Text()
	case 2:
		return s.Data()
	}
	var names []string
	for range rapid.IntRange(1, 4).Draw(rt, "elements") {
		e := rapid.SampledFrom(typ.Elements).Draw(rt, "element")
		name := e.Name
		if e.Type.Kind == r4.KindBackbone || e.Type.Kind == r4.KindComplex && rapid.Bool().Draw(rt, "within") {
			name += "." + rapid.SampledFrom(e.Type.Elements).Draw(rt, "part").Name
		}
		names = append(names, name)
	}
	f, err := s.Elements([]fhir.ResourceType{typ.Resource()}, names)
	if err != nil {
		rt.Fatal(err)
	}
	return f
}

func required(issues []fhir.Issue) (texts []string) {
	for _, i := range issues {
		if i.Code == fhir.CodeRequired {
			texts = append(texts, i.Text)
		}
	}
	return texts
}

type failing interface {
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

// contained fails unless all in part is in whole, and in its place, but for the
// tag.
func contained(t failing, whole, part []byte) {
	var w, p map[string]any
	for _, step := range []struct {
		src  []byte
		into *map[string]any
	}{{whole, &w}, {part, &p}} {
		dec := json.NewDecoder(bytes.NewReader(step.src))
		dec.UseNumber()
		if err := dec.Decode(step.into); err != nil {
			t.Fatalf("%v\n%s", err, step.src)
		}
	}
	meta, _ := p["meta"].(map[string]any)
	tags, _ := meta["tag"].([]any)
	marked := 0
	for _, g := range tags {
		if reflect.DeepEqual(g, map[string]any{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}) {
			marked++
		}
	}
	if marked != 1 {
		t.Fatalf("marked %d times, want once\n%s", marked, part)
	}
	delete(p, "meta")
	if !within(w, p) {
		t.Fatalf("more than was there:\n%s\nof %s", part, whole)
	}
}

// within reports whether part is whole with members or items left out.
func within(whole, part any) bool {
	switch p := part.(type) {
	case map[string]any:
		w, ok := whole.(map[string]any)
		return ok && !slices.ContainsFunc(slices.Collect(maps.Keys(p)), func(k string) bool {
			v, there := w[k]
			return !there || !within(v, p[k])
		})
	case []any:
		w, ok := whole.([]any)
		if !ok {
			return false
		}
		at := 0
		for _, item := range p {
			for ; at < len(w) && !within(w[at], item); at++ {
				continue
			}
			if at == len(w) {
				return false
			}
			at++
		}
		return true
	default:
		return reflect.DeepEqual(whole, part)
	}
}

func FuzzSubset(f *testing.F) {
	s, d := subsets(f)
	for _, src := range []string{patient, observation, `{"resourceType":"Basic","meta":{"tag":{}}}`, `{"resourceType":"Patient","name":[[{}],null,1]}`} {
		f.Add([]byte(src), "name,Patient.contact.name")
	}
	f.Fuzz(func(t *testing.T, src []byte, names string) {
		var tape fhir.Tape
		if tape.Parse(src, fhir.Limits{}) != nil {
			return
		}
		typ := d.ResourceBytes(tape.Bytes(tape.Field(tape.Root(), "resourceType"), nil))
		if typ == nil {
			return
		}
		forms := []*subset.Form{s.Summary(), s.Text(), s.Data()}
		if asked, err := s.Elements([]fhir.ResourceType{typ.Resource()}, strings.Split(names, ",")); err == nil {
			forms = append(forms, asked)
		}
		for _, form := range forms {
			got := form.Append(nil, &tape)
			if !bytes.Equal(got, src) {
				parse(t, got)
			}
			var w, p map[string]any
			if json.Unmarshal(src, &w) != nil || json.Unmarshal(got, &p) != nil {
				continue
			}
			delete(p, "meta")
			if !within(w, p) {
				t.Fatalf("more than was there:\n%s\nof %s", got, src)
			}
		}
	})
}

func BenchmarkSummary(b *testing.B) {
	s, _ := subsets(b)
	form, tape := s.Summary(), parse(b, []byte(patient))
	var out []byte
	b.SetBytes(int64(len(patient)))
	b.ReportAllocs()
	for b.Loop() {
		out = form.Append(out[:0], tape)
	}
}
