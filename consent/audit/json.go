package audit

import (
	"strconv"

	"vitrine/consent"
	"vitrine/fhir"
)

// AppendJSON appends the event as an AuditEvent in one of its editions. The
// full one has the shape of IHE BALP and is the regulator's; the basic one is
// what the patient may read (DOSSIER §3.5): when, which organisation, in which
// role, what for, whether the glass was broken, and what view it gave. The same
// event always gives the same bytes.
func (e *Event) AppendJSON(dst []byte, id string, edition consent.Edition) []byte {
	w := writer{out: dst}
	w.out = append(w.out, `{"resourceType":"AuditEvent","id":`...)
	w.out = fhir.AppendString(w.out, id)
	w.meta(e, edition)
	typ, subtypes := e.subtypes()
	w.name("type")
	w.coding(typ)
	w.name("subtype")
	w.codingList(subtypes)
	if e.Action != 0 {
		w.text("action", string(rune(e.Action)))
	}
	if e.Kind == KindBreakGlassStop {
		w.period(&e.Glass)
	}
	w.name("recorded")
	w.out = append(fhir.AppendInstant(append(w.out, '"'), e.Recorded), '"')
	w.text("outcome", strconv.Itoa(int(e.Outcome)))
	if edition == consent.EditionFull && e.Reason != "" {
		w.text("outcomeDesc", e.Reason)
	}
	if p := e.purpose(); p.Code != "" {
		w.name("purposeOfEvent")
		w.concepts([]fhir.Coding{p})
	}
	if edition == consent.EditionFull {
		w.agents(e)
	} else {
		w.plainAgents(e)
	}
	w.source(e)
	w.entities(e, edition)
	return append(w.out, '}')
}

// meta carries the only version there will ever be.
func (w *writer) meta(e *Event, edition consent.Edition) {
	version := "1"
	if edition != consent.EditionFull {
		version = "b1"
	}
	w.name("meta")
	w.open('{')
	w.text("versionId", version)
	w.name("lastUpdated")
	w.out = append(fhir.AppendInstant(append(w.out, '"'), e.Recorded), '"')
	if edition == consent.EditionFull {
		w.profiles(e.profiles())
	}
	w.shut('}')
}

func (w *writer) profiles(claimed []string) {
	if len(claimed) == 0 {
		return
	}
	w.name("profile")
	w.open('[')
	for _, name := range claimed {
		w.out = append(append(append(append(w.comma(), '"'), profileBase...), name...), '"')
	}
	w.shut(']')
}

func (w *writer) source(e *Event) {
	w.name("source")
	w.open('{')
	if e.Site != "" {
		w.text("site", e.Site)
	}
	w.name("observer")
	w.reference("", "", orUnknown(e.Observer))
	w.name("type")
	w.codingList([]fhir.Coding{{System: systemSourceType, Code: "4"}})
	w.shut('}')
}

// orUnknown keeps a required identifier from being empty.
func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
