package rest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"

	"vitrine/consent/gate"
	"vitrine/consent/plain"
	"vitrine/fhir"
	"vitrine/fhir/subset"
)

// form says what is made of an answer.
type form uint8

const (
	formEmpty       form = iota // headers alone
	formResource                // the one resource released, its exact bytes
	formUnchanged               // 304
	formDone                    // an OperationOutcome that says all is well
	formDeleted                 // an OperationOutcome that says how much was deleted
	formMeta                    // Parameters with the meta of the one resource released
	formSearchset               // a Bundle of matches
	formHistory                 // a Bundle of versions
	formTransaction             // a transaction-response
	formGrant                   // Parameters of $break-glass
	formAccess                  // Parameters of $access
	formLog                     // Parameters about the log of accesses
	formLogNote                 // its checkpoint as it is signed
	formLogRaw                  // pieces of it
	formIssues                  // the OperationOutcome of $validate
	formVisits                  // Parameters of $access-history
	formOutlook                 // Parameters of $simulate
	formExplanation             // Parameters of $explain
	formBatch                   // a batch-response, put together from answers
	formStatic                  // bytes that say nothing about a record
	formReport                  // Parameters of $break-glass-report
	formReportTable             // the same as a table
	formNothing                 // headers alone that say nothing about a record
	formManifest                // the JSON that says where the files of an export are
	formFile                    // a file of an export
)

// bare reports whether the answer is headers alone.
func (f form) bare() bool { return f == formEmpty || f == formUnchanged || f == formNothing }

// answer is what a handler hands to respond: what was released, and what is to
// be made of it.
type answer struct {
	released gate.Released
	form     form
	status   int
	// self is the query of the self link and at the place of the Bundle below
	// the base.
	self, at string
	// cursor is the one that led to the page; empty for the first.
	cursor string
	// shape is how much of each resource is sent; nil for the whole.
	shape *subset.Form
	// whole says that without a next page the Bundle has all there is.
	whole bool
	// created says that the resource is new, and located that the answer is
	// about what a write left, and names its address.
	created, located bool
	// version is that of what a formStatic answer tells; empty for none.
	version string
	// text is the body of formStatic, and media its type where that is not FHIR
	// JSON.
	text  []byte
	media []string
	// kind is the type of a body that is made of what was released and is not FHIR
	// JSON.
	kind []string
	// parts appends the body of formBatch, which is made as it goes out: flush
	// takes what is there so far off its hands.
	parts func(dst []byte, flush func([]byte) []byte) []byte
	// headers are more of them.
	headers http.Header
	// pour writes the body of formFile.
	pour func(write func([]byte) error) error
	// done is what formDone says; empty for that the request was carried out.
	done string
	// speaker says what is told in plain words; nil for all else.
	speaker *plain.Speaker
	// entries are those a transaction was asked for, and conditions theirs.
	entries    []gate.Entry
	conditions []conditions
	returns    returns
}

// one answers with the one resource released, or with as much of it as is asked
// for, or with 304 when the client has it already.
func one(r gate.Released, x *exchange, shape *subset.Form) answer {
	a := answer{released: r, form: formResource, status: http.StatusOK, shape: shape}
	if items := r.Items(); len(items) == 1 && x.conditions.unchanged(&items[0].Resource) {
		a.form, a.status = formUnchanged, http.StatusNotModified
	}
	return a
}

// written answers a create or an update (R4 http.html#create, #update). Where
// the client says nothing it gets back what it wrote: many count on it, and it
// is their own (ACCESS §4).
func written(r gate.Released, x *exchange) answer {
	a := answer{released: r, form: formEmpty, status: http.StatusOK, created: r.Created(), located: true}
	if a.created {
		a.status = http.StatusCreated
	}
	switch x.prefer.returns {
	case returnUnsaid, returnRepresentation:
		if items := r.Items(); len(items) == 1 && len(items[0].Resource.JSON) > 0 { // a condition that matched gives nothing back
			a.form = formResource
		}
	case returnOutcome:
		a.form = formDone
	case returnMinimal:
	}
	return a
}

// withheld reports whether the answer lacks what it would have to rest on.
func (a *answer) withheld() bool {
	if a.form == formStatic || a.form == formBatch || a.form == formNothing {
		return false
	}
	if a.form == formResource || a.form == formUnchanged || a.form == formMeta {
		return len(a.released.Items()) != 1
	}
	return !a.released.Valid() || a.form == formOutlook && a.released.Outlook() == nil || a.form == formExplanation && a.released.Explanation() == nil
}

