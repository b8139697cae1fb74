package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"
)

// specMaker makes resources whose values lie where rules meet: the same ones for
// a seed. Every name in them comes from the data sets of the repository.
type specMaker struct {
	rand *rand.Rand
	base string
	// names are family and given names, places names of towns.
	families, givens, places []string
	count                    map[string]int
}

func newSpecMaker(t *testing.T, seed uint64, base string) *specMaker {
	t.Helper()
	g := &specMaker{rand: rand.New(rand.NewPCG(seed, 7)), base: base, count: map[string]int{}}
	for _, file := range sortedValues(synthea(t)) {
		for _, e := range list(decode(t, file), "entry") {
			if text(e, "resource", "resourceType") == "Patient" {
				g.learn(at(e, "resource"))
			}
		}
	}
	for _, e := range examples(t) {
		if strings.HasPrefix(e.name, "Patient-") || strings.HasPrefix(e.name, "Practitioner-") {
			g.learn(decode(t, e.body))
		}
	}
	if len(g.families) < 20 || len(g.givens) < 20 || len(g.places) < 5 {
		t.Fatalf("too few names in the data sets: %d, %d, %d", len(g.families), len(g.givens), len(g.places))
	}
	return g
}

func sortedValues(m map[string][]byte) (out [][]byte) {
	keys := []string{}
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		out = append(out, m[k])
	}
	return out
}

func (g *specMaker) learn(person any) {
	for _, n := range list(person, "name") {
		g.families = appendText(g.families, at(n, "family"))
		for _, given := range list(n, "given") {
			g.givens = appendText(g.givens, given)
		}
	}
	for _, a := range list(person, "address") {
		g.places = appendText(g.places, at(a, "city"))
	}
}

func appendText(to []string, v any) []string {
	if s, _ := v.(string); len(folded(s)) > 0 {
		to = append(to, s)
	}
	return to
}

func (g *specMaker) chance(percent int) bool { return g.rand.IntN(100) < percent }

func pick[T any](g *specMaker, from ...T) T { return from[g.rand.IntN(len(from))] }

func (g *specMaker) upTo(n int) int { return g.rand.IntN(n + 1) }

// set gives the object a member at times.
func (g *specMaker) set(o object, percent int, name string, value func() any) {
	if g.chance(percent) {
		o[name] = value()
	}
}

// several is a list of one to n values.
func several(g *specMaker, n int, one func() any) []any {
	out := []any{one()}
	for range g.upTo(n - 1) {
		out = append(out, one())
	}
	return out
}

// respelled is a text in one of the spellings that a reader takes for the same.
func (g *specMaker) respelled(s string) string {
	switch g.rand.IntN(9) {
	case 0:
		return norm.NFD.String(s)
	case 1:
		return norm.NFC.String(s)
	case 2:
		return strings.ToUpper(s)
	case 3:
		return strings.ToLower(s)
	case 4: // an accent on the first letter
		r := []rune(s)
		return string(r[:1]) + "\u0301" + string(r[1:])
	}
	return s
}

func (g *specMaker) family() string {
	s := g.respelled(pick(g, g.families...))
	switch g.rand.IntN(7) {
	case 0:
		return s + "-" + g.respelled(pick(g, g.families...))
	case 1:
		return s + " " + g.respelled(pick(g, g.families...))
	case 2:
		return pick(g, "O'", "d\u2019", "de la ", "St. ") + s
	}
	return s
}

func (g *specMaker) given() string { return g.respelled(pick(g, g.givens...)) }
func (g *specMaker) place() string { return g.respelled(pick(g, g.places...)) }

// phrase is a text of names, with whatever stands between words.
func (g *specMaker) phrase() string {
	s := g.given()
	for range g.upTo(3) {
		s += pick(g, " ", "  ", " - ", ", ", "/", "\n", " (") + pick(g, g.family(), g.given(), g.place(), "100%", "a|b", "x$y", `back\slash`)
	}
	return s
}

func (g *specMaker) humanName() any {
	n := object{}
	g.set(n, 85, "family", func() any { return g.family() })
	g.set(n, 80, "given", func() any { return several(g, 2, func() any { return g.given() }) })
	g.set(n, 20, "text", func() any { return g.phrase() })
	g.set(n, 15, "prefix", func() any { return []any{pick(g, "Mr.", "Dr", "Mme")} })
	if len(n) == 0 {
		n["family"] = g.family()
	}
	return n
}

