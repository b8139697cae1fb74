package audit

import (
	"vitrine/consent"
	"vitrine/fhir"
)

// agents are the person, the organisation, the client and the server.
func (w *writer) agents(e *Event) {
	a := &e.Agent
	w.name("agent")
	w.open('[')
	if a.person() {
		w.user(e)
	}
	if a.Organization != "" {
		w.organization(a.Organization)
	}
	w.client(e)
	w.server(e)
	w.shut(']')
}

// user is the person behind the token. BALP allows one policy there, the id of
// the token, and discourages other ids where a decision is recorded.
func (w *writer) user(e *Event) {
	a := &e.Agent
	w.open('{')
	if a.TokenID != "" && e.Kind != KindAuthentication {
		w.party(e.userPart(), oauthAgent())
	} else {
		w.party(e.userPart())
	}
	if len(a.Roles) > 0 {
		w.name("role")
		w.concepts(a.Roles)
	}
	w.whoNamed(a)
	if id := a.altID(); id != "" && e.Kind != KindDecision {
		w.text("altId", id)
	}
	if a.Name != "" {
		w.text("name", a.Name)
	}
	w.requestor(true)
	w.policies(e.tokenPolicy())
	w.purposeOfUse(a)
	w.shut('}')
}

// altID is the person, whatever the role, where that is another id.
func (a *Agent) altID() string {
	if a.Practitioner == a.User {
		return ""
	}
	return a.Practitioner
}

func (w *writer) organization(id string) {
	w.open('{')
	w.party(fhir.Coding{System: systemRoleClass, Code: "PROV"})
	w.who("Organization/"+id, "")
	w.requestor(false)
	w.shut('}')
}

// client is the application. The grant by which it was let in stands with it,
// and the token where there is no person whose it could be.
func (w *writer) client(e *Event) {
	a := &e.Agent
	w.open('{')
	w.party(e.clientParts()...)
	w.who("", a.Client)
	w.requestor(!a.person())
	if a.person() {
		w.policies(e.Grant)
	} else {
		w.policies(e.tokenPolicy(), e.Grant)
		w.purposeOfUse(a)
	}
	w.network(a.Address, "2")
	w.shut('}')
}

// server is this server, in the part it had: an authorizer has no network of its
// own, being the source of the event.
func (w *writer) server(e *Event) {
	part, ok := e.serverPart()
	if !ok {
		return
	}
	w.open('{')
	w.party(part)
	w.who("", orUnknown(e.Observer))
	w.requestor(false)
	if e.Kind != KindDecision {
		w.network(e.Site, "1")
	}
	w.shut('}')
}

// tokenPolicy is the id of the token as agent.policy names it; empty for none.
func (e *Event) tokenPolicy() string {
	if e.Agent.TokenID == "" {
		return ""
	}
	return jtiPrefix + e.Agent.TokenID
}

// plainAgents tell the patient in which capacity and for whom somebody asked. A
// professional is named by profession alone; oneself and those who act for one
// are named, and a public cluster stands for its parts.
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
		w.who(a.User, "")
	}
	w.requestor(true)
	w.purposeOfUse(a)
	w.shut('}')
	if id := a.Told(); id != "" {
		w.organization(id)
	}
	w.shut(']')
}