// subject is the resource whose version the headers name; nil when there is
// none.
func (a *answer) subject() *fhir.Resource {
	if !a.form.bare() && a.form != formResource && a.form != formDone {
		return nil
	}
	items := a.released.Items()
	if len(items) != 1 || items[0].Resource.Version == "" || items[0].Resource.Deleted {
		return nil
	}
	return &items[0].Resource
}

// Header values that are the same on every answer are shared, to spare the read
// path their allocation; nothing changes them.
//
//nolint:gochecknoglobals // never changed
var (
	valueFHIR    = []string{"application/fhir+json; charset=utf-8"}
	valueNoStore = []string{"no-store, private"}
	valueVary    = []string{"Authorization"}
	valueNDJSON  = []string{mediaNDJSON}
	valuePlain   = []string{"text/plain; charset=utf-8"}
	valueBytes   = []string{"application/octet-stream"}
)

// respond is the one place that writes an answer.
func (s *Server) respond(w http.ResponseWriter, x *exchange, a answer) {
	if a.withheld() {
		s.fail(w, x, gate.ErrUnavailable)
		return
	}
	h := w.Header()
	if x.row.name == "preflight" {
		permit(h)
	}
	if r := a.subject(); r != nil {
		h["Etag"] = x.value(`W/"` + r.Version + `"`)
		h["Last-Modified"] = x.value(r.Updated.UTC().Format(http.TimeFormat))
		if a.located {
			at := []string{s.location(r)}
			h["Content-Location"] = at
			if x.row.name == "create" || a.created {
				h["Location"] = at
			}
		}
	}
	if a.version != "" {
		h["Etag"] = x.value(`W/"` + a.version + `"`)
	}
	maps.Copy(h, a.headers)
	switch {
	case a.form == formFile:
		s.pour(w, x, &a)
	case a.form.bare():
		s.write(w, x, a.status, nil, nil)
	case a.parts != nil:
		s.stream(w, x, a)
	case a.media != nil:
		s.write(w, x, a.status, a.media, a.text)
	case a.form == formLogNote:
		s.write(w, x, a.status, valuePlain, a.released.Log().Checkpoint)
	case a.form == formLogRaw:
		s.write(w, x, a.status, valueBytes, a.released.Log().Raw)
	case a.text != nil:
		s.write(w, x, a.status, valueFHIR, x.printed(a.text))
	case a.kind != nil:
		s.write(w, x, a.status, a.kind, s.appendBody(nil, &a))
	case a.form == formResource && a.shape == nil:
		s.write(w, x, a.status, valueFHIR, x.printed(a.released.Items()[0].Resource.JSON))
	default:
		buf := s.buffer()
		*buf = s.appendBody((*buf)[:0], &a)
		if said := a.spoken(); said != "" {
			h["Content-Language"] = x.value(said)
		}
		s.write(w, x, a.status, valueFHIR, x.printed(*buf))
		s.keep(buf)
	}
}

// spoken are the languages in which something was said; empty for none.
func (a *answer) spoken() string {
	if a.speaker == nil {
		return ""
	}
	return a.speaker.Languages()
}

