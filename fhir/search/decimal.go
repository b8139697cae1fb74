package search

import "math"

// digits16 is how many significant digits a key keeps. Decimals of up to that
// many are mapped exactly and one to one; of longer ones the bounds enclose the
// value, so that two that share their first sixteen digits count as overlapping.
const digits16 = 16

// decimal is a JSON number, read exactly as far as a key can hold it: 16 digits
// d.ddd… times ten to the power of exp.
type decimal struct {
	negative bool
	digits   uint64 // from 10^15 to below 10^16; 0 for zero
	exp      int
	inexact  bool // further digits were cut off
}

const (
	expBias  = 256
	expLimit = 511
	// midKey is the key of zero.
	midKey = uint64(1) << 63
)

// bounds are the greatest key not above the value and the least not below it.
// Keys are in the order of the numbers.
func (d decimal) bounds() (low, high uint64) {
	size := uint64(0)
	if d.digits != 0 {
		switch e := d.exp + expBias; {
		case e < 1:
			d.inexact = true // between zero and the least key
		case e > expLimit:
			size, d.inexact = expLimit<<54|(1<<54-2), true
		default:
			size = uint64(e)<<54 | d.digits
		}
	}
	next := size
	if d.inexact {
		next++
	}
	if d.negative {
		return midKey - next, midKey - size
	}
	return midKey + size, midKey + next
}

// significand is a number as it was written: value times ten to the power of
// scale, with every digit that was given.
type significand struct {
	negative bool
	value    uint64
	scale    int
	// lost counts digits beyond what value holds; they are cut off.
	lost bool
	// plainExponent says that an exponent was given to a whole number.
	plainExponent bool
}

// parseNumber reads a JSON number, or one with a leading + or zeros as a query
// may have it. ok is false for anything else.
func parseNumber(s []byte) (n significand, ok bool) {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		n.negative = s[i] == '-'
		i++
	}
	whole, i := n.read(s, i, false)
	fraction := 0
	if i < len(s) && s[i] == '.' {
		fraction, i = n.read(s, i+1, true)
		if fraction == 0 {
			return n, false
		}
	}
	if whole == 0 {
		return n, false
	}
	if i == len(s) {
		return n, true
	}
	if s[i]|0x20 != 'e' {
		return n, false
	}
	n.plainExponent = fraction == 0
	exp, ok := parseExponent(s[i+1:])
	n.scale += exp
	return n, ok
}

// read takes digits from s[i:] and says how many there were.
func (n *significand) read(s []byte, i int, fraction bool) (count, end int) {
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		count++
		if n.lost || n.value > (math.MaxUint64-9)/10 {
			n.lost = true
			if !fraction {
				n.scale++
			}
			continue
		}
		n.value = n.value*10 + uint64(s[i]-'0')
		if fraction {
			n.scale--
		}
	}
	return count, i
}

// parseExponent reads what follows the e; what is too great for any key is
// capped.
func parseExponent(s []byte) (int, bool) {
	sign, i := 1, 0
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = -1
		}
		i = 1
	}
	if i == len(s) {
		return 0, false
	}
	exp := 0
	for ; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		exp = min(exp*10+int(s[i]-'0'), 1<<20)
	}
	return sign * exp, true
}

// decimal rounds n toward zero to what a key holds.
func (n significand) decimal() decimal {
	d := decimal{negative: n.negative, digits: n.value, inexact: n.lost}
	if n.value == 0 {
		return d
	}
	d.exp = n.scale + digits16 - 1
	for d.digits >= 1e16 {
		d.inexact = d.inexact || d.digits%10 != 0
		d.digits /= 10
		d.exp++
	}
	for d.digits < 1e15 {
		d.digits *= 10
		d.exp--
	}
	return d
}

// implied are the keys within the range that the precision of n implies:
// half a unit of its last digit either side, the upper end excluded (R4
// search.html#number). A whole number with an exponent counts one digit more,
// as in R4's own example 1e2, which is [95, 105). u is the unit it is in; nil for
// none.
func (n significand) implied(u *unit) (low, high uint64) {
	scale := n.scale
	value := n.value
	if n.plainExponent && value < math.MaxUint64/100 {
		value, scale = value*10, scale-1
	}
	if n.lost || value > (math.MaxUint64-5)/10 {
		return u.decimal(n).bounds()
	}
	near := significand{negative: n.negative, value: value*10 - 5, scale: scale - 1}
	far := significand{negative: n.negative, value: value*10 + 5, scale: scale - 1}
	switch {
	case value == 0:
		near = significand{negative: true, value: 5, scale: scale - 1}
		far.negative = false
	case n.negative:
		near, far = far, near
	}
	low, after := u.decimal(near).bounds()
	if u == nil {
		low = after // what is less than the end is not within; in units it may be rounded
	}
	end, after := u.decimal(far).bounds()
	if end == after {
		end--
	}
	return low, end
}

// about are the keys of a tenth either side (R4 search.html#prefix, ap).
func (n significand) about(u *unit) (low, high uint64) {
	if n.lost || n.value > math.MaxUint64/11 {
		return u.decimal(n).bounds()
	}
	near := significand{negative: n.negative, value: n.value * 9, scale: n.scale - 1}
	far := significand{negative: n.negative, value: n.value * 11, scale: n.scale - 1}
	if n.negative {
		near, far = far, near
	}
	low, _ = u.decimal(near).bounds()
	_, high = u.decimal(far).bounds()
	return low, high
}
