package main

import (
	"bytes"
	"compress/flate"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTablesAreCurrent needs the official package, which is not in the tree.
func TestTablesAreCurrent(t *testing.T) {
	dir := os.Getenv("R4_PACKAGE")
	if dir == "" {
		t.Skip("R4_PACKAGE does not name the unpacked package hl7.fhir.r4.examples 4.0.1")
	}
	m, terms, err := build(dir)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../tables.bin")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.encode(), want) {
		t.Error("tables.bin is not what the package gives: run go generate in fhir/r4")
	}
	packed, err := os.ReadFile("../terms.bin")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed))); err != nil || !bytes.Equal(terms.table(), got) {
		t.Error("terms.bin is not what the package gives: run go generate in fhir/r4", err)
	}
}

func TestAMissingPackageIsAnError(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		if err := run(dir, "unused", "unused"); err == nil {
			t.Errorf("directory %q: no error", dir)
		}
	}
}

func TestCodesOfValueSets(t *testing.T) {
	set := func(url string, in ...include) *valueSet {
		v := &valueSet{URL: url}
		v.Compose.Include = in
		return v
	}
	filter := func(op, value string) include {
		return include{System: "tree", Filter: []struct{ Property, Op, Value string }{{"concept", op, value}}}
	}
	less := set("less", include{System: "tree"})
	less.Compose.Exclude = []include{{System: "tree", Concept: []concept{{Code: "a"}}}}
	subsumed := []struct{ Code, ValueCode string }{{"subsumedBy", "b"}}
	terms := newTerms(&source{
		codeSystems: map[string]*codeSystem{
			"tree": {Content: "complete", Concept: []concept{
				{Code: "a", Concept: []concept{{Code: "a1", Concept: []concept{{Code: "a11"}}}}},
				{Code: "b"},
				{Code: "b1", Property: subsumed},
			}},
			"part": {Content: "fragment", Concept: []concept{{Code: "x"}}},
		},
		valueSets: map[string]*valueSet{
			"listed":  set("listed", include{System: "s", Concept: []concept{{Code: "2"}, {Code: "1"}}}),
			"whole":   set("whole", include{System: "tree"}),
			"is-a":    set("is-a", filter("is-a", "a")),
			"below":   set("below", filter("descendent-of", "b")),
			"less":    less,
			"import":  set("import", include{ValueSet: []string{"listed"}}, include{System: "tree", Concept: []concept{{Code: "a"}}}),
			"loop":    set("loop", include{ValueSet: []string{"loop"}}),
			"unknown": set("unknown", include{System: "elsewhere"}),
			"part":    set("part", include{System: "part"}),
			"regex":   set("regex", filter("regex", "a.*")),
		},
	})
	tests := map[string]map[string][]string{
		"listed":    {"s": {"1", "2"}},
		"listed|4":  {"s": {"1", "2"}},
		"whole":     {"tree": {"a", "a1", "a11", "b", "b1"}},
		"is-a":      {"tree": {"a", "a1", "a11"}},
		"below":     {"tree": {"b1"}},
		"less":      {"tree": {"a1", "a11", "b", "b1"}},
		"import":    {"s": {"1", "2"}, "tree": {"a"}},
		"loop":      nil,
		"unknown":   nil,
		"part":      nil,
		"regex":     nil,
		"not there": nil,
	}
	for url, want := range tests {
		if diff := cmp.Diff(want, terms.codes(url)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", url, diff)
		}
	}
}
