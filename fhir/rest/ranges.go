package rest

import (
	"net/http"
	"strconv"
	"strings"

	"vitrine/consent/gate"
)

// span is the part of a file that is asked for (RFC 9110 §14). Without one end is -1,
// and the file is sent whole.
type span struct {
	start, end int64 // inclusive
	// outside says that the file has none of it.
	outside bool
}

// rangeOf reads one range of bytes of a file. Several at once, and what is not
// understood, are as if nothing was asked, as they may be.
func rangeOf(header string, size int64) span {
	whole := span{end: -1}
	list, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(list), "-")
	if !ok || !dash || strings.Contains(list, ",") {
		return whole
	}
	from, fromErr := strconv.ParseUint(first, 10, 62)
	to, toErr := strconv.ParseUint(last, 10, 62)
	start, end := int64(from), int64(to) //nolint:gosec // of 62 bits
	switch {
	case first == "" && toErr == nil: // the last so many
		start, end = max(size-end, 0), size-1
		if to == 0 {
			return span{outside: true}
		}
	case fromErr != nil || last != "" && (toErr != nil || end < start):
		return whole
	case last == "" || end >= size:
		end = size - 1
	}
	if start >= size {
		return span{outside: true}
	}
	return span{start: start, end: end}
}

// everythingThere is more than any file has.
const everythingThere = 1 << 62

// size is how many bytes are sent at most.
func (p span) size() int64 {
	if p.end < 0 {
		return everythingThere
	}
	return p.end - p.start + 1
}

// headers say which part of the file is sent, and how to come back for the rest.
func (p span) headers(f *gate.File) http.Header {
	h := http.Header{"Accept-Ranges": {"bytes"}, "Etag": {quotedTag(f)}}
	size, known := f.Size()
	of := strconv.FormatInt(size, 10)
	switch {
	case p.outside:
		return http.Header{"Content-Range": {"bytes */" + of}}
	case p.end >= 0:
		h["Content-Range"] = []string{"bytes " + strconv.FormatInt(p.start, 10) + "-" + strconv.FormatInt(p.end, 10) + "/" + of}
		h["Content-Length"] = []string{strconv.FormatInt(p.size(), 10)}
	case known:
		h["Content-Length"] = []string{of}
	}
	return h
}
