package validate

import (
	"slices"

	"vitrine/fhir"
)

// national checks an Identifier of a system of NRIC and FIN: capital letters, and
// the check letter that belongs to the digits.
func (w *walker) national(n fhir.Node) {
	if len(w.how.National) == 0 {
		return
	}
	value := w.t.Field(n, "value")
	if w.t.Kind(value) != fhir.String {
		return
	}
	var room [128]byte
	system := w.t.Bytes(w.t.Field(n, "system"), room[:])
	if !slices.ContainsFunc(w.how.National, func(s string) bool { return s == string(system) }) {
		return
	}
	if !IsNational(w.t.Bytes(value, room[:])) {
		w.fail(value, fhir.CodeBusinessRule,
			"value must be an NRIC or FIN: one of S T F G M, seven digits and the check letter that belongs to them, in capitals")
	}
}

// IsNational says that a text is an NRIC or FIN with the right check letter.
func IsNational(b []byte) bool {
	const weights = "2765432"
	if len(b) != 9 {
		return false
	}
	sum, letters := 0, "XWUTRQPNMLK"
	switch b[0] {
	case 'S', 'T':
		letters = "JZIHGFEDCBA"
	case 'F', 'G':
	case 'M':
		letters = "XWUTRQPNJLK"
	default:
		return false
	}
	switch b[0] {
	case 'T', 'G':
		sum = 4
	case 'M':
		sum = 3
	}
	for i, c := range b[1:8] {
		if c < '0' || c > '9' {
			return false
		}
		sum += int(c-'0') * int(weights[i]-'0')
	}
	return b[8] == letters[sum%11]
}
