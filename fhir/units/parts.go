package units

import (
	"bytes"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/iimos/ucum"
)

// MaxCode is how long a code is at most that is looked at. What is beyond this and
// the other bounds stands for itself.
const MaxCode = 64

const (
	maxParts    = 12
	maxExponent = 30
)

// part is one part of a unit, such as dL in mg/dL.
type part struct {
	atom     string
	exponent int
}

// Plain is a unit without what is annotated in it, which measures nothing
// (UCUM §6): mg{creatinine} is mg, and {cells} is 1.
func Plain(code []byte) string {
	var b strings.Builder
	for i := 0; i < len(code); i++ {
		end := bytes.IndexByte(code[i:], '}')
		if code[i] != '{' || end < 0 {
			b.WriteByte(code[i])
			continue
		}
		if i == 0 || strings.IndexByte("./(", code[i-1]) >= 0 {
			b.WriteByte('1')
		}
		i += end
	}
	return b.String()
}

// readParts takes a unit apart (UCUM §7). ok is false for what is none, or more
// than is looked at.
func readParts(code []byte) (parts []part, ok bool) {
	if len(code) == 0 || len(code) > MaxCode {
		return nil, false
	}
	sign := []int{1} // of each open parenthesis
	divide := 1
	s := Plain(code)
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return nil, false
		}
	}
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case '.', '/':
			divide = 1
			if c == '/' {
				divide = -1
			}
			i++
		case '(':
			sign = append(sign, sign[len(sign)-1]*divide)
			divide = 1
			i++
		case ')':
			if len(sign) == 1 {
				return nil, false
			}
			sign = sign[:len(sign)-1]
			i++
		default:
			part, end, ok := readPart(s, i)
			if !ok || len(parts) == maxParts {
				return nil, false
			}
			part.exponent *= sign[len(sign)-1] * divide
			parts, i = append(parts, part), end
		}
	}
	return parts, len(sign) == 1
}

// readPart reads an atom and its exponent; a whole number has no atom.
func readPart(s string, at int) (p part, end int, ok bool) {
	i := at
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == len(s) || strings.IndexByte("./()", s[i]) >= 0 {
		return part{s[at:i], 1}, i, i-at <= 9
	}
	for i < len(s) && strings.IndexByte("./()+-0123456789", s[i]) < 0 {
		if s[i] == '[' {
			for i < len(s) && s[i] != ']' {
				i++
			}
		}
		if i < len(s) {
			i++
		}
	}
	p.atom = s[at:i]
	end = i
	if end < len(s) && (s[end] == '+' || s[end] == '-') {
		end++
	}
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	p.exponent = 1
	if end > i {
		n, err := strconv.Atoi(s[i:end])
		if err != nil || n == 0 || n > maxExponent || n < -maxExponent {
			return p, end, false
		}
		p.exponent = n
	}
	return p, end, true
}

// dimensions are the exponents of base units, sorted by their names.
type dimensions []part

func (d *dimensions) add(p part, times int) {
	i, found := slices.BinarySearchFunc(*d, p.atom, func(e part, name string) int { return strings.Compare(e.atom, name) })
	if !found {
		*d = slices.Insert(*d, i, part{p.atom, 0})
	}
	(*d)[i].exponent += p.exponent * times
}

// appendTo writes the product as a unit.
func (d dimensions) appendTo(dst []byte) []byte {
	start := len(dst)
	for _, p := range d {
		if p.exponent == 0 {
			continue
		}
		if len(dst) > start {
			dst = append(dst, '.')
		}
		dst = append(dst, p.atom...)
		if p.exponent != 1 {
			dst = strconv.AppendInt(dst, int64(p.exponent), 10)
		}
	}
	if len(dst) == start {
		return append(dst, '1')
	}
	return dst
}

// atom is a unit of one name in base units.
type atom struct {
	base        []part
	times, plus *big.Rat
}

