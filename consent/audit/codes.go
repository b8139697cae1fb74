package audit

import (
	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// The code systems of an AuditEvent (DOSSIER §3.1, §3.2).
const (
	systemEventType     = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	systemInteraction   = "http://hl7.org/fhir/restful-interaction"
	systemDCM           = "http://dicom.nema.org/resources/ontology/DCM"
	systemParticipation = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	systemRoleClass     = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
	systemProvenance    = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	systemSourceType    = "http://terminology.hl7.org/CodeSystem/security-source-type"
	systemEntityType    = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	systemObjectRole    = "http://terminology.hl7.org/CodeSystem/object-role"
	systemBALPEntity    = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
	systemBALPAgent     = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"
	systemBALPDecision  = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"
	systemSecurityRole  = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
	systemResourceType  = "http://hl7.org/fhir/resource-types"
	systemLifecycle     = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"

	jtiPrefix = "urn:ietf:params:oauth:jti:"
)

// The DICOM codes used. 110113 is Security Alert, of which the others are
// subtypes.
func dcm(code string) fhir.Coding { return fhir.Coding{System: systemDCM, Code: code} }

func event(code string) fhir.Coding { return fhir.Coding{System: consent.SystemEvent, Code: code} }

// lifecycle is what ISO 21089 calls what happened to the record.
func lifecycle(code string) fhir.Coding { return fhir.Coding{System: systemLifecycle, Code: code} }

// kindCodes are the type and the subtypes that the kind itself gives.
func (e *Event) kindCodes() (typ fhir.Coding, subtypes []fhir.Coding) {
	alert := dcm("110113")
	switch e.Kind {
	case KindBreakGlassStart:
		return alert, []fhir.Coding{dcm("110127"), event("break-glass-start")}
	case KindBreakGlassStop:
		return alert, []fhir.Coding{dcm("110138"), event("break-glass-stop")}
	case KindConsentChange:
		return alert, []fhir.Coding{dcm("110135")}
	case KindRoleChange:
		return alert, []fhir.Coding{dcm("110136")}
	case KindOnboarding:
		return alert, []fhir.Coding{dcm("110137"), event("onboarding")}
	case KindDirective:
		if e.Reason == "" || e.denied() {
			return alert, e.directive()
		}
		return alert, []fhir.Coding{event("directive"), event("directive-" + e.Reason)}
	case KindDecision:
		return alert, []fhir.Coding{{System: systemBALPDecision, Code: "AuthZ-Consent"}}
	case KindReview:
		return alert, []fhir.Coding{event("review")}
	case KindExport:
		return dcm("110106"), []fhir.Coding{lifecycle("disclose"), event("export")}
	case KindNotice:
		return lifecycle("transmit"), []fhir.Coding{event("notice")}
	case KindAuditUse:
		return rest(), []fhir.Coding{e.interaction(), dcm("110101")}
	case KindAuthentication:
		return e.authentication()
	case KindRest:
		return rest(), []fhir.Coding{e.interaction()}
	default:
		return rest(), []fhir.Coding{e.interaction()}
	}
}

// directive says which step in the life of a directive it was.
func (e *Event) directive() []fhir.Coding {
	if e.denied() || e.Reason == "" {
		return []fhir.Coding{event("directive")}
	}
	return []fhir.Coding{event("directive"), event("directive-" + e.Reason)}
}

// authentication is User Authentication, or a Security Alert when it was tried in
// vain. A token that is issued is what IHE IUA records (DOSSIER §3.2, IUA.71).
func (e *Event) authentication() (typ fhir.Coding, subtypes []fhir.Coding) {
	typ = dcm("110114")
	if e.denied() {
		typ = dcm("110113")
	}
	switch e.Interaction {
	case smart.EventSignIn:
		return typ, []fhir.Coding{dcm("110122")}
	case smart.EventSignOut:
		return typ, []fhir.Coding{dcm("110123")}
	case smart.EventToken:
		return typ, []fhir.Coding{{System: "urn:ihe:event-type-code", Code: "ITI-71"}}
	default:
		return typ, []fhir.Coding{event(e.Interaction)}
	}
}

func rest() fhir.Coding { return fhir.Coding{System: systemEventType, Code: "rest"} }

// interaction is the code of restful-interaction; an operation's name is not
// one, and is told by the query.
func (e *Event) interaction() fhir.Coding {
	code := "operation"
	switch e.Interaction {
	case "read", "vread", "update", "patch", "delete", "create",
		"history", "history-instance", "history-type", "history-system",
		"search", "search-type", "search-system", "capabilities", "transaction", "batch":
		code = e.Interaction
	case "search-compartment":
		code = "search-type"
	}
	return fhir.Coding{System: systemInteraction, Code: code}
}

// subtypes are all codes of AuditEvent.subtype: the kind's, whether the glass
// was broken for it, whether it was refused, and the view that was applied.
func (e *Event) subtypes() (typ fhir.Coding, all []fhir.Coding) {
	typ, all = e.kindCodes()
	if e.Kind == KindDecision {
		return typ, all // its profile allows no other, and the attempt's own event says the rest
	}
	if e.interacts() && e.Grant != "" && !e.denied() {
		all = append(all, event("break-glass-use"))
	}
	if e.denied() {
		all = append(all, event("denied"))
	} else if e.interacts() && e.Patient != "" && (e.Action == ActionRead || e.Action == ActionExecute) {
		all = append(all, fhir.Coding{System: consent.SystemView, Code: e.Level.Code()})
	}
	return typ, all
}

// purpose is what the event was for: the purpose declared, or breaking the
// glass while a grant was at work (DOSSIER §3.4 c).
func (e *Event) purpose() fhir.Coding {
	if e.Grant != "" {
		return consent.BreakGlass.Coding()
	}
	return e.Agent.Purpose.Coding()
}

// application, source and destination are the parts that DICOM knows.
func application() fhir.Coding { return dcm("110150") }
func source() fhir.Coding      { return dcm("110153") }
func destination() fhir.Coding { return dcm("110152") }

// oauthAgent marks whom a token names.
func oauthAgent() fhir.Coding { return fhir.Coding{System: systemBALPAgent, Code: "UserOauthAgent"} }

// clientParts are the codes of the client's part. BALP turns client and server
// round between a read, where the data flow to the client, and a query or a
// write (DOSSIER §3.2). It is the application that was given the token in any
// case.
func (e *Event) clientParts() []fhir.Coding {
	switch {
	case e.Kind == KindExport:
		return []fhir.Coding{destination(), application()}
	case !e.interacts(), e.Action == ActionDelete:
		return []fhir.Coding{application()}
	case e.Action == ActionRead:
		return []fhir.Coding{destination(), application()}
	default:
		return []fhir.Coding{source(), application()}
	}
}

// serverPart is the code of the server's part; false when it has none.
func (e *Event) serverPart() (part fhir.Coding, ok bool) {
	switch {
	case e.Kind == KindExport:
		return source(), true
	case e.Kind == KindAuthentication:
		return fhir.Coding{System: systemBALPAgent, Code: "AuthzOauthService"}, true
	case e.Kind == KindDecision:
		return fhir.Coding{System: systemSecurityRole, Code: "authserver"}, true
	case !e.interacts():
		return fhir.Coding{}, false
	case e.Action == ActionRead:
		return source(), true
	case e.Action == ActionDelete:
		return fhir.Coding{System: systemProvenance, Code: "custodian"}, true
	default:
		return destination(), true
	}
}

// interacts reports whether the event is of an interaction by REST.
func (e *Event) interacts() bool { return e.Kind == KindRest || e.Kind == KindAuditUse }

// userPart is the code of the person's part: receiving information or writing.
func (e *Event) userPart() fhir.Coding {
	code := "IRCP"
	switch {
	case e.Kind == KindBreakGlassStart || e.Kind == KindBreakGlassStop || e.Kind == KindDecision:
	case e.Action == ActionCreate || e.Action == ActionUpdate || e.Action == ActionDelete:
		code = "AUT"
	}
	return fhir.Coding{System: systemParticipation, Code: code}
}

// person reports whether a natural person stands behind the caller.
func (a *Agent) person() bool {
	switch a.Kind {
	case consent.Practitioner, consent.Patient, consent.Representative, consent.Regulator:
		return true
	case consent.Nobody, consent.System, consent.Custodian:
		return false
	default:
		return false
	}
}
