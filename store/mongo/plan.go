package mongo

import (
	"fmt"

	"vitrine/fhir/search"
)

// say adds a line to the plan, when somebody wants to know it.
func (a *asking) say(format string, args ...any) {
	if a.plan != nil {
		*a.plan = append(*a.plan, fmt.Sprintf(format, args...))
	}
}

// told says what the servers are asked, and what is left.
func (s *searching) told() {
	if s.ask.plan == nil {
		return
	}
	named := 0
	for i := range s.clauses {
		if s.clauses[i].exact {
			named++
		}
	}
	s.ask.say("%s: %d conditions in the filter, %d of them name entries of the index {x, n}; %d clauses examined row by row", s.q.Type, len(s.clauses), named, len(s.residual))
	if s.never {
		s.ask.say("%s: no row can satisfy all clauses", s.q.Type)
	}
	if len(s.q.Sort) > 0 {
		s.ask.say("%s: sorted by the values of all matches", s.q.Type)
	}
}

// toldJoin says from which end a join was taken.
func (s *searching) toldJoin(j *search.Join, t *targets, rows int) {
	if s.ask.plan == nil {
		return
	}
	way := "along the reference"
	if j.Reverse {
		way = "against the reference"
	}
	_, named := t.matches()
	switch {
	case named:
		s.ask.say("%s to %s, %s: %d rows lead to %d values, which are put into the filter", s.q.Type, j.Type, way, rows, len(t.holds))
	case t.all:
		s.ask.say("%s to %s, %s: %d rows lead to %d values, which are kept and looked up", s.q.Type, j.Type, way, rows, len(t.holds))
	default:
		s.ask.say("%s to %s, %s: more than %d rows, so rows of %s are asked about, %d at a time", s.q.Type, j.Type, way, rows-1, s.q.Type, s.v.db.opt.ways.asked)
	}
}

// toldEvents says by which index events are sought.
func (k *seeking) toldEvents() {
	if k.ask.plan == nil {
		return
	}
	index := "_id"
	if k.index != nil {
		index = fmt.Sprintf("%v", k.index)
	}
	k.ask.say("%s: %d conditions in the filter, index %s; what is found is examined further: %v", k.q.Type, len(k.conditions), index, !k.exact)
}
