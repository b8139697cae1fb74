package rest

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
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
