package oauth

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// refusal is an error of RFC 6749 §5.2 and its kin. What it says to the client is
// in it whole: descriptions are fixed sentences, and repeat nothing of a request.
type refusal struct {
	status      int
	code        string
	description string
	// retry is after how many seconds it may be tried again; 0 for never mind.
	retry int
	// scheme is the authentication scheme that was tried in vain, where that is not
	// Bearer.
	scheme string
}

// Error implements error.
func (r *refusal) Error() string { return r.code + ": " + r.description }

// The codes of errors (RFC 6749 §4.1.2.1 and §5.2, RFC 8707, OpenID Connect Core
// §3.1.2.6).
const (
	codeRequest          = "invalid_request"
	codeClient           = "invalid_client"
	codeGrant            = "invalid_grant"
	codeUnauthorized     = "unauthorized_client"
	codeGrantType        = "unsupported_grant_type"
	codeResponseType     = "unsupported_response_type"
	codeScope            = "invalid_scope"
	codeTarget           = "invalid_target"
	codeDenied           = "access_denied"
	codeToken            = "invalid_token"
	codeUnavailable      = "temporarily_unavailable"
	codeTokenType        = "unsupported_token_type"
	codeRequestObject    = "request_not_supported"
	codeRequestObjectURI = "request_uri_not_supported"
)

func badRequest(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: codeRequest, description: description}
}

// badGrant is said of every code, refresh token and assertion of a person that
// does not open anything.
func badGrant(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: codeGrant, description: description}
}

// badClient says that a client did not prove who it is, or may do nothing. Why is
// kept from it: who tries names learns nothing from the answer.
func badClient() *refusal {
	return &refusal{status: http.StatusUnauthorized, code: codeClient, description: "The client is not known, is not active, or did not prove who it is as it was registered to."}
}

func badScope(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: codeScope, description: description}
}

// unavailable says that it cannot be told.
func unavailable() *refusal {
	return &refusal{status: http.StatusServiceUnavailable, code: codeUnavailable, description: "The server cannot answer now. Try again in a moment.", retry: 1}
}

// asRefusal is what a client is told of an error: one that is none of ours says
// that there was a failure, and nothing else.
func asRefusal(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return unavailable()
}

// refuseJSON answers with an error as RFC 6749 §5.2 has it.
func refuseJSON(w http.ResponseWriter, r *refusal) {
	if r.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(r.retry))
	}
	if r.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", cmp.Or(r.scheme, "Bearer")+` realm="vitrine", error="`+r.code+`"`)
	}
	writeJSON(w, r.status, map[string]any{"error": r.code, "error_description": r.description})
}

// writeJSON answers with an object that is kept by nobody (RFC 6749 §5.1).
func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
