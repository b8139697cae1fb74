package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

const (
	base    = "http://127.0.0.1:8080/fhir"
	ownName = "urn:uuid:5a2f1c1e-8a1f-4a39-9d43-6f4b2f3f9a10"
	foreign = "https://idp.example"
)

// now is the moment of all tests.
func now() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC) }

// house is a verifier with keys of its own and one issuer beside it.
type house struct {
	keys     *Keys
	verifier *Verifier
	// signers are the keys of the issuer by kid.
	signers map[string]signer
	jwks    string
}

type signer struct {
	alg jwa.SignatureAlgorithm
	key crypto.Signer
}

func newHouse(t testing.TB, kinds ...string) *house {
	t.Helper()
	dir := t.TempDir()
	keys, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{keys: keys, signers: map[string]signer{}, jwks: filepath.Join(dir, "jwks.json")}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	h.signers["rs256"], h.signers["rs384"], h.signers["ps384"] = signer{jwa.RS256, small}, signer{jwa.RS384, small}, signer{jwa.PS384, small}
	h.signers["es256"], h.signers["es384"] = signer{jwa.ES256, curve(t, elliptic.P256())}, signer{jwa.ES384, curve(t, elliptic.P384())}
	h.publish(t)
	h.verifier, err = NewVerifier(Config{
		Keys: keys, OwnIssuer: ownName, Audience: []string{base, ownName}, Base: base,
		Issuers: []Issuer{{URL: foreign, JWKS: h.jwks, Kinds: kinds}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func curve(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// publish writes the issuer's key set.
func (h *house) publish(t testing.TB) {
	t.Helper()
	set := jwk.NewSet()
	for kid, s := range h.signers {
		key, err := jwk.FromRaw(s.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(key.Set(jwk.KeyIDKey, kid), set.AddKey(key)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.jwks, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// good are the claims of a token the server takes.
func good() Claims {
	return Claims{
		ID: "t1", Issuer: ownName, Subject: "dr-a", Client: "emr", Audience: []string{base},
		Scope: "user/*.rs", IssuedAt: now().Add(-time.Minute), Expires: now().Add(time.Hour),
		User: "PractitionerRole/dr-a-at-clinic-a", Organization: "Organization/clinic-a",
		Purposes: []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/v3-ActReason", Code: "TREAT"}},
		Roles:    []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/practitioner-role", Code: "doctor"}},
		Patient:  "p1", ACR: "loa3", AuthTime: now().Add(-2 * time.Minute), SubjectName: "A. Doctor",
	}
}

// mint signs claims with the house's own key, after change has had its way.
func (h *house) mint(t testing.TB, change func(c *Claims)) string {
	t.Helper()
	c := good()
	if change != nil {
		change(&c)
	}
	text, err := h.keys.Mint(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sign makes a token of the configured issuer from a claims set and headers.
func (h *house) sign(t testing.TB, kid string, headers, claims map[string]any) string {
	t.Helper()
	s := h.signers[kid]
	all := map[string]any{"alg": s.alg.String(), "kid": kid, "typ": "at+jwt"}
	maps.Copy(all, headers)
	signed := part(t, all) + "." + part(t, claims)
	by, err := jws.NewSigner(s.alg)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := by.Sign([]byte(signed), s.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func part(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// theirs are good claims of the configured issuer.
func theirs() map[string]any {
	c := good()
	c.Issuer = foreign
	return c.set()
}

func TestVerifySaysWhatTheTokenSays(t *testing.T) {
	h := newHouse(t)
	want := smart.Token{
		ByHand: true, ID: "t1", Issuer: ownName, Subject: "dr-a", Client: "emr", Scopes: smart.ParseScopes("user/*.rs"),
		Expires: now().Add(time.Hour), Kind: smart.KindPractitioner, User: "PractitionerRole/dr-a-at-clinic-a",
		Organization: "clinic-a", Patient: "p1", Purposes: good().Purposes, Roles: good().Roles,
		ACR: "loa3", AuthTime: now().Add(-2 * time.Minute), SubjectName: "A. Doctor",
	}
	text := h.mint(t, nil)
	for _, when := range []string{"first", "cached"} {
		got, err := h.verifier.Verify(t.Context(), text, now())
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(smart.Scopes{}), cmp.Comparer(func(a, b smart.Scopes) bool { return a.String() == b.String() })); diff != "" || err != nil {
			t.Errorf("%s: error %v, -want +got:\n%s", when, err, diff)
		}
	}
}

func TestAlgorithmsOfIssuers(t *testing.T) {
	h := newHouse(t)
	for kid := range h.signers {
		if _, err := h.verifier.Verify(t.Context(), h.sign(t, kid, nil, theirs()), now()); err != nil {
			t.Errorf("%s: got %v, want it taken", kid, err)
		}
	}
	narrow, err := NewVerifier(Config{Audience: []string{base}, Algorithms: []string{"ES384"}, Issuers: []Issuer{{URL: foreign, JWKS: h.jwks}}})
	if err != nil {
		t.Fatal(err)
	}
	_, refused := narrow.Verify(t.Context(), h.sign(t, "rs384", nil, theirs()), now())
	_, taken := narrow.Verify(t.Context(), h.sign(t, "es384", nil, theirs()), now())
	if !errors.Is(refused, ErrKey) || taken != nil {
		t.Errorf("narrowed to ES384: RS384 got %v, want ErrKey; ES384 got %v, want it taken", refused, taken)
	}
}

func TestRefusedClaims(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		change func(c *Claims)
		want   error
	}{
		"expired":                 {func(c *Claims) { c.Expires = now() }, ErrExpired},
		"not yet expired":         {func(c *Claims) { c.Expires = now().Add(time.Second) }, nil},
		"not yet":                 {func(c *Claims) { c.NotBefore = now().Add(leeway + time.Second) }, ErrNotYet},
		"not yet, within leeway":  {func(c *Claims) { c.NotBefore = now().Add(leeway) }, nil},
		"issued in the future":    {func(c *Claims) { c.IssuedAt = now().Add(time.Minute) }, ErrNotYet},
		"other audience":          {func(c *Claims) { c.Audience = []string{"https://other.example/fhir"} }, ErrAudience},
		"no audience":             {func(c *Claims) { c.Audience = nil }, ErrAudience},
		"server's lasting name":   {func(c *Claims) { c.Audience = []string{"x", ownName} }, nil},
		"audience with a slash":   {func(c *Claims) { c.Audience = []string{base + "/"} }, ErrAudience},
		"unknown issuer":          {func(c *Claims) { c.Issuer = "https://evil.example" }, ErrIssuer},
		"no issuer":               {func(c *Claims) { c.Issuer = "" }, ErrIssuer},
		"another's name, our key": {func(c *Claims) { c.Issuer = foreign }, ErrKey},
		"no subject":              {func(c *Claims) { c.Subject = "" }, ErrClaims},
		"no client":               {func(c *Claims) { c.Client = "" }, ErrClaims},
		"no scope":                {func(c *Claims) { c.Scope = "" }, ErrClaims},
		"no expiry":               {func(c *Claims) { c.Expires = time.Time{} }, ErrClaims},
		"no time of issue":        {func(c *Claims) { c.IssuedAt = time.Time{} }, ErrClaims},
		"organisation elsewhere":  {func(c *Claims) { c.Organization = "https://other.example/Organization/a" }, ErrClaims},
		"organisation a patient":  {func(c *Claims) { c.Organization = "Patient/a" }, ErrClaims},
		"organisation absolute":   {func(c *Claims) { c.Organization = base + "/Organization/clinic-a" }, nil},
		"user of a strange type":  {func(c *Claims) { c.User = "Person/x" }, ErrClaims},
		"user elsewhere":          {func(c *Claims) { c.User = "https://other.example/Practitioner/x" }, ErrClaims},
		"custodian with a person": {func(c *Claims) { c.Kind = smart.KindCustodian }, ErrClaims},
		"custodian":               {func(c *Claims) { c.Kind, c.User = smart.KindCustodian, "" }, nil},
		"regulator":               {func(c *Claims) { c.Kind = smart.KindRegulator }, nil},
		"regulator and patient":   {func(c *Claims) { c.Kind, c.User = smart.KindRegulator, "Patient/p" }, ErrClaims},
		"kind that is not":        {func(c *Claims) { c.Kind = "king" }, ErrClaims},
		"kind against the user":   {func(c *Claims) { c.Kind = smart.KindSystem }, ErrClaims},
		"purpose without a code":  {func(c *Claims) { c.Purposes = append(c.Purposes, fhir.Coding{System: "s"}) }, ErrClaims},
		"patient with a bad id":   {func(c *Claims) { c.Patient = "../p" }, ErrClaims},
	} {
		if _, err := h.verifier.Verify(t.Context(), h.mint(t, c.change), now()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestKindFollowsTheUser(t *testing.T) {
	h := newHouse(t)
	for user, want := range map[string]string{
		"Practitioner/a": smart.KindPractitioner, "PractitionerRole/a": smart.KindPractitioner, "Patient/a": smart.KindPatient,
		"RelatedPerson/a": smart.KindRepresentative, "": smart.KindSystem, base + "/Patient/a": smart.KindPatient,
	} {
		got, err := h.verifier.Verify(t.Context(), h.mint(t, func(c *Claims) { c.User = user }), now())
		if got.Kind != want || err != nil || strings.HasPrefix(got.User, "http") {
			t.Errorf("%q: got %q as %q, %v; want %q", user, got.Kind, got.User, err, want)
		}
	}
}

func TestOnlySomeIssuersVouch(t *testing.T) {
	claims := theirs()
	delete(claims, smart.ClaimUser)
	claims[smart.ClaimExtensions] = map[string]any{smart.ExtensionVitrine: map[string]any{smart.ClaimKind: smart.KindRegulator}}
	trusted := newHouse(t, smart.KindRegulator)
	got, err := trusted.verifier.Verify(t.Context(), trusted.sign(t, "es384", nil, claims), now())
	if got.Kind != smart.KindRegulator || err != nil {
		t.Errorf("an issuer that may vouch: got %q, %v; want a regulator", got.Kind, err)
	}
	plain := newHouse(t)
	if got, err := plain.verifier.Verify(t.Context(), plain.sign(t, "es384", nil, claims), now()); !errors.Is(err, ErrClaims) || got.Kind != "" {
		t.Errorf("an issuer that may not: got %q, %v; want ErrClaims", got.Kind, err)
	}
}
