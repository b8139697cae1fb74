package rest

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
)

// searchParams appends rest.resource.searchParam: what the parser takes, with its
// modifiers and prefixes in words, for R4 has no element for them.
func searchParams(w text, t *r4.Type, parser *search.Parser) text {
	for i, p := range parser.Supported(t.Resource()) {
		if i == 0 {
			w = w.raw(`,"searchParam":[`)
		}
		w = searchParam(w.comma(i), p.Code, p.URL, p.Kind.String(), takes(parser, t.Resource(), p))
	}
	return w.raw("]")
}

// searchParam appends one parameter.
func searchParam(w text, name, definition, kind, words string) text {
	w = w.raw(`{"name":`).quote(name)
	if definition != "" {
		w = w.raw(`,"definition":`).quote(definition)
	}
	w = w.raw(`,"type":`).quote(kind)
	if words != "" {
		w = w.raw(`,"documentation":`).quote(words)
	}
	return w.raw("}")
}

// takes says which modifiers and prefixes a parameter takes.
func takes(parser *search.Parser, t fhir.ResourceType, p *r4.SearchParam) string {
	modifiers := parser.Modifiers(t, p.Code)
	if p.Kind == r4.ParamReference {
		modifiers = append(modifiers, "[type]")
	}
	var words []string
	if len(modifiers) > 0 {
		words = append(words, "modifiers: "+strings.Join(modifiers, ", "))
	}
	if prefixes := search.Prefixes(p.Kind); prefixes != nil {
		words = append(words, "prefixes: "+strings.Join(prefixes, ", "))
	}
	return strings.Join(words, "; ")
}

// includes appends rest.resource.searchInclude and searchRevInclude: every
// reference from the type, and to it.
func (s *Server) includes(w text, t *r4.Type, parser *search.Parser) text {
	w = w.raw(`,"searchInclude":["*"`)
	for i, p := range parser.References(t.Resource()) {
		if i == 0 {
			w = w.raw(",").quote(t.Name + ":*")
		}
		w = w.raw(",").quote(t.Name + ":" + p.Code)
	}
	w = w.raw(`],"searchRevInclude":["*"`)
	for _, source := range s.tools.Definitions.Resources() {
		for _, p := range parser.References(source.Resource()) {
			if parser.RefersTo(source.Resource(), p.Code, t.Resource()) {
				w = w.raw(",").quote(source.Name + ":" + p.Code)
			}
		}
	}
	return w.raw("]")
}

// searchAll appends rest.searchParam: what every search takes.
func (s *Server) searchAll(w text, parser *search.Parser) text {
	w = w.raw(`,"searchParam":[`)
	n := 0
	for _, p := range parser.Common() {
		w = searchParam(w.comma(n), p.Code, p.URL, p.Kind.String(), takes(parser, "Patient", p))
		n++
	}
	for _, name := range slices.Concat(search.Specials(), search.Controls()) {
		definition, kind := "", r4.ParamSpecial
		if p := s.tools.Definitions.Resource("Patient").Param(name); p != nil && p.URL != "" {
			definition, kind = p.URL, p.Kind
		}
		w = searchParam(w.comma(n), name, definition, kind.String(), controls[name])
		n++
	}
	return w.raw("]")
}

// controls says of parameters that no definition tells of what they take.
//
//nolint:gochecknoglobals // a table that never changes
var controls = map[string]string{
	"_contained":     "true, false or both; in searches of one type",
	"_containedType": "container or contained",
	"_content":       "words and \"phrases\" anywhere in the resource, with and, or, not and parentheses",
	"_count":         "a whole number; 0 counts alone",
	"_elements":      "elements at the root of what is searched",
	"_filter":        "the whole grammar of R4",
	"_has":           "as _has:Type:reference:parameter, also within one another",
	"_include":       "as searchInclude has it; modifiers: iterate",
	"_list":          "ids of Lists",
	"_revinclude":    "as searchRevInclude has it; modifiers: iterate",
	"_sort":          "search parameters, the first first; - before one turns it round",
	"_summary":       "true, text, data, count or false",
	"_text":          "words and \"phrases\" in the narrative, with and, or, not and parentheses",
	"_total":         "none, estimate or accurate",
	"_type":          "resource types; in searches of all types",
}
