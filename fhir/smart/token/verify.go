package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vitrine/fhir/smart"
)

// MaxSize is the size of the largest token taken, in bytes.
const MaxSize = 8 << 10

// leeway is how far the clock of an issuer may be ahead of ours, for nbf and
// iat. exp has none: a token is never taken longer than its issuer meant.
const leeway = 30 * time.Second

// Config says whose tokens are taken, and for whom they must be.
type Config struct {
	// Keys is the server's own key; nil when it takes no tokens of its own.
	Keys *Keys
	// OwnIssuer is the iss of the tokens that the operator makes by hand.
	OwnIssuer string
	// Server is the iss of those of its authorization server; empty when it takes
	// none.
	Server string
	// Audience are the names of this server; a token must be for one of them.
	Audience []string
	// Base is the FHIR base URL: absolute references below it are local.
	Base string
	// Issuers are the other issuers that are trusted.
	Issuers []Issuer
	// Algorithms narrows the algorithms taken from configured issuers; empty
	// means all this package knows (Algorithms).
	Algorithms []string
}

// Issuer is a trusted issuer of tokens.
type Issuer struct {
	// URL is its iss, compared byte for byte.
	URL string
	// JWKS is where its keys are: an https URL (http on a loopback address), or
	// the path of a file.
	JWKS string
	// Kinds are the kinds it may vouch for, of smart.KindRegulator and
	// smart.KindCustodian. The others need no vouching.
	Kinds []string
	// Mapping is where it has what this server reads.
	Mapping Mapping
}

// Verifier turns bearer tokens into smart.Tokens. Safe for concurrent use.
type Verifier struct {
	audience   []string
	base       string
	algorithms []string
	issuers    map[string]*issuer
	cache      *cache
}

// issuer is one whose tokens are taken.
type issuer struct {
	url  string
	keys *keySet
	// vouches are the kinds the issuer is believed about.
	vouches []string
	// own says that its keys are the server's own, and operator that its tokens are
	// made by whoever may read the data directory.
	own, operator bool
	places        places
}

// NewVerifier checks the configuration. It fetches nothing yet.
func NewVerifier(cfg Config) (*Verifier, error) {
	if len(cfg.Audience) == 0 || slices.Contains(cfg.Audience, "") {
		return nil, errors.New("token verifier: no audience")
	}
	v := &Verifier{
		audience:   slices.Clone(cfg.Audience),
		base:       cfg.Base,
		algorithms: Algorithms(),
		issuers:    map[string]*issuer{},
		cache:      newCache(),
	}
	if len(cfg.Algorithms) > 0 {
		for _, name := range cfg.Algorithms {
			if !slices.Contains(v.algorithms, name) {
				return nil, fmt.Errorf("token verifier: algorithm %q is not one of %v", name, v.algorithms)
			}
		}
		v.algorithms = slices.Clone(cfg.Algorithms)
	}
	if cfg.Keys != nil {
		own := issuer{url: cfg.OwnIssuer, keys: ownKeys(cfg.Keys), vouches: []string{smart.KindRegulator, smart.KindCustodian}, own: true, places: usual()}
		server := own
		own.operator, server.url = true, cfg.Server
		if err := v.trust(&own); err != nil {
			return nil, err
		}
		if cfg.Server != "" {
			if err := v.trust(&server); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range cfg.Issuers {
		if err := v.trustConfigured(c); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *Verifier) trustConfigured(c Issuer) error {
	for _, kind := range c.Kinds {
		if !smart.Vouched(kind) {
			return fmt.Errorf("token issuer %s: kind %q is not one to vouch for", c.URL, kind)
		}
	}
	keys, err := newKeySet(c.JWKS, v.algorithms)
	if err != nil {
		return fmt.Errorf("token issuer %s: %w", c.URL, err)
	}
	at, err := c.Mapping.places()
	if err != nil {
		return fmt.Errorf("token issuer %s: %w", c.URL, err)
	}
	return v.trust(&issuer{url: c.URL, keys: keys, vouches: c.Kinds, places: at})
}

func (v *Verifier) trust(i *issuer) error {
	if i.url == "" {
		return errors.New("token issuer without a name")
	}
	if _, taken := v.issuers[i.url]; taken {
		return fmt.Errorf("token issuer %s: named twice", i.url)
	}
	v.issuers[i.url] = i
	return nil
}

// Verify returns what a bearer token says at now, or one of the Err refusals.
func (v *Verifier) Verify(ctx context.Context, bearer string, now time.Time) (smart.Token, error) {
	if bearer == "" {
		return smart.Token{}, ErrMissing
	}
	if len(bearer) > MaxSize {
		return smart.Token{}, ErrTooLong
	}
	key := fingerprintOf(bearer)
	if t, ok := v.cache.get(key, now); ok {
		return t, nil
	}
	t, origin, err := v.verify(ctx, bearer, now)
	if err != nil {
		return smart.Token{}, err
	}
	v.cache.put(key, t, origin, now)
	return t, nil
}

// verify does the whole work: nothing of the claims but iss is looked at before
// the signature holds.
func (v *Verifier) verify(ctx context.Context, bearer string, now time.Time) (smart.Token, origin, error) {
	c, err := parseCompact(bearer)
	if err != nil {
		return smart.Token{}, origin{}, err
	}
	from, ok := v.issuers[c.claims.text(smart.ClaimIssuer)]
	if !ok {
		return smart.Token{}, origin{}, ErrIssuer
	}
	if from.own && c.typ != typeAccessToken { // which ours always are
		return smart.Token{}, origin{}, ErrMalformed
	}
	key, generation, err := from.keys.find(ctx, c.kid, c.algorithm, now)
	if err != nil {
		return smart.Token{}, origin{}, err
	}
	if err := key.verify(c); err != nil {
		return smart.Token{}, origin{}, err
	}
	t, err := v.read(&c.claims, from, now)
	return t, origin{from.keys, generation, key.until}, err
}
