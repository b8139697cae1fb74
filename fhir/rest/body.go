package rest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"

	"vitrine/fhir"
)

// errTooLarge: a body is too large once it is unpacked.
var errTooLarge = errors.New("body too large")

// unpacked is the body without its Content-Encoding, of which gzip alone is
// known. What comes out is bounded like what comes in: a small body must not
// become a large one in memory.
func unpacked(body io.Reader, h http.Header, limit int64) (io.Reader, error) {
	switch e := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding"))); e {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		return &bounded{r: z, left: limit}, nil
	default:
		return nil, refuse(problemMediaType)
	}
}

// bounded reads at most so many bytes, and fails when there are more.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// bodyFault says what is wrong with a body that cannot be read to its end. A
// client that stalls has run into the deadline of its connection: it is told so
// and the connection is closed (RFC 9110 §15.5.9).
func bodyFault(w http.ResponseWriter, err error) error {
	large, known := (*http.MaxBytesError)(nil), (*fault)(nil)
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &large), errors.Is(err, errTooLarge):
		return refuse(problemTooLarge)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header()["Connection"] = []string{"close"}
		return refuse(problemTimeout)
	default:
		return refuse(problemBody)
	}
}

// byteOrderMark opens what some clients send as UTF-8; RFC 8259 §8.1 lets a
// reader overlook it.
//
//nolint:gochecknoglobals // never changed
var byteOrderMark = []byte("\ufeff")

// receive reads and parses the body the interaction asks for.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, x *exchange) error {
	if x.row.body == bodyNone {
		return nil
	}
	body, err := s.readBody(w, r, x.row.body)
	if err != nil {
		return err
	}
	// A client takes as long over a body as it likes: nobody's look is put before an
	// export of the record that way, nor decided by what was on file then.
	x.request.Now = s.cfg.Now()
	body = bytes.TrimPrefix(body, byteOrderMark)
	x.body = body
	if err := mediaType(x.row.body, r.Header, len(body)); err != nil {
		return err
	}
	if x.row.body == bodyForm || x.row.body == bodyNote && plainText(r.Header["Content-Type"]) || (x.row.body == bodyOptional && len(body) == 0) {
		return nil
	}
	if x.row.body == bodyPatch && patchesJSON(r.Header) {
		x.changes, err = s.jsonPatch(body)
		return err
	}
	if x.row.body == bodyPatch && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		return wrong(fhir.Issue{
			Severity: fhir.SeverityError, Code: fhir.CodeStructure, Detail: "invalid",
			Text: "A list of operations is a JSON Patch, and is sent as " + mediaPatch + ".",
		})
	}
	x.tape = s.tape()
	if err := x.tape.Parse(body, s.tapeLimits(x.row.body)); err != nil || x.row.body != bodyPatch {
		return err
	}
	x.changes, err = s.pathPatch(x.tape)
	return err
}

// readBody reads at most as much as the interaction allows. A client that says
// it will send much does not get memory for it before it does.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, kind bodyKind) ([]byte, error) {
	const trusted = 1 << 20
	limited, err := unpacked(http.MaxBytesReader(w, r.Body, s.bodyLimit(kind)), r.Header, s.bodyLimit(kind))
	if err != nil {
		return nil, bodyFault(w, err)
	}
	buf := make([]byte, 0, min(max(r.ContentLength, 511), trusted)+1)
	for {
		n, err := limited.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return nil, bodyFault(w, err)
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}
