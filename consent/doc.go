// Package consent owns the decision who may see what: callers and their
// purposes of use, the gates that depend on the caller alone, the levels, and
// how restrictions, registrations and break-glass grants come together in a
// Decision and in the Universe a store must stay in. It does not read FHIR
// resources, which its neighbours restriction, directive, relation and basic
// do; it does not fetch the facts or record anything, which is gate's.
//
// Everything here is a pure function of values: the clock is an argument.
package consent

import "vitrine/fhir/smart"

// Canon is the canonical base of the codes this server defines itself.
const Canon = smart.Canon

// The code systems and naming systems below Canon.
const (
	// SystemPurpose holds #EMPLOYMENT, #INSURANCE, #AUDIT and #STATEXAM.
	SystemPurpose = Canon + "/CodeSystem/nehr-purpose"
	// SystemView holds #none, #basic, #full and #self.
	SystemView = Canon + "/CodeSystem/nehr-view"
	// SystemEvent holds #break-glass-start, #break-glass-use, #break-glass-stop,
	// #denied, #onboarding, #directive and its steps, #review, #export, #notice, and the steps of
	// the authorization server that no other system has a code for.
	SystemEvent = Canon + "/CodeSystem/nehr-event"
	// SystemLabel holds #oversight.
	SystemLabel = Canon + "/CodeSystem/label"
	// SystemDirective holds #BLOCK_READ, #BLOCK_WRITE, #LIMIT_TYPES, #LIMIT_CLASSES
	// and #DESTROY.
	SystemDirective = Canon + "/CodeSystem/nehr-directive"
	// SystemClient names client ids in Device.identifier.
	SystemClient = smart.SystemClient
)

// LabelOversight marks the server's own oversight resources, such as the review
// of a break-glass grant. They exist for the regulator and the custodian, and never
// for a provider; for the patient all but the Tasks, in which reviewers write.
const LabelOversight = SystemLabel + "|oversight"

// LabelHearsay marks, in the row alone, an EpisodeOfCare, Encounter or Patient
// that one practitioner wrote last. It is part of the record, and registers
// nobody: otherwise whoever is curious about a patient could write that the
// patient is there (S11, S12). The organisation's own system or the custodian
// must say so.
const LabelHearsay = SystemLabel + "|hearsay"
