package fhirpath

import (
	"github.com/cockroachdb/apd/v3"
)

// mathFunctions are those of FHIRPath 2.0 §5.7.
func mathFunctions() map[string]*function {
	number := func(most int, pure func(*machine, Value, []Value) (Value, bool, error)) *function {
		return pureFunction(0, most, SystemDecimal, SystemNone, pure)
	}
	needing := func(f *function) *function { f.least = 1; return f }
	return map[string]*function{
		"abs":      number(0, (*machine).abs),
		"ceiling":  number(0, toWhole(apd.RoundCeiling)),
		"floor":    number(0, toWhole(apd.RoundFloor)),
		"truncate": number(0, toWhole(apd.RoundDown)),
		"round":    number(1, (*machine).round),
		"exp":      number(0, curve(func(c *apd.Context, d, x *apd.Decimal) error { _, err := c.Exp(d, x); return err })),
		"ln":       number(0, curve(func(c *apd.Context, d, x *apd.Decimal) error { _, err := c.Ln(d, x); return err })),
		"sqrt":     number(0, curve(func(c *apd.Context, d, x *apd.Decimal) error { _, err := c.Sqrt(d, x); return err })),
		"log":      needing(number(1, (*machine).log)),
		"power":    needing(number(1, (*machine).power)),
	}
}

func (m *machine) abs(in Value, _ []Value) (v Value, ok bool, err error) {
	if in.sys == SystemInteger {
		in.num = max(in.num, -in.num)
		return in, fitsInteger(in.num), nil
	}
	in.dec = new(apd.Decimal).Abs(in.dec)
	return in, true, nil
}

// toWhole makes an integer of a number; what does not fit one is no value. A
// quantity keeps its unit.
func toWhole(how apd.Rounder) func(*machine, Value, []Value) (Value, bool, error) {
	return func(_ *machine, in Value, _ []Value) (Value, bool, error) {
		if in.sys == SystemInteger {
			return in, true, nil
		}
		ctx := reckoning()
		ctx.Precision, ctx.Rounding = 2*maxExponent, how
		d := new(apd.Decimal)
		if _, err := ctx.Quantize(d, in.dec, 0); err != nil {
			return in, false, nil //nolint:nilerr // it is too large
		}
		if in.sys == SystemQuantity {
			in.dec = d
			return in, true, nil
		}
		n, err := d.Int64()
		return integerOf(n), err == nil && fitsInteger(n), nil
	}
}

// maxPlaces is how many decimal places a result may be asked to have.
const maxPlaces = 31

func (m *machine) round(in Value, args []Value) (v Value, ok bool, err error) {
	places := int64(0)
	if len(args) > 0 {
		if places = args[0].num; args[0].sys != SystemInteger || places < 0 || places > maxPlaces {
			return v, false, fail("a number of places was expected")
		}
	}
	if in.sys == SystemInteger {
		return in, true, nil
	}
	ctx := reckoning()
	ctx.Precision = 2 * maxExponent
	d := new(apd.Decimal)
	if _, err := ctx.Quantize(d, in.dec, -int32(places)); err != nil { //nolint:gosec // maxPlaces at most
		return v, false, nil //nolint:nilerr // it is too large
	}
	in.dec = d
	return in, true, nil
}

// curveCost is what a function without an end of digits costs in steps.
const curveCost = 1 << 10

// curve is a function of decimals with as many digits as quotients have.
func curve(f func(c *apd.Context, d, x *apd.Decimal) error) func(*machine, Value, []Value) (Value, bool, error) {
	return func(m *machine, in Value, _ []Value) (v Value, ok bool, err error) {
		if in.sys == SystemQuantity {
			return v, false, fail("the function is not for values of this type")
		}
		if err := m.spend(curveCost); err != nil {
			return v, false, err
		}
		v, ok = curved(f, in.asDecimal())
		return v, ok, nil
	}
}

// maxCurve bounds what goes into such a function.
const maxCurve = 1000

func curved(f func(c *apd.Context, d, x *apd.Decimal) error, x *apd.Decimal) (Value, bool) {
	ctx := reckoning()
	ctx.Precision = quotientDigits
	d := new(apd.Decimal)
	if err := f(ctx, d, x); err != nil || !finite(d) {
		return Value{}, false
	}
	return decimalOf(shortest(d)), true
}

func (m *machine) log(in Value, args []Value) (v Value, ok bool, err error) {
	if !args[0].isNumber() || in.sys == SystemQuantity {
		return v, false, fail("a number was expected")
	}
	if err := m.spend(2 * curveCost); err != nil {
		return v, false, err
	}
	ln := func(c *apd.Context, d, x *apd.Decimal) error { _, err := c.Ln(d, x); return err }
	a, aok := curved(ln, in.asDecimal())
	b, bok := curved(ln, args[0].asDecimal())
	if !aok || !bok || b.dec.IsZero() {
		return v, false, nil
	}
	ctx := reckoning()
	ctx.Precision = quotientDigits - 4 // so that a whole result is whole
	d := new(apd.Decimal)
	if _, err := ctx.Quo(d, a.dec, b.dec); err != nil {
		return v, false, nil //nolint:nilerr // it is too large
	}
	return decimalOf(shortest(d)), true, nil
}

// power of integers is an integer where it is one that fits.
func (m *machine) power(in Value, args []Value) (v Value, ok bool, err error) {
	if !args[0].isNumber() || in.sys == SystemQuantity {
		return v, false, fail("a number was expected")
	}
	if err := m.spend(2 * curveCost); err != nil {
		return v, false, err
	}
	y := args[0].asDecimal()
	if limit := apd.New(maxCurve, 0); y.Cmp(limit) > 0 || y.Cmp(new(apd.Decimal).Neg(limit)) < 0 {
		return v, false, nil
	}
	if v, ok = decimalOf(apd.New(1, 0)), true; !y.IsZero() {
		v, ok = curved(func(c *apd.Context, d, x *apd.Decimal) error { _, err := c.Pow(d, x, y); return err }, in.asDecimal())
	}
	if ok && in.sys == SystemInteger && args[0].sys == SystemInteger {
		if n, err := v.dec.Int64(); err == nil && fitsInteger(n) {
			return integerOf(n), true, nil
		}
	}
	return v, ok, nil
}
