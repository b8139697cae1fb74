package patch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/fhir"
	"vitrine/fhir/patch"
)

// This file has a JSON Patch of its own, written as plainly as can be on what
// encoding/json makes of a document, and holds the one on bytes against it.

var errNaive = errors.New("cannot be applied")

func plain(t interface{ Fatalf(string, ...any) }, src []byte) any {
	var out any
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return out
}

func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = copied(e)
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, copied(e))
		}
		return out
	default:
		return v
	}
}

func same(a, b any) bool {
	x, isX := a.(json.Number)
	y, isY := b.(json.Number)
	if isX && isY {
		p, _ := new(big.Rat).SetString(x.String())
		q, _ := new(big.Rat).SetString(y.String())
		return p.Cmp(q) == 0
	}
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if other, ok := b[k]; !ok || !same(v, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	default:
		return a == b
	}
}

func get(doc any, path []string) (any, error) {
	for _, token := range path {
		switch at := doc.(type) {
		case map[string]any:
			v, ok := at[token]
			if !ok {
				return nil, errNaive
			}
			doc = v
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(at) || strconv.Itoa(i) != token {
				return nil, errNaive
			}
			doc = at[i]
		default:
			return nil, errNaive
		}
	}
	return doc, nil
}

// put is the document with a value added; at tells add from replace.
func put(doc any, path []string, v any, add bool) (any, error) {
	if len(path) == 0 {
		return v, nil
	}
	switch at := doc.(type) {
	case map[string]any:
		old, ok := at[path[0]]
		if !ok && (!add || len(path) > 1) {
			return nil, errNaive
		}
		now, err := put(old, path[1:], v, add)
		at[path[0]] = now
		return at, err
	case []any:
		if path[0] == "-" && add && len(path) == 1 {
			return append(at, v), nil
		}
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i > len(at) || strconv.Itoa(i) != path[0] {
			return nil, errNaive
		}
		if add && len(path) == 1 {
			return slices.Insert(at, i, v), nil
		}
		if i == len(at) {
			return nil, errNaive
		}
		at[i], err = put(at[i], path[1:], v, add)
		return at, err
	default:
		return nil, errNaive
	}
}

func drop(doc any, path []string) (any, error) {
	if _, err := get(doc, path); err != nil || len(path) == 0 {
		return nil, errNaive
	}
	switch at := doc.(type) {
	case map[string]any:
		if len(path) == 1 {
			delete(at, path[0])
			return at, nil
		}
		now, err := drop(at[path[0]], path[1:])
		at[path[0]] = now
		return at, err
	case []any:
		i, _ := strconv.Atoi(path[0])
		if len(path) == 1 {
			return slices.Delete(at, i, i+1), nil
		}
		now, err := drop(at[i], path[1:])
		at[i] = now
		return at, err
	default:
		return nil, errNaive
	}
}

type naiveOp struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from"`
	Value json.RawMessage `json:"value,omitempty"`
}

func tokens(pointer string) []string {
	if pointer == "" {
		return nil
	}
	parts := strings.Split(pointer[1:], "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(parts[i], "~1", "/"), "~0", "~")
	}
	return parts
}

func naive(t interface{ Fatalf(string, ...any) }, doc any, o naiveOp) (any, error) {
	path, from := tokens(o.Path), tokens(o.From)
	var value any
	if o.Value != nil {
		value = plain(t, o.Value)
	}
	switch o.Op {
	case "add":
		return put(doc, path, value, true)
	case "replace":
		return put(doc, path, value, false)
	case "remove":
		return drop(doc, path)
	case "test":
		if v, err := get(doc, path); err != nil || !same(v, value) {
			return nil, errNaive
		}
		return doc, nil
	}
	v, err := get(doc, from)
	if err != nil {
		return nil, err
	}
	v = copied(v)
	if o.Op == "move" && o.From != o.Path {
		if doc, err = drop(doc, from); err != nil {
			return nil, err
		}
	}
	if o.Op == "move" && o.From == o.Path {
		return doc, nil
	}
	return put(doc, path, v, true)
}

// Names and scalars that are written in more than one way.
var (
	drawnNames   = []string{"a", "b", "c/d", "e~f", "", "0", "1", "é", "_a"}
	drawnScalars = []string{`null`, `true`, `false`, `0`, `-0.0`, `1.50`, `15e-1`, `12345678901234567890.1`, `""`, `"x"`, `"\u00e9"`, `"é"`, `"\"\\\/"`, `{}`, `[]`}
	drawnSpace   = []string{"", "", " ", "\n  ", "\t"}
)

// text draws JSON text, of an object when it must be one.
func text(t *rapid.T, depth int, object bool) string {
	space := func() string { return rapid.SampledFrom(drawnSpace).Draw(t, "space") }
	kind := rapid.IntRange(0, 3).Draw(t, "kind")
	switch {
	case object || (kind == 2 && depth > 0):
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(drawnNames), 0, 4, rapid.ID[string]).Draw(t, "names")
		var parts []string
		for _, name := range names {
			quoted := string(fhir.AppendString(nil, name))
			if name == "a" && rapid.Bool().Draw(t, "escaped") {
				quoted = `"\u0061"`
			}
			parts = append(parts, space()+quoted+space()+":"+space()+text(t, depth-1, false)+space())
		}
		return "{" + strings.Join(parts, ",") + space() + "}"
	case kind == 3 && depth > 0:
		var parts []string
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			parts = append(parts, space()+text(t, depth-1, false)+space())
		}
		return "[" + strings.Join(parts, ",") + space() + "]"
	default:
		return rapid.SampledFrom(drawnScalars).Draw(t, "scalar")
	}
}

