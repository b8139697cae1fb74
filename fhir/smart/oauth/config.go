package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/token"
)

// Config is what a deployment chooses, and what the server stands on. Zero
// durations mean the defaults.
type Config struct {
	// BaseURL is the server's own URL, without a slash at the end; the FHIR base is
	// /fhir below it, the endpoints of this package are below Root.
	BaseURL  string
	Keys     *token.Keys
	Registry Registry
	State    State
	// Verifier reads the access tokens of those who call endpoints with one.
	Verifier Verifier
	// Porch answers requests to the FHIR base as it answers anybody's: by it the
	// picker of patients is confined to the universe.
	Porch http.RoundTripper
	// Accounts are those who sign in here; nil where nobody does.
	Accounts *Accounts
	// Provider is the identity provider that people sign in with; nil where they
	// do it here.
	Provider *Provider
	// TokenLife is how long an access token is good for, SessionLife a sign-in and
	// RefreshLife a refresh token that is not used.
	TokenLife, SessionLife, RefreshLife time.Duration
	// Refresh are the kinds of caller (smart.KindPatient, …) that get refresh
	// tokens when their app asks.
	Refresh []string
	// SystemPurpose is the purpose of use of a back end that contributes,
	// RegulatorPurpose that of the regulator's.
	SystemPurpose, RegulatorPurpose fhir.Coding
	// Known reports whether there is a resource type of the name; scopes of others are
	// not granted.
	Known func(fhir.ResourceType) bool
	// Now is the clock.
	Now func() time.Time
	Log *slog.Logger
}

// Root is where the endpoints are below the server's own URL.
const Root = "/auth"

// Verifier turns a bearer token into what it says, or refuses it.
type Verifier interface {
	Verify(ctx context.Context, bearer string, now time.Time) (smart.Token, error)
}

// State keeps what must outlive a request, on all servers alike.
type State interface {
	// Recall returns what is kept under the key at now; nil for nothing.
	Recall(ctx context.Context, key string, now time.Time) ([]byte, error)
	// Remember runs do alone on the newest state. What it kept is durable, as a
	// whole, when Remember returns nil; nothing of it is when do fails. do may be
	// run again.
	Remember(ctx context.Context, now time.Time, do func(smart.Memory) error) error
}

// The refusals of a Registry.
var (
	// ErrUnknown: there is no such client.
	ErrUnknown = errors.New("not registered")
	// ErrRefused: whoever it is may not do it now; the directory or a directive says
	// so, and the record of access has it.
	ErrRefused = errors.New("refused")
)

// Registry is what the record says of clients and people. Every error that is not
// one of the refusals is a failure, and answers nothing.
type Registry interface {
	// Client returns a registration in whatever state it is, or ErrUnknown.
	Client(ctx context.Context, id string, now time.Time) (smart.Client, error)
	// Admit reports whether a token that says t would be let in now, as far as that
	// depends on the caller alone: client, organisation, directives, role, purpose.
	// ErrRefused when it would not.
	Admit(ctx context.Context, t *smart.Token, now time.Time) error
	// Capacities are those in which a person may act now: for a Practitioner or
	// PractitionerRole the roles, for a Patient the own record, for a RelatedPerson
	// the records of whom it may act for. user is a relative reference. None is no
	// error.
	Capacities(ctx context.Context, user string, now time.Time) ([]Capacity, error)
	// People are the users that an identifier names (Practitioner, Patient,
	// RelatedPerson), as relative references; kinds are the types to look among.
	People(ctx context.Context, id fhir.Identifier, kinds []fhir.ResourceType, now time.Time) ([]string, error)
	// Note puts what happened on record. It is durable when Note returns nil.
	Note(ctx context.Context, e Event) error
}

// Capacity is one way in which a person may act.
type Capacity = smart.Capacity

// Event is something that the record of access must hold.
type Event = smart.Event
