package conformance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// signer is a client's key, with which it signs assertions by itself: the server's
// own code is not asked how.
type signer struct {
	kid, alg string
	key      crypto.Signer
}

func newSigner(t *testing.T, alg string) *signer {
	t.Helper()
	s := &signer{kid: rand.Text(), alg: alg}
	var err error
	if alg == "RS384" {
		s.key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		s.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// jwks is the key set that a client registers.
func (s *signer) jwks() object {
	k := object{"kid": s.kid, "alg": s.alg, "use": "sig"}
	switch p := s.key.Public().(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil {
			panic(err)
		}
		k["kty"], k["crv"], k["x"], k["y"] = "EC", "P-384", b64(point[1:49]), b64(point[49:])
	}
	return object{"keys": []any{k}}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a JWT of a header and claims.
func (s *signer) sign(t *testing.T, header, claims object) string {
	t.Helper()
	signed := b64(encode(t, header)) + "." + b64(encode(t, claims))
	digest := sha512.Sum384([]byte(signed))
	if k, ok := s.key.(*ecdsa.PrivateKey); ok {
		r, v, err := ecdsa.Sign(rand.Reader, k, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		var out [96]byte
		r.FillBytes(out[:48])
		v.FillBytes(out[48:])
		return signed + "." + b64(out[:])
	}
	signature, err := s.key.Sign(rand.Reader, digest[:], crypto.SHA384)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(signature)
}

// assertion is what proves the client at the token endpoint, changed as change
// says; a nil value takes a claim away.
func (s *signer) assertion(t *testing.T, srv *server, client string, change object) string {
	t.Helper()
	claims := object{"iss": client, "sub": client, "aud": srv.self() + "/auth/token", "exp": time.Now().Add(4 * time.Minute).Unix(), "jti": rand.Text()}
	for name, value := range change {
		claims[name] = value
	}
	for name, value := range claims {
		if value == nil {
			delete(claims, name)
		}
	}
	return s.sign(t, object{"alg": s.alg, "kid": s.kid, "typ": "JWT"}, claims)
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// backend asks for a token as a back end does.
func (s *signer) backend(t *testing.T, srv *server, client, scope string, change object) (tokenAnswer, answer) {
	t.Helper()
	return srv.form(t, "token", url.Values{
		"grant_type": {"client_credentials"}, "scope": {scope}, "client_assertion_type": {assertionType}, "client_assertion": {s.assertion(t, srv, client, change)},
	})
}

// person is the extension that names whom a back end acts for.
func actingFor(user, org, purpose string) object {
	return object{"extensions": object{"hl7-b2b": object{
		"version": "1", "subject_id": user, "subject_name": "on duty", "organization_id": org, "purpose_of_use": []any{purpose},
	}}}
}

// tokenAnswer is what the token endpoint said, or an error of OAuth.
type tokenAnswer struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	ExpiresIn        int    `json:"expires_in"`
	Scope            string `json:"scope"`
	RefreshToken     string `json:"refresh_token"`
	IDToken          string `json:"id_token"`
	Patient          string `json:"patient"`
	Encounter        string `json:"encounter"`
	Intent           string `json:"intent"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
}

// form posts a form to an endpoint of the authorization server.
func (s *server) form(t *testing.T, endpoint string, values url.Values, header ...string) (tokenAnswer, answer) {
	t.Helper()
	r := request{method: http.MethodPost, path: s.root + "/auth/" + endpoint, body: []byte(values.Encode()), header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}
	for i := 0; i+1 < len(header); i += 2 {
		r.header[header[i]] = header[i+1]
	}
	token := r.header["Bearer"]
	delete(r.header, "Bearer")
	a := s.do(t, token, r)
	var out tokenAnswer
	if len(bytes.TrimSpace(a.body)) > 0 && strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(a.body, &out); err != nil {
			t.Fatalf("POST %s: %v\n%s", endpoint, err, a.body)
		}
	}
	return out, a
}

// claims are those of a JWT, unverified.
func claims(t *testing.T, jwt string) (header, body object) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %d parts", len(parts))
	}
	for i, to := range []*object{&header, &body} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, body
}
