package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// factsPage is how many rows are read at once when facts are gathered.
const factsPage = 500

// view is the store at one moment, as the gate itself reads it: everything, to
// work out what a caller may see. What is read here is never released.
type view struct {
	g      *Gate
	reader store.Reader
	// snap is nil within a write: nothing worked out there may be kept.
	snap store.Snapshot
	now  time.Time
	// gathered are the patients whose facts were not remembered and had to be
	// gathered, and the phantoms.
	gathered []string
}

// read calls with for the current version of a resource; found is false when
// there is none.
func (v *view) read(ctx context.Context, t fhir.ResourceType, id string, with func(store.Found, *fhir.Tape) error) (found bool, err error) {
	if !fhir.ValidID(id) {
		return false, nil
	}
	f, err := v.reader.Read(ctx, consent.Everything(), t, id)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read %s: %w", t, err)
	}
	return true, v.g.parsed(f, with)
}

// each calls with for every resource of the type for which all clauses hold.
func (v *view) each(ctx context.Context, t fhir.ResourceType, clauses []search.Clause, with func(store.Found, *fhir.Tape) error) error {
	q := search.Query{Type: t, Clauses: clauses, Count: -1}
	var after []byte
	for {
		page, err := v.reader.Search(ctx, consent.Everything(), &q, store.PageRequest{Limit: factsPage, After: after})
		if err != nil {
			return fmt.Errorf("search %s: %w", t, err)
		}
		for _, f := range page.Found {
			if err := v.g.parsed(f, with); err != nil {
				return err
			}
		}
		if len(page.Next) == 0 {
			return nil
		}
		after = page.Next
	}
}

// parsed calls with for the tape of what was found.
func (g *Gate) parsed(f store.Found, with func(store.Found, *fhir.Tape) error) error {
	t := g.tape()
	defer g.tapes.Put(t)
	if err := t.Parse(f.JSON, fhir.Stored()); err != nil {
		return fmt.Errorf("parse stored %s: %w", f.Resource.Type, err)
	}
	return with(f, t)
}

func (g *Gate) tape() *fhir.Tape {
	if t, ok := g.tapes.Get().(*fhir.Tape); ok {
		return t
	}
	return new(fhir.Tape)
}

// refers is the clause that a reference parameter of the type points at one of
// the local references.
func (g *Gate) refers(t fhir.ResourceType, code string, references ...string) search.Clause {
	p := g.tools.Definitions.Resource(string(t)).Param(code)
	var c search.Clause
	for _, ref := range references {
		c.Any = append(c.Any, search.ReferenceMatch(p, ref))
	}
	return c
}

// coded is the clause that a token parameter of the type has one of the codes.
func (g *Gate) coded(t fhir.ResourceType, code string, codes ...fhir.Coding) search.Clause {
	p := g.tools.Definitions.Resource(string(t)).Param(code)
	var c search.Clause
	for _, k := range codes {
		if k.System == "" {
			c.Any = append(c.Any, search.CodeMatch(p, k.Code))
			continue
		}
		c.Any = append(c.Any, search.TokenMatch(p, k.System, k.Code))
	}
	return c
}

// reference is the local reference an element of the resource makes, or the
// zero value.
func (g *Gate) reference(t *fhir.Tape, element fhir.Node) fhir.Reference {
	r := fhir.ParseReference(t.Text(t.Field(element, "reference")), g.cfg.BaseURL)
	if r.Form != fhir.RefLocal {
		return fhir.Reference{}
	}
	return r
}

// isActive reads the member of that name; absent counts as true, and anything
// but a boolean as false.
func isActive(t *fhir.Tape, obj fhir.Node) bool {
	n := t.Field(obj, "active")
	return n == fhir.None || t.Kind(n) == fhir.True
}

// elements calls with for every element of an array member.
func elements(t *fhir.Tape, obj fhir.Node, name string, with func(fhir.Node)) {
	list := t.Field(obj, name)
	if t.Kind(list) != fhir.Array {
		return
	}
	for n := t.First(list); n != fhir.None; n = t.Next(n) {
		with(n)
	}
}

// codings appends the codings of a CodeableConcept.
func codings(dst []fhir.Coding, t *fhir.Tape, concept fhir.Node) []fhir.Coding {
	elements(t, concept, "coding", func(n fhir.Node) {
		dst = append(dst, fhir.Coding{System: t.Text(t.Field(n, "system")), Code: t.Text(t.Field(n, "code"))})
	})
	return dst
}
