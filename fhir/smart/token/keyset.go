package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Algorithms are the signature algorithms this package knows: what SMART asks
// for (RS384, ES384), and RS256, ES256 and PS384 for identity providers. No
// symmetric one, and never none.
func Algorithms() []string { return []string{"RS256", "RS384", "PS384", "ES256", "ES384"} }

func known(algorithm string) bool { return slices.Contains(Algorithms(), algorithm) }

// When a key set is fetched.
const (
	// refreshAfter is the age at which the keys are looked at again.
	refreshAfter = 10 * time.Minute
	// keepFor is how long they are used while they cannot be had again.
	keepFor = time.Hour
	// retryAfter lies between two fetches, whatever is asked for.
	retryAfter = 30 * time.Second
	// minimumRSA is the smallest RSA modulus taken, in bits (RFC 7518 §3.3).
	minimumRSA = 2048
)

// publicKey is a key with the algorithms it may verify.
type publicKey struct {
	key        crypto.PublicKey
	algorithms []string
	// until is when it counts for nothing any more; zero when that is not known.
	until time.Time
}

// verify checks the signature of a token with the algorithm it names, which
// find has matched with the key.
func (k publicKey) verify(c *compact) error {
	if e, ok := k.key.(*ecdsa.PublicKey); ok && len(c.signature) != 2*((e.Params().BitSize+7)/8) {
		return ErrSignature
	}
	v, err := jws.NewVerifier(jwa.SignatureAlgorithm(c.algorithm))
	if err != nil {
		return ErrAlgorithm
	}
	if err := v.Verify(c.signed, c.signature, k.key); err != nil {
		return ErrSignature
	}
	return nil
}

// keySet holds the keys of one issuer and looks after them.
type keySet struct {
	own        *Keys                                 // nil for those of others
	fetch      func(context.Context) ([]byte, error) // nil: the keys never change
	algorithms []string
	current    atomic.Pointer[keys]
	mu         sync.Mutex // held while fetching
	tried      time.Time  // guarded by mu
}

// keys is one state of a key set.
type keys struct {
	byID       map[string][]publicKey
	generation uint64
	fetched    time.Time
}

// ownKeys is the set of the server's own keys.
func ownKeys(k *Keys) *keySet { return &keySet{own: k} }

func newKeySet(source string, algorithms []string) (*keySet, error) {
	fetch, err := fetcher(source)
	return &keySet{fetch: fetch, algorithms: algorithms}, err
}

// stands reports whether what a state of the keys has proven may be relied on
// without looking again.
func (s *keySet) stands(generation uint64, now time.Time) bool {
	if s.own != nil {
		return s.own.ring().generation == generation
	}
	k := s.current.Load()
	return k != nil && k.generation == generation && (s.fetch == nil || now.Sub(k.fetched) < refreshAfter)
}

// find returns the key of that name for the algorithm, and the state of the set
// it is from. A name that is not known may be that of a new key, so the set is
// fetched once more, at most every retryAfter.
func (s *keySet) find(ctx context.Context, kid, algorithm string, now time.Time) (publicKey, uint64, error) {
	if s.own != nil {
		if algorithm != jwa.ES384.String() {
			return publicKey{}, 0, ErrKey
		}
		return s.own.find(kid, now)
	}
	k := s.current.Load()
	if s.fetch != nil && (k == nil || now.Sub(k.fetched) >= refreshAfter) {
		s.refresh(ctx, now, k == nil)
		k = s.current.Load()
	}
	if key, ok := k.lookup(kid, algorithm); ok && s.usable(k, now) {
		return key, k.generation, nil
	}
	if s.fetch != nil && s.refresh(ctx, now, false) {
		k = s.current.Load()
		if key, ok := k.lookup(kid, algorithm); ok {
			return key, k.generation, nil
		}
	}
	return publicKey{}, 0, ErrKey
}

func (s *keySet) usable(k *keys, now time.Time) bool {
	return k != nil && (s.fetch == nil || now.Sub(k.fetched) < keepFor)
}

// lookup finds a key by name among those that fit the algorithm.
func (k *keys) lookup(kid, algorithm string) (publicKey, bool) {
	if k == nil {
		return publicKey{}, false
	}
	for _, key := range k.byID[kid] {
		if slices.Contains(key.algorithms, algorithm) {
			return key, true
		}
	}
	return publicKey{}, false
}

// refresh fetches the set anew, unless that was tried a moment ago or, when the
// caller need not wait, another is at it. It reports whether the set is fresh.
// A failure leaves the former keys in place.
func (s *keySet) refresh(ctx context.Context, now time.Time, wait bool) bool {
	if wait {
		s.mu.Lock()
	} else if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	if !s.tried.IsZero() && now.Sub(s.tried) < retryAfter {
		return false
	}
	s.tried = now
	text, err := s.fetch(context.WithoutCancel(ctx)) // one caller's hurry is not another's failure
	if err != nil {
		return false
	}
	byID, err := parseKeys(text, s.algorithms)
	if err != nil {
		return false
	}
	former := s.current.Load()
	next := &keys{byID: byID, fetched: now}
	if former != nil {
		next.generation = former.generation
		if !sameKeys(former.byID, byID) {
			next.generation++
		}
	}
	s.current.Store(next)
	return true
}

// parseKeys reads a JWK set (RFC 7517 §5). What is not a public key for
// signatures by a known algorithm is left out.
func parseKeys(text []byte, algorithms []string) (map[string][]publicKey, error) {
	set, err := jwk.Parse(text, jwk.WithIgnoreParseError(true))
	if err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	byID := map[string][]publicKey{}
	for i := range set.Len() {
		key, ok := set.Key(i)
		if !ok || key.KeyID() == "" || (key.KeyUsage() != "" && key.KeyUsage() != string(jwk.ForSignature)) {
			continue
		}
		var raw any
		if err := key.Raw(&raw); err != nil {
			continue
		}
		fit := fitting(raw)
		fit = slices.DeleteFunc(fit, func(a string) bool {
			declared := key.Algorithm().String()
			return !slices.Contains(algorithms, a) || (declared != "" && declared != a)
		})
		if len(fit) > 0 {
			byID[key.KeyID()] = append(byID[key.KeyID()], publicKey{key: raw, algorithms: fit})
		}
	}
	return byID, nil
}

// fitting are the algorithms that a public key can serve.
func fitting(key any) []string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= minimumRSA {
			return []string{"RS256", "RS384", "PS384"}
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		}
	}
	return nil
}

func sameKeys(a, b map[string][]publicKey) bool {
	if len(a) != len(b) {
		return false
	}
	for id, list := range a {
		if !slices.EqualFunc(list, b[id], equalKey) {
			return false
		}
	}
	return true
}

func equalKey(a, b publicKey) bool {
	comparable, ok := a.key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b.key) && slices.Equal(a.algorithms, b.algorithms)
}
