package gate

import (
	"context"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// decide is the consent.Decider of the visit.
func (v *visit) decide(ctx context.Context, patient string) (consent.Decision, error) {
	f, err := v.facts(ctx, patient)
	if err != nil {
		return consent.Decision{}, err
	}
	return consent.Decide(v.g.cfg.Policy, &v.caller, f, v.now), nil
}

// anyShared admits the directory and the definitions: they say nothing about
// patients.
func anyShared(fhir.ResourceType) bool { return true }

// instance is the universe for what is addressed by its id: each patient who
// owns it is decided.
func (v *visit) instance(ctx context.Context) (*consent.Universe, error) {
	if v.caller.Kind == consent.Practitioner {
		return v.parted(consent.OfAnyPatient(anyShared, v.decide).Where(provided)), nil
	}
	return v.universe(ctx, nil)
}

// universe is what exists for the caller, for a search that the patients pin;
// nil when they do not pin it.
func (v *visit) universe(ctx context.Context, patients []string) (*consent.Universe, error) {
	u, err := v.whole(ctx, patients)
	if err != nil {
		return nil, err
	}
	return v.parted(u), nil
}

// whole is the universe with all of every type.
func (v *visit) whole(ctx context.Context, patients []string) (*consent.Universe, error) {
	switch v.caller.Kind {
	case consent.Custodian:
		return consent.Everything(), nil
	case consent.Regulator:
		return consent.Everything().Where(overseen), nil
	case consent.Patient:
		return consent.OfPatients([]string{v.caller.Patient}, anyShared, v.decide), nil
	case consent.Representative:
		return v.represented(ctx)
	case consent.Practitioner:
		u, err := v.cared(ctx, patients)
		if err != nil {
			return nil, err
		}
		return u.Where(provided), nil
	case consent.Nobody, consent.System:
		return &consent.Universe{}, nil
	default:
		return &consent.Universe{}, nil
	}
}

// overseen holds for what the regulator may see: the record of access, the
// server's own oversight, the directory. Never a clinical row.
func overseen(r consent.Row) bool {
	if r.Type == "AuditEvent" || r.Home == consent.HomeShared {
		return true
	}
	for _, l := range r.Labels {
		if l == consent.LabelOversight {
			return true
		}
	}
	return false
}

// provided keeps from providers, once more, what no decision gives them: whom a
// patient chose, and who looked (ACCESS §3, §6); and of which lists of people a
// patient is on (DOSSIER §7.10).
func provided(r consent.Row) bool {
	return r.Type != "Consent" && r.Type != "AuditEvent" && r.Type != "Group"
}

// represented is the record of the patient someone acts for: the one chosen at
// launch, or the one the registry names.
func (v *visit) represented(ctx context.Context) (*consent.Universe, error) {
	patients := []string{v.caller.Patient}
	if v.caller.Patient == "" {
		patients = nil
		id := strings.TrimPrefix(v.caller.User, "RelatedPerson/")
		if _, err := v.read(ctx, "RelatedPerson", id, func(f store.Found, _ *fhir.Tape) error {
			patients = append(patients, f.Patients...)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return consent.OfPatients(patients, anyShared, v.decide), nil
}

// cared is the universe of a provider: the patients named, or those his
// organisation may care for.
func (v *visit) cared(ctx context.Context, patients []string) (*consent.Universe, error) {
	switch {
	case patients != nil:
		return consent.OfPatients(patients, anyShared, v.decide), nil
	case v.caller.Confined:
		return consent.OfPatients([]string{v.caller.Patient}, anyShared, v.decide), nil
	case v.g.cfg.Policy.RelationWaived:
		return consent.OfAnyPatient(anyShared, v.decide), nil
	}
	var links []search.Match
	for i, id := range v.caller.Lineage {
		if i > 0 && v.caller.LineageBroken {
			break
		}
		of, err := v.linksOf(ctx, id)
		if err != nil {
			return nil, err
		}
		links = append(links, of...)
	}
	return consent.OfCandidates(links, anyShared, v.decide), nil
}

// linksOf are the matches by which a patient may be registered with an
// organisation: whatever consent/relation counts matches one of them.
func (v *view) linksOf(ctx context.Context, organization string) ([]search.Match, error) {
	if kept, ok := v.g.registrars.get(organization, v.snap, v.now); ok {
		return kept, nil
	}
	var b basis
	b.on(v.snap, keyDirectory)
	ref := "Organization/" + organization
	links := v.g.refers("EpisodeOfCare", "organization", ref).Any
	links = append(links, v.g.refers("Encounter", "service-provider", ref).Any...)
	doctors := []string{ref}
	roles := []search.Clause{v.g.refers("PractitionerRole", "organization", ref)}
	err := v.each(ctx, "PractitionerRole", roles, func(f store.Found, t *fhir.Tape) error {
		if f.Contributor != "" {
			return nil // as workplaces has it
		}
		doctors = append(doctors, "PractitionerRole/"+f.ID)
		if p := v.g.reference(t, t.Field(t.Root(), "practitioner")); p.Type == "Practitioner" {
			doctors = append(doctors, p.Local())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	links = append(links, v.g.refers("Patient", "general-practitioner", doctors...).Any...)
	v.g.registrars.put(organization, links, b)
	return links, nil
}
