package fhir

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestStamp(t *testing.T) {
	const meta = `"meta":{"versionId":"2","lastUpdated":"2026-11-22T09:30:00.120Z"}`
	for _, c := range []struct{ name, src, want string }{
		{
			"nothing there", `{"resourceType":"Patient","active":true}`,
			`{"resourceType":"Patient","id":"p1",` + meta + `,"active":true}`,
		},
		{"type alone", `{"resourceType":"Patient"}`, `{"resourceType":"Patient","id":"p1",` + meta + `}`},
		{"no type", `{"active":true}`, `{"id":"p1",` + meta + `,"active":true}`},
		{"empty", `{ }`, `{"id":"p1",` + meta + ` }`},
		{
			"id there", `{"resourceType":"Patient", "id" : "other" , "active":true}`,
			`{"resourceType":"Patient", "id" : "p1",` + meta + ` , "active":true}`,
		},
		{"no type, id there", `{"id":"other"}`, `{"id":"p1",` + meta + `}`},
		{
			"all there, in another order", `{"meta":{ "lastUpdated" : "x", "source":"#a", "versionId":"9" },"id":"other","resourceType":"Patient"}`,
			`{"meta":{ "lastUpdated" : "2026-11-22T09:30:00.120Z", "source":"#a", "versionId":"2" },"id":"p1","resourceType":"Patient"}`,
		},
		{
			"meta there, id missing", `{"meta":{"versionId":"9","lastUpdated":"x"},"resourceType":"Patient"}`,
			`{` + meta + `,"resourceType":"Patient","id":"p1"}`,
		},
		{"meta there, no type, id missing", `{"meta":{}}`, `{"id":"p1",` + meta + `}`},
		{"meta empty", `{"resourceType":"Patient","id":"p1","meta":{}}`, `{"resourceType":"Patient","id":"p1",` + meta + `}`},
		{
			"meta with other members", `{"resourceType":"Patient","id":"p1","meta":{"tag":[]}}`,
			`{"resourceType":"Patient","id":"p1","meta":{"versionId":"2","lastUpdated":"2026-11-22T09:30:00.120Z","tag":[]}}`,
		},
		{
			"version alone", `{"resourceType":"Patient","id":"p1","meta":{"versionId":"1"}}`,
			`{"resourceType":"Patient","id":"p1","meta":{"lastUpdated":"2026-11-22T09:30:00.120Z","versionId":"2"}}`,
		},
		{
			"time alone", `{"resourceType":"Patient","id":"p1","meta":{"tag":[], "lastUpdated":"x"}}`,
			`{"resourceType":"Patient","id":"p1","meta":{"versionId":"2","tag":[], "lastUpdated":"2026-11-22T09:30:00.120Z"}}`,
		},
		{"wrong kinds", `{"id":{"a":1},"meta":[1]}`, `{"id":"p1",` + meta + `}`},
		{
			"wrong kinds in meta", `{"id":1,"meta":{"versionId":{"a":[]},"lastUpdated":null}}`,
			`{"id":"p1",` + meta + `}`,
		},
		{
			"names with escapes", `{"\u0069d":"x","met\u0061":{"versionI\u0064":"x"}}`,
			`{"\u0069d":"p1","met\u0061":{"lastUpdated":"2026-11-22T09:30:00.120Z","versionI\u0064":"2"}}`,
		},
		{
			"the same names elsewhere", `{"resourceType":"Bundle","contained":[{"id":"c","meta":{"versionId":"7"}}],"id":"x","meta":{"versionId":"1","lastUpdated":"1"}}`,
			`{"resourceType":"Bundle","contained":[{"id":"c","meta":{"versionId":"7"}}],"id":"p1",` + meta + `}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := time.Date(2026, 11, 22, 17, 30, 0, 120_999_999, time.FixedZone("", 8*60*60))
			got := Stamp([]byte("before "), parsed(t, c.src), "p1", "2", at)
			if diff := cmp.Diff("before "+c.want, string(got)); diff != "" {
				t.Errorf("Stamp(%s) (-want +got):\n%s", c.src, diff)
			}
		})
	}
}

// plain is a resource as maps, its numbers as they were written.
func plain(tb rapid.TB, src []byte) map[string]any {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("%v: %s", err, src)
	}
	return v
}

// checkStamp holds Stamp against its promise for one source that parses.
func checkStamp(tb rapid.TB, src []byte, id, version string, at time.Time) {
	tb.Helper()
	read := func(src []byte) *Tape {
		t := new(Tape)
		if err := t.Parse(src, Limits{Depth: 10_000}); err != nil {
			tb.Fatalf("%v: %s", err, src)
		}
		return t
	}
	stamped := Stamp(nil, read(src), id, version, at)

	want := plain(tb, src)
	meta, ok := want["meta"].(map[string]any)
	if !ok {
		meta = map[string]any{}
	}
	meta["versionId"], meta["lastUpdated"] = version, FormatInstant(at)
	want["id"], want["meta"] = id, meta
	if diff := cmp.Diff(want, plain(tb, stamped)); diff != "" {
		tb.Fatalf("Stamp(%s) (-want +got):\n%s", src, diff)
	}

	// What is in place is replaced and nothing else: another stamp and then the
	// first one again give the same bytes.
	other := Stamp(nil, read(stamped), "another-"+id, version+"0", at.Add(time.Hour))
	if again := Stamp(nil, read(other), id, version, at); !bytes.Equal(stamped, again) {
		tb.Fatalf("stamped %s, there and back %s", stamped, again)
	}

	// Bytes were put in or replaced in at most three places; without them the
	// rest is the source.
	if !isSubsequence(without(read(src)), stamped) {
		tb.Fatalf("Stamp(%s) = %s does not keep the other bytes", src, stamped)
	}
}

// without is the source of t less the values that Stamp replaces.
func without(t *Tape) []byte {
	drop := []Node{t.Field(0, "id")}
	if meta := t.Field(0, "meta"); t.Kind(meta) == Object {
		drop = append(drop, t.Field(meta, "versionId"), t.Field(meta, "lastUpdated"))
	} else {
		drop = append(drop, meta)
	}
	kept := bytes.Clone(t.Source())
	for _, n := range drop {
		start, end := t.Span(n)
		for i := start; i < end; i++ {
			kept[i] = 0 // in no JSON text
		}
	}
	return bytes.ReplaceAll(kept, []byte{0}, nil)
}

func isSubsequence(sub, of []byte) bool {
	for _, c := range of {
		if len(sub) > 0 && sub[0] == c {
			sub = sub[1:]
		}
	}
	return len(sub) == 0
}

func TestStampChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := drawObject(t, 3, []string{"resourceType", "id", "meta", "active", "name"})
		id := rapid.StringMatching(`[A-Za-z0-9\-.]{1,64}`).Draw(t, "id")
		version := rapid.StringMatching(`b?[1-9][0-9]{0,3}`).Draw(t, "version")
		at := time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "at"))
		checkStamp(t, []byte(src), id, version, at)
	})
}

func drawSpace(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "", " ", "\n", "\n    ", "\r\n\t", "            "}).Draw(t, "space")
}

// drawObject draws an object with some of the names, in any order and layout.
func drawObject(t *rapid.T, depth int, names []string) string {
	names = rapid.Permutation(names).Draw(t, "names")
	names = names[:rapid.IntRange(0, len(names)).Draw(t, "members")]
	var b strings.Builder
	b.WriteString("{" + drawSpace(t))
	for i, name := range names {
		if i > 0 {
			b.WriteString("," + drawSpace(t))
		}
		b.Write(AppendString(nil, name))
		b.WriteString(drawSpace(t) + ":" + drawSpace(t) + drawValue(t, depth-1) + drawSpace(t))
	}
	return b.String() + "}"
}

func drawValue(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	switch {
	case kind == 0:
		return rapid.SampledFrom([]string{"true", "false", "null", "0", "-1.50", "6.02e23", "1E-7"}).Draw(t, "scalar")
	case kind >= 4 && depth > 0:
		return drawObject(t, depth, []string{"versionId", "lastUpdated", "id", "tag", "a\tb"})
	case kind == 3 && depth > 0:
		return "[" + drawSpace(t) + drawValue(t, depth-1) + "," + drawValue(t, depth-1) + "]"
	default:
		return string(AppendString(nil, rapid.String().Draw(t, "text")))
	}
}

func TestSplice(t *testing.T) {
	src := []byte("0123456789")
	edits := []Edit{{Start: 0, End: 0, Text: []byte("<")}, {Start: 2, End: 4}, {Start: 4, End: 4, Text: []byte("a")}, {Start: 4, End: 5, Text: []byte("bb")}, {Start: 10, End: 10, Text: []byte(">")}}
	if got, want := string(Splice([]byte("-"), src, edits)), "-<01abb56789>"; got != want {
		t.Errorf("Splice = %q, want %q", got, want)
	}
	if got := string(Splice(nil, src, nil)); got != string(src) {
		t.Errorf("Splice without edits = %q", got)
	}
}

func TestSplicePanicsRatherThanGarble(t *testing.T) {
	for _, edits := range [][]Edit{
		{{Start: 3, End: 2}},
		{{Start: 2, End: 5}, {Start: 4, End: 6}},
		{{Start: 4, End: 4}, {Start: 2, End: 2}},
		{{Start: 9, End: 11}},
		{{Start: -1, End: 0}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Splice accepted %v", edits)
				}
			}()
			Splice(nil, []byte("0123456789"), edits)
		}()
	}
}
