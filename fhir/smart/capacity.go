package smart

import (
	"time"

	"vitrine/fhir"
)

// Capacity is one way in which a person may act, as the directory has it now.
type Capacity struct {
	// Kind is one of the Kind constants: practitioner, patient or representative.
	Kind string
	// User is what fhirUser will be: PractitionerRole/x, Patient/p or
	// RelatedPerson/r.
	User string
	// Holder is who holds a role, as Practitioner/x; empty for others.
	Holder string
	// Person is what the person is called, Title in what capacity: the role and the
	// organisation's name, or whom the representative acts for.
	Person, Title string
	// Organization is the id of the organisation acted for; empty for patients and
	// representatives. Lineage are its id and those of what it is part of.
	Organization string
	Lineage      []string
	// Patient is the id of the one record; empty for practitioners.
	Patient string
	// Purposes are those that a token may have, the usual one first.
	Purposes []fhir.Coding
}

// Event is what an authorization server puts on record.
type Event struct {
	// Kind is one of the Event constants.
	Kind string
	// Failed says that it was tried in vain; Reason why, in one word of a closed
	// list.
	Failed bool
	Reason string
	// Client is the client_id; User, Organization and Patient are as in a Token.
	// What is not known is empty.
	Client, User, Organization, Patient string
	// TokenID is jti of the token that was issued; Request the request for it, without
	// anything that could be used again.
	TokenID, Request string
	// Account is the name that was signed in with.
	Account string
	// Address is the network address of who asked, RequestID the id of the request.
	Address, RequestID string
	When               time.Time
}

// The kinds of an Event.
const (
	EventSignIn    = "sign-in"
	EventSignOut   = "sign-out"
	EventAuthorize = "authorize"
	EventToken     = "token"
	EventLaunch    = "launch"
	EventRevoke    = "revoke"
)
