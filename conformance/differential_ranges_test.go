package conformance

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// interval is a set of numbers, or of seconds since 1970, without holes. A nil end
// is none. An end that is open does not belong to it.
type interval struct {
	low, high         *big.Rat
	lowOpen, highOpen bool
}

func point(r *big.Rat) interval { return interval{low: r, high: r} }

// empty reports whether nothing is in it.
func (i interval) empty() bool {
	if i.low == nil || i.high == nil {
		return false
	}
	c := i.low.Cmp(i.high)
	return c > 0 || c == 0 && (i.lowOpen || i.highOpen)
}

// and is what both have.
func (i interval) and(o interval) interval {
	if o.low != nil && (i.low == nil || o.low.Cmp(i.low) > 0 || o.low.Cmp(i.low) == 0 && o.lowOpen) {
		i.low, i.lowOpen = o.low, o.lowOpen
	}
	if o.high != nil && (i.high == nil || o.high.Cmp(i.high) < 0 || o.high.Cmp(i.high) == 0 && o.highOpen) {
		i.high, i.highOpen = o.high, o.highOpen
	}
	return i
}

func (i interval) overlaps(o interval) bool { return !i.and(o).empty() }

// contains reports whether all of o is in i.
func (i interval) contains(o interval) bool {
	if o.low == nil && i.low != nil || o.high == nil && i.high != nil {
		return false
	}
	if i.low != nil {
		if c := o.low.Cmp(i.low); c < 0 || c == 0 && i.lowOpen && !o.lowOpen {
			return false
		}
	}
	if i.high != nil {
		if c := o.high.Cmp(i.high); c > 0 || c == 0 && i.highOpen && !o.highOpen {
			return false
		}
	}
	return true
}

// above and below are what lies on one side of it.
func (i interval) above() interval { return interval{low: i.high, lowOpen: !i.highOpen} }
func (i interval) below() interval { return interval{high: i.low, highOpen: !i.lowOpen} }

// soughtRange is the value of a query: its range, and the range near it.
type soughtRange struct {
	prefix       string
	exact, about interval
}

// compares is the table of R4 search.html#prefix. ge and le also take what begins
// or ends within the range of the value, which DIVERGENCES.md says.
func (s soughtRange) compares(target interval) bool {
	v := s.exact
	switch s.prefix {
	case "eq":
		return v.contains(target)
	case "ne":
		return !v.contains(target)
	case "gt":
		return v.above().overlaps(target)
	case "lt":
		return v.below().overlaps(target)
	case "ge":
		return v.above().overlaps(target) || v.overlaps(target)
	case "le":
		return v.below().overlaps(target) || v.overlaps(target)
	case "sa":
		return !v.overlaps(target) && v.above().contains(target)
	case "eb":
		return !v.overlaps(target) && v.below().contains(target)
	case "ap":
		return s.about.overlaps(target)
	}
	panic("prefix " + s.prefix)
}

const rangePrefixes = "eq ne gt lt ge le sa eb ap"

func cutPrefix(v string) (prefix, rest string) {
	for p := range strings.FieldsSeq(rangePrefixes) {
		if rest, ok := strings.CutPrefix(v, p); ok {
			return p, rest
		}
	}
	return "eq", v
}

// rational reads a number with every digit it has.
func rational(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("number " + s)
	}
	return r
}

// soughtNumber is a number in a query (R4 search.html#number): its precision
// counts when no order is asked for.
func soughtNumber(v string) soughtRange {
	prefix, text := cutPrefix(v)
	n := rational(text)
	s := soughtRange{prefix: prefix, exact: point(n)}
	tenth := new(big.Rat).Mul(new(big.Rat).Abs(n), big.NewRat(1, 10))
	s.about = interval{low: new(big.Rat).Sub(n, tenth), high: new(big.Rat).Add(n, tenth)}
	if prefix == "eq" || prefix == "ne" {
		half := new(big.Rat).Mul(lastPlace(text), big.NewRat(1, 2))
		s.exact = interval{low: new(big.Rat).Sub(n, half), high: new(big.Rat).Add(n, half), highOpen: true}
	}
	return s
}

// lastPlace is what a one in the last significant place of a number stands for.
// R4's example 1e2 is [95, 105): a whole number with an exponent has one more
// place than it shows.
func lastPlace(text string) *big.Rat {
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(text), "e")
	_, fraction, _ := strings.Cut(mantissa, ".")
	places := len(fraction)
	if scientific && places == 0 {
		places = 1
	}
	if !scientific {
		exponent = "0"
	}
	return new(big.Rat).Mul(rational("1e"+exponent), rational(fmt.Sprintf("1e-%d", places)))
}

