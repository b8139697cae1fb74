package search

import (
	"bytes"

	"vitrine/fhir"
)

// contains understands name:contains (R4 search.html#string).
func (r *reading) contains(pp *paramPlan, values []string) (Clause, *fault) {
	var parts []Match
	for i, v := range values {
		m, f := textMatches(pp, unescape(v))
		if f != nil {
			return Clause{}, inValue(f, i, values)
		}
		m[0].Op = OpContains
		parts = append(parts, m[0]) // words are parts of the text
	}
	return r.within(pp, parts...), nil
}

// within holds for texts that have one of the parts, wherever it stands. Names and
// addresses are short; of other texts entries may have no more than the beginning,
// and then the resource is read.
func (r *reading) within(pp *paramPlan, parts ...Match) Clause {
	c := Clause{Any: parts}
	if pp.forms.has(extractString) && !pp.person {
		long := &inLong{ofItems{&Indexer{r.table, r.zone}, pp.number}, parts}
		c.All = [][]Clause{{{Any: []Match{equal(pp.number, []byte{tagLong})}}, {Read: []Reading{long}}}}
	}
	return c
}

// inLong looks for parts of texts that are longer than their entries.
type inLong struct {
	ofItems
	parts []Match
}

// Holds looks at whole texts.
func (l *inLong) Holds(t *fhir.Tape) bool {
	var folded, scratch []byte
	return l.each(t, func(a *action, n fhir.Node, _ int) bool {
		if a.extract != extractString || t.Kind(n) != fhir.String {
			return false
		}
		folded, scratch = foldText(folded[:0], t.Bytes(n, nil), scratch)
		folded = append(folded, 0)
		for i := range l.parts {
			if bytes.Contains(folded, l.parts[i].Key[1:]) {
				return true
			}
		}
		return false
	})
}
