package patch_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/patch"
)

// tape reads a resource.
func tape(t *testing.T, src string) *fhir.Tape {
	t.Helper()
	out := new(fhir.Tape)
	if err := out.Parse([]byte(src), fhir.Limits{}); err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return out
}

// apply makes a JSON Patch on a resource.
func apply(t *testing.T, src, doc string) (string, error) {
	t.Helper()
	d, err := patch.ParseJSON([]byte(doc), fhir.Limits{})
	if err != nil {
		return "", err
	}
	out, err := d.Apply(tape(t, src), patch.Limits{})
	return string(out), err
}

// TestJSON has the cases of RFC 6902 (appendix A) and of RFC 6901, on bytes:
// what is not addressed stays as it was written.
func TestJSON(t *testing.T) {
	for _, c := range []struct{ name, src, doc, want string }{
		{"nothing", `{"a": 1.0 }`, `[]`, `{"a": 1.0 }`},
		{"A.1 member added", `{"foo": "bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"foo": "bar","baz":"qux"}`},
		{"A.2 element added", `{"foo": ["bar", "baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo": ["bar", "qux","baz"]}`},
		{"A.3 member removed", `{"baz": "qux", "foo": "bar"}`, `[{"op":"remove","path":"/baz"}]`, `{"foo": "bar"}`},
		{"A.4 element removed", `{"foo": ["bar", "qux", "baz"]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo": ["bar", "baz"]}`},
		{"A.5 value replaced", `{"baz": "qux", "foo": "bar"}`, `[{"op":"replace","path":"/baz","value":"boo"}]`, `{"baz": "boo", "foo": "bar"}`},
		{
			"A.6 value moved", `{"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}`,
			`[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`,
			`{"foo": {"bar": "baz"}, "qux": {"corge": "grault","thud":"fred"}}`,
		},
		{"A.7 element moved", `{"foo": ["all", "grass", "cows", "eat"]}`, `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, `{"foo": ["all", "cows", "eat","grass"]}`},
		{"A.8 tested", `{"baz": "qux", "foo": ["a", 2, "c"]}`, `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]`, `{"baz": "qux", "foo": ["a", 2, "c"]}`},
		{"A.10 nested member", `{"foo": "bar"}`, `[{"op":"add","path":"/child","value":{"grandchild":{}}}]`, `{"foo": "bar","child":{"grandchild":{}}}`},
		{"A.11 what is not known is ignored", `{"foo": "bar"}`, `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, `{"foo": "bar","baz":"qux"}`},
		{"A.14 escapes", `{"/": 9, "~1": 10}`, `[{"op":"test","path":"/~01","value":10}]`, `{"/": 9, "~1": 10}`},
		{"A.16 array at the end", `{"foo": ["bar"]}`, `[{"op":"add","path":"/foo/-","value":["abc", "def"]}]`, `{"foo": ["bar",["abc", "def"]]}`},
		{"6901 names", `{"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}`, `[
			{"op":"test","path":"/","value":0},{"op":"test","path":"/a~1b","value":1},{"op":"test","path":"/c%d","value":2},
			{"op":"test","path":"/e^f","value":3},{"op":"test","path":"/g|h","value":4},{"op":"test","path":"/i\\j","value":5},
			{"op":"test","path":"/k\"l","value":6},{"op":"test","path":"/ ","value":7},{"op":"test","path":"/m~0n","value":8}]`, `{"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}`},
		{"add replaces what is there", `{"foo": 1, "bar": [1, 2]}`, `[{"op":"add","path":"/bar","value":3}]`, `{"foo": 1, "bar": 3}`},
		{"null is a value", `{"foo": null, "bar": 1}`, `[{"op":"test","path":"/foo","value":null},{"op":"replace","path":"/foo","value":"x"},{"op":"add","path":"/baz","value":null}]`, `{"foo": "x", "bar": 1,"baz":null}`},
		{"an object emptied and filled", `{"a": { "b": 1 } }`, `[{"op":"remove","path":"/a/b"},{"op":"add","path":"/a/c","value":2}]`, `{"a": {"c":2  } }`},
		{"an array emptied and filled", `{"a": [ 1 ]}`, `[{"op":"remove","path":"/a/0"},{"op":"add","path":"/a/-","value":2}]`, `{"a": [2  ]}`},
		{"the last removed", `{"a": 1 , "b": 2 }`, `[{"op":"remove","path":"/b"}]`, `{"a": 1 }`},
		{"copied", `{"a": {"b": [1.50, 2]}, "c": []}`, `[{"op":"copy","from":"/a/b/0","path":"/c/0"}]`, `{"a": {"b": [1.50, 2]}, "c": [1.50]}`},
		{"copied whole", `{"a": 1}`, `[{"op":"copy","from":"","path":"/b"}]`, `{"a": 1,"b":{"a": 1}}`},
		{"moved to itself", `{"a": 1}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a": 1}`},
		{"moved within an array, to the front", `{"a": [1, 2, 3]}`, `[{"op":"move","from":"/a/2","path":"/a/0"}]`, `{"a": [3,1, 2]}`},
		{"the whole replaced", `{"a": 1}`, `[{"op":"replace","path":"","value":{"b": 2}}]`, `{"b": 2}`},
		{"the whole tested", `{"a": 1, "b": [1, {"c": 2}]}`, `[{"op":"test","path":"","value":{"b":[1.0,{"c":20e-1}],"a":1}}]`, `{"a": 1, "b": [1, {"c": 2}]}`},
		{"numbers by what they are worth", `{"a": 0.00100, "b": -0, "c": 1e400, "d": 12345678901234567890.10}`, `[
			{"op":"test","path":"/a","value":1e-3},{"op":"test","path":"/b","value":0},{"op":"test","path":"/c","value":10E399},
			{"op":"test","path":"/d","value":12345678901234567890.1}]`, `{"a": 0.00100, "b": -0, "c": 1e400, "d": 12345678901234567890.10}`},
		{"strings by their characters", `{"a": "\u00e9\n"}`, `[{"op":"test","path":"/a","value":"é\u000a"}]`, `{"a": "\u00e9\n"}`},
		{"names by their characters", `{"\u0061": 1}`, `[{"op":"replace","path":"/a","value":2}]`, `{"\u0061": 2}`},
	} {
		got, err := apply(t, c.src, c.doc)
		if err != nil || got != c.want {
			t.Errorf("%s: %s on %s: got %s, %v; want %s", c.name, c.doc, c.src, got, err, c.want)
		}
	}
}

