// Package restriction owns the reading of a FHIR Consent: it becomes a
// consent.Restriction, or is refused with the element and the reason named. It
// does not decide for a caller, which is consent's, and it does not look up the
// actors that are named, which is gate's.
//
// It is strict about meaning and lenient about paperwork (ACCESS §3): who
// signed, where, and on which form may be missing; whatever bears on who sees
// what must be there and must be understood.
package restriction

import (
	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// The code systems a Consent is read by.
const (
	systemScope           = "http://terminology.hl7.org/CodeSystem/consentscope"
	systemActCode         = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	systemLOINC           = "http://loinc.org"
	systemParticipation   = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	systemAction          = "http://terminology.hl7.org/CodeSystem/consentaction"
	systemResourceTypes   = "http://hl7.org/fhir/resource-types"
	systemConfidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
)

// Problem says why a Consent cannot be accepted from a client: what it means is
// in doubt, or it asks for what no Consent can give.
type Problem struct {
	// Issues name the elements and the reasons; there is at least one.
	Issues []fhir.Issue
}

// Error implements error. It names no content.
func (p *Problem) Error() string { return "the Consent cannot be accepted: " + p.Issues[0].Text }

// Compile reads a Consent. base is the FHIR base URL, version the Consent's own
// version, such as "Consent/c1/_history/2".
//
// The Restriction is always what holds while the Consent is on file: Malformed
// when its meaning is in doubt. The Problem is nil when the Consent may be
// accepted from a client. The two differ where a Consent is clear but void: a
// permit for an insurer, or a deny of breaking the glass.
func Compile(t *fhir.Tape, d *r4.Definitions, base, version string) (consent.Restriction, *Problem) {
	r := &reader{tape: t, defs: d, base: base}
	out := r.consent()
	out.Version[0] = version
	if r.doubtful {
		out = consent.Restriction{Version: out.Version, Malformed: true}
	}
	if len(r.issues) == 0 {
		return out, nil
	}
	return out, &Problem{Issues: r.issues}
}

// consent reads the resource.
func (r *reader) consent() consent.Restriction {
	root := r.tape.Root()
	r.modifiers(root, "Consent")
	if r.tape.Text(r.tape.Field(root, "resourceType")) != "Consent" {
		r.doubt(root, "Consent", fhir.CodeInvalid, "the resource must be a Consent")
		return consent.Restriction{}
	}
	if n := r.tape.Field(root, "implicitRules"); n != fhir.None {
		r.doubt(n, "Consent.implicitRules", fhir.CodeNotSupported, "implicitRules may change the meaning and are not understood; leave them out")
	}
	if !r.status(root) || !r.scope(root) || !r.category(root) {
		return consent.Restriction{Inert: true}
	}
	r.patient(root)
	return r.rules(root)
}

// status reports whether the Consent is active (R4 consent-state-codes).
func (r *reader) status(root fhir.Node) bool {
	n := r.tape.Field(root, "status")
	switch r.tape.Text(n) {
	case "active":
		return true
	case "draft", "proposed", "rejected", "inactive", "entered-in-error":
		return false
	default:
		r.doubt(n, "Consent.status", fhir.CodeRequired, "status must be a code of consent-state-codes")
		return true
	}
}

// scope reports whether the Consent is about privacy. One about research,
// treatment or directives restricts no access.
func (r *reader) scope(root fhir.Node) bool {
	n := r.tape.Field(root, "scope")
	privacy, other := false, false
	r.codings(n, func(c fhir.Coding) {
		switch {
		case c == fhir.Coding{System: systemScope, Code: "patient-privacy"}:
			privacy = true
		case c.Code != "":
			other = true
		}
	})
	if !privacy && !other {
		r.doubt(n, "Consent.scope", fhir.CodeRequired, "scope must have a coding; an access restriction has consentscope#patient-privacy")
		return true
	}
	return privacy
}

// category reports whether the Consent is about access to information. A
// privacy Consent of another category is refused from a client, who may take it
// for a restriction; on file it restricts nothing.
func (r *reader) category(root fhir.Node) bool {
	n := r.tape.Field(root, "category")
	found := false
	for c := r.tape.First(n); c != fhir.None; c = r.tape.Next(c) {
		r.codings(c, func(c fhir.Coding) {
			switch c {
			case fhir.Coding{System: systemLOINC, Code: "59284-0"},
				fhir.Coding{System: systemActCode, Code: "INFA"},
				fhir.Coding{System: systemActCode, Code: "INFAO"},
				fhir.Coding{System: systemActCode, Code: "EMRGONLY"}:
				found = true
			}
		})
	}
	if !found {
		r.refuse(n, "Consent.category", fhir.CodeBusinessRule, "an access restriction needs the category INFA, INFAO or EMRGONLY of v3-ActCode, or LOINC 59284-0")
	}
	return found
}

// patient insists on a patient, which R4's own invariants fail to do
// (DOSSIER §1.1).
func (r *reader) patient(root fhir.Node) {
	n := r.tape.Field(root, "patient")
	ref := fhir.ParseReference(r.tape.Text(r.tape.Field(n, "reference")), r.base)
	if ref.Form == fhir.RefLocal && ref.Type == "Patient" {
		return
	}
	logical := r.tape.Field(n, "identifier")
	if ref.Form == fhir.RefInvalid && r.tape.Text(r.tape.Field(logical, "value")) != "" {
		return
	}
	r.doubt(n, "Consent.patient", fhir.CodeRequired, "patient must refer to a Patient on this server, by reference or by identifier")
}
