package relation

import (
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
)

// The code systems of examination codes.
const (
	// SystemVisit holds #employment-examination and #insurance-examination.
	SystemVisit  = consent.Canon + "/CodeSystem/nehr-visit"
	systemICD10  = "http://hl7.org/fhir/sid/icd-10"
	systemICD10C = "http://hl7.org/fhir/sid/icd-10-cm"
)

// examinations mark a visit as made for an employer or an insurer. Such a visit
// is no care, and registers nobody (DOSSIER §7.4, G7).
//
//nolint:gochecknoglobals // a table that never changes
var examinations = [...]fhir.Coding{
	{System: SystemVisit, Code: "employment-examination"},
	{System: SystemVisit, Code: "insurance-examination"},
	{System: consent.SystemPurpose, Code: "EMPLOYMENT"},
	{System: consent.SystemPurpose, Code: "INSURANCE"},
	{System: systemICD10, Code: "Z02.1"},  // pre-employment examination
	{System: systemICD10, Code: "Z02.6"},  // examination for insurance purposes
	{System: systemICD10C, Code: "Z02.1"}, // pre-employment examination
	{System: systemICD10C, Code: "Z02.6"}, // examination for insurance purposes
}

// flagged reports whether a coding of the visit's class, type, service type or
// reason, or a tag, says that it was such an examination.
func flagged(t *fhir.Tape, root fhir.Node) bool {
	if examination(t, t.Field(root, "class")) {
		return true
	}
	for _, name := range [...]string{"type", "reasonCode"} {
		for n := t.First(t.Field(root, name)); n != fhir.None; n = t.Next(n) {
			if anyExamination(t, t.Field(n, "coding")) {
				return true
			}
		}
	}
	return anyExamination(t, t.Field(t.Field(root, "serviceType"), "coding")) ||
		anyExamination(t, t.Field(t.Field(root, "meta"), "tag"))
}

func anyExamination(t *fhir.Tape, codings fhir.Node) bool {
	for n := t.First(codings); n != fhir.None; n = t.Next(n) {
		if examination(t, n) {
			return true
		}
	}
	return false
}

func examination(t *fhir.Tape, coding fhir.Node) bool {
	return slices.Contains(examinations[:], fhir.Coding{
		System: t.Text(t.Field(coding, "system")),
		Code:   t.Text(t.Field(coding, "code")),
	})
}
