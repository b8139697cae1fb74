package fhirpath

import (
	"math/big"
	"time"

	"github.com/cockroachdb/apd/v3"

	"vitrine/fhir/units"
)

// asQuantity is a number as one of the unit 1.
func (v *Value) asQuantity() (Value, bool) {
	switch {
	case v.sys == SystemQuantity:
		return *v, true
	case v.isNumber():
		return quantityOf(v.asDecimal(), []byte("1"), false), true
	}
	return Value{}, false
}

// calendarUnit is a unit of the calendar by its word, in the singular; "" for
// what is none (FHIRPath 2.0 §5.6.2).
func calendarUnit(word string) string {
	if len(word) > 1 && word[len(word)-1] == 's' {
		word = word[:len(word)-1]
	}
	switch word {
	case "year", "month", "week", "day", "hour", "minute", "second", "millisecond":
		return word
	}
	return ""
}

// definite is the unit of UCUM that a unit of the calendar is as long as; years
// and months are as long as none.
func definite(word string) string {
	switch word {
	case "week":
		return "wk"
	case "day":
		return "d"
	case "hour":
		return "h"
	case "minute":
		return "min"
	case "second":
		return "s"
	case "millisecond":
		return "ms"
	}
	return ""
}

// measure is a quantity in base units.
type measure struct {
	amount *big.Rat
	base   string
}

// unitCost is what looking up a unit costs in steps.
const unitCost = 1 << 11

// inBase is a quantity in base units. Years and months of the calendar are
// months, unless loose says to take them for the mean ones of UCUM.
func (m *machine) inBase(v *Value, loose bool) (out measure, ok bool, err error) {
	amount, ok := rational(v.dec)
	if !ok {
		return out, false, nil
	}
	code := v.text
	if v.num != 0 {
		word := calendarUnit(string(v.text))
		switch {
		case word == "year" && !loose:
			return measure{amount.Mul(amount, big.NewRat(12, 1)), "month"}, true, nil
		case word == "month" && !loose:
			return measure{amount, "month"}, true, nil
		case word == "year":
			code = []byte("a")
		case word == "month":
			code = []byte("mo")
		default:
			code = []byte(definite(word))
		}
	}
	if err := m.spend(unitCost); err != nil {
		return out, false, err
	}
	u, ok := units.Parse(code)
	if !ok {
		return measure{amount, "\x00" + string(code)}, true, nil // it stands for itself
	}
	amount.Mul(amount, u.Times)
	return measure{amount.Add(amount, u.Plus), string(u.Base)}, true, nil
}

// rational is a decimal as a fraction.
func rational(d *apd.Decimal) (*big.Rat, bool) { return new(big.Rat).SetString(d.String()) }

// compareQuantities orders two quantities. known is no where they measure
// different things, and unknown where a year or month of the calendar is
// compared with a time of UCUM.
func (m *machine) compareQuantities(a, b *Value) (order int, known tri, err error) {
	if a.num == b.num && string(a.text) == string(b.text) {
		return a.dec.Cmp(b.dec), yes, nil
	}
	x, xok, err := m.inBase(a, false)
	if err != nil {
		return 0, unknown, err
	}
	y, yok, err := m.inBase(b, false)
	if err != nil || !xok || !yok {
		return 0, unknown, err
	}
	switch {
	case x.base == y.base:
		return x.amount.Cmp(y.amount), yes, nil
	case x.base == "month" && y.base == "s":
		if a.num == 0 || b.num == 0 {
			return 0, unknown, nil
		}
		return inDays(a, &x).Cmp(y.amount), yes, nil
	case x.base == "s" && y.base == "month":
		if a.num == 0 || b.num == 0 {
			return 0, unknown, nil
		}
		return x.amount.Cmp(inDays(b, &y)), yes, nil
	}
	return 0, no, nil
}

// inDays is how many seconds years of 365 days, or months of 30, have.
func inDays(v *Value, months *measure) *big.Rat {
	if calendarUnit(string(v.text)) == "year" {
		return months.amount.Mul(months.amount, big.NewRat(365*86400, 12))
	}
	return months.amount.Mul(months.amount, big.NewRat(30*86400, 1))
}

