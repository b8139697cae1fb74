package mongo

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"vitrine/fhir/search"
)

// served is what the servers can say of a clause: a condition that all rows
// satisfy for which it holds, and whether no others do. Without a condition
// nothing is known or, when it is exact, it holds for every row.
type served struct {
	condition
	known bool // there is a condition
	whole bool // it says all of the clause
	never bool // it holds for no row
	// weighs is how much the alternatives of the condition weigh.
	weighs int
}

// serve says of every clause what the servers can, and keeps the others to be
// examined where the documents are.
func (s *searching) serve(all []search.Clause) {
	for i := range all {
		c := &all[i]
		if group, ok := conjunction(c); ok {
			s.serve(group)
			continue
		}
		f := s.served(c)
		s.never = s.never || f.never
		s.weight += f.weighs
		if f.known {
			s.clauses = append(s.clauses, f.condition)
		}
		if !f.whole {
			s.residual = append(s.residual, *c)
		}
	}
}

// conjunction is the group of a clause that is nothing else, so that it says the
// same as the clauses of the group beside the others.
func conjunction(c *search.Clause) (group []search.Clause, ok bool) {
	if c.Not || len(c.Any) > 0 || len(c.Via) > 0 || len(c.Read) > 0 || len(c.All) != 1 {
		return nil, false
	}
	return c.All[0], true
}

func (s *searching) served(c *search.Clause) served {
	matches, open := s.alternatives(c)
	f := served{whole: !open, condition: condition{exact: true, joined: len(c.Via) > 0}}
	var any []bson.D
	if one := clause(matches); one != nil {
		any = append(any, one)
		f.weighs = weight(matches)
	}
	for i := range matches {
		f.exact = f.exact && matches[i].Op == search.OpEqual
	}
	if len(matches) == 1 {
		f.key = matches[0].Key
	}
	every := false
	for _, group := range c.All {
		g := s.together(group)
		switch {
		case g.never:
			continue
		case g.known:
			any = append(any, g.filter)
		case g.whole:
			every = true
		default:
			open = true
		}
		f.exact, f.whole, f.weighs = false, f.whole && g.whole, f.weighs+g.weighs
	}
	switch {
	case c.Not:
		return f.inverted(any, every)
	case every:
		return served{whole: true}
	case open:
		return served{}
	case len(any) == 0:
		return served{never: true, whole: true}
	}
	if f.known, f.filter = true, anyOf(any); f.exact {
		f.entries = equals(matches)
	}
	return f
}

// inverted is the condition that none of the alternatives holds.
func (f served) inverted(any []bson.D, every bool) served {
	switch {
	case every:
		return served{never: true, whole: true}
	case !f.whole:
		return served{}
	case len(any) == 0:
		return served{whole: true}
	}
	none := is("$nor", any)
	return served{known: true, whole: true, weighs: f.weighs, condition: condition{filter: none, negative: true}}
}

// together is the condition that all clauses of a group hold.
func (s *searching) together(group []search.Clause) served {
	f := served{whole: true}
	var all []bson.D
	for i := range group {
		one := s.served(&group[i])
		switch {
		case one.never:
			return served{never: true, whole: true}
		case one.known && one.negative:
			all = append(all, unled(one.filter))
		case one.known:
			all = append(all, one.filter)
		}
		f.whole, f.weighs = f.whole && one.whole, f.weighs+one.weighs
	}
	if len(all) > 0 {
		f.known, f.filter = true, allOf(all)
	}
	return f
}

// alternatives are the matches of a clause, those included that stand for its joins.
// open says that it has alternatives that no match stands for.
func (s *searching) alternatives(c *search.Clause) (matches []search.Match, open bool) {
	matches, open = slices.Clip(c.Any), len(c.Read) > 0
	for i := range c.Via {
		some, ok := s.ask.joins[&c.Via[i]].matches()
		open = open || !ok
		matches = append(matches, some...)
	}
	return matches, open
}

// weight is how much alternatives weigh.
func weight(all []search.Match) (sum int) {
	for i := range all {
		if all[i].Op == search.OpEqual {
			sum++
		} else {
			sum += rangeWeight
		}
	}
	return sum
}
