package consent

import "vitrine/fhir"

// SystemActReason is the code system of the purposes of use.
const SystemActReason = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

// Purpose is a purpose of use. The zero value is none and is allowed to nobody.
type Purpose uint8

// The purposes that some caller may have, and the local codes. The remaining
// codes of v3-ActReason are known too, as numbers without a name: they are
// needed to tell a refused purpose from an unknown one.
const (
	PurposeNone Purpose = iota
	Treatment
	CareCoordination
	EmergencyTreatment
	BreakGlass
	EmergencyRoom
	PatientRequest
	FamilyRequest
	PowerOfAttorney
	SupportNetwork
	SystemAdministration
	AuditReview
	StatutoryExamination
	Employment
	Insurance
	firstOther
)

type purposeRow struct {
	code   string
	system string
	parent string // code of the parent in the same system
}

// purposes is the tree below v3-ActReason#PurposeOfUse, and the local codes,
// indexed by Purpose.
//
//nolint:gochecknoglobals // a table that never changes
var purposes = [...]purposeRow{
	PurposeNone:          {},
	Treatment:            {"TREAT", SystemActReason, ""},
	CareCoordination:     {"COC", SystemActReason, "TREAT"},
	EmergencyTreatment:   {"ETREAT", SystemActReason, "TREAT"},
	BreakGlass:           {"BTG", SystemActReason, "ETREAT"},
	EmergencyRoom:        {"ERTREAT", SystemActReason, "ETREAT"},
	PatientRequest:       {"PATRQT", SystemActReason, ""},
	FamilyRequest:        {"FAMRQT", SystemActReason, "PATRQT"},
	PowerOfAttorney:      {"PWATRNY", SystemActReason, "PATRQT"},
	SupportNetwork:       {"SUPNWK", SystemActReason, "PATRQT"},
	SystemAdministration: {"HSYSADMIN", SystemActReason, "HOPERAT"},
	AuditReview:          {"AUDIT", SystemPurpose, ""},
	StatutoryExamination: {"STATEXAM", SystemPurpose, ""},
	Employment:           {"EMPLOYMENT", SystemPurpose, ""},
	Insurance:            {"INSURANCE", SystemPurpose, ""},

	firstOther: {"CLINTRL", SystemActReason, "TREAT"},
	{"POPHLTH", SystemActReason, "TREAT"},
	{"PUBHLTH", SystemActReason, ""},
	{"DISASTER", SystemActReason, "PUBHLTH"},
	{"THREAT", SystemActReason, "PUBHLTH"},
	{"HPAYMT", SystemActReason, ""},
	{"CLMATTCH", SystemActReason, "HPAYMT"},
	{"COVAUTH", SystemActReason, "HPAYMT"},
	{"COVERAGE", SystemActReason, "HPAYMT"},
	{"ELIGDTRM", SystemActReason, "COVERAGE"},
	{"ELIGVER", SystemActReason, "COVERAGE"},
	{"ENROLLM", SystemActReason, "COVERAGE"},
	{"MILDCRG", SystemActReason, "COVERAGE"},
	{"REMITADV", SystemActReason, "HPAYMT"},
	{"HOPERAT", SystemActReason, ""},
	{"CAREMGT", SystemActReason, "HOPERAT"},
	{"DONAT", SystemActReason, "HOPERAT"},
	{"FRAUD", SystemActReason, "HOPERAT"},
	{"GOV", SystemActReason, "HOPERAT"},
	{"HACCRED", SystemActReason, "HOPERAT"},
	{"HCOMPL", SystemActReason, "HOPERAT"},
	{"HDECD", SystemActReason, "HOPERAT"},
	{"HDIRECT", SystemActReason, "HOPERAT"},
	{"HDM", SystemActReason, "HOPERAT"},
	{"HLEGAL", SystemActReason, "HOPERAT"},
	{"HOUTCOMS", SystemActReason, "HOPERAT"},
	{"HPRGRP", SystemActReason, "HOPERAT"},
	{"HQUALIMP", SystemActReason, "HOPERAT"},
	{"LABELING", SystemActReason, "HSYSADMIN"},
	{"METAMGT", SystemActReason, "HSYSADMIN"},
	{"MEMADMIN", SystemActReason, "HOPERAT"},
	{"MILCDM", SystemActReason, "HOPERAT"},
	{"PATADMIN", SystemActReason, "HOPERAT"},
	{"PATSFTY", SystemActReason, "HOPERAT"},
	{"PERFMSR", SystemActReason, "HOPERAT"},
	{"RECORDMGT", SystemActReason, "HOPERAT"},
	{"SYSDEV", SystemActReason, "HOPERAT"},
	{"HTEST", SystemActReason, "SYSDEV"},
	{"TRAIN", SystemActReason, "HOPERAT"},
	{"HRESCH", SystemActReason, ""},
	{"BIORCH", SystemActReason, "HRESCH"},
	{"CLINTRCH", SystemActReason, "HRESCH"},
	{"CLINTRCHNPC", SystemActReason, "CLINTRCH"},
	{"CLINTRCHPC", SystemActReason, "CLINTRCH"},
	{"PRECLINTRCH", SystemActReason, "CLINTRCH"},
	{"DSRCH", SystemActReason, "HRESCH"},
	{"POARCH", SystemActReason, "HRESCH"},
	{"TRANSRCH", SystemActReason, "HRESCH"},
	{"HMARKT", SystemActReason, ""},
}

