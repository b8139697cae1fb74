package fhirpath

import (
	"bytes"

	"github.com/cockroachdb/apd/v3"
)

// conversionFunctions are toInteger() and its like, each with the question
// whether it would have a value (FHIRPath 2.0 §5.5).
func conversionFunctions() map[string]*function {
	all := map[string]*function{}
	for name, to := range map[string]func(v *Value) (Value, bool){
		"Boolean": toBoolean, "Integer": toInteger, "Decimal": toDecimal, "String": toText,
		"Date": toDate, "DateTime": toDateTime, "Time": toTime,
	} {
		sys := systemNamed(name)
		all["to"+name] = pureFunction(0, 0, SystemNone, sys, func(m *machine, in Value, _ []Value) (Value, bool, error) {
			v, ok := to(&in)
			return v, ok, m.spendText(len(v.text))
		})
		all["convertsTo"+name] = &function{truth: func(m *machine, n *node) (tri, error) {
			return m.converts(n, func(v *Value) bool { _, ok := to(v); return ok })
		}}
	}
	all["toQuantity"] = pureFunction(0, 1, SystemNone, SystemQuantity, (*machine).toQuantity)
	all["convertsToQuantity"] = &function{most: 1, truth: (*machine).convertsToQuantity}
	return all
}

// converts is false too for an element that is no primitive.
func (m *machine) converts(n *node, ok func(v *Value) bool) (tri, error) {
	v, there, err := m.single(n.left)
	if err != nil || !there {
		return unknown, err
	}
	in, is := m.system(v)
	return triOf(is && ok(&in)), nil
}

func toBoolean(v *Value) (Value, bool) {
	switch v.sys { //nolint:exhaustive // the others are never booleans
	case SystemBoolean:
		return *v, true
	case SystemInteger, SystemDecimal:
		d := v.asDecimal()
		one := d.Cmp(apd.New(1, 0)) == 0
		return Boolean(one), one || d.IsZero()
	case SystemString:
		switch string(bytes.ToLower(v.text[:min(len(v.text), 6)])) {
		case "true", "t", "yes", "y", "1", "1.0":
			return Boolean(true), true
		case "false", "f", "no", "n", "0", "0.0":
			return Boolean(false), true
		}
	}
	return Value{}, false
}

func toInteger(v *Value) (Value, bool) {
	switch v.sys { //nolint:exhaustive // the others are never integers
	case SystemInteger:
		return *v, true
	case SystemBoolean:
		return integerOf(v.num), true
	case SystemString:
		n, ok := integer(v.text)
		return integerOf(n), ok
	}
	return Value{}, false
}

func toDecimal(v *Value) (Value, bool) {
	switch v.sys { //nolint:exhaustive // the others are never decimals
	case SystemInteger, SystemDecimal:
		return decimalOf(v.asDecimal()), true
	case SystemBoolean:
		return decimalOf(apd.New(v.num, 0)), true
	case SystemString:
		return plainDecimal(v.text)
	}
	return Value{}, false
}

// plainDecimal reads a number that has no exponent.
func plainDecimal(s []byte) (Value, bool) {
	if bytes.ContainsAny(s, "eE") || len(s) == 0 || !isDigit(s[len(s)-1]) {
		return Value{}, false
	}
	if first := bytes.TrimLeft(s[:min(len(s), 2)], "+-"); len(first) == 0 || first[0] == '.' {
		return Value{}, false
	}
	d, ok := parseDecimal(s)
	return decimalOf(d), ok
}

func toText(v *Value) (Value, bool) { return String(v.Text()), v.sys != systemInfo }

func toDate(v *Value) (Value, bool) {
	switch v.sys { //nolint:exhaustive // the others are never dates
	case SystemDate:
		return *v, true
	case SystemDateTime:
		out, ok := temporal(v.text[:min(len(v.text), 10)], SystemDate)
		return out, ok
	case SystemString:
		if d, ok := temporal(v.text, SystemDate); ok {
			return d, true
		}
		if d, ok := toDateTime(v); ok {
			return toDate(&d)
		}
	}
	return Value{}, false
}

func toDateTime(v *Value) (Value, bool) {
	switch v.sys { //nolint:exhaustive // the others are never dates
	case SystemDateTime:
		return *v, true
	case SystemDate, SystemString:
		return temporal(v.text, SystemDateTime)
	}
	return Value{}, false
}

func toTime(v *Value) (Value, bool) {
	switch v.sys { //nolint:exhaustive // the others are never times
	case SystemTime:
		return *v, true
	case SystemString:
		return temporal(bytes.TrimPrefix(v.text, []byte{'T'}), SystemTime)
	}
	return Value{}, false
}

// quantityFrom reads a quantity: a number, and perhaps a unit of the calendar or
// one of UCUM in quotes.
func quantityFrom(v *Value) (Value, bool) {
	switch v.sys { //nolint:exhaustive // the others are never quantities
	case SystemQuantity, SystemInteger, SystemDecimal:
		return v.asQuantity()
	case SystemBoolean:
		return quantityOf(apd.New(v.num, 0), []byte("1"), false), true
	case SystemString:
	default:
		return Value{}, false
	}
	number, unit := v.text, []byte(nil)
	if i := bytes.IndexAny(number, " \t\r\n'"); i >= 0 {
		number, unit = number[:i], bytes.TrimSpace(number[i:])
	}
	d, ok := plainDecimal(number)
	switch {
	case !ok:
		return Value{}, false
	case unit == nil:
		return quantityOf(d.dec, []byte("1"), false), true
	case len(unit) > 2 && unit[0] == '\'' && bytes.IndexByte(unit[1:], '\'') == len(unit)-2:
		return quantityOf(d.dec, unit[1:len(unit)-1], false), true
	}
	return quantityOf(d.dec, unit, true), calendarUnit(string(unit)) != ""
}

// unitArgument is the unit that toQuantity() is asked for.
func unitArgument(s []byte) Value {
	one := apd.New(1, 0)
	if calendarUnit(string(s)) != "" {
		return quantityOf(one, s, true)
	}
	return quantityOf(one, bytes.Trim(s, "'"), false)
}

func (m *machine) toQuantity(in Value, args []Value) (v Value, ok bool, err error) {
	v, ok = quantityFrom(&in)
	if !ok || len(args) == 0 {
		return v, ok, nil
	}
	s, err := textArgument(args, 0)
	if err != nil {
		return v, false, err
	}
	to := unitArgument(s)
	d, ok, err := m.converted(&v, &to)
	to.dec = d
	return to, ok, err
}

func (m *machine) convertsToQuantity(n *node) (tri, error) {
	if len(n.args) == 0 {
		return m.converts(n, func(v *Value) bool { _, ok := quantityFrom(v); return ok })
	}
	s, ok, err := m.text(n.args[0])
	if err != nil || !ok {
		return unknown, err
	}
	t, err := m.converts(n, func(v *Value) bool {
		q, ok := quantityFrom(v)
		if !ok {
			return false
		}
		to := unitArgument(s)
		_, ok, err = m.converted(&q, &to)
		return ok && err == nil
	})
	return t, err
}
