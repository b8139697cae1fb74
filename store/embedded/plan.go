package embedded

import (
	"encoding/binary"
	"errors"
	"math"

	"vitrine/consent"
	"vitrine/fhir/search"
)

const (
	// probed is how many hits of a clause are tried before it counts as not
	// selective.
	probed = 64
	// maxUnion is the most alternatives of a clause that are walked together.
	maxUnion = 64
	// gatherMost bounds what is read of a list of postings that is not in the
	// order of numbers. Only universes of all patients read such lists: how long
	// one is depends on patients whom another universe does not hold.
	gatherMost = 1 << 16
	noLimit    = math.MaxInt
)

var errMany = errors.New("too many postings to gather")

// driver chooses what leads the walk over the rows of a type: the clause with
// the fewest hits in the universe; several clauses together, when each has many
// hits among many patients; or the rows themselves, given as nil. Whatever leads,
// every clause is checked on each row.
func (v *view) driver(e consent.Edition, t typeNumber, u *consent.Universe, q *search.Query, own *owners) (stream, error) {
	clauses, err := v.clauseStreams(e, t, u, q, own)
	if err != nil || len(clauses) == 0 {
		return nil, err
	}
	if _, own := u.Contributor(); own {
		return both(clauses), nil // what others contributed is not looked at
	}
	best, fewest := -1, probed
	for i, s := range clauses {
		if hits := countHits(s, own, fewest); hits < fewest {
			best, fewest = i, hits
		}
	}
	if best >= 0 {
		chosen := clauses[best]
		rest := append(clauses[:best:best], clauses[best+1:]...)
		return chosen, closeAll(rest)
	}
	if _, listed := u.Patients(); listed {
		return nil, closeAll(clauses)
	}
	if own.kind == ownersListed {
		for i, s := range clauses {
			clauses[i] = confined{s, own}
		}
	}
	return both(clauses), nil
}

// clauseStreams are the streams of the clauses that have one.
func (v *view) clauseStreams(e consent.Edition, t typeNumber, u *consent.Universe, q *search.Query, own *owners) ([]stream, error) {
	var all []stream
	if org, ok := u.Contributor(); ok {
		s, err := newKeys(v.src, prefixValue(nil, e, paramContributor, t, []byte(org)))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	limit := gatherMost
	if own.kind == ownersListed {
		limit = 0
	}
	for _, c := range q.Clauses {
		s, err := v.clauseStream(e, t, c, limit)
		if errors.Is(err, errMany) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		all = append(all, s)
	}
	return all, nil
}

func (v *view) clauseStream(e consent.Edition, t typeNumber, c search.Clause, limit int) (stream, error) {
	if !c.Plain() || len(c.Any) > maxUnion {
		return nil, errMany
	}
	if len(c.Any) == 0 {
		return nothing{}, nil
	}
	var all union
	stream := v.matchStream
	if n, ok := v.typeNumber(typeAuditEvent); ok && n == t {
		stream = v.eventStream
	}
	for _, m := range c.Any {
		s, err := stream(e, t, m, limit)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, s)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

// matchStream streams the rows of a type that a match holds for; errMany when
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
			return nil, errors.Join(errMany, it.Close())
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

// countHits counts the hits of a stream in the universe, up to limit.
func countHits(s stream, own *owners, limit int) int {
	at := number(0)
	for hits := 0; hits < limit; {
		n, ok := s.seek(at)
		if !ok {
			return hits
		}
		o, ok := own.next(n.ordinal())
		if !ok {
			return hits
		}
		if o > n.ordinal() {
			at = o.first()
			continue
		}
		hits++
		at = n + 1
	}
	return limit
}
