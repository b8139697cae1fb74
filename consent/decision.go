package consent

import (
	"slices"
	"strings"
	"time"

	"vitrine/fhir"
)

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
	// rules are the patient's restrictions when one in force singles out types
	// or labels; nil when Level holds for the whole record.
	rules []Restriction
	// caller and at are what the rules are evaluated for.
	caller *Caller
	at     time.Time
}

// Edition says in which edition a resource of the type, with the labels, exists
// under this decision; zero when it does not. Labels are "system|code".
func (d Decision) Edition(t fhir.ResourceType, labels []string) Edition {
	if d.Level == Self {
		switch {
		case t == "AuditEvent":
			return EditionBasic
		case t == "Task" && slices.Contains(labels, LabelOversight):
			return 0
		default:
			return EditionFull
		}
	}
	if withheld(t) || slices.Contains(labels, LabelOversight) {
		return 0
	}
	level := d.levelOf(subject{t, labels})
	if level == Full {
		level = d.levelWithin(labels)
	}
	switch level {
	case Full:
		return EditionFull
	case Basic:
		if basicType(t) {
			return EditionBasic
		}
		return 0
	case None, Self:
		return 0
	default:
		return 0
	}
}

// Excludes reports that no resource of the type exists in the edition under
// this decision, whatever its labels, so that a walk may pass all of them by
// unread. When it does not, there may still be none.
func (d Decision) Excludes(t fhir.ResourceType, e Edition) bool {
	if d.Edition(t, nil) == e {
		return false
	}
	if d.Level == None || d.Level == Self || !slices.ContainsFunc(d.rules, labelling) {
		return d.rules == nil || e != EditionBasic || !basicType(t) // what is held within may take one to Basic
	}
	return withheld(t) || (e == EditionBasic && !basicType(t))
}

// labelling reports whether some rule of the restriction is about labels.
func labelling(r Restriction) bool { return slices.ContainsFunc(r.Rules, labelled) }

func labelled(u Rule) bool {
	return len(u.Labels) > 0 || slices.ContainsFunc(u.Except, labelled)
}

// levelOf is the level for one resource: what the restrictions say of its type
// and labels, and never below Basic.
func (d *Decision) levelOf(s subject) Level {
	if d.Level == None || d.rules == nil {
		return d.Level
	}
	if d.caller == nil {
		return Basic
	}
	return meet(d.rules, d.caller, s, d.at)
}

// withinPrefix starts the labels that Within makes.
const withinPrefix = Canon + "/CodeSystem/within|"

// Within is the label of a row that holds, or goes with, a resource of the type:
// what a rule says about the type concerns the row too.
func Within(t fhir.ResourceType) string { return withinPrefix + string(t) }

// levelWithin is Full unless what the labels say is held within is never a
// provider's, or the restrictions hide something of it.
func (d *Decision) levelWithin(labels []string) Level {
	for _, l := range labels {
		typ, ok := strings.CutPrefix(l, withinPrefix)
		if !ok {
			continue
		}
		t := fhir.ResourceType(typ)
		if withheld(t) || (d.rules != nil && d.levelOf(subject{t, labels}) != Full) {
			return Basic
		}
	}
	return Full
}

// withheld reports whether the type is kept from providers whatever the
// decision: what shows the patient's choices and who looked (ACCESS §3, §6).
func withheld(t fhir.ResourceType) bool { return t == "" || t == "Consent" || t == "AuditEvent" }

// basicType reports whether the type is of the basic set.
func basicType(t fhir.ResourceType) bool {
	return t == "Patient" || t == "AllergyIntolerance" || t == "Immunization"
}

// meet is Full when every restriction in force permits, and Basic otherwise.
func meet(rs []Restriction, c *Caller, s subject, now time.Time) Level {
	for i := range rs {
		if rs[i].inForce(now) && !rs[i].permits(c, s, now) {
			return Basic
		}
	}
	return Full
}
