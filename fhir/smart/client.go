package smart

import "time"

// Client is the registration of a client: who it is, for whom it speaks and the
// most it may ask for. The zero value is let do nothing.
type Client struct {
	// ID is its client_id, Name what people call it.
	ID, Name string
	// Device is the id of the Device that registers it.
	Device string
	State  ClientState
	// Organization is the id of the one organisation it is bound to: it and its
	// parts alone are acted for. Empty for the app of patients, through which no
	// provider signs in.
	Organization string
	// Owner is what that organisation is called. It is the directory's word, not
	// part of the registration.
	Owner string
	// Contribute and Read are what it was onboarded for.
	Contribute, Read bool
	// Regulator says that its back end reads the record of access for the regulator,
	// and nothing else (the capability audit).
	Regulator bool
	// RedirectURIs are where an authorization may end, compared byte for byte.
	// Without one it cannot be launched.
	RedirectURIs []string
	// LaunchURL is where an EMR opens it; empty when none does.
	LaunchURL string
	// JWKS is its key set as JSON, JWKSURL where that is kept; at most one of them.
	// A client with neither is public: it has no way to prove who it is.
	JWKS, JWKSURL string
	// Scope is the most that it may be granted.
	Scope string
}

// ClientState is how far onboarding has come. The zero value is not active.
type ClientState uint8

// The states of a client.
const (
	ClientPending ClientState = iota
	ClientActive
	ClientSuspended
	ClientEnded
)

// Confidential reports whether the client can prove who it is.
func (c *Client) Confidential() bool { return c.JWKS != "" || c.JWKSURL != "" }

// Memory is what an authorization server keeps between two requests, seen within
// one change of it: what was read still holds when what is kept becomes durable.
type Memory interface {
	// Recall returns what is kept under the key; nil when there is nothing, or its
	// time is over.
	Recall(key string) ([]byte, error)
	// Keep puts a value under the key, in place of another, until its time is over.
	Keep(key string, value []byte, until time.Time) error
	// Forget takes away what is kept under the key, if there is anything.
	Forget(key string) error
	// Revoke makes everything void that bears the id, as Token.ID or Token.Grant,
	// from the next request on and at least until then.
	Revoke(id string, until time.Time) error
}
