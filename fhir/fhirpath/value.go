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
	systemTypeInfo // what type() answers
)

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
	// num is an integer, a boolean, or seconds of the wall clock since 1970.
	num int64
	// text is a string, or the unit of a quantity.
	text []byte
	// dec is a decimal, or the number of a quantity.
	dec *apd.Decimal
}

// precision is how far a date or time is told.
type precision uint8

// noZone stands for the zone of a time that has none.
const noZone int16 = 1 << 14

// Boolean is a computed boolean.
func Boolean(b bool) Value {
	v := Value{Node: fhir.None, sys: SystemBoolean}
	if b {
		v.num = 1
	}
	return v
}

// String is a computed string.
func String(s string) Value { return Value{Node: fhir.None, sys: SystemString, text: []byte(s)} }

// Integer is a computed integer.
func Integer(n int32) Value { return Value{Node: fhir.None, sys: SystemInteger, num: int64(n)} }

// System is the type of a computed value; SystemNone for an element.
func (v Value) System() System { return v.sys }

// IsElement says that the value stands on the tape: at Node, or where a
// primitive has no value, at Extra.
func (v Value) IsElement() bool { return v.sys == SystemNone && (v.Node != fhir.None || v.Extra != 0) }

// Bool is a computed boolean; ok is false for anything else.
func (v Value) Bool() (value, ok bool) { return v.num != 0, v.sys == SystemBoolean }

// Text is a computed value as toString() writes it; "" for an element.
func (v Value) Text() string {
	switch v.sys { //nolint:exhaustive // the others are not computed yet
	case SystemBoolean:
		return strconv.FormatBool(v.num != 0)
	case SystemInteger:
		return strconv.FormatInt(v.num, 10)
	default:
		return string(v.text)
	}
}
