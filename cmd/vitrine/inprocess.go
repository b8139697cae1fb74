package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
)

// inProcess carries requests to a handler without a network: from this machine, or
// from the address that RemoteAddr of a request names.
type inProcess struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	inner := req.Clone(req.Context())
	inner.RequestURI, inner.RemoteAddr, inner.Host = req.URL.RequestURI(), cmp.Or(req.RemoteAddr, "127.0.0.1:0"), req.URL.Host
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	w := &answerWriter{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(w, inner)
	return &http.Response{
		StatusCode:    w.status,
		Status:        fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.header,
		Body:          io.NopCloser(&w.body),
		ContentLength: int64(w.body.Len()),
		Request:       req,
	}, nil
}

// answerWriter keeps an answer in memory.
type answerWriter struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *answerWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *answerWriter) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
}

// Write implements http.ResponseWriter.
func (w *answerWriter) Write(p []byte) (int, error) {
	w.wrote = true
	return w.body.Write(p)
}

// Flush implements http.Flusher.
func (w *answerWriter) Flush() {}
