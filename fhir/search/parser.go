package search

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// The limits of one search.
const (
	MaxParams   = 100
	MaxValues   = 1000 // alternatives in all parameters together
	maxMatches  = 20000
	maxSortKeys = 8
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
	q       *Query
	lenient bool
	seen    []string // controls that were given
	values  int
	matches int
	self    strings.Builder
	issues  []fhir.Issue
}

// Parse understands a search for resources of a type. Parameters that are not
// known are refused, or left out when lenient; a modifier or value that is not
// understood is refused either way (R4 search.html#errors, #modifiers).
func (p *Parser) Parse(t fhir.ResourceType, params []Pair, lenient bool) (*Query, *Refusal) {
	r := &reading{Parser: p, q: &Query{Type: t, Count: -1}, lenient: lenient}
	switch {
	case p.types[t] == nil:
		return nil, &Refusal{[]fhir.Issue{refused(fhir.CodeNotSupported, "there is no such resource type to search")}}
	case len(params) > MaxParams:
		text := fmt.Sprintf("too many search parameters: at most %d", MaxParams)
		return nil, &Refusal{[]fhir.Issue{refused(fhir.CodeTooCostly, text)}}
	}
	for _, pair := range params {
		if f := r.param(pair); f != nil {
			r.issues = append(r.issues, refused(f.code, "search parameter "+printable(pair.Name)+": "+f.text))
		}
	}
	if len(r.issues) > 0 {
		return nil, &Refusal{r.issues}
	}
	r.q.Self = r.self.String()
	return r.q, nil
}

// param understands one parameter.
func (r *reading) param(pair Pair) *fault {
	name, modifier, modified := strings.Cut(pair.Name, ":")
	if c := controlOf(name); c != nil {
		if modified {
			return r.unknown("it takes no modifier")
		}
		return r.control(c, pair)
	}
	if text := notYet(name); text != "" {
		return r.unknown(text)
	}
	if base, _, chained := strings.Cut(pair.Name, "."); chained {
		plain, _, _ := strings.Cut(base, ":")
		if r.Parser.param(r.q.Type, plain) != nil {
			return unsupported("chained parameters are not supported yet; search by the reference itself")
		}
	}
	pp := r.Parser.param(r.q.Type, name)
	if pp == nil {
		return r.unknown("not known for " + string(r.q.Type) + "; /metadata lists what is")
	}
	if !pp.indexed {
		return r.unknown("not supported")
	}
	clause, f := r.clause(pp, modifier, modified, pair.Value)
	if f != nil {
		return f
	}
	r.q.Clauses = append(r.q.Clauses, clause)
	r.pin(clause)
	r.understood(pair)
	return nil
}

// unknown refuses a parameter, or leaves it out under lenient handling.
func (r *reading) unknown(text string) *fault {
	if r.lenient {
		return nil
	}
	return unsupported(text)
}

// notYet says what is wrong with parameters of the specification that are not
// supported; "" for all others.
func notYet(name string) string {
	switch name {
	case "_include", "_revinclude", "_elements", "_contained", "_containedType", "_has", "_filter", "_text",
		"_content", "_list", "_query", "_type", "_score":
		return "not supported yet"
	}
	return ""
}

// clause understands the values of a parameter.
func (r *reading) clause(pp *paramPlan, modifier string, modified bool, value string) (Clause, *fault) {
	parse, f := r.valueParser(pp, modifier, modified)
	if f != nil {
		return Clause{}, f
	}
	values, ok := splitEscaped(value, ',')
	if r.values += len(values); r.values > MaxValues {
		return Clause{}, &fault{fhir.CodeTooCostly, fmt.Sprintf("too many values in the search: at most %d", MaxValues)}
	}
	if !ok {
		return Clause{}, bad(`a backslash may only stand before , | $ or another backslash`)
	}
	var c Clause
	for i, v := range values {
		matches, f := parse(v)
		if v == "" {
			f = bad("is empty")
		}
		if f != nil {
			if len(values) > 1 {
				f.text = fmt.Sprintf("value %d: %s", i+1, f.text)
			}
			return Clause{}, f
		}
		c.Any = append(c.Any, matches...)
		if r.matches += len(matches); r.matches > maxMatches {
			return Clause{}, &fault{fhir.CodeTooCostly, "the values have too many possible meanings; name the type of each reference"}
		}
	}
	return c, nil
}

// valueParser is how one value of a parameter is understood, given its modifier.
func (r *reading) valueParser(pp *paramPlan, modifier string, modified bool) (func(string) ([]Match, *fault), *fault) {
	plain := func(v string) ([]Match, *fault) { return r.value(pp, v) }
	switch {
	case !modified:
		return plain, nil
	case pp.Kind == r4.ParamString && modifier == "exact":
		return func(v string) ([]Match, *fault) { return exactText(pp, v) }, nil
	case pp.Kind == r4.ParamReference && modifier == "identifier":
		return func(v string) ([]Match, *fault) { return tokenMatches(pp.number, []byte{tagIdentifier}, v) }, nil
	case pp.Kind == r4.ParamReference && r.defs.Resource(modifier) != nil:
		if len(pp.targets) > 0 && !slices.Contains(pp.targets, fhir.ResourceType(modifier)) {
			return nil, bad("it never refers to that type")
		}
		return func(v string) ([]Match, *fault) { return r.typedReference(pp, modifier, v) }, nil
	}
	return nil, unsupported("modifier " + printable(modifier) + " is not supported; " + supportedModifiers(pp.Kind))
}

func supportedModifiers(k r4.ParamKind) string {
	switch k { //nolint:exhaustive // the others have none
	case r4.ParamString:
		return `"exact" is`
	case r4.ParamReference:
		return `"identifier" and the name of a resource type are`
	default:
		return "no modifier is"
	}
}

// Supported are the search parameters a query for resources of a type may use,
// sorted by code, for the CapabilityStatement.
func (p *Parser) Supported(t fhir.ResourceType) (params []*r4.SearchParam) {
	if p.types[t] == nil {
		return nil
	}
	for _, pp := range p.types[t].params {
		if pp.indexed && !pp.Internal {
			params = append(params, pp.SearchParam)
		}
	}
	slices.SortFunc(params, func(a, b *r4.SearchParam) int { return strings.Compare(a.Code, b.Code) })
	return params
}

// pin notes the patients to whom a clause confines the search. Of several such
// clauses the one with the fewest patients counts. What refers to a patient
// belongs to that patient, except a Patient linked to another.
func (r *reading) pin(c Clause) { pin(r.q, c) }

func pin(q *Query, c Clause) {
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
// search.html#compartment). The error says that R4 has no such compartment, or
// that resources of q's type are never in it.
func (p *Parser) Compartment(q *Query, compartment, id string) error {
	c := p.defs.Compartment(compartment)
	if c == nil || !fhir.ValidID(id) {
		return fmt.Errorf("search: no compartment of type %s", printable(compartment))
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
			clause.Any = append(clause.Any, ReferenceMatch(pp.SearchParam, c.Code+"/"+id))
		}
	}
	q.Clauses = append(q.Clauses, clause)
	pin(q, clause)
	return nil
}
