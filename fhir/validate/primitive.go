package validate

import (
	"bytes"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// maxString is the longest string (R4 datatypes.html#string), in bytes.
const maxString = 1 << 20

// primitive checks the JSON kind and the format of a primitive value, and its
// code.
func (w *walker) primitive(n fhir.Node, kind fhir.Kind, e *r4.Element) {
	p := e.Type.Primitive
	if p == r4.PrimitiveBoolean {
		if kind != fhir.True && kind != fhir.False {
			w.fail(n, fhir.CodeStructure, e.Name+" must be true or false, not "+kindName(kind))
		}
		return
	}
	want := fhir.String
	if p == r4.PrimitiveDecimal || p == r4.PrimitiveInteger || p == r4.PrimitiveUnsignedInt || p == r4.PrimitivePositiveInt {
		want = fhir.Number
	}
	if kind != want {
		w.fail(n, fhir.CodeStructure, e.Name+" must be "+kindName(want)+", not "+kindName(kind))
		return
	}
	if want == fhir.Number {
		if right := wrongNumber(p, w.t.Raw(n)); right != "" {
			w.fail(n, fhir.CodeValue, e.Name+" must be "+right)
		}
		return
	}
	raw := w.t.Raw(n)
	if len(raw) == 2 {
		w.fail(n, fhir.CodeValue, "a string must not be empty; leave "+e.Name+" out")
		return
	}
	var room [64]byte
	right := ""
	switch p { //nolint:exhaustive // the others need no check of their own here
	case r4.PrimitiveString, r4.PrimitiveMarkdown:
		if right = wrongText(raw); right == "" && blank(raw) {
			w.warn(n, fhir.CodeValue, e.Name+" should have more than white space")
		}
	case r4.PrimitiveXHTML:
		right = wrongXHTML(w.decoded(n), w.rules)
	case r4.PrimitiveBase64Binary:
		right = wrongBase64(w.decoded(n))
	case r4.PrimitiveURI, r4.PrimitiveURL, r4.PrimitiveCanonical:
		if raw[1] == '#' {
			w.locals = append(w.locals, local{n: n})
		}
		fallthrough
	default:
		right = wrongWord(p, w.t.Bytes(n, room[:]))
	}
	switch {
	case right != "" && p == r4.PrimitiveXHTML:
		w.fail(n, fhir.CodeInvariant, e.Name+" must be "+right)
	case right != "":
		w.fail(n, fhir.CodeValue, e.Name+" must be "+right)
	case e.Binding != nil:
		w.code(n, e, w.t.Bytes(n, room[:]))
	}
}

// decoded is a text of any length, in memory that the next one takes.
func (w *walker) decoded(n fhir.Node) []byte {
	raw := w.t.Raw(n)
	if len(raw) > cap(w.scratch) && bytes.IndexByte(raw, '\\') >= 0 {
		w.scratch = make([]byte, 0, 2*len(raw))
	}
	return w.t.Bytes(n, w.scratch)
}

// wrongNumber says what would be right when the number is not of the type.
func wrongNumber(p r4.Primitive, raw []byte) string {
	low, right := 0, ""
	switch p { //nolint:exhaustive // the others need no check of their own here
	case r4.PrimitiveInteger:
		low, right = -1<<31, "a whole number from -2147483648 to 2147483647"
	case r4.PrimitiveUnsignedInt:
		right = "a whole number from 0 to 2147483647"
	case r4.PrimitivePositiveInt:
		low, right = 1, "a whole number from 1 to 2147483647"
	default:
		return ""
	}
	digits, negative := raw, false
	if raw[0] == '-' {
		digits, negative = raw[1:], true
	}
	value := 0
	for _, c := range digits {
		if c < '0' || c > '9' || value > 1<<31 {
			return right
		}
		value = value*10 + int(c-'0')
	}
	if negative {
		value = -value
	}
	if value < low || value > 1<<31-1 {
		return right
	}
	return ""
}

// wrongText checks a string or markdown as it is written: a control character
// can only stand there as an escape (R4 datatypes.html#string).
func wrongText(raw []byte) string {
	if len(raw) > maxString+2 {
		return "no longer than 1 MiB"
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		switch raw[i] {
		case 'b', 'f':
			return "without control characters"
		case 'u':
			if code := raw[i+1 : i+5]; code[0] == '0' && code[1] == '0' && code[2] < '2' && !white(code[2:]) {
				return "without control characters"
			}
		}
	}
	return ""
}

// blank says that a text as it is written is white space alone (R4
// datatypes.html#string).
func blank(raw []byte) bool {
	for _, c := range raw[1 : len(raw)-1] {
		if c > ' ' {
			return false
		}
	}
	return true
}

// white says that the last two digits of \u00xx mean tab, line feed or carriage
// return.
func white(xx []byte) bool {
	switch string(xx) {
	case "09", "0a", "0A", "0d", "0D":
		return true
	}
	return false
}

// wrongBase64 allows white space between the characters (R4
// datatypes.html#base64Binary).
func wrongBase64(b []byte) string {
	const right = "base64 (RFC 4648, section 4)"
	count, pads := 0, 0
	for _, c := range b {
		switch {
		case c == '=':
			pads++
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
			continue
		case pads > 0 || !base64Letter(c):
			return right
		}
		count++
	}
	if count == 0 || count%4 != 0 || pads > 2 {
		return right
	}
	return ""
}

func base64Letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}
