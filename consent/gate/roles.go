package gate

import (
	"context"
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// role is a PractitionerRole and its reference.
type role struct {
	consent.Role
	reference string
	// title is what its codes say to people.
	title string
	// licensed says that the custodian keeps the practitioner.
	licensed bool
	// above are the custodian's roles of the same person at the same organisation,
	// for one that an organisation contributed: the custodian's word goes before.
	above []consent.Role
}

// roles are those in which the caller may act for its organisation.
func (v *view) roles(ctx context.Context, c *consent.Caller) ([]role, error) {
	if c.Organization == "" && strings.HasPrefix(c.User, "Practitioner/") {
		return nil, nil
	}
	return v.rolesOf(ctx, c.User, c.Organization)
}

// rolesOf are the roles of a Practitioner, at the organisation when one is named,
// or the PractitionerRole itself, as far as whoever wrote them may say so.
func (v *view) rolesOf(ctx context.Context, user, organization string) ([]role, error) {
	var roles []role
	keep := func(f store.Found, t *fhir.Tape) error {
		r, err := v.role(ctx, f.ID, t)
		counts := f.Contributor == ""
		if err == nil && !counts {
			if counts, err = v.employs(ctx, f.Contributor, &r); err == nil && counts {
				err = v.overrule(ctx, &r)
			}
		}
		if err == nil && counts {
			roles = append(roles, r)
		}
		return err
	}
	kind, id, _ := strings.Cut(user, "/")
	switch kind {
	case "PractitionerRole":
		_, err := v.read(ctx, "PractitionerRole", id, keep)
		return roles, err
	case "Practitioner":
		clauses := []search.Clause{v.g.refers("PractitionerRole", "practitioner", user)}
		if organization != "" {
			clauses = append(clauses, v.g.refers("PractitionerRole", "organization", "Organization/"+organization))
		}
		err := v.each(ctx, "PractitionerRole", clauses, keep)
		return roles, err
	default:
		return nil, nil
	}
}

// employs reports whether a role counts that an organisation contributed: it speaks
// for itself and its parts, of people whom the custodian knows, and gives nobody a
// part in emergencies, which opens what is restricted.
func (v *view) employs(ctx context.Context, contributor string, r *role) (bool, error) {
	if r.Organization == "" || !r.licensed {
		return false, nil
	}
	line, err := v.lineage(ctx, r.Organization)
	if err != nil {
		return false, err
	}
	if r.Organization != contributor && (line.broken || !slices.Contains(line.ids, contributor)) {
		return false, nil
	}
	r.Codes = slices.DeleteFunc(r.Codes, func(c fhir.Coding) bool { return v.g.cfg.Policy.EmergencyEligible([]fhir.Coding{c}) })
	return true, nil
}

// overrule notes what the custodian says of the same person there: an organisation
// makes no doctors of its clerks.
func (v *view) overrule(ctx context.Context, r *role) error {
	return v.each(ctx, "PractitionerRole", []search.Clause{
		v.g.refers("PractitionerRole", "practitioner", r.Practitioner),
		v.g.refers("PractitionerRole", "organization", "Organization/"+r.Organization),
	}, func(f store.Found, t *fhir.Tape) error {
		if f.Contributor != "" {
			return nil
		}
		above, err := v.role(ctx, f.ID, t)
		r.above = append(r.above, above.Role)
		return err
	})
}

// counts reports whether no role of the custodian's is in force in its place.
func (r *role) counts(now time.Time) bool {
	return !slices.ContainsFunc(r.above, func(a consent.Role) bool { return a.Active && a.Period.Contains(now) })
}

// choose is the role that somebody acts in now: the first in which they may take
// part in care, or else one that tells why not; nil when there is none.
func choose(roles []role, p *consent.Policy, now time.Time) (chosen *role) {
	for i := range roles {
		r := &roles[i]
		switch {
		case !r.counts(now):
		case p.Practises(&r.Role, now):
			return r
		case chosen == nil:
			chosen = r
		}
	}
	return chosen
}

// role reads a PractitionerRole and the Practitioner who holds it.
func (v *view) role(ctx context.Context, id string, t *fhir.Tape) (role, error) {
	root := t.Root()
	r := role{reference: "PractitionerRole/" + id}
	r.Active = isActive(t, root)
	r.Period = period(t, t.Field(root, "period"))
	if o := v.g.reference(t, t.Field(root, "organization")); o.Type == "Organization" {
		r.Organization = o.ID
	}
	elements(t, root, "code", func(n fhir.Node) {
		r.Codes = codings(r.Codes, t, n)
		if r.title == "" {
			r.title = wordsOf(t, n)
		}
	})
	p := v.g.reference(t, t.Field(root, "practitioner"))
	if p.Type != "Practitioner" {
		return r, nil
	}
	r.Practitioner = p.Local()
	_, err := v.read(ctx, "Practitioner", p.ID, func(f store.Found, t *fhir.Tape) error {
		r.Active = r.Active && isActive(t, t.Root())
		r.licensed = f.Contributor == ""
		return nil
	})
	return r, err
}

// wordsOf is what a CodeableConcept says to people: its text, or the first display
// or code.
func wordsOf(t *fhir.Tape, concept fhir.Node) string {
	words := t.Text(t.Field(concept, "text"))
	for _, name := range []string{"display", "code"} {
		elements(t, concept, "coding", func(n fhir.Node) {
			if words == "" {
				words = t.Text(t.Field(n, name))
			}
		})
	}
	return words
}
