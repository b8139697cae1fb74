package gate

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"vitrine/consent"
	"vitrine/consent/plain"
	"vitrine/fhir"
	"vitrine/store"
)

// sight is what anybody who may take part in care at an organisation would see.
// What is said of a person alone is told as a rule.
func (s *simulation) sight(ctx context.Context, id string, f *consent.Facts, subjects []plain.Part) (plain.Sight, error) {
	one := plain.Sight{Organization: id}
	var err error
	if one.Name, err = s.lastName(ctx, id); err != nil {
		return one, err
	}
	line, err := s.lineage(ctx, id)
	if err != nil {
		return one, err
	}
	for i := range f.Registrations {
		one.Registered = one.Registered || f.Registrations[i].Organization == id && f.Registrations[i].Contains(s.now)
	}
	for i := range f.Grants {
		k := &f.Grants[i]
		if k.Organization == id && !s.now.Before(k.From) && k.Until.After(s.now) && k.Until.After(one.Glass) {
			one.Glass = k.Until
		}
	}
	c := consent.Caller{
		Kind: consent.Practitioner, Organization: id, Lineage: line.ids, LineageBroken: line.broken, Purpose: consent.Treatment,
	}
	onboarded := line.active && line.may.Read
	parts := s.seen(&c, f, subjects, onboarded)
	one.Parts = parts
	for _, p := range []consent.Purpose{consent.CareCoordination, consent.EmergencyTreatment, consent.EmergencyRoom} {
		c.Purpose = p
		for i, part := range s.seen(&c, f, subjects, onboarded) {
			if part.Edition != parts[i].Edition {
				part.Purpose = p
				one.Parts = append(one.Parts, part)
			}
		}
	}
	return one, nil
}

// seen is the edition of each of the subjects that exists for the caller. It is
// consent.Decide that says so, as for a request.
func (s *simulation) seen(c *consent.Caller, f *consent.Facts, subjects []plain.Part, onboarded bool) []plain.Part {
	parts := slices.Clone(subjects)
	if !onboarded {
		return parts
	}
	d := consent.Decide(s.g.cfg.Policy, c, f, s.now)
	for i := range parts {
		p := &parts[i]
		switch {
		case p.Label != "":
			p.Edition = d.Edition(unnamed(subjects), []string{p.Label})
		case p.Type != "":
			p.Edition = d.Edition(p.Type, nil)
		default:
			p.Edition = d.Edition(unnamed(subjects), nil)
			if p.Edition == 0 && d.Level > consent.None {
				p.Edition = consent.EditionBasic
			}
		}
	}
	return parts
}

// singledOut are the types and the labels that some rule is about, and the rest.
func singledOut(all ...[]consent.Restriction) (parts []plain.Part) {
	add := func(p plain.Part) {
		if !slices.Contains(parts, p) {
			parts = append(parts, p)
		}
	}
	var walk func(rules []consent.Rule)
	walk = func(rules []consent.Rule) {
		for i := range rules {
			for _, t := range rules[i].Types {
				add(plain.Part{Type: t})
			}
			for _, l := range rules[i].Labels {
				add(plain.Part{Label: l})
			}
			walk(rules[i].Except)
		}
	}
	for _, rs := range all {
		for i := range rs {
			walk(rs[i].Rules)
		}
	}
	slices.SortFunc(parts, func(a, b plain.Part) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Type, b.Type))
	})
	return append(parts, plain.Part{})
}

// unnamed is a type that no rule is about and that is not of the basic set: it
// stands for all the others.
func unnamed(subjects []plain.Part) fhir.ResourceType {
	for _, t := range [...]fhir.ResourceType{"Observation", "Condition", "Procedure", "Encounter", "Goal", "Flag", "CarePlan", "ServiceRequest", "DiagnosticReport"} {
		if !slices.ContainsFunc(subjects, func(p plain.Part) bool { return p.Type == t }) {
			return t
		}
	}
	return "Linkage" // and if all of these are, one that is never named
}

// sayings are rules with the names of those whom they name.
func (v *visit) sayings(ctx context.Context, rules []consent.Rule) ([]plain.Saying, error) {
	names := map[string]string{}
	var failure error
	r := consent.Restriction{Rules: rules}
	r.Names(func(a consent.Actor, _ consent.Effect) bool {
		ref := a.Reference()
		if _, known := names[ref]; ref == "" || known {
			return true
		}
		names[ref], failure = v.called(ctx, ref)
		return failure == nil
	})
	if failure != nil {
		return nil, failure
	}
	said := make([]plain.Saying, len(rules))
	for i := range rules {
		said[i] = plain.Saying{Rule: &rules[i], Names: names}
	}
	return said, nil
}

// called is what somebody whom a Consent names is called: of a role, the person.
func (v *visit) called(ctx context.Context, ref string) (string, error) {
	kind, id, _ := strings.Cut(ref, "/")
	switch kind {
	case "Organization":
		return v.lastName(ctx, id)
	case "PractitionerRole":
		person := ""
		if _, err := v.read(ctx, "PractitionerRole", id, func(_ store.Found, t *fhir.Tape) error {
			person = v.g.reference(t, t.Field(t.Root(), "practitioner")).Local()
			return nil
		}); err != nil || person == "" {
			return "", err
		}
		return v.nameOf(ctx, person)
	default:
		return v.nameOf(ctx, ref)
	}
}
