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
	// query narrows it to what the query finds; empty for all of the type.
	query string
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
// (openid, launch/patient, …) or is not well formed grants nothing: scopes only
// ever add up, so leaving one out fails closed. Whether a query that narrows one is
// understood is for who searches to say.
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
	permissions, query, narrowed := strings.Cut(permissions, "?")
	if narrowed && (typ == "*" || query == "" || len(query) > MaxScopeQuery || isWord(permissions)) {
		return grant{}, false
	}
	g.query = query
	g.letters, ok = parseLetters(permissions)
	return g, ok && g.context != contextNone
}

// MaxScopeQuery is how long the query of a scope may be, in bytes.
const MaxScopeQuery = 1024

// isWord reports whether permissions are those of version 1, which have no queries.
func isWord(permissions string) bool {
	return permissions == "read" || permissions == "write" || permissions == "*"
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
// c, r, u, d, s, and the three words of version 1. Anything else is not understood.
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

// covers reports whether the grant is of the permission on the type.
func (g *grant) covers(want letters, t fhir.ResourceType) bool {
	return g.letters&want != 0 && (g.typ == "*" || g.typ == t)
}

// Allows reports whether some scope grants the permission (one of the letters
// c, r, u, d, s) on the whole of the type. patientOnly is true when none but
// patient/ scopes do: the launch patient's record is then all that may be touched.
// What queries narrow is not among them.
func (s Scopes) Allows(letter byte, t fhir.ResourceType) (ok, patientOnly bool) {
	want := letterOf(letter)
	if want == 0 || t == "" || t == "*" {
		return false, false
	}
	for i := range s.grants {
		g := &s.grants[i]
		if g.query != "" || !g.covers(want, t) {
			continue
		}
		if g.context != contextPatient {
			return true, false
		}
		ok = true
	}
	return ok, ok
}

// Granular is a part of a type that a scope grants a permission on
// (SMART App Launch 2.2, scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters).
type Granular struct {
	// Query is what the part is found by, as the scope has it.
	Query string
	// PatientOnly says that it is a patient/ scope.
	PatientOnly bool
}

// Granular reports whether a scope is narrowed by a query.
func (s Scopes) Granular() bool {
	for i := range s.grants {
		if s.grants[i].query != "" {
			return true
		}
	}
	return false
}

// Parts are the parts of a type that scopes grant the permission on, beside what
// Allows tells.
func (s Scopes) Parts(letter byte, t fhir.ResourceType) (parts []Granular) {
	want := letterOf(letter)
	if want == 0 || t == "" || t == "*" {
		return nil
	}
	for i := range s.grants {
		if g := &s.grants[i]; g.query != "" && g.covers(want, t) {
			parts = append(parts, Granular{g.query, g.context == contextPatient})
		}
	}
	return parts
}

// Empty reports whether nothing at all is granted.
func (s Scopes) Empty() bool { return len(s.grants) == 0 }

// String is the list as it was given.
func (s Scopes) String() string { return s.text }
