package fhirpath

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// rule is an invariant and where in a resource it is asked.
type rule struct {
	source  string
	program *Program
	focus   Value
	scope   *Scope
}

// synthea are the resources of one patient.
func synthea(tb testing.TB) [][]byte {
	tb.Helper()
	files, err := filepath.Glob("../../testdata/synthea/*.json.gz")
	if err != nil || len(files) == 0 {
		tb.Fatal("there are no resources", err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it is only read
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var bundle struct {
		Entry []struct {
			Resource json.RawMessage `json:"resource"`
		} `json:"entry"`
	}
	if err := json.NewDecoder(z).Decode(&bundle); err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	for _, e := range bundle.Entry {
		out = append(out, bytes.Clone(e.Resource))
	}
	return out
}

// rulesOf are all invariants of R4 at every element of a resource.
func rulesOf(tb testing.TB, d *r4.Definitions, programs map[string]*Program, tape *fhir.Tape) (out []rule) {
	tb.Helper()
	compiled := func(expression string) *Program {
		p := programs[expression]
		if p == nil {
			var err error
			if p, err = Compile(expression, d); err != nil {
				tb.Fatal(err)
			}
			programs[expression] = p
		}
		return p
	}
	scope := &Scope{Tape: tape}
	m := &machine{prog: compiled("true"), scope: scope, tape: tape, left: 1 << 30}
	var visit func(v Value, own []r4.Invariant)
	visit = func(v Value, own []r4.Invariant) {
		for t := v.Type; t != nil; t = t.Base {
			own = append(own[:len(own):len(own)], t.Invariants...)
		}
		seen := map[string]bool{}
		for _, i := range own {
			if !seen[i.Expression] {
				seen[i.Expression] = true
				out = append(out, rule{i.Expression, compiled(i.Expression), v, scope})
			}
		}
		obj := m.object(&v)
		for i := range v.Type.Elements {
			el := &v.Type.Elements[i]
			base := len(m.vals)
			if obj == fhir.None {
				continue
			}
			if err := m.field(obj, el); err != nil {
				tb.Fatal(err)
			}
			for _, child := range append([]Value(nil), m.vals[base:]...) {
				visit(child, el.Invariants)
			}
			m.vals = m.vals[:base]
		}
	}
	visit(Value{Type: typeOfResource(d, tape, tape.Root())}, nil)
	return out
}

// TestInvariantsHoldOfSynthea asks every invariant of R4 of every element of one
// patient's resources. Synthea writes few narratives, which R4 only advises.
func TestInvariantsHoldOfSynthea(t *testing.T) {
	d := load(t)
	programs := map[string]*Program{}
	asked := 0
	for _, src := range synthea(t) {
		tape := parse(t, string(src))
		for _, r := range rulesOf(t, d, programs, tape) {
			asked++
			r.scope.Focus = r.focus
			holds, err := r.program.Holds(r.scope)
			if err != nil || !holds && r.source != "text.`div`.exists()" {
				t.Errorf("%s: %v, %v at %.200s", r.source, holds, err, tape.Raw(r.focus.Node))
			}
		}
	}
	if asked < 5000 {
		t.Errorf("only %d were asked", asked)
	}
}

func BenchmarkInvariants(b *testing.B) {
	d := load(b)
	programs := map[string]*Program{}
	var all []rule
	size := 0
	for _, src := range synthea(b) {
		all = append(all, rulesOf(b, d, programs, parse(b, string(src)))...)
		size += len(src)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		for i := range all {
			r := &all[i]
			r.scope.Focus = r.focus
			if _, err := r.program.Holds(r.scope); err != nil {
				b.Fatal(err)
			}
		}
	}
	n := float64(b.N) * float64(len(all))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/invariant")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size)*1000, "ns/kB")
}

func BenchmarkCompile(b *testing.B) {
	d := load(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile("type.exists() implies name.matches('[A-Z]([A-Za-z0-9_]){0,254}')", d); err != nil {
			b.Fatal(err)
		}
	}
}