func (g *specMaker) address() any {
	a := object{"city": g.place()}
	g.set(a, 40, "line", func() any {
		return several(g, 2, func() any { return fmt.Sprint(g.rand.IntN(40), " ", g.family(), " St.") })
	})
	g.set(a, 50, "postalCode", func() any { return pick(g, "02101", "0210", "SW1A 1AA", "238801") })
	g.set(a, 40, "country", func() any { return pick(g, "US", "SG", "Sverige") })
	g.set(a, 40, "state", func() any { return pick(g, "MA", "Massachusetts", "mass") })
	g.set(a, 50, "use", func() any { return pick(g, "home", "work", "old") })
	return a
}

func (g *specMaker) contact() any {
	return object{
		"system": pick(g, "phone", "email", "url"),
		"value":  pick(g, "+65 6123 4567", "555-0100", "a@b.example", "A@B.EXAMPLE", "http://x.example"),
	}
}

// Codes and systems meet often, differ by case, and hold what queries escape.
func (g *specMaker) system() string {
	return pick(g, "http://loinc.org", "http://snomed.info/sct", "http://example.org/codes", "http://example.org/Codes", "urn:oid:1.2.3")
}

func (g *specMaker) codeText() string {
	return pick(g, "c1", "c2", "c3", "C1", "abc", "ABC", "8480-6", "29463-7", "a,b", "a|b", "a$b", `a\b`, "a b", "10", "c10")
}

func (g *specMaker) coding() any {
	c := object{}
	g.set(c, 75, "system", func() any { return g.system() })
	g.set(c, 92, "code", func() any { return g.codeText() })
	g.set(c, 40, "display", func() any { return g.phrase() })
	if len(c) == 0 || c["code"] == nil && c["system"] == nil {
		c["code"] = g.codeText()
	}
	return c
}

func (g *specMaker) concept() any {
	c := object{}
	g.set(c, 90, "coding", func() any { return several(g, 3, g.coding) })
	g.set(c, 35, "text", func() any { return g.phrase() })
	if len(c) == 0 {
		c["text"] = g.phrase()
	}
	return c
}

func (g *specMaker) concepts() any { return several(g, 2, g.concept) }

func (g *specMaker) identifiers() any {
	return several(g, 2, func() any {
		i := object{}
		g.set(i, 80, "system", func() any { return pick(g, "http://example.org/ids", "http://example.org/mrn") })
		g.set(i, 95, "value", func() any { return pick(g, "n1", "n2", "N1", "n|3", "0004", "4", "a,b") })
		g.set(i, 45, "type", func() any { return g.concept() })
		if i["value"] == nil && i["system"] == nil {
			i["value"] = "n1"
		}
		return i
	})
}

// instantAt is a moment near where years, months, days and time zones meet.
func (g *specMaker) instantAt() time.Time {
	pivot := pick(
		g, "2024-02-29T00:00:00+08:00", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00+08:00", "2023-03-01T00:00:00+08:00",
		"2023-12-31T12:00:00-05:00", "2024-02-29T12:34:56Z", "1999-12-31T23:59:59+14:00", "2024-06-15T08:30:00+08:00",
	)
	t, err := time.Parse(time.RFC3339, pivot)
	if err != nil {
		panic(err)
	}
	return t.Add(pick(
		g, 0, 0, time.Second, -time.Second, time.Millisecond, -time.Millisecond, -time.Microsecond,
		time.Minute, time.Hour, -time.Hour, 24*time.Hour, -24*time.Hour, 31*24*time.Hour,
	))
}

// dateLayouts are the precisions of a dateTime in a resource, from year to
// microsecond.
const dateLayouts = "2006 2006-01 2006-01-02 2006-01-02T15:04:05Z07:00 2006-01-02T15:04:05.0Z07:00 2006-01-02T15:04:05.000Z07:00 2006-01-02T15:04:05.000000Z07:00"

func (g *specMaker) dateTime() any {
	layouts := strings.Fields(dateLayouts)
	return g.inZone().Format(layouts[g.rand.IntN(len(layouts))])
}

// inZone is a moment in a time zone that R4 allows.
func (g *specMaker) inZone() time.Time {
	at := g.instantAt()
	return at.In(time.FixedZone("", pick(g, 0, 8*60, 8*60, 8*60, -5*60, 14*60, -12*60, 5*60+45)*60))
}

func (g *specMaker) date() any {
	return g.instantAt().In(singapore).Format(pick(g, "2006", "2006-01", "2006-01-02", "2006-01-02"))
}

func (g *specMaker) instant() any {
	return g.inZone().Format(pick(g, "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.000Z07:00"))
}

