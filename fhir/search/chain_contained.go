package search

import "vitrine/fhir"

// inContained is a step of a chain within the resource itself: a chained condition
// is evaluated inside what is contained, too (R4 search.html#contained).
type inContained struct {
	ofItems
	any []Join
}

// Holds reports whether a reference of the parameter leads to a contained resource
// of one of the types that satisfies what is asked of it.
func (c *inContained) Holds(t *fhir.Tape) bool {
	named := map[string]bool{}
	c.each(t, func(_ *action, n fhir.Node, _ int) bool {
		if t.Kind(n) == fhir.Object {
			n = t.Field(n, "reference")
		}
		if name := t.Text(n); len(name) > 1 && name[0] == '#' {
			named[name[1:]] = true
		}
		return false
	})
	for i := 0; len(named) > 0 && i < len(c.any); i++ {
		held := false
		c.index.Contained(t, c.any[i].Type, func(id string, content []byte, e Encoded) bool {
			held = named[id] && containedHolds(c.any[i].Clauses, content, e)
			return !held
		})
		if held {
			return true
		}
	}
	return false
}

func containedHolds(all []Clause, content []byte, e Encoded) bool {
	holds, err := AllHold(all, e, contents(content))
	return holds && err == nil
}

// contents answers of a contained resource what its entries do not. What leads on
// from there is not asked.
type contents []byte

// Joined is never so.
func (contents) Joined(*Join) (bool, error) { return false, nil }

// Reads parses the contained resource by itself.
func (c contents) Reads(r Reading) (bool, error) {
	var t fhir.Tape
	if err := t.Parse(c, fhir.Stored()); err != nil {
		return false, err
	}
	return r.Holds(&t), nil
}

// inside adds to a step of a chain that it may lead to what the resource itself
// contains. A contained Patient is linked where it stands for one, so that chains
// to patients need no more than the index; and a chain that leads on from what is
// contained is not followed.
func (r *reading) inside(pp *paramPlan, c *Clause) {
	within := &inContained{ofItems: ofItems{&Indexer{r.table, r.zone}, pp.number}}
	var container Clause
	for _, j := range c.Via {
		if j.Type == "Patient" || j.By != 0 || leads(j.Clauses) {
			continue
		}
		within.any = append(within.any, j)
		container.Any = append(container.Any, ContainedMatch(j.Type))
	}
	if len(within.any) > 0 {
		c.All = append(c.All, []Clause{container, {Read: []Reading{within}}})
	}
}
