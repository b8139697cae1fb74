package fhirpath

import (
	"math/big"

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

// unitCost is what working out a unit costs in steps, for each character.
const unitCost = 1 << 8

// unitEntry is a unit that was worked out; known is false for what is none.
type unitEntry struct {
	code  string
	unit  units.Unit
	known bool
}

// maxUnits is how many units a scope remembers.
const maxUnits = 16

// unit is what a code means. The last few are remembered.
func (m *machine) unit(code []byte) (u units.Unit, known bool, err error) {
	for i := range m.units {
		if m.units[i].code == string(code) {
			return m.units[i].unit, m.units[i].known, m.spend(maxUnits)
		}
	}
	if err := m.spend(unitCost * min(len(code), units.MaxCode)); err != nil {
		return u, false, err
	}
	u, known = units.Parse(code)
	if len(code) > units.MaxCode {
		return u, known, nil
	}
	if len(m.units) == maxUnits {
		m.units = m.units[:copy(m.units, m.units[1:])]
	}
	m.units = append(m.units, unitEntry{string(code), u, known})
	return u, known, nil
}

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
	u, ok, err := m.unit(code)
	if err != nil {
		return out, false, err
	}
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
	d, ok, err := m.decimals(form, l.dec, r.dec)
	if err != nil || !ok {
		return v, false, err
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
	operator := form
	if form == "*" {
		operator = "."
	}
	u, ok, err := m.unit([]byte("(" + x.base + ")" + operator + "(" + y.base + ")"))
	if err != nil || !ok {
		return v, false, err
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
	d, ok, err := m.decimals(form, l.dec, other)
	return quantityOf(d.dec, l.text, l.num != 0), ok, err
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
