package token

import (
	"encoding/base64"
	"strings"

	"vitrine/fhir"
)

// The values of typ that an access token may have (RFC 9068 §2.1, and JWT for
// issuers older than it); "application/" may stand before them (RFC 7515 §4.1.9).
const (
	typeAccessToken = "at+jwt"
	typeJWT         = "jwt"
)

// typeIDToken is the typ of our own id_tokens, as others write it.
const typeIDToken = "JWT"

// compact is a JWS in its compact form (RFC 7515 §3.1), taken apart but not yet
// believed.
type compact struct {
	typ            string
	algorithm, kid string
	// jku is where the header says the key is. Nothing is ever fetched from there.
	jku       string
	signed    []byte // header "." payload
	signature []byte
	claims    object
}

// parseCompact takes a token apart. Headers that would change how it has to be
// read (crit, b64, zip, cty) are refused, those that offer a key (jwk, jku, x5c,
// x5u) are never looked at.
func parseCompact(s string) (*compact, error) {
	header, rest, ok1 := strings.Cut(s, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.Contains(signature, ".") {
		return nil, ErrMalformed
	}
	var h object
	if err := h.parse(header); err != nil {
		return nil, err
	}
	if h.has("crit") || h.has("b64") || h.has("zip") || h.has("cty") {
		return nil, ErrMalformed
	}
	typ := strings.TrimPrefix(strings.ToLower(h.text("typ")), "application/")
	if typ != typeAccessToken && typ != typeJWT {
		return nil, ErrMalformed
	}
	c := &compact{typ: typ, algorithm: h.text("alg"), kid: h.text("kid"), jku: h.text("jku"), signed: []byte(s[:len(header)+1+len(payload)])}
	if !known(c.algorithm) {
		return nil, ErrAlgorithm
	}
	if c.kid == "" {
		return nil, ErrKey
	}
	var err error
	if c.signature, err = decode(signature); err != nil || len(c.signature) == 0 {
		return nil, ErrMalformed
	}
	return c, c.claims.parse(payload)
}

// decode reads base64url as RFC 7515 §2 writes it; no two texts mean the same.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") { // which the decoder would skip
		return nil, ErrMalformed
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// object is a JSON object of a token. Parsing refuses duplicate names, so that
// no two readers of one token can see two things in it (RFC 7519 §10.1).
type object struct {
	tape fhir.Tape
	root fhir.Node
}

// limits are more than any honest token needs.
func limits() fhir.Limits { return fhir.Limits{Depth: 12, Size: MaxSize, Nodes: 1024} }

func (o *object) parse(encoded string) error {
	text, err := decode(encoded)
	if err != nil {
		return ErrMalformed
	}
	if err := o.tape.Parse(text, limits()); err != nil {
		return ErrMalformed // not wrapped: it may quote the token
	}
	o.root = o.tape.Root()
	return nil
}

func (o *object) has(name string) bool { return o.tape.Field(o.root, name) != fhir.None }

// text is a member of the object itself that is a string; else empty.
func (o *object) text(name string) string {
	n := o.tape.Field(o.root, name)
	if o.tape.Kind(n) != fhir.String {
		return ""
	}
	return o.tape.Text(n)
}
