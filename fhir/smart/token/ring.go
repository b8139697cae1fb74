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
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// ring is one state of the key file.
type ring struct {
	signing  ownKey  // ES384
	identity *ownKey // RS256; nil in files from before there were id_tokens
	retired  []retiredKey

	info       os.FileInfo
	generation uint64
}

// ownKey is a key of the server's that signs.
type ownKey struct {
	id      string
	private crypto.Signer
}

// retiredKey has signed. Its private part is gone.
type retiredKey struct {
	id        string
	algorithm jwa.SignatureAlgorithm
	public    crypto.PublicKey
	until     time.Time
}

// memberUntil is our own member of a retired key: the second at which it ends.
const memberUntil = "until"

// identityBits is the size of the key for id_tokens.
const identityBits = 2048

// is reports whether the file is the one that was read.
func (r *ring) is(info os.FileInfo) bool {
	return os.SameFile(r.info, info) && r.info.ModTime().Equal(info.ModTime()) && r.info.Size() == info.Size()
}

// readRing reads the file: a set, or the one key that it was at first.
func readRing(path string) (*ring, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 { // such as after copying the data directory
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("signing key %s may be read by others: %w", KeyFile, err)
		}
	}
	text, err := os.ReadFile(path) //nolint:gosec // G304: a fixed name in the operator's own data directory
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	set, err := jwk.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("signing key %s is not a JWK", KeyFile) // not wrapped: it may quote the key
	}
	r := &ring{info: info}
	for i := range set.Len() {
		if key, ok := set.Key(i); !ok || r.add(key) != nil {
			return nil, errKeyFile
		}
	}
	if r.signing.private == nil {
		return nil, errKeyFile
	}
	return r, nil
}

var errKeyFile = fmt.Errorf("signing key %s is not a private key on P-384, with those that belong to it", KeyFile)

// add takes in a key of the file. Its name is what it is, not what the file says.
func (r *ring) add(key jwk.Key) error {
	id, err := thumbprint(key)
	if err != nil {
		return err
	}
	var raw any
	if err := key.Raw(&raw); err != nil {
		return err
	}
	if end, retired := key.Get(memberUntil); retired {
		seconds, ok := end.(float64)
		algorithm := algorithmOf(raw)
		if !ok || algorithm == "" {
			return errKeyFile
		}
		r.retired = append(r.retired, retiredKey{id, algorithm, raw, time.Unix(int64(seconds), 0).UTC()})
		return nil
	}
	switch private := raw.(type) {
	case *ecdsa.PrivateKey:
		if r.signing.private != nil || private.Curve != elliptic.P384() {
			return errKeyFile
		}
		r.signing = ownKey{id, private}
	case *rsa.PrivateKey:
		if r.identity != nil || private.N.BitLen() < minimumRSA {
			return errKeyFile
		}
		r.identity = &ownKey{id, private}
	default:
		return errKeyFile
	}
	return nil
}

// algorithmOf is what a public key of ours has signed with; empty for one that is
// none of ours.
func algorithmOf(public crypto.PublicKey) jwa.SignatureAlgorithm {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P384() {
			return jwa.ES384
		}
	case *rsa.PublicKey:
		if k.N.BitLen() >= minimumRSA {
			return jwa.RS256
		}
	}
	return ""
}

func (r *ring) makeSigning() error {
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return err
	}
	r.signing, err = ownKeyOf(private)
	return err
}

func (r *ring) makeIdentity() error {
	private, err := rsa.GenerateKey(rand.Reader, identityBits)
	if err != nil {
		return err
	}
	k, err := ownKeyOf(private)
	r.identity = &k
	return err
}

func ownKeyOf(private crypto.Signer) (ownKey, error) {
	key, err := jwk.FromRaw(private)
	if err != nil {
		return ownKey{}, err
	}
	id, err := thumbprint(key)
	return ownKey{id, private}, err
}

// rotate retires the keys that sign and makes new ones. None that was retired
// before outlives them: who cuts short means all.
func (r *ring) rotate(now, until time.Time) error {
	until = until.Truncate(time.Second) // which is as fine as the file has it
	for _, k := range []*ownKey{&r.signing, r.identity} {
		if k != nil {
			r.retired = append(r.retired, retiredKey{k.id, algorithmOf(k.private.Public()), k.private.Public(), until})
		}
	}
	for i := range r.retired {
		if r.retired[i].until.After(until) {
			r.retired[i].until = until
		}
	}
	r.retired = slices.DeleteFunc(r.retired, func(k retiredKey) bool { return !now.Before(k.until) })
	if err := r.makeSigning(); err != nil || r.identity == nil { // it is made when it is needed
		return err
	}
	return r.makeIdentity()
}

// verifying is the key of that name which may have signed an access token. One for
// id_tokens never has.
func (r *ring) verifying(kid string, now time.Time) (publicKey, bool) {
	if kid == r.signing.id {
		return publicKey{key: r.signing.private.Public(), algorithms: []string{jwa.ES384.String()}}, true
	}
	for _, k := range r.retired {
		if k.id == kid && k.algorithm == jwa.ES384 && now.Before(k.until) {
			return publicKey{key: k.public, algorithms: []string{jwa.ES384.String()}, until: k.until}, true
		}
	}
	return publicKey{}, false
}

func (r *ring) list() []Key {
	all := []Key{{ID: r.signing.id, Algorithm: jwa.ES384.String()}}
	if r.identity != nil {
		all = append(all, Key{ID: r.identity.id, Algorithm: jwa.RS256.String()})
	}
	for _, k := range r.retired {
		all = append(all, Key{ID: k.id, Algorithm: k.algorithm.String(), Until: k.until})
	}
	return all
}

// public is the set of public keys that count at now.
func (r *ring) public(now time.Time) []byte {
	set := jwk.NewSet()
	add := func(id string, algorithm jwa.SignatureAlgorithm, public crypto.PublicKey) {
		if key, err := described(id, algorithm, public); err == nil {
			_ = set.AddKey(key) // two that are the same are one
		}
	}
	if r.identity != nil {
		add(r.identity.id, jwa.RS256, r.identity.private.Public())
	}
	add(r.signing.id, jwa.ES384, r.signing.private.Public())
	for _, k := range r.retired {
		if now.Before(k.until) {
			add(k.id, k.algorithm, k.public)
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		return []byte(`{"keys":[]}`)
	}
	return text
}

// encode is the ring as the file has it.
func (r *ring) encode() ([]byte, error) {
	set := jwk.NewSet()
	add := func(id string, algorithm jwa.SignatureAlgorithm, raw any, until time.Time) error {
		key, err := described(id, algorithm, raw)
		if err == nil && !until.IsZero() {
			err = key.Set(memberUntil, until.Unix())
		}
		if err != nil {
			return err
		}
		return set.AddKey(key)
	}
	err := add(r.signing.id, jwa.ES384, r.signing.private, time.Time{})
	if r.identity != nil {
		err = errors.Join(err, add(r.identity.id, jwa.RS256, r.identity.private, time.Time{}))
	}
	for _, k := range r.retired {
		err = errors.Join(err, add(k.id, k.algorithm, k.public, k.until))
	}
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(set, "", " ")
	return append(text, '\n'), err
}

// described is a key with what it is for.
func described(id string, algorithm jwa.SignatureAlgorithm, raw any) (jwk.Key, error) {
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(key.Set(jwk.KeyIDKey, id), key.Set(jwk.AlgorithmKey, algorithm), key.Set(jwk.KeyUsageKey, jwk.ForSignature))
}

func thumbprint(key jwk.Key) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