// ParsePurpose knows a purpose by its system and its code, both exactly; ok is
// false for every other coding.
func ParsePurpose(c fhir.Coding) (p Purpose, ok bool) {
	if c.Code == "" {
		return PurposeNone, false
	}
	for i := range purposes {
		if purposes[i].code == c.Code && purposes[i].system == c.System {
			return Purpose(i), true
		}
	}
	return PurposeNone, false
}

// Coding is the purpose as FHIR writes it; empty for none.
func (p Purpose) Coding() fhir.Coding {
	if int(p) >= len(purposes) {
		return fhir.Coding{}
	}
	return fhir.Coding{System: purposes[p].system, Code: purposes[p].code}
}

// String is the code alone.
func (p Purpose) String() string { return p.Coding().Code }

// AllowedFor reports whether the purpose is on the allow-list of a kind of
// caller (DOSSIER §7.4). What is not listed is refused.
func (p Purpose) AllowedFor(k Kind) bool {
	switch p {
	case Treatment, CareCoordination, EmergencyTreatment, EmergencyRoom:
		return k == Practitioner || k == System
	case BreakGlass:
		return k == Practitioner
	case PatientRequest:
		return k == Patient
	case FamilyRequest, PowerOfAttorney, SupportNetwork:
		return k == Representative
	case AuditReview:
		return k == Regulator
	case SystemAdministration:
		return k == Custodian
	case PurposeNone, StatutoryExamination, Employment, Insurance:
		return false
	default:
		return false
	}
}

// Excluded reports whether nobody may ever have the purpose, whatever else
// holds (DOSSIER §7.4: employment, insurance and payment, membership
// administration, marketing, research).
func (p Purpose) Excluded() bool {
	if p == Employment || p == Insurance {
		return true
	}
	for c := p; c != PurposeNone; c = c.parent() {
		switch c.String() {
		case "HPAYMT", "MEMADMIN", "HMARKT", "HRESCH":
			return true
		}
	}
	return false
}

// effective is the purpose a decision is made for. Breaking the glass has
// effect through a grant alone; declaring it is emergency treatment
// (DOSSIER §2.2).
func (p Purpose) effective() Purpose {
	if p == BreakGlass {
		return EmergencyTreatment
	}
	return p
}

// parent is the purpose above p in its code system; none at the top.
func (p Purpose) parent() Purpose {
	if int(p) >= len(purposes) || purposes[p].parent == "" {
		return PurposeNone
	}
	up, _ := ParsePurpose(fhir.Coding{System: purposes[p].system, Code: purposes[p].parent})
	return up
}

// covers reports whether a rule about p is about q: the same purpose or one
// above it. A rule about breaking the glass is about nobody: the law lifts
// every restriction in an emergency, through a grant alone (DOSSIER §1.5).
func (p Purpose) covers(q Purpose) bool {
	if p == PurposeNone || p == BreakGlass {
		return false
	}
	for c := q; c != PurposeNone; c = c.parent() {
		if c == p {
			return true
		}
	}
	return false
}
