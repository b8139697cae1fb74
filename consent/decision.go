package consent

import "vitrine/fhir"

// Decision is what one caller may see of one patient at one moment. The zero
// value denies.
type Decision struct {
	// Level is what the caller sees of a resource that no rule singles out.
	Level Level
	// Reason is the internal code of the rule that decided, for the audit
	// record alone, such as "no-relationship" or "restricted".
	Reason string
	// Grant is the id of the break-glass grant in force that lifted a
	// restriction; empty when none did.
	Grant string
	// Consents are the Consent versions that were in force.
	Consents []string
	// rules are the restrictions in force that single out types or labels.
	// nil when Level holds for the whole record.
	rules []Restriction
	// at is what the rules were evaluated for.
	caller *Caller
}

// Edition says in which edition a resource of the type, with the labels, exists
// under this decision; zero when it does not.
func (d Decision) Edition(t fhir.ResourceType, labels []string) Edition {
	panic("contract")
}
