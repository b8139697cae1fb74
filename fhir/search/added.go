package search

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// The numbers of parameters that are not R4's but were added: they lie between
// the official ones and the server's own, with the bit of said clear.
const (
	FirstAdded Param = 0x8000
	LastAdded  Param = 0xAFFF
)

// Added is a search parameter beyond R4's, made of a SearchParameter resource.
// Its bases are concrete types, and its number is FirstAdded or after it.
type Added struct {
	*r4.SearchParam
	// Used says that queries may name it; resources are indexed by it either way.
	Used bool
}

// AddedError says why a parameter cannot be added.
type AddedError struct {
	Code string
	// Base is the type of which it cannot be made.
	Base fhir.ResourceType
	// Clash says that the type has a parameter of that code already; otherwise its
	// expression is at fault.
	Clash bool
	Err   error
}

// Error says what is wrong; it is fit to be sent.
func (e *AddedError) Error() string { return fmt.Sprintf("for %s: %v", e.Base, e.Err) }

// Unwrap is what is wrong.
func (e *AddedError) Unwrap() error { return e.Err }

var (
	errClash     = errors.New("there is a search parameter of that code already")
	errNoBase    = errors.New("there is no such resource type")
	errNoNumber  = errors.New("a number that is not an added parameter's")
	errUnrelated = errors.New("the expression says nothing of that type")
)

// With is an Indexer that knows the parameters added beside those that x has. It
// shares with x what is not theirs. It fails with an *AddedError.
func (x *Indexer) With(added []Added) (*Indexer, error) {
	t := &table{defs: x.defs, base: x.base, types: maps.Clone(x.types), every: x.every, units: x.units, added: maps.Clone(x.added)}
	if t.added == nil {
		t.added = make(map[Param]Added, len(added))
	}
	fresh := map[fhir.ResourceType]*plan{}
	for _, a := range added {
		t.added[Param(a.Number)] = a
		for _, base := range a.Bases {
			if err := t.add(fresh, a, base); err != nil {
				return nil, &AddedError{Code: a.Code, Base: base, Clash: errors.Is(err, errClash), Err: err}
			}
		}
	}
	return &Indexer{t, x.zone}, nil
}

// add compiles a parameter for one type, into a plan that is not shared.
func (t *table) add(fresh map[fhir.ResourceType]*plan, a Added, base fhir.ResourceType) error {
	typ := t.defs.Resource(string(base))
	if typ == nil {
		return errNoBase
	}
	if n := Param(a.Number); n < FirstAdded || n > LastAdded {
		return errNoNumber
	}
	p := fresh[base]
	if p == nil {
		old := t.types[base]
		p = &plan{root: old.root, params: maps.Clone(old.params), added: old.added, codes: slices.Clone(old.codes)}
		if p.added != nil {
			return errClash // what was added once is added no further
		}
		p.added = &trie{}
		fresh[base], t.types[base] = p, p
	}
	if p.params[a.Code] != nil || typ.Param(a.Code) != nil || slices.Contains(p.codes, a.Code) {
		return errClash
	}
	pp := &paramPlan{SearchParam: a.SearchParam, number: Param(a.Number)}
	if err := t.compile(&plan{root: p.added, params: p.params}, typ, pp); err != nil {
		return err
	}
	if !pp.indexed {
		return errUnrelated
	}
	p.codes = append(p.codes, a.Code)
	if a.Used {
		p.params[a.Code] = pp
	}
	return nil
}

// Serves reports whether every added parameter that the query names is one that
// queries of p may name: what was retired since the query was understood is not.
func (p *Parser) Serves(q *Query) bool {
	for _, k := range q.Sort {
		if !p.serves(k.Param) {
			return false
		}
	}
	for _, i := range q.Includes {
		if !p.serves(i.Param) {
			return false
		}
	}
	return p.serveAll(q.Clauses)
}

func (p *Parser) serves(n Param) bool {
	return n < FirstAdded || n > LastAdded || p.added[n].Used
}

func (p *Parser) serveAll(all []Clause) bool {
	for i := range all {
		c := &all[i]
		for j := range c.Any {
			if !p.serves(c.Any[j].Param) {
				return false
			}
		}
		for j := range c.Via {
			if v := &c.Via[j]; !p.serves(v.Param) || !p.serves(v.By) || !p.serveAll(v.Clauses) {
				return false
			}
		}
		for _, group := range c.All {
			if !p.serveAll(group) {
				return false
			}
		}
	}
	return true
}
