package patch

import (
	"strings"

	"vitrine/fhir"
)

// pointer is a JSON Pointer (RFC 6901).
type pointer struct {
	text   string
	tokens []string
}

// parsePointer reads a pointer; ok is false for what is none.
func parsePointer(s string) (p pointer, ok bool) {
	p.text = s
	if s == "" {
		return p, true
	}
	if s[0] != '/' {
		return p, false
	}
	for token := range strings.SplitSeq(s[1:], "/") {
		for i := 0; i < len(token); i++ {
			if token[i] == '~' && (i+1 == len(token) || (token[i+1] != '0' && token[i+1] != '1')) {
				return p, false
			}
		}
		token = strings.ReplaceAll(token, "~1", "/") // in this order: ~01 is ~1
		p.tokens = append(p.tokens, strings.ReplaceAll(token, "~0", "~"))
	}
	return p, true
}

// last splits the pointer into that of the parent and the last token. The
// pointer is not that of the whole document.
func (p pointer) last() (parent pointer, token string) {
	end := len(p.tokens) - 1
	return pointer{tokens: p.tokens[:end]}, p.tokens[end]
}

// within reports whether the pointer leads into what the other one names.
func (p pointer) within(other pointer) bool {
	if len(p.tokens) <= len(other.tokens) {
		return false
	}
	for i, token := range other.tokens {
		if p.tokens[i] != token {
			return false
		}
	}
	return true
}

// find is the value that the pointer names; None when there is none.
func (p pointer) find(t *fhir.Tape) fhir.Node {
	n := t.Root()
	for _, token := range p.tokens {
		switch t.Kind(n) {
		case fhir.Object:
			n = t.Field(n, token)
		case fhir.Array:
			at, ok := arrayIndex(token)
			if !ok {
				return fhir.None
			}
			n = item(t, n, at)
		case fhir.Invalid, fhir.String, fhir.Number, fhir.True, fhir.False, fhir.Null:
			return fhir.None
		}
	}
	return n
}

// arrayIndex reads a token as the place of an element: digits, without a zero in
// front of others (RFC 6901 §4).
func arrayIndex(token string) (at int, ok bool) {
	const digitsMost = 9
	if token == "" || len(token) > digitsMost || (token[0] == '0' && len(token) > 1) {
		return 0, false
	}
	for _, c := range []byte(token) {
		if c < '0' || c > '9' {
			return 0, false
		}
		at = at*10 + int(c-'0')
	}
	return at, true
}
