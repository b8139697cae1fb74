package gate

import (
	"context"
	"net/http"
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/validate"
)

// valid holds content against the rules of R4 and the server's profiles. What is
// refused is told with all that was found; of what is taken errors alone are
// looked for, unless the client wants to hear the rest.
func (v *visit) valid(ctx context.Context, t fhir.ResourceType, c Content) (noticed []fhir.Issue, err error) {
	issues, err := v.checked(ctx, c.Tape, !c.Report, nil)
	if err != nil {
		return nil, err
	}
	if severe(issues) {
		if !c.Report && !slices.ContainsFunc(issues, costly) {
			if issues, err = v.checked(ctx, c.Tape, false, nil); err != nil {
				return nil, err
			}
		}
		return nil, &Invalid{Status: refusedAs(issues), Issues: issues}
	}
	if t == "StructureDefinition" && v.g.cfg.Validation == validate.LevelFull { // else nothing is held against it
		return issues, v.profiles().profiling(ctx, c.Tape)
	}
	return issues, nil
}

// checked is what the validator says of content; claimed are profiles beyond those
// that it claims.
func (v *visit) checked(ctx context.Context, t *fhir.Tape, errorsOnly bool, claimed []string) ([]fhir.Issue, error) {
	p := v.profiles()
	how := validate.How{
		Level: v.g.cfg.Validation, ErrorsOnly: errorsOnly, Now: v.now,
		National: v.g.tools.Basic.IdentifierSystems(), Codes: v.g.hasCode, Profiles: p.find(ctx), Claimed: claimed,
	}
	if v.req.Interaction.Code == validation {
		how.Level = validate.LevelFull
	}
	issues := v.g.tools.Validator.Check(t, how)
	if err := p.failure(); err != nil {
		return nil, v.g.failed(ctx, err)
	}
	return issues, nil
}

// validation is the operation that asks for everything, however little the server
// asks of what is written.
const validation = "$validate"

// costly reports whether an issue is that something takes too much to check.
func costly(i fhir.Issue) bool { return i.Code == fhir.CodeTooCostly }

// severe reports whether some issue forbids to store the resource.
func severe(issues []fhir.Issue) bool {
	for _, i := range issues {
		if i.Severity == fhir.SeverityError || i.Severity == fhir.SeverityFatal {
			return true
		}
	}
	return false
}

// refusedAs is the status of content that is refused: 400 when it breaks a rule
// of R4, 422 when it breaks the server's own and those of its profiles alone (R4 http.html#create).
func refusedAs(issues []fhir.Issue) int {
	for _, i := range issues {
		if i.Severity != fhir.SeverityError && i.Severity != fhir.SeverityFatal {
			continue
		}
		if i.Code != fhir.CodeBusinessRule && i.Detail != validate.DetailProfile {
			return http.StatusBadRequest
		}
	}
	return statusBusiness
}

// hasCode says whether a code system that comes with R4 has a code.
func (g *Gate) hasCode(system, code string) (in, known bool) {
	codes, known := g.tools.Codes.CodeSystem(system)
	_, in = slices.BinarySearch(codes, code)
	return in, known
}