func (g *specMaker) period() any {
	a, b := g.dateTime(), g.dateTime()
	if moment(fmt.Sprint(a)).low.Cmp(moment(fmt.Sprint(b)).low) > 0 {
		a, b = b, a
	}
	switch g.rand.IntN(4) {
	case 0:
		return object{"start": a}
	case 1:
		return object{"end": b}
	}
	return object{"start": a, "end": b}
}

func (g *specMaker) timing() any {
	o := object{}
	g.set(o, 70, "event", func() any { return several(g, 3, g.dateTime) })
	g.set(o, 50, "repeat", func() any { return object{"boundsPeriod": g.period()} })
	if len(o) == 0 {
		o["event"] = []any{g.dateTime()}
	}
	return o
}

// number is a decimal with as many digits as it is written with.
func (g *specMaker) number() any { return json.Number(g.numberText()) }

func (g *specMaker) numberText() string {
	return pick(
		g, "0", "0.0", "-0.5", "5", "5.0", "5.4", "5.40", "5.400", "5.45", "5.35", "5.449999", "99.5", "100", "100.5", "100.0", "100.00", "1e2", "1.0E2",
		"0.1", "0.10", "0.3", "1E-3", "0.001", "123456789012345.6", "-5.4", "10", "9.5", "10.5", "1000", "5400", "5400.0", "5.4e3", "95", "105", "90", "110",
	)
}

func (g *specMaker) whole() any {
	return json.Number(fmt.Sprint(pick(g, 0, 1, 5, 9, 10, 11, 95, 100, 105, 1000)))
}

func (g *specMaker) unit(of string) string {
	switch of {
	case "time":
		return pick(g, "s", "min", "h", "d", "wk")
	case "mass":
		return pick(g, "g", "mg", "kg", "ug")
	}
	return pick(g, "g", "mg", "kg", "ug", "m", "cm", "mm", "[in_i]", "mg/dL", "g/L", "g/dL", "mmol/L", "mol/L", "umol/L", "mm[Hg]", "kPa")
}

func (g *specMaker) quantity() any {
	q := g.quantityOf("")
	if g.chance(10) {
		q["comparator"] = pick(g, "<", "<=", ">", ">=")
	}
	return q
}

func (g *specMaker) quantityOf(measure string) object {
	q := object{"value": g.number()}
	u := g.unit(measure)
	switch g.rand.IntN(6) {
	case 0:
		q["unit"] = pick(g, "mg", "milligram", u)
	case 1:
		q["system"], q["code"] = "http://example.org/units", pick(g, "mg", "tablet")
	case 2:
	default:
		q["system"], q["code"] = ucum, u
		g.set(q, 50, "unit", func() any { return pick(g, u, "Units", "milligram") })
	}
	return q
}

func (g *specMaker) rangeOf(measure string) any {
	u := g.unit(measure)
	end := func(n string) object { return object{"value": json.Number(n), "system": ucum, "code": u} }
	r := object{}
	low := g.rand.IntN(3)
	g.set(r, 80, "low", func() any { return end(pick(g, "1", "5", "5.0")) })
	g.set(r, 80, "high", func() any { return end(fmt.Sprint(10*low + 6)) })
	if len(r) == 0 {
		r["low"] = end("5")
	}
	return r
}

// id is that of some resource of a type, at times of none.
func (g *specMaker) id(typ string) string {
	if g.chance(4) {
		return "nobody"
	}
	return fmt.Sprintf("%s%d", strings.ToLower(typ[:3]), g.rand.IntN(max(1, g.count[typ])))
}

// refer is a reference to some resource of one of the types, in one of the forms
// that it may have.
func (g *specMaker) refer(types ...string) any {
	typ := pick(g, types...)
	local := typ + "/" + g.id(typ)
	r := object{"reference": local}
	switch g.rand.IntN(14) {
	case 0:
		r["reference"] = g.base + "/" + local
	case 1:
		r["reference"] = local + "/_history/1"
	case 2:
		r["reference"] = "http://elsewhere.example/fhir/" + local
	case 3:
		r = object{"type": typ, "identifier": object{"system": "http://example.org/elsewhere", "value": pick(g, "e1", "E2", "e|3")}}
	case 4:
		r["identifier"] = object{"value": pick(g, "e1", "e4")}
	case 5:
		r["reference"] = "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"
		r["type"] = typ
	}
	g.set(r, 25, "display", func() any { return g.phrase() })
	return r
}

func (g *specMaker) refers(most int, types ...string) any {
	return several(g, most, func() any { return g.refer(types...) })
}
