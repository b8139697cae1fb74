package search

import (
	"bytes"
	"math/big"
	"math/bits"
	"sync"

	"vitrine/fhir/units"
)

// unitTable knows the units of UCUM by what they are in base units, so that 5 mg and
// 5000 ug are filed as the same. It remembers as many as it may; which ones are
// asked for is in the hands of clients. It is safe for concurrent use.
type unitTable struct {
	mu    sync.RWMutex
	known map[string]*unit
}

// maxUnits bounds what is remembered. When there are more, all are forgotten.
const maxUnits = 4096

// unit is a unit in base units: so many times, plus so much.
type unit struct {
	// base is the product of base units, such as g.m-3, and 1 for a plain number.
	base        []byte
	times, plus *big.Rat
	// digits, over and scale are times where it is digits by over times ten to the
	// power of scale and plus is nothing; otherwise digits is 0.
	digits, over uint64
	scale        int
	// offset is plus where times is 1, as of degrees Celsius; otherwise its value is 0.
	offset significand
}

// unitOf is what a code of a system means; nil when it stands for itself.
func (t *table) unitOf(system, code []byte) *unit {
	if string(system) != units.System {
		return nil
	}
	return t.units.of(code)
}

// of is what a code means; nil when it is no unit of UCUM with a scale that can be
// converted: its code then stands for itself.
func (u *unitTable) of(code []byte) *unit {
	u.mu.RLock()
	known, ok := u.known[string(code)]
	u.mu.RUnlock()
	if ok {
		return known
	}
	known = newUnit(code)
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.known) >= maxUnits || u.known == nil {
		u.known = make(map[string]*unit)
	}
	if len(code) <= units.MaxCode {
		u.known[string(code)] = known
	}
	return known
}

// newUnit is a unit in a form that is quick to reckon with.
func newUnit(code []byte) *unit {
	u, ok := units.Parse(code)
	if !ok {
		return nil
	}
	n := &unit{base: u.Base, times: u.Times, plus: u.Plus}
	n.simplify()
	return n
}

// simplify finds digits, over and scale, or offset.
func (n *unit) simplify() {
	if n.plus.Sign() != 0 {
		hundred := new(big.Rat).Mul(n.plus, big.NewRat(100, 1))
		if n.times.Cmp(big.NewRat(1, 1)) == 0 && hundred.IsInt() && hundred.Num().IsUint64() {
			n.offset = significand{value: hundred.Num().Uint64(), scale: -2}
		}
		return
	}
	num, up := withoutTens(n.times.Num())
	den, down := withoutTens(n.times.Denom())
	if num.IsUint64() && den.IsUint64() {
		n.digits, n.over, n.scale = num.Uint64(), den.Uint64(), up-down
	}
}

// withoutTens is a number without the zeros at its end, and how many there are.
func withoutTens(x *big.Int) (rest *big.Int, tens int) {
	rest = x
	for {
		q, r := new(big.Int).QuoRem(rest, big.NewInt(10), new(big.Int))
		if r.Sign() != 0 {
			return rest, tens
		}
		rest = q
		tens++
	}
}

// decimal is a number of the unit in base units, rounded toward zero to what a key
// holds; nil units leave it as it is.
func (n *unit) decimal(s significand) decimal {
	if n == nil {
		return s.decimal()
	}
	if n.digits != 0 {
		return n.product(s)
	}
	if sum, ok := n.offset.plus(s); ok {
		return sum.decimal()
	}
	if s.scale > 400 || s.scale < -400 {
		return s.decimal() // beyond any measure, in any unit
	}
	r := new(big.Rat).SetInt(new(big.Int).SetUint64(s.value))
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(s.scale, -s.scale))), nil)
	if s.scale < 0 {
		r.Quo(r, new(big.Rat).SetInt(power))
	} else {
		r.Mul(r, new(big.Rat).SetInt(power))
	}
	if s.negative {
		r.Neg(r)
	}
	d := rounded(r.Add(r.Mul(r, n.times), n.plus))
	d.inexact = d.inexact || s.lost
	return d
}

// product multiplies and divides in 128 bits.
func (n *unit) product(s significand) decimal {
	out := significand{negative: s.negative, scale: s.scale + n.scale, lost: s.lost}
	high, low := bits.Mul64(s.value, n.digits)
	out.shorten(high, low)
	if n.over > 1 {
		for out.value > 0 && out.value < 1e18 { // so that enough digits are left
			out.value *= 10
			out.scale--
		}
		high, low = bits.Mul64(out.value, 1e18)
		out.scale -= 18
		var r uint64
		high, r = high/n.over, high%n.over
		low, r = bits.Div64(r, low, n.over)
		out.lost = out.lost || r != 0
		out.shorten(high, low)
	}
	return out.decimal()
}

// plus adds two numbers when both are short, as temperatures are.
func (n significand) plus(s significand) (sum significand, ok bool) {
	const short = 1e9
	if n.value == 0 || n.value > short || s.value > short || s.lost || s.scale > 0 || s.scale < -9 {
		return sum, false
	}
	a, b := int64(n.value), int64(s.value) //nolint:gosec // both are short
	for at := n.scale; at > s.scale; at-- {
		a *= 10
	}
	for at := s.scale; at > n.scale; at-- {
		b *= 10
	}
	if s.negative {
		b = -b
	}
	sum = significand{negative: a+b < 0, value: uint64(max(a+b, -a-b)), scale: min(n.scale, s.scale)} //nolint:gosec // not negative
	return sum, true
}

// shorten makes a value of 128 bits the significand's, by cutting off digits.
func (n *significand) shorten(high, low uint64) {
	for high > 0 {
		var r uint64
		high, r = high/10, high%10
		low, r = bits.Div64(r, low, 10)
		n.lost = n.lost || r != 0
		n.scale++
	}
	n.value = low
}

// rounded is a rational rounded toward zero to sixteen digits.
func rounded(r *big.Rat) decimal {
	d := decimal{negative: r.Sign() < 0}
	if r.Sign() == 0 {
		return d
	}
	num := new(big.Int).Abs(r.Num())
	ten := big.NewInt(10)
	power := func(n int) *big.Int { return new(big.Int).Exp(ten, big.NewInt(int64(n)), nil) }
	// one more digit than there can be, and then the last ones off
	shift := digits16 + 1 + (r.Denom().BitLen()-num.BitLen())*30103/100000
	den := r.Denom()
	if shift >= 0 {
		num = num.Mul(num, power(shift))
	} else {
		den = new(big.Int).Mul(den, power(-shift))
	}
	q, rest := new(big.Int).QuoRem(num, den, new(big.Int))
	digit := new(big.Int)
	for q.Cmp(power(digits16)) >= 0 {
		q.QuoRem(q, ten, digit)
		d.inexact = d.inexact || digit.Sign() != 0
		shift--
	}
	d.inexact = d.inexact || rest.Sign() != 0
	d.digits, d.exp = q.Uint64(), digits16-1-shift
	return d
}

// metresIn is how many metres a unit of length is: kilometres, metres and miles by
// their common names, and those of UCUM.
func metresIn(name string) (float64, bool) {
	if name == "mi" {
		name = "[mi_i]"
	}
	n := newUnit([]byte(name))
	if n == nil || !bytes.Equal(n.base, []byte("m")) {
		return 0, false
	}
	f, _ := n.times.Float64()
	return f, true
}