// newAtom finds what an atom is made of: it is convertible to exactly one of the
// things that UCUM's atoms measure, or arbitrary and a base of its own. ok is false for what is no atom, or has no even scale, as decibels and
// pH have none.
func newAtom(name string) (a atom, ok bool) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return atom{times: new(big.Rat).SetUint64(n), plus: new(big.Rat)}, n > 0
	}
	if uneven(name) {
		return a, false
	}
	own := strings.IndexByte(name, '[')
	if own >= 0 && arbitrary(name[own:]) {
		return a.alone(name, name[own:])
	}
	for _, measured := range measures() {
		if c, ok := converter(name, measured); ok {
			if measured != "1" {
				a.base, _ = readParts([]byte(measured))
			}
			return a, a.scale(c)
		}
	}
	if own < 0 {
		return a, false
	}
	return a.alone(name, name[own:])
}

// alone makes an atom of a base of its own. [IU] is [iU] by another name.
func (a atom) alone(name, base string) (atom, bool) {
	c, ok := converter(name, base)
	if base == "[IU]" {
		base = "[iU]"
	}
	a.base = []part{{base, 1}}
	return a, ok && a.scale(c)
}

// arbitrary reports whether what is in brackets is a unit that can be compared
// with itself alone, such as [iU] (UCUM §24). The library takes those for plain
// numbers.
func arbitrary(name string) bool {
	switch name {
	case "[pi]", "[ppth]", "[ppm]", "[ppb]", "[pptr]":
		return false
	}
	_, ok := converter(name, "1")
	return ok
}

// uneven reports whether an atom has a scale that is not even, as decibels and pH
// have (UCUM §21, but for degrees). The library would compute powers of anything.
func uneven(name string) bool {
	for _, end := range []string{"B", "Np", "bit_s", "[slope]", "[p'diop]", "[pH]", "[m/s2/Hz^0.5]"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return strings.Contains(name, "B[") || strings.Contains(name, "[hp'_")
}

// scale asks a conversion for three values, which say how it goes if it is even.
func (a *atom) scale(c ucum.PairConverter) bool {
	at := func(x int64) *big.Rat { return c.ConvBigRat(big.NewRat(x, 1)) }
	a.plus = at(0)
	a.times = new(big.Rat).Sub(at(1), a.plus)
	twice := new(big.Rat).Sub(at(2), a.plus)
	return twice.Cmp(new(big.Rat).Add(a.times, a.times)) == 0 && a.times.Sign() > 0
}

// converter converts between two units; ok is false when one is none, or they
// measure different things. Nothing of it stays in memory.
func converter(from, to string) (c ucum.PairConverter, ok bool) {
	f, err := ucum.Parse([]byte(from))
	if err != nil {
		return nil, false
	}
	t, err := ucum.Parse([]byte(to))
	if err != nil {
		return nil, false
	}
	c, err = ucum.NewPairConverter(f, t)
	return c, err == nil
}

// measures are the things that UCUM's atoms measure, the common ones first. What
// cancels itself out in a definition stays in what the library makes of it, so it
// stands here too.
func measures() []string {
	return []string{
		"1", "g", "m3", "s", "m", "m-1.g.s-2", "K", "s-1", "m2.g.s-2", "m2.g.s-3", "m2.s-2", "m2", "m-1", "rad", "C", "cd",
		"m.g.s-2", "C.s-1", "m2.g.s-2.C-1", "m-2.g-1.s2.C2", "m2.g.s-1.C-2", "m-2.g-1.s.C2", "m2.g.s-1.C-1", "g.s-1.C-1",
		"m2.g.C-2", "cd.rad2", "cd.rad2.m-2", "cd.m-2", "rad2", "m-1.g.s-1", "m2.s-1", "C.g-1", "m.s-1", "m.s-2", "g.m-1",
		"m-4.g.s-1", "m3.g-1.s-1", "C.m-1.s-1", "m2.g.s-1", "m2.g.s-2.K-1", "m-3.g-1.s2.C2", "m3.g-1.s-2", "m.g.C-2",
		"K.g-1.s3", "m2.K.g-1.s3.m-2", "m3.s-1.g-1", "m2.s-2.g.g-1", "m2.m-2.g.s-1.C-1", "m2.g.s-2.C.C-1",
		"m2.g.C-2.s.s-1", "C.s-1.m.m-1",
	}
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
