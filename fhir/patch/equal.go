package patch

import (
	"bytes"
	"math/big"

	"vitrine/fhir"
)

// equal compares two values as JSON (RFC 6902 §4.6): numbers by what they are
// worth, strings by their characters, objects whatever their order.
func equal(a *fhir.Tape, n fhir.Node, b *fhir.Tape, m fhir.Node) bool {
	if a.Kind(n) != b.Kind(m) {
		return false
	}
	switch a.Kind(n) {
	case fhir.String:
		return bytes.Equal(a.Bytes(n, nil), b.Bytes(m, nil))
	case fhir.Number:
		return equalNumbers(a.Raw(n), b.Raw(m))
	case fhir.Array:
		n, m = a.First(n), b.First(m)
		for n != fhir.None && m != fhir.None {
			if !equal(a, n, b, m) {
				return false
			}
			n, m = a.Next(n), b.Next(m)
		}
		return n == m // both None
	case fhir.Object:
		return equalObjects(a, n, b, m)
	case fhir.True, fhir.False, fhir.Null, fhir.Invalid:
		return true
	default:
		return false
	}
}

// fewMembers is how many members are looked for one by one.
const fewMembers = 16

func equalObjects(a *fhir.Tape, n fhir.Node, b *fhir.Tape, m fhir.Node) bool {
	size := count(a, n)
	if size != count(b, m) {
		return false
	}
	find := func(name []byte) fhir.Node { return b.Field(m, string(name)) }
	if size > fewMembers {
		byName := make(map[string]fhir.Node, size)
		for c := b.First(m); c != fhir.None; c = b.Next(c) {
			byName[string(b.Key(c))] = c
		}
		find = func(name []byte) fhir.Node {
			if c, ok := byName[string(name)]; ok {
				return c
			}
			return fhir.None
		}
	}
	for c := a.First(n); c != fhir.None; c = a.Next(c) {
		other := find(a.Key(c))
		if other == fhir.None || !equal(a, c, b, other) {
			return false
		}
	}
	return true
}

// equalNumbers compares exactly, without ever writing a number out: 1e999999999
// is as cheap as 1.
func equalNumbers(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, y := numberOf(a), numberOf(b)
	return !x.beyond && !y.beyond && x.negative == y.negative && bytes.Equal(x.digits, y.digits) && x.exponent.Cmp(y.exponent) == 0
}

// number is digits times ten to the exponent, without zeros at either end; zero
// has no digits and no sign. One that is beyond all measure equals nothing but
// itself as it is written.
type number struct {
	negative bool
	beyond   bool
	digits   []byte
	exponent *big.Int
}

// exponentMost is how long an exponent may be that is worked out.
const exponentMost = 400

func numberOf(raw []byte) number {
	n := number{exponent: new(big.Int)}
	raw, n.negative = bytes.CutPrefix(raw, []byte{'-'})
	mantissa := raw
	if e := bytes.IndexAny(raw, "eE"); e >= 0 {
		mantissa = raw[:e]
		n.beyond = len(raw)-e > exponentMost
		if !n.beyond {
			n.exponent.SetString(string(bytes.TrimPrefix(raw[e+1:], []byte{'+'})), 10)
		}
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte{'.'})
	n.digits = append(bytes.Clone(whole), fraction...)
	n.exponent.Sub(n.exponent, big.NewInt(int64(len(fraction))))
	n.digits = bytes.TrimLeft(n.digits, "0")
	trimmed := bytes.TrimRight(n.digits, "0")
	n.exponent.Add(n.exponent, big.NewInt(int64(len(n.digits)-len(trimmed))))
	n.digits = trimmed
	if len(n.digits) == 0 {
		return number{exponent: new(big.Int)}
	}
	return n
}
