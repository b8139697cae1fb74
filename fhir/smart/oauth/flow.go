package oauth

import "time"

// request is an authorization request that was found valid and waits for its
// user. It is kept under the hash of its handle, and bound to the browser that
// made it.
type request struct {
	Client, RedirectURI, State string
	// Scope is what was asked for, cut down to what the client may have.
	Scope string
	// Challenge is the PKCE challenge (S256).
	Challenge string
	Nonce     string
	// Prompt is "", "none", "login" or "consent"; MaxAge how old a sign-in may be in
	// seconds, -1 for any age (OpenID Connect Core §3.1.2.1).
	Prompt string
	MaxAge int
	// Launch is the context an EMR launched with; nil for a standalone launch.
	Launch *launch
	// LaunchKey is where that is kept; it goes when a code is issued.
	LaunchKey string
	// Browser is the hash of the cookie of the browser that asked.
	Browser string
}

// launch is the context that an EMR issued (SMART App Launch 2.2,
// app-launch.html#launch-app-ehr-launch). It signs nobody in: who comes with it
// must be the user it was issued for.
type launch struct {
	// Client is the app that may use it.
	Client string
	// User and Organization are those of the EMR's token.
	User, Organization string
	Patient, Encounter string
	// Purpose is the code system and code of the purpose of the EMR's token.
	PurposeSystem, PurposeCode string
	Intent                     string
}

// login is a sign-in: who it is, and how and when that was shown. It is kept under
// the hash of the session's cookie.
type login struct {
	// User is the relative reference that the account or the provider's claims lead
	// to: Practitioner/x, PractitionerRole/x, Patient/p or RelatedPerson/r.
	User string
	// Account is the name it was signed in with, for the record.
	Account string
	// ACR is how the user was authenticated, AuthTime when.
	ACR      string
	AuthTime time.Time
	// Began is when the session did, For the hash of the handle of the request that
	// it was for. Local says that the account is one of ours.
	Began time.Time
	For   string
	Local bool
	// Proof is Account.proof of what a local one was signed in with.
	Proof string
	// CSRF is the token that the session's forms carry.
	CSRF string
}

// decision is what the user agreed to.
type decision struct {
	Login login
	// Session is the hash of the session's id.
	Session  string
	Capacity Capacity
	// Patient is the id of the patient chosen; empty for none.
	Patient string
	// Scope is what was granted, of what the request asked for.
	Scope string
}
