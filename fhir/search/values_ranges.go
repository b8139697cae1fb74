package search

import "strings"

// prefix is how a value is compared (R4 search.html#prefix).
type prefix uint8

const (
	prefixEq prefix = iota
	prefixNe
	prefixGt
	prefixLt
	prefixGe
	prefixLe
	prefixSa
	prefixEb
	prefixAp
)

// cutPrefix takes the prefix from the front of a value.
func cutPrefix(v string) (prefix, string, *fault) {
	if len(v) < 2 || !isLower(v[0]) || !isLower(v[1]) {
		return prefixEq, v, nil
	}
	p, ok := prefixEq, true
	switch v[:2] {
	case "eq":
	case "ne":
		p = prefixNe
	case "gt":
		p = prefixGt
	case "lt":
		p = prefixLt
	case "ge":
		p = prefixGe
	case "le":
		p = prefixLe
	case "sa":
		p = prefixSa
	case "eb":
		p = prefixEb
	case "ap":
		p = prefixAp
	default:
		ok = false
	}
	if !ok {
		return 0, "", bad("has an unknown prefix; eq, ne, gt, lt, ge, le, sa, eb and ap are known")
	}
	return p, v[2:], nil
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

// searched is the range of a value in a query, and the wider one that counts as
// near it.
type searched struct {
	low, high         uint64
	aboutLow, aboutHi uint64
}

// bounds are the boxes of entries that compare so with a range; they do not
// overlap. What is above a value for ge starts with the value itself, for gt it
// starts after its range; below likewise.
func (s searched) bounds(p prefix) (out []Bounds) {
	within := func(lowMin, lowMax, highMin, highMax uint64) {
		out = append(out, Bounds{LowMin: lowMin, LowMax: lowMax, HighMin: highMin, HighMax: highMax})
	}
	below, above := s.low > beforeAll, s.high < afterAll
	switch p {
	case prefixEq:
		within(s.low, afterAll, beforeAll, s.high)
	case prefixGe:
		within(beforeAll, afterAll, s.low, afterAll)
	case prefixLe:
		within(beforeAll, s.high, beforeAll, afterAll)
	case prefixNe:
		if below {
			within(beforeAll, s.low-1, beforeAll, afterAll)
		}
		if above {
			within(s.low, afterAll, s.high+1, afterAll)
		}
	case prefixGt:
		if above {
			within(beforeAll, afterAll, s.high+1, afterAll)
		}
	case prefixLt:
		if below {
			within(beforeAll, s.low-1, beforeAll, afterAll)
		}
	case prefixSa:
		if above {
			within(s.high+1, afterAll, beforeAll, afterAll)
		}
	case prefixEb:
		if below {
			within(beforeAll, afterAll, beforeAll, s.low-1)
		}
	case prefixAp:
		within(beforeAll, s.aboutHi, s.aboutLow, afterAll)
	}
	return out
}

// date understands a time with a prefix (R4 search.html#date). Near means within
// the extent of the value itself either side, a day for anything shorter.
func (r *reading) date(param Param, v string) ([]Match, *fault) {
	p, rest, f := cutPrefix(v)
	if f != nil {
		return nil, f
	}
	rest = strings.Replace(rest, " ", "+", 1) // the plus of a zone that was not escaped
	m, ok := parseMoment([]byte(rest), r.zone)
	if !ok {
		return nil, bad("must be a date or time such as 2026, 2026-11, 2026-11-22 or 2026-11-22T08:30:00+08:00, perhaps after a prefix")
	}
	near := max(m.high-m.low, dayWidth)
	s := searched{m.low, m.high, m.low - near, m.high + near}
	var out []Match
	for _, b := range s.bounds(p) {
		out = appendRange(out, param, tagMoment, nil, b, dayWidth)
	}
	return out, nil
}

// numberSearched understands a number with a prefix (R4 search.html#number):
// its precision counts for equality alone. u is the unit it is in; nil for none.
func numberSearched(v string, u *unit) (searched, prefix, *fault) {
	p, rest, f := cutPrefix(v)
	if f != nil {
		return searched{}, 0, f
	}
	n, ok := parseNumber([]byte(rest))
	if !ok {
		return searched{}, 0, bad("must be a number, perhaps after a prefix")
	}
	var s searched
	if p == prefixEq || p == prefixNe {
		s.low, s.high = n.implied(u)
	} else {
		s.low, s.high = u.decimal(n).bounds()
	}
	s.aboutLow, s.aboutHi = n.about(u)
	return s, p, nil
}

func numberMatches(param Param, v string) ([]Match, *fault) {
	s, p, f := numberSearched(v, nil)
	if f != nil {
		return nil, f
	}
	var out []Match
	for _, b := range s.bounds(p) {
		out = appendRange(out, param, tagNumber, nil, b, 1)
	}
	return out, nil
}

// quantityMatches understands number, number|system|code and number||unit (R4
// search.html#quantity). With the system of UCUM it finds the same amount in every
// unit that measures the same.
func (t *table) quantityMatches(param Param, v string) ([]Match, *fault) {
	parts, _ := splitEscaped(v, '|')
	if f := legibleValue(v); f != nil {
		return nil, f
	}
	if len(parts) != 1 && len(parts) != 3 || len(parts) == 3 && parts[2] == "" {
		return nil, bad("must be number, number|system|code or number||unit")
	}
	tag, key := byte(tagValue), []byte(nil)
	var u *unit
	if len(parts) == 3 {
		system, code := []byte(unescape(parts[1])), []byte(unescape(parts[2]))
		if tag = tagUnit; len(system) > 0 {
			tag = tagSystemCode
			if u = t.unitOf(system, code); u != nil {
				code = u.base
			}
			key = append(appendSystemCode(nil, system, code), 0)
		} else {
			key = append(appendPart(nil, code), 0)
		}
	}
	s, p, f := numberSearched(parts[0], u)
	if f != nil {
		return nil, f
	}
	var out []Match
	for _, b := range s.bounds(p) {
		out = appendRange(out, param, tag, key, b, 1)
	}
	return out, nil
}

// pairMatches understands the two numbers of a composite that join a token. Each
// of them is a single number, so a comparison is an interval of it.
func pairMatches(first, last string) ([]Match, *fault) {
	a, ap, f := numberSearched(first, nil)
	if f != nil {
		return nil, f
	}
	b, bp, f := numberSearched(last, nil)
	if f != nil {
		return nil, f
	}
	var out []Match
	for _, x := range a.bounds(ap) {
		for _, y := range b.bounds(bp) {
			box := Bounds{
				LowMin: max(x.LowMin, x.HighMin), LowMax: min(x.LowMax, x.HighMax),
				HighMin: max(y.LowMin, y.HighMin), HighMax: min(y.LowMax, y.HighMax),
			}
			if box.possible() {
				out = append(out, ranged(0, tagPair, nil, box))
			}
		}
	}
	return out, nil
}
