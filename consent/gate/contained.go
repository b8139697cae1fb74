package gate

import (
	"context"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// A search for contained resources is one of all types that contain some, each a
// part of its own (R4 search.html#contained). What contains a resource is given,
// or not, as a whole: the contained one is where its container is.

// containedKey puts the parts of containers behind the type itself.
const containedKey = "~"

// divideContained adds the parts of a search for what is contained: one for each
// type that the caller could search or read by itself.
func (s *pages) divideContained(ctx context.Context, one *search.Query, t admitted, u *consent.Universe) error {
	if s.reading(t.name).narrowed {
		return nil // what is contained has no entries that tell of what part it is
	}
	open, err := s.opened(ctx)
	if err != nil {
		return err
	}
	within := &containing{s.indexer(), t.name, one.Clauses}
	u = u.Where(open.reads)
	for _, typ := range s.g.tools.Definitions.Resources() {
		container := typ.Resource()
		if typ.Element([]byte("contained")) == nil || open.of(container) == typeClosed {
			continue
		}
		q := search.Query{
			Type: container, Count: one.Count, Total: one.Total, CountOnly: one.CountOnly,
			Clauses: []search.Clause{{Any: []search.Match{search.ContainedMatch(t.name)}}, {Read: []search.Reading{within}}},
		}
		if container == t.name && one.Contained == search.ContainedBoth && one.Containers {
			if len(one.Clauses) == 0 {
				continue // each of them is there by itself
			}
			q.Clauses = append(q.Clauses, search.Clause{All: [][]search.Clause{one.Clauses}, Not: true})
		}
		s.parts = append(s.parts, &part{key: containedKey + container, q: q, u: u, confined: t.confined, within: within})
	}
	return nil
}

// containing is the reading that a resource contains one that the clauses hold
// for.
type containing struct {
	indexer *search.Indexer
	typ     fhir.ResourceType
	clauses []search.Clause
}

// Holds implements search.Reading.
func (c *containing) Holds(content *fhir.Tape) bool {
	held := false
	c.each(content, func(string, []byte) bool {
		held = true
		return false
	})
	return held
}

// each calls with for every contained resource that the clauses hold for, until it
// returns false.
func (c *containing) each(content *fhir.Tape, with func(id string, resource []byte) bool) {
	c.indexer.Contained(content, c.typ, func(id string, resource []byte, e search.Encoded) bool {
		holds, err := search.AllHold(c.clauses, e, alone(resource))
		return err != nil || !holds || with(id, resource)
	})
}

// alone answers of a contained resource what its entries do not: it refers to
// nothing beyond itself.
type alone []byte

// Joined implements search.Beyond.
func (alone) Joined(*search.Join) (bool, error) { return false, nil }

// Reads implements search.Beyond.
func (a alone) Reads(r search.Reading) (bool, error) {
	var t fhir.Tape
	if err := t.Parse(a, fhir.Stored()); err != nil {
		return false, err
	}
	return r.Holds(&t), nil
}

// appendItems appends what is given of a match: itself, or what it contains.
func (s *pages) appendItems(dst []Item, r *row) ([]Item, error) {
	if r.part.within == nil || s.q.Containers {
		return append(dst, Item{Resource: r.Resource, Mode: ModeMatch}), nil
	}
	err := s.g.parsed(r.Found, func(f store.Found, t *fhir.Tape) error {
		r.part.within.each(t, func(id string, resource []byte) bool {
			dst = append(dst, Item{Mode: ModeMatch, Within: name(&f), Resource: fhir.Resource{
				Type: s.q.Type, ID: id, JSON: append([]byte(nil), resource...),
			}})
			return true
		})
		return nil
	})
	return dst, err
}

// countedMost is how many containers are looked into to count what they contain.
const countedMost = 10_000

// countContained counts what is given on all pages together, for the store counts
// containers.
func (s *pages) countContained(ctx context.Context) (int, error) {
	total, looked := 0, 0
	for _, p := range s.parts {
		for all := (part{key: p.key, q: p.q, u: p.u, confined: p.confined, within: p.within, asked: true}); !all.done; {
			rows, err := s.ask(ctx, &all, factsPage)
			if err != nil {
				return 0, err
			}
			if looked += len(rows); looked > countedMost {
				return 0, store.ErrTooCostly
			}
			for i := range rows {
				items, err := s.appendItems(nil, &rows[i])
				if err != nil {
					return 0, err
				}
				total += len(items)
			}
		}
	}
	return total, nil
}
