package search

import (
	"bytes"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// IDMatch matches the resource with that id.
func IDMatch(id string) Match { return equal(ParamID, []byte{tagCode}, []byte(id)) }

// ContainedMatch matches a resource that contains one of the type.
func ContainedMatch(t fhir.ResourceType) Match {
	return equal(ParamContained, []byte{tagCode}, []byte(t))
}

// ReferenceMatch matches a reference to a resource of this server, "Patient/p1".
func ReferenceMatch(p *r4.SearchParam, reference string) Match {
	return equal(Param(p.Number), []byte{tagReference}, appendPart(nil, []byte(reference)))
}

// TokenMatch matches a system and a code, both exactly.
func TokenMatch(p *r4.SearchParam, system, code string) Match {
	return equal(Param(p.Number), []byte{tagSystemCode}, appendSystemCode(nil, []byte(system), []byte(code)))
}

// CodeMatch matches a code of any system, exactly.
func CodeMatch(p *r4.SearchParam, code string) Match {
	return equal(Param(p.Number), []byte{tagCode}, appendPart(nil, []byte(code)))
}

// AwaitsMatch matches what waits for the patient with the identifier.
func AwaitsMatch(id fhir.Identifier) Match {
	return equal(Param(r4.ParamAwaits), []byte{tagSystemCode}, appendSystemCode(nil, []byte(id.System), []byte(id.Value)))
}

func equal(p Param, parts ...[]byte) Match {
	m := Match{Param: p, Op: OpEqual}
	for _, part := range parts {
		m.Key = append(m.Key, part...)
	}
	return m
}

// appendRange appends the matches of a range under a tag and key: for narrow
// entries, whose ends confine each other, and for wide ones. Bounds that no
// entry can be within add nothing.
func appendRange(dst []Match, p Param, tag byte, key []byte, b Bounds, width uint64) []Match {
	b.LowMax = min(b.LowMax, b.HighMax)
	b.HighMin = max(b.HighMin, b.LowMin)
	narrow := b
	if narrow.HighMin > width {
		narrow.LowMin = max(narrow.LowMin, narrow.HighMin-width)
	}
	if narrow.LowMax < afterAll-width {
		narrow.HighMax = min(narrow.HighMax, narrow.LowMax+width)
	}
	if narrow.possible() {
		dst = append(dst, ranged(p, tag, key, narrow))
	}
	if b.possible() && b.HighMax-b.LowMin > width {
		dst = append(dst, ranged(p, tag-wide, key, b))
	}
	return dst
}

func (b *Bounds) possible() bool { return b.LowMin <= b.LowMax && b.HighMin <= b.HighMax }

func ranged(p Param, tag byte, key []byte, b Bounds) Match {
	return Match{Param: p, Op: OpRange, Key: append([]byte{tag}, key...), Bounds: b}
}

// Stated is the token that a match of a reference by its identifier asks for
// (:identifier); ok is false for all other matches. Its parameter is yet to be set.
func (m Match) Stated() (token Match, ok bool) {
	if len(m.Key) < 2 || m.Key[0] != tagIdentifier {
		return Match{}, false
	}
	return Match{Op: m.Op, Key: m.Key[1:]}, true
}

// Stating is the match of a reference that states the identifier which a match of
// tokens asks for.
func (m Match) Stating(reference Param) Match {
	return Match{Param: reference, Op: m.Op, Key: append([]byte{tagIdentifier}, m.Key...)}
}

// Equal reports whether both say the same.
func (m Match) Equal(o Match) bool {
	return m.Param == o.Param && m.Op == o.Op && m.Bounds == o.Bounds && bytes.Equal(m.Key, o.Key)
}
