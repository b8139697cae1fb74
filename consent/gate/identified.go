package gate

import (
	"context"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The regulator asks who looked at whom by the numbers that people and
// organisations go by (DOSSIER §3.2): patient.identifier, agent:identifier and the
// like. Whom a number stands for is looked up here, so that the question leads to
// no Patient, which the regulator does not see, and depends on no scope for one.

// identifiedMost is how many resources the identifiers of one search may stand for.
const identifiedMost = 1000

// parties are the types of the people, organisations and machines that events name.
func parties() []fhir.ResourceType {
	return []fhir.ResourceType{"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Organization", "Device"}
}

// identified puts into a query of the regulator's what the identifiers in it stand
// for.
func (v *visit) identified(ctx context.Context, q *search.Query) error {
	if v.caller.Kind != consent.Regulator {
		return nil
	}
	types := q.Types
	if q.Type != "" {
		types = []fhir.ResourceType{q.Type}
	}
	left := identifiedMost
	for i := range q.Clauses {
		n := numbers{visit: v, types: types, left: &left}
		if err := n.clause(ctx, &q.Clauses[i]); err != nil {
			return err
		}
		n.pin(q, &q.Clauses[i])
	}
	return nil
}

// numbers works out one clause.
type numbers struct {
	*visit
	types []fhir.ResourceType
	// left is how many resources may still be found.
	left *int
	// patients are those found, and others says that there is more to the clause.
	patients []string
	others   bool
}

// clause replaces the chains that end in an identifier, and what asks a reference
// for its identifier, by what is meant: references to what goes by it, and
// references that state no more than it.
func (n *numbers) clause(ctx context.Context, c *search.Clause) error {
	n.others = c.Not || len(c.Read) > 0 || len(c.All) > 0
	any, via := c.Any, c.Via
	c.Any, c.Via = nil, nil
	for _, m := range any {
		c.Any = append(c.Any, m)
		token, ok := m.Stated()
		if !ok {
			n.others = true
			continue
		}
		for _, t := range n.targets(m.Param) {
			if err := n.meant(ctx, c, m.Param, t, []search.Match{token}); err != nil {
				return err
			}
		}
	}
	for _, j := range via {
		tokens, ok := n.asked(&j)
		if !ok {
			c.Via, n.others = append(c.Via, j), true
			continue
		}
		for _, m := range tokens {
			addMatch(c, m.Stating(j.Param))
		}
		if err := n.meant(ctx, c, j.Param, j.Type, tokens); err != nil {
			return err
		}
	}
	return nil
}

// asked are the identifiers that a chain asks for, if it asks for nothing else.
func (n *numbers) asked(j *search.Join) (tokens []search.Match, ok bool) {
	if j.Reverse || j.By != 0 || !slices.Contains(parties(), j.Type) || len(j.Clauses) != 1 || !j.Clauses[0].Plain() {
		return nil, false
	}
	p := n.identifierOf(j.Type)
	for _, m := range j.Clauses[0].Any {
		if p == nil || m.Param != search.Param(p.Number) {
			return nil, false
		}
	}
	return j.Clauses[0].Any, true
}

func (n *numbers) identifierOf(t fhir.ResourceType) *r4.SearchParam {
	return n.g.tools.Definitions.Resource(string(t)).Param("identifier")
}

// targets are the types of those named by identifiers that a reference may lead to.
func (n *numbers) targets(p search.Param) (out []fhir.ResourceType) {
	for _, t := range n.types {
		for _, one := range n.parser().References(t) {
			if search.Param(one.Number) != p {
				continue
			}
			for _, to := range parties() {
				if n.parser().RefersTo(t, one.Code, to) && !slices.Contains(out, to) {
					out = append(out, to)
				}
			}
		}
	}
	return out
}

// meant adds the references to all of a type that have one of the identifiers.
func (n *numbers) meant(ctx context.Context, c *search.Clause, reference search.Param, t fhir.ResourceType, tokens []search.Match) error {
	p := n.identifierOf(t)
	if p == nil {
		return nil
	}
	sought := search.Clause{}
	for _, m := range tokens {
		m.Param = search.Param(p.Number)
		sought.Any = append(sought.Any, m)
	}
	q := search.Query{Type: t, Clauses: []search.Clause{sought}, Count: unspecifiedCount}
	var after []byte
	for {
		page, err := n.reader.Search(ctx, consent.Everything(), &q, store.PageRequest{Limit: factsPage, After: after})
		if err != nil {
			return err
		}
		if *n.left -= len(page.Found); *n.left < 0 {
			return ErrTooCostly
		}
		for i := range page.Found {
			n.add(c, reference, t, page.Found[i].ID)
		}
		if after = page.Next; len(after) == 0 {
			return nil
		}
	}
}

// add adds a reference to one of them. Of a person it is also what was done in a
// role, of which the event says whose it is, whatever became of the role.
func (n *numbers) add(c *search.Clause, reference search.Param, t fhir.ResourceType, id string) {
	addMatch(c, search.Match{Param: reference, Op: search.OpEqual, Key: search.ReferenceKey(t, id)})
	event := n.g.tools.Definitions.Resource(string(auditEvents))
	if t == "Practitioner" && reference == search.Param(event.Param("agent").Number) {
		addMatch(c, search.CodeMatch(event.Param("altid"), string(t)+"/"+id))
	}
	if t == "Patient" {
		n.patients = merge(n.patients, []string{id})
	} else {
		n.others = true
	}
}

// addMatch adds an alternative, once.
func addMatch(c *search.Clause, m search.Match) {
	if !slices.ContainsFunc(c.Any, m.Equal) {
		c.Any = append(c.Any, m)
	}
}

// pin notes whom the identifiers of a clause confine the search to.
func (n *numbers) pin(q *search.Query, c *search.Clause) {
	if n.others || len(n.patients) == 0 || len(c.Via) > 0 {
		return
	}
	if q.Patients == nil || len(n.patients) < len(q.Patients) {
		q.Patients = n.patients
	}
}
