package token

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/fhir/smart"
)

const tokenEndpoint = "https://nehr.example/auth/token"

// backend are the claims of a back end's assertion.
func backend() map[string]any {
	return map[string]any{
		"iss": "emr", "sub": "emr", "aud": tokenEndpoint, "exp": now().Add(5 * time.Minute).Unix(), "jti": "j1",
	}
}

// registered is the client whose keys are the house's signers.
func (h *house) registered(t *testing.T) *smart.Client {
	t.Helper()
	text, err := os.ReadFile(h.jwks)
	if err != nil {
		t.Fatal(err)
	}
	return &smart.Client{ID: "emr", JWKS: string(text)}
}

func TestAssertionsAreRead(t *testing.T) {
	h := newHouse(t)
	a, client := NewAssertions(), h.registered(t)
	for _, kid := range []string{"rs384", "es384"} {
		claims := backend()
		claims["extensions"] = map[string]any{"hl7-b2b": map[string]any{
			"version": "1", "subject_id": "PractitionerRole/x", "subject_name": "X", "organization_id": "Organization/a", "purpose_of_use": []string{"s#TREAT"},
		}}
		text := h.sign(t, kid, map[string]any{"typ": "JWT"}, claims)
		if name, err := Asserted(text); name != "emr" || err != nil {
			t.Errorf("%s: asserted %q, %v", kid, name, err)
		}
		got, err := a.Verify(t.Context(), text, client, []string{tokenEndpoint}, now())
		want := Assertion{Client: "emr", ID: "j1", Expires: now().Add(5 * time.Minute), Person: &B2B{
			SubjectID: "PractitionerRole/x", SubjectName: "X", OrganizationID: "Organization/a", Purposes: []string{"s#TREAT"},
		}}
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v (-want +got):\n%s", kid, err, d)
		}
	}
}

