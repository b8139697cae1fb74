package fhirpath

import (
	"github.com/cockroachdb/apd/v3"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// system is an element as a value of the language's own types (R4
// fhirpath.html#types); ok is false for one that has no value, or stands for none.
func (m *machine) system(v Value) (out Value, ok bool) {
	if v.sys != SystemNone {
		return v, true
	}
	if v.Type == nil || v.Node == fhir.None {
		return out, false
	}
	if v.Type.Kind != r4.KindPrimitive {
		if m.isQuantity(v.Type) {
			return m.quantity(v.Node)
		}
		return out, false
	}
	switch m.tape.Kind(v.Node) {
	case fhir.True, fhir.False:
		return Boolean(m.tape.Kind(v.Node) == fhir.True), true
	case fhir.Number:
		out, ok = m.number(v.Node, v.Type.Primitive == r4.PrimitiveDecimal)
		return out, ok
	case fhir.String:
		out = stringOf(m.tape.Bytes(v.Node, nil))
	case fhir.Invalid, fhir.Object, fhir.Array, fhir.Null:
		return out, false
	}
	if sys := temporalOf(v.Type.Primitive); sys != SystemNone {
		if t, ok := temporal(out.text, sys); ok {
			return t, true
		}
	}
	return out, true
}

// temporalOf is the type of the language that a date or time of R4 stands for.
func temporalOf(p r4.Primitive) System {
	switch p { //nolint:exhaustive // the others are no time
	case r4.PrimitiveDate:
		return SystemDate
	case r4.PrimitiveDateTime, r4.PrimitiveInstant:
		return SystemDateTime
	case r4.PrimitiveTime:
		return SystemTime
	}
	return SystemNone
}

// number is a JSON number: an integer as far as it may be one.
func (m *machine) number(n fhir.Node, decimal bool) (Value, bool) {
	raw := m.tape.Raw(n)
	if !decimal {
		if i, ok := integer(raw); ok {
			return integerOf(i), true
		}
	}
	d, ok := parseDecimal(raw)
	return decimalOf(d), ok
}

// integer reads what fits an Integer, which has 32 bits.
func integer(s []byte) (n int64, ok bool) {
	negative := len(s) > 1 && s[0] == '-'
	if negative || len(s) > 1 && s[0] == '+' {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	for _, c := range s {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, fitsInteger(n)
}

func fitsInteger(n int64) bool { return n >= -1<<31 && n < 1<<31 }

// The bounds of a decimal.
const (
	maxDigits   = 200
	maxExponent = 400
)

// parseDecimal reads a number as it is written; ok is false for what is none, or
// beyond what is reckoned with.
func parseDecimal(s []byte) (d *apd.Decimal, ok bool) {
	if len(s) == 0 || len(s) > maxDigits {
		return nil, false
	}
	for _, c := range s {
		if !isDigit(c) && c != '.' && c != '-' && c != '+' && c|0x20 != 'e' {
			return nil, false
		}
	}
	d, _, err := apd.NewFromString(string(s))
	if err != nil || d.Form != apd.Finite || d.Exponent > maxExponent || d.Exponent < -maxExponent {
		return nil, false
	}
	return d, true
}

// isQuantity reports whether a type is Quantity or derived from it.
func (m *machine) isQuantity(t *r4.Type) bool {
	q := m.prog.known.quantity
	return t == q || t.Base == q && q != nil
}

// quantity reads a Quantity. One with a comparator is none of the language's: it
// does not tell how much it is.
func (m *machine) quantity(obj fhir.Node) (out Value, ok bool) {
	t := m.tape
	value := t.Field(obj, "value")
	if t.Kind(value) != fhir.Number || t.Field(obj, "comparator") != fhir.None {
		return out, false
	}
	d, ok := parseDecimal(t.Raw(value))
	unit := t.Bytes(t.Field(obj, "code"), nil)
	if unit == nil {
		unit = t.Bytes(t.Field(obj, "unit"), nil)
	}
	if unit == nil {
		unit = []byte("1")
	}
	return quantityOf(d, unit, false), ok
}

// asDecimal is an integer or decimal as a decimal.
func (v *Value) asDecimal() *apd.Decimal {
	if v.sys == SystemInteger {
		return apd.New(v.num, 0)
	}
	return v.dec
}

func (v *Value) isNumber() bool { return v.sys == SystemInteger || v.sys == SystemDecimal }

func (v *Value) isMoment() bool { return v.sys == SystemDate || v.sys == SystemDateTime }
