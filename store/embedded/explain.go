package embedded

import (
	"fmt"
	"slices"
	"strings"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// explain adds to the plan how the walks went. No search value is in it.
func (s *searching) explain(page *store.Page, how string, m *walks) {
	if !s.p.Explain || m == nil {
		return
	}
	for _, w := range m.parts {
		edition := "full"
		if w.edition == consent.EditionBasic {
			edition = "basic"
		}
		page.Plan = append(page.Plan, fmt.Sprintf("%s %s, %s edition: %s; %d rows looked at", how, s.q.Type, edition, w.ledBy(), w.looked))
	}
	for i := range s.q.Clauses {
		page.Plan = append(page.Plan, fmt.Sprintf("condition %d: %s", i+1, s.describe(&s.q.Clauses[i])))
	}
}

// explainTally says that the total came from postings.
func (s *searching) explainTally(page *store.Page) {
	if s.p.Explain {
		page.Plan = append(page.Plan, "the total: counted by postings alone, but for rows with labels or several patients")
	}
}

// ledBy says what leads a walk.
func (w *walk) ledBy() string {
	if w.driver == nil && w.high > 0 {
		return "the rows of an interval of time lead"
	}
	if w.driver == nil {
		return "the rows lead"
	}
	var all []string
	for _, l := range w.leaders {
		name := "what the organisation contributed"
		if l.clause >= 0 {
			name = fmt.Sprintf("condition %d", l.clause+1)
		}
		switch _, own := w.u.Contributor(); {
		case own:
		case l.hits < probed:
			name += fmt.Sprintf(" (%d in the universe)", l.hits)
		default:
			name += fmt.Sprintf(" (%d or more in the universe)", probed)
		}
		all = append(all, name)
	}
	if len(all) == 1 {
		return "led by " + all[0]
	}
	return "led by what is common to " + strings.Join(all, ", ")
}

// describe says what a clause is about and how its joins were answered.
func (s *searching) describe(c *search.Clause) string {
	var all []string
	var params []search.Param
	for i := range c.Any {
		if p := c.Any[i].Param; !slices.Contains(params, p) {
			params = append(params, p)
			all = append(all, fmt.Sprintf("parameter %d", p))
		}
	}
	for i := range c.Via {
		all = append(all, s.describeJoin(&c.Via[i]))
	}
	if len(c.Read) > 0 {
		all = append(all, fmt.Sprintf("content, read row by row for %d units each", readingCost))
	}
	for _, group := range c.All {
		each := make([]string, len(group))
		for i := range group {
			each[i] = s.describe(&group[i])
		}
		all = append(all, "("+strings.Join(each, " and ")+")")
	}
	words := strings.Join(all, " or ")
	if c.Not {
		words = "not " + words
	}
	return words
}

func (s *searching) describeJoin(j *search.Join) string {
	words := fmt.Sprintf("a join by parameter %d to %s", j.Param, j.Type)
	if j.Reverse {
		words = fmt.Sprintf("a join by parameter %d from %s", j.Param, j.Type)
	}
	g := s.others.joins[j]
	switch {
	case g == nil:
		return words + ", never asked"
	case g.whole:
		return words + fmt.Sprintf(", found first: %d", len(g.names))
	default:
		return words + fmt.Sprintf(", asked row by row: %d answers kept", len(g.answers))
	}
}
