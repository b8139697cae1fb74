package search

import (
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// Specials are the parameters that every type has and no element gives, sorted.
func Specials() []string { return specials() }

// Common are the other parameters that every type has, sorted by code.
func (p *Parser) Common() []*r4.SearchParam {
	return slices.DeleteFunc(p.Supported(p.every[0]), func(s *r4.SearchParam) bool {
		return specialOf(s.Code) != nil || !p.common(p.every, s.Code)
	})
}

// common reports whether all of the types have the parameter.
func (p *Parser) common(types []fhir.ResourceType, code string) bool {
	return !slices.ContainsFunc(types, func(t fhir.ResourceType) bool {
		pp := p.param(t, code)
		return pp == nil || !pp.indexed
	})
}

// Prefixes are those that values of parameters of a kind may begin with (R4
// search.html#prefix); nil for kinds that take none.
func Prefixes(k r4.ParamKind) []string {
	switch k {
	case r4.ParamNumber, r4.ParamDate, r4.ParamQuantity:
		return []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}
	case r4.ParamString, r4.ParamToken, r4.ParamReference, r4.ParamURI, r4.ParamComposite, r4.ParamSpecial:
	}
	return nil
}

// References are the reference parameters of a type, sorted by code, for includes.
func (p *Parser) References(t fhir.ResourceType) (params []*r4.SearchParam) {
	return slices.DeleteFunc(p.Supported(t), func(s *r4.SearchParam) bool { return s.Kind != r4.ParamReference })
}

// RefersTo reports whether a reference parameter of a type may point to another.
func (p *Parser) RefersTo(t fhir.ResourceType, code string, target fhir.ResourceType) bool {
	pp := p.param(t, code)
	return pp != nil && pp.indexed && pp.Kind == r4.ParamReference && pp.refersTo(target)
}
