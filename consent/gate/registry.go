package gate

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// keyDirectory is the epoch of all that the directory says: organisations,
// roles, practitioners and clients. Directories change seldom; one key lets a
// warm request prove by one look that its standing still holds.
const keyDirectory = "directory"

// lineageDepth is how many organisations are followed upwards (DOSSIER §7.5).
const lineageDepth = 8

// party is what a standing depends on beside the moment.
type party struct{ client, user, organization string }

// standing is what the directory says of a party, at whatever time.
type standing struct {
	client  enrolment
	lineage lineage
	roles   []role
	// bounded is what within last worked out: one client's tokens have few scopes.
	bounded atomic.Pointer[boundedScopes]
}

// boundedScopes are scopes, and what of them a client is registered for.
type boundedScopes struct {
	asked string
	left  smart.Scopes
}

// within is the part of the scopes that the client is registered for.
func (s *standing) within(scopes smart.Scopes) smart.Scopes {
	asked := scopes.String()
	if kept := s.bounded.Load(); kept != nil && kept.asked == asked {
		return kept.left
	}
	left := smart.ParseScopes(smart.Narrow(asked, s.client.client.Scope))
	s.bounded.Store(&boundedScopes{asked, left})
	return left
}

// lineage is an organisation and those it is part of, nearest first.
type lineage struct {
	ids []string
	// active says that the organisation itself is on file and onboarded, and may
	// what for.
	active bool
	may    consent.Capabilities
	broken bool
}

// standing is what the directory says of the caller.
func (v *view) standing(ctx context.Context, c *consent.Caller) (*standing, error) {
	key := party{c.Client, c.User, c.Organization}
	if s, ok := v.g.standings.get(key, v.snap, v.now); ok {
		return s, nil
	}
	var b basis
	b.on(v.snap, keyDirectory)
	s := &standing{}
	var err error
	if s.client, err = v.enrolment(ctx, c.Client); err != nil {
		return nil, err
	}
	if s.lineage, err = v.lineage(ctx, c.Organization); err != nil {
		return nil, err
	}
	if c.Kind == consent.Practitioner {
		if s.roles, err = v.roles(ctx, c); err != nil {
			return nil, err
		}
	}
	v.g.standings.put(key, s, b)
	return s, nil
}

// lineage follows Organization.partOf upwards. Only the custodian's own master
// data count: an organisation does not onboard itself.
func (v *view) lineage(ctx context.Context, id string) (lineage, error) {
	if id == "" {
		return lineage{}, nil
	}
	if l, ok := v.g.lineages.get(id, v.snap, v.now); ok {
		return l, nil
	}
	var b basis
	b.on(v.snap, keyDirectory)
	var l lineage
	for next := id; next != ""; {
		if slices.Contains(l.ids, next) || len(l.ids) > lineageDepth {
			l.broken = true
			break
		}
		l.ids = append(l.ids, next)
		stand, parent, ok, err := v.organization(ctx, next)
		if err != nil {
			return lineage{}, err
		}
		active := stand.State == smart.ClientActive
		if len(l.ids) == 1 {
			l.active, l.may = active, consent.Capabilities{Read: stand.Read, Contribute: stand.Contribute}
		}
		l.broken = l.broken || !active || !ok
		next = parent
	}
	v.g.lineages.put(id, l, b)
	return l, nil
}

// organization reads one Organization; ok is false when its parent cannot be
// told.
func (v *view) organization(ctx context.Context, id string) (stand smart.Onboarding, parent string, ok bool, err error) {
	ok = true
	_, err = v.read(ctx, "Organization", id, func(f store.Found, t *fhir.Tape) error {
		if f.Contributor != "" {
			return nil
		}
		stand = smart.ReadOnboarding(t)
		if above := t.Field(t.Root(), "partOf"); above != fhir.None {
			ref := v.g.reference(t, above)
			parent, ok = ref.ID, ref.Type == "Organization"
			if !ok {
				parent = ""
			}
		}
		return nil
	})
	return stand, parent, ok, err
}

// resolve puts into the caller what the directory says of it, and returns the
// standing at the moment.
func (s *standing) resolve(p *consent.Policy, c *consent.Caller, now time.Time) consent.Standing {
	c.Lineage, c.LineageBroken = s.lineage.ids, s.lineage.broken
	out := consent.Standing{
		Client: s.client.state, ClientOrganization: s.client.client.Organization,
		ClientMay:          consent.Capabilities{Read: s.client.client.Read, Contribute: s.client.client.Contribute, Audit: s.client.client.Regulator},
		OrganizationActive: s.lineage.active, OrganizationMay: s.lineage.may,
	}
	if r := choose(s.roles, p, now); r != nil {
		out.Role = r.Role
		c.Practitioner, c.Role, c.RoleCodes = r.Practitioner, r.reference, r.Codes
	}
	return out
}

// workplaces are the ids of the organisations a Practitioner or a
// PractitionerRole works for now, as the custodian has it: whoever could claim
// somebody's doctor for itself would be registered with all who name the doctor.
func (v *view) workplaces(ctx context.Context, b *basis, ref string) ([]string, error) {
	b.on(v.snap, keyDirectory)
	var ids []string
	keep := func(f store.Found, t *fhir.Tape) error {
		o := v.g.reference(t, t.Field(t.Root(), "organization"))
		if f.Contributor != "" || o.Type != "Organization" || !isActive(t, t.Root()) {
			return nil
		}
		p := period(t, t.Field(t.Root(), "period"))
		switch {
		case p.Contains(v.now):
			ids = append(ids, o.ID)
			if !p.Until.IsZero() {
				b.within(p.Until.Add(time.Nanosecond))
			}
		case v.now.Before(p.From):
			b.within(p.From)
		}
		return nil
	}
	kind, id, _ := strings.Cut(ref, "/")
	switch kind {
	case "PractitionerRole":
		_, err := v.read(ctx, "PractitionerRole", id, keep)
		return ids, err
	case "Practitioner":
		err := v.each(ctx, "PractitionerRole", []search.Clause{v.g.refers("PractitionerRole", "practitioner", ref)}, keep)
		return ids, err
	default:
		return nil, nil
	}
}
