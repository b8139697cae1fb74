package token

import "errors"

// The refusals of a token. None of them, nor what wraps them, quotes the token.
var (
	// ErrMissing: there is no token.
	ErrMissing = errors.New("no bearer token")
	// ErrTooLong: the token is larger than MaxSize.
	ErrTooLong = errors.New("token too long")
	// ErrMalformed: it is not a compact JWS of a JSON claims set of type at+jwt
	// or JWT, or it uses a header this server does not take.
	ErrMalformed = errors.New("token malformed")
	// ErrAlgorithm: the algorithm is not on the allow-list.
	ErrAlgorithm = errors.New("token algorithm not allowed")
	// ErrIssuer: nobody configured trusts the issuer.
	ErrIssuer = errors.New("token issuer not trusted")
	// ErrKey: the issuer has no such key, or its keys cannot be had.
	ErrKey = errors.New("token key unknown")
	// ErrSignature: the signature does not hold.
	ErrSignature = errors.New("token signature invalid")
	// ErrAudience: the token is for somebody else.
	ErrAudience = errors.New("token audience is not this server")
	// ErrExpired: the token's time is over.
	ErrExpired = errors.New("token expired")
	// ErrNotYet: the token's time has not come.
	ErrNotYet = errors.New("token not yet valid")
	// ErrClaims: a claim that must be there is missing, or one that is there
	// cannot be taken as it stands.
	ErrClaims = errors.New("token claims incomplete or contradictory")
)
