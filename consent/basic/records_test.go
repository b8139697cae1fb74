package basic_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"vitrine/consent/basic"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/validate"
)

// TestEditionsOfRealRecordsAreValid makes the basic edition of every resource of
// the Synthea records and of R4's examples that has one.
func TestEditionsOfRealRecordsAreValid(t *testing.T) {
	defs, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	s, err := basic.New(basic.Default())
	if err != nil {
		t.Fatal(err)
	}
	v := validate.New(defs)
	files, err := filepath.Glob("../../testdata/synthea/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("records: %v, %v", files, err)
	}
	sources := examples(t)
	for _, file := range files {
		sources = append(sources, resources(t, file)...)
	}
	made := map[string]int{}
	for _, src := range sources {
		var tape, out fhir.Tape
		if err := tape.Parse(src, fhir.Limits{}); err != nil {
			t.Fatal(err)
		}
		edition, ok := s.Edition(&tape, nil)
		if !ok {
			continue
		}
		if err := out.Parse(edition, fhir.Limits{}); err != nil {
			t.Fatalf("%v: %s", err, edition)
		}
		if issues := v.Check(&out, validate.How{}); len(issues) > 0 {
			t.Errorf("%+v: %s", issues, edition)
		}
		made[out.Text(out.Field(out.Root(), "resourceType"))]++
	}
	for _, typ := range []string{"Patient", "AllergyIntolerance", "Immunization"} {
		if made[typ] == 0 {
			t.Errorf("no %s among the records: %v", typ, made)
		}
	}
}

// examples are the instances of R4 (testdata/README.md).
func examples(t *testing.T) []json.RawMessage {
	t.Helper()
	archive := tar.NewReader(unpacked(t, "../../testdata/r4/examples.tar.gz"))
	var out []json.RawMessage
	for {
		if _, err := archive.Next(); err != nil {
			break
		}
		src, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, src)
	}
	return out
}

func unpacked(t *testing.T, file string) io.Reader {
	t.Helper()
	packed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func resources(t *testing.T, file string) []json.RawMessage {
	t.Helper()
	var bundle struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.NewDecoder(unpacked(t, file)).Decode(&bundle); err != nil {
		t.Fatal(err)
	}
	var out []json.RawMessage
	for _, e := range bundle.Entry {
		out = append(out, e.Resource)
	}
	return out
}
