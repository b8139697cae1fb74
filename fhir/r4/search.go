package r4

import "vitrine/fhir"

// Numbers of our own search parameters. They are fixed for the life of every
// index and lie above all official ones.
const (
	// ParamAuditPurpose is AuditEvent?purpose=, a token.
	ParamAuditPurpose uint16 = 0xFF01
	// ParamAwaits is the identifier, "system|value", of the patient a resource
	// in quarantine waits for. It is internal.
	ParamAwaits uint16 = 0xFF03
)

// ParamKind is SearchParameter.type. The zero value is none.
type ParamKind uint8

// The kinds of search parameters (R4 search.html#ptypes).
const (
	ParamNumber ParamKind = iota + 1
	ParamDate
	ParamString
	ParamToken
	ParamReference
	ParamComposite
	ParamQuantity
	ParamURI
	ParamSpecial
)

// String is the code of SearchParameter.type.
func (k ParamKind) String() string {
	switch k {
	case ParamNumber:
		return "number"
	case ParamDate:
		return "date"
	case ParamString:
		return "string"
	case ParamToken:
		return "token"
	case ParamReference:
		return "reference"
	case ParamComposite:
		return "composite"
	case ParamQuantity:
		return "quantity"
	case ParamURI:
		return "uri"
	case ParamSpecial:
		return "special"
	default:
		return ""
	}
}

// SearchParam is one search parameter.
type SearchParam struct {
	// Number is stable for R4: official parameters are numbered from 1 in the
	// order of their URLs.
	Number uint16
	Code   string // what stands in a query: "birthdate"
	Name   string
	URL    string
	Kind   ParamKind
	// Bases are the types it searches; "Resource" and "DomainResource" stand for
	// all.
	Bases      []fhir.ResourceType
	Expression string // FHIRPath; empty for a few special ones
	Targets    []fhir.ResourceType
	Components []Component // of a composite
	// Internal marks one that no query may name; it is found by number alone.
	Internal bool
}

// Component is one part of a composite search parameter.
type Component struct {
	Param      *SearchParam
	Expression string
}

// Compartment is one CompartmentDefinition.
type Compartment struct {
	Code string // "Patient"

	types map[fhir.ResourceType][]string
}

// Params are the codes of the search parameters by which a resource of the type
// is in the compartment; "{def}" stands for the type itself. ok is false when
// resources of the type are never in it.
func (c *Compartment) Params(t fhir.ResourceType) (codes []string, ok bool) {
	codes, ok = c.types[t]
	return codes, ok
}
