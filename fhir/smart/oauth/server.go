package oauth

import (
	"context"
	"errors"
	"net/http"
)

// Server is the authorization server. It is safe for concurrent use.
type Server struct {
	cfg Config
}

// errPending: there is no such request, its time is over, or another browser made
// it.
var errPending = errors.New("authorization request not found")

// pending returns the request that waits under the handle, if this browser made it.
func (s *Server) pending(ctx context.Context, r *http.Request, handle string) (*request, error) {
	return nil, errPending
}

// grant ends a request as the user decided and returns where the browser goes.
func (s *Server) grant(ctx context.Context, r *http.Request, handle string, d decision) (location string, err error) {
	return "", errPending
}

// decline ends a request with an error code of OAuth (access_denied, …) and
// returns where the browser goes.
func (s *Server) decline(ctx context.Context, r *http.Request, handle, code string) (location string, err error) {
	return "", errPending
}
