// Package audit owns the record of access: the Event that is written before
// anything is released, its compact binary form, and its two editions as an
// AuditEvent in the shapes of IHE BALP. It does not decide what is recorded
// when, which is gate's, and it does not keep anything, which is store's.
//
// An Event holds ids, codes and the request line. It never holds clinical
// values, tokens or the Authorization header.
package audit

import (
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// Action is AuditEvent.action. The zero value is none.
type Action byte

// The actions of R4 (valueset-audit-event-action).
const (
	ActionCreate  Action = 'C'
	ActionRead    Action = 'R'
	ActionUpdate  Action = 'U'
	ActionDelete  Action = 'D'
	ActionExecute Action = 'E'
)

// Kind is the shape of an event. The zero value is no event.
type Kind uint8

// The kinds of event (DOSSIER §3.4).
const (
	// KindRest is an interaction: a read, a search, a write.
	KindRest Kind = iota + 1
	// KindBreakGlassStart is the start of an emergency override (DCM 110127).
	KindBreakGlassStart
	// KindBreakGlassStop is its end (DCM 110138).
	KindBreakGlassStop
	// KindConsentChange says that who may see the record changed (DCM 110135).
	KindConsentChange
	// KindDirective says that a directive was issued or lifted.
	KindDirective
	// KindRoleChange says that a role changed (DCM 110136).
	KindRoleChange
	// KindAuditUse is an interaction with the log itself (DCM 110101).
	KindAuditUse
	// KindAuthentication is a step of the authorization server (DCM 110114), which
	// Interaction names in the words of a smart.Event.
	KindAuthentication
	// KindOnboarding says that what a client or an organisation is let do changed
	// (DCM 110137).
	KindOnboarding
	// KindExport is a copy of many records on its way out: an export that was asked
	// for, looked after, fetched or ended (DCM 110106).
	KindExport
	// KindReview says that the review of a break-glass grant changed hands or state.
	KindReview
	// KindNotice says that somebody was told of something that happened to the
	// record: a notification that was sent, or could not be.
	KindNotice
	// KindDecision says that a Consent decided against the caller. It stands beside
	// the event of the attempt, which says what was asked.
	KindDecision
)

// Outcome is AuditEvent.outcome. The zero value is success.
type Outcome uint8

// The outcomes of R4 (valueset-audit-event-outcome).
const (
	OutcomeSuccess Outcome = 0
	OutcomeMinor   Outcome = 4
	OutcomeSerious Outcome = 8
	OutcomeMajor   Outcome = 12
)

// Event is one access, or one attempt, concerning at most one patient.
type Event struct {
	ID       [16]byte // a UUID; it becomes AuditEvent.id
	Recorded time.Time
	Kind     Kind
	// Interaction is a code of restful-interaction, or an operation's name.
	Interaction string
	Action      Action
	// Outcome other than success says that the attempt was refused.
	Outcome Outcome
	// Reason is the internal reason of the decision, never shown to the caller.
	Reason string
	// Patient is the id of the patient concerned; empty when none was found.
	Patient string
	// Level is the view that was applied.
	Level consent.Level
	// Agent is who asked.
	Agent Agent
	// Entities are the resources concerned, as "Type/id/_history/version".
	Entities []string
	// Labels are the security labels of the one resource concerned.
	Labels []fhir.Coding
	// Before is the version that a change replaced.
	Before string
	// Query is the request line and the lines of the header that are kept; it is
	// set for searches, for denials, and for tokens that are issued.
	Query string
	// RequestID is X-Request-Id.
	RequestID string
	// Grant is the URN of the break-glass grant in force; empty for none.
	Grant string
	// Glass is what a break-glass event says of its grant.
	Glass Glass
	// Consents are the Consent versions that decided.
	Consents []string
	// BasicSet is the version of the basic set that decided; empty when it did
	// not matter.
	BasicSet string
	// Site and Observer are AuditEvent.source.
	Site, Observer string
}

// Agent is who asked, from where.
type Agent struct {
	Kind consent.Kind
	// Issuer, Subject, Client and TokenID are iss, sub, client_id and jti.
	Issuer, Subject, Client, TokenID string
	// User is "PractitionerRole/x", "Patient/p", …; empty for a system.
	User string
	// Practitioner is "Practitioner/x".
	Practitioner string
	// Name is subject_name.
	Name string
	// Roles are the role codes.
	Roles []fhir.Coding
	// Organization is an id.
	Organization string
	// Cluster is the id of the public cluster that patients are told of instead; empty
	// where they are told of the organisation.
	Cluster string
	// Purpose is the purpose that was declared.
	Purpose consent.Purpose
	// Address is the client's network address.
	Address string
}

// Glass is what a break-glass event says of its grant.
type Glass struct {
	// Reason is OVRER; Threat is life or health.
	Reason, Threat string
	// Justification is the user's own text. Only the full edition has it.
	Justification string
	// Start and End are the grant's life; Count the accesses under it.
	Start, End time.Time
	Count      uint32
}

// Told is the id of the organisation that patients are told of; empty for none.
func (a *Agent) Told() string {
	if a.Cluster != "" {
		return a.Cluster
	}
	return a.Organization
}

// denied reports whether the attempt was refused.
func (e *Event) denied() bool { return e.Outcome != OutcomeSuccess }
