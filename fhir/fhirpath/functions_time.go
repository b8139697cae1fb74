package fhirpath

import (
	"time"

	"github.com/cockroachdb/apd/v3"
)

// timeFunctions are those of the clock (FHIRPath 2.0 §5.9), and those about how
// precisely a value is told.
func timeFunctions() map[string]*function {
	return map[string]*function{
		"now":          {eval: func(m *machine, _ *node) error { return m.clock(SystemDateTime) }},
		"today":        {eval: func(m *machine, _ *node) error { return m.clock(SystemDate) }},
		"timeOfDay":    {eval: func(m *machine, _ *node) error { return m.clock(SystemTime) }},
		"precision":    pureFunction(0, 0, SystemNone, SystemInteger, (*machine).precisionOf),
		"lowBoundary":  pureFunction(0, 1, SystemNone, SystemNone, bound(false)),
		"highBoundary": pureFunction(0, 1, SystemNone, SystemNone, bound(true)),
		"comparable":   pureFunction(1, 1, SystemQuantity, SystemBoolean, (*machine).comparable),
	}
}

func (m *machine) clock(sys System) error {
	if m.scope.Now.IsZero() {
		return fail("there is no clock")
	}
	return m.push(moment(m.scope.Now, sys))
}

func (m *machine) comparable(in Value, args []Value) (v Value, ok bool, err error) {
	if args[0].sys != SystemQuantity {
		return v, false, fail("a quantity was expected")
	}
	_, t, err := m.compareQuantities(&in, &args[0])
	return Boolean(t == yes), true, err
}

// precisionOf is how many digits a date or time has, or a number behind its
// point.
func (m *machine) precisionOf(in Value, _ []Value) (v Value, ok bool, err error) {
	switch in.sys { //nolint:exhaustive // the others have no precision
	case SystemInteger:
		return integerOf(0), true, nil
	case SystemDecimal:
		return integerOf(int64(max(-in.dec.Exponent, 0))), true, nil
	case SystemDate, SystemDateTime, SystemTime:
		return integerOf(int64(in.digits())), true, nil
	}
	return v, false, fail("the function is not for values of this type")
}

// digits counts those of a date or time, but for the zone.
func (v *Value) digits() int {
	count := int([...]precision{0, 4, 6, 8, 10, 12, 14}[v.prec])
	if v.prec == toSecond {
		count += fractionDigits(v.text, 0)
	}
	if v.sys == SystemTime {
		count -= 8
	}
	return count
}

// bound is the least or greatest that a value may be when it was rounded to how
// it is written.
func bound(high bool) func(*machine, Value, []Value) (Value, bool, error) {
	return func(_ *machine, in Value, args []Value) (v Value, ok bool, err error) {
		asked := int64(-1)
		if len(args) > 0 {
			if asked = args[0].num; args[0].sys != SystemInteger {
				return v, false, fail("an integer was expected")
			}
			if asked < 0 {
				return v, false, nil
			}
		}
		switch in.sys { //nolint:exhaustive // the others have no bounds
		case SystemInteger, SystemDecimal:
			d, ok := decimalBound(in.asDecimal(), asked, high)
			return decimalOf(d), ok, nil
		case SystemQuantity:
			in.dec, ok = decimalBound(in.dec, asked, high)
			return in, ok, nil
		case SystemDate, SystemDateTime, SystemTime:
			v, ok = in.bound(asked, high)
			return v, ok, nil
		}
		return v, false, fail("the function is not for values of this type")
	}
}

// defaultPlaces is how many decimal places a bound has where none are asked for.
const defaultPlaces = 8

// decimalBound is half of the last digit away. What is nearer to nothing than
// the places asked for can tell is nothing.
func decimalBound(d *apd.Decimal, places int64, high bool) (*apd.Decimal, bool) {
	if places < 0 {
		places = defaultPlaces
	}
	if places > maxPlaces {
		return nil, false
	}
	ctx := reckoning()
	ctx.Precision = 2 * maxExponent
	half := apd.New(5, min(d.Exponent, 0)-1)
	out := new(apd.Decimal)
	var err error
	if high {
		ctx.Rounding = apd.RoundCeiling
		_, err = ctx.Add(out, d, half)
	} else {
		ctx.Rounding = apd.RoundFloor
		_, err = ctx.Sub(out, d, half)
	}
	if err != nil {
		return nil, false
	}
	last := -int32(places) //nolint:gosec // maxPlaces at most
	if new(apd.Decimal).Abs(out).Cmp(apd.New(1, last)) < 0 {
		ctx.Rounding = apd.RoundDown
	}
	_, err = ctx.Quantize(out, out, last)
	return out, err == nil
}

// bound fills up, or cuts off, a date or time to so many digits.
func (v Value) bound(digits int64, high bool) (Value, bool) {
	all := map[System]int64{SystemDate: 8, SystemDateTime: 17, SystemTime: 9}[v.sys]
	if digits < 0 {
		digits = all
	}
	if digits > all || digits < all%4 {
		return v, false
	}
	if v.sys == SystemTime {
		digits += 8
	}
	wanted := toSecond
	for p, count := range map[precision]int64{toYear: 4, toMonth: 6, toDay: 8, toHour: 10, toMinute: 12, toSecond: 14} {
		if digits >= count && digits < count+2 {
			wanted = p
		}
	}
	told := v.prec
	if wanted > told && high {
		v.fill(told)
	}
	v.num = v.cut(wanted)
	if wanted < toSecond {
		v.nanos = 0
	}
	if v.prec = wanted; wanted > toDay && v.sys == SystemDateTime && v.zone == noZone {
		if v.zone = eastmost / 60; high {
			v.zone = westmost / 60
		}
	}
	fraction := 0
	if digits == 17 {
		fraction = 3
	}
	v.text = v.write(fraction)
	return v, true
}

// fill moves a date or time to the last moment that it may mean.
func (v *Value) fill(told precision) {
	t := v.wall()
	switch told {
	case toYear:
		t = time.Date(t.Year(), 12, 31, 23, 59, 59, 0, time.UTC)
	case toMonth:
		t = time.Date(t.Year(), t.Month(), daysIn(t.Year(), int(t.Month())), 23, 59, 59, 0, time.UTC)
	case toDay:
		t = t.Add(24*time.Hour - time.Second)
	case toHour:
		t = t.Add(time.Hour - time.Second)
	case toMinute:
		t = t.Add(time.Minute - time.Second)
	case toSecond:
	}
	v.num, v.prec = t.Unix(), toSecond
	v.nanos = 999e6
}
