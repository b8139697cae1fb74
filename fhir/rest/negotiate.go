package rest

import (
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

const (
	mediaFHIR = "application/fhir+json"
	mediaJSON = "application/json"
	mediaText = "text/plain"
	mediaForm = "application/x-www-form-urlencoded"
	// mediaPatch is that of a JSON Patch (RFC 6902 §6).
	mediaPatch = "application/json-patch+json"
)

// preference is the Prefer header (R4 http.html#ops, search.html#lenient).
type preference struct {
	returns returns
	lenient bool
}

// returns is Prefer: return. The zero value leaves it to the server: the
// resource after a single write, headers alone within a Bundle.
type returns uint8

const (
	returnUnsaid returns = iota
	returnMinimal
	returnRepresentation
	returnOutcome
)

// conditions are the conditional headers, of a request or of a Bundle entry.
type conditions struct {
	ifMatch         string
	ifNoneMatch     string
	ifModifiedSince string
	// ifUnmodifiedSince is of HTTP alone: nothing in a Bundle says so.
	ifUnmodifiedSince string
	ifNoneExist       string
	// unless says that there is an If-None-Exist, which may be empty.
	unless bool
	// ranges and ifRange ask for a part of a file.
	ranges, ifRange string
}

// negotiate is the phase that settles in what form the answer goes out, and
// reads the headers that shape it.
func (x *exchange) negotiate(r *http.Request) error {
	h := r.Header
	format, err := x.scan()
	if err != nil {
		return err
	}
	if x.row.table && format == mediaTable {
		x.table = true
	} else if format != "" {
		if !formatFits(format) {
			return refuse(problemNotAcceptable)
		}
	} else if x.row.table && asksTable(h["Accept"]) {
		x.table = true
	} else if !accepts(h["Accept"]) && !x.row.beside {
		if x.unfit = true; !x.row.anyway {
			return refuse(problemNotAcceptable)
		}
	}
	x.plain = x.unfit && plainText(h["Accept"])
	x.prefer, x.languages = preferenceOf(h["Prefer"]), first(h["Accept-Language"])
	x.conditions = conditions{
		ifMatch:         first(h["If-Match"]),
		ifNoneMatch:     strings.Join(h["If-None-Match"], ","),
		ifModifiedSince: first(h["If-Modified-Since"]),

		ifUnmodifiedSince: first(h["If-Unmodified-Since"]),
		ifNoneExist:       first(h["If-None-Exist"]),
		unless:            len(h["If-None-Exist"]) > 0,

		ranges:  first(h["Range"]),
		ifRange: first(h["If-Range"]),
	}
	if x.row.letter == 's' || len(x.row.only) > 0 || x.row.alone {
		x.request.Header = auditHeader(h)
	}
	return nil
}

// first is the value of a header that stands once.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// scan looks for _format and _pretty in the query (R4 http.html#parameters).
func (x *exchange) scan() (format string, err error) {
	for rest := x.query; rest != ""; {
		var one string
		one, rest, _ = strings.Cut(rest, "&")
		if len(one) < 7 || (one[0] != '_' && one[0] != '%') {
			continue
		}
		p, err := pair(one)
		if err != nil {
			return "", err
		}
		switch p.Name {
		case "_format":
			format = p.Value
		case "_pretty":
			x.pretty = p.Value == "true"
		}
	}
	return format, nil
}

// pair decodes one parameter of a query or a form.
func pair(s string) (search.Pair, error) {
	name, value, _ := strings.Cut(s, "=")
	name, err := unescape(name)
	if err != nil {
		return search.Pair{}, err
	}
	value, err = unescape(value)
	return search.Pair{Name: name, Value: value}, err
}

func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	out, err := url.QueryUnescape(s)
	if err != nil {
		return "", refuse(problemQuery)
	}
	return out, nil
}

// pairs are the parameters of a query or a form, decoded, in their order,
// without those that are about the form of the answer.
func pairs(dst []search.Pair, query string) ([]search.Pair, error) {
	for query != "" {
		var one string
		one, query, _ = strings.Cut(query, "&")
		if one == "" {
			continue
		}
		p, err := pair(one)
		if err != nil {
			return nil, err
		}
		if p.Name != "_format" && p.Name != "_pretty" {
			dst = append(dst, p)
		}
	}
	return dst, nil
}

// formatFits reports whether a _format can be met. The plus of a media type is
// often left unescaped and arrives as a space.
func formatFits(format string) bool {
	if format == "json" || format == "text/json" {
		return true
	}
	media, params, err := mime.ParseMediaType(strings.Replace(format, "fhir json", "fhir+json", 1))
	return err == nil && (media == mediaFHIR || media == mediaJSON) && versionFits(params)
}

// accepts reports whether any of the media types a client names can be sent.
// What most clients send is known without parsing.
func accepts(accept []string) bool {
	for _, line := range accept {
		switch line {
		case "", "*/*", mediaFHIR, mediaJSON:
			return true
		}
		for one := range strings.SplitSeq(line, ",") {
			if acceptable(one) {
				return true
			}
		}
	}
	return len(accept) == 0
}