var singapore = time.FixedZone("", 8*60*60) //nolint:gochecknoglobals // a constant

// moment is the range that a date, dateTime or instant stands for (R4
// search.html#date): as long as what its last digit counts, to the last
// microsecond, which is as fine as the server's clock goes.
func moment(s string) interval {
	layouts := []struct {
		layout              string
		years, months, days int
		step                time.Duration
	}{
		{"2006", 1, 0, 0, 0},
		{"2006-01", 0, 1, 0, 0},
		{"2006-01-02", 0, 0, 1, 0},
		{"2006-01-02T15:04Z07:00", 0, 0, 0, time.Minute},
		{"2006-01-02T15:04", 0, 0, 0, time.Minute},
		{"2006-01-02T15:04:05Z07:00", 0, 0, 0, time.Second},
		{"2006-01-02T15:04:05", 0, 0, 0, time.Second},
	}
	for _, l := range layouts {
		start, err := time.ParseInLocation(l.layout, s, singapore)
		if err != nil {
			continue
		}
		end := start.AddDate(l.years, l.months, l.days).Add(l.step)
		if _, rest, ok := strings.Cut(s, "."); ok {
			digits := strings.IndexFunc(rest+"Z", func(r rune) bool { return r < '0' || r > '9' })
			end = start.Add(fraction(digits))
		}
		return interval{low: seconds(start), high: seconds(end.Add(-time.Microsecond))}
	}
	panic("time " + s)
}

// fraction is what the last of so many digits behind the second stands for.
func fraction(digits int) time.Duration {
	step := time.Second
	for range digits {
		step /= 10
	}
	return step
}

func seconds(t time.Time) *big.Rat {
	return new(big.Rat).Add(big.NewRat(t.Unix(), 1), big.NewRat(int64(t.Nanosecond()), 1e9))
}

// soughtMoment is a time in a query. What is near is as far as the value is long,
// a day at least, which DIVERGENCES.md says.
func soughtMoment(v string) soughtRange {
	prefix, text := cutPrefix(v)
	i := moment(text)
	length := new(big.Rat).Sub(i.high, i.low)
	if day := big.NewRat(24*60*60, 1); length.Cmp(day) < 0 {
		length = day
	}
	about := interval{low: new(big.Rat).Sub(i.low, length), high: new(big.Rat).Add(i.high, length)}
	return soughtRange{prefix, i, about}
}

// timesOf are the ranges of a value that has times.
func timesOf(v any, typ string) []interval {
	switch typ {
	case "date", "dateTime":
		if s, ok := v.(string); ok {
			return []interval{moment(s)}
		}
	case "instant": // a point in time (R4 search.html#date)
		if s, ok := v.(string); ok {
			return []interval{point(moment(s).low)}
		}
	case "Period":
		return periodOf(v)
	case "Timing": // its outer limits
		all := periodOf(at(v, "repeat", "boundsPeriod"))
		for _, e := range list(v, "event") {
			all = append(all, timesOf(e, "dateTime")...)
		}
		if len(all) == 0 {
			return nil
		}
		whole := all[0]
		for _, i := range all[1:] {
			whole = hull(whole, i)
		}
		return []interval{whole}
	}
	return nil
}

// hull is the least interval that has both.
func hull(a, b interval) interval {
	if a.low != nil && (b.low == nil || b.low.Cmp(a.low) < 0 || b.low.Cmp(a.low) == 0 && !b.lowOpen) {
		a.low, a.lowOpen = b.low, b.lowOpen
	}
	if a.high != nil && (b.high == nil || b.high.Cmp(a.high) > 0 || b.high.Cmp(a.high) == 0 && !b.highOpen) {
		a.high, a.highOpen = b.high, b.highOpen
	}
	return a
}

func periodOf(v any) []interval {
	var i interval
	start, end := text(v, "start"), text(v, "end")
	if start == "" && end == "" {
		return nil
	}
	if start != "" {
		i.low = moment(start).low
	}
	if end != "" {
		m := moment(end)
		i.high, i.highOpen = m.high, m.highOpen
	}
	return []interval{i}
}

// amount is a quantity, with the units by which it may be asked for.
type amount struct {
	interval
	system, code, unit string
}