// somewhere draws a pointer, mostly to what is there.
func somewhere(t *rapid.T, doc any) string {
	out := ""
	for {
		switch at := doc.(type) {
		case map[string]any:
			if rapid.IntRange(0, 9).Draw(t, "stop") < 2 {
				return out
			}
			name := rapid.SampledFrom(drawnNames).Draw(t, "name")
			if names := sorted(at); len(names) > 0 && rapid.IntRange(0, 9).Draw(t, "known") < 8 {
				name = rapid.SampledFrom(names).Draw(t, "name")
			}
			out += "/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
			doc = at[name]
		case []any:
			if rapid.IntRange(0, 9).Draw(t, "stop") < 2 {
				return out
			}
			i := rapid.IntRange(0, len(at)+1).Draw(t, "index")
			if i >= len(at) {
				return out + "/" + rapid.SampledFrom([]string{"-", strconv.Itoa(i), "01", "x"}).Draw(t, "end")
			}
			out += "/" + strconv.Itoa(i)
			doc = at[i]
		default:
			return out
		}
	}
}

func sorted(m map[string]any) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func drawOp(t *rapid.T, doc any) naiveOp {
	o := naiveOp{Op: rapid.SampledFrom([]string{"add", "add", "remove", "replace", "move", "copy", "test"}).Draw(t, "op"), Path: somewhere(t, doc)}
	switch o.Op {
	case "move", "copy":
		o.From = somewhere(t, doc)
		if o.Op == "move" && strings.HasPrefix(o.Path, o.From+"/") {
			o.Op = "copy"
		}
	case "test":
		if v, err := get(doc, tokens(o.Path)); err == nil && rapid.Bool().Draw(t, "true") {
			o.Value, _ = json.Marshal(v)
			return o
		}
		o.Value = json.RawMessage(text(t, 1, false))
	case "add", "replace":
		o.Value = json.RawMessage(text(t, 2, o.Path == ""))
	}
	return o
}

// TestJSONProperty: one operation or several come to the same as the naive
// ones, to the spelling of every number, or fail with them.
func TestJSONProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := text(t, 3, true)
		doc := plain(t, []byte(src))
		var ops []naiveOp
		var failed error
		for range rapid.IntRange(1, 5).Draw(t, "ops") {
			o := drawOp(t, doc)
			ops = append(ops, o)
			if doc, failed = naive(t, doc, o); failed != nil {
				break
			}
			if _, object := doc.(map[string]any); !object { // a resource is an object
				failed = errNaive
				break
			}
		}
		list, err := json.Marshal(ops)
		if err != nil {
			t.Fatal(err)
		}
		d, err := patch.ParseJSON(list, fhir.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", list, err)
		}
		var tape fhir.Tape
		if err := tape.Parse([]byte(src), fhir.Limits{}); err != nil {
			t.Fatal(err)
		}
		got, err := d.Apply(&tape, patch.Limits{})
		if errors.Is(err, patch.ErrFixed) {
			return
		}
		if (err != nil) != (failed != nil) {
			t.Fatalf("%s on %s: %v, want %v", list, src, err, failed)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(doc, plain(t, got)); diff != "" {
			t.Fatalf("%s on %s: got %s\n%s", list, src, got, diff)
		}
		if len(ops) == 1 {
			stays(t, &tape, got, ops[0])
		}
	})
}

// stays checks that one operation on a path leaves every byte alone that is
// outside of the object or array it changes, and all the neighbours in it.
func stays(t *rapid.T, before *fhir.Tape, after []byte, o naiveOp) {
	if o.Op == "test" {
		if !bytes.Equal(before.Source(), after) {
			t.Fatalf("a test changed %s to %s", before.Source(), after)
		}
		return
	}
	path := tokens(o.Path)
	if o.Op == "move" || len(path) == 0 {
		return // there are two such places, or none
	}
	container := before.Root()
	for _, token := range path[:len(path)-1] {
		container = child(before, container, token)
	}
	start, end := before.Span(container)
	if !bytes.HasPrefix(after, before.Source()[:start+1]) || !bytes.HasSuffix(after, before.Source()[end-1:]) {
		t.Fatalf("%+v: what is outside changed: %s to %s", o, before.Source(), after)
	}
	inner := after[start : len(after)-(len(before.Source())-end)]
	for n := before.First(container); n != fhir.None; n = before.Next(n) {
		if n != child(before, container, path[len(path)-1]) && !bytes.Contains(inner, before.Raw(n)) {
			t.Fatalf("%+v: a neighbour changed: %s to %s", o, before.Source(), after)
		}
	}
}

func child(t *fhir.Tape, n fhir.Node, token string) fhir.Node {
	if t.Kind(n) == fhir.Object {
		return t.Field(n, token)
	}
	i, err := strconv.Atoi(token)
	if err != nil {
		return fhir.None
	}
	n = t.First(n)
	for ; i > 0 && n != fhir.None; i-- {
		n = t.Next(n)
	}
	return n
}
