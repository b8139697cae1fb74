package consent

import "time"

// The internal reasons of a Decision. They are for the audit record alone.
const (
	ReasonAbsent         = "absent"
	ReasonKind           = "kind-not-reading"
	ReasonPurpose        = "purpose-not-allowed"
	ReasonOtherPatient   = "other-patient"
	ReasonNotOwn         = "not-own-record"
	ReasonNotAuthorised  = "not-authorised"
	ReasonNoRelationship = "no-relationship"
	ReasonUnreadable     = "consent-unreadable"
	ReasonMalformed      = "consent-malformed"
	ReasonRestricted     = "restricted"
	ReasonPermitted      = "permitted"
	ReasonUnrestricted   = "unrestricted"
	ReasonBreakGlass     = "break-glass"
	ReasonSelf           = "own-record"
	ReasonRepresentative = "representative"
)

// Decide says what the caller may see of the patient the facts are about, after
// the gates that depend on the caller alone have been passed (DOSSIER §7.12).
// It keeps c and f.Restrictions in the Decision: neither may change afterwards.
func Decide(p Policy, c *Caller, f *Facts, now time.Time) Decision {
	if c == nil || f == nil || f.Patient == "" || !f.Exists {
		return Decision{Reason: ReasonAbsent}
	}
	if !c.Purpose.AllowedFor(c.Kind) {
		return Decision{Reason: ReasonPurpose}
	}
	if c.Confined && c.Patient != f.Patient {
		return Decision{Reason: ReasonOtherPatient}
	}
	switch c.Kind {
	case Patient:
		if c.Patient != f.Patient {
			return Decision{Reason: ReasonNotOwn}
		}
		return Decision{Level: Self, Reason: ReasonSelf}
	case Representative:
		return decideRepresentative(c, f)
	case Practitioner:
		return decideCare(p, c, f, now)
	case Nobody, System, Regulator, Custodian:
		return Decision{Reason: ReasonKind}
	default:
		return Decision{Reason: ReasonKind}
	}
}

func decideRepresentative(c *Caller, f *Facts) Decision {
	if c.Patient != "" && c.Patient != f.Patient {
		return Decision{Reason: ReasonOtherPatient}
	}
	for _, r := range f.Representatives {
		if r.acts(c) {
			return Decision{Level: Self, Reason: ReasonRepresentative}
		}
	}
	return Decision{Reason: ReasonNotAuthorised}
}

// decideCare is the provider's way: registration, consent, grant.
func decideCare(p Policy, c *Caller, f *Facts, now time.Time) Decision {
	if c.Organization == "" || (!p.RelationWaived && !registered(c, f.Registrations, now)) {
		return Decision{Reason: ReasonNoRelationship}
	}
	d := decideConsent(c, f, now)
	if d.Level == Full && d.rules == nil {
		return d
	}
	for i := range f.Grants {
		if g := &f.Grants[i]; g.opens(c, f.Patient, now) {
			d.Level, d.Reason, d.Grant, d.rules = Full, ReasonBreakGlass, g.ID, nil
			break
		}
	}
	return d
}

// registered reports whether the caller's organisation cares for the patient. A
// part shares the registrations of what it is part of, never the other way.
func registered(c *Caller, rs []Registration, now time.Time) bool {
	for i := range rs {
		d := c.distance(rs[i].Organization)
		if d == distanceNowhere || (d > distanceSelf && c.LineageBroken) {
			continue
		}
		if rs[i].Contains(now) {
			return true
		}
	}
	return false
}

// decideConsent is the intersection of what every restriction in force says.
func decideConsent(c *Caller, f *Facts, now time.Time) Decision {
	d := Decision{Level: Full, Reason: ReasonUnrestricted, caller: c, at: now}
	if f.Unreadable {
		d.Level, d.Reason = Basic, ReasonUnreadable
		return d
	}
	malformed, single := false, false
	for i := range f.Restrictions {
		r := &f.Restrictions[i]
		if !r.inForce(now) {
			continue
		}
		d.Consents = appendVersion(d.Consents, r)
		malformed = malformed || r.Malformed
		single = single || r.singlesOut()
		if d.Level == Full {
			d.Reason = ReasonPermitted
		}
		if !r.permits(c, subject{}, now) {
			d.Level, d.Reason = Basic, ReasonRestricted
		}
	}
	switch {
	case malformed:
		d.Level, d.Reason = Basic, ReasonMalformed
	case single:
		d.rules = f.Restrictions
	}
	return d
}

// appendVersion points at the version of the only restriction, which allocates
// nothing; only imported records have several in force.
func appendVersion(versions []string, r *Restriction) []string {
	if versions == nil {
		return r.Version[:1:1]
	}
	return append(versions, r.Version[0])
}
