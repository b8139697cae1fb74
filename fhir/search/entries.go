package search

import (
	"bytes"
	"slices"
)

// Entries are the index entries of one resource: pairs of a parameter and an
// order-preserving value, sorted and without duplicates once Sort has run. The
// zero value is empty and ready to use.
type Entries struct {
	buf   []byte
	spans []span
	// fold and norm are working memory of foldText, walk that of an Indexer.
	fold, norm []byte
	walk       *walker
}

type span struct {
	param      Param
	start, end int
}

// Reset empties e and keeps its memory.
func (e *Entries) Reset() { e.buf, e.spans = e.buf[:0], e.spans[:0] }

// Len is the number of entries.
func (e *Entries) Len() int { return len(e.spans) }

// At returns entry i. The value is shared with e.
func (e *Entries) At(i int) (Param, []byte) {
	s := e.spans[i]
	return s.param, e.buf[s.start:s.end:s.end]
}

// Add appends an entry whose value is the parts put together.
func (e *Entries) Add(p Param, parts ...[]byte) {
	start := len(e.buf)
	for _, part := range parts {
		e.buf = append(e.buf, part...)
	}
	e.spans = append(e.spans, span{p, start, len(e.buf)})
}

// Sort orders the entries by parameter and value and removes duplicates.
func (e *Entries) Sort() {
	slices.SortFunc(e.spans, func(a, b span) int {
		if a.param != b.param {
			return int(a.param) - int(b.param)
		}
		return bytes.Compare(e.buf[a.start:a.end], e.buf[b.start:b.end])
	})
	e.spans = slices.CompactFunc(e.spans, func(a, b span) bool {
		return a.param == b.param && bytes.Equal(e.buf[a.start:a.end], e.buf[b.start:b.end])
	})
}
