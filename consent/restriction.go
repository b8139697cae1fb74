package consent

import (
	"slices"
	"time"

	"vitrine/fhir"
)

// Effect is what a rule says. The zero value denies.
type Effect uint8

// The effects of R4 consent.provision.type.
const (
	Deny Effect = iota
	Permit
)

// Restriction is one Consent, compiled. The zero value denies what lies beyond
// the basic set to every provider, always.
type Restriction struct {
	// Version is the Consent version it was made of, such as
	// "Consent/c1/_history/2". It is an array so that a Decision can point at it.
	Version [1]string
	// Inert says that it concerns no access, or is not active.
	Inert bool
	// Malformed says that its meaning is in doubt.
	Malformed bool
	// Base is the effect where no rule applies.
	Base Effect
	// Period is when the Consent is in force.
	Period Period
	// Rules are the exceptions to Base.
	Rules []Rule
}

// Rule is an exception. All of its conditions must hold; a condition without
// values always does.
type Rule struct {
	// Place is where the rule stands in the Consent, such as
	// "Consent.provision.provision[0]". It decides nothing.
	Place  string
	Effect Effect
	// Actors confine the rule to callers.
	Actors []Actor
	Period Period
	// Purpose confines the rule to a purpose and those below it.
	Purpose Purpose
	// Types confine the rule to resource types.
	Types []fhir.ResourceType
	// Labels confine the rule to resources with one of the security labels,
	// "system|code".
	Labels []string
	// Except are exceptions to the rule, within it.
	Except []Rule
}

// Actor is whom a rule names: exactly one of the fields is set. The zero value
// is nobody.
type Actor struct {
	// Organization is an id; those that are part of it are meant too.
	Organization string
	// Practitioner is "Practitioner/x": that person, acting for whomever.
	Practitioner string
	// Role is "PractitionerRole/x": that person in that organisation.
	Role string
}

// Reference is the actor as a relative reference; empty for nobody.
func (a Actor) Reference() string {
	switch {
	case a.Organization != "":
		return "Organization/" + a.Organization
	case a.Practitioner != "":
		return a.Practitioner
	default:
		return a.Role
	}
}

// Names calls yield for every actor that the restriction names, with the effect
// of the rule that names it, until yield returns false. A deny whose actor does
// not resolve leaves in doubt what was to be hidden (DOSSIER §7.5): whoever can
// resolve actors marks such a restriction Malformed.
func (r *Restriction) Names(yield func(Actor, Effect) bool) { namesOf(r.Rules, yield) }

func namesOf(rules []Rule, yield func(Actor, Effect) bool) bool {
	for i := range rules {
		for _, a := range rules[i].Actors {
			if !yield(a, rules[i].Effect) {
				return false
			}
		}
		if !namesOf(rules[i].Except, yield) {
			return false
		}
	}
	return true
}

// inForce reports whether the restriction counts at the moment.
func (r *Restriction) inForce(now time.Time) bool {
	return !r.Inert && (r.Malformed || r.Period.Contains(now))
}

// singlesOut reports whether some rule is about types or labels.
func (r *Restriction) singlesOut() bool {
	return !r.Malformed && slices.ContainsFunc(r.Rules, singling)
}

func singling(u Rule) bool {
	return len(u.Types) > 0 || len(u.Labels) > 0 || slices.ContainsFunc(u.Except, singling)
}

// subject is what is asked about: nothing in particular, or a resource.
type subject struct {
	typ    fhir.ResourceType
	labels []string
}

// permits is the restriction's answer for the caller and the subject.
func (r *Restriction) permits(c *Caller, s subject, now time.Time) bool {
	if r.Malformed {
		return false
	}
	effect, _ := decideRules(r.Rules, c, s, now, r.Base)
	return effect == Permit
}

// Deciding is what the restriction says of a resource of the type, with the labels,
// for the caller, and the rule that says so: nil where none applies, so that Base
// holds. What is Malformed denies without a rule.
func (r *Restriction) Deciding(c *Caller, t fhir.ResourceType, labels []string, now time.Time) (Effect, *Rule) {
	if r.Malformed || c == nil {
		return Deny, nil
	}
	return decideRules(r.Rules, c, subject{t, labels}, now, r.Base)
}

// decideRules is the effect of the nearest rule that applies, or base when none
// does: who is named himself comes before his organisation, that before those
// it is part of, and those before everybody. At equal distance the stricter
// effect holds. by is the rule whose effect it is; nil for base.
func decideRules(rules []Rule, c *Caller, s subject, now time.Time, base Effect) (effect Effect, by *Rule) {
	effect, nearest := base, distanceNowhere
	for i := range rules {
		e, d, u := rules[i].decide(c, s, now)
		if d < nearest || (d == nearest && d < distanceNowhere && e == Deny) {
			effect, nearest, by = e, d, u
		}
	}
	return effect, by
}

// decide is the rule's effect, its exceptions considered, how near it is, and
// whether it or which exception says so; distanceNowhere when it does not apply.
func (u *Rule) decide(c *Caller, s subject, now time.Time) (effect Effect, d int, by *Rule) {
	if d = u.applies(c, s, now); d == distanceNowhere {
		return Deny, d, nil
	}
	effect, by = u.Effect, u
	for i := range u.Except {
		x := &u.Except[i]
		xd := x.applies(c, s, now)
		switch {
		case xd == distanceNowhere:
		case len(x.Actors) == 0: // narrows the rule itself, so it is no farther
			return x.Effect, d, x
		case xd < d || (xd == d && x.Effect == Deny):
			effect, d, by = x.Effect, xd, x
		}
	}
	return effect, d, by
}

// applies is how near the rule is to the caller when all its conditions hold.
func (u *Rule) applies(c *Caller, s subject, now time.Time) int {
	if !u.Period.Contains(now) ||
		(u.Purpose != PurposeNone && !u.Purpose.covers(c.Purpose)) ||
		(len(u.Types) > 0 && !slices.Contains(u.Types, s.typ)) ||
		(len(u.Labels) > 0 && !sharesLabel(u.Labels, s.labels)) {
		return distanceNowhere
	}
	if len(u.Actors) == 0 {
		return distanceAnyone
	}
	nearest := distanceNowhere
	for i := range u.Actors {
		nearest = min(nearest, u.Actors[i].distance(c, u.Effect))
	}
	return nearest
}

// distance is how near the actor is to the caller. In a broken lineage permits
// do not inherit and denies do (DOSSIER §7.5).
func (a *Actor) distance(c *Caller, e Effect) int {
	switch {
	case a.Organization != "":
		d := c.distance(a.Organization)
		if c.LineageBroken && e == Permit && d > distanceSelf {
			return distanceNowhere
		}
		return d
	case a.Practitioner != "" && a.Practitioner == c.Practitioner,
		a.Role != "" && a.Role == c.Role:
		return distancePerson
	default:
		return distanceNowhere
	}
}

func sharesLabel(want, have []string) bool {
	for _, l := range have {
		if slices.Contains(want, l) {
			return true
		}
	}
	return false
}
