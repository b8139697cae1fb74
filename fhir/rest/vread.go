package rest

import "context"

// vread is R4 http.html#vread.
func (s *Server) vread(ctx context.Context, x *exchange) (answer, error) {
	shape, err := s.shapeOf(x)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Version(ctx, &x.request, x.request.Type, x.target.id, x.target.version)
	if err != nil {
		return answer{}, err
	}
	return one(released, x, shape), nil
}
