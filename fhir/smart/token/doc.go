// Package token owns the way from a bearer token to a smart.Token: the
// server's own signing key, the keys of configured issuers and their refresh,
// the signature, the claims that must hold, and the cache of what was verified.
// It does not issue tokens to clients over a network, which is oauth's, does
// not look anybody up in the directory, which is consent/gate's, and does not
// know HTTP answers, which are fhir/rest's. It alone, with oauth, imports jwx.
package token
