package search

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vitrine/fhir"
)

// agree holds that a query finds a resource exactly when the plain reading of
// the specification says so.
func agree(t *rapid.T, x *Indexer, p *Parser, resource, query string, want bool) {
	t.Helper()
	var tape fhir.Tape
	if err := tape.Parse([]byte(resource), fhir.Limits{}); err != nil {
		t.Fatalf("%s: %v", resource, err)
	}
	var e Entries
	if err := x.Index(&e, &tape); err != nil {
		t.Fatal(err)
	}
	e.Sort()
	typ := fhir.ResourceType(tape.Text(tape.Field(tape.Root(), "resourceType")))
	q, refusal := p.Parse(typ, pairs(query), false)
	if refusal != nil {
		t.Fatalf("%s: %v", query, refusal)
	}
	if got := q.Matches(e.AppendBinary(nil)); got != want {
		t.Fatalf("%s on %s: found %v, want %v", query, resource, got, want)
	}
}

// prefixes are those of R4 without ap, whose nearness is our own choice.
func prefixes() []string { return []string{"", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"} }

// compares is the table of R4 search.html#prefix for a range in a query and one
// in a resource, both ends included.
func compares[T any](prefix string, ql, qh, rl, rh T, less func(a, b T) bool) bool {
	contained := !less(rl, ql) && !less(qh, rh)
	switch prefix {
	case "ne":
		return !contained
	case "gt":
		return less(qh, rh)
	case "lt":
		return less(rl, ql)
	case "ge":
		return !less(rh, ql)
	case "le":
		return !less(qh, rl)
	case "sa":
		return less(qh, rl)
	case "eb":
		return less(rh, ql)
	default:
		return contained
	}
}

// written is a generated number: its text, its exact value, and half a unit of
// its last digit.
type written struct {
	text        string
	value, half *big.Rat
}

func numbers() *rapid.Generator[written] {
	return rapid.Custom(func(t *rapid.T) written {
		digits := rapid.Int64Range(-99999, 99999).Draw(t, "digits")
		places := rapid.IntRange(0, 4).Draw(t, "places")
		unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
		value := new(big.Rat).Mul(new(big.Rat).SetInt64(digits), unit)
		return written{value.FloatString(places), value, new(big.Rat).Quo(unit, big.NewRat(2, 1))}
	})
}

func TestNumbersAgreeWithExactArithmetic(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	less := func(a, b *big.Rat) bool { return a.Cmp(b) < 0 }
	rapid.Check(t, func(t *rapid.T) {
		have := numbers().Draw(t, "have")
		ask := numbers().Draw(t, "ask")
		if rapid.Bool().Draw(t, "near") { // around the ends of the implied range
			shift := rapid.SampledFrom([]*big.Rat{ask.half, new(big.Rat).Neg(ask.half), new(big.Rat)}).Draw(t, "shift")
			value := new(big.Rat).Add(ask.value, shift)
			have = written{text: value.FloatString(6), value: value}
		}
		prefix := rapid.SampledFrom(prefixes()).Draw(t, "prefix")
		var want bool
		switch low, end := new(big.Rat).Sub(ask.value, ask.half), new(big.Rat).Add(ask.value, ask.half); prefix {
		case "", "eq", "ne":
			in := !less(have.value, low) && less(have.value, end)
			want = in == (prefix != "ne")
		default:
			want = compares(prefix, ask.value, ask.value, have.value, have.value, less)
		}
		agree(t, x, p, `{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":`+have.text+`}]}`,
			"probability="+prefix+ask.text, want)
		agree(t, x, p, `{"resourceType":"Observation","valueQuantity":{"value":`+have.text+`,"unit":"mg"}}`,
			"value-quantity="+prefix+ask.text+"||mg", want)
	})
}

func TestKeysKeepTheOrderOfNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (string, *big.Rat) {
			s := fmt.Sprintf("%de%d", rapid.Int64().Draw(t, name), rapid.IntRange(-100, 100).Draw(t, name+" exponent"))
			r, _ := new(big.Rat).SetString(s)
			return s, r
		}
		a, av := draw("a")
		b, bv := draw("b")
		an, _ := parseNumber([]byte(a))
		bn, _ := parseNumber([]byte(b))
		al, ah := an.decimal().bounds()
		bl, bh := bn.decimal().bounds()
		if al > ah || bl > bh {
			t.Fatalf("%s: %x > %x", a, al, ah)
		}
		if c := av.Cmp(bv); c < 0 && (al > bl || ah > bh) || c == 0 && (al != bl || ah != bh) {
			t.Fatalf("%s %s: %d, %x-%x %x-%x", a, b, c, al, ah, bl, bh)
		}
	})
}

