package rest

import "context"

// read is R4 http.html#read.
func (s *Server) read(ctx context.Context, x *exchange) (answer, error) {
	shape, err := s.shapeOf(x)
	if err != nil {
		return answer{}, err
	}
	released, err := s.gate.Read(ctx, &x.request, x.request.Type, x.target.id)
	if err != nil {
		return answer{}, err
	}
	return one(released, x, shape), nil
}
