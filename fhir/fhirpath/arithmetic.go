package fhirpath

import (
	"github.com/cockroachdb/apd/v3"
)

// reckoning is how decimals are reckoned with: far more digits than the language
// asks for, and no more than can be paid for. What is no number is an error.
func reckoning() *apd.Context {
	return &apd.Context{
		Precision: 64, MaxExponent: 2 * maxExponent, MinExponent: -2 * maxExponent,
		Rounding: apd.RoundHalfUp, Traps: apd.DefaultTraps,
	}
}

// quotients have fewer digits, since most have no end.
const quotientDigits = 34

// arithmetic is + - * / div mod and & (FHIRPath 2.0 §6.6).
func (m *machine) arithmetic(n *node) error {
	if n.form == "&" {
		return m.concatenate(n)
	}
	l, lok, err := m.scalar(n.left)
	if err != nil {
		return err
	}
	r, rok, err := m.scalar(n.right)
	if err != nil || !lok || !rok {
		return err
	}
	v, ok, err := m.reckon(n.form, &l, &r)
	if err != nil || !ok {
		return err
	}
	return m.push(v)
}

// concatenate puts two strings together; what is empty is an empty string.
func (m *machine) concatenate(n *node) error {
	var text []byte
	for _, side := range [...]*node{n.left, n.right} {
		v, ok, err := m.scalar(side)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if v.sys != SystemString {
			return fail("& joins strings alone")
		}
		text = append(text, v.text...)
	}
	if err := m.spendText(len(text)); err != nil {
		return err
	}
	return m.push(stringOf(text))
}

func (m *machine) reckon(form string, l, r *Value) (v Value, ok bool, err error) {
	switch {
	case l.sys == SystemInteger && r.sys == SystemInteger && form != "/":
		v, ok = integers(form, l.num, r.num)
		return v, ok, nil
	case l.isNumber() && r.isNumber():
		return m.decimals(form, l.asDecimal(), r.asDecimal())
	case l.sys == SystemString && r.sys == SystemString && form == "+":
		if err := m.spendText(len(l.text) + len(r.text)); err != nil {
			return v, false, err
		}
		return stringOf(append(l.text[:len(l.text):len(l.text)], r.text...)), true, nil
	case (l.isMoment() || l.sys == SystemTime) && r.sys == SystemQuantity && (form == "+" || form == "-"):
		return shift(l, r, form == "-")
	case l.sys == SystemQuantity || r.sys == SystemQuantity:
		x, xok := l.asQuantity()
		y, yok := r.asQuantity()
		if xok && yok {
			return m.quantities(form, &x, &y)
		}
	}
	return v, false, fail("the operator has no meaning for values of these types")
}

// integers are reckoned in 64 bits; what does not fit 32 is no value.
func integers(form string, l, r int64) (Value, bool) {
	var n int64
	switch form {
	case "+":
		n = l + r
	case "-":
		n = l - r
	case "*":
		n = l * r
	default:
		if r == 0 {
			return Value{}, false
		}
		if n = l / r; form == "mod" {
			n = l % r
		}
	}
	return integerOf(n), fitsInteger(n)
}

// decimalCost is what reckoning with decimals costs in steps, beside their
// digits.
const decimalCost = 8

func (m *machine) decimals(form string, l, r *apd.Decimal) (v Value, ok bool, err error) {
	apart := int(max(l.Exponent-r.Exponent, r.Exponent-l.Exponent))
	if err := m.spend(decimalCost + (int(l.NumDigits()+r.NumDigits())+apart)/2); err != nil {
		return v, false, err
	}
	v, ok = decimals(form, l, r)
	return v, ok, nil
}

func decimals(form string, l, r *apd.Decimal) (v Value, ok bool) {
	ctx := reckoning()
	d := new(apd.Decimal)
	var err error
	switch form {
	case "+":
		_, err = ctx.Add(d, l, r)
	case "-":
		_, err = ctx.Sub(d, l, r)
	case "*":
		_, err = ctx.Mul(d, l, r)
	default:
		if r.IsZero() {
			return v, false
		}
		if d, ok = quotient(form, l, r); !ok {
			return v, false
		}
	}
	if err != nil || !finite(d) {
		return v, false
	}
	if form == "div" {
		if n, err := d.Int64(); err == nil && fitsInteger(n) {
			return integerOf(n), true
		}
	}
	return decimalOf(d), true
}

func quotient(form string, l, r *apd.Decimal) (*apd.Decimal, bool) {
	d := new(apd.Decimal)
	ctx := reckoning()
	var err error
	switch form {
	case "/":
		ctx.Precision = quotientDigits
		if _, err = ctx.Quo(d, l, r); err == nil {
			d = shortest(d)
		}
	case "div":
		ctx.Precision = 2 * maxExponent
		_, err = ctx.QuoInteger(d, l, r)
	default:
		ctx.Precision = 2 * maxExponent
		_, err = ctx.Rem(d, l, r)
	}
	return d, err == nil && finite(d)
}

// shortest is a decimal without zeros at its end, and without an exponent above
// nothing.
func shortest(d *apd.Decimal) *apd.Decimal {
	d.Reduce(d)
	if d.Exponent <= 0 {
		return d
	}
	ctx := reckoning()
	ctx.Precision = 2 * maxExponent
	whole := new(apd.Decimal)
	if _, err := ctx.Quantize(whole, d, 0); err != nil {
		return d
	}
	return whole
}

// finite reports whether a result is a number that can be reckoned with further.
func finite(d *apd.Decimal) bool {
	return d.Form == apd.Finite && d.Exponent <= maxExponent && d.Exponent >= -maxExponent
}

// negate is the sign before a number; plus changes nothing but asks for one.
func (m *machine) negate(n *node) error {
	v, ok, err := m.scalar(n.left)
	if err != nil || !ok {
		return err
	}
	switch {
	case v.sys == SystemInteger && n.form == "-":
		if v.num = -v.num; !fitsInteger(v.num) {
			return nil
		}
	case (v.sys == SystemDecimal || v.sys == SystemQuantity) && n.form == "-":
		d := new(apd.Decimal).Neg(v.dec)
		if i, err := d.Int64(); err == nil && i == -1<<31 && d.Exponent == 0 && v.sys == SystemDecimal {
			v = integerOf(i)
			break
		}
		v.dec = d
	case !v.isNumber() && v.sys != SystemQuantity:
		return fail("only a number has a sign")
	}
	return m.push(v)
}
