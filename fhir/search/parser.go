package search

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// The limits of one search.
const (
	MaxParams   = 100
	MaxValues   = 1000 // alternatives in all parameters together
	MaxChain    = 8    // steps of one chain
	MaxHas      = 4    // _has within one another
	maxMatches  = 20000
	maxJoins    = 1000 // types tried by all chains together
	maxSortKeys = 8
	maxElements = 200
)

// Pair is one parameter of a request, decoded, in the order given.
type Pair struct{ Name, Value string }

// Parser understands search strings. It is an Indexer's, and safe for concurrent
// use.
type Parser struct {
	*table
	zone *time.Location
}

// Parser understands queries as x indexes resources.
func (x *Indexer) Parser() *Parser { return &Parser{x.table, x.zone} }

// reading is one query while it is understood.
type reading struct {
	*Parser
	q        *Query
	searched []fhir.ResourceType
	lenient  bool
	seen     []string // controls that were given
	values   int
	matches  int
	joins    int
	terms    int
	// pins says that the parameter understood last can name patients.
	pins   bool
	self   strings.Builder
	issues []fhir.Issue
}

// Parse understands a search for resources of a type, or of all types when t is
// empty. Parameters that are not known are refused, or left out when lenient; a
// modifier or value that is not understood is refused either way (R4
// search.html#errors, #modifiers).
func (p *Parser) Parse(t fhir.ResourceType, params []Pair, lenient bool) (*Query, *Refusal) {
	r := &reading{Parser: p, q: &Query{Type: t, Count: -1}, lenient: lenient}
	switch {
	case len(params) > MaxParams:
		return nil, refusal(fhir.CodeTooCostly, fmt.Sprintf("too many search parameters: at most %d", MaxParams))
	case t == "":
		if f := r.everywhere(params); f != nil {
			return nil, refusal(f.code, "search parameter \"_type\": "+f.text)
		}
	case p.types[t] == nil:
		return nil, refusal(fhir.CodeNotSupported, "there is no such resource type to search")
	default:
		r.searched = []fhir.ResourceType{t}
	}
	for _, pair := range params {
		if f := r.param(pair); f != nil {
			r.refuse(pair.Name, f)
		}
	}
	if len(r.issues) == 0 {
		r.together()
	}
	if len(r.issues) > 0 {
		return nil, &Refusal{r.issues}
	}
	r.q.Self = r.self.String()
	return r.q, nil
}

func (r *reading) refuse(name string, f *fault) {
	r.issues = append(r.issues, refused(f.code, "search parameter "+printable(name)+": "+r.said(name, f)))
}

// param understands one parameter. Text that no resource can hold is a slip of
// the client's, or a probe.
func (r *reading) param(pair Pair) *fault {
	if !utf8.ValidString(pair.Name+pair.Value) || strings.Contains(pair.Name+pair.Value, "\x00") {
		return bad("has a character that no value can have; values are UTF-8")
	}
	name, modifier, modified := strings.Cut(pair.Name, ":")
	if c := controlOf(name); c.read != nil {
		return r.control(c, pair, modifier, modified)
	}
	clause, f := r.condition(r.searched, pair.Name, pair.Value)
	if f != nil {
		if f.unknown && r.lenient && !r.begins(pair.Name) {
			return nil
		}
		return f
	}
	r.q.Clauses = append(r.q.Clauses, clause)
	r.pin(clause)
	r.understood(pair)
	return nil
}

// begins reports whether a name begins with a parameter that is known: then it
// is a filter, which lenient handling must not leave out.
func (r *reading) begins(name string) bool {
	if i := strings.IndexAny(name, ".:"); i >= 0 {
		name = name[:i]
	}
	if name == "_has" || specialOf(name) != nil {
		return true
	}
	return r.common(r.searched, name)
}

// Supported are the search parameters a query for resources of a type may use,
// sorted by code, for the CapabilityStatement.
func (p *Parser) Supported(t fhir.ResourceType) (params []*r4.SearchParam) {
	if p.types[t] == nil {
		return nil
	}
	for _, pp := range p.types[t].params {
		if (pp.indexed || specialOf(pp.Code) != nil) && !pp.Internal {
			params = append(params, pp.SearchParam)
		}
	}
	slices.SortFunc(params, func(a, b *r4.SearchParam) int { return strings.Compare(a.Code, b.Code) })
	return params
}

// pin notes the patients to whom a clause confines the search.
func (r *reading) pin(c Clause) {
	if r.pins {
		pin(r.q, c)
	}
	r.pins = false
}

// pins reports whether what refers to a patient by the parameter is the
// patient's: a canonical is no Reference.
func (pp *paramPlan) pins() bool {
	return pp.number == ParamID || pp.Kind == r4.ParamReference && !pp.canonical()
}

// pin notes the patients to whom a clause about _id or a reference confines the
// search. Of several such clauses the one with the fewest patients counts. What
// refers to a patient belongs to that patient, except a Patient linked to
// another.
func pin(q *Query, c Clause) {
	if !c.Plain() || slices.Contains(q.Types, "Patient") {
		return
	}
	var ids []string
	for i := range c.Any {
		m := &c.Any[i]
		id, ok := "", false
		switch {
		case m.Op != OpEqual:
		case q.Type == "Patient":
			if m.Param == ParamID {
				id, ok = string(m.Key[1:]), true
			}
		default:
			id, ok = strings.CutPrefix(string(m.Key), string(rune(tagReference))+"Patient/")
		}
		if !ok {
			return
		}
		id, _, _ = strings.Cut(id, "/")
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 && (q.Patients == nil || len(ids) < len(q.Patients)) {
		q.Patients = ids
	}
}

// Compartment confines q to the compartment of one resource (R4
// search.html#compartment). A query of several types keeps those of them that
// are ever in it; Of confines it for each of them. The error says that R4 has no
// such compartment, or that resources of q's type are never in it.
func (p *Parser) Compartment(q *Query, compartment, id string) error {
	c := p.defs.Compartment(compartment)
	if c == nil || !fhir.ValidID(id) {
		return fmt.Errorf("search: no compartment of type %s", printable(compartment))
	}
	q.Within = c.Code + "/" + id
	if q.Type == "" {
		q.Types = slices.DeleteFunc(slices.Clone(q.Types), func(t fhir.ResourceType) bool {
			_, in := c.Params(t)
			return !in
		})
		return nil
	}
	codes, ok := c.Params(q.Type)
	if !ok {
		return fmt.Errorf("search: %s is never in the compartment of a %s", q.Type, c.Code)
	}
	var clause Clause
	if string(q.Type) == c.Code {
		clause.Any = append(clause.Any, IDMatch(id))
	}
	for _, code := range codes {
		if pp := p.param(q.Type, code); pp != nil && pp.indexed && pp.Kind == r4.ParamReference {
			clause.Any = append(clause.Any, ReferenceMatch(pp.SearchParam, q.Within))
		}
	}
	q.Clauses = append(q.Clauses, clause)
	pin(q, clause)
	return nil
}

// Of is the part of a query of several types that searches one of them. q is not
// changed.
func (p *Parser) Of(q *Query, t fhir.ResourceType) (*Query, error) {
	one := *q
	one.Type, one.Types = t, nil
	if q.Within == "" {
		return &one, nil
	}
	one.Clauses = slices.Clone(q.Clauses)
	compartment, id, _ := strings.Cut(q.Within, "/")
	err := p.Compartment(&one, compartment, id)
	return &one, err
}