func TestJSONRefused(t *testing.T) {
	const src = `{"resourceType":"Patient","id":"p","baz":"secret-qux","foo":["a","b"],"n":12345678901234567890}`
	for _, c := range []struct {
		name, doc string
		kind      error
		index     int
	}{
		{"no array", `{"op":"add"}`, patch.ErrMalformed, -1},
		{"more than one value", `[],"x":[]`, patch.ErrMalformed, -1},
		{"no object", `[1]`, patch.ErrMalformed, 0},
		{"no op", `[{"path":"/a","value":1}]`, patch.ErrMalformed, 0},
		{"an op that is none", `[{"op":"spam","path":"/a","value":1}]`, patch.ErrMalformed, 0},
		{"no path", `[{"op":"add","value":1}]`, patch.ErrMalformed, 0},
		{"a path that is null", `[{"op":"add","path":null,"value":1}]`, patch.ErrMalformed, 0},
		{"a path without its slash", `[{"op":"test","path":"/baz","value":"secret-qux"},{"op":"add","path":"a","value":1}]`, patch.ErrMalformed, 1},
		{"an escape that is none", `[{"op":"remove","path":"/a~2"}]`, patch.ErrMalformed, 0},
		{"an escape cut short", `[{"op":"remove","path":"/a~"}]`, patch.ErrMalformed, 0},
		{"no value", `[{"op":"add","path":"/a"}]`, patch.ErrMalformed, 0},
		{"no value to test", `[{"op":"test","path":"/a"}]`, patch.ErrMalformed, 0},
		{"no from", `[{"op":"copy","path":"/a"}]`, patch.ErrMalformed, 0},
		{"moved into itself", `[{"op":"move","from":"/foo","path":"/foo/0"}]`, patch.ErrMalformed, 0},
		{"A.9 another value", `[{"op":"test","path":"/baz","value":"bar"}]`, patch.ErrTest, 0},
		{"A.15 a number is no string", `[{"op":"test","path":"/n","value":"12345678901234567890"}]`, patch.ErrTest, 0},
		{"a number that differs far behind", `[{"op":"test","path":"/n","value":12345678901234567891}]`, patch.ErrTest, 0},
		{"nothing to test", `[{"op":"test","path":"/nothing","value":null}]`, patch.ErrTest, 0},
		{"A.12 no parent", `[{"op":"add","path":"/nothing/bat","value":"qux"}]`, patch.ErrPath, 0},
		{"within a string", `[{"op":"add","path":"/baz/x","value":1}]`, patch.ErrPath, 0},
		{"nothing to remove", `[{"op":"remove","path":"/nothing"}]`, patch.ErrPath, 0},
		{"nothing to replace", `[{"op":"replace","path":"/nothing","value":1}]`, patch.ErrPath, 0},
		{"nothing to copy", `[{"op":"copy","from":"/nothing","path":"/a"}]`, patch.ErrPath, 0},
		{"beyond the end", `[{"op":"add","path":"/foo/3","value":1}]`, patch.ErrPath, 0},
		{"a zero in front", `[{"op":"replace","path":"/foo/01","value":1}]`, patch.ErrPath, 0},
		{"a sign", `[{"op":"replace","path":"/foo/-1","value":1}]`, patch.ErrPath, 0},
		{"the end is no element", `[{"op":"remove","path":"/foo/-"}]`, patch.ErrPath, 0},
		{"a name in an array", `[{"op":"add","path":"/foo/x","value":1}]`, patch.ErrPath, 0},
		{"the whole removed", `[{"op":"remove","path":""}]`, patch.ErrFixed, 0},
		{"the whole is no object", `[{"op":"replace","path":"","value":[]}]`, patch.ErrValue, 0},
		{"another type", `[{"op":"replace","path":"/resourceType","value":"Basic"}]`, patch.ErrFixed, -1},
		{"another id", `[{"op":"replace","path":"/id","value":"q"}]`, patch.ErrFixed, -1},
		{"no id", `[{"op":"remove","path":"/id"}]`, patch.ErrFixed, -1},
	} {
		_, err := apply(t, src, c.doc)
		got := (*patch.Error)(nil)
		if !errors.As(err, &got) || !errors.Is(err, c.kind) || got.Index != c.index {
			t.Errorf("%s: %s: got %v, want %v of operation %d", c.name, c.doc, err, c.kind, c.index)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells a value: %v", c.name, err)
		}
	}
}

