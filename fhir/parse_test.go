package fhir

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStoredIsReadWhateverItsSize: the stamp may take what was let in beyond the bound.
func TestStoredIsReadWhateverItsSize(t *testing.T) {
	src := []byte(`{"resourceType":"Basic","text":"` + strings.Repeat("x", 16<<20) + `"}`)
	var tape Tape
	if err := tape.Parse(src, Limits{}); err == nil {
		t.Error("more than 16 MiB was let in")
	}
	if err := tape.Parse(src, Stored()); err != nil {
		t.Errorf("what was stored is not read: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	const (
		value   = "a value should be here"
		text    = "a value should be here; text must be in double quotes"
		name    = "a member name in double quotes should be here"
		object  = "a resource must be a JSON object, which starts with '{'"
		ends    = "the text ends inside the resource"
		again   = "this member name was already used in the same object"
		utf8    = "these bytes are not UTF-8"
		lone    = "this surrogate escape has no partner"
		control = "a control character in a string must be escaped"
		hex     = `four hexadecimal digits should follow \u`
		noEsc   = "there is no such escape"
		open    = "this string has no closing quote"
		after   = "text after the end of the resource"
		member  = "a ',' or '}' should be here"
		element = "a ',' or ']' should be here"
	)
	for _, c := range []struct {
		src    string
		offset int
		reason string
	}{
		{``, 0, object},
		{`  `, 2, object},
		{`[]`, 0, object},
		{`"x"`, 0, object},
		{"\ufeff{}", 0, object},
		{`{`, 1, name},
		{`{"a"`, 4, "a ':' should follow the member name"},
		{`{"a" 1}`, 5, "a ':' should follow the member name"},
		{`{"a":`, 5, "the text ends where a value should be"},
		{`{"a":1`, 6, ends},
		{`{"a":1,`, 7, name},
		{`{"a":1,}`, 7, name},
		{`{,}`, 1, name},
		{`{a:1}`, 1, name},
		{`{"a":1 "b":2}`, 7, member},
		{`{"a":1]`, 6, member},
		{`{"a":[1}`, 7, element},
		{`{"a":[1 2]}`, 8, element},
		{`{"a":[1,]}`, 8, value},
		{`{"a":[,1]}`, 6, value},
		{`{"a":}`, 5, value},
		{`{"a":tru}`, 5, text},
		{`{"a":nul`, 5, text},
		{`{"a":True}`, 5, value},
		{`{"a":NaN}`, 5, value},
		{`{"a":falsey}`, 10, member},
		{`{"a":01}`, 6, member},
		{`{"a":+1}`, 5, value},
		{`{"a":.5}`, 5, value},
		{`{"a":-}`, 6, "a digit should follow the minus sign"},
		{`{"a":1.}`, 7, "a digit should follow the decimal point"},
		{`{"a":1.e3}`, 7, "a digit should follow the decimal point"},
		{`{"a":1e}`, 7, "a digit should stand in the exponent"},
		{`{"a":1e+}`, 8, "a digit should stand in the exponent"},
		{`{"a":1}x`, 7, after},
		{`{"a":1} {}`, 8, after},
		{`{} ` + "\x00", 3, after},
		{`{"a":"b`, 5, open},
		{`{"a":"b\"}`, 5, open},
		{`{"a":"b\`, 7, "the text ends inside an escape"},
		{`{"a":"\x"}`, 6, noEsc},
		{`{"a":"\u12g4"}`, 6, hex},
		{`{"a":"\u12"}`, 6, hex},
		{`{"a":"\ud800"}`, 6, lone},
		{`{"a":"\udc00"}`, 6, lone},
		{`{"a":"\ud800\ud800"}`, 6, lone},
		{`{"a":"\ud800xudc00"}`, 6, lone},
		{"{\"a\":\"\t\"}", 6, control},
		{"{\"a\":\"12345678901\x00\"}", 17, control},
		{"{\"a\":\"\xff\"}", 6, utf8},
		{"{\"a\":\"\xc0\x80\"}", 6, utf8},
		{"{\"a\":\"\xed\xa0\x80\"}", 6, utf8},
		{"{\"a\":\"é\xf4\x90\x80\x80\"}", 8, utf8},
		{"{\"\xff\":1}", 2, utf8},
		{`{"a":1,"a":2}`, 7, again},
		{`{"a":1,"\u0061":2}`, 7, again},
		{`{"\u0061":1,"a":2}`, 12, again},
		{`{"\u0061":1,"\u0061":2}`, 12, again},
		{`{"":1,"":2}`, 6, again},
		{`{"b":[{"a":{},"a":[]}]}`, 14, again},
		{`{"a":{"x":1},"b":2,"a":3}`, 19, again},
		{`{"\ud83d\ude00":1,"😀":2}`, 18, again},
	} {
		var tape Tape
		err := tape.Parse([]byte(c.src), Limits{})
		var got *SyntaxError
		if !errors.As(err, &got) {
			t.Errorf("Parse(%q) = %v, want a SyntaxError", c.src, err)
			continue
		}
		want := &SyntaxError{Offset: c.offset, Reason: c.reason}
		want.Line, want.Column = place([]byte(c.src), c.offset)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", c.src, diff)
		}
		if tape.Root() != None || tape.Source() != nil {
			t.Errorf("Parse(%q) left something on the tape", c.src)
		}
	}
}

func TestParseAccepts(t *testing.T) {
	for _, src := range []string{
		`{}`,
		" \t\r\n{ \t\r\n } \t\r\n",
		`{"a":[],"b":{},"c":[[],[{}]]}`,
		`{"a":-0,"b":0.10,"c":1E+09,"d":-12.5e-3}`,
		`{"a":true,"b":false,"c":null}`,
		`{"a":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00","b":"é😀` + "\u007f\ufffd" + `"}`,
		`{"a":{"a":{"a":1}},"A":1}`,
		`{"` + strings.Repeat("x", 100) + `":"` + strings.Repeat("y", 100) + `"}`,
	} {
		var tape Tape
		if err := tape.Parse([]byte(src), Limits{}); err != nil {
			t.Errorf("Parse(%q) = %v", src, err)
		}
	}
}

func TestParseSaysLineAndColumn(t *testing.T) {
	src := "{\n  \"name\": \"李小龙\", nope\n}"
	err := new(Tape).Parse([]byte(src), Limits{})
	if got, want := err.Error(), "line 2, column 18: a member name in double quotes should be here"; got != want {
		t.Errorf("Parse(%q) = %q, want %q", src, got, want)
	}
}

func TestParseLimits(t *testing.T) {
	nested := func(levels int) string { // the root object is one of the levels
		return `{"a":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + `}`
	}
	values := func(n int) string { // the root and the array are two of the values
		return `{"a":[` + strings.TrimSuffix(strings.Repeat("1,", n-2), ",") + `]}`
	}
	for _, c := range []struct {
		name, src string
		limits    Limits
		want      *SyntaxError
	}{
		{"depth by default", nested(100), Limits{}, nil},
		{"too deep by default", nested(101), Limits{}, &SyntaxError{Offset: 104, Line: 1, Column: 105, Reason: "nested deeper than 100 levels", Limit: true}},
		{"depth", nested(3), Limits{Depth: 3}, nil},
		{"too deep", nested(4), Limits{Depth: 3}, &SyntaxError{Offset: 7, Line: 1, Column: 8, Reason: "nested deeper than 3 levels", Limit: true}},
		{"values", values(9), Limits{Nodes: 9}, nil},
		{"too many values", values(10), Limits{Nodes: 9}, &SyntaxError{Offset: 20, Line: 1, Column: 21, Reason: "more than 9 values", Limit: true}},
		{"size", `{"a":1}`, Limits{Size: 7}, nil},
		{"too long", `{"a":12}`, Limits{Size: 7}, &SyntaxError{Line: 1, Column: 1, Reason: "longer than 7 bytes", Limit: true}},
		{"deep beyond sense", `{"a":` + strings.Repeat("[", 1<<20), Limits{}, &SyntaxError{Offset: 104, Line: 1, Column: 105, Reason: "nested deeper than 100 levels", Limit: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got *SyntaxError
			if err := new(Tape).Parse([]byte(c.src), c.limits); err != nil && !errors.As(err, &got) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// crowd is an object of n members whose names the short hash does not tell
// apart, the last of which has the name given.
func crowd(n int, last string) []byte {
	src := []byte(`{"members":{`)
	for i := range n - 1 {
		src = append(src, `"aaaaaaaa`...)
		src = append(src, strconv.Itoa(1_000_000+i)...)
		src = append(src, `bbbbbbbb":{},`...)
	}
	src = append(src, '"')
	src = append(src, last...)
	return append(src, `":0}}`...)
}

func TestParseFindsRepeatedNamesInCrowds(t *testing.T) {
	for _, n := range []int{few - 1, few, few + 1, few + 2, 1000, 100_000} {
		for _, c := range []struct {
			last   string
			repeat bool
		}{
			{"other", false},
			{"aaaaaaaa1000000bbbbbbbb", true},
			{`aaaaaaaa1000000bbbbbbb\u0062`, true},
			{"aaaaaaaa" + strconv.Itoa(1_000_000+n-2) + "bbbbbbbb", true},
			{"aaaaaaaa" + strconv.Itoa(1_000_000+n-1) + "bbbbbbbb", false},
		} {
			err := new(Tape).Parse(crowd(n, c.last), Limits{})
			if (err != nil) != c.repeat {
				t.Errorf("%d members, the last %q: %v", n, c.last, err)
			}
		}
	}
}

func TestParseTellsCrowdsApart(t *testing.T) {
	// The same names in two objects, and around an object that is itself a crowd.
	inner := string(crowd(100, "x"))
	src := `{"a":` + inner + `,"b":` + inner + `,"c":{`
	for i := range 100 {
		src += `"m` + strconv.Itoa(i) + `":` + inner + `,`
	}
	if err := new(Tape).Parse([]byte(src+`"last":1}}`), Limits{}); err != nil {
		t.Error(err)
	}
	if err := new(Tape).Parse([]byte(src+`"m7":1}}`), Limits{}); err == nil {
		t.Error("a name used before and after crowds was not found")
	}
}
