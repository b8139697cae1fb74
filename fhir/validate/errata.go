package validate

import "vitrine/fhir"

// severity is how bad it is that a required element is missing, or a reference
// malformed: an error, but for the places where the definitions' own package
// (hl7.fhir.r4.examples 4.0.1) breaks the rule. The questionnaire qs1 leaves
// linkId out, ten search parameters of extensions have no base, and the
// specification's implementation guide has neither name nor status and lists a
// resource whose id is too long.
func severity(path string) fhir.Severity {
	switch path {
	case "Questionnaire.item.linkId", "SearchParameter.base", "ImplementationGuide.name", "ImplementationGuide.status",
		"ImplementationGuide.manifest.resource.reference":
		return fhir.SeverityWarning
	}
	return fhir.SeverityError
}
