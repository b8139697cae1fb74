package consent

import (
	"time"

	"vitrine/fhir"
)

// Policy is what a deployment chooses. The zero value is the strict one.
type Policy struct {
	// RelationWaived turns the registration gate off, for deployments whose
	// record systems enforce it themselves.
	RelationWaived bool
	// ClientsListed demands a Device on file for the clients of tokens made by hand
	// too. All others must be registered.
	ClientsListed bool
	// Roles are the role codes that may read; nil means doctors, nurses and
	// those beside them (roles.go).
	Roles []fhir.Coding
	// EmergencyRoles are the role codes that may make an emergency registration
	// when breaking the glass; nil means those of emergency departments and
	// ambulances (roles.go).
	EmergencyRoles []fhir.Coding
}

// Facts are what is on file about one patient and bears on who may see the
// record. The zero value is a patient who is not there.
type Facts struct {
	// Patient is the patient's id.
	Patient string
	// Exists says that the patient is on file.
	Exists bool
	// Restrictions are those of every Consent of the patient, whether in force
	// or not.
	Restrictions []Restriction
	// Unreadable says that the Consents could not be looked up.
	Unreadable bool
	// Registrations say which organisations care for the patient.
	Registrations []Registration
	// Grants are the break-glass grants for the patient.
	Grants []Grant
	// Representatives may act for the patient now.
	Representatives []Delegate
}

// Registration says that an organisation cares for a patient.
type Registration struct {
	// Organization is the id of the organisation.
	Organization string
	Period
}

// Grant is a break-glass grant: one patient, one person, one organisation, one
// client. The zero value grants nothing.
type Grant struct {
	// ID is the URN of the grant.
	ID string
	// Patient is the id of the patient.
	Patient string
	// User is the person, "Practitioner/x".
	User string
	// Organization is an id.
	Organization string
	// Client is client_id.
	Client string
	// From belongs to the grant, Until does not. A grant without an end is none.
	From, Until time.Time
}

// opens reports whether the grant is in force for the caller and the patient.
func (g *Grant) opens(c *Caller, patient string, now time.Time) bool {
	return g.ID != "" && g.Patient != "" && g.Patient == patient &&
		g.User != "" && g.User == c.Practitioner &&
		g.Organization != "" && g.Organization == c.Organization &&
		g.Client != "" && g.Client == c.Client &&
		!now.Before(g.From) && now.Before(g.Until)
}