// times is a generated date or time: its text and the ends of its extent.
type times struct {
	text      string
	low, high time.Time
}

func moments() *rapid.Generator[times] {
	layouts := []string{"2006", "2006-01", "2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.000Z07:00"}
	return rapid.Custom(func(t *rapid.T) times {
		at := time.Unix(rapid.Int64Range(1577750000, 1580600000).Draw(t, "second"), rapid.Int64Range(0, 999).Draw(t, "ms")*1e6).UTC()
		kind := rapid.IntRange(0, len(layouts)-1).Draw(t, "precision")
		if kind >= 4 {
			at = at.In(time.FixedZone("", rapid.IntRange(-12, 14).Draw(t, "zone")*3600))
		}
		text := at.Format(layouts[kind])
		low, err := time.Parse(layouts[kind], text)
		if err != nil {
			t.Fatal(err)
		}
		var end time.Time
		switch kind {
		case 0:
			end = low.AddDate(1, 0, 0)
		case 1:
			end = low.AddDate(0, 1, 0)
		case 2:
			end = low.AddDate(0, 0, 1)
		case 3:
			end = low.Add(time.Minute)
		case 4:
			end = low.Add(time.Second)
		default:
			end = low.Add(time.Millisecond)
		}
		return times{text, low, end.Add(-time.Microsecond)}
	})
}

func TestDatesAgreeWithTheTableOfPrefixes(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	rapid.Check(t, func(t *rapid.T) {
		ask, start, end := moments().Draw(t, "ask"), moments().Draw(t, "start"), moments().Draw(t, "end")
		prefix := rapid.SampledFrom(prefixes()).Draw(t, "prefix")
		less := time.Time.Before
		agree(t, x, p, `{"resourceType":"Observation","effectiveDateTime":"`+start.text+`"}`, "date="+prefix+ask.text,
			compares(prefix, ask.low, ask.high, start.low, start.high, less))
		agree(t, x, p, `{"resourceType":"Observation","effectivePeriod":{"start":"`+start.text+`"}}`, "date="+prefix+ask.text,
			compares(prefix, ask.low, ask.high, start.low, time.Unix(1<<40, 0), less))
		if !end.high.Before(start.low) {
			agree(t, x, p, `{"resourceType":"Observation","effectivePeriod":{"start":"`+start.text+`","end":"`+end.text+`"}}`,
				"date="+prefix+ask.text, compares(prefix, ask.low, ask.high, start.low, end.high, less))
		}
	})
}

func TestTokensAgreeWithPlainComparison(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	codes := rapid.SampledFrom([]string{"a", "A", "ab", "AB", "aB", "1", "", "é", "É", "ß", "a b"})
	systems := rapid.SampledFrom([]string{"http://s", "http://S", "http://s/x", ""})
	rapid.Check(t, func(t *rapid.T) {
		system, code := systems.Draw(t, "system"), codes.Draw(t, "code")
		askSystem, ask := systems.Draw(t, "ask system"), codes.Draw(t, "ask")
		coding := `{"display":"x"`
		if system != "" {
			coding += `,"system":"` + system + `"`
		}
		if code != "" {
			coding += `,"code":"` + code + `"`
		}
		resource := `{"resourceType":"Observation","code":{"coding":[` + coding + `}]}}`
		same := code != "" && strings.EqualFold(ask, code)
		if ask != "" {
			agree(t, x, p, resource, "code="+ask, same)
			agree(t, x, p, resource, "code="+askSystem+"|"+ask, same && system == askSystem)
		} else if askSystem != "" {
			agree(t, x, p, resource, "code="+askSystem+"|", system == askSystem)
		}
	})
}

