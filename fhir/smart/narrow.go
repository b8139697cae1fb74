package smart

import (
	"slices"
	"strings"

	"vitrine/fhir"
)

// The scopes that are no FHIR scopes.
const (
	ScopeOpenID          = "openid"
	ScopeUser            = "fhirUser"
	ScopeProfile         = "profile"
	ScopeLaunch          = "launch"
	ScopeLaunchPatient   = "launch/patient"
	ScopeLaunchEncounter = "launch/encounter"
	ScopeOffline         = "offline_access"
	ScopeOnline          = "online_access"
)

// PlainScopes are those that this server knows beside the FHIR scopes.
func PlainScopes() []string {
	return []string{ScopeOpenID, ScopeUser, ScopeProfile, ScopeLaunch, ScopeLaunchPatient, ScopeLaunchEncounter, ScopeOffline, ScopeOnline}
}

// HasScope reports whether a space-separated list has exactly this scope.
func HasScope(list, scope string) bool {
	for one := range strings.FieldsSeq(list) {
		if one == scope {
			return true
		}
	}
	return false
}

// WithoutScopes is the list without the scopes for which drop reports true.
func WithoutScopes(list string, drop func(scope string) bool) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(list), drop), " ")
}

// grantedMost is how much is granted at once, in bytes.
const grantedMost = 16 << 10

// Narrow is the part of what was asked for that lies within most, in the order
// asked for and each once: never more than either says (SMART App Launch 2.2,
// scopes-and-launch-context.html; RFC 6749 §3.3). A scope that is granted as it
// was asked keeps its spelling; one that is cut down is written as version 2 has
// it. What is not understood is left out, and what there is beyond grantedMost:
// queries multiply.
func Narrow(asked, most string) string {
	var granted []string
	size, has := 0, map[string]bool{}
	add := func(scope string) {
		if next := size + len(scope) + 1; !has[scope] && next <= grantedMost {
			size, has[scope], granted = next, true, append(granted, scope)
		}
	}
	known := PlainScopes()
	for one := range strings.FieldsSeq(asked) {
		if slices.Contains(known, one) {
			if HasScope(most, one) {
				add(one)
			}
			continue
		}
		want, ok := readScope(one)
		if !ok {
			continue
		}
		for bound := range strings.FieldsSeq(most) {
			have, ok := readScope(bound)
			if !ok {
				continue
			}
			if both, ok := want.meet(have); ok {
				if both == want {
					add(one)
				} else {
					add(both.String())
				}
			}
		}
	}
	return strings.Join(granted, " ")
}

// Within reports whether everything that was asked for lies within most: nothing
// of it would be cut off. An empty list does.
func Within(asked, most string) bool {
	for one := range strings.FieldsSeq(asked) {
		if got := Narrow(one, most); !HasScope(got, one) {
			return false
		}
	}
	return true
}

// KeepLetters narrows the FHIR scopes of a context ("patient", "user" or "system")
// to some letters, and leaves out the scopes of which nothing remains. Other
// scopes are kept as they are.
func KeepLetters(list, context, keep string) string {
	var bound []string
	for _, c := range [...]string{"patient", "user", "system"} {
		if c == context {
			if keep != "" {
				bound = append(bound, c+"/*."+keep)
			}
			continue
		}
		bound = append(bound, c+"/*.cruds")
	}
	return Narrow(list, strings.Join(append(bound, PlainScopes()...), " "))
}

// ScopeType is the resource type that a FHIR scope is about; "*" for all, and empty
// for what is no FHIR scope.
func ScopeType(scope string) fhir.ResourceType {
	f, _ := readScope(scope)
	return fhir.ResourceType(f.typ)
}

// fhirScope is a FHIR scope in its parts.
type fhirScope struct {
	context, typ string
	letters      letters
	query        string
}

// readScope takes a FHIR scope apart, that of version 1 as well.
func readScope(s string) (fhirScope, bool) {
	ctx, rest, ok := strings.Cut(s, "/")
	if !ok || parseContext(ctx) == contextNone {
		return fhirScope{}, false
	}
	rest, query, asks := strings.Cut(rest, "?")
	typ, permissions, ok := strings.Cut(rest, ".")
	if !ok || !validType(typ) || asks && query == "" {
		return fhirScope{}, false
	}
	set, ok := parseLetters(permissions)
	return fhirScope{context: ctx, typ: typ, letters: set, query: query}, ok
}

// meet is what two scopes have in common; false when that is nothing. The query
// of either holds.
func (f fhirScope) meet(g fhirScope) (fhirScope, bool) {
	if f.context != g.context || f.typ != "*" && g.typ != "*" && f.typ != g.typ {
		return fhirScope{}, false
	}
	both := f
	if both.typ == "*" {
		both.typ = g.typ
	}
	both.letters &= g.letters
	switch {
	case f.query == "":
		both.query = g.query
	case g.query != "" && g.query != f.query:
		both.query = f.query + "&" + g.query
	}
	return both, both.letters != 0
}

// String writes the scope as version 2 has it.
func (f fhirScope) String() string {
	var b strings.Builder
	b.WriteString(f.context + "/" + f.typ + ".")
	for _, c := range []byte("cruds") {
		if f.letters&letterOf(c) != 0 {
			b.WriteByte(c)
		}
	}
	if f.query != "" {
		b.WriteString("?" + f.query)
	}
	return b.String()
}
