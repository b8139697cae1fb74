package oauth

import (
	"mime"
	"net/http"
	"net/url"
)

// form are the parameters of a request: each once at most (RFC 6749 §3.1), and
// not without bound.
type form struct{ values url.Values }

// get is a parameter; empty when it is not there. One without a value is as good
// as not there (RFC 6749 §3.1).
func (f form) get(name string) string { return f.values.Get(name) }

// twice is the name of a parameter that is there more than once; empty for none.
func (f form) twice() string {
	for name, all := range f.values {
		if len(all) > 1 {
			return name
		}
	}
	return ""
}

// readForm reads the body of a request to an endpoint. Parameters in the address
// are not looked at: they end up in logs.
func (x *exchange) readForm(w http.ResponseWriter) error {
	media, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return badRequest("The body must be application/x-www-form-urlencoded.")
	}
	x.r.Body = http.MaxBytesReader(w, x.r.Body, maxForm)
	if err := x.r.ParseForm(); err != nil {
		return badRequest("The form cannot be read, or is too large.")
	}
	x.form = form{x.r.PostForm}
	if x.form.twice() != "" {
		return badRequest("A parameter is there more than once.")
	}
	return nil
}
