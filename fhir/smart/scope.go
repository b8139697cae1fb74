package smart

import (
	"strings"

	"vitrine/fhir"
)

// Scopes are the FHIR scopes of a token. The zero value grants nothing.
type Scopes struct {
	text   string
	grants []grant
}

// grant is one scope that was understood whole.
type grant struct {
	context capacity
	typ     fhir.ResourceType // "*" for every type
	letters letters
}

type capacity uint8

const (
	contextNone capacity = iota // the zero value grants nothing
	contextPatient
	contextUser
	contextSystem
)

// letters is a set of the permissions c, r, u, d and s.
type letters uint8

const (
	letterC letters = 1 << iota
	letterR
	letterU
	letterD
	letterS
)

func letterOf(b byte) letters {
	switch b {
	case 'c':
		return letterC
	case 'r':
		return letterR
	case 'u':
		return letterU
	case 'd':
		return letterD
	case 's':
		return letterS
	default:
		return 0
	}
}

// ParseScopes reads a space-separated list of scopes. What is not a FHIR scope
// (openid, launch/patient, …), is not well formed, or is narrowed by a query
// ("patient/Observation.rs?category=…", not supported) grants nothing: scopes
// only ever add up, so leaving one out fails closed.
func ParseScopes(s string) Scopes {
	scopes := Scopes{text: s}
	for one := range strings.FieldsSeq(s) {
		if g, ok := parseScope(one); ok {
			scopes.grants = append(scopes.grants, g)
		}
	}
	return scopes
}

// parseScope reads one scope of the form context/type.letters
// (SMART App Launch 2.2, scopes-and-launch-context.html#scopes-for-requesting-fhir-resources).
func parseScope(s string) (grant, bool) {
	ctx, rest, ok := strings.Cut(s, "/")
	if !ok {
		return grant{}, false
	}
	typ, permissions, ok := strings.Cut(rest, ".")
	if !ok || !validType(typ) {
		return grant{}, false
	}
	g := grant{context: parseContext(ctx), typ: fhir.ResourceType(typ)}
	g.letters, ok = parseLetters(permissions)
	return g, ok && g.context != contextNone
}

func parseContext(s string) capacity {
	switch s {
	case "patient":
		return contextPatient
	case "user":
		return contextUser
	case "system":
		return contextSystem
	default:
		return contextNone
	}
}

// validType accepts "*" and what is spelled like a resource type. A type that
// does not exist grants nothing, since nothing of it is ever asked for.
func validType(s string) bool {
	if s == "*" {
		return true
	}
	for i := range len(s) {
		c := s[i]
		upper, lower := c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z'
		if !upper && (i == 0 || !lower) {
			return false
		}
	}
	return s != ""
}

// parseLetters reads the permissions of version 2, which must come in the order
// c, r, u, d, s, and the three words of version 1. Anything else, a query
// included, is not understood.
func parseLetters(s string) (letters, bool) {
	switch s {
	case "read":
		return letterR | letterS, true
	case "write":
		return letterC | letterU | letterD, true
	case "*":
		return letterC | letterR | letterU | letterD | letterS, true
	}
	var set letters
	for i := range len(s) {
		l := letterOf(s[i])
		if l == 0 || l <= set { // unknown, repeated or out of order
			return 0, false
		}
		set |= l
	}
	return set, set != 0
}

// Allows reports whether some scope grants the permission (one of the letters
// c, r, u, d, s) on the type. patientOnly is true when none but patient/ scopes
// do: the launch patient's record is then all that may be touched.
func (s Scopes) Allows(letter byte, t fhir.ResourceType) (ok, patientOnly bool) {
	want := letterOf(letter)
	if want == 0 || t == "" || t == "*" {
		return false, false
	}
	for _, g := range s.grants {
		if g.letters&want == 0 || (g.typ != "*" && g.typ != t) {
			continue
		}
		if g.context != contextPatient {
			return true, false
		}
		ok = true
	}
	return ok, ok
}

// Empty reports whether nothing at all is granted.
func (s Scopes) Empty() bool { return len(s.grants) == 0 }

// String is the list as it was given.
func (s Scopes) String() string { return s.text }
