package validate_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/validate"
)

// The archives of the official package, read once.
var (
	exampleFiles = sync.OnceValues(func() (map[string]string, error) { return unpack("examples.tar.gz") })
	profileFiles = sync.OnceValues(func() (map[string]string, error) { return unpack("profiles.tar.gz") })
)

// unpack is the files of an archive of the official package, by name.
func unpack(name string) (map[string]string, error) {
	f, err := os.Open("../../testdata/r4/" + name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(header.Name, ".json") {
			all[strings.TrimSuffix(header.Name[strings.LastIndexByte(header.Name, '/')+1:], ".json")] = string(content)
		}
	}
}

// files are those of an archive.
func files(tb testing.TB, of func() (map[string]string, error)) map[string]string {
	tb.Helper()
	all, err := of()
	if err != nil {
		tb.Fatal(err)
	}
	return maps.Clone(all)
}

// official is a shelf of all profiles and extensions of the official package, as
// they are or without their snapshots.
func official(tb testing.TB, snapshots bool) (s *validate.Shelf, urls []string) {
	tb.Helper()
	all := files(tb, profileFiles)
	for name, src := range all {
		if at, end := strings.Index(src, `"snapshot":{`), strings.Index(src, `"differential":{`); !snapshots && at > 0 && end > at {
			all[name] = src[:at] + src[end:]
		}
	}
	s = shelf(tb, slices.Collect(maps.Values(all))...)
	for _, src := range all {
		t := parse(tb, src)
		urls = append(urls, t.Text(t.Field(t.Root(), "url")))
	}
	slices.Sort(urls)
	return s, urls
}

func TestOfficialProfilesCompile(t *testing.T) {
	s, urls := official(t, true)
	var got []string
	for _, url := range urls {
		p, issues, _ := s.Profile(url)
		if p == nil {
			got = append(got, url+": "+line(issues[0]))
		}
	}
	// It has a slice, of an element that repeats, that nothing tells apart.
	want := []string{
		"http://hl7.org/fhir/StructureDefinition/familymemberhistory-genetic: " +
			"error business-rule StructureDefinition.snapshot.element[29]: a slice needs slicing: how is it told from others?",
	}
	if diff := cmp.Diff(want, got); diff != "" || len(urls) != 441 {
		t.Errorf("of %d (-want +got):\n%s", len(urls), diff)
	}
}

// The examples are held against their profiles, and all their extensions against
// their definitions.
func TestOfficialExamplesKeepToTheirProfiles(t *testing.T) {
	s, _ := official(t, true)
	v := validator()
	examples := files(t, exampleFiles)
	var profiles, extensions sync.Map
	for name, src := range examples {
		tape := parse(t, src)
		plain := v.Check(tape, validate.How{})
		got := v.Check(tape, validate.How{Profiles: func(canonical string) (*validate.Profile, bool) {
			p, _, found := s.Profile(canonical)
			if found && p != nil && p.Type.Name == "Extension" {
				extensions.Store(canonical, name)
			} else if found {
				profiles.Store(canonical, name)
			}
			return p, found
		}})
		for _, i := range got {
			if i.Severity == fhir.SeverityError && !slices.ContainsFunc(plain, func(o fhir.Issue) bool { return line(o) == line(i) }) {
				t.Errorf("%s: %s", name, line(i))
			}
		}
	}
	if p, e := size(&profiles), size(&extensions); len(examples) != 713 || p < 2 || e < 26 {
		t.Errorf("%d examples were held against %d profiles and %d extensions", len(examples), p, e)
	}
}

func size(m *sync.Map) (n int) {
	m.Range(func(_, _ any) bool { n++; return true })
	return n
}

func TestVitalSigns(t *testing.T) {
	for name, snapshots := range map[string]bool{"by their snapshots": true, "by their differentials": false} {
		t.Run(name, func(t *testing.T) { testVitalSigns(t, snapshots) })
	}
}

