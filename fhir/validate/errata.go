package validate

import "vitrine/fhir"

// severity is how bad it is that an element is missing. An error, but for the
// places where the definitions' own package (hl7.fhir.r4.examples 4.0.1) breaks
// the rule: the questionnaire qs1 leaves linkId out, ten search parameters of
// extensions have no base, and the specification's implementation guide has
// neither name nor status.
func severity(path string) fhir.Severity {
	switch path {
	case "Questionnaire.item.linkId", "SearchParameter.base", "ImplementationGuide.name", "ImplementationGuide.status":
		return fhir.SeverityWarning
	}
	return fhir.SeverityError
}
