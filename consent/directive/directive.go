// Package directive owns the ministry's orders: a Basic resource of the
// directive code becomes a Directive, and a Set of them says what is blocked.
// Directives stand above consent and above break-glass; the strictest of those
// in force holds. It does not decide anything else about a caller, which is
// consent's.
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
)

// Directive is one order. The zero value blocks every provider.
type Directive struct {
	// ID is the id of the Basic resource.
	ID string
	// Effects are what it orders; none is BlockAll.
	Effects []Effect
	// Targets are the references of whom it is about, such as
	// "Organization/a"; none is every provider.
	Targets []string
	// Types are those that LimitTypes leaves.
	Types  []fhir.ResourceType
	Period consent.Period
}

// Set is all directives on file.
type Set []Directive

// Blocks reports whether some directive in force stands against the caller.
// device is the id of the client's Device; empty when there is none. Patients'
// access to their own records, the regulator and the custodian are never
// blocked (DOSSIER §7.11).
func (s Set) Blocks(c *consent.Caller, device string, write bool, t fhir.ResourceType, now time.Time) bool {
	switch c.Kind {
	case consent.Patient, consent.Representative, consent.Regulator, consent.Custodian:
		return false
	case consent.Nobody, consent.Practitioner, consent.System:
	}
	for i := range s {
		d := &s[i]
		if d.Period.Contains(now) && d.targets(c, device) && d.blocks(write, t) {
			return true
		}
	}
	return false
}

// Shuts reports whether the directives in force leave the caller nothing to do:
// neither reading of any type, nor writing.
func (s Set) Shuts(c *consent.Caller, device string, now time.Time) bool {
	if c.Kind != consent.Practitioner && c.Kind != consent.System {
		return false
	}
	reading, writing := c.Kind == consent.System, false
	for i := range s {
		d := &s[i]
		if !d.Period.Contains(now) || !d.targets(c, device) {
			continue
		}
		reading = reading || d.blocks(false, "") && !slices.Contains(d.Effects, LimitTypes)
		writing = writing || d.blocks(true, "")
	}
	return reading && writing
}

func (d *Directive) blocks(write bool, t fhir.ResourceType) bool {
	if len(d.Effects) == 0 {
		return true
	}
	return slices.ContainsFunc(d.Effects, func(e Effect) bool {
		switch e {
		case BlockRead:
			return !write
		case BlockWrite:
			return write
		case LimitTypes:
			return !write && !slices.Contains(d.Types, t)
		case BlockAll:
			return true
		default:
			return true
		}
	})
}

// targets reports whether the directive is about the caller. One about an
// organisation is about its parts too.
func (d *Directive) targets(c *consent.Caller, device string) bool {
	if len(d.Targets) == 0 {
		return true
	}
	return slices.ContainsFunc(d.Targets, func(ref string) bool {
		if ref == "" {
			return true
		}
		r := fhir.ParseReference(ref, "")
		switch r.Type {
		case "Organization":
			return c.PartOf(r.ID)
		case "Practitioner":
			return ref == c.Practitioner
		case "PractitionerRole":
			return ref == c.Role
		case "Device":
			return r.ID == device
		default:
			return true
		}
	})
}
