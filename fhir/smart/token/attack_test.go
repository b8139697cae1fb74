package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"vitrine/fhir/smart"
)

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestForgedTokensAreRefused(t *testing.T) {
	h := newHouse(t)
	valid := h.sign(t, "es384", nil, theirs())
	if _, err := h.verifier.Verify(t.Context(), valid, now()); err != nil {
		t.Fatalf("the token that is forged: %v", err)
	}
	parts := strings.Split(valid, ".")
	header := func(s string) string { return encode(s) + "." + parts[1] + "." + parts[2] }
	claims := func(s string) string { return parts[0] + "." + encode(s) + "." + parts[2] }
	changed := maps.Clone(theirs())
	changed[smart.ClaimScope] = "user/*.cruds"
	text, err := json.Marshal(changed)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"nothing":                {"", ErrMissing},
		"no JWS":                 {"abc", ErrMalformed},
		"two parts":              {parts[0] + "." + parts[1], ErrMalformed},
		"four parts":             {valid + ".", ErrMalformed},
		"JSON form":              {`{"payload":"` + parts[1] + `"}`, ErrMalformed},
		"white space":            {valid[:20] + "\n" + valid[20:], ErrMalformed},
		"alg none":               {header(`{"alg":"none","typ":"at+jwt","kid":"es384"}`), ErrAlgorithm},
		"alg none, no signature": {encode(`{"alg":"none","typ":"JWT","kid":"es384"}`) + "." + parts[1] + ".", ErrAlgorithm},
		"alg nOnE":               {header(`{"alg":"nOnE","typ":"JWT","kid":"es384"}`), ErrAlgorithm},
		"no alg":                 {header(`{"typ":"JWT","kid":"es384"}`), ErrAlgorithm},
		"ES512":                  {header(`{"alg":"ES512","typ":"JWT","kid":"es384"}`), ErrAlgorithm},
		"EdDSA":                  {header(`{"alg":"EdDSA","typ":"JWT","kid":"es384"}`), ErrAlgorithm},
		"no kid":                 {header(`{"alg":"ES384","typ":"JWT"}`), ErrKey},
		"unknown kid":            {header(`{"alg":"ES384","typ":"JWT","kid":"x"}`), ErrKey},
		"kid of another key":     {header(`{"alg":"ES384","typ":"JWT","kid":"es256"}`), ErrKey},
		"kid of our own key":     {header(`{"alg":"ES384","typ":"JWT","kid":"` + h.keys.ID() + `"}`), ErrKey},
		"alg of another key":     {header(`{"alg":"RS384","typ":"JWT","kid":"es384"}`), ErrKey},
		"kid is a number":        {header(`{"alg":"ES384","typ":"JWT","kid":1}`), ErrKey},
		"kid is a path":          {header(`{"alg":"ES384","typ":"JWT","kid":"../../token-key.json"}`), ErrKey},
		"typ of an ID token":     {header(`{"alg":"ES384","typ":"id+jwt","kid":"es384"}`), ErrMalformed},
		"no typ":                 {header(`{"alg":"ES384","kid":"es384"}`), ErrMalformed},
		"crit":                   {header(`{"alg":"ES384","typ":"JWT","kid":"es384","crit":["b64"],"b64":false}`), ErrMalformed},
		"nested":                 {header(`{"alg":"ES384","typ":"JWT","cty":"JWT","kid":"es384"}`), ErrMalformed},
		"duplicate alg":          {header(`{"alg":"ES384","alg":"none","typ":"JWT","kid":"es384"}`), ErrMalformed},
		"header no object":       {header(`["alg"]`), ErrMalformed},
		"changed payload":        {parts[0] + "." + base64.RawURLEncoding.EncodeToString(text) + "." + parts[2], ErrSignature},
		"changed header":         {header(`{"alg":"ES384","typ":"JWT","kid":"es384"}`), ErrSignature},
		"duplicate claim":        {claims(`{"iss":"` + foreign + `","sub":"a","sub":"b"}`), ErrMalformed},
		"claims no object":       {claims(`"iss"`), ErrMalformed},
		"iss is a list":          {claims(`{"iss":["` + foreign + `"]}`), ErrIssuer},
		"changed signature":      {parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), ErrSignature},
		"short signature":        {parts[0] + "." + parts[1] + "." + parts[2][:40], ErrSignature},
		"long signature":         {parts[0] + "." + parts[1] + "." + parts[2] + parts[2], ErrSignature},
		"signature not base64":   {parts[0] + "." + parts[1] + "." + "!!!", ErrMalformed},
		"padded":                 {parts[0] + "." + parts[1] + "." + parts[2] + "=", ErrMalformed},
		"huge":                   {strings.Repeat("A", MaxSize+1), ErrTooLong},
	} {
		got, err := h.verifier.Verify(t.Context(), c.token, now())
		if !errors.Is(err, c.want) || got.Subject != "" {
			t.Errorf("%s: got %q, %v; want %v", name, got.Subject, err, c.want)
		}
		if err != nil && len(err.Error()) > 80 {
			t.Errorf("%s: the error may quote the token: %v", name, err)
		}
	}
}

