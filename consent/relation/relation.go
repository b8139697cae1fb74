// Package relation owns the reading of the record for who cares for a patient:
// an EpisodeOfCare, an Encounter or a Patient becomes consent.Registrations. It
// does not decide what a registration opens, which is consent's.
package relation

import (
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
	// Ancestors lists the ids of the organisations that one is part of, itself
	// first.
	Ancestors func(organization string) []string
}

// FromEpisode reads an EpisodeOfCare.
func FromEpisode(t *fhir.Tape, s Source) (r consent.Registration, ok bool) { return r, false }

// FromEncounter reads an Encounter.
func FromEncounter(t *fhir.Tape, s Source, grace time.Duration) (r consent.Registration, ok bool) {
	return r, false
}

// FromPatient reads Patient.generalPractitioner. organizations resolves a
// Practitioner or PractitionerRole, given as "Practitioner/x", to the ids of the
// organisations they work for now.
func FromPatient(t *fhir.Tape, s Source, organizations func(ref string) []string) []consent.Registration {
	return nil
}
