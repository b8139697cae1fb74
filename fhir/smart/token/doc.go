// Package token owns what is signed: the way from a bearer token to a
// smart.Token, with the keys of configured issuers, the mapping of their claims
// and the cache of what was verified; the server's own keys, their rotation and
// what they sign; and the assertions by which clients prove themselves.
// It does not issue tokens to clients over a network, which is oauth's, does
// not look anybody up in the directory, which is consent/gate's, and does not
// know HTTP answers, which are fhir/rest's. It alone imports jwx.
package token