func testVitalSigns(t *testing.T, snapshots bool) {
	t.Helper()
	s, _ := official(t, snapshots)
	examples := files(t, exampleFiles)
	for name, profile := range map[string]string{
		"Observation-blood-pressure": "bp", "Observation-blood-pressure-cancel": "bp", "Observation-blood-pressure-dar": "bp",
		"Observation-bmi": "bmi", "Observation-body-height": "bodyheight", "Observation-body-length": "bodyheight", //nolint:misspell // what they are called
		"Observation-body-temperature": "bodytemp", "Observation-example": "bodyweight", "Observation-head-circumference": "headcircum",
		"Observation-heart-rate": "heartrate", "Observation-respiratory-rate": "resprate", "Observation-satO2": "oxygensat",
		"Observation-vitals-panel": "vitalspanel",
	} {
		for _, claimed := range []string{profile, "vitalsigns"} {
			for _, got := range against(t, s, examples[name], "http://hl7.org/fhir/StructureDefinition/"+claimed) {
				if strings.HasPrefix(got, "error") {
					t.Errorf("%s as %s: %s", name, claimed, got)
				}
			}
		}
	}
	tests := []struct {
		name, profile, example string
		change                 func(map[string]any)
		want                   string
	}{
		{
			"another code", "bp", "Observation-blood-pressure",
			func(o map[string]any) { coding(o)["code"] = "85354-0" },
			"Observation.code.coding: coding of the slice BPCode is required",
		},
		{
			"another code of a component", "bp", "Observation-blood-pressure",
			func(o map[string]any) {
				coding(component(o))["code"] = "8480-0"
			},
			"Observation.component: component of the slice SystolicBP is required",
		},
		{
			"a missing component", "bp", "Observation-blood-pressure",
			func(o map[string]any) { o["component"] = o["component"].([]any)[:1] },
			"Observation.component: component of the slice DiastolicBP is required",
		},
		{
			"another unit", "bp", "Observation-blood-pressure",
			func(o map[string]any) { component(o)["valueQuantity"].(map[string]any)["code"] = "kPa" },
			`Observation.component[0].value.code: code must be exactly "mm[Hg]"`,
		},
		{
			"another unit of a weight", "bodyweight", "Observation-example",
			func(o map[string]any) { o["valueQuantity"].(map[string]any)["code"] = "[stone_av]" },
			"Observation.value.code: must be a code of http://hl7.org/fhir/ValueSet/ucum-bodyweight|4.0.1",
		},
		{
			"another category", "vitalsigns", "Observation-heart-rate",
			func(o map[string]any) { o["category"] = []any{map[string]any{"text": "survey"}} },
			"Observation.category: category of the slice VSCat is required",
		},
		{
			"no date", "vitalsigns", "Observation-heart-rate",
			func(o map[string]any) { delete(o, "effectiveDateTime") },
			"Observation.effective: effective[x] is required",
		},
		{
			"a date that tells too little", "vitalsigns", "Observation-heart-rate",
			func(o map[string]any) { o["effectiveDateTime"] = "1999" },
			"Observation.effective: the constraint vs-1 does not hold",
		},
		{
			"a value of another type", "bmi", "Observation-bmi",
			func(o map[string]any) { delete(o, "valueQuantity"); o["valueString"] = "16" },
			"Observation.value: value[x] ",
		},
		{
			"no value and no reason", "heartrate", "Observation-heart-rate",
			func(o map[string]any) { delete(o, "valueQuantity") },
			"Observation: the constraint vs-2 does not hold",
		},
	}
	for _, tt := range tests {
		var resource map[string]any
		if err := json.Unmarshal([]byte(examples[tt.example]), &resource); err != nil {
			t.Fatal(err)
		}
		tt.change(resource)
		src, err := json.Marshal(resource)
		if err != nil {
			t.Fatal(err)
		}
		var errs []string
		for _, got := range against(t, s, string(src), "http://hl7.org/fhir/StructureDefinition/"+tt.profile) {
			if strings.HasPrefix(got, "error") {
				errs = append(errs, got)
			}
		}
		if !slices.ContainsFunc(errs, func(e string) bool { return strings.Contains(e, tt.want) }) {
			t.Errorf("%s: got %s, want %q", tt.name, strings.Join(errs, "\n\t"), tt.want)
		}
	}
}

// component is the first of an Observation, coding the first of a code.
func component(o map[string]any) map[string]any { return o["component"].([]any)[0].(map[string]any) }

func coding(o map[string]any) map[string]any {
	return o["code"].(map[string]any)["coding"].([]any)[0].(map[string]any)
}
