package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/restriction"
	"vitrine/fhir"
	"vitrine/store"
)

// Proposal is what $validate is asked about (R4 resource-operation-validate.html).
type Proposal struct {
	// ID is the resource addressed; empty when its type is.
	ID string
	// Content is what is to be checked; without it, what is on file is.
	Content Content
	Intent  Intent
	// Profiles are to be checked against beyond those that the content claims.
	Profiles []string
}

// Intent is the mode of $validate: what the caller would do with the content. The
// zero value names nothing.
type Intent uint8

// The intents (R4 valueset-resource-validation-mode).
const (
	IntentNone Intent = iota
	IntentCreate
	IntentUpdate
	IntentDelete
	IntentProfile
)

// Validate answers $validate. A resource that is addressed must be there for the
// caller, as for a read: whatever is meant to be done with it, nothing is said
// about another. Of content alone who may contribute it may ask, so that a
// system without a person behind it can try what it is about to send.
func (g *Gate) Validate(ctx context.Context, req *Request, t fhir.ResourceType, p Proposal) (Released, error) {
	v, err := g.open(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	in := req.Interaction
	in.Write = p.ID == ""
	if err := v.admit(ctx, in, t); err != nil {
		return Released{}, err
	}
	if len(p.Profiles) > claimedMost {
		return Released{}, invalid(http.StatusBadRequest, fhir.CodeTooCostly,
			fmt.Sprintf("$validate may be asked about %d profiles at most", claimedMost), "")
	}
	if p.ID != "" {
		return v.validateInstance(ctx, t, &p)
	}
	if p.Content.Tape == nil {
		return Released{}, invalid(http.StatusBadRequest, fhir.CodeRequired, "a resource is required", "")
	}
	issues, err := v.proposed(ctx, t, p.Content.Tape, &p)
	if err != nil {
		return Released{}, err
	}
	return v.record(ctx, Released{issues: issues, total: -1}, []audit.Event{v.event()})
}

// validateInstance is Validate of a resource that is addressed.
func (v *visit) validateInstance(ctx context.Context, t fhir.ResourceType, p *Proposal) (Released, error) {
	f, u, err := v.find(ctx, t, p.ID, func(v *visit, u *consent.Universe) (store.Found, error) {
		return v.reader.Read(ctx, u, t, p.ID)
	})
	if err != nil {
		return Released{}, err
	}
	v.notes.entities = []string{versioned(f.Resource)}
	events, err := v.concerning(ctx, u, f.Patients)
	if err != nil {
		return Released{}, v.g.failed(ctx, err)
	}
	out := Released{total: -1}
	switch {
	case p.Intent == IntentDelete:
		out.issues = allRight(nil)
	case p.Content.Tape != nil:
		out.issues, err = v.proposed(ctx, t, p.Content.Tape, p)
	default:
		err = v.g.parsed(f, func(_ store.Found, tape *fhir.Tape) (err error) {
			p.Intent = IntentProfile // it is on file: nothing would be done with it
			out.issues, err = v.proposed(ctx, t, tape, p)
			return err
		})
	}
	if err != nil {
		return Released{}, v.g.failed(ctx, err)
	}
	return v.record(ctx, out, events)
}

// proposed is all that is to be said of content: by R4, by profiles, and, if it
// is to be written, by the server's own rules.
func (v *visit) proposed(ctx context.Context, t fhir.ResourceType, tape *fhir.Tape, p *Proposal) ([]fhir.Issue, error) {
	issues, err := v.checked(ctx, tape, false, p.Profiles)
	if err != nil {
		return nil, err
	}
	if p.Intent == IntentUpdate && p.ID != "" {
		issues = append(issues, otherID(t, tape, p.ID)...)
	}
	if p.Intent != IntentProfile {
		issues = append(issues, v.unlawful(t, tape)...)
		if t == "StructureDefinition" && !severe(issues) {
			err := v.profiles().profiling(ctx, tape)
			if problem := (*Invalid)(nil); errors.As(err, &problem) {
				issues, err = append(issues, problem.Issues...), nil
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return allRight(issues), nil
}

// unlawful is what the server's own rules have against content, as far as the
// content alone can tell.
func (v *visit) unlawful(t fhir.ResourceType, tape *fhir.Tape) []fhir.Issue {
	if t == "AuditEvent" {
		return []fhir.Issue{errorIssue(fhir.CodeNotSupported, "the record of access is written by the server alone", string(t))}
	}
	err := v.unlabelled(t, labels(tape), nil)
	if err == nil {
		err = v.contentRules(t, tape)
	}
	if problem := (*Invalid)(nil); errors.As(err, &problem) {
		return problem.Issues
	}
	return nil
}

// contentRules holds content that clients may not write as they please against
// the rules of its type.
func (v *visit) contentRules(t fhir.ResourceType, tape *fhir.Tape) error {
	switch {
	case t == "SearchParameter" && v.caller.Kind == consent.Custodian:
		if _, problem := v.g.definition(tape); problem != nil {
			return problem
		}
	case t == "Consent" && v.caller.Kind != consent.Custodian:
		if _, problem := restriction.Compile(tape, v.g.tools.Definitions, v.g.cfg.BaseURL, ""); problem != nil {
			return &Invalid{Status: statusBusiness, Issues: problem.Issues}
		}
	case t == "Basic" && v.caller.Kind != consent.Regulator && isDirective(tape):
		return invalid(statusBusiness, fhir.CodeBusinessRule, "a directive is the regulator's to propose, and from anybody else would have no effect", "Basic.code")
	}
	return nil
}

// allRight is the report of $validate, which says so when all is well.
func allRight(issues []fhir.Issue) []fhir.Issue {
	if len(issues) > 0 {
		return issues
	}
	return []fhir.Issue{{Severity: fhir.SeverityInformation, Code: fhir.CodeInformational, Text: "All OK: nothing was found to be wrong."}}
}
