package rest

import (
	"context"
	"net/http"
	"strconv"

	"vitrine/consent/gate"
	"vitrine/fhir"
)

// remove is R4 http.html#delete.
func (s *Server) remove(ctx context.Context, x *exchange) (answer, error) {
	version, err := versionOf(x.conditions.ifMatch)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Delete(ctx, &x.request, x.request.Type, x.target.id, version)
	if err != nil {
		return answer{}, err
	}
	return removed(released, x), nil
}

// removeWhere is R4 http.html#cdelete.
func (s *Server) removeWhere(ctx context.Context, x *exchange) (answer, error) {
	version, err := versionOf(x.conditions.ifMatch)
	if err != nil {
		return answer{}, err
	}
	q, err := s.condition(ctx, x.request.Type, x.query)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.DeleteWhere(ctx, &x.request, q, version)
	if err != nil {
		return answer{}, err
	}
	return removed(released, x), nil
}

// removed is the answer to a deletion: nothing, or the outcome the client
// prefers; of several resources, how many they were.
func removed(r gate.Released, x *exchange) answer {
	if items := r.Items(); len(items) == 1 && items[0].Several && x.prefer.returns != returnMinimal {
		return answer{released: r, form: formDeleted, status: http.StatusOK}
	}
	if x.prefer.returns == returnOutcome {
		return answer{released: r, form: formDone, status: http.StatusOK}
	}
	return answer{released: r, form: formEmpty, status: http.StatusNoContent}
}

// deleted is the outcome of a deletion of several resources.
func deleted(n int) fhir.Issue {
	text := "Deleted " + strconv.Itoa(n) + " resources."
	if n == 1 {
		text = "Deleted 1 resource."
	}
	return fhir.Issue{Severity: fhir.SeverityInformation, Code: fhir.CodeInformational, Text: text}
}