// equivalentQuantities compares as far as the one with fewer digits is told, in
// its unit.
func (m *machine) equivalentQuantities(a, b *Value) (bool, error) {
	if a.num == b.num && string(a.text) == string(b.text) {
		return equivalentDecimals(a.dec, b.dec), nil
	}
	x, xok, err := m.inBase(a, true)
	if err != nil {
		return false, err
	}
	y, yok, err := m.inBase(b, true)
	if err != nil || !xok || !yok || x.base != y.base {
		return false, err
	}
	if significant(a.dec) > significant(b.dec) {
		a, x, y = b, y, x
	}
	one := quantityOf(apd.New(1, 0), a.text, a.num != 0)
	unit, ok, err := m.inBase(&one, true)
	if err != nil || !ok || unit.amount.Sign() == 0 {
		return false, err
	}
	zero := quantityOf(apd.New(0, 0), a.text, a.num != 0)
	start, _, err := m.inBase(&zero, true)
	if err != nil {
		return false, err
	}
	y.amount.Sub(y.amount, start.amount)
	unit.amount.Sub(unit.amount, start.amount)
	other, ok := parseDecimal([]byte(y.amount.Quo(y.amount, unit.amount).FloatString(quotientDigits)))
	return ok && equivalentDecimals(a.dec, shortest(other)), nil
}

// significant is how many digits of a decimal tell something.
func significant(d *apd.Decimal) int64 {
	var r apd.Decimal
	r.Reduce(d)
	return r.NumDigits()
}

// quantities reckons with two quantities.
func (m *machine) quantities(form string, l, r *Value) (v Value, ok bool, err error) {
	switch form {
	case "+", "-":
		return m.sum(form, l, r)
	case "*", "/":
	default:
		return v, false, fail("quantities have no such operator")
	}
	d, ok := decimals(form, l.dec, r.dec)
	if !ok {
		return v, false, nil
	}
	left, right := string(l.text), string(r.text)
	switch {
	case l.num != 0 || r.num != 0:
		// units of the calendar cannot be multiplied
		return quantityOf(d.dec, l.text, true), right == "1" && r.num == 0, nil
	case right == "1":
		return quantityOf(d.dec, l.text, false), true, nil
	case left == "1" && form == "*":
		return quantityOf(d.dec, r.text, false), true, nil
	}
	return m.product(form, l, r)
}

// product is in base units, so that the unit stays short.
func (m *machine) product(form string, l, r *Value) (v Value, ok bool, err error) {
	x, xok, err := m.inBase(l, false)
	if err != nil {
		return v, false, err
	}
	y, yok, err := m.inBase(r, false)
	if err != nil || !xok || !yok || x.base[0] == 0 || y.base[0] == 0 {
		return v, false, err
	}
	if form == "*" {
		x.amount.Mul(x.amount, y.amount)
	} else if y.amount.Sign() != 0 {
		x.amount.Quo(x.amount, y.amount)
	}
	u, ok := units.Parse([]byte("(" + x.base + ")" + map[string]string{"*": ".", "/": "/"}[form] + "(" + y.base + ")"))
	if !ok {
		return v, false, nil
	}
	d, ok := parseDecimal([]byte(x.amount.FloatString(quotientDigits)))
	if !ok {
		return v, false, nil
	}
	return quantityOf(shortest(d), u.Base, false), true, nil
}

// sum adds in the unit of the left one.
func (m *machine) sum(form string, l, r *Value) (v Value, ok bool, err error) {
	other := r.dec
	if l.num != r.num || string(l.text) != string(r.text) {
		if other, ok, err = m.converted(r, l); err != nil || !ok {
			return v, false, err
		}
	}
	d, ok := decimals(form, l.dec, other)
	return quantityOf(d.dec, l.text, l.num != 0), ok, nil
}

// converted is the number of a quantity in the unit of another.
func (m *machine) converted(from, to *Value) (d *apd.Decimal, ok bool, err error) {
	x, xok, err := m.inBase(from, false)
	if err != nil {
		return nil, false, err
	}
	one := quantityOf(apd.New(1, 0), to.text, to.num != 0)
	y, yok, err := m.inBase(&one, false)
	if err != nil || !xok || !yok || x.base != y.base || y.amount.Sign() == 0 {
		return nil, false, err
	}
	d, ok = parseDecimal([]byte(x.amount.Quo(x.amount, y.amount).FloatString(quotientDigits)))
	if ok {
		d = shortest(d)
	}
	return d, ok, nil
}

