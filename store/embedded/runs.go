package embedded

import (
	"slices"

	"vitrine/fhir/search"
	"vitrine/store"
)

// run is a stretch of the postings of one tag, forwards or backwards.
type run struct {
	w      *walk
	key    search.SortKey
	it     postings
	prefix int // length of what stands before the value
	buf    []byte
	live   bool
	value  []byte // without its tag
	n      number
	// within are the clauses that the value must satisfy, as it is the only one
	// of its row; passed counts the values that did not.
	within []search.Clause
	passed int
}

// cheaper is how many postings may be passed by for the price of a row.
const cheaper = 16

// stand reads where a run stands; what does not sort is passed by.
func (r *run) stand() error {
	for r.live {
		value, n, err := cutPosting(r.it.Key()[r.prefix:], r.buf)
		if err != nil {
			return err
		}
		r.buf = value
		var ok bool
		if r.value, ok = r.key.Cut(value); ok && r.accepts(value) {
			r.n = n
			return nil
		}
		if r.passed++; r.passed%cheaper == 0 {
			if *r.w.budget--; *r.w.budget < 0 {
				return store.ErrTooCostly
			}
		}
		r.step()
	}
	return r.it.Error()
}

func (r *run) accepts(value []byte) bool {
	for _, c := range r.within {
		if !slices.ContainsFunc(c.Any, func(m search.Match) bool { return m.Accepts(value) }) {
			return false
		}
	}
	return true
}

func (r *run) step() {
	if r.key.Descending {
		r.live = r.it.Prev()
	} else {
		r.live = r.it.Next()
	}
}
