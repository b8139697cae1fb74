package gate

import (
	"context"
	"slices"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/relation"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// peopleMost is how many people one identifier may name.
const peopleMost = 32

// People are those whom an identifier names among what the custodian keeps, as
// "Type/id"; kinds are the types to look among, of Practitioner, Patient and
// RelatedPerson.
func (g *Gate) People(ctx context.Context, id fhir.Identifier, kinds []fhir.ResourceType, now time.Time) ([]string, error) {
	if id.System == "" || id.Value == "" {
		return nil, nil // it would name whoever has that number anywhere
	}
	var users []string
	err := g.viewing(ctx, now, func(v *view) error {
		for _, t := range kinds {
			if t != "Practitioner" && t != "Patient" && t != "RelatedPerson" {
				continue
			}
			named := []search.Clause{g.coded(t, "identifier", fhir.Coding{System: id.System, Code: id.Value})}
			if err := v.each(ctx, t, named, func(f store.Found, _ *fhir.Tape) error {
				if f.Contributor == "" && len(users) < peopleMost {
					users = append(users, string(t)+"/"+f.ID)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return users, err
}

// Capacities are those in which a user may act now, a "Type/id": the roles of a
// Practitioner or the one PractitionerRole, the own record of a Patient, the
// record that a RelatedPerson acts for. None is no error.
func (g *Gate) Capacities(ctx context.Context, user string, now time.Time) (list []smart.Capacity, err error) {
	kind, id, _ := strings.Cut(user, "/")
	err = g.viewing(ctx, now, func(v *view) error {
		switch kind {
		case "Practitioner", "PractitionerRole":
			list, err = v.practices(ctx, user)
		case "Patient":
			list, err = v.ownRecord(ctx, id)
		case "RelatedPerson":
			list, err = v.represents(ctx, id)
		}
		return err
	})
	return list, err
}

// viewing calls with for the store at one moment.
func (g *Gate) viewing(ctx context.Context, now time.Time, with func(*view) error) error {
	snap, err := g.store.Snapshot(ctx)
	if err != nil {
		return g.failed(ctx, err)
	}
	defer func() {
		if err := snap.Close(); err != nil {
			g.log.ErrorContext(ctx, "snapshot did not close", "error", err)
		}
	}()
	if err := with(&view{g: g, reader: snap, snap: snap, now: now}); err != nil {
		return g.failed(ctx, err)
	}
	return nil
}

// practices are the roles that somebody may act in, each for an organisation that
// takes part.
func (v *view) practices(ctx context.Context, user string) ([]smart.Capacity, error) {
	roles, err := v.rolesOf(ctx, user, "")
	if err != nil {
		return nil, err
	}
	var list []smart.Capacity
	for i := range roles {
		r := &roles[i]
		if !r.counts(v.now) || !v.g.cfg.Policy.Practises(&r.Role, v.now) {
			continue
		}
		line, err := v.lineage(ctx, r.Organization)
		if err != nil {
			return nil, err
		}
		if !line.active {
			continue
		}
		c := smart.Capacity{
			Kind: smart.KindPractitioner, User: r.reference, Holder: r.Practitioner, Organization: r.Organization,
			Lineage: slices.Clone(line.ids), Purposes: consent.UsualPurposes(consent.Practitioner),
		}
		if c.Person, err = v.nameOf(ctx, r.Practitioner); err != nil {
			return nil, err
		}
		organization, err := v.nameOf(ctx, "Organization/"+r.Organization)
		if err != nil {
			return nil, err
		}
		c.Title = strings.TrimPrefix(r.title+", "+organization, ", ")
		list = append(list, c)
	}
	return list, nil
}

func (v *view) ownRecord(ctx context.Context, id string) (list []smart.Capacity, err error) {
	_, err = v.read(ctx, "Patient", id, func(f store.Found, t *fhir.Tape) error {
		if f.Contributor == "" && isActive(t, t.Root()) {
			list = append(list, smart.Capacity{
				Kind: smart.KindPatient, User: "Patient/" + id, Person: nameIn(t), Patient: id,
				Purposes: consent.UsualPurposes(consent.Patient),
			})
		}
		return nil
	})
	return list, err
}

// represents is the record that a RelatedPerson acts for now.
func (v *view) represents(ctx context.Context, id string) (list []smart.Capacity, err error) {
	var c smart.Capacity
	_, err = v.read(ctx, "RelatedPerson", id, func(f store.Found, t *fhir.Tape) error {
		a, p, ok := relation.FromRelatedPerson(t)
		if f.Contributor != "" || f.Home != consent.HomePatients || len(f.Patients) != 1 || !ok || !p.Contains(v.now) {
			return nil
		}
		c = smart.Capacity{
			Kind: smart.KindRepresentative, User: "RelatedPerson/" + id, Person: nameIn(t), Patient: f.Patients[0],
			Purposes: []fhir.Coding{a.Purpose().Coding()},
		}
		return nil
	})
	if err != nil || c.Patient == "" {
		return nil, err
	}
	if c.Title, err = v.nameOf(ctx, "Patient/"+c.Patient); err != nil {
		return nil, err
	}
	return []smart.Capacity{c}, nil
}

// nameOf is what somebody on file is called; empty when that is not said.
func (v *view) nameOf(ctx context.Context, reference string) (name string, err error) {
	kind, id, _ := strings.Cut(reference, "/")
	_, err = v.read(ctx, fhir.ResourceType(kind), id, func(_ store.Found, t *fhir.Tape) error {
		name = nameIn(t)
		return nil
	})
	return name, err
}

// nameIn is the name in a resource: of an organisation, or the first of a person,
// as its text or put together.
func nameIn(t *fhir.Tape) string {
	n := t.Field(t.Root(), "name")
	if t.Kind(n) == fhir.String {
		return t.Text(n)
	}
	if t.Kind(n) == fhir.Array {
		n = t.First(n)
	}
	if text := t.Text(t.Field(n, "text")); text != "" {
		return text
	}
	var words []string
	elements(t, n, "given", func(given fhir.Node) { words = append(words, t.Text(given)) })
	if family := t.Text(t.Field(n, "family")); family != "" {
		words = append(words, family)
	}
	return strings.Join(words, " ")
}