func TestJSONSyntax(t *testing.T) {
	_, err := patch.ParseJSON([]byte("[{\"op\":\"add\",\n \"op\":\"add\"}]"), fhir.Limits{})
	got := (*fhir.SyntaxError)(nil)
	if !errors.As(err, &got) || got.Line != 2 || got.Column != 2 {
		t.Errorf("got %v, want line 2, column 2", err)
	}
}

// TestBounds: what a document can make the server do is bounded.
func TestBounds(t *testing.T) {
	const src = `{"a":["0123456789012345678901234567890123456789"]}`
	doubling := `[{"op":"copy","from":"/a","path":"/a/-"}` + strings.Repeat(`,{"op":"copy","from":"/a","path":"/a/-"}`, 40) + `]`
	for name, c := range map[string]struct {
		doc string
		lim patch.Limits
	}{
		"copies of copies":   {doubling, patch.Limits{}},
		"deeper than may be": {`[{"op":"add","path":"/b","value":{}}` + strings.Repeat(`,{"op":"move","from":"/b","path":"/c"},{"op":"add","path":"/b","value":{}},{"op":"move","from":"/c","path":"/b/c"}`, 110) + `]`, patch.Limits{}},
		"larger than may be": {`[{"op":"add","path":"/b","value":"0123456789"}]`, patch.Limits{Size: len(src) + 10}},
		"too much work":      {`[` + strings.Repeat(`{"op":"add","path":"/b","value":1},`, 99) + `{"op":"remove","path":"/b"}]`, patch.Limits{Work: 4000}},
		"too many":           {`[` + strings.Repeat(`{"op":"remove","path":"/a"},`, 10_000) + `{"op":"remove","path":"/a"}]`, patch.Limits{}},
	} {
		d, err := patch.ParseJSON([]byte(c.doc), fhir.Limits{})
		if err == nil {
			_, err = d.Apply(tape(t, src), c.lim)
		}
		if !errors.Is(err, patch.ErrTooMuch) {
			t.Errorf("%s: got %v, want %v", name, err, patch.ErrTooMuch)
		}
	}
}

// TestNothingOutlives: a document may be applied again, and to what it made.
func TestNothingOutlives(t *testing.T) {
	d, err := patch.ParseJSON([]byte(`[{"op":"add","path":"/a/-","value":1},{"op":"move","from":"/a/0","path":"/b"},{"op":"copy","from":"/b","path":"/a/0"}]`), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	src := `{"a":[7]}`
	var outs []string
	for range 3 {
		out, err := d.Apply(tape(t, src), patch.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		outs = append(outs, string(out))
	}
	want := `{"a":[7,1],"b":7}`
	if diff := cmp.Diff([]string{want, want, want}, outs); diff != "" {
		t.Error(diff)
	}
	if !json.Valid([]byte(outs[0])) {
		t.Error("not JSON")
	}
}
