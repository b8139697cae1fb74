package search

import (
	"iter"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// Parameters that every type has and that are not made from content.
const (
	// ParamID is _id.
	ParamID Param = 0xFF10
	// ParamLastUpdated is _lastUpdated.
	ParamLastUpdated Param = 0xFF11
)

// Pair is one parameter of a request, percent-decoded, in the order given.
type Pair struct{ Name, Value string }

// Refusal says why a search was not understood.
type Refusal struct{ Issues []fhir.Issue }

func (r *Refusal) Error() string { panic("skeleton") }

// Indexer makes index entries of resources.
type Indexer struct{}

// NewIndexer compiles the search parameters of every type; base is the FHIR base URL.
func NewIndexer(d *r4.Definitions, base string) (*Indexer, error) { return &Indexer{}, nil }

// Parser is the parser of the same tables.
func (x *Indexer) Parser() *Parser { panic("skeleton") }

// Link says which patient a logical identifier stands for: every Reference with
// that identifier is then indexed as a reference to Patient/ID too.
type Link struct {
	Identifier fhir.Identifier
	Patient    string // id
}

// Index appends the entries that the content of the resource gives, but not _id
// and _lastUpdated.
func (x *Indexer) Index(e *Entries, t *fhir.Tape, links ...Link) error { panic("skeleton") }

// AppendCommon appends the entries of _id and _lastUpdated.
func AppendCommon(e *Entries, id string, updated time.Time) { panic("skeleton") }

// AppendContributor appends the id of the Organization that contributed.
func AppendContributor(e *Entries, organization string) { panic("skeleton") }

// AppendAwaits appends the identifier of a patient a resource waits for.
func AppendAwaits(e *Entries, identifier fhir.Identifier) { panic("skeleton") }

// Encoded are entries as AppendBinary writes them.
type Encoded []byte

// All ranges over the entries in order. The values are shared with e.
func (e Encoded) All() iter.Seq2[Param, []byte] { panic("skeleton") }

// Holds reports whether any match of the clause does.
func (c Clause) Holds(e Encoded) bool { panic("skeleton") }

// Holds reports whether any entry matches.
func (m Match) Holds(e Encoded) bool { panic("skeleton") }

// Accepts reports whether one entry's value matches.
func (m Match) Accepts(value []byte) bool { panic("skeleton") }

// Matches reports whether all clauses hold.
func (q *Query) Matches(e Encoded) bool { panic("skeleton") }

// SortValue is the value by which a resource sorts; ok is false when it has none.
func SortValue(e Encoded, k SortKey) (v []byte, ok bool) { panic("skeleton") }

// Parser understands search strings.
type Parser struct{}

// NewParser prepares a parser; base is the FHIR base URL.
func NewParser(d *r4.Definitions, base string) *Parser { return &Parser{} }

// Parse understands a search for resources of type t.
func (p *Parser) Parse(t fhir.ResourceType, params []Pair, lenient bool) (*Query, *Refusal) {
	panic("skeleton")
}

// Compartment confines q to the compartment of one resource.
func (p *Parser) Compartment(q *Query, compartment, id string) error { panic("skeleton") }

// IDMatch matches the resource with that id.
func IDMatch(id string) Match { panic("skeleton") }

// ReferenceMatch matches a local reference, "Patient/p1".
func ReferenceMatch(p *r4.SearchParam, reference string) Match { panic("skeleton") }

// TokenMatch matches a system and a code, both exactly.
func TokenMatch(p *r4.SearchParam, system, code string) Match { panic("skeleton") }

// CodeMatch matches a code of any system, exactly.
func CodeMatch(p *r4.SearchParam, code string) Match { panic("skeleton") }

// IdentifierMatch matches a reference by its logical identifier.
func IdentifierMatch(p *r4.SearchParam, id fhir.Identifier) Match { panic("skeleton") }

// ContributorMatch matches what an organization (by id) contributed.
func ContributorMatch(organization string) Match { panic("skeleton") }

// AwaitsMatch matches what waits for a patient with the identifier.
func AwaitsMatch(identifier fhir.Identifier) Match { panic("skeleton") }
