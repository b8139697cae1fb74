package gate

import (
	"context"
	"errors"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
)

// sayingMost is how many resources the conditions of a request are held against,
// those that they lead to included. It is far more than they need: that it is
// reached tells that the store found so many, by links too.
const sayingMost = 1 << 14

// saying holds conditions of writes against what resources themselves say. To
// which patient the server linked one inside is not the contributor's to ask: it
// would tell who is on file, and under which id.
type saying struct {
	*visit
	// u is the partition that conditions are answered from.
	u *consent.Universe
}

// holds reports whether the clauses hold by what the resource says, and those say
// that it leads to.
func (s *saying) holds(ctx context.Context, f store.Found, clauses []search.Clause) (ok bool, err error) {
	if s.caller.Kind == consent.Custodian {
		return true, nil
	}
	if s.heard++; s.heard > sayingMost {
		return false, store.ErrTooCostly
	}
	err = s.g.parsed(f, func(f store.Found, t *fhir.Tape) error {
		if ok, err = s.concerns(ctx, &f, t); !ok || err != nil {
			return err
		}
		var e search.Entries
		if err := s.indexer().Index(&e, t); err != nil {
			return err
		}
		search.AppendCommon(&e, f.ID, f.Updated)
		e.Sort()
		one := &said{saying: s, ctx: ctx, f: &f, tape: t, entries: e.Encode(nil)}
		ok, err = search.AllHold(clauses, one.entries, one)
		return err
	})
	return ok, err
}

// asked are the clauses that the store is asked: those that a link may make hold,
// and never keep from holding. Of the others it would say that they do not hold
// where by what the resource says they do. Outside a partition nothing is linked.
func (v *visit) asked(u *consent.Universe, clauses []search.Clause) []search.Clause {
	if _, own := u.Contributor(); !own {
		return clauses
	}
	return slices.DeleteFunc(slices.Clone(clauses), v.linkInverts)
}

// linkInverts reports whether a link may keep a clause from holding.
func (v *visit) linkInverts(c search.Clause) bool {
	if c.Not {
		c.Not = false
		return !c.Plain() || slices.ContainsFunc(c.Any, func(m search.Match) bool {
			p := v.g.tools.Definitions.ParamByNumber(uint16(m.Param))
			return p == nil || p.Kind == r4.ParamReference
		})
	}
	return slices.ContainsFunc(c.Via, func(j search.Join) bool { return slices.ContainsFunc(j.Clauses, v.linkInverts) }) ||
		slices.ContainsFunc(c.All, func(group []search.Clause) bool { return slices.ContainsFunc(group, v.linkInverts) })
}

// said is one resource, as it speaks for itself.
type said struct {
	*saying
	ctx     context.Context //nolint:containedctx // it lives as long as one look at one resource
	f       *store.Found
	tape    *fhir.Tape
	entries search.Encoded
}

// Reads implements search.Beyond.
func (o *said) Reads(r search.Reading) (bool, error) { return r.Holds(o.tape), nil }

// Joined implements search.Beyond.
func (o *said) Joined(j *search.Join) (bool, error) {
	if j.Reverse {
		key := search.ReferenceKey(o.f.Resource.Type, o.f.ID)
		return o.any(j.Type, search.Match{Param: j.Param, Op: search.OpEqual, Key: key}, j.Clauses)
	}
	for number, value := range o.entries.All() {
		if number != j.Param {
			continue
		}
		holds, err := o.leads(j, value)
		if holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// leads reports whether a reference leads to what the join wants.
func (o *said) leads(j *search.Join, value []byte) (bool, error) {
	if j.By != 0 {
		key, ok := search.CanonicalKey(value)
		if !ok {
			return false, nil
		}
		return o.any(j.Type, search.Match{Param: j.By, Op: search.OpEqual, Key: key}, j.Clauses)
	}
	t, id, ok := search.LocalReference(value)
	if !ok || t != j.Type {
		return false, nil
	}
	f, err := o.reader.Read(o.ctx, o.u, t, id)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return false, nil
	case err != nil:
		return false, err
	}
	return o.holds(o.ctx, f, j.Clauses)
}

// any reports whether a resource of the type that the match finds says what the
// clauses ask, and by itself that the match holds.
func (o *said) any(t fhir.ResourceType, m search.Match, clauses []search.Clause) (bool, error) {
	clauses = append([]search.Clause{{Any: []search.Match{m}}}, clauses...)
	q := search.Query{Type: t, Clauses: clauses[:1], Count: unspecifiedCount}
	var after []byte
	for {
		page, err := o.reader.Search(o.ctx, o.u, &q, store.PageRequest{Limit: conditionPage, After: after})
		if err != nil {
			return false, err
		}
		for _, f := range page.Found {
			if holds, err := o.holds(o.ctx, f, clauses); holds || err != nil {
				return holds, err
			}
		}
		if after = page.Next; len(after) == 0 {
			return false, nil
		}
	}
}