func TestRefusedAssertions(t *testing.T) {
	h := newHouse(t)
	a, client := NewAssertions(), h.registered(t)
	with := func(change map[string]any) map[string]any {
		c := backend()
		maps.Copy(c, change)
		return c
	}
	jwt := map[string]any{"typ": "JWT"}
	for name, c := range map[string]struct {
		kid            string
		header, claims map[string]any
		want           error
	}{
		"RS256":               {"rs256", jwt, backend(), ErrAlgorithm},
		"ES256":               {"es256", jwt, backend(), ErrAlgorithm},
		"PS384":               {"ps384", jwt, backend(), ErrAlgorithm},
		"alg confusion":       {"rs384", map[string]any{"typ": "JWT", "alg": "HS256"}, backend(), ErrAlgorithm},
		"alg none":            {"rs384", map[string]any{"typ": "JWT", "alg": "none"}, backend(), ErrAlgorithm},
		"alg of another key":  {"rs384", map[string]any{"typ": "JWT", "kid": "es384"}, backend(), ErrKey},
		"an access token":     {"es384", nil, backend(), ErrMalformed},
		"jku elsewhere":       {"es384", map[string]any{"typ": "JWT", "jku": "https://evil.example/jwks"}, backend(), ErrKey},
		"kid is a path":       {"es384", map[string]any{"typ": "JWT", "kid": "../../es384"}, backend(), ErrKey},
		"kid is an address":   {"es384", map[string]any{"typ": "JWT", "kid": "https://evil.example/key"}, backend(), ErrKey},
		"no kid":              {"es384", map[string]any{"typ": "JWT", "kid": ""}, backend(), ErrKey},
		"a key in the header": {"es384", map[string]any{"typ": "JWT", "kid": "new", "jwk": map[string]any{"kty": "EC"}}, backend(), ErrKey},
		"other issuer":        {"es384", jwt, with(map[string]any{"iss": "other"}), ErrClaims},
		"other subject":       {"es384", jwt, with(map[string]any{"sub": "other"}), ErrClaims},
		"no subject":          {"es384", jwt, with(map[string]any{"sub": ""}), ErrClaims},
		"audience elsewhere":  {"es384", jwt, with(map[string]any{"aud": "https://evil.example/token"}), ErrAudience},
		"audience a prefix":   {"es384", jwt, with(map[string]any{"aud": tokenEndpoint + "/x"}), ErrAudience},
		"no audience":         {"es384", jwt, with(map[string]any{"aud": nil}), ErrAudience},
		"expired":             {"es384", jwt, with(map[string]any{"exp": now().Unix()}), ErrExpired},
		"too long":            {"es384", jwt, with(map[string]any{"exp": now().Add(6 * time.Minute).Unix()}), ErrClaims},
		"no end":              {"es384", jwt, with(map[string]any{"exp": nil}), ErrClaims},
		"end is a text":       {"es384", jwt, with(map[string]any{"exp": "tomorrow"}), ErrClaims},
		"not yet":             {"es384", jwt, with(map[string]any{"nbf": now().Add(time.Minute).Unix()}), ErrNotYet},
		"from the future":     {"es384", jwt, with(map[string]any{"iat": now().Add(time.Minute).Unix()}), ErrNotYet},
		"no jti":              {"es384", jwt, with(map[string]any{"jti": ""}), ErrClaims},
		"jti without bound":   {"es384", jwt, with(map[string]any{"jti": strings.Repeat("j", 513)}), ErrClaims},
		"b2b is a text":       {"es384", jwt, with(map[string]any{"extensions": map[string]any{"hl7-b2b": "x"}}), ErrClaims},
		"b2b of no version":   {"es384", jwt, with(map[string]any{"extensions": map[string]any{"hl7-b2b": map[string]any{"subject_id": "x"}}}), ErrClaims},
		"purposes no texts":   {"es384", jwt, with(map[string]any{"extensions": map[string]any{"hl7-b2b": map[string]any{"version": "1", "purpose_of_use": []int{1}}}}), ErrClaims},
		"extensions a list":   {"es384", jwt, with(map[string]any{"extensions": []string{}}), ErrClaims},
	} {
		got, err := a.Verify(t.Context(), h.sign(t, c.kid, c.header, c.claims), client, []string{tokenEndpoint}, now())
		if !errors.Is(err, c.want) || got.Client != "" {
			t.Errorf("%s: got %+v, %v; want %v", name, got, err, c.want)
		}
	}
	valid := h.sign(t, "es384", jwt, backend())
	if _, err := a.Verify(t.Context(), valid[:len(valid)-4]+"AAAA", client, []string{tokenEndpoint}, now()); !errors.Is(err, ErrSignature) {
		t.Errorf("changed signature: %v", err)
	}
	if _, err := a.Verify(t.Context(), valid, &smart.Client{ID: "emr"}, []string{tokenEndpoint}, now()); !errors.Is(err, ErrKey) {
		t.Errorf("a client without keys: %v", err)
	}
	if _, err := a.Verify(t.Context(), valid, &smart.Client{ID: "emr", JWKSURL: h.jwks}, []string{tokenEndpoint}, now()); !errors.Is(err, ErrKey) {
		t.Errorf("keys in a file of the server: %v", err)
	}
	if _, err := a.Verify(t.Context(), valid, client, []string{tokenEndpoint}, now()); err != nil {
		t.Errorf("the good one beside them: %v", err)
	}
}

func TestAssertionKeysAtAnAddress(t *testing.T) {
	h := newHouse(t)
	served, _ := serveKeys(t, h)
	a, client := NewAssertions(), &smart.Client{ID: "emr", JWKSURL: served.URL}
	text := h.sign(t, "es384", map[string]any{"typ": "JWT", "jku": served.URL}, backend())
	for range 3 {
		if _, err := a.Verify(t.Context(), text, client, []string{tokenEndpoint}, now()); err != nil {
			t.Fatal(err)
		}
	}
	if n := served.asked.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times, want once", n)
	}
}

func FuzzAssertion(f *testing.F) {
	f.Add("a.b.c")
	f.Add(`eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCIsImtpZCI6ImsifQ.eyJpc3MiOiJlbXIifQ.AAAA`)
	a := NewAssertions()
	client := &smart.Client{ID: "emr", JWKS: `{"keys":[]}`}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := a.Verify(t.Context(), text, client, []string{tokenEndpoint}, now()); err == nil {
			t.Errorf("%q is taken from a client without keys", text)
		}
		if name, err := Asserted(text); err == nil && name == "" {
			t.Errorf("%q is from nobody", text)
		}
	})
}
