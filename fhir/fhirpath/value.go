package fhirpath

import (
	"strconv"

	"github.com/cockroachdb/apd/v3"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// System says which of the language's own types a computed value has. The zero
// value is none of them: the value is an element.
type System uint8

// The types of computed values (FHIRPath 2.0 §4.1).
const (
	SystemNone System = iota
	SystemBoolean
	SystemString
	SystemInteger
	SystemDecimal
	SystemDate
	SystemDateTime
	SystemTime
	SystemQuantity
	systemInfo // what type() answers
)

// String is the name of the type.
func (s System) String() string {
	names := [...]string{"", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity", "TypeInfo"}
	if int(s) < len(names) {
		return names[s]
	}
	return ""
}

// Value is one item of a collection: an element of the tape, or what was
// computed. The zero Value is the resource of the tape.
type Value struct {
	// Node is the element; fhir.None for what was computed, for a primitive that
	// has extensions but no value, and for the unread target of a reference.
	Node fhir.Node
	// Extra is the object beside a primitive that has its id and extensions
	// (R4 json.html#primitive); 0 when there is none.
	Extra fhir.Node
	// Type is the type of an element; nil for what was computed or is unknown.
	Type *r4.Type

	sys   System
	prec  precision // of a date, dateTime or time
	zone  int16     // minutes east of UTC; noZone when it is not told
	nanos uint32    // of the second
	// num is an integer, a boolean, seconds of the wall clock since 1970, or 1 for
	// a quantity whose unit is of the calendar and for a TypeInfo of System.
	num int64
	// text is a string, how a date or time is written, the unit of a quantity, or
	// the name of a type.
	text []byte
	// dec is a decimal, or the number of a quantity.
	dec *apd.Decimal
}

// Boolean is a computed boolean.
func Boolean(b bool) Value {
	v := Value{Node: fhir.None, sys: SystemBoolean}
	if b {
		v.num = 1
	}
	return v
}

// String is a computed string.
func String(s string) Value { return stringOf([]byte(s)) }

func stringOf(s []byte) Value { return Value{Node: fhir.None, sys: SystemString, text: s} }

// Integer is a computed integer.
func Integer(n int32) Value { return integerOf(int64(n)) }

func integerOf(n int64) Value { return Value{Node: fhir.None, sys: SystemInteger, num: n} }

func decimalOf(d *apd.Decimal) Value { return Value{Node: fhir.None, sys: SystemDecimal, dec: d} }

func quantityOf(d *apd.Decimal, unit []byte, calendar bool) Value {
	v := Value{Node: fhir.None, sys: SystemQuantity, dec: d, text: unit}
	if calendar {
		v.num = 1
	}
	return v
}

// System is the type of a computed value; SystemNone for an element.
func (v Value) System() System { return v.sys }

// IsElement says that the value stands on the tape: at Node, or where a
// primitive has no value, at Extra.
func (v Value) IsElement() bool { return v.sys == SystemNone && (v.Node != fhir.None || v.Extra != 0) }

// Bool is a computed boolean; ok is false for anything else.
func (v Value) Bool() (value, ok bool) { return v.num != 0, v.sys == SystemBoolean }

// Text is a computed value as toString() writes it; "" for an element.
func (v Value) Text() string {
	switch v.sys {
	case SystemNone:
		return ""
	case SystemBoolean:
		return strconv.FormatBool(v.num != 0)
	case SystemInteger:
		return strconv.FormatInt(v.num, 10)
	case SystemDecimal:
		return v.dec.Text('f')
	case SystemQuantity:
		if v.num != 0 {
			return v.dec.Text('f') + " " + string(v.text)
		}
		return v.dec.Text('f') + " '" + string(v.text) + "'"
	case systemInfo:
		if v.num != 0 {
			return "System." + string(v.text)
		}
		return "FHIR." + string(v.text)
	case SystemString, SystemDate, SystemDateTime, SystemTime:
	}
	return string(v.text)
}
