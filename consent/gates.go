package consent

import (
	"slices"
	"time"

	"vitrine/fhir"
)

// Refusal is a reason to turn a caller away before any patient is looked at, in
// the words of the closed catalogue (DOSSIER §7.9).
type Refusal string

// The refusals. Each is answered with 403.
const (
	RefusedClient  Refusal = "forbidden-client"
	RefusedBlocked Refusal = "blocked"
	RefusedScope   Refusal = "forbidden-scope"
	RefusedRole    Refusal = "forbidden-role"
	RefusedPurpose Refusal = "forbidden-purpose"
	// RefusedPerson and RefusedOverseer are RefusedRole, said to the regulator in
	// words that help.
	RefusedPerson   Refusal = "forbidden-person"
	RefusedOverseer Refusal = "forbidden-overseer"
)

// Role is what the directory says of the PractitionerRole a practitioner acts
// in. The zero value is no role.
type Role struct {
	// Active is PractitionerRole.active and Practitioner.active, absent
	// counting as true.
	Active bool
	Period Period
	// Organization is the id of the role's organisation.
	Organization string
	// Practitioner is "Practitioner/x".
	Practitioner string
	// Codes are PractitionerRole.code.
	Codes []fhir.Coding
}

// Standing is what the directory and the directives say of a caller now. The
// zero value is turned away.
type Standing struct {
	Client Client
	// ClientOrganization is the id of the organisation that the client is bound to;
	// empty for none. ClientMay is what the client was registered for.
	ClientOrganization string
	ClientMay          Capabilities
	// OrganizationActive says that the organisation is on file and onboarded, and
	// OrganizationMay what for.
	OrganizationActive bool
	OrganizationMay    Capabilities
	// Blocked says that a directive stands against the request.
	Blocked bool
	// Role is needed for practitioners alone.
	Role Role
}

// Ask is what a request does, as far as the caller-dependent gates go.
type Ask struct {
	// Letter is the SMART scope letter.
	Letter byte
	// Type is the resource type addressed.
	Type fhir.ResourceType
	// Write says that the request may change what is stored.
	Write bool
	// Open is how scopes open the type where queries narrow some of them; nil for
	// as Scopes.Allows has it.
	Open *Opening
}

// Opening is how scopes open a type to a request; the zero value is not at all.
type Opening struct {
	OK bool
	// Confined says that none but patient/ scopes do.
	Confined bool
}

// Verdict is the outcome of the gates that depend on the caller alone. The zero
// value is a refusal without a name.
type Verdict struct {
	// Admitted says that the request may go on to be decided for each patient.
	Admitted bool
	// Confined is what Caller.Confined must be for this request.
	Confined bool
	// Refusal is the public code, Reason the internal one for the audit record.
	Refusal Refusal
	Reason  string
}

func refuse(r Refusal, reason string) Verdict { return Verdict{Refusal: r, Reason: reason} }

// Admit puts the gates in their order: client and organisation, directives,
// scope, role, purpose (ACCESS §3).
func (p Policy) Admit(c *Caller, s *Standing, ask Ask, now time.Time) Verdict {
	if c == nil || s == nil {
		return refuse(RefusedClient, "unknown-caller")
	}
	if v := p.onboarded(c, s, ask); !v.Admitted {
		return v
	}
	if s.Blocked {
		return refuse(RefusedBlocked, "directive")
	}
	ok, confined := c.Scopes.Allows(ask.Letter, ask.Type)
	if ask.Open != nil {
		ok, confined = ask.Open.OK, ask.Open.Confined
	}
	if !ok {
		return refuse(RefusedScope, "scope")
	}
	if v := p.inRole(c, &s.Role, ask, now); !v.Admitted {
		return v
	}
	if v := purposed(c); !v.Admitted {
		return v
	}
	return Verdict{Admitted: true, Confined: confined}
}

// purposed is gate G5: a purpose on the allow-list of the kind of caller.
func purposed(c *Caller) Verdict {
	switch {
	case c.Purpose.Excluded():
		return refuse(RefusedPurpose, "purpose-excluded")
	case !c.Purpose.AllowedFor(c.Kind):
		return refuse(RefusedPurpose, "purpose-not-allowed")
	default:
		return Verdict{Admitted: true}
	}
}

// inRole is gate G4: a natural person in an active role of the token's own
// organisation, with a code that takes part in care. A system may contribute
// and never reads.
func (p Policy) inRole(c *Caller, r *Role, ask Ask, now time.Time) Verdict {
	switch c.Kind {
	case Practitioner:
		return p.practises(c, r, now)
	case System:
		if !ask.Write {
			return refuse(RefusedRole, "system-reading")
		}
	case Patient:
		if c.Patient == "" {
			return refuse(RefusedRole, "patient-missing")
		}
	case Representative:
		if c.User == "" {
			return refuse(RefusedRole, "user-missing")
		}
	case Regulator, Custodian:
	case Nobody:
		return refuse(RefusedRole, "unknown-caller")
	default:
		return refuse(RefusedRole, "unknown-caller")
	}
	return Verdict{Admitted: true}
}

// Practises reports whether somebody may take part in care in the role now.
func (p Policy) Practises(r *Role, now time.Time) bool {
	return r.Organization != "" && r.Practitioner != "" && r.Active && r.Period.Contains(now) && p.Eligible(r.Codes)
}

func (p Policy) practises(c *Caller, r *Role, now time.Time) Verdict {
	switch {
	case r.Organization == "" || r.Practitioner == "":
		return refuse(RefusedRole, "role-missing")
	case r.Organization != c.Organization:
		return refuse(RefusedRole, "role-elsewhere")
	case r.Practitioner != c.Practitioner:
		return refuse(RefusedRole, "role-of-another")
	case !r.Active:
		return refuse(RefusedRole, "role-inactive")
	case !r.Period.Contains(now):
		return refuse(RefusedRole, "role-ended")
	case !p.Eligible(r.Codes):
		return refuse(RefusedRole, "role-not-eligible")
	default:
		return Verdict{Admitted: true}
	}
}

// Eligible reports whether one of the role codes takes part in care.
func (p Policy) Eligible(codes []fhir.Coding) bool {
	list := p.Roles
	if list == nil {
		list = defaultRoles[:]
	}
	return shareCoding(codes, list)
}

// EmergencyEligible reports whether one of the role codes may make an emergency
// registration when breaking the glass.
func (p Policy) EmergencyEligible(codes []fhir.Coding) bool {
	list := p.EmergencyRoles
	if list == nil {
		list = defaultEmergencyRoles[:]
	}
	return shareCoding(codes, list)
}

func shareCoding(have, list []fhir.Coding) bool {
	return slices.ContainsFunc(have, func(c fhir.Coding) bool {
		return c.Code != "" && slices.Contains(list, c)
	})
}
