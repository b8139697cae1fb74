package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func readFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}

// example is one official R4 example instance.
type example struct {
	name string
	body []byte
}

// examples reads the 713 official example instances.
func examples(t *testing.T) []example {
	t.Helper()
	f, err := os.Open("../testdata/r4/examples.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []example
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, example{h.Name, body})
	}
}

// synthea reads the Synthea Bundles, by file name without endings.
func synthea(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../testdata/synthea/*.json.gz")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no Synthea files: %v", err)
	}
	slices.Sort(paths)
	out := map[string][]byte{}
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(p)
		out[name[:len(name)-len(".json.gz")]] = body
	}
	return out
}

// object is JSON as the tests look into it; the server never does.
type object = map[string]any

func decode(t *testing.T, body []byte) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, body)
	}
	return o
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// at looks a value up along keys and indexes; nil when there is none.
func at(v any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			o, _ := v.(object)
			v = o[k]
		case int:
			a, _ := v.([]any)
			if k >= len(a) {
				return nil
			}
			v = a[k]
		}
	}
	return v
}

// text is at, as a string; "" when it is none.
func text(v any, path ...any) string {
	s, _ := at(v, path...).(string)
	return s
}

// list is at, as a list.
func list(v any, path ...any) []any {
	a, _ := at(v, path...).([]any)
	return a
}

// mustJSON is for values that cannot fail to encode.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
