package rest

import (
	"context"
	"net/http"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
)

// overseeing are the rows of the regulator's oversight. For everybody else there are
// no such operations.
func overseeing() []interaction {
	regulator := func(k consent.Kind) bool { return k == consent.Regulator }
	return []interaction{
		{name: "$review", method: http.MethodPost, pattern: onInstance + "/$review", letter: 'u', audit: "$review", write: true, body: bodyResource, only: "Task", whose: regulator, handle: (*Server).review},
		{name: "$break-glass-report", method: http.MethodGet, pattern: onType + "/$break-glass-report", letter: 's', audit: "$break-glass-report", only: "AuditEvent", whose: regulator, table: true, handle: (*Server).breakGlassReport},
		{name: "$break-glass-report", method: http.MethodPost, pattern: onType + "/$break-glass-report", letter: 's', audit: "$break-glass-report", body: bodyOptional, only: "AuditEvent", whose: regulator, table: true, handle: (*Server).breakGlassReport},
	}
}

// review is Task/[id]/$review: 200 and the Task, or as Prefer has it.
func (s *Server) review(ctx context.Context, x *exchange) (answer, error) {
	version, err := versionOf(x.conditions.ifMatch)
	if err != nil {
		return answer{}, err
	}
	var r gate.ReviewRequest
	if err := readParameters(x.tape, func(name string, p fhir.Node) error {
		return reviewParameter(&r, x.tape, name, p)
	}); err != nil {
		return answer{}, err
	}
	released, err := s.gate.Review(ctx, &x.request, x.target.id, r, version)
	if err != nil {
		return answer{}, err
	}
	return written(released, x), nil
}

// reviewParameter reads one parameter of $review. What it may be is the gate's to
// say; here is only its form.
func reviewParameter(r *gate.ReviewRequest, t *fhir.Tape, name string, p fhir.Node) error {
	switch name {
	case "state":
		v := t.Field(p, "valueCode")
		if t.Kind(v) != fhir.String || t.Text(v) == "" {
			return parameterError(t, p, "state must have a valueCode.")
		}
		r.State = gate.ReviewState(t.Text(v))
	case "owner":
		v := t.Field(p, "valueReference")
		identifier := t.Field(v, "identifier")
		r.Owner = t.Text(t.Field(v, "reference"))
		r.OwnerIdentifier = fhir.Identifier{System: t.Text(t.Field(identifier, "system")), Value: t.Text(t.Field(identifier, "value"))}
		if (r.Owner == "") == (r.OwnerIdentifier.Value == "") {
			return parameterError(t, p, "owner must have a valueReference, with a reference or an identifier.")
		}
	case "comment":
		v := t.Field(p, "valueString")
		if t.Kind(v) != fhir.String || t.Text(v) == "" {
			return parameterError(t, p, "comment must have a valueString.")
		}
		r.Comment = t.Text(v)
	default:
		return parameterError(t, p, "Known parameters are state, owner and comment.")
	}
	return nil
}
