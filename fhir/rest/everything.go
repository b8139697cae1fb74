package rest

import (
	"context"
	"net/http"

	"vitrine/consent/gate"
)

// everything is R4 patient-operation-everything.html: one patient's record, as
// much of it as exists for the caller.
func (s *Server) everything(ctx context.Context, x *exchange) (answer, error) {
	p, err := s.paging(x, "_count", "_type", "_since")
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Everything(ctx, &x.request, x.target.id,
		gate.EverythingPage{Count: p.count, Cursor: p.cursor, Types: p.types, Clauses: p.since})
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formSearchset, status: http.StatusOK, self: p.self, at: x.path, whole: p.cursor == ""}, nil
}
