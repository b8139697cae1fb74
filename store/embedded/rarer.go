package embedded

import (
	"bytes"
	"context"
	"errors"

	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// A join is answered from its rarer side. When few rows of the universe are on
// its other side, they are found first and lead to those that it holds for;
// otherwise each row that the search walks over is asked.

const (
	// joinNames is the most names that are known of a join as a whole, and
	// joinEffort the most rows that are looked at to know them.
	joinNames  = 1 << 12
	joinEffort = 1 << 13
	// joinSteps is how many rows that are not in the universe may be passed by for
	// one of effort.
	joinSteps = 16
)

// joinLead streams what a join holds for.
func (w *walk) joinLead(ctx context.Context, j *search.Join) (stream, error) {
	matches, err := w.joinMatches(ctx, j, w.effort)
	if err != nil {
		return nil, err
	}
	all, err := w.matchLeads(matches)
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nothing{}, nil
	default:
		return all, nil
	}
}

// joinMatches are the matches of which one holds for a row if the join does: they
// are about whole values.
func (w *walk) joinMatches(ctx context.Context, j *search.Join, effort int) ([]search.Match, error) {
	names, err := w.others.whole(ctx, j, w.q.Type, effort)
	if err != nil {
		return nil, err
	}
	matches := make([]search.Match, len(names))
	for i, name := range names {
		m := search.Match{Param: j.Param, Op: search.OpEqual, Key: name}
		switch {
		case j.Reverse && j.By != 0:
			m.Param = j.By
			m.Key, _ = search.CanonicalKey(name)
		case j.Reverse:
			_, id, _ := search.LocalReference(name)
			m = search.IDMatch(id)
		}
		matches[i] = m
	}
	return matches, nil
}

// whole are the names of all for which a join holds, as references to resources
// of type t, or from them, have them: errShort when that takes more effort.
func (o *others) whole(ctx context.Context, j *search.Join, t fhir.ResourceType, effort int) ([][]byte, error) {
	g := o.joined(j)
	effort = min(effort, joinEffort)
	switch {
	case g.whole:
		return g.names, nil
	case g.tried >= effort:
		return nil, errShort
	}
	g.tried = effort
	names, err := o.search(ctx, j, t, effort)
	if err != nil {
		return nil, err
	}
	clear(g.answers)
	for _, name := range names {
		if !g.answers[string(name)] {
			g.answers[string(name)] = true
			g.names = append(g.names, name)
		}
	}
	g.whole = true
	return g.names, nil
}

// search looks for everything on the other side of a join.
func (o *others) search(ctx context.Context, j *search.Join, t fhir.ResourceType, effort int) (names [][]byte, err error) {
	tn, ok := o.view.typeNumber(j.Type)
	if !ok {
		return nil, nil
	}
	s := searching{view: o.view, u: o.u, q: &search.Query{Type: j.Type, Clauses: j.Clauses}, t: tn, others: o, budget: effort}
	m, err := s.unplanned(ctx, 0, &s.budget)
	for i := 0; err == nil && i < len(m.parts); i++ {
		w := m.parts[i]
		w.entered, w.most = true, joinSteps*effort
		err = w.plan(ctx)
	}
	for err == nil {
		var w *walk
		if w, err = m.next(ctx); w == nil || err != nil {
			break
		}
		if names = appendNames(names, w, j, t); len(names) > joinNames {
			err = errShort
		}
	}
	if errors.Is(err, store.ErrTooCostly) && *o.budget >= 0 {
		err = errShort // it was the effort that was spent
	}
	if spent := effort - max(s.budget, 0); err == nil || errors.Is(err, errShort) {
		err = errors.Join(err, o.charge(spent))
	}
	return names, errors.Join(err, m.close())
}

// appendNames appends what names the row on which a walk stands to those that
// refer to it or, of a join that is reversed, what it refers to.
func appendNames(dst [][]byte, w *walk, j *search.Join, t fhir.ResourceType) [][]byte {
	if !j.Reverse && j.By == 0 {
		return append(dst, search.ReferenceKey(j.Type, w.head.id))
	}
	by := j.Param
	if !j.Reverse {
		by = j.By
	}
	for p, value := range w.entries.All() {
		if p > by {
			break
		}
		if p != by {
			continue
		}
		switch {
		case !j.Reverse:
			if reference, ok := referenceOf(value); ok {
				dst = append(dst, reference)
			}
		case j.By != 0:
			if _, ok := search.CanonicalKey(value); ok {
				dst = append(dst, bytes.Clone(value))
			}
		default:
			if typ, _, ok := search.LocalReference(value); ok && typ == t {
				dst = append(dst, bytes.Clone(value))
			}
		}
	}
	return dst
}
