package fhir

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parsed(tb testing.TB, src string) *Tape {
	tb.Helper()
	t := new(Tape)
	if err := t.Parse([]byte(src), Limits{}); err != nil {
		tb.Fatalf("Parse(%q) = %v", src, err)
	}
	return t
}

// seen is what a tape says of one node.
type seen struct {
	Kind      Kind
	Key, Raw  string
	KeySource string
	Text      string
	Children  []seen
}

func look(t *Tape, n Node) seen {
	start, end := t.KeySpan(n)
	from, to := t.Span(n)
	s := seen{Kind: t.Kind(n), Key: string(t.Key(n)), KeySource: string(t.Source()[start:end]), Text: t.Text(n)}
	if s.Raw = string(t.Raw(n)); s.Raw != string(t.Source()[from:to]) {
		s.Raw = "unlike the span"
	}
	for c := t.First(n); c != None; c = t.Next(c) {
		s.Children = append(s.Children, look(t, c))
	}
	return s
}

func TestTapeSaysWhatIsThere(t *testing.T) {
	src := ` {"a" : [ 1.50, "x\n\u00e9", [] ], "\u0062":{"c":null,"d":true}, "e":false, "😀":"李"} `
	got := look(parsed(t, src), 0)
	want := seen{Kind: Object, Raw: src[1 : len(src)-1], Children: []seen{
		{Kind: Array, Key: "a", KeySource: `"a"`, Raw: `[ 1.50, "x\n\u00e9", [] ]`, Children: []seen{
			{Kind: Number, Raw: "1.50"}, {Kind: String, Raw: `"x\n\u00e9"`, Text: "x\né"}, {Kind: Array, Raw: "[]"},
		}},
		{Kind: Object, Key: "b", KeySource: `"\u0062"`, Raw: `{"c":null,"d":true}`, Children: []seen{
			{Kind: Null, Key: "c", KeySource: `"c"`, Raw: "null"}, {Kind: True, Key: "d", KeySource: `"d"`, Raw: "true"},
		}},
		{Kind: False, Key: "e", KeySource: `"e"`, Raw: "false"},
		{Kind: String, Key: "😀", KeySource: `"😀"`, Raw: `"李"`, Text: "李"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTapeSaysNothingOfNone(t *testing.T) {
	for _, tape := range []*Tape{{}, parsed(t, `{}`)} {
		for _, n := range []Node{None, 1, 99, -2} {
			start, end := tape.Span(n)
			nameStart, nameEnd := tape.KeySpan(n)
			if tape.Kind(n) != Invalid || tape.First(n) != None || tape.Next(n) != None || tape.Key(n) != nil ||
				tape.Raw(n) != nil || tape.Bytes(n, nil) != nil || tape.Text(n) != "" ||
				tape.Field(n, "a") != None || start != 0 || end != 0 || nameStart != 0 || nameEnd != 0 {
				t.Errorf("node %d of %q is something", n, tape.Source())
			}
		}
	}
}

func TestField(t *testing.T) {
	tape := parsed(t, `{"a":1,"ab":{"a":2},"\u0063":3,"":4,"d":[{"a":5}]}`)
	for name, want := range map[string]string{"a": "1", "ab": `{"a":2}`, "c": "3", "": "4", "b": "", "aa": "", `\u0063`: ""} {
		if got := string(tape.Raw(tape.Field(tape.Root(), name))); got != want {
			t.Errorf("Field(%q) = %q, want %q", name, got, want)
		}
	}
	if n := tape.Field(tape.Field(tape.Root(), "d"), "a"); n != None {
		t.Errorf("an array has a field: %d", n)
	}
}

func TestBytesSharesOrFillsTheBuffer(t *testing.T) {
	tape := parsed(t, `{"plain":"abc","escaped":"a\tc"}`)
	buf := make([]byte, 2, 8)
	plain := tape.Bytes(tape.Field(0, "plain"), buf)
	if start, _ := tape.Span(tape.Field(0, "plain")); &plain[0] != &tape.Source()[start+1] || cap(plain) != 3 {
		t.Error("a plain string is not a full slice of the source")
	}
	if got := tape.Bytes(tape.Field(0, "escaped"), buf); string(got) != "a\tc" || &got[0] != &buf[0] {
		t.Errorf("Bytes = %q, which may not be in the buffer", got)
	}
}

func TestLine(t *testing.T) {
	tape := parsed(t, "{\n\"é\":\r\n1}")
	var got [][2]int
	for offset := -1; offset <= 12; offset++ {
		line, column := tape.Line(offset)
		got = append(got, [2]int{line, column})
	}
	want := [][2]int{{1, 1}, {1, 1}, {1, 2}, {2, 1}, {2, 2}, {2, 3}, {2, 3}, {2, 4}, {2, 5}, {2, 6}, {3, 1}, {3, 2}, {3, 3}, {3, 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTapeIsReusedWithoutAllocation(t *testing.T) {
	sources := [][]byte{panel(t, true), panel(t, false), crowd(100, "last"), []byte(`{"\u0061":1,"\u0062":2}`)}
	var tape Tape
	buf := make([]byte, 0, 1<<10)
	allocs := testing.AllocsPerRun(20, func() {
		for _, src := range sources {
			if err := tape.Parse(src, Limits{}); err != nil {
				t.Fatal(err)
			}
			_ = tape.Bytes(tape.Field(tape.Field(tape.Root(), "text"), "div"), buf)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestTapeForgetsWhatItReadBefore(t *testing.T) {
	var tape Tape
	for _, src := range []string{string(crowd(1000, "last")), `{"b":[1,2]}`, `{"a":`, string(crowd(40, "last")), `{}`} {
		err, fresh := tape.Parse([]byte(src), Limits{}), new(Tape)
		if freshErr := fresh.Parse([]byte(src), Limits{}); (err == nil) != (freshErr == nil) {
			t.Fatalf("Parse = %v, on a fresh tape %v", err, freshErr)
		}
		if diff := cmp.Diff(look(fresh, fresh.Root()), look(&tape, tape.Root())); diff != "" {
			t.Errorf("(-fresh +reused):\n%s", diff)
		}
		if !slices.Equal(fresh.Source(), tape.Source()) {
			t.Error("another source")
		}
	}
}
