package audit

import (
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
)

// Discloses reports whether by the access something of the patient's record went
// out to who asked. What somebody writes was their own before, $access tells nothing
// of the record, and providers are never shown who looked; what is not known here
// counts.
func (e *Event) Discloses() bool {
	if e.Kind != KindRest && e.Kind != KindAuditUse || e.denied() || e.Patient == "" || e.Level == consent.None {
		return false
	}
	if e.Kind == KindAuditUse && e.Agent.Kind.IsProvider() {
		return false
	}
	switch e.Action {
	case ActionCreate, ActionUpdate, ActionDelete:
		return false
	case ActionRead, ActionExecute:
	}
	return e.Interaction != "$access"
}

// DisclosedTo is the organisation to which something of the patient's record went
// out; ok is false when it went to the patient, to those who oversee or keep the
// record, or to nobody.
func (e *Event) DisclosedTo() (organization string, ok bool) {
	switch e.Agent.Kind {
	case consent.Practitioner, consent.System:
		return e.Agent.Organization, e.Agent.Organization != "" && e.Discloses()
	case consent.Nobody, consent.Patient, consent.Representative, consent.Regulator, consent.Custodian:
		return "", false
	default:
		return "", false
	}
}

// AppendDisclosures appends what the access disclosed, a line of JSON each, and
// returns how many they are: one for every version that was read, or one with the
// question, for the record has no results of searches (IHE BALP). A transaction's
// are all that it names.
func (e *Event) AppendDisclosures(dst []byte, id string) ([]byte, int) {
	if len(e.Entities) == 0 {
		line, _, _ := strings.Cut(e.Query, "\n")
		return e.appendDisclosure(dst, id, "query", line), 1
	}
	for _, ref := range e.Entities {
		dst = e.appendDisclosure(dst, id, "what", ref)
	}
	return dst, len(e.Entities)
}

func (e *Event) appendDisclosure(dst []byte, id, name, value string) []byte {
	w := writer{out: dst}
	w.out = append(w.out, '{') // it follows a line, not a value
	w.text("patient", "Patient/"+e.Patient)
	w.text(name, value)
	w.text("when", fhir.FormatInstant(e.Recorded))
	w.text("event", "AuditEvent/"+id)
	w.text("interaction", e.Interaction)
	w.text("view", e.Level.Code())
	w.text("organization", "Organization/"+e.Agent.Organization)
	for _, m := range [...]struct{ name, value string }{{"by", e.Agent.User}, {"person", e.Agent.Practitioner}, {"client", e.Agent.Client}, {"grant", e.Grant}} {
		if m.value != "" {
			w.text(m.name, m.value)
		}
	}
	return append(w.out, '}', '\n')
}