// amountsOf are the quantities of a value.
func amountsOf(v any, typ string) []amount {
	switch typ {
	case "decimal", "integer":
		if n, ok := v.(json.Number); ok {
			return []amount{{interval: point(rational(n.String()))}}
		}
	case "Money":
		if n, ok := at(v, "value").(json.Number); ok {
			return []amount{{point(rational(n.String())), "urn:iso:std:iso:4217", text(v, "currency"), ""}}
		}
	case "Quantity":
		n, ok := at(v, "value").(json.Number)
		if !ok {
			return nil
		}
		r := rational(n.String())
		a := amount{point(r), text(v, "system"), text(v, "code"), text(v, "unit")}
		switch text(v, "comparator") {
		case "<":
			a.interval = interval{high: r, highOpen: true}
		case "<=":
			a.interval = interval{high: r}
		case ">":
			a.interval = interval{low: r, lowOpen: true}
		case ">=":
			a.interval = interval{low: r}
		}
		return []amount{a}
	case "Range":
		low, high := at(v, "low"), at(v, "high")
		a := amount{}
		if n, ok := at(low, "value").(json.Number); ok {
			a = amount{interval{low: rational(n.String())}, text(low, "system"), text(low, "code"), text(low, "unit")}
		}
		if n, ok := at(high, "value").(json.Number); ok {
			a.high = rational(n.String())
			if a.low == nil {
				a.system, a.code, a.unit = text(high, "system"), text(high, "code"), text(high, "unit")
			}
		}
		if a.low != nil || a.high != nil {
			return []amount{a}
		}
	}
	return nil
}

const ucum = "http://unitsofmeasure.org"

// scales are units of UCUM that the test uses: what they measure, and how many of
// the first unit of that they are.
var scales = map[string]struct { //nolint:gochecknoglobals // a table
	of     string
	factor *big.Rat
}{
	"g": {"mass", big.NewRat(1, 1)}, "mg": {"mass", big.NewRat(1, 1000)}, "kg": {"mass", big.NewRat(1000, 1)}, "ug": {"mass", big.NewRat(1, 1e6)},
	"m": {"length", big.NewRat(1, 1)}, "cm": {"length", big.NewRat(1, 100)}, "mm": {"length", big.NewRat(1, 1000)}, "[in_i]": {"length", big.NewRat(254, 10000)},
	"s": {"time", big.NewRat(1, 1)}, "min": {"time", big.NewRat(60, 1)}, "h": {"time", big.NewRat(3600, 1)}, "d": {"time", big.NewRat(86400, 1)}, "wk": {"time", big.NewRat(7*86400, 1)},
	"mg/dL": {"density", big.NewRat(1, 100)}, "g/L": {"density", big.NewRat(1, 1)}, "g/dL": {"density", big.NewRat(10, 1)},
	"mmol/L": {"concentration", big.NewRat(1, 1000)}, "mol/L": {"concentration", big.NewRat(1, 1)}, "umol/L": {"concentration", big.NewRat(1, 1e6)},
	"mm[Hg]": {"pressure", big.NewRat(133322, 1000)}, "kPa": {"pressure", big.NewRat(1000, 1)}, "Pa": {"pressure", big.NewRat(1, 1)},
}

// scaled is an interval in other units.
func (i interval) scaled(by *big.Rat) interval {
	if i.low != nil {
		i.low = new(big.Rat).Mul(i.low, by)
	}
	if i.high != nil {
		i.high = new(big.Rat).Mul(i.high, by)
	}
	return i
}

// quantityMatches is number, number|system|code or number||unit (R4
// search.html#quantity), the second in any unit of UCUM that measures the same.
func quantityMatches(v string, a amount) bool {
	parts := splitAt(v, '|')
	s := soughtNumber(unescaped(parts[0]))
	if len(parts) == 1 {
		return s.compares(a.interval)
	}
	system, code := unescaped(parts[1]), unescaped(parts[2])
	if system == "" {
		return (a.code == code || a.unit == code) && s.compares(a.interval)
	}
	if a.system != system {
		return false
	}
	if a.code == code {
		return s.compares(a.interval)
	}
	mine, known := scales[code]
	other, also := scales[a.code]
	if system != ucum || !known || !also || mine.of != other.of {
		return false
	}
	s.exact, s.about = s.exact.scaled(mine.factor), s.about.scaled(mine.factor)
	return s.compares(a.scaled(other.factor))
}
