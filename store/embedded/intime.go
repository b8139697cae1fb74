package embedded

import (
	"vitrine/consent"
	"vitrine/fhir/search"
)

// inTime gives a search of all events that names no order that of time, the newest
// first, when none of its clauses leads to few: what is asked for is then in nearly
// every event, or a stretch of time. In the order of numbers the events that are of
// no patient come first, however many they are, and what they lack would be looked
// for in all of them. It goes by the question alone, so every page has the same
// order.
func (s *searching) inTime() {
	if s.q.Type != typeAuditEvent || len(s.q.Sort) > 0 || s.view.db.events == nil || !s.u.IsEverything() {
		return
	}
	for i := range s.q.Clauses {
		if s.leadsToFew(&s.q.Clauses[i]) {
			return
		}
	}
	q := *s.q
	q.Sort = []search.SortKey{{Param: s.view.db.events.Date(), Range: true, Descending: true}}
	s.q = &q
}

// leadsToFew reports whether postings of values lead to what a clause holds for.
func (s *searching) leadsToFew(c *search.Clause) bool {
	if c.Not || len(c.Read) > 0 {
		return false
	}
	for i := range c.Any {
		if c.Any[i].Param == search.ParamID && c.Any[i].Op == search.OpEqual {
			continue
		}
		if lead, ok := s.view.db.events.Lead(consent.EditionFull, c.Any[i]); !ok || lead.Op == search.OpRange {
			return false
		}
	}
	for _, group := range c.All {
		few := false
		for i := range group {
			few = few || s.leadsToFew(&group[i])
		}
		if !few {
			return false
		}
	}
	return true
}
