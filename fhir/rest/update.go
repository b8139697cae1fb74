package rest

import (
	"context"
	"errors"

	"vitrine/consent/gate"
	"vitrine/fhir"
)

// update is R4 http.html#update.
func (s *Server) update(ctx context.Context, x *exchange) (answer, error) {
	if err := sameType(x.tape, x.request.Type); err != nil {
		return answer{}, err
	}
	if err := sameID(x.tape, x.target.id); err != nil {
		return answer{}, err
	}
	version, err := x.required()
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Update(ctx, &x.request, x.request.Type, x.target.id, x.content(), version)
	if errors.Is(err, gate.ErrNotFound) {
		err = &fault{problem: problemNothingToUpdate, of: err}
	}
	if err != nil {
		return answer{}, err
	}
	return written(released, x), nil
}

// updateWhere is R4 http.html#cond-update.
func (s *Server) updateWhere(ctx context.Context, x *exchange) (answer, error) {
	if err := sameType(x.tape, x.request.Type); err != nil {
		return answer{}, err
	}
	if id := x.tape.Field(x.tape.Root(), "id"); id != fhir.None && x.tape.Kind(id) != fhir.String {
		return answer{}, misplaced(x.tape, id, fhir.CodeInvalid, "Resource.id", "The id must be a string.")
	}
	version, err := x.required()
	if err != nil {
		return answer{}, err
	}
	q, err := s.condition(ctx, x.request.Type, x.query)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.UpdateWhere(ctx, &x.request, q, x.content(), version)
	if err != nil {
		return answer{}, err
	}
	return written(released, x), nil
}
