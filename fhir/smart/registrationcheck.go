package smart

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"vitrine/fhir"
)

// What a registration may hold at most.
const (
	clientIDMost  = 128
	nameMost      = 200
	addressMost   = 2048
	addressesMost = 32
	keySetMost    = 64 << 10
	keysMost      = 16
	scopeMost     = 4096
	rsaLeast      = 2048 / 8
)

// Check finds what is wrong with a registration: a *RegistrationError, or nil.
func (c *Client) Check() error {
	switch {
	case !ValidClientID(c.ID):
		return wrong(MemberID, "want up to 128 letters, digits and any of -._~:/@+")
	case !printable(c.Name, nameMost) || strings.TrimSpace(c.Name) == "":
		return wrong(MemberName, "want a name of up to 200 characters on one line")
	case c.State > ClientEnded:
		return wrong(MemberState, "want one of pending, active, suspended, ended")
	case c.Device != "" && !fhir.ValidID(c.Device):
		return wrong(MemberID, "its Device has no valid id")
	case c.Organization != "" && !fhir.ValidID(c.Organization):
		return wrong(MemberOrganization, "want the id of an Organization")
	case c.Regulator && (c.Read || c.Contribute || c.Organization != "" || len(c.RedirectURIs) > 0):
		return wrong(MemberCapabilities, "audit goes with no other, with no organization and no redirect_uris")
	case len(c.RedirectURIs) > addressesMost:
		return wrong(MemberRedirects, "there are too many")
	}
	for i, uri := range c.RedirectURIs {
		if reason := badRedirect(uri); reason != "" {
			return wrong(MemberRedirects, reason)
		}
		if slices.Contains(c.RedirectURIs[:i], uri) {
			return wrong(MemberRedirects, "one is there twice")
		}
	}
	if c.LaunchURL != "" && !webAddress(c.LaunchURL) {
		return wrong(MemberLaunch, "want an https URL without a fragment, or an http one on loopback")
	}
	if err := c.checkKeys(); err != nil {
		return err
	}
	return c.checkScope()
}

// ValidClientID reports whether a client may be called so: by what needs no escape
// in a log, a header and a search.
func ValidClientID(id string) bool {
	if id == "" || len(id) > clientIDMost {
		return false
	}
	for _, b := range []byte(id) {
		alphanumeric := b|0x20 >= 'a' && b|0x20 <= 'z' || b >= '0' && b <= '9'
		if !alphanumeric && !strings.ContainsRune("-._~:/@+", rune(b)) {
			return false
		}
	}
	return true
}

// printable reports whether s has up to most characters, none that moves others.
func printable(s string, most int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	})
}

// badRedirect is what is wrong with an address to end an authorization at; empty
// for nothing. Such an address is compared byte for byte, so it stands for itself
// alone (RFC 9700 §2.1).
func badRedirect(s string) string {
	u, ok := parseAddress(s)
	if !ok {
		return "want an absolute URI without fragment, user and wildcard"
	}
	if u.Scheme == "https" || u.Scheme == "http" {
		if !webAddress(s) {
			return "http is for loopback alone; want https"
		}
		return reservedQuery(u)
	}
	// A private-use scheme is a domain name turned round, and has no authority
	// (RFC 8252 §7.1).
	if !strings.Contains(u.Scheme, ".") || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") {
		return "want https, http on loopback, or a private scheme such as com.example.app:/signed-in"
	}
	return reservedQuery(u)
}

// reservedQuery refuses parameters that the answer has.
func reservedQuery(u *url.URL) string {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "the query cannot be read"
	}
	for _, name := range []string{"code", "state", "error", "error_description", "iss"} {
		if query.Has(name) {
			return "the query has a parameter of the answer"
		}
	}
	return ""
}

// webAddress reports whether s is an https URL, or an http one on loopback.
func webAddress(s string) bool {
	u, ok := parseAddress(s)
	if !ok || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return false
	}
	switch u.Scheme {
	case "https":
		return true
	case "http":
		host := u.Hostname()
		return host == "localhost" || host == "127.0.0.1" || host == "::1"
	default:
		return false
	}
}

