package fhir

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzTape holds the tape against jsontext, which refuses by default what must
// be refused here. Both must say the same of every source, and read the same
// values where both accept.
func FuzzTape(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a":[1,-0.5e+3,true,false,null,"",[],{}]} `, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":"\ud83d\ude00\u00e9"}`,
		`{"a":"\ud800"}`, `{"a":"\udc00\ud800"}`, "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\x1f\x7f\"}", `{"a":01}`,
		`{"a":1}x`, `{"a":[}`, `{"a" : "\/\b\f\n\r\t\"\\"}`, `{"abcdefgh":"abcdefghijklmnopqrst\u0000李小龙"}`, `[1]`, "\ufeff{}",
		`{"resourceType":"Patient","id":"x","meta":{"versionId":"1"}}`, `{"subject":{"reference":"Patient/p1","identifier":{"value":"1"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Add(crowd(few+3, "last"))
	f.Add(crowd(few+3, "aaaaaaaa1000000bbbbbbbb"))
	var tape Tape // used again and again, as the server does
	f.Fuzz(func(t *testing.T, src []byte) {
		err := tape.Parse(src, Limits{Depth: 10_000})
		value := jsontext.Value(src)
		valid := value.IsValid() && value.Kind() == '{'
		if (err == nil) != valid {
			t.Fatalf("Parse(%q) = %v, but jsontext finds it valid: %v", src, err, valid)
		}
		if err != nil {
			var refusal *SyntaxError
			if !errors.As(err, &refusal) || refusal.Offset < 0 || refusal.Offset > len(src) || refusal.Line < 1 ||
				refusal.Column < 1 || refusal.Reason == "" {
				t.Fatalf("Parse(%q) = %#v", src, err)
			}
			return
		}
		d := jsontext.NewDecoder(bytes.NewReader(src))
		sameValue(t, &tape, tape.Root(), d)
		if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
			t.Fatalf("Parse(%q) left something over", src)
		}
		checkStamp(t, src, "p1", "2", time.UnixMilli(1_700_000_000_123))
	})
}

// sameValue compares n with the next value of d.
func sameValue(t *testing.T, tape *Tape, n Node, d *jsontext.Decoder) {
	t.Helper()
	token, err := d.ReadToken()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[Kind]jsontext.Kind{Object: '{', Array: '[', String: '"', Number: '0', True: 't', False: 'f', Null: 'n'}
	if token.Kind() != kinds[tape.Kind(n)] {
		t.Fatalf("node %d is of kind %d, jsontext reads %v", n, tape.Kind(n), token.Kind())
	}
	switch tape.Kind(n) {
	case String:
		if got, want := tape.Text(n), token.String(); got != want {
			t.Fatalf("Text = %q, jsontext reads %q", got, want)
		}
		return
	case Number:
		if got, want := string(tape.Raw(n)), token.String(); got != want {
			t.Fatalf("Raw = %q, jsontext reads %q", got, want)
		}
		return
	case Object, Array:
	case Invalid, True, False, Null:
		return
	}
	for c := tape.First(n); c != None; c = tape.Next(c) {
		if tape.Kind(n) == Object {
			name, err := d.ReadToken()
			if err != nil || string(tape.Key(c)) != name.String() {
				t.Fatalf("Key = %q, jsontext reads %q, %v", tape.Key(c), name, err)
			}
			if found := tape.Field(n, name.String()); found != c {
				t.Fatalf("Field(%q) = %d, want %d", name, found, c)
			}
		}
		sameValue(t, tape, c, d)
	}
	if end, err := d.ReadToken(); err != nil || end.Kind() != kinds[tape.Kind(n)]+2 {
		t.Fatalf("jsontext reads on: %v, %v", end, err)
	}
}
