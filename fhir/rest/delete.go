package rest

import (
	"context"
	"net/http"

	"vitrine/consent/gate"
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

// removeWhere is R4 http.html#cdelete, of one resource.
func (s *Server) removeWhere(ctx context.Context, x *exchange) (answer, error) {
	q, err := s.condition(ctx, x.request.Type, x.query)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.DeleteWhere(ctx, &x.request, q)
	if err != nil {
		return answer{}, err
	}
	return removed(released, x), nil
}

// removed is the answer to a deletion: nothing, or the outcome the client
// prefers.
func removed(r gate.Released, x *exchange) answer {
	if x.prefer.returns == returnOutcome {
		return answer{released: r, form: formDone, status: http.StatusOK}
	}
	return answer{released: r, form: formEmpty, status: http.StatusNoContent}
}
