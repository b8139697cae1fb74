package oauth

import (
	"context"
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/smart"
	"vitrine/fhir/smart/token"
)

// The code system of purposes of use, and its OID, by which UDAP's examples name
// it.
const (
	systemActReason = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	oidActReason    = "urn:oid:2.16.840.1.113883.5.8"
)

// actFor fills in the claims of a back end that acts for a person: exactly one
// person in a role that the registry has now, at exactly the organisation named,
// for exactly one purpose that the role may have. What the client says of itself
// is looked up, never believed.
func (s *Server) actFor(ctx context.Context, x *exchange, p *proof, c *token.Claims) error {
	person := p.assertion.Person
	purpose, ok := soleCoding(person.Purposes)
	if !ok {
		return badGrant("hl7-b2b: purpose_of_use must be exactly one code, as SYSTEM#CODE.")
	}
	organization, ok := s.local(person.OrganizationID, "Organization")
	if !ok {
		return badGrant("hl7-b2b: organization_id must name an Organization of this server.")
	}
	users, err := s.subjects(ctx, x, person.SubjectID)
	if err != nil {
		return err
	}
	role, err := s.roleOf(ctx, x, p, users, organization.ID)
	switch {
	case err != nil:
		return err
	case role == nil:
		return badGrant("hl7-b2b: subject_id is not known to hold a role now at organization_id, or this client is not that organisation's.")
	case !slices.Contains(role.Purposes, purpose):
		return badGrant("hl7-b2b: purpose_of_use is none that this person may have.")
	}
	c.Scope = smart.WithoutScopes(s.within(x.form.get("scope"), &p.client), func(one string) bool {
		return !strings.HasPrefix(one, "user/") && !strings.HasPrefix(one, "system/")
	})
	if c.Scope == "" {
		return badScope("None of the scopes asked for is one that this client is registered with for a person (user/TYPE.rs, …).")
	}
	c.Subject, c.User, c.SubjectName = role.User, role.User, role.Person
	c.Organization, c.Purposes = reference("Organization", role.Organization), []fhir.Coding{purpose}
	return nil
}

// roleOf is the role of one of the users at the organisation, if the client is
// bound to that or to what it is part of.
func (s *Server) roleOf(ctx context.Context, x *exchange, p *proof, users []string, organization string) (*Capacity, error) {
	for _, user := range users {
		all, err := s.cfg.Registry.Capacities(ctx, user, x.now)
		if err != nil {
			return nil, err
		}
		for i := range all {
			if c := &all[i]; c.Kind == smart.KindPractitioner && c.Organization == organization && boundTo(&p.client, c) {
				return c, nil
			}
		}
	}
	return nil, nil //nolint:nilnil // that there is none is an answer
}

// boundTo reports whether a practitioner may act through the client: it is bound
// to the organisation acted for, or to one that this is part of.
func boundTo(client *smart.Client, c *Capacity) bool {
	return client.Organization != "" && (client.Organization == c.Organization || slices.Contains(c.Lineage, client.Organization))
}

// subjects are the users that a subject_id may mean: a reference to a
// Practitioner or PractitionerRole of this server, or an identifier that exactly
// one Practitioner has (SYSTEM|VALUE).
func (s *Server) subjects(ctx context.Context, x *exchange, id string) ([]string, error) {
	if r, ok := s.local(id, "Practitioner", "PractitionerRole"); ok {
		return []string{string(r.Type) + "/" + r.ID}, nil
	}
	system, value, ok := strings.Cut(id, "|")
	if !ok || system == "" || value == "" {
		return nil, badGrant("hl7-b2b: subject_id must be a Practitioner or PractitionerRole of this server, or an identifier as SYSTEM|VALUE.")
	}
	people, err := s.cfg.Registry.People(ctx, fhir.Identifier{System: system, Value: value}, []fhir.ResourceType{"Practitioner"}, x.now)
	if err != nil || len(people) != 1 {
		return nil, err
	}
	return people, nil
}

// local reads a reference to a resource of this server of one of the types, with
// or without the FHIR base.
func (s *Server) local(text string, types ...fhir.ResourceType) (fhir.Reference, bool) {
	typ, id, ok := strings.Cut(strings.TrimPrefix(text, s.Issuer()+"/"), "/")
	if !ok || !fhir.ValidID(id) || !slices.Contains(types, fhir.ResourceType(typ)) {
		return fhir.Reference{}, false
	}
	return fhir.Reference{Form: fhir.RefLocal, Type: fhir.ResourceType(typ), ID: id}, true
}

// soleCoding reads the one purpose of use there must be: SYSTEM#CODE or
// SYSTEM|CODE, with v3-ActReason also by its OID.
func soleCoding(all []string) (fhir.Coding, bool) {
	if len(all) != 1 {
		return fhir.Coding{}, false
	}
	at := strings.LastIndexAny(all[0], "#|")
	if at <= 0 || at == len(all[0])-1 {
		return fhir.Coding{}, false
	}
	c := fhir.Coding{System: all[0][:at], Code: all[0][at+1:]}
	if c.System == oidActReason {
		c.System = systemActReason
	}
	return c, true
}
