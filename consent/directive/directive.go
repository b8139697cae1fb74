// Package directive owns the ministry's orders: a Basic resource of the
// directive code becomes a Directive, and a Set of them says what is blocked.
// Directives stand above consent and above break-glass; the strictest of those
// in force holds. An order is one person's proposal until another agrees, and
// stands until two have agreed to lift it: the Record in the resource says who
// did what. It does not decide anything else about a caller, which is consent's,
// nor who may propose and agree, which is gate's.
package directive

import (
	"slices"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// Effect is what a directive orders. The zero value blocks everything.
type Effect uint8

// The effects of a directive, which are codes of consent.SystemDirective.
const (
	// BlockAll is what a directive whose effect cannot be read amounts to.
	BlockAll Effect = iota
	// BlockRead stops reading.
	BlockRead
	// BlockWrite stops contributing.
	BlockWrite
	// LimitTypes leaves the listed types alone readable.
	LimitTypes
	// LimitClasses leaves reading to the listed professions alone.
	LimitClasses
	// Destroy orders that what was collected be destroyed. It stops reading until
	// a certificate of it is accepted.
	Destroy
)

// Directive is one order. The zero value blocks every provider.
type Directive struct {
	// ID is the id of the Basic resource.
	ID string
	// Effects are what it orders; none is BlockAll.
	Effects []Effect
	// Targets are those whom it is about; none is every provider.
	Targets []Target
	// Types are those that LimitTypes leaves, and Classes the professions that
	// LimitClasses leaves.
	Types   []fhir.ResourceType
	Classes []fhir.Coding
	// Of are the types to which BlockRead and BlockWrite are confined; none for all.
	Of     []fhir.ResourceType
	Period consent.Period
	// Window is the time whose disclosures Destroy is about.
	Window consent.Period
	Record Record
}

// Target is whom a directive is about: who fits all that it names. The zero value
// is every provider.
type Target struct {
	// Who are references, such as "Organization/a".
	Who []string
	// Professions are codes of PractitionerRole.code.
	Professions []fhir.Coding
	// Place is where in the resource it is named.
	Place string
}

// Set is all directives on file.
type Set []Directive

// InForce reports whether the directive is in force at a moment.
func (d *Directive) InForce(now time.Time) bool {
	return d.Record.State == Active && d.Period.Contains(now)
}

// Blocks reports whether some directive in force stands against the caller.
// device is the id of the client's Device; empty when there is none. Patients'
// access to their own records, the regulator and the custodian are never
// blocked (DOSSIER §7.11).
func (s Set) Blocks(c *consent.Caller, device string, write bool, t fhir.ResourceType, now time.Time) bool {
	return s.some(c, device, now, func(d *Directive) bool { return d.blocks(c, write, t) })
}

// Shuts reports whether the directives in force leave the caller nothing to do:
// neither reading of any type, nor writing.
func (s Set) Shuts(c *consent.Caller, device string, now time.Time) bool {
	if c.Kind != consent.Practitioner && c.Kind != consent.System {
		return false
	}
	reading := c.Kind == consent.System || s.some(c, device, now, func(d *Directive) bool { return d.shuts(c, false) })
	return reading && s.some(c, device, now, func(d *Directive) bool { return d.shuts(c, true) })
}

// some reports whether a directive in force that is about the caller is one that
// is asked for.
func (s Set) some(c *consent.Caller, device string, now time.Time, asked func(*Directive) bool) bool {
	switch c.Kind {
	case consent.Patient, consent.Representative, consent.Regulator, consent.Custodian:
		return false
	case consent.Nobody, consent.Practitioner, consent.System:
	}
	for i := range s {
		if d := &s[i]; d.InForce(now) && d.targets(c, device) && asked(d) {
			return true
		}
	}
	return false
}

// blocks reports whether the directive stands against reading or writing a type;
// of none in particular, of any.
func (d *Directive) blocks(c *consent.Caller, write bool, t fhir.ResourceType) bool {
	of := len(d.Of) == 0 || t == "" || slices.Contains(d.Of, t)
	return d.stops(c, write, of, !slices.Contains(d.Types, t))
}

// shuts reports whether the directive leaves nothing to read, or to write.
func (d *Directive) shuts(c *consent.Caller, write bool) bool {
	return d.stops(c, write, len(d.Of) == 0, false)
}

// stops reports whether one of the effects stops the caller; none at all is
// BlockAll. A block reaches what is asked about if it is of it, and a limit if it
// leaves nothing of it.
func (d *Directive) stops(c *consent.Caller, write, of, leavesNone bool) bool {
	return len(d.Effects) == 0 || slices.ContainsFunc(d.Effects, func(e Effect) bool {
		switch e {
		case BlockRead:
			return !write && of
		case BlockWrite:
			return write && of
		case LimitTypes:
			return !write && leavesNone
		case LimitClasses:
			return !write && !shares(c.RoleCodes, d.Classes)
		case Destroy:
			return !write
		case BlockAll:
			return true
		default:
			return true
		}
	})
}

func shares(have, list []fhir.Coding) bool {
	return slices.ContainsFunc(have, func(c fhir.Coding) bool { return slices.Contains(list, c) })
}

// targets reports whether the directive is about the caller. One about an
// organisation is about its parts too.
func (d *Directive) targets(c *consent.Caller, device string) bool {
	return len(d.Targets) == 0 || slices.ContainsFunc(d.Targets, func(t Target) bool { return t.fits(c, device) })
}

// fits reports whether the caller is all that the target names.
func (t *Target) fits(c *consent.Caller, device string) bool {
	for _, ref := range t.Who {
		if !isWho(ref, c, device) {
			return false
		}
	}
	return len(t.Professions) == 0 || shares(c.RoleCodes, t.Professions)
}

// isWho reports whether a reference is to the caller, or cannot be read.
func isWho(ref string, c *consent.Caller, device string) bool {
	r := fhir.ParseReference(ref, "")
	switch r.Type {
	case "Organization":
		return c.PartOf(r.ID)
	case "Practitioner":
		return r.Local() == c.Practitioner
	case "PractitionerRole":
		return r.Local() == c.Role
	case "Device":
		return r.ID == device
	default:
		return true
	}
}

// Destroys is whom a direction to destroy is given to: the organisation, by its id,
// and the person or the client within it, if it is about one alone. ok is false of
// every other directive.
func (d *Directive) Destroys() (organization, within string, ok bool) {
	if !slices.Contains(d.Effects, Destroy) || len(d.Targets) != 1 || len(d.Targets[0].Professions) > 0 {
		return "", "", false
	}
	for _, who := range d.Targets[0].Who {
		switch r := fhir.ParseReference(who, ""); {
		case r.Type == "Organization" && organization == "":
			organization = r.ID
		case (r.Type == "Practitioner" || r.Type == "Device") && within == "":
			within = r.Local()
		default:
			return "", "", false
		}
	}
	return organization, within, organization != ""
}
