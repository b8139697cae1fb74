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

// removeWhere is R4 http.html#3.1.0.7.1, conditional delete of one resource: a
// transaction of that one entry.
func (s *Server) removeWhere(ctx context.Context, x *exchange) (answer, error) {
	q, err := s.condition(x.request.Type, x.query)
	if err != nil {
		return answer{}, err
	}
	version, err := versionOf(x.conditions.ifMatch)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Transaction(ctx, &x.request, []gate.Entry{{
		Interaction: x.row.inner(), Type: x.request.Type, Query: q, IfMatch: version,
	}})
	if err != nil {
		return answer{}, withoutEntry(err)
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
