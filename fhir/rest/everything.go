package rest

import (
	"context"
	"net/http"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// everything is R4 patient-operation-everything.html: one patient's record, as
// much of it as exists for the caller.
func (s *Server) everything(ctx context.Context, x *exchange) (answer, error) {
	p, err := s.paging(x, "_count", "_type", "_since")
	if err != nil {
		return answer{}, err
	}
	page := gate.EverythingPage{Count: p.count, Cursor: p.cursor, Types: p.types}
	if !p.since.IsZero() {
		q, refusal := s.tools.Parser.Parse("Patient", []search.Pair{{Name: "_lastUpdated", Value: "ge" + fhir.FormatInstant(p.since)}}, false)
		if refusal != nil {
			return answer{}, refusal
		}
		page.Clauses = q.Clauses
	}
	released, err := s.gate.Everything(ctx, &x.request, x.target.id, page)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formSearchset, status: http.StatusOK, self: p.self, at: x.path, whole: p.cursor == ""}, nil
}
