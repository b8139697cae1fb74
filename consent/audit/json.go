package audit

import (
	"encoding/base64"
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
	w.shut('}')
}

// agents are the person, the organisation, the client and the server.
func (w *writer) agents(e *Event) {
	a := &e.Agent
	client, server := e.parties()
	w.name("agent")
	w.open('[')
	if a.person() {
		w.user(e)
	}
	if a.Organization != "" {
		w.organization(a)
	}
	w.open('{')
	w.party(client)
	w.who("", "", a.Client)
	w.requestor(!a.person())
	if !a.person() {
		w.policies(e)
		w.purposeOfUse(a)
	}
	w.network(a.Address, "2")
	w.shut('}')
	if e.Kind == KindRest || e.Kind == KindAuditUse {
		w.open('{')
		w.party(server)
		w.who("", "", e.Observer)
		w.requestor(false)
		w.network(e.Site, "1")
		w.shut('}')
	}
	w.shut(']')
}

// user is the person behind the token.
func (w *writer) user(e *Event) {
	a := &e.Agent
	w.open('{')
	w.party(e.userPart())
	if len(a.Roles) > 0 {
		w.name("role")
		w.concepts(a.Roles)
	}
	w.who(a.User, a.Issuer, a.Subject)
	if a.Practitioner != "" && a.Practitioner != a.User {
		w.text("altId", a.Practitioner) // the person, whatever the role
	}
	if a.Name != "" {
		w.text("name", a.Name)
	}
	w.requestor(true)
	w.policies(e)
	w.purposeOfUse(a)
	w.shut('}')
}

func (w *writer) organization(a *Agent) {
	w.open('{')
	w.party(fhir.Coding{System: systemRoleClass, Code: "PROV"})
	w.who("Organization/"+a.Organization, "", "")
	w.requestor(false)
	w.shut('}')
}

// plainAgents tell the patient in which capacity and for whom somebody asked. A
// professional is named by profession alone; oneself and those who act for one
// are named.
func (w *writer) plainAgents(e *Event) {
	a := &e.Agent
	w.name("agent")
	w.open('[')
	w.open('{')
	w.party(e.userPart())
	if len(a.Roles) > 0 {
		w.name("role")
		w.concepts(a.Roles)
	}
	if a.User != "" && (a.Kind == consent.Patient || a.Kind == consent.Representative) {
		w.who(a.User, "", "")
	}
	w.requestor(true)
	w.purposeOfUse(a)
	w.shut('}')
	if a.Organization != "" {
		w.organization(a)
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
		w.data(e)
		w.query(e.Query)
		w.consents(e)
		w.glass(e)
		w.transaction(e.RequestID)
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

// data are the resources read or written.
func (w *writer) data(e *Event) {
	for _, ref := range e.Entities {
		w.open('{')
		w.name("what")
		w.reference(ref, "", "")
		w.kind("2", "4")
		if e.Before != "" {
			w.details(detail{"before", e.Before})
		}
		w.shut('}')
	}
}

// query is the request as it was sent; the invariant sev-1 allows no name with
// it.
func (w *writer) query(line string) {
	if line == "" {
		return
	}
	w.open('{')
	w.kind("2", "24")
	w.name("query")
	w.out = append(w.out, '"')
	w.out = base64.StdEncoding.AppendEncode(w.out, []byte(line))
	w.out = append(w.out, '"')
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

// orUnknown keeps a required identifier from being empty.
func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
