package rest

import (
	"context"
	"net/http"
)

// Browsers ask before they let an app of another origin use the server (the
// Fetch standard's CORS). Every origin may: what opens a record is the bearer
// token, which no browser adds by itself, and never a cookie, so an origin says
// nothing about who is asking.
//
//nolint:gochecknoglobals // never changed
var (
	valueAnyOrigin = []string{"*"}
	valueExposed   = []string{"Accept-Patch, Accept-Ranges, Content-Location, Content-Range, ETag, Last-Modified, Location, Retry-After, WWW-Authenticate, X-Progress, X-Request-Id"}
	valueMethods   = []string{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
	valueHeaders   = []string{"Accept, Authorization, Content-Encoding, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-Request-Id, *"}
	valueDay       = []string{"86400"}
	valuePatches   = []string{mediaPatch + ", " + mediaFHIR}
)

// shareWith lets a browser show the answer to the app that asked.
func shareWith(h http.Header) {
	h["Access-Control-Allow-Origin"] = valueAnyOrigin
	h["Access-Control-Expose-Headers"] = valueExposed
}

// preflight answers a browser's question, the same for every address below the
// base: it says nothing about what is there.
func (s *Server) preflight(context.Context, *exchange) (answer, error) {
	return answer{form: formNothing, status: http.StatusNoContent}, nil
}

// permit adds what a preflight may be told.
func permit(h http.Header) {
	h["Allow"] = valueMethods
	h["Accept-Patch"] = valuePatches
	h["Access-Control-Allow-Methods"] = valueMethods
	h["Access-Control-Allow-Headers"] = valueHeaders
	h["Access-Control-Max-Age"] = valueDay
}
