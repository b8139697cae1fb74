package search

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/iimos/ucum"
	"pgregory.net/rapid"

	"vitrine/fhir/units"
)

// TestUnitsAgreeWithTheLibrary holds the short way of multiplying against exact
// rationals, and queries in one unit against resources in another.
func TestUnitsAgreeWithTheLibrary(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	families := [][]string{
		{"mg/dL", "g/L", "ug/mL", "kg/m3"},
		{"Cel", "[degF]", "K"},
		{"/min", "/s", "/h", "Hz"},
		{"kg", "g", "[lb_av]", "mg"},
		{"mm[Hg]", "kPa", "bar"},
		{"mmol/L", "umol/mL", "mol/m3"},
		{"U/L", "umol/min/L", "nkat/mL"},
		{"cm", "[in_i]", "m"},
		{"%", "{ratio}", "10*-3"},
	}
	less := func(a, b *big.Rat) bool { return a.Cmp(b) < 0 }
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.SampledFrom(families).Draw(t, "family")
		have, ask := numbers().Draw(t, "have"), numbers().Draw(t, "ask")
		from, to := rapid.SampledFrom(family).Draw(t, "from"), rapid.SampledFrom(family).Draw(t, "to")
		if rapid.Bool().Draw(t, "same") {
			have = ask
			from = to
		}
		a, b := ucum.MustParse([]byte(from)), ucum.MustParse([]byte(units.Plain([]byte(to))))
		convert, err := ucum.NewPairConverter(a, b)
		if err != nil {
			t.Skip("the library does not convert") // what cancels out in it does not compare
		}
		value := convert.ConvBigRat(have.value)
		prefix := rapid.SampledFrom(prefixes()).Draw(t, "prefix")
		var want bool
		switch low, end := new(big.Rat).Sub(ask.value, ask.half), new(big.Rat).Add(ask.value, ask.half); prefix {
		case "", "eq", "ne":
			want = (!less(value, low) && less(value, end)) == (prefix != "ne")
		default:
			want = compares(prefix, ask.value, ask.value, value, value, less)
		}
		agree(t, x, p, `{"resourceType":"Observation","valueQuantity":{"value":`+have.text+`,"system":"http://unitsofmeasure.org","code":"`+from+`"}}`,
			"value-quantity="+prefix+ask.text+"|http://unitsofmeasure.org|"+to, want)
	})
}

func TestUnitsArePartOfTheQuantity(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	quantity := func(code string) Encoded {
		return indexed(t, x, `{"resourceType":"Observation","valueQuantity":{"value":5,"system":"http://unitsofmeasure.org","code":"`+code+`"}}`)
	}
	for query, want := range map[string]bool{
		"5|http://unitsofmeasure.org|mg": true, "5000|http://unitsofmeasure.org|ug": true, "lt0.006|http://unitsofmeasure.org|g": true,
		"5|http://unitsofmeasure.org|ug": false, "5|http://unitsofmeasure.org|mL": false, "5000||ug": false, "5||mg": true, "5|http://other.test|mg": false,
		"5|http://unitsofmeasure.org|mg{creat}": true, "ap0.0054|http://unitsofmeasure.org|g": true, "ap0.0057|http://unitsofmeasure.org|g": false,
	} {
		q, refusal := p.Parse("Observation", pairs("value-quantity="+query), false)
		if refusal != nil {
			t.Fatal(query, refusal)
		}
		if got := q.Matches(quantity("mg")); got != want {
			t.Errorf("%s: found %v", query, got)
		}
	}
	q, _ := p.Parse("Observation", pairs("value-quantity=5|http://unitsofmeasure.org|dB"), false)
	if !q.Matches(quantity("dB")) || q.Matches(quantity("B")) {
		t.Error("a unit that stands for itself")
	}
	if a, b := quantity("mg"), quantity("dB"); count(a) != count(b) {
		t.Error("units that are known make more entries", count(a), count(b))
	}
}

func count(e Encoded) (n int) {
	for range e.All() {
		n++
	}
	return n
}

// TestUnitsAreForgotten bounds what clients can make the server remember.
func TestUnitsAreForgotten(t *testing.T) {
	u := &unitTable{}
	for i := range 3 * maxUnits {
		u.of(fmt.Appendf(nil, "x%d", i))
		if len(u.known) > maxUnits {
			t.Fatal(len(u.known))
		}
	}
	if got := u.of([]byte("mg")); got == nil || u.of([]byte("mg")) != got {
		t.Error("a unit is worked out each time")
	}
}

func FuzzUnit(f *testing.F) {
	for _, code := range []string{"mg/dL", "{a}/b", "10*3/uL", "((m.s2))/g-3", "[iU]{x}", "%[slope]", "9999999999.m", "m+3", "2.[pi].rad", "B[10.nV]", "Cel", "[degF]"} {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		n := newUnit([]byte(code))
		if n == nil {
			return
		}
		if n.times.Sign() <= 0 || len(n.base) == 0 {
			t.Fatalf("%q: %s times %s", code, n.base, n.times)
		}
		for _, s := range []significand{{}, {value: 1}, {value: 1<<64 - 1, scale: -30}, {negative: true, value: 7, scale: 300}, {value: 372, scale: -1}, {negative: true, value: 273151, scale: -3}, {value: 1e9, scale: -9}, {negative: true, value: 400}} {
			short := n.decimal(s)
			exact := *n
			exact.digits, exact.offset = 0, significand{}
			if diff := cmp.Diff(exact.decimal(s), short, cmp.AllowUnexported(decimal{})); diff != "" {
				t.Fatalf("%q: %s", code, diff)
			}
		}
	})
}

func BenchmarkUnit(b *testing.B) {
	u := &unitTable{}
	for _, code := range []string{"mg/dL", "/min", "Cel"} {
		b.Run(code, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				u.of([]byte(code)).decimal(significand{value: 372, scale: -1})
			}
		})
	}
	b.Run("worked out", func(b *testing.B) {
		for b.Loop() {
			newUnit([]byte("mg/dL"))
		}
	})
}
