package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir/search"
)

// span is between which values the low bound of a range lies.
type span struct{ low, high uint64 }

// bounds are those of the keys that start with prefix and have their value
// within the span.
func (s span) bounds(prefix []byte, k search.SortKey) (lower, upper []byte) {
	if !k.Range {
		return prefix, after(prefix)
	}
	var bound [8]byte
	binary.BigEndian.PutUint64(bound[:], s.high)
	upper = after(appendEscaped(bytes.Clone(prefix), bound[:]))
	binary.BigEndian.PutUint64(bound[:], s.low)
	return appendEscaped(prefix, bound[:]), upper
}

// spans are, by tag, within what the clauses confine a row's range of the sort
// key, when it has but one; nil when they do not. met says that a row without
// any does not match.
func (s *searching) spans() (spans map[byte]span, met bool) {
	for _, c := range s.ranges() {
		one, _ := s.spansOf(c)
		if spans == nil {
			spans = one
			continue
		}
		for tag, a := range spans {
			b, ok := one[tag]
			if a = (span{max(a.low, b.low), min(a.high, b.high)}); !ok || a.low > a.high {
				delete(spans, tag)
				continue
			}
			spans[tag] = a
		}
	}
	return spans, spans != nil
}

// ranges are the clauses that are about nothing but ranges of the sort key.
func (s *searching) ranges() []search.Clause {
	var all []search.Clause
	for _, c := range s.q.Clauses {
		if _, ok := s.spansOf(c); ok {
			all = append(all, c)
		}
	}
	return all
}

// spansOf are the spans of a clause that is about nothing but ranges of the sort key.
func (s *searching) spansOf(c search.Clause) (map[byte]span, bool) {
	k := s.q.Sort[0]
	if !c.Plain() {
		return nil, false
	}
	moments := k.Param == search.ParamLastUpdated || s.q.Type == typeAuditEvent && s.view.db.events != nil && s.view.db.events.Chronological(k.Param)
	spans := map[byte]span{}
	for _, m := range c.Any {
		var one [17]byte
		if m.Param != k.Param || m.Op != search.OpRange || len(m.Key) != 1 || !k.Range {
			return nil, false
		}
		one[0] = m.Key[0]
		if _, sorts := k.Cut(one[:]); !sorts {
			return nil, false
		}
		low, high := m.Bounds.LowMin, m.Bounds.LowMax
		if l, h, ok := m.Moments(); ok && moments {
			low, high = l, h
		}
		if low > high {
			continue
		}
		within, ok := spans[m.Key[0]]
		if !ok {
			within = span{low, high}
		}
		spans[m.Key[0]] = span{min(within.low, low), max(within.high, high)}
	}
	return spans, true
}

// single reports whether no row of the type has several ranges of the sort key
// in the edition.
func (s *searching) single(e consent.Edition) (bool, error) {
	_, closer, err := s.view.src.Get(several{e, s.q.Sort[0].Param, s.t}.key())
	if errors.Is(err, pebble.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, closer.Close()
}