// TestEverySignatureBitCounts flips one bit of each byte of the signature.
func TestEverySignatureBitCounts(t *testing.T) {
	h := newHouse(t)
	parts := strings.Split(h.mint(t, nil), ".")
	signature, err := decode(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	for i := range signature {
		signature[i] ^= 1
		forged := parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature)
		if _, err := h.verifier.Verify(t.Context(), forged, now()); !errors.Is(err, ErrSignature) {
			t.Errorf("byte %d: got %v, want ErrSignature", i, err)
		}
		signature[i] ^= 1
	}
}

// TestPublicKeyIsNoSecret signs with HMAC and a public key, which a verifier
// that lets the token choose would take.
func TestPublicKeyIsNoSecret(t *testing.T) {
	h := newHouse(t)
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		for kid, s := range h.signers {
			secret, err := x509.MarshalPKIXPublicKey(s.key.Public())
			if err != nil {
				t.Fatal(err)
			}
			signed := part(t, map[string]any{"alg": alg, "kid": kid, "typ": "at+jwt"}) + "." + part(t, theirs())
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(signed))
			forged := signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
			if _, err := h.verifier.Verify(t.Context(), forged, now()); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s with %s: got %v, want ErrAlgorithm", alg, kid, err)
			}
		}
	}
}

// TestKeysBelongToTheirIssuer signs our own tokens with the issuer's key, under
// the name of our key.
func TestKeysBelongToTheirIssuer(t *testing.T) {
	h := newHouse(t)
	ours := theirs()
	ours[smart.ClaimIssuer] = ownName
	forged := h.sign(t, "es384", map[string]any{"kid": h.keys.ID()}, ours)
	if _, err := h.verifier.Verify(t.Context(), forged, now()); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
	if _, err := h.verifier.Verify(t.Context(), h.mint(t, nil), now()); err != nil {
		t.Errorf("the true one: got %v, want it taken", err)
	}
	h.signers[h.keys.ID()] = h.signers["es384"]
	h.publish(t)
	if _, err := h.verifier.Verify(t.Context(), h.sign(t, h.keys.ID(), nil, ours), now()); !errors.Is(err, ErrSignature) {
		t.Errorf("after the issuer publishes a key of that name: got %v, want ErrSignature", err)
	}
}

// TestTokensBoundToAProofAreRefused: no proof is asked for, so a token that
// needs one counts for nothing.
func TestTokensBoundToAProofAreRefused(t *testing.T) {
	h := newHouse(t)
	claims := theirs()
	claims["cnf"] = map[string]any{"jkt": "x"}
	if _, err := h.verifier.Verify(t.Context(), h.sign(t, "rs384", nil, claims), now()); !errors.Is(err, ErrClaims) {
		t.Errorf("got %v, want ErrClaims", err)
	}
}

func FuzzVerify(f *testing.F) {
	dir := f.TempDir()
	keys, err := OpenKeys(dir)
	if err != nil {
		f.Fatal(err)
	}
	v, err := NewVerifier(Config{Keys: keys, OwnIssuer: ownName, Audience: []string{base}, Base: base})
	if err != nil {
		f.Fatal(err)
	}
	valid, err := keys.Mint(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add(strings.Replace(valid, ".", "..", 1))
	f.Add(encode(`{"alg":"none"}`) + ".." + encode("x"))
	f.Fuzz(func(t *testing.T, text string) {
		_, err := v.Verify(t.Context(), text, now())
		if err == nil && text != valid {
			t.Errorf("taken: %q", text)
		}
	})
}

// FuzzClaims signs whatever it is given, so that the reading of claims is
// tried behind a good signature.
func FuzzClaims(f *testing.F) {
	keys, err := OpenKeys(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	v, err := NewVerifier(Config{Keys: keys, OwnIssuer: ownName, Audience: []string{base}, Base: base})
	if err != nil {
		f.Fatal(err)
	}
	text, err := json.Marshal(good().set())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, claims []byte) {
		signed, err := keys.ring().signing.sign(claims, jwa.ES384, typeAccessToken)
		if err != nil {
			return
		}
		got, err := v.Verify(t.Context(), signed, now())
		if err == nil && (got.Subject == "" || got.Client == "" || got.Kind == "" || !now().Before(got.Expires)) {
			t.Errorf("taken without what it needs: %s", claims)
		}
	})
}