// acceptable judges one media range (RFC 9110 §12.5.1).
func acceptable(one string) bool {
	if strings.TrimSpace(one) == "" {
		return false
	}
	media, params, err := mime.ParseMediaType(one)
	if err != nil {
		return false
	}
	if q, given := params["q"]; given {
		if weight, err := strconv.ParseFloat(q, 64); err != nil || weight <= 0 {
			return false
		}
	}
	switch media {
	case "*/*", "application/*", mediaFHIR, mediaJSON, "text/json", "application/json+fhir":
		return versionFits(params)
	default:
		return false
	}
}

// plainText reports whether a client names plain text.
func plainText(accept []string) bool {
	for _, line := range accept {
		for one := range strings.SplitSeq(line, ",") {
			if media, _, err := mime.ParseMediaType(one); err == nil && media == mediaText {
				return true
			}
		}
	}
	return false
}

// versionFits judges the fhirVersion parameter (R4 http.html#version-parameter).
func versionFits(params map[string]string) bool {
	switch params["fhirversion"] {
	case "", "4.0", "4.0.1":
		return true
	default:
		return false
	}
}

// mediaType is what the body of a request must be.
func mediaType(kind bodyKind, h http.Header, size int) error {
	given := h.Get("Content-Type")
	if size == 0 && given == "" && (kind == bodyForm || kind == bodyOptional) {
		return nil
	}
	if given == mediaFHIR && kind != bodyForm && kind != bodyJSON {
		return nil
	}
	problem := problemMediaType
	if kind == bodyPatch {
		problem = problemPatchType
	}
	media, params, err := mime.ParseMediaType(given)
	if err != nil || !versionFits(params) {
		return refuse(problem)
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return refuse(problem)
	}
	fits := media == mediaFHIR || media == mediaJSON
	switch kind {
	case bodyForm:
		fits = media == mediaForm
	case bodyPatch:
		fits = fits || media == mediaPatch
	case bodyJSON:
		fits = media == mediaJSON
	case bodyNote:
		fits = fits || media == mediaText
	case bodyNone, bodyResource, bodyOptional, bodyBundle:
	}
	if !fits {
		return refuse(problem)
	}
	return nil
}

// preferenceOf reads Prefer (RFC 7240). What is not understood is ignored, as
// it says, and case does not matter.
func preferenceOf(lines []string) (p preference) {
	for _, line := range lines {
		for one := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ',' || r == ';' }) {
			switch strings.ToLower(strings.ReplaceAll(strings.TrimSpace(one), `"`, "")) {
			case "return=minimal":
				p.returns = returnMinimal
			case "return=representation":
				p.returns = returnRepresentation
			case "return=operationoutcome":
				p.returns = returnOutcome
			case "handling=lenient":
				p.lenient = true
			case "handling=strict":
				p.lenient = false
			}
		}
	}
	return p
}

// auditHeader is what the record of a search says of its headers.
func auditHeader(h http.Header) string {
	var b strings.Builder
	for _, name := range [...]string{"Accept", "Prefer"} {
		for _, v := range h[name] {
			b.WriteString(name + ": " + v + "\n")
		}
	}
	return b.String()
}

// versionOf reads an entity tag as a version id: W/"1", "1", or nothing. R4's
// own are weak (http.html#versioning).
func versionOf(tag string) (version string, err error) {
	tag = strings.TrimSpace(tag)
	if tag == "" {
		return "", nil
	}
	inner, ok := strings.CutPrefix(strings.TrimPrefix(tag, "W/"), `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	if !ok || !closed || !fhir.ValidID(inner) {
		return "", refuse(problemHeader)
	}
	return inner, nil
}

// unlessThere reports whether If-None-Match says that there must be nothing.
func (c *conditions) unlessThere() bool { return strings.TrimSpace(c.ifNoneMatch) == "*" }

// fit refuses a write with a condition that is not one of its own: to overlook it
// might overwrite what the client meant to spare.
func (c *conditions) fit(name string) error {
	switch {
	case c.ifNoneMatch != "" && (name != "update" || !c.unlessThere()):
		return refuse(problemIfNoneMatch)
	case c.ifMatch != "" && name == "create", c.unless && name != "create", c.ifUnmodifiedSince != "":
		return refuse(problemPreconditions)
	default:
		return nil
	}
}

// required is the version that an update requires to be there, or that there be
// none.
func (x *exchange) required() (version string, err error) {
	c := &x.conditions
	if x.row.name != "update" || !c.unlessThere() {
		return versionOf(c.ifMatch)
	}
	if c.ifMatch != "" {
		return "", refuse(problemHeader)
	}
	return gate.Absent, nil
}

// unchanged answers a conditional read (R4 http.html#cread). It is asked only
// once the resource was released.
func (c *conditions) unchanged(r *fhir.Resource) bool {
	if c.ifNoneMatch != "" {
		for one := range strings.SplitSeq(c.ifNoneMatch, ",") {
			one = strings.TrimSpace(one)
			if one == "*" {
				return true
			}
			if v, err := versionOf(one); err == nil && v != "" && v == r.Version {
				return true
			}
		}
		return false
	}
	if c.ifModifiedSince == "" {
		return false
	}
	since, err := http.ParseTime(c.ifModifiedSince)
	if err != nil {
		since, err = time.Parse(time.RFC3339Nano, c.ifModifiedSince) // as a Bundle entry has it
	}
	return err == nil && !r.Updated.Truncate(time.Second).After(since)
}
