package gate

import (
	"context"
	"errors"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// sayingMost is how many resources one condition of a launch is held against,
// those that it leads to included.
const sayingMost = 1 << 14

// saying holds the conditions of a launch against what resources say: what is
// another patient's, as it says itself, is not there for it, nor what a condition
// leads to.
type saying struct {
	*visit
	// u is the partition that conditions are answered from.
	u *consent.Universe
	// heard is how many resources the condition was held against.
	heard int
}

// holds reports whether the clauses hold by what the resource says, and those say
// that it leads to.
func (s *saying) holds(ctx context.Context, f store.Found, clauses []search.Clause) (ok bool, err error) {
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
	q := search.Query{Type: t, Clauses: o.indexer().Said(clauses[:1]), Count: unspecifiedCount}
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
