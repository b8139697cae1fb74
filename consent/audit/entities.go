package audit

import (
	"encoding/base64"
	"strconv"
	"strings"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// entities are what the access was about.
func (w *writer) entities(e *Event, edition consent.Edition) {
	full := edition == consent.EditionFull
	if e.Patient == "" && !full {
		return
	}
	mark := len(w.out)
	w.name("entity")
	w.open('[')
	empty := len(w.out)
	if e.Patient != "" {
		w.patient(e, full)
	}
	if full {
		w.more(e)
	}
	if len(w.out) == empty {
		w.out = w.out[:mark]
		return
	}
	w.shut(']')
}

func (w *writer) patient(e *Event, full bool) {
	w.open('{')
	w.name("what")
	w.reference("Patient/"+e.Patient, "", "")
	w.kind("1", "1")
	if full && e.BasicSet != "" {
		w.details(detail{"basic-set", e.BasicSet})
	}
	w.shut('}')
}

// more are the entities beside the patient. The profiles of a decision and of a
// token that is issued allow none but theirs.
func (w *writer) more(e *Event) {
	switch {
	case e.Kind == KindDecision:
		w.consents(e)
		w.token(e.Agent.TokenID)
	case e.issues():
		w.query(e.Query+"\nX-Request-Id: "+e.RequestID, false)
	default:
		w.data(e)
		w.query(e.Query, e.interacts())
		w.consents(e)
		w.glass(e)
		w.transaction(e.RequestID)
	}
}

// data are the resources read or written.
func (w *writer) data(e *Event) {
	for _, ref := range e.Entities {
		w.open('{')
		w.name("what")
		w.reference(ref, "", "")
		w.kind("2", "4")
		if len(e.Labels) > 0 {
			w.name("securityLabel")
			w.codingList(e.Labels)
		}
		if e.Before != "" {
			w.details(detail{"before", e.Before})
		}
		w.shut('}')
	}
}

// query is the request as it was sent, and what of its first line can be read by
// people; the invariant sev-1 allows no name with it.
func (w *writer) query(request string, described bool) {
	if request == "" {
		return
	}
	w.open('{')
	w.kind("2", "24")
	if line := cleaned(request); described && line != "" {
		w.text("description", line)
	}
	w.name("query")
	w.out = append(w.out, '"')
	w.out = base64.StdEncoding.AppendEncode(w.out, []byte(request))
	w.out = append(w.out, '"')
	w.shut('}')
}

// cleaned is the request line without anything that is no printable ASCII, which
// a well-formed one does not have.
func cleaned(request string) string {
	line, _, _ := strings.Cut(request, "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, line))
}

// issues reports whether the event is of a token that was issued, and has nothing
// to say for which its profile leaves no place: that of a patient or of an
// organisation must be found by these.
func (e *Event) issues() bool {
	return e.Kind == KindAuthentication && e.Interaction == smart.EventToken && !e.denied() &&
		e.Patient == "" && e.Agent.Organization == "" && e.Query != ""
}

// token is the token with which somebody asked.
func (w *writer) token(id string) {
	if id == "" {
		return
	}
	w.open('{')
	w.name("what")
	w.reference("", "", jtiPrefix+id)
	w.name("type")
	w.coding(oauthAgent())
	w.shut('}')
}

// consents are the Consent versions that decided.
func (w *writer) consents(e *Event) {
	for _, ref := range e.Consents {
		w.open('{')
		w.name("what")
		w.reference(ref, "", "")
		w.name("type")
		w.coding(fhir.Coding{System: systemResourceType, Code: "Consent"})
		w.name("role")
		w.coding(fhir.Coding{System: systemObjectRole, Code: "13"})
		w.shut('}')
	}
}

// glass is the grant that was started or stopped.
func (w *writer) glass(e *Event) {
	if e.Kind != KindBreakGlassStart && e.Kind != KindBreakGlassStop {
		return
	}
	g := &e.Glass
	list := make([]detail, 0, 5)
	for _, d := range []detail{{"reason", g.Reason}, {"threat", g.Threat}, {"justification", g.Justification}} {
		if d.value != "" {
			list = append(list, d)
		}
	}
	if e.Kind == KindBreakGlassStop {
		list = append(list, detail{"count", strconv.FormatUint(uint64(g.Count), 10)})
	} else if !g.End.IsZero() {
		list = append(list, detail{"expires", fhir.FormatInstant(g.End)})
	}
	w.open('{')
	w.name("what")
	w.reference("", "", orUnknown(e.Grant))
	w.kind("2", "13")
	w.details(list...)
	w.shut('}')
}

// transaction ties the events of one request together.
func (w *writer) transaction(id string) {
	if id == "" {
		return
	}
	w.open('{')
	w.name("what")
	w.reference("", "", id)
	w.name("type")
	w.coding(fhir.Coding{System: systemBALPEntity, Code: "XrequestId"})
	w.shut('}')
}
