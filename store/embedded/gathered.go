package embedded

import (
	"encoding/binary"
	"errors"

	"vitrine/consent"
	"vitrine/fhir/search"
)

// matchStream streams the rows of a type that a match holds for; errShort when
// more than limit postings would have to be gathered for it.
func (v *view) matchStream(e consent.Edition, t typeNumber, m search.Match, limit int) (stream, error) {
	switch m.Op {
	case search.OpEqual:
		return newKeys(v.src, prefixValue(nil, e, m.Param, t, m.Key))
	case search.OpPrefix, search.OpRange, search.OpContains:
		if limit == 0 {
			return nil, errMany
		}
		return v.gather(e, t, m, limit)
	case search.OpIn, search.OpAbove, search.OpBelow: // what they name was not resolved
		return nothing{}, nil
	default:
		return nothing{}, nil
	}
}

// gather reads the postings of a prefix or a range, which lie in the order of
// their values, and puts them in the order of numbers.
func (v *view) gather(e consent.Edition, t typeNumber, m search.Match, limit int) (stream, error) {
	prefix := prefixPostings(nil, e, m.Param, t)
	lower, upper := postingBounds(prefix, m)
	it, err := v.postingsOf(e, t, m.Param, lower, upper)
	if err != nil {
		return nil, err
	}
	var found []number
	var buf []byte
	read := 0
	for ok := it.First(); ok; ok = it.Next() {
		if read++; read > limit {
			return nil, errors.Join(errShort, it.Close())
		}
		value, n, err := cutPosting(it.Key()[len(prefix):], buf)
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		if buf = value; m.Accepts(value) {
			found = append(found, n)
		}
	}
	return newSorted(found), errors.Join(it.Error(), it.Close())
}

// postingBounds are the bounds of the keys of a prefix, or of the low bounds of
// a range.
func postingBounds(prefix []byte, m search.Match) (lower, upper []byte) {
	if m.Op == search.OpContains {
		low := appendEscaped(append([]byte(nil), prefix...), m.Key[:min(1, len(m.Key))])
		return low, after(low)
	}
	low := appendEscaped(append([]byte(nil), prefix...), m.Key)
	if m.Op == search.OpPrefix {
		return low, after(low)
	}
	var bound [8]byte
	binary.BigEndian.PutUint64(bound[:], m.Bounds.LowMax)
	upper = after(appendEscaped(append([]byte(nil), low...), bound[:]))
	binary.BigEndian.PutUint64(bound[:], m.Bounds.LowMin)
	return appendEscaped(low, bound[:]), upper
}
