package token

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// mapped is a verifier that takes the tokens of the house's issuer by a mapping,
// with the keys that it serves.
func (h *house) mapped(t *testing.T, m Mapping) *Verifier {
	t.Helper()
	s, _ := serveKeys(t, h)
	v, err := NewVerifier(Config{
		Keys: h.keys, OwnIssuer: ownName, Server: base, Audience: []string{base}, Base: base,
		Issuers: []Issuer{{URL: foreign, JWKS: s.URL, Mapping: m}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// plainClaims are those of an identity provider that knows nothing of FHIR.
func plainClaims(more map[string]any) map[string]any {
	c := map[string]any{
		"iss": foreign, "sub": "u1", "aud": base, "iat": now().Add(-time.Minute).Unix(), "exp": now().Add(time.Hour).Unix(),
		"azp": "emr", "scp": []string{"openid", "user/*.rs"}, "https://idp.example/org": "clinic-a",
		"realm": map[string]any{"person": base + "/PractitionerRole/r1"}, "reason": "TREAT",
	}
	maps.Copy(c, more)
	for name, value := range c {
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

func plainMapping() Mapping {
	return Mapping{
		Client: "azp", Scope: "scp", User: "realm/person", Organization: "https:~1~1idp.example~1org",
		Purpose: "reason", PurposeSystem: "http://terminology.hl7.org/CodeSystem/v3-ActReason",
	}
}

// TestMappedClaims: what an issuer says elsewhere is what it would say as SMART has
// it, and what it does not say is not made up.
func TestMappedClaims(t *testing.T) {
	h := newHouse(t)
	v := h.mapped(t, plainMapping())
	treat := fhir.Coding{System: "http://terminology.hl7.org/CodeSystem/v3-ActReason", Code: "TREAT"}
	want := smart.Token{
		Issuer: foreign, Subject: "u1", Client: "emr", Scopes: smart.ParseScopes("openid user/*.rs"), Expires: now().Add(time.Hour),
		Kind: smart.KindPractitioner, User: "PractitionerRole/r1", Organization: "clinic-a", Purposes: []fhir.Coding{treat},
	}
	for name, c := range map[string]struct {
		more map[string]any
		want error
	}{
		"as it is":                        {nil, nil},
		"scopes as one text":              {map[string]any{"scp": "openid user/*.rs"}, nil},
		"purpose with its system":         {map[string]any{"reason": treat.System + "|TREAT"}, nil},
		"purpose in a list":               {map[string]any{"reason": []string{"TREAT"}}, nil},
		"purpose as codings":              {map[string]any{"reason": []any{map[string]any{"system": treat.System, "code": "TREAT"}}}, nil},
		"organisation by reference":       {map[string]any{"https://idp.example/org": "Organization/clinic-a"}, nil},
		"what SMART has is not looked at": {map[string]any{"client_id": "other", "scope": "system/*.cruds", "fhirUser": "Patient/p"}, nil},

		"no client":                        {map[string]any{"azp": nil, "client_id": "emr"}, ErrClaims},
		"client is a list":                 {map[string]any{"azp": []string{"emr"}}, ErrClaims},
		"no scopes":                        {map[string]any{"scp": nil, "scope": "user/*.rs"}, ErrClaims},
		"no scope in the list":             {map[string]any{"scp": []string{}}, ErrClaims},
		"two scopes in one of the list":    {map[string]any{"scp": []string{"openid user/*.rs"}}, ErrClaims},
		"a number among the scopes":        {map[string]any{"scp": []any{"user/*.rs", 1}}, ErrClaims},
		"several organisations":            {map[string]any{"https://idp.example/org": []string{"clinic-a"}}, ErrClaims},
		"an organisation that is none":     {map[string]any{"https://idp.example/org": "Practitioner/x"}, ErrClaims},
		"a purpose that is a number":       {map[string]any{"reason": 7}, ErrClaims},
		"a list of purposes with a number": {map[string]any{"reason": []any{"TREAT", 7}}, ErrClaims},
		"an empty purpose":                 {map[string]any{"reason": ""}, ErrClaims},
		"a user that is elsewhere":         {map[string]any{"realm": map[string]any{"person": "https://elsewhere.example/Practitioner/x"}}, ErrClaims},
		"a path through a text":            {map[string]any{"realm": "person"}, ErrClaims},
		"for somebody else":                {map[string]any{"aud": "https://elsewhere.example"}, ErrAudience},
		"no time of issue":                 {map[string]any{"iat": nil}, ErrClaims},
		"no subject":                       {map[string]any{"sub": nil}, ErrClaims},
		"an id_token":                      {map[string]any{"at_hash": "x"}, ErrClaims},
		"with an authorization of ours":    {map[string]any{"extensions": map[string]any{"vitrine": map[string]any{"grant": "g"}}}, ErrClaims},
		"that vouches unasked":             {map[string]any{"extensions": map[string]any{"vitrine": map[string]any{"kind": "regulator"}}}, ErrClaims},
	} {
		got, err := v.Verify(t.Context(), h.sign(t, "rs256", map[string]any{"typ": "JWT"}, plainClaims(c.more)), now())
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
			continue
		}
		if err == nil {
			if d := cmp.Diff(want, got, cmp.Comparer(func(a, b smart.Scopes) bool { return a.String() == b.String() })); d != "" {
				t.Errorf("%s (-want +got):\n%s", name, d)
			}
		}
	}
	several, err := v.Verify(t.Context(), h.sign(t, "rs256", nil, plainClaims(map[string]any{"reason": []string{"TREAT", "urn:x|y"}})), now())
	if err != nil || len(several.Purposes) != 2 {
		t.Errorf("several purposes: %+v, %v; want both, for the porch to refuse", several.Purposes, err)
	}
}

// TestMappingStates what the operator knows of the tokens and they do not say.
func TestMappingStates(t *testing.T) {
	h := newHouse(t)
	treat := fhir.Coding{System: "urn:s", Code: "TREAT"}
	m := plainMapping()
	m.PurposeDefault, m.Audience = treat, []string{"api://nehr"}
	v := h.mapped(t, m)
	for name, c := range map[string]struct {
		more     map[string]any
		want     error
		purposes []fhir.Coding
	}{
		"no purpose":                 {map[string]any{"aud": "api://nehr", "reason": nil}, nil, []fhir.Coding{treat}},
		"a purpose":                  {map[string]any{"aud": []string{"x", "api://nehr"}, "reason": "a|b"}, nil, []fhir.Coding{{System: "a", Code: "b"}}},
		"purposes, none among them":  {map[string]any{"aud": "api://nehr", "reason": []string{}}, nil, nil},
		"a purpose that is none":     {map[string]any{"aud": "api://nehr", "reason": 1}, ErrClaims, nil},
		"for the server by its name": {map[string]any{"aud": base}, ErrAudience, nil},
	} {
		got, err := v.Verify(t.Context(), h.sign(t, "es256", nil, plainClaims(c.more)), now())
		if d := cmp.Diff(c.purposes, got.Purposes); !errors.Is(err, c.want) || d != "" {
			t.Errorf("%s: got %v, want %v (-want +got):\n%s", name, err, c.want, d)
		}
	}
	unsystematic := plainMapping()
	unsystematic.PurposeSystem = ""
	if _, err := h.mapped(t, unsystematic).Verify(t.Context(), h.sign(t, "es256", nil, plainClaims(nil)), now()); !errors.Is(err, ErrClaims) {
		t.Errorf("a code of no system: got %v, want %v", err, ErrClaims)
	}
	for name, m := range map[string]Mapping{
		"an empty part": {Client: "a//b"}, "a path that begins with none": {User: "/a"}, "an unknown escape": {Scope: "a~2b"}, "a path too deep": {Patient: "a/b/c/d/e/f/g"},
		"a purpose without a system": {PurposeDefault: fhir.Coding{Code: "TREAT"}}, "an audience of no name": {Audience: []string{""}},
	} {
		if _, err := NewVerifier(Config{Audience: []string{base}, Issuers: []Issuer{{URL: foreign, JWKS: h.jwks, Mapping: m}}}); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// TestIssuersOfOurOwn: the operator's tokens are known from those of the
// authorization server, which alone bear a grant that means something.
func TestIssuersOfOurOwn(t *testing.T) {
	h := newHouse(t)
	v := h.mapped(t, Mapping{})
	for issuer, byHand := range map[string]bool{ownName: true, base: false} {
		got, err := v.Verify(t.Context(), h.mint(t, func(c *Claims) {
			c.Issuer, c.Grant, c.Kind, c.User, c.Patient = issuer, "g1", smart.KindRegulator, "", ""
		}), now())
		if err != nil || got.ByHand != byHand || got.Grant != "g1" || got.Kind != smart.KindRegulator {
			t.Errorf("%s: %+v, %v", issuer, got, err)
		}
	}
	forged := theirs()
	forged[smart.ClaimIssuer] = base
	for kid := range h.signers {
		for _, name := range []string{kid, h.keys.ID()} {
			if _, err := v.Verify(t.Context(), h.sign(t, kid, map[string]any{"kid": name}, forged), now()); err == nil {
				t.Errorf("a token of ours, signed with %s of another under %s, was taken", kid, name)
			}
		}
	}
	if _, err := NewVerifier(Config{Keys: h.keys, OwnIssuer: ownName, Server: base, Audience: []string{base}, Issuers: []Issuer{{URL: base, JWKS: h.jwks}}}); err == nil {
		t.Error("another issuer by the name of the server was taken")
	}
	none, err := NewVerifier(Config{Keys: h.keys, OwnIssuer: ownName, Audience: []string{base}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Verify(t.Context(), h.mint(t, func(c *Claims) { c.Issuer = base }), now()); !errors.Is(err, ErrIssuer) {
		t.Errorf("where there is no authorization server: got %v, want %v", err, ErrIssuer)
	}
}

// TestKeyNamesAreNames: a kid is compared and nothing else, and a key that a token
// brings along or points at is none.
func TestKeyNamesAreNames(t *testing.T) {
	h := newHouse(t)
	s, v := serveKeys(t, h)
	theirOwn := `{"kty":"EC","crv":"P-384","x":"AA","y":"AA","kid":"es384"}`
	if _, err := v.Verify(t.Context(), h.sign(t, "es384", map[string]any{"jku": s.URL, "x5u": s.URL, "x5c": []string{"AA"}, "jwk": map[string]any{"kty": "EC"}}, theirs()), now()); err != nil {
		t.Errorf("a good token with such headers: %v", err)
	}
	asked := s.asked.Load()
	for _, kid := range []string{
		"../../../etc/passwd", "/dev/null", h.jwks, s.URL, "file://" + h.jwks, "es384' OR '1'='1", "es384; DROP TABLE keys", `{"$ne":""}`, "es384\x00", "ES384", " es384",
		strings.Repeat("k", 4000), theirOwn, "*", "",
	} {
		for name, header := range map[string]map[string]any{
			"alone": {"kid": kid}, "with jku": {"kid": kid, "jku": s.URL}, "with x5u": {"kid": kid, "x5u": s.URL}, "with jwk": {"kid": kid, "jwk": map[string]any{"kty": "oct", "k": "AA"}},
		} {
			if _, err := v.Verify(t.Context(), h.sign(t, "es384", header, theirs()), now()); !errors.Is(err, ErrKey) {
				t.Errorf("%.40q %s: got %v, want %v", kid, name, err, ErrKey)
			}
		}
	}
	if got := s.asked.Load(); got != asked {
		t.Errorf("%d fetches for keys that are not there, within a moment", got-asked)
	}
}
