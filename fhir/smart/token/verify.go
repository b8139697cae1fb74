package token

import (
	"context"
	"time"

	"vitrine/fhir/smart"
)

// MaxSize is the size of the largest token taken, in bytes.
const MaxSize = 8 << 10

// typeAccessToken is the typ of access tokens (RFC 9068 §2.1).
const typeAccessToken = "at+jwt"

// Config says whose tokens are taken, and for whom they must be.
type Config struct {
	// Keys is the server's own key; nil when it takes no tokens of its own.
	Keys *Keys
	// OwnIssuer is the iss of the server's own tokens.
	OwnIssuer string
	// Audience are the names of this server; a token must be for one of them.
	Audience []string
	// Base is the FHIR base URL: absolute references below it are local.
	Base string
	// Issuers are the other issuers that are trusted.
	Issuers []Issuer
	// Algorithms narrows the algorithms taken from configured issuers; empty
	// means all this package knows.
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
}

// Verifier turns bearer tokens into smart.Tokens. Safe for concurrent use.
type Verifier struct{}

// NewVerifier checks the configuration. It fetches nothing yet.
func NewVerifier(cfg Config) (*Verifier, error) { return &Verifier{}, nil }

// Verify returns what a bearer token says at now, or one of the Err refusals.
func (v *Verifier) Verify(ctx context.Context, bearer string, now time.Time) (smart.Token, error) {
	return smart.Token{}, ErrMissing
}
