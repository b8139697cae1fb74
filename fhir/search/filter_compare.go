package search

import (
	"bytes"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// comparedText compares strings. Case and accents count for nothing.
func (r *reading) comparedText(pp *paramPlan, compare, v string) (Clause, *fault) {
	m, f := textMatches(pp, v)
	if f != nil {
		return Clause{}, f
	}
	text := m[0]
	switch compare {
	case "sw":
		return Clause{Any: []Match{text}}, nil
	case "eq":
		text.Key = append(text.Key, 0)
		return Clause{Any: []Match{text}}, nil
	case "co":
		text.Op = OpContains
	case "ew":
		text.Op, text.Key = OpContains, append(text.Key, 0)
	case "ne":
		text.Key = append(text.Key, 0)
		return r.readEach(pp, func(e *Entries) bool { return differs(e, []Match{text}) }), nil
	case "gt", "lt", "ge", "le":
		return r.readEach(pp, func(e *Entries) bool { return sorts(e, text.Key, compare) }), nil
	default:
		return Clause{}, incomparable(pp, compare)
	}
	return r.within(pp, text), nil
}

// comparedWhole compares what is the same or not.
func (r *reading) comparedWhole(pp *paramPlan, compare, v string) (Clause, *fault) {
	token, reference, uri := pp.Kind == r4.ParamToken, pp.Kind == r4.ParamReference, pp.Kind == r4.ParamURI
	v = expanded(v)
	switch {
	case compare == "re" && reference, compare == "eq" && !reference:
		matches, f := r.value(pp, v)
		return Clause{Any: matches}, f
	case compare == "ne" && (token || uri):
		matches, f := r.value(pp, v)
		if f != nil || pp.number == ParamID {
			return Clause{Any: matches, Not: true}, f
		}
		return r.readEach(pp, func(e *Entries) bool { return differs(e, matches) }), nil
	case (compare == "sw" || compare == "co") && uri:
		m := Match{Param: pp.number, Op: OpPrefix, Key: append([]byte{tagURI}, v...)}
		if compare == "co" {
			m.Op = OpContains
		}
		return Clause{Any: []Match{m}}, nil
	case token && coded(r.table, pp):
		return r.comparedConcept(pp, compare, v)
	}
	return Clause{}, incomparable(pp, compare)
}

// comparedConcept compares by value sets and hierarchies.
func (r *reading) comparedConcept(pp *paramPlan, compare, v string) (c Clause, f *fault) {
	switch compare {
	case "in":
		c.Any, f = r.in(pp, v)
	case "ss":
		c.Any, f = r.below(pp, v)
	case "sb":
		c.Any, f = r.above(pp, v)
	default:
		f = incomparable(pp, compare)
	}
	return c, f
}

// overlapping compares the extents of times: po overlaps, co has the value
// within.
func (r *reading) overlapping(p Param, compare, v string) ([]Match, *fault) {
	m, ok := parseMoment([]byte(v), r.zone)
	if !ok {
		return nil, bad("must be a date or time such as 2026, 2026-11, 2026-11-22 or 2026-11-22T08:30:00+08:00")
	}
	b := Bounds{LowMin: beforeAll, LowMax: m.high, HighMin: m.low, HighMax: afterAll}
	if compare == "co" {
		b.LowMax, b.HighMin = m.low, m.high
	}
	return appendRange(nil, p, tagMoment, nil, b, dayWidth), nil
}

// ofEach is a reading of values one by one, each as the entries that it makes.
type ofEach struct {
	ofItems
	holds func(e *Entries) bool
}

// Holds reports whether it holds for one of the values.
func (o *ofEach) Holds(t *fhir.Tape) bool {
	w := walker{Indexer: o.index, tape: t, out: &Entries{}}
	return o.each(t, func(a *action, n fhir.Node, index int) bool {
		w.out.Reset()
		w.extract(a, n, index)
		return hasValue(w.out) && o.holds(w.out)
	})
}

// hasValue reports whether there is anything to compare.
func hasValue(e *Entries) bool {
	for i := range e.Len() {
		if _, value := e.At(i); value[0] != tagPresent {
			return true
		}
	}
	return false
}

// readEach holds for one of the values of a parameter.
func (r *reading) readEach(pp *paramPlan, holds func(e *Entries) bool) Clause {
	reads := &ofEach{ofItems{&Indexer{r.table, r.zone}, pp.number}, holds}
	return Clause{All: [][]Clause{{{Any: []Match{present(pp.number)}}, {Read: []Reading{reads}}}}}
}

// nearNumber is co of a number: the precision of what is written in the resource
// includes the value (R4 search_filter.html#ops).
type nearNumber struct {
	ofItems
	low, high uint64
}

// Holds looks at the numbers as they are written.
func (o *nearNumber) Holds(t *fhir.Tape) bool {
	return o.each(t, func(_ *action, n fhir.Node, _ int) bool {
		if t.Kind(n) != fhir.Number {
			return false
		}
		s, ok := parseNumber(t.Raw(n))
		low, high := s.implied(nil)
		return ok && low <= o.low && o.high <= high
	})
}

func (r *reading) near(pp *paramPlan, v string) (Clause, *fault) {
	s, ok := parseNumber([]byte(v))
	if !ok {
		return Clause{}, bad("must be a number")
	}
	n := &nearNumber{ofItems: ofItems{&Indexer{r.table, r.zone}, pp.number}}
	n.low, n.high = s.decimal().bounds()
	return Clause{All: [][]Clause{{{Any: []Match{present(pp.number)}}, {Read: []Reading{n}}}}}, nil
}

// differs reports whether a value is none of those.
func differs(e *Entries, matches []Match) bool {
	for i := range e.Len() {
		_, value := e.At(i)
		for j := range matches {
			if matches[j].Accepts(value) {
				return false
			}
		}
	}
	return true
}

// sorts reports whether one of the texts of a value sorts so beside a text.
func sorts(e *Entries, text []byte, compare string) bool {
	for i := range e.Len() {
		_, value := e.At(i)
		folded, _, ok := bytes.Cut(value, []byte{0})
		if !ok || value[0] != tagText {
			continue
		}
		order := bytes.Compare(folded, text)
		switch compare {
		case "gt":
			ok = order > 0
		case "lt":
			ok = order < 0
		case "ge":
			ok = order >= 0
		default:
			ok = order <= 0
		}
		if ok {
			return true
		}
	}
	return false
}
