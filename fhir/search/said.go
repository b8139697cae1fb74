package search

import "vitrine/fhir/r4"

// said marks a reference parameter under which stands what a resource says itself,
// and not which patient a logical reference in it was linked to: R4's numbers and
// those of the added parameters leave the bit free.
const said Param = 0x4000

// Said makes of clauses the same about what resources say themselves. They hold for
// the entries that IndexSaid makes, and for no others.
func (x *Indexer) Said(all []Clause) []Clause {
	out := CloneClauses(all)
	x.say(out)
	return out
}

func (t *table) say(all []Clause) {
	for i := range all {
		c := &all[i]
		for j := range c.Any {
			t.sayOf(&c.Any[j].Param)
		}
		for j := range c.Via {
			t.sayOf(&c.Via[j].Param)
			t.say(c.Via[j].Clauses)
		}
		for j := range c.All {
			t.say(c.All[j])
		}
	}
}

func (t *table) sayOf(p *Param) {
	if t.refers(*p) {
		*p |= said
	}
}

// refers reports whether a parameter is a reference. One that is not known counts
// as one: it then finds nothing.
func (t *table) refers(p Param) bool {
	if p >= FirstAdded && p <= LastAdded {
		a, known := t.added[p]
		return !known || a.Kind == r4.ParamReference
	}
	sp := t.defs.ParamByNumber(uint16(p))
	return sp != nil && sp.Kind == r4.ParamReference
}

// repeat adds the entries of a reference once more, as what was said.
func (w *walker) repeat(from int) {
	for _, s := range w.out.spans[from:] {
		s.param |= said
		w.out.spans = append(w.out.spans, s)
	}
}

// link adds the patients for whom logical references turned out to stand.
func (w *walker) link(p Param) {
	for _, patient := range w.linked {
		at := w.out.begin(tagReference)
		w.out.buf = append(append(w.out.buf, "Patient/"...), patient...)
		w.out.commit(p, at)
	}
	w.linked = w.linked[:0]
}
