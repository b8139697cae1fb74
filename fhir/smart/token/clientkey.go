package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// NewClientKey makes a key with which a client can prove who it is: the private
// key as a JWK, which never leaves the client, and the key set (RFC 7517 §5) to
// register, both for ES384.
func NewClientKey() (private, set []byte, err error) {
	raw, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("client key: %w", err)
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("client key: %w", err)
	}
	id, err := thumbprint(key)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(key.Set(jwk.KeyIDKey, id), key.Set(jwk.AlgorithmKey, jwa.ES384), key.Set(jwk.KeyUsageKey, jwk.ForSignature)); err != nil {
		return nil, nil, fmt.Errorf("client key: %w", err)
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, nil, fmt.Errorf("client key: %w", err)
	}
	if private, err = json.Marshal(key); err != nil {
		return nil, nil, fmt.Errorf("client key: %w", err)
	}
	set, err = json.Marshal(map[string]any{"keys": []jwk.Key{public}})
	return private, set, err
}

// SignAssertion signs claims with a client's private key, a JWK with a kid for
// ES384 or RS384, as SMART has it (client-confidential-asymmetric.html).
func SignAssertion(private []byte, claims map[string]any) (string, error) {
	key, err := jwk.ParseKey(private)
	if err != nil {
		return "", errors.New("client key: not a JWK") // not wrapped: it may quote the key
	}
	algorithm := jwa.ES384
	if key.KeyType() == jwa.RSA {
		algorithm = jwa.RS384
	}
	if key.KeyID() == "" {
		return "", errors.New("client key: it has no kid, by which the server would know it")
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	header := jws.NewHeaders()
	if err := header.Set(jws.TypeKey, "JWT"); err != nil {
		return "", err
	}
	signed, err := jws.Sign(payload, jws.WithKey(algorithm, key, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", errors.New("client key: it is not a private key for ES384 or RS384")
	}
	return string(signed), nil
}
