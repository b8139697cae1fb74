// Package relation owns the reading of the record for who cares for a patient:
// an EpisodeOfCare, an Encounter or a Patient becomes consent.Registrations; and
// for who acts for a patient: a RelatedPerson of the custodian becomes a
// consent.Delegate by the authority that its extension nehr-authority names
// (family, power-of-attorney, deputy or support-network), while it is active and
// its period lasts. It does not decide what a registration opens, which is consent's, and it does
// not look anything up, which is gate's.
package relation

import (
	"slices"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// DefaultGrace is how long a finished Encounter still counts.
const DefaultGrace = 30 * 24 * time.Hour

// Source is where a resource came from.
type Source struct {
	// Base is the FHIR base URL.
	Base string
	// Contributor is the id of the Organization that contributed it; empty for
	// the custodian.
	Contributor string
	// Ancestors lists the ids of the organisations that one is part of; nil
	// when none is known.
	Ancestors func(organization string) []string
}

// vouches reports whether the contributor may say that the organisation cares
// for somebody: for itself or for a part of it. Otherwise anyone could register
// anybody with anyone.
func (s *Source) vouches(organization string) bool {
	switch {
	case organization == "":
		return false
	case s.Contributor == "" || s.Contributor == organization:
		return true
	default:
		return s.Ancestors != nil && slices.Contains(s.Ancestors(organization), s.Contributor)
	}
}

// organization is the id of the Organization that the member of n refers to,
// when the source may speak for it.
func (s *Source) organization(t *fhir.Tape, n fhir.Node, member string) (id string, ok bool) {
	ref := fhir.ParseReference(t.Text(t.Field(t.Field(n, member), "reference")), s.Base)
	if ref.Form != fhir.RefLocal || ref.Type != "Organization" || !s.vouches(ref.ID) {
		return "", false
	}
	return ref.ID, true
}

// FromEpisode reads an EpisodeOfCare: the organisation that manages it cares
// for the patient while it is active.
func FromEpisode(t *fhir.Tape, s Source) (r consent.Registration, ok bool) {
	root := t.Root()
	if !readable(t, "EpisodeOfCare") || t.Text(t.Field(root, "status")) != "active" || flagged(t, root) {
		return consent.Registration{}, false
	}
	if r.Organization, ok = s.organization(t, root, "managingOrganization"); !ok {
		return consent.Registration{}, false
	}
	if r.Period, ok = consent.ReadPeriod(t, t.Field(root, "period")); !ok {
		return consent.Registration{}, false
	}
	return r, true
}

// FromEncounter reads an Encounter: the organisation that provides it cares for
// the patient from its planning until the grace period after its end is over.
func FromEncounter(t *fhir.Tape, s Source, grace time.Duration) (r consent.Registration, ok bool) {
	root := t.Root()
	if !readable(t, "Encounter") || flagged(t, root) {
		return consent.Registration{}, false
	}
	if r.Organization, ok = s.organization(t, root, "serviceProvider"); !ok {
		return consent.Registration{}, false
	}
	if r.Period, ok = consent.ReadPeriod(t, t.Field(root, "period")); !ok {
		return consent.Registration{}, false
	}
	switch t.Text(t.Field(root, "status")) {
	case "planned", "arrived", "triaged", "in-progress", "onleave":
		r.From = time.Time{} // who prepares a visit needs the record before it
	case "finished":
		if r.Until.IsZero() {
			return consent.Registration{}, false
		}
	default:
		return consent.Registration{}, false
	}
	if !r.Until.IsZero() {
		r.Until = r.Until.Add(grace)
	}
	return r, true
}

// FromPatient reads Patient.generalPractitioner. organizations resolves a
// Practitioner or PractitionerRole, given as "Practitioner/x", to the ids of
// the organisations they work for now; it may be nil.
func FromPatient(t *fhir.Tape, s Source, organizations func(ref string) []string) []consent.Registration {
	if !readable(t, "Patient") {
		return nil
	}
	var out []consent.Registration
	add := func(id string) {
		r := consent.Registration{Organization: id}
		if s.vouches(id) && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	for n := t.First(t.Field(t.Root(), "generalPractitioner")); n != fhir.None; n = t.Next(n) {
		ref := fhir.ParseReference(t.Text(t.Field(n, "reference")), s.Base)
		if ref.Form != fhir.RefLocal {
			continue
		}
		switch ref.Type {
		case "Organization":
			add(ref.ID)
		case "Practitioner", "PractitionerRole":
			if organizations == nil {
				continue
			}
			for _, id := range organizations(ref.Local()) {
				add(id)
			}
		}
	}
	return out
}

// readable reports whether the resource is of the type and nothing in it may
// change its meaning unseen.
func readable(t *fhir.Tape, want string) bool {
	root := t.Root()
	return t.Text(t.Field(root, "resourceType")) == want &&
		t.Field(root, "modifierExtension") == fhir.None &&
		t.Field(root, "implicitRules") == fhir.None
}
