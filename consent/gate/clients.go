package gate

import (
	"context"
	"errors"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// Registration is the registration of a client as it is on file.
type Registration struct {
	smart.Client
	// Version is that of its Device.
	Version string
	// Fault is what is wrong with it; of the client its id and Device are known
	// then, and it is let do nothing.
	Fault string
}

// Registrations are those of a client, or of all when id is empty, for the
// custodian alone. There are several of one id only when that was so when they
// came, and none of them counts then.
func (g *Gate) Registrations(ctx context.Context, req *Request, id string) ([]Registration, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return nil, err
	}
	defer v.close()
	if v.caller.Kind != consent.Custodian {
		return nil, v.refuse(ctx, consent.RefusedRole, "kind-not-onboarding")
	}
	named := []search.Clause{g.coded("Device", "identifier", fhir.Coding{System: smart.SystemClient, Code: id})}
	if id == "" {
		q, refusal := g.tools.Parser.Parse("Device", []search.Pair{{Name: "identifier", Value: smart.SystemClient + "|"}}, false)
		if refusal != nil {
			return nil, g.failed(ctx, refusal)
		}
		named = q.Clauses
	}
	var list []Registration
	err = v.each(ctx, "Device", named, func(f store.Found, t *fhir.Tape) error {
		if r, ok := g.registration(f, t); ok && (id == "" || r.ID == id) {
			list = append(list, r)
		}
		return nil
	})
	if err != nil {
		return nil, g.failed(ctx, err)
	}
	for i := range list {
		for j := range list {
			if i != j && list[i].ID == list[j].ID {
				list[i].Fault = "two Devices name the same client"
			}
		}
	}
	events, err := v.concerning(ctx, nil, nil)
	if err != nil {
		return nil, g.failed(ctx, err)
	}
	if _, err := v.record(ctx, Released{}, events); err != nil {
		return nil, err
	}
	return list, nil
}

// registration reads what a Device of the custodian says; ok is false for one that
// bears no registration.
func (g *Gate) registration(f store.Found, t *fhir.Tape) (r Registration, ok bool) {
	if f.Contributor != "" {
		return r, false
	}
	c, err := smart.ReadClient(t, g.cfg.BaseURL)
	if errors.Is(err, smart.ErrNoRegistration) {
		return r, false
	}
	r = Registration{Client: c, Version: f.Version}
	if err != nil {
		r.Fault = err.Error()
		r.Device = f.ID
		elements(t, t.Root(), "identifier", func(n fhir.Node) {
			if t.Text(t.Field(n, "system")) == smart.SystemClient {
				r.ID = t.Text(t.Field(n, "value"))
			}
		})
	}
	return r, true
}