func TestStringsAgreeWithPlainFolding(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	plain := strings.NewReplacer("É", "e", "é", "e", "Ñ", "n", "ñ", "n", "e\u0301", "e", "-", "", "'", "", ".", "", "ﬁ", "fi")
	fold := func(s string) string { return strings.Join(strings.Fields(strings.ToLower(plain.Replace(s))), " ") }
	texts := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "B", "É", "é", "e\u0301", "ñ", " ", "  ", "-", "'", "ﬁ", "fi"}), 1, 6).Draw(t, "parts"), "")
	})
	rapid.Check(t, func(t *rapid.T) {
		have, ask := texts.Draw(t, "have"), texts.Draw(t, "ask")
		if fold(ask) == "" {
			return
		}
		resource := `{"resourceType":"Patient","address":[{"city":"` + have + `"}]}`
		agree(t, x, p, resource, "address-city="+ask, strings.HasPrefix(fold(have), fold(ask)))
		agree(t, x, p, resource, "address-city:exact="+ask, have == ask)
	})
}

// FuzzIndex holds that no tape makes the indexer panic, that entries survive
// their encoding, and that they are the same however often they are made.
func FuzzIndex(f *testing.F) {
	x := indexer(f)
	for _, s := range []string{
		observation, patient, consultation, risk, valueSet, sequence, document, answers,
		`{"resourceType":"Observation","code":[[{"coding":3}]],"valueQuantity":{"value":1e999999,"comparator":"<"},"effectiveTiming":{"event":["2020"]}}`,
		`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Composition","id":"c"}}]}`,
		`{"resourceType":"Patient","name":"x","deceasedBoolean":false,"extension":[{"url":5}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var tape fhir.Tape
		if tape.Parse(src, fhir.Limits{Size: 1 << 16}) != nil {
			return
		}
		var e Entries
		if x.Index(&e, &tape) != nil {
			return
		}
		e.Sort()
		once := e.AppendBinary(nil)
		n := 0
		for p, v := range Encoded(once).All() {
			if gp, gv := e.At(n); gp != p || string(gv) != string(v) {
				t.Fatal("an entry changed in its encoding")
			}
			n++
		}
		if n != e.Len() {
			t.Fatal("entries were lost in their encoding")
		}
		e.Reset()
		if x.Index(&e, &tape) != nil {
			t.Fatal("indexed once, not twice")
		}
		e.Sort()
		if string(e.AppendBinary(nil)) != string(once) {
			t.Fatal("not deterministic")
		}
	})
}

func BenchmarkIndexObservation(b *testing.B) {
	x := indexer(b)
	var tape fhir.Tape
	if err := tape.Parse([]byte(observation), fhir.Limits{}); err != nil {
		b.Fatal(err)
	}
	var e Entries
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		if err := x.Index(&e, &tape); err != nil {
			b.Fatal(err)
		}
		e.Sort()
	}
	b.ReportMetric(float64(e.Len()), "entries")
}

func BenchmarkMatches(b *testing.B) {
	x := indexer(b)
	e := indexed(b, x, observation)
	q, refusal := x.Parser().Parse("Observation", pairs("patient=p1&code=http://loinc.org|8480-6&date=ge2026-03-01"), false)
	if refusal != nil {
		b.Fatal(refusal)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !q.Matches(e) {
			b.Fatal("not found")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	p := indexer(b).Parser()
	in := pairs("patient=p1&code=http://loinc.org|8480-6&date=ge2026-03-01&_count=20")
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := p.Parse("Observation", in, false); refusal != nil {
			b.Fatal(refusal)
		}
	}
}
