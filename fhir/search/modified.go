package search

import (
	"strings"

	"vitrine/fhir/r4"
)

// exact understands name:exact (R4 search.html#string).
func (r *reading) exact(pp *paramPlan, v string) ([]Match, *fault) { return exactText(pp, v) }

// identifier understands subject:identifier (R4 search.html#reference).
func (r *reading) identifier(pp *paramPlan, v string) ([]Match, *fault) {
	return tokenMatches(pp.number, []byte{tagIdentifier}, v)
}

// in understands code:in (R4 search.html#token).
func (r *reading) in(pp *paramPlan, v string) ([]Match, *fault) {
	return []Match{{Param: pp.number, Op: OpIn, Key: []byte(unescape(v))}}, legibleValue(v)
}

func (r *reading) above(pp *paramPlan, v string) ([]Match, *fault) { return r.subsumed(pp, v, OpAbove) }
func (r *reading) below(pp *paramPlan, v string) ([]Match, *fault) { return r.subsumed(pp, v, OpBelow) }

// subsumed understands code:above and code:below (R4 search.html#token). A code
// without any system is in no hierarchy.
func (r *reading) subsumed(pp *paramPlan, v string, op Op) ([]Match, *fault) {
	if pp.mime {
		return mimeMatches(pp, v, op)
	}
	plain, f := tokenMatches(pp.number, nil, v)
	if f != nil {
		return nil, f
	}
	if plain[0].Op != OpEqual {
		return nil, bad("must be code or system|code")
	}
	parts, _ := splitEscaped(v, '|')
	code := []byte(unescape(parts[len(parts)-1]))
	m := Match{Param: pp.number, Op: op, Key: appendPart([]byte{tagCode}, code)}
	switch {
	case len(parts) == 1:
	case parts[0] == "":
		return plain, nil
	default:
		m.Key = appendSystemCode([]byte{tagSystemCode}, []byte(unescape(parts[0])), code)
	}
	return []Match{m}, nil
}

// mimeMatches understands contenttype:below (R4 search.html#mimetype): what
// stands behind the semicolon makes a type narrower.
func mimeMatches(pp *paramPlan, v string, op Op) ([]Match, *fault) {
	matches, f := tokenMatches(pp.number, nil, v)
	if f != nil {
		return nil, f
	}
	if op == OpAbove {
		if base, _, narrow := strings.Cut(v, ";"); narrow {
			wide, f := tokenMatches(pp.number, nil, strings.TrimRight(base, " "))
			return append(matches, wide...), f
		}
		return matches, nil
	}
	for _, m := range matches {
		m.Op, m.Key = OpPrefix, append(m.Key[:len(m.Key):len(m.Key)], ';')
		matches = append(matches, m)
	}
	return matches, nil
}

// ofType understands identifier:of-type (R4 search.html#token).
func (r *reading) ofType(pp *paramPlan, v string) ([]Match, *fault) { return ofType(pp.number, v) }

// aboveURI and belowURI understand url:above and url:below (R4 search.html#uri).
func (r *reading) aboveURI(pp *paramPlan, v string) ([]Match, *fault) {
	return aboveVersion(pp.number, tagURI, unescape(v))
}

func (r *reading) belowURI(pp *paramPlan, v string) ([]Match, *fault) {
	return belowVersion(pp.number, tagURI, unescape(v))
}

// mimeTypes is the value set whose codes are media types.
const mimeTypes = "http://hl7.org/fhir/ValueSet/mimetypes"

func bindsMime(v *r4.ValueSet) bool { return v != nil && strings.HasPrefix(v.URL, mimeTypes) }