// shift moves a date or time by a quantity of time (FHIRPath 2.0 §6.7). What is
// finer than the date is told counts as far as it makes up whole steps of it.
func shift(at, by *Value, back bool) (v Value, ok bool, err error) {
	word := string(by.text)
	if by.num == 0 && calendarUnit(word) == "" {
		if word = calendarOf(word); word == "" {
			return v, false, fail("no time can be added that is no quantity of time, or a mean month or year")
		}
	}
	word = calendarUnit(word)
	n := new(apd.Decimal).Set(by.dec)
	if word != "second" {
		by.dec.Modf(n, new(apd.Decimal))
	}
	if back {
		n.Neg(n)
	}
	if at.sys == SystemTime && (word == "year" || word == "month" || word == "week" || word == "day") {
		return v, false, fail("a time of day has no days")
	}
	return shiftBy(at, n, word)
}

// calendarOf is the unit of the calendar that is as long as one of UCUM.
func calendarOf(code string) string {
	switch code {
	case "wk":
		return "week"
	case "d":
		return "day"
	case "h":
		return "hour"
	case "min":
		return "minute"
	case "s":
		return "second"
	case "ms":
		return "millisecond"
	}
	return ""
}

// maxShift bounds by how much a date can be moved and still be one.
const maxShift = 4e14

func shiftBy(at *Value, n *apd.Decimal, word string) (v Value, ok bool, err error) {
	ctx := reckoning()
	if word == "second" {
		word = "millisecond"
		if _, err := ctx.Mul(n, n, apd.New(1000, 0)); err != nil {
			return v, false, nil //nolint:nilerr // it is too much for any date
		}
	}
	whole := new(apd.Decimal)
	n.Modf(whole, new(apd.Decimal))
	count, err := whole.Int64()
	if err != nil || count > maxShift || count < -maxShift {
		return v, false, nil //nolint:nilerr // it is too much for any date
	}
	if word == "week" {
		count, word = count*7, "day"
	}
	count, word = coarser(at, count, word)
	t := at.wall()
	switch word {
	case "year":
		t = addMonths(t, 12*count)
	case "month":
		t = addMonths(t, count)
	case "day":
		t = time.Unix(at.num+86400*count, int64(at.nanos)).UTC()
	case "hour":
		t = time.Unix(at.num+3600*count, int64(at.nanos)).UTC()
	case "minute":
		t = time.Unix(at.num+60*count, int64(at.nanos)).UTC()
	case "millisecond":
		t = time.Unix(at.num+count/1000, int64(at.nanos)+count%1000*1e6).UTC()
	}
	if at.sys == SystemTime {
		const day = 86400
		t = time.Unix((t.Unix()%day+day)%day, int64(t.Nanosecond())).UTC()
	}
	v, ok = at.rewritten(t)
	return v, ok, nil
}

// coarser brings a count of units to the precision of a date, cut off towards
// nothing.
func coarser(at *Value, count int64, word string) (int64, string) {
	for _, step := range [...]struct {
		word   string
		from   precision // and coarser, the word is too fine
		each   int64
		bigger string
	}{
		{"millisecond", toMinute, 1000, "second"},
		{"second", toMinute, 60, "minute"},
		{"minute", toHour, 60, "hour"},
		{"hour", toDay, 24, "day"},
		{"day", toMonth, 30, "month"},
		{"month", toYear, 12, "year"},
	} {
		switch {
		case word != step.word || at.prec > step.from:
		case word == "day" && at.prec == toYear:
			count, word = count/365, "year"
		default:
			count, word = count/step.each, step.bigger
		}
	}
	return count, word
}

// addMonths keeps the day as far as the month has it.
func addMonths(t time.Time, months int64) time.Time {
	if months > 12*10000 || months < -12*10000 {
		return time.Time{}.AddDate(-1, 0, 0)
	}
	y, m, d := t.Date()
	total := int64(y)*12 + int64(m) - 1 + months
	year, month := int(total/12), int(total%12)+1
	if total < 12 {
		return time.Time{}.AddDate(-1, 0, 0)
	}
	return time.Date(year, time.Month(month), min(d, daysIn(year, month)), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
