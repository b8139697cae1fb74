package consent

import (
	"time"

	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// Kind is the capacity in which somebody calls. The zero value is nobody. Audit
// records keep the number.
type Kind uint8

// The callers of ACCESS §2.
const (
	// Nobody may do nothing.
	Nobody Kind = iota
	// Practitioner is a natural person acting for exactly one organisation.
	Practitioner
	// System is an organisation's back end with no person behind it.
	System
	// Patient is the subject of a record.
	Patient
	// Representative is someone the registry lets act for a patient.
	Representative
	// Regulator is the ministry's auditor.
	Regulator
	// Custodian is the repository's own jobs; never a person.
	Custodian
)

// ParseKind reads the word of a token (smart.KindPractitioner, …).
func ParseKind(s string) (k Kind, ok bool) {
	switch s {
	case smart.KindPractitioner:
		return Practitioner, true
	case smart.KindSystem:
		return System, true
	case smart.KindPatient:
		return Patient, true
	case smart.KindRepresentative:
		return Representative, true
	case smart.KindRegulator:
		return Regulator, true
	case smart.KindCustodian:
		return Custodian, true
	default:
		return Nobody, false
	}
}

// String is the word of a token for the kind.
func (k Kind) String() string {
	switch k {
	case Practitioner:
		return smart.KindPractitioner
	case System:
		return smart.KindSystem
	case Patient:
		return smart.KindPatient
	case Representative:
		return smart.KindRepresentative
	case Regulator:
		return smart.KindRegulator
	case Custodian:
		return smart.KindCustodian
	case Nobody:
		return "nobody"
	default:
		return "nobody"
	}
}

// IsProvider reports whether somebody of the kind acts for an organisation that cares
// for patients.
func (k Kind) IsProvider() bool { return k == Practitioner || k == System }

// Caller is who asks, in which capacity and what for: the token's word, then
// what the directory says of it. The zero value may do nothing.
type Caller struct {
	Kind Kind
	// Issuer, Subject, Client and TokenID are iss, sub, client_id and jti.
	Issuer, Subject, Client, TokenID string
	// Grant names the authorization that the token was issued under; empty for none.
	Grant string
	// ByHand says that the operator made the token, and vouches for its client.
	ByHand bool
	// User is fhirUser: "PractitionerRole/x", "Practitioner/x", "Patient/p" or
	// "RelatedPerson/r"; empty for a system.
	User string
	// Practitioner and Role are the person and the role behind User, resolved
	// against the directory: "Practitioner/x" and "PractitionerRole/y".
	Practitioner, Role string
	// RoleCodes are PractitionerRole.code of Role.
	RoleCodes []fhir.Coding
	// Organization is the id of the one organisation acted for.
	Organization string
	// Lineage are the ids of that organisation and of those it is part of,
	// nearest first, with every id that was met when LineageBroken.
	Lineage []string
	// LineageBroken says that the chain of partOf has a cycle, a dangling or
	// inactive ancestor, or no end within the depth followed.
	LineageBroken bool
	// Patient is the id of one's own record for a patient, and of the launch
	// patient for everybody else.
	Patient string
	// Confined says that none but a patient/ scope covers the request: no other
	// patient than Patient exists then. Policy.Admit tells.
	Confined bool
	Purpose  Purpose
	Scopes   smart.Scopes
	ACR      string
	AuthTime time.Time
}

// Distances to an actor. The person is nearer than the organisation, and a rule
// that names nobody is farther than any.
const (
	distancePerson  = -1
	distanceSelf    = 0
	distanceAnyone  = 1 << 20
	distanceNowhere = 1 << 21
)

// distance is how far up the organisation's own chain the id stands.
func (c *Caller) distance(organization string) int {
	if organization == "" || c.Organization == "" {
		return distanceNowhere
	}
	if organization == c.Organization {
		return distanceSelf
	}
	for i, id := range c.Lineage {
		if id == organization {
			return max(i, distanceSelf+1)
		}
	}
	return distanceNowhere
}

// PartOf reports whether the caller acts for the organisation or for a part of
// it, however broken the lineage: what it answers is for prohibitions.
func (c *Caller) PartOf(organization string) bool {
	return c.distance(organization) < distanceNowhere
}