// buffer takes a buffer from the pool.
func (s *Server) buffer() *[]byte {
	if b, ok := s.buffers.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

// keep puts a buffer back, unless it has grown past what most answers need.
func (s *Server) keep(buf *[]byte) {
	if cap(*buf) <= keptBuffer {
		s.buffers.Put(buf)
	}
}

// keptBuffer is the largest buffer the pool keeps.
const keptBuffer = 1 << 20

// appendBody appends the body of an answer.
func (s *Server) appendBody(dst []byte, a *answer) []byte {
	switch a.form {
	case formResource:
		return s.appendShaped(dst, a.shape, a.released.Items()[0].Resource.JSON)
	case formSearchset:
		return s.appendSearchset(dst, a)
	case formHistory:
		return s.appendHistory(dst, a)
	case formTransaction:
		return s.appendTransaction(dst, a)
	case formGrant:
		return appendGrant(dst, a.released.Grant())
	case formAccess:
		return appendAccess(dst, a.released.Access())
	case formLog:
		return appendLog(dst, a.released.Log())
	case formIssues:
		return fhir.AppendOutcome(dst, a.released.Issues()...)
	case formVisits:
		return s.appendVisits(dst, a)
	case formOutlook:
		return s.appendOutlook(dst, a)
	case formExplanation:
		return s.appendExplanation(dst, a)
	case formDone:
		return fhir.AppendOutcome(dst, append([]fhir.Issue{a.well()}, a.released.Issues()...)...)
	case formMeta:
		return s.appendMeta(dst, a.released.Items()[0].Resource.JSON)
	case formDeleted:
		return fhir.AppendOutcome(dst, deleted(a.released.Items()[0].Count))
	case formReport:
		report := a.released.Report()
		return appendReport(dst, &report)
	case formReportTable:
		report := a.released.Report()
		return appendReportTable(dst, &report)
	case formStatic:
		return append(dst, a.text...)
	case formBatch, formEmpty, formUnchanged, formNothing, formManifest, formFile, formLogNote, formLogRaw:
		return dst
	default:
		return dst
	}
}

// done is the outcome of what went well.
func done() fhir.Issue {
	return fhir.Issue{Severity: fhir.SeverityInformation, Code: fhir.CodeInformational, Text: "The request was carried out."}
}

// well is the same, in the words of the answer where it has some.
func (a *answer) well() fhir.Issue {
	issue := done()
	issue.Text = cmp.Or(a.done, issue.Text)
	return issue
}

// write sends status, headers and body; of an answer to HEAD, all but the body.
// Nothing is compressed: the length of a compressed answer tells of what stands
// in it beside the client's own words.
func (s *Server) write(w http.ResponseWriter, x *exchange, status int, media []string, body []byte) {
	h := w.Header()
	x.dress(h)
	if body != nil {
		h["Content-Type"] = media
	}
	if status != http.StatusNoContent && status != http.StatusNotModified {
		h["Content-Length"] = x.value(strconv.Itoa(len(body)))
	}
	x.status = status
	w.WriteHeader(status)
	if x.method != http.MethodHead && len(body) > 0 {
		_, err := w.Write(body)
		x.cut = err != nil // the client is gone; the record says what was released to it
	}
}

// dress sets the headers that every answer has.
func (x *exchange) dress(h http.Header) {
	if !x.row.open {
		h["Cache-Control"] = valueNoStore
		h["Vary"] = valueVary
	}
	if x.browser {
		shareWith(h)
	}
}

// streamFrom is how much of a body there must be for it to go out in parts,
// without its length.
const streamFrom = 1 << 20

// stream sends a body that is made as it goes out. A short one goes out whole.
func (s *Server) stream(w http.ResponseWriter, x *exchange, a answer) {
	begun := false
	rest := a.parts(nil, func(dst []byte) []byte {
		if len(dst) < streamFrom || x.pretty || x.cut {
			return dst
		}
		if !begun {
			begun = true
			x.dress(w.Header())
			w.Header()["Content-Type"] = valueFHIR
			x.status = a.status
			w.WriteHeader(a.status)
		}
		_, err := w.Write(dst)
		x.cut = err != nil
		return dst[:0]
	})
	if !begun {
		s.write(w, x, a.status, valueFHIR, x.printed(rest))
		return
	}
	_, err := w.Write(rest)
	x.cut = x.cut || err != nil
}

// printed indents a body for a reader who asks for it with _pretty.
func (x *exchange) printed(body []byte) []byte {
	if !x.pretty {
		return body
	}
	var out bytes.Buffer
	if json.Indent(&out, body, "", "  ") != nil {
		return body
	}
	return out.Bytes()
}

// location is the address of a version (R4 http.html#create).
func (s *Server) location(r *fhir.Resource) string {
	return s.cfg.BaseURL + "/" + string(r.Type) + "/" + r.ID + "/_history/" + r.Version
}

// appendGrant appends the answer to $break-glass.
func appendGrant(dst []byte, g gate.Grant) []byte {
	dst = append(dst, `{"resourceType":"Parameters","parameter":[{"name":"grantId","valueString":`...)
	dst = fhir.AppendString(dst, g.ID)
	dst = append(dst, `},{"name":"expires","valueInstant":"`...)
	dst = fhir.AppendInstant(dst, g.Expires)
	return append(dst, `"}]}`...)
}

// appendAccess appends the answer to $access.
func appendAccess(dst []byte, a gate.Access) []byte {
	dst = append(dst, `{"resourceType":"Parameters","parameter":[{"name":"level","valueCode":`...)
	dst = fhir.AppendString(dst, a.Level)
	dst = append(dst, `},{"name":"breakGlass","valueBoolean":`...)
	dst = strconv.AppendBool(dst, a.BreakGlass)
	return append(dst, `}]}`...)
}
