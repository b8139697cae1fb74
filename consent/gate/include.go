package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The bounds of what comes with one page. Where they are hit the answer says so.
const (
	includedMost  = 1000
	includeRounds = 8 // of :iterate
	includeBatch  = 64
)

// inclusion is what comes with a page, under way: each resource once, and none
// that the page has as a match (R4 search.html#include).
type inclusion struct {
	*visit
	open *openness
	// near is what the caller may read by its id, far what the caller may find.
	near, far *consent.Universe
	seen      map[string]bool
	out       []node
	// last says that nothing more may be added: what would be is only noticed.
	last    bool
	partial bool
	// missed says that something referred to is not there for the caller.
	missed bool
}

// node is a resource of the answer, with its entries as soon as they are needed.
type node struct {
	store.Found
	entries search.Encoded
}

// included is what comes with the matches, after which it says whether there is
// more, and whether anything was missed.
func (v *visit) included(ctx context.Context, includes []search.Include, found []store.Found, answer *Released) (out []store.Found, err error) {
	if len(includes) == 0 || len(found) == 0 {
		return nil, nil
	}
	in, err := v.inclusion(ctx)
	if err != nil {
		return nil, err
	}
	frontier := make([]node, len(found))
	for i := range found {
		frontier[i].Found = found[i]
		in.seen[name(&found[i])] = true
	}
	for round := 0; len(frontier) > 0 && !in.partial; round++ {
		in.last = round > includeRounds
		before := len(in.out)
		for i := range includes {
			if round > 0 && !includes[i].Iterate {
				continue
			}
			if err := in.include(ctx, &includes[i], frontier); err != nil {
				return nil, err
			}
		}
		frontier = in.out[before:len(in.out):len(in.out)]
	}
	out = make([]store.Found, len(in.out))
	for i := range in.out {
		out[i] = in.out[i].Found
		answer.items = append(answer.items, Item{Resource: out[i].Resource, Mode: ModeInclude})
	}
	answer.partial, answer.missed = in.partial, answer.missed || in.missed
	return out, nil
}

// inclusion prepares what includes are read from: no type that the caller could
// neither search nor read.
func (v *visit) inclusion(ctx context.Context) (*inclusion, error) {
	open, err := v.opened(ctx)
	if err != nil {
		return nil, err
	}
	near, err := v.instance(ctx)
	if err != nil {
		return nil, err
	}
	far, err := v.universe(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &inclusion{
		visit: v, open: open, near: near.Where(open.reads), far: far.Where(open.reads), seen: map[string]bool{},
	}, nil
}

func name(f *store.Found) string { return string(f.Resource.Type) + "/" + f.ID }

// include follows one include from the resources. What it would cost too much to
// find is not included.
func (in *inclusion) include(ctx context.Context, i *search.Include, from []node) error {
	var err error
	if i.Reverse {
		err = in.reverse(ctx, i, from)
	} else {
		err = in.forward(ctx, i, from)
	}
	if errors.Is(err, store.ErrTooCostly) {
		in.partial = true
		return nil
	}
	return err
}

// add takes a resource into the answer; false when no more are taken.
func (in *inclusion) add(f store.Found) bool {
	key := name(&f)
	if in.seen[key] {
		return true
	}
	if in.last || len(in.out) == includedMost {
		in.partial = true
		return false
	}
	in.seen[key] = true
	in.out = append(in.out, node{Found: f})
	return true
}

// references are the reference parameters of a type that an include means.
func (in *inclusion) references(t fhir.ResourceType, i *search.Include) []*r4.SearchParam {
	return slices.DeleteFunc(in.parser().References(t), func(p *r4.SearchParam) bool {
		return i.Param != 0 && search.Param(p.Number) != i.Param
	})
}

// reverse includes what refers to the resources.
func (in *inclusion) reverse(ctx context.Context, i *search.Include, from []node) error {
	sources := []fhir.ResourceType{i.Source}
	if i.Source == "" {
		sources = nil
		for _, t := range in.g.tools.Definitions.Resources() {
			sources = append(sources, t.Resource())
		}
	}
	for _, t := range sources {
		if in.open.of(t) == typeClosed {
			continue
		}
		matches, err := in.referring(i, t, from)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(matches, includeBatch) {
			err := in.each(ctx, in.far, t, search.Clause{Any: some}, func(f store.Found) (bool, error) { return in.add(f), nil })
			if err != nil || in.partial {
				return err
			}
		}
	}
	return nil
}

// referring are the matches of what a type refers to the resources by: their ids,
// or their URLs.
func (in *inclusion) referring(i *search.Include, source fhir.ResourceType, from []node) (out []search.Match, err error) {
	for _, p := range in.references(source, i) {
		for k := range from {
			n := &from[k]
			t := n.Resource.Type
			if i.Target != "" && i.Target != t || !in.parser().RefersTo(source, p.Code, t) {
				continue
			}
			out = append(out, search.Match{Param: search.Param(p.Number), Op: search.OpEqual, Key: search.ReferenceKey(t, n.ID)})
			url := in.urlOf(t)
			if url == nil {
				continue
			}
			if err := in.index(n); err != nil {
				return nil, err
			}
			for number, value := range n.entries.All() {
				if number == search.Param(url.Number) && len(value) > 1 {
					out = append(out, search.ReferenceMatch(p, string(value[1:])))
				}
			}
		}
	}
	return out, nil
}

// each calls with for every resource of a universe for which the clause holds,
// until it returns false.
func (in *inclusion) each(ctx context.Context, u *consent.Universe, t fhir.ResourceType, c search.Clause, with func(store.Found) (bool, error)) error {
	q := search.Query{Type: t, Clauses: []search.Clause{c}, Count: unspecifiedCount}
	var after []byte
	for {
		limit := min(includedMost+1-len(in.out), factsPage)
		page, err := in.reader.Search(ctx, u, &q, store.PageRequest{Limit: limit, After: after})
		if err != nil {
			return err
		}
		for i := range page.Found {
			if more, err := with(page.Found[i]); err != nil || !more {
				return err
			}
		}
		if after = page.Next; len(after) == 0 {
			return nil
		}
	}
}

// index makes the entries of a resource, once.
func (in *inclusion) index(n *node) error {
	if n.entries != nil {
		return nil
	}
	return in.g.parsed(n.Found, func(f store.Found, t *fhir.Tape) (err error) {
		n.entries, err = in.entriesOf(&f, t)
		return err
	})
}

// entriesOf makes the entries of a resource. What the server linked inside is among
// them: the resource was found as that patient's.
func (v *visit) entriesOf(f *store.Found, t *fhir.Tape) (search.Encoded, error) {
	var links []search.Link
	if f.Home == consent.HomePatients && len(f.Patients) == 1 {
		owners := v.g.tools.Compartments.Of(t, v.g.cfg.BaseURL)
		for _, id := range owners.Identifiers {
			links = append(links, search.Link{Identifier: id, Patient: f.Patients[0]})
		}
	}
	var e search.Entries
	if err := v.indexer().Index(&e, t, links...); err != nil {
		return nil, fmt.Errorf("index %s: %w", f.Resource.Type, err)
	}
	search.AppendCommon(&e, f.ID, f.Updated)
	e.Sort()
	return e.Encode(nil), nil
}
