// Package units owns what the codes of UCUM mean: what a unit is in base units,
// within bounds on what is looked at. It does not own numbers of a unit, which are
// search's and fhirpath's.
package units

import (
	"math/big"

	"github.com/iimos/ucum"
)

// System is the system of UCUM's codes.
const System = "http://unitsofmeasure.org"

// Unit is a unit in base units: so many times, plus so much.
type Unit struct {
	// Base is the product of base units, such as g.m-3, and 1 for a plain number.
	Base        []byte
	Times, Plus *big.Rat
}

// Parse works out a unit from its parts: what each is in base units, and how
// many. What has a zero of its own, as degrees have, must stand alone. ok is false
// for what is no unit of UCUM with a scale that can be converted: it stands for
// itself. Nothing of it stays in memory.
func Parse(code []byte) (u Unit, ok bool) {
	parts, ok := readParts(code)
	if !ok {
		return u, false
	}
	if _, err := ucum.Parse([]byte(Plain(code))); err != nil {
		return u, false
	}
	u = Unit{Times: big.NewRat(1, 1), Plus: new(big.Rat)}
	var sum dimensions
	for _, p := range parts {
		a, ok := newAtom(p.atom)
		if !ok || a.plus.Sign() != 0 && (len(parts) > 1 || p.exponent != 1) {
			return Unit{}, false
		}
		for _, b := range a.base {
			sum.add(b, p.exponent)
		}
		u.Plus = a.plus
		for range max(p.exponent, -p.exponent) {
			if p.exponent > 0 {
				u.Times.Mul(u.Times, a.times)
			} else {
				u.Times.Quo(u.Times, a.times)
			}
		}
	}
	u.Base = sum.appendTo(nil)
	return u, true
}
