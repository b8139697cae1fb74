package search

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// FuzzEncoded: whatever stands in a row, reading its entries ends, and gives
// nothing from outside it.
func FuzzEncoded(f *testing.F) {
	f.Add([]byte(indexed(f, indexer(f), observation)))
	f.Add([]byte{2, 2, 3, 'a', 'b', 'c', 5, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<12 {
			return
		}
		n := 0
		for _, v := range Encoded(b).All() {
			if n++; n > len(b) || !bytes.Contains(b, v) {
				t.Fatalf("entry %d is %x", n, v)
			}
		}
	})
}

// TestEncodedOnce: the values that entries have in common are written once, and
// read back as they were, however many there are.
func TestEncodedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{"", "c", "cd", "code", "shttp://loinc.org\x00code", strings.Repeat("x", 300)})
		var e Entries
		for range rapid.IntRange(0, 80).Draw(t, "entries") {
			e.Add(Param(rapid.Uint16().Draw(t, "param")), []byte(value.Draw(t, "value")))
		}
		e.Sort()
		encoded, n := Encoded(e.AppendBinary([]byte("before"))[6:]), 0
		for p, v := range encoded.All() {
			if wantParam, want := e.At(n); p != wantParam || !bytes.Equal(v, want) {
				t.Fatalf("entry %d is %d %q, want %d %q", n, p, v, wantParam, want)
			}
			n++
		}
		if most := 1 + 400 + 6*e.Len(); n != e.Len() || len(encoded) > most {
			t.Fatalf("%d of %d entries in %d bytes, more than %d", n, e.Len(), len(encoded), most)
		}
	})
}

// TestAcceptsAPartOfAText: what stands behind the folded text is no part of it,
// and what a terminology has not resolved matches nothing.
func TestAcceptsAPartOfAText(t *testing.T) {
	value := []byte("tsankt anna\x00Sankt Anna")
	for _, c := range []struct {
		op   Op
		key  string
		want bool
	}{
		{OpContains, "tkt an", true},
		{OpContains, "t", true},
		{OpContains, "tsankt anna", true},
		{OpContains, "tSankt", false},
		{OpContains, "tannas", false},
		{OpContains, "tanna\x00", true},
		{OpContains, "tsankt\x00", false},
		{OpContains, "mkt an", false},
		{OpContains, "", false},
		{OpIn, "tsankt", false},
		{OpBelow, "tsankt", false},
		{OpAbove, "tsankt", false},
	} {
		m := Match{Op: c.op, Key: []byte(c.key)}
		if got := m.Accepts(value); got != c.want {
			t.Errorf("%d %q: %v", c.op, c.key, got)
		}
	}
}
