// Package restriction owns the reading of a FHIR Consent: it becomes a
// consent.Restriction, or is refused with the element and the reason named. It
// does not decide for a caller, which is consent's, and it does not look up the
// actors that are named, which is gate's.
package restriction

import (
	"vitrine/consent"
	"vitrine/fhir"
)

// Problem says why a Consent cannot be accepted: what it means is in doubt.
type Problem struct {
	Issues []fhir.Issue
}

// Error implements error. It names no content.
func (p *Problem) Error() string { return "the meaning of the Consent is in doubt" }

// Compile reads a Consent. base is the FHIR base URL, version the Consent's own
// version, such as "Consent/c1/_history/2".
//
// The Restriction is always what holds when the Consent is on file: with a
// Problem it may be Malformed. The Problem is nil when the Consent may be
// accepted from a client.
func Compile(t *fhir.Tape, base, version string) (consent.Restriction, *Problem) {
	return consent.Restriction{Version: [1]string{version}, Malformed: true}, &Problem{}
}
