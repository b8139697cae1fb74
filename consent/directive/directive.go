// Package directive owns the ministry's orders: a Basic resource of the
// directive code becomes a Directive, and a Set of them says what is blocked.
// Directives stand above consent and above break-glass. It does not decide
// anything else about a caller, which is consent's.
package directive

import (
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// Effect is what a directive orders. The zero value blocks everything.
type Effect uint8

// The effects of a directive.
const (
	// BlockAll is what a directive that cannot be read amounts to.
	BlockAll Effect = iota
	// BlockRead stops reading.
	BlockRead
	// BlockWrite stops contributing.
	BlockWrite
	// LimitTypes leaves the listed types alone readable.
	LimitTypes
)

// Directive is one order. The zero value blocks everybody.
type Directive struct {
	// ID is the id of the Basic resource.
	ID     string
	Effect Effect
	// Target is the reference of whom it is about, such as "Organization/a";
	// empty for everybody.
	Target string
	// Types are those that LimitTypes leaves.
	Types  []fhir.ResourceType
	Period consent.Period
	// Inert says that it was withdrawn.
	Inert bool
}

// Compile reads a directive. One that cannot be read comes back blocking, with
// the reason.
func Compile(t *fhir.Tape, base string) (Directive, error) { return Directive{}, nil }

// Set is all directives on file.
type Set []Directive

// Blocks reports whether some directive stands against the caller. device is
// the id of the client's Device; empty when there is none.
func (s Set) Blocks(c *consent.Caller, device string, write bool, t fhir.ResourceType, now time.Time) bool {
	return len(s) > 0
}
