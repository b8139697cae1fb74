package mongo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"unicode/utf8"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// An entry is a string whose characters are the bytes of parameter and value, so
// that strings sort as the bytes do. The entries that every document has are
// filed under parameters that no search has.
const (
	paramType        search.Param = 0xFFFF
	paramContributor search.Param = 0xFFFE
)

// entry is the string of an entry.
func entry(p search.Param, value ...[]byte) string {
	raw := binary.BigEndian.AppendUint16(make([]byte, 0, 64), uint16(p))
	for _, v := range value {
		raw = append(raw, v...)
	}
	return characters(raw)
}

// characters is the string whose characters are the bytes.
func characters(raw []byte) string {
	s := make([]byte, 0, len(raw)+len(raw)/4)
	for _, c := range raw {
		s = utf8.AppendRune(s, rune(c))
	}
	return string(s)
}

func typeEntry(t fhir.ResourceType) string { return entry(paramType, []byte(t)) }

func contributorEntry(organization string) string {
	return entry(paramContributor, []byte(organization))
}

// paramOf is the parameter of an entry.
func paramOf(s string) search.Param {
	var p search.Param
	n := 0
	for _, r := range s {
		p = p<<8 | search.Param(r) //nolint:gosec // entries have no other characters
		if n++; n == 2 {
			break
		}
	}
	return p
}

// value is the value of an entry.
func value(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r)) //nolint:gosec // entries have no other characters
	}
	return b[min(2, len(b)):]
}

// next is the least value above all that start with prefix; nil when none is.
func next(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xFF {
			return append(append([]byte(nil), prefix[:i]...), prefix[i]+1)
		}
	}
	return nil
}

// A position is where a document stands in the order: the stretch of its
// patient, and the number it was given when it came.
const stretchSize = 8

// The stretches of what has no patient. Those of patients have the first bit
// clear.
const (
	stretchShared     uint64 = 1<<64 - 2
	stretchQuarantine uint64 = 1<<64 - 1
	stretchPatients   uint64 = 1 << 63 // the end of theirs
)

// stretchOf is drawn from the patient's id and the salt, so that the order tells
// nothing. Two patients may share one: filters name the patient, too.
func (db *DB) stretchOf(patient string) uint64 {
	h := hmac.New(sha256.New, db.salt)
	h.Write([]byte(patient))
	return binary.BigEndian.Uint64(h.Sum(nil)) >> 1
}

// firstOf is the patient whose stretch comes first.
func (db *DB) firstOf(patients []string) (first string, stretch uint64) {
	for i, p := range patients {
		if s := db.stretchOf(p); i == 0 || s < stretch {
			first, stretch = p, s
		}
	}
	return first, stretch
}

func position(stretch, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, stretch), sequence)
}

func stretchAt(n []byte) uint64 {
	if len(n) < stretchSize {
		return stretchQuarantine
	}
	return binary.BigEndian.Uint64(n)
}

func sequenceAt(n []byte) uint64 {
	if len(n) != 2*stretchSize {
		return 0
	}
	return binary.BigEndian.Uint64(n[stretchSize:])
}

// stretchOfHome is where rows without a patient lie.
func stretchOfHome(h consent.Home) uint64 {
	if h == consent.HomeShared {
		return stretchShared
	}
	return stretchQuarantine
}
