package embedded

import (
	"context"
	"errors"

	"vitrine/consent"
	"vitrine/fhir/search"
)

// probe looks in one edition of a type for rows that satisfy a join and have a
// given value. It is used for one value after the other.
type probe struct {
	*walk
	list *lists
	lead stream // what the walk is led by, with list among it
}

// exists reports whether the universe has a row of the join's type that satisfies
// it and the match, which is about one whole value.
func (o *others) exists(ctx context.Context, j *search.Join, m search.Match) (bool, error) {
	g := o.joined(j)
	if !g.begun {
		if err := o.begin(ctx, j, g, m.Param); err != nil {
			return false, err
		}
		g.begun = true
	}
	for _, p := range g.probes {
		if holds, err := p.find(ctx, m); holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// begin opens the probes of a join.
func (o *others) begin(ctx context.Context, j *search.Join, g *joined, by search.Param) error {
	t, ok := o.view.typeNumber(j.Type)
	if !ok {
		return nil
	}
	s := searching{view: o.view, u: o.u, q: &search.Query{Type: j.Type, Clauses: j.Clauses}, t: t, others: o}
	m, err := s.unplanned(ctx, 0, o.budget)
	for _, w := range m.parts {
		w.entered = true
		p := &probe{walk: w}
		g.probes = append(g.probes, p)
		if err == nil && j.Type != typeAuditEvent {
			err = p.open(by)
		}
	}
	return err
}

// open opens the list of the values and the lists of the clauses that single
// ones answer: what both have is looked at.
func (p *probe) open(by search.Param) error {
	w := p.walk
	prefix := prefixPostings(nil, w.edition, by, w.t)
	var err error
	if p.list, err = newLists(w.view.src, prefix, after(prefix)); err != nil {
		return err
	}
	all := both{p.list}
	p.lead = all
	if org, own := w.u.Contributor(); own { // what others contributed is not looked at
		s, err := newKeys(w.view.src, prefixValue(nil, w.edition, paramContributor, w.t, []byte(org)))
		if err != nil {
			return err
		}
		all = append(all, s)
		p.lead = all
	}
	for i := range w.q.Clauses {
		c := &w.q.Clauses[i]
		if !c.Plain() || len(c.Any) != 1 || c.Any[0].Op != search.OpEqual {
			continue
		}
		s, err := newKeys(w.view.src, prefixValue(nil, w.edition, c.Any[0].Param, w.t, c.Any[0].Key))
		if err != nil {
			return err
		}
		all = append(all, s)
		p.lead = all
	}
	if len(all) > 1 && w.own.kind == ownersListed {
		for i, s := range all {
			all[i] = confined{s, w.own}
		}
	}
	return nil
}

// find looks for a row that has the value.
func (p *probe) find(ctx context.Context, m search.Match) (bool, error) {
	w := p.walk
	w.at, w.driver = 0, p.lead
	if p.list != nil {
		p.list.reset(prefixValue(nil, w.edition, m.Param, w.t, m.Key))
	} else if w.u.IsEverything() { // whose they are, postings of events do not say
		s, err := w.view.eventStream(w.edition, w.t, m, 0)
		if err != nil && !errors.Is(err, errMany) {
			return false, err
		}
		if err == nil {
			w.driver = s
			found, err := p.walkTo(ctx, m)
			return found, errors.Join(err, s.close())
		}
	}
	return p.walkTo(ctx, m)
}

func (p *probe) walkTo(ctx context.Context, m search.Match) (bool, error) {
	defer func() { p.driver = nil }()
	for {
		ok, err := p.next(ctx)
		if !ok || err != nil {
			return false, err
		}
		if m.Holds(p.entries) {
			return true, nil
		}
	}
}

func (p *probe) close() error {
	err := p.walk.close()
	if p.lead != nil {
		err = errors.Join(err, p.lead.close())
	}
	return err
}

// editionsOf are those in which a universe may have rows of a type.
func (v *view) editionsOf(u *consent.Universe, q *search.Query, t typeNumber) []consent.Edition {
	if basicToo(u) && v.db.hasBasic(q.Type, t) {
		return []consent.Edition{consent.EditionFull, consent.EditionBasic}
	}
	return []consent.Edition{consent.EditionFull}
}