// parseAddress reads an absolute URI that everybody reads alike.
func parseAddress(s string) (*url.URL, bool) {
	if s == "" || len(s) > addressMost || strings.ContainsAny(s, `#*\"<>^{|}`+"`") {
		return nil, false
	}
	for _, b := range []byte(s) {
		if b <= ' ' || b >= 0x7f {
			return nil, false
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.User != nil || strings.Contains(u.Host, "@") {
		return nil, false
	}
	scheme, _, _ := strings.Cut(s, ":")
	return u, scheme == strings.ToLower(scheme) && u.Host == strings.ToLower(u.Host)
}

// checkKeys holds the key set against what a client may authenticate with
// (SMART App Launch 2.2, client-confidential-asymmetric.html): public keys with a
// name each, for RS384 or ES384.
func (c *Client) checkKeys() error {
	if c.JWKS != "" && c.JWKSURL != "" {
		return wrong(MemberJWKSURL, "want jwks or jwks_uri, not both")
	}
	if c.JWKSURL != "" && !webAddress(c.JWKSURL) {
		return wrong(MemberJWKSURL, "want an https URL without a fragment, or an http one on loopback")
	}
	if c.JWKS == "" {
		return nil
	}
	if len(c.JWKS) > keySetMost {
		return wrong(MemberJWKS, "it is too long")
	}
	t := new(fhir.Tape)
	if err := t.Parse([]byte(c.JWKS), fhir.Limits{}); err != nil {
		return wrong(MemberJWKS, "it is not a JSON object")
	}
	var names []string
	reason, usable := "", false
	each(t, t.Field(t.Root(), "keys"), func(key fhir.Node) {
		ok, bad := checkKey(t, key)
		kid := t.Text(t.Field(key, "kid"))
		if bad == "" && (kid == "" || slices.Contains(names, kid)) {
			bad = "every key needs a kid of its own"
		}
		names = append(names, kid)
		if reason == "" {
			reason = bad
		}
		usable = usable || ok
	})
	switch {
	case reason != "":
		return wrong(MemberJWKS, reason)
	case len(names) > keysMost:
		return wrong(MemberJWKS, "it has too many keys")
	case !usable:
		return wrong(MemberJWKS, "it has no key for RS384 or ES384")
	default:
		return nil
	}
}

// checkKey tells whether a key is one to sign with, and what is wrong with it.
func checkKey(t *fhir.Tape, key fhir.Node) (usable bool, bad string) {
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if t.Field(key, private) != fhir.None {
			return false, "it holds a private or shared key: register public keys alone, and replace that one"
		}
	}
	alg, use := t.Text(t.Field(key, "alg")), t.Text(t.Field(key, "use"))
	signs := use == "" || use == "sig"
	switch t.Text(t.Field(key, "kty")) {
	case "RSA":
		if n, ok := octets(t, key, "n"); !ok || n < rsaLeast {
			return false, "an RSA key needs 2048 bits at least"
		}
		if _, ok := octets(t, key, "e"); !ok {
			return false, "an RSA key lacks its exponent"
		}
		return signs && (alg == "" || alg == "RS384"), ""
	case "EC":
		x, okX := octets(t, key, "x")
		y, okY := octets(t, key, "y")
		if !okX || !okY {
			return false, "an elliptic curve key lacks its point"
		}
		const p384 = 384 / 8
		return signs && t.Text(t.Field(key, "crv")) == "P-384" && x == p384 && y == p384 && (alg == "" || alg == "ES384"), ""
	default:
		return false, "every key must be of type RSA or EC"
	}
}

// octets is how many bytes a member stands for.
func octets(t *fhir.Tape, key fhir.Node, name string) (n int, ok bool) {
	text := t.Text(t.Field(key, name))
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	return len(bytes), err == nil && len(bytes) > 0
}

// checkScope refuses a scope that grants nothing: it was meant to.
func (c *Client) checkScope() error {
	if len(c.Scope) > scopeMost {
		return wrong(MemberScope, "it is too long")
	}
	for one := range strings.FieldsSeq(c.Scope) {
		if !contextScope(one) && ParseScopes(one).Empty() {
			return wrong(MemberScope, "a scope is not one of FHIR resources, of launch or of OpenID Connect")
		}
	}
	return nil
}

// contextScope reports whether s asks for context, identity or a refresh token
// (SMART App Launch 2.2, scopes-and-launch-context.html#quick-start).
func contextScope(s string) bool {
	switch s {
	case "openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter", "online_access", "offline_access":
		return true
	default:
		return false
	}
}
