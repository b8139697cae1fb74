package consent

import "vitrine/fhir"

// SystemActReason is the code system of the purposes of use.
const SystemActReason = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

// Purpose is a purpose of use. The zero value is none and is allowed to nobody.
// Audit records keep the number: purposes are added at the end of the table
// alone.
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
	// Those that others stand below.
	publicHealth
	payment
	coverage
	operations
	membership
	development
	research
	clinicalResearch
	marketing
	firstOther
)

type purposeRow struct {
	code   string
	system string
	parent Purpose
}

// purposes is the tree below v3-ActReason#PurposeOfUse, and the local codes,
// indexed by Purpose.
//
//nolint:gochecknoglobals // a table that never changes
var purposes = [...]purposeRow{
	PurposeNone:          {},
	Treatment:            {"TREAT", SystemActReason, PurposeNone},
	CareCoordination:     {"COC", SystemActReason, Treatment},
	EmergencyTreatment:   {"ETREAT", SystemActReason, Treatment},
	BreakGlass:           {"BTG", SystemActReason, EmergencyTreatment},
	EmergencyRoom:        {"ERTREAT", SystemActReason, EmergencyTreatment},
	PatientRequest:       {"PATRQT", SystemActReason, PurposeNone},
	FamilyRequest:        {"FAMRQT", SystemActReason, PatientRequest},
	PowerOfAttorney:      {"PWATRNY", SystemActReason, PatientRequest},
	SupportNetwork:       {"SUPNWK", SystemActReason, PatientRequest},
	SystemAdministration: {"HSYSADMIN", SystemActReason, operations},
	AuditReview:          {"AUDIT", SystemPurpose, PurposeNone},
	StatutoryExamination: {"STATEXAM", SystemPurpose, PurposeNone},
	Employment:           {"EMPLOYMENT", SystemPurpose, PurposeNone},
	Insurance:            {"INSURANCE", SystemPurpose, PurposeNone},

	publicHealth:     {"PUBHLTH", SystemActReason, PurposeNone},
	payment:          {"HPAYMT", SystemActReason, PurposeNone},
	coverage:         {"COVERAGE", SystemActReason, payment},
	operations:       {"HOPERAT", SystemActReason, PurposeNone},
	membership:       {"MEMADMIN", SystemActReason, operations},
	development:      {"SYSDEV", SystemActReason, operations},
	research:         {"HRESCH", SystemActReason, PurposeNone},
	clinicalResearch: {"CLINTRCH", SystemActReason, research},
	marketing:        {"HMARKT", SystemActReason, PurposeNone},

	firstOther: {"CLINTRL", SystemActReason, Treatment},
	{"POPHLTH", SystemActReason, Treatment},
	{"DISASTER", SystemActReason, publicHealth},
	{"THREAT", SystemActReason, publicHealth},
	{"CLMATTCH", SystemActReason, payment},
	{"COVAUTH", SystemActReason, payment},
	{"ELIGDTRM", SystemActReason, coverage},
	{"ELIGVER", SystemActReason, coverage},
	{"ENROLLM", SystemActReason, coverage},
	{"MILDCRG", SystemActReason, coverage},
	{"REMITADV", SystemActReason, payment},
	{"CAREMGT", SystemActReason, operations},
	{"DONAT", SystemActReason, operations},
	{"FRAUD", SystemActReason, operations},
	{"GOV", SystemActReason, operations},
	{"HACCRED", SystemActReason, operations},
	{"HCOMPL", SystemActReason, operations},
	{"HDECD", SystemActReason, operations},
	{"HDIRECT", SystemActReason, operations},
	{"HDM", SystemActReason, operations},
	{"HLEGAL", SystemActReason, operations},
	{"HOUTCOMS", SystemActReason, operations},
	{"HPRGRP", SystemActReason, operations},
	{"HQUALIMP", SystemActReason, operations},
	{"LABELING", SystemActReason, SystemAdministration},
	{"METAMGT", SystemActReason, SystemAdministration},
	{"MILCDM", SystemActReason, operations},
	{"PATADMIN", SystemActReason, operations},
	{"PATSFTY", SystemActReason, operations},
	{"PERFMSR", SystemActReason, operations},
	{"RECORDMGT", SystemActReason, operations},
	{"HTEST", SystemActReason, development},
	{"TRAIN", SystemActReason, operations},
	{"BIORCH", SystemActReason, research},
	{"CLINTRCHNPC", SystemActReason, clinicalResearch},
	{"CLINTRCHPC", SystemActReason, clinicalResearch},
	{"PRECLINTRCH", SystemActReason, clinicalResearch},
	{"DSRCH", SystemActReason, research},
	{"POARCH", SystemActReason, research},
	{"TRANSRCH", SystemActReason, research},
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

// kinds is a set of kinds of caller.
type kinds uint16

func of(ks ...Kind) (set kinds) {
	for _, k := range ks {
		set |= 1 << k
	}
	return set
}

// allowed says who may have a purpose (DOSSIER §7.4). What is not listed is
// refused.
//
//nolint:gochecknoglobals // a table that never changes
var allowed = [...]kinds{
	Treatment:            of(Practitioner, System),
	CareCoordination:     of(Practitioner, System),
	EmergencyTreatment:   of(Practitioner, System),
	BreakGlass:           of(Practitioner),
	EmergencyRoom:        of(Practitioner, System),
	PatientRequest:       of(Patient),
	FamilyRequest:        of(Representative),
	PowerOfAttorney:      of(Representative),
	SupportNetwork:       of(Representative),
	SystemAdministration: of(Custodian),
	AuditReview:          of(Regulator),
}

// AllowedFor reports whether the purpose is on the allow-list of a kind of
// caller.
func (p Purpose) AllowedFor(k Kind) bool {
	return int(p) < len(allowed) && k <= Custodian && allowed[p]&(1<<k) != 0
}

// UsualPurposes are those that somebody of the kind may come for, the usual one
// first. To claim to break the glass opens nothing, so it is not among them.
func UsualPurposes(k Kind) (list []fhir.Coding) {
	for p := range Purpose(len(allowed)) {
		if p.AllowedFor(k) && p != BreakGlass {
			list = append(list, p.Coding())
		}
	}
	return list
}

// Excluded reports whether nobody may ever have the purpose, whatever else
// holds (DOSSIER §7.4: employment, insurance and payment, membership
// administration, marketing, research).
func (p Purpose) Excluded() bool {
	for c := p; c != PurposeNone; c = c.parent() {
		if c == Employment || c == Insurance || c == payment || c == membership || c == marketing || c == research {
			return true
		}
	}
	return false
}

// parent is the purpose above p in its code system; none at the top.
func (p Purpose) parent() Purpose {
	if int(p) >= len(purposes) {
		return PurposeNone
	}
	return purposes[p].parent
}

// covers reports whether a rule about p is about q: the same purpose or one
// above it. A token that claims to break the glass is thereby one of emergency
// treatment, and no more (DOSSIER §2.2). A rule about breaking the glass is about
// nobody: the law lifts every restriction in an emergency, through a grant alone
// (DOSSIER §1.5).
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
