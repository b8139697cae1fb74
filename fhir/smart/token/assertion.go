package token

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// MaxAssertionLife is how far ahead the end of an assertion may lie (SMART App
// Launch 2.2, client-confidential-asymmetric.html#authentication-jwt-claims).
const MaxAssertionLife = 5 * time.Minute

// maxAssertionID bounds jti, in bytes.
const maxAssertionID = 512

// clientKeySets bounds the key sets of clients that are kept.
const clientKeySets = 4096

// Assertion is what a client's signed assertion says, once the signature holds.
type Assertion struct {
	// Client is iss and sub.
	Client string
	// ID is jti: it may be used once until Expires.
	ID      string
	Expires time.Time
	// Person is who stands behind the client, as the extension hl7-b2b says; nil
	// when there is none.
	Person *B2B
}

// B2B is the extension hl7-b2b of an assertion (HL7 FAST UDAP Security, b2b.html):
// the person, organisation and purpose a client acts for. It is the client's word.
type B2B struct {
	SubjectID, SubjectName, OrganizationID string
	// Purposes are those of purpose_of_use, as they are written.
	Purposes []string
}

// Asserted is the client that an assertion says it is from, which nothing has
// proven yet: its registration tells by which keys it can be.
func Asserted(text string) (client string, err error) {
	if len(text) > MaxSize {
		return "", ErrTooLong
	}
	c, err := parseCompact(text)
	if err != nil {
		return "", err
	}
	if client = c.claims.text(smart.ClaimIssuer); client == "" {
		return "", ErrClaims
	}
	return client, nil
}

// Assertions verifies the assertions of clients and keeps their key sets. Safe for
// concurrent use.
type Assertions struct {
	mu   sync.Mutex
	sets map[string]*keySet
}

// NewAssertions knows no keys yet.
func NewAssertions() *Assertions { return &Assertions{sets: map[string]*keySet{}} }

// assertionAlgorithms are those that SMART asks of clients.
func assertionAlgorithms() []string { return []string{"RS384", "ES384"} }

// Verify returns what an assertion of a registered client says. audience are the
// names of the token endpoint. That ID was not used before is for the caller to
// see to.
func (a *Assertions) Verify(ctx context.Context, text string, client *smart.Client, audience []string, now time.Time) (Assertion, error) {
	if len(text) > MaxSize {
		return Assertion{}, ErrTooLong
	}
	c, err := parseCompact(text)
	switch {
	case err != nil:
		return Assertion{}, err
	case c.typ != typeJWT: // an access token proves nothing about who sends it
		return Assertion{}, ErrMalformed
	case !slices.Contains(assertionAlgorithms(), c.algorithm):
		return Assertion{}, ErrAlgorithm
	case c.jku != "" && c.jku != client.JWKSURL:
		return Assertion{}, ErrKey
	}
	set, err := a.keysOf(client, now)
	if err != nil {
		return Assertion{}, err
	}
	key, _, err := set.find(ctx, c.kid, c.algorithm, now)
	if err != nil {
		return Assertion{}, err
	}
	if err := key.verify(c); err != nil {
		return Assertion{}, err
	}
	return readAssertion(&c.claims, client.ID, audience, now)
}

// keysOf is the key set of a client: the one it registered, or the one at the
// address it registered, by https (from this machine by http). Never a file.
func (a *Assertions) keysOf(client *smart.Client, now time.Time) (*keySet, error) {
	if client.JWKS == "" && !strings.Contains(client.JWKSURL, "://") {
		return nil, ErrKey
	}
	sum := sha256.Sum256([]byte(client.JWKS + "\x00" + client.JWKSURL))
	name := string(sum[:])
	a.mu.Lock()
	defer a.mu.Unlock()
	if set, ok := a.sets[name]; ok {
		return set, nil
	}
	var set *keySet
	if client.JWKS != "" {
		byID, err := parseKeys([]byte(client.JWKS), assertionAlgorithms())
		if err != nil {
			return nil, ErrKey
		}
		set = &keySet{}
		set.current.Store(&keys{byID: byID, fetched: now})
	} else {
		var err error
		if set, err = newKeySet(client.JWKSURL, assertionAlgorithms()); err != nil {
			return nil, ErrKey
		}
	}
	if len(a.sets) >= clientKeySets {
		clear(a.sets)
	}
	a.sets[name] = set
	return set, nil
}

// readAssertion holds the claims against RFC 7523 §3 and SMART's bounds.
func readAssertion(c *object, client string, audience []string, now time.Time) (Assertion, error) {
	r := reader{object: c}
	out := Assertion{Client: r.required(smart.ClaimIssuer), ID: r.required(smart.ClaimID), Expires: r.time(smart.ClaimExpires)}
	subject := r.required(smart.ClaimSubject)
	notBefore, issued := r.time(smart.ClaimNotBefore), r.time(smart.ClaimIssuedAt)
	switch {
	case r.bad || out.Expires.IsZero() || out.Client != client || subject != client || len(out.ID) > maxAssertionID:
		return Assertion{}, ErrClaims
	case !r.isFor(audience):
		return Assertion{}, ErrAudience
	case !now.Before(out.Expires):
		return Assertion{}, ErrExpired
	case out.Expires.After(now.Add(MaxAssertionLife + leeway)):
		return Assertion{}, ErrClaims
	}
	if soon := now.Add(leeway); soon.Before(notBefore) || soon.Before(issued) {
		return Assertion{}, ErrNotYet
	}
	out.Person = r.b2b()
	if r.bad {
		return Assertion{}, ErrClaims
	}
	return out, nil
}

// b2b reads the extension. What is there and cannot be read whole spoils the
// assertion: without its person it would be another.
func (r *reader) b2b() *B2B {
	extensions := r.member(r.root, smart.ClaimExtensions)
	if extensions == fhir.None {
		return nil
	}
	n := r.member(extensions, smart.ExtensionB2B)
	if n == fhir.None {
		return nil
	}
	if r.optional(n, "version") != "1" {
		r.bad = true
	}
	return &B2B{
		SubjectID:      r.optional(n, "subject_id"),
		SubjectName:    r.optional(n, "subject_name"),
		OrganizationID: r.optional(n, "organization_id"),
		Purposes:       r.texts(n, smart.ClaimPurposes),
	}
}

// texts is a list of strings, or one string.
func (r *reader) texts(parent fhir.Node, name string) []string {
	list := r.tape.Field(parent, name)
	if list == fhir.None {
		return nil
	}
	if r.tape.Kind(list) == fhir.String {
		return []string{r.tape.Text(list)}
	}
	if r.tape.Kind(list) != fhir.Array {
		r.bad = true
		return nil
	}
	var out []string
	for e := r.tape.First(list); e != fhir.None; e = r.tape.Next(e) {
		if r.tape.Kind(e) != fhir.String {
			r.bad = true
			return nil
		}
		out = append(out, r.tape.Text(e))
	}
	return out
}
