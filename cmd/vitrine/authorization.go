package main

import (
	"context"
	"errors"
	"time"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/rest"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/oauth"
)

// registry is what the gate says of clients and people, in the words of the
// authorization server.
type registry struct{ gate *gate.Gate }

// Client implements oauth.Registry.
func (r registry) Client(ctx context.Context, id string, now time.Time) (smart.Client, error) {
	c, err := r.gate.Client(ctx, id, now)
	if errors.Is(err, gate.ErrNotFound) {
		err = oauth.ErrUnknown
	}
	return c, err
}

// Admit implements oauth.Registry.
func (r registry) Admit(ctx context.Context, t *smart.Token, now time.Time) error {
	caller, reason := rest.CallerOf(t)
	err := r.gate.Admit(ctx, &caller, reason, now)
	if refused := (*gate.Refused)(nil); errors.As(err, &refused) {
		return oauth.ErrRefused
	}
	return err
}

// Capacities implements oauth.Registry.
func (r registry) Capacities(ctx context.Context, user string, now time.Time) ([]oauth.Capacity, error) {
	return r.gate.Capacities(ctx, user, now)
}

// People implements oauth.Registry.
func (r registry) People(ctx context.Context, id fhir.Identifier, kinds []fhir.ResourceType, now time.Time) ([]string, error) {
	return r.gate.People(ctx, id, kinds, now)
}

// Note implements oauth.Registry.
func (r registry) Note(ctx context.Context, e oauth.Event) error { return r.gate.Note(ctx, &e) }

var _ oauth.Registry = registry{}
