package rest

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// Bulk Data Access 2.0.0: the request that begins an export, the address where it is
// told how far that is, and the files.

const (
	exportStatusPath = "/$export-status/"
	exportFilePath   = "/$export-file/"
	mediaNDJSON      = "application/fhir+ndjson"
)

// exports are its rows. They answer in the one form they have; none of them is an entry
// of a Bundle, and what begins or ends something has no HEAD.
func exports() []interaction {
	const status, file = exportStatusPath + ":job", exportFilePath + ":job/:file"
	rows := []interaction{
		{name: "$export", method: http.MethodGet, pattern: "/$export", begins: true, handle: (*Server).export},
		{name: "$export", method: http.MethodPost, pattern: "/$export", begins: true, body: bodyOptional, handle: (*Server).export},
		{name: "$export", method: http.MethodGet, pattern: onType + "/$export", begins: true, only: "Patient", handle: (*Server).export},
		{name: "$export", method: http.MethodPost, pattern: onType + "/$export", begins: true, body: bodyOptional, only: "Patient", handle: (*Server).export},
		{name: "$export", method: http.MethodGet, pattern: onInstance + "/$export", begins: true, only: "Patient", closed: "Group", handle: (*Server).export},
		{name: "$export", method: http.MethodPost, pattern: onInstance + "/$export", begins: true, body: bodyOptional, only: "Patient", closed: "Group", handle: (*Server).export},
		{name: "$export-status", method: http.MethodGet, pattern: status, handle: (*Server).exportStatus},
		{name: "$export-cancel", method: http.MethodDelete, pattern: status, handle: (*Server).cancelExport},
		{name: "$export-file", method: http.MethodGet, pattern: file, handle: (*Server).exportFile},
	}
	for i := range rows {
		rows[i].letter, rows[i].audit = 'r', rows[i].name
		rows[i].anyway, rows[i].alone = true, true
	}
	return rows
}

// exportLevel is where $export is asked.
func (x *exchange) exportLevel() gate.ExportLevel {
	switch {
	case x.request.Type == "":
		return gate.ExportSystem
	case x.request.Type == x.row.closed:
		return gate.ExportGroup
	case x.target.id == "":
		return gate.ExportPatients
	default:
		return gate.ExportPatient
	}
}

// exporting refuses exports to those who have none, before anything of the request is
// looked at: there is one refusal, whatever is asked about whom.
func (s *Server) exporting(ctx context.Context, x *exchange) error {
	if x.row.name != "$export" || gate.Exports(x.request.Caller.Kind, x.exportLevel()) {
		return nil
	}
	return s.gate.Deny(ctx, &x.request, &gate.Refused{Status: http.StatusForbidden, Code: string(consent.RefusedRole)}, "export-not-for-kind")
}

// export begins an export. That it is answered later needs no Prefer.
func (s *Server) export(ctx context.Context, x *exchange) (answer, error) {
	e := gate.ExportRequest{Level: x.exportLevel(), Patient: x.target.id, URL: s.cfg.BaseURL + "/" + x.path}
	if x.query != "" {
		e.URL += "?" + x.query
	}
	all, err := pairs(nil, x.query)
	if err == nil && x.tape != nil {
		if all, err = exportPairs(all, x.tape); err == nil {
			x.noteForm(all)
		}
	}
	if err != nil {
		return answer{}, err
	}
	for _, one := range all {
		if err := s.exportParameter(&e, x, one); err != nil {
			return answer{}, err
		}
	}
	released, err := s.gate.Export(ctx, &x.request, e)
	if err != nil {
		return answer{}, err
	}
	at := s.cfg.BaseURL + exportStatusPath + released.Export().ID
	return answer{
		released: released, form: formDone, status: http.StatusAccepted, headers: http.Header{"Content-Location": {at}},
		done: "The export was accepted. How far it is, and where its files are, is told at the address in Content-Location.",
	}, nil
}

// noteForm puts parameters that came in the body into the record of the request.
func (x *exchange) noteForm(all []search.Pair) {
	form := url.Values{}
	for _, one := range all {
		form.Add(one.Name, one.Value)
	}
	x.request.Target, _, _ = strings.Cut(x.request.Target, "?")
	x.request.Target += "?" + form.Encode()
}

// exportPairs are the parameters of an export by POST: primitives, and references to
// patients.
func exportPairs(dst []search.Pair, t *fhir.Tape) ([]search.Pair, error) {
	return pairsBy(dst, t, func(p, value fhir.Node) (string, error) {
		switch string(t.Key(value)) {
		case "valueReference":
			return t.Text(t.Field(value, "reference")), nil
		case "valueString", "valueInstant", "valueDateTime", "valueCode", "valueUri":
			if t.Kind(value) == fhir.String {
				return t.Text(value), nil
			}
		}
		return "", parameterError(t, p, "The value must be a valueString; of _since a valueInstant, and of patient a valueReference.")
	})
}

// exportParameter reads one parameter. One that is not supported is refused by name,
// unless the client asks for lenience.
func (s *Server) exportParameter(e *gate.ExportRequest, x *exchange, one search.Pair) (err error) {
	switch one.Name {
	case "_outputFormat":
		switch strings.Replace(one.Value, " ", "+", 1) { // a plus that was not escaped
		case mediaNDJSON, "application/ndjson", "ndjson":
			return nil
		default:
			return wrongParameter(one.Name, "it must be application/fhir+ndjson, application/ndjson or ndjson")
		}
	case "_since":
		if e.Since, err = fhir.ParseInstant(strings.Replace(one.Value, " ", "+", 1)); err != nil {
			return wrongParameter(one.Name, "it must be an instant, such as 2026-11-22T08:30:00+08:00")
		}
	case "_type":
		e.Types, err = s.types(e.Types, one)
	case "_typeFilter":
		e.Filters = append(e.Filters, typeFilters(one.Value)...)
	case "_elements":
		e.Elements = append(e.Elements, strings.Split(one.Value, ",")...)
	case "patient":
		switch {
		case x.tape != nil && e.Level != gate.ExportSystem:
			e.Patients = append(e.Patients, one.Value)
		case !x.prefer.lenient:
			return wrongParameter(one.Name, "it is for exports of patients that are begun by POST")
		}
	default:
		if !x.prefer.lenient {
			return wrongParameter(one.Name, "it is not supported; known are _outputFormat, _since, _type, _typeFilter, _elements and patient")
		}
	}
	return err
}

// filterStart is where a filter begins that is not the first: a comma in a value is
// followed by no type and question mark.
var filterStart = regexp.MustCompile(`,[A-Z][A-Za-z]*\?`) //nolint:gochecknoglobals // never changed

// typeFilters takes the searches of a _typeFilter apart.
func typeFilters(value string) (all []string) {
	for {
		at := filterStart.FindStringIndex(value)
		if at == nil {
			return append(all, value)
		}
		all, value = append(all, value[:at[0]]), value[at[0]+1:]
	}
}

// exportPoll is in how many seconds it is worth asking again how far an export is.
const exportPoll = "1"

// exportStatus tells how far an export is, and when it is done where the files are.
func (s *Server) exportStatus(ctx context.Context, x *exchange) (answer, error) {
	released, err := s.gate.ExportStatus(ctx, &x.request, x.target.job)
	if err != nil {
		return answer{}, err
	}
	e := released.Export()
	switch {
	case e.Failed:
		return answer{}, refuse(problemExportFailed)
	case !e.Done:
		return answer{released: released, form: formDone, status: http.StatusAccepted, done: "The export is in progress.", headers: http.Header{
			"X-Progress":  {"in progress, " + strconv.Itoa(e.Resources) + " resources so far"}, // a number in front is taken for percent,
			"Retry-After": {exportPoll},
		}}, nil
	default:
		return answer{
			released: released, form: formManifest, status: http.StatusOK, media: valueJSON, text: s.manifest(&e),
			headers: http.Header{"Expires": {e.Expires.UTC().Format(http.TimeFormat)}},
		}, nil
	}
}

// manifest says where the files of an export are.
func (s *Server) manifest(e *gate.Export) []byte {
	w := text(`{"transactionTime":"`)
	w = text(fhir.AppendInstant(w, e.Time)).raw(`","request":`).quote(e.URL).raw(`,"requiresAccessToken":true,"output":[`)
	for i, f := range e.Files {
		w = w.comma(i).raw(`{"type":`).quote(string(f.Type)).raw(`,"url":`)
		w = w.quote(s.cfg.BaseURL + exportFilePath + e.ID + "/" + f.Name)
		w = text(strconv.AppendInt(w.raw(`,"count":`), int64(f.Count), 10)).raw("}")
	}
	return w.raw(`],"deleted":[],"error":[]}`)
}

// cancelExport ends an export.
func (s *Server) cancelExport(ctx context.Context, x *exchange) (answer, error) {
	released, err := s.gate.CancelExport(ctx, &x.request, x.target.job)
	if err != nil {
		return answer{}, err
	}
	return answer{released: released, form: formDone, status: http.StatusAccepted, done: "The export was cancelled."}, nil
}

// exportFile sends a file of an export, or a part of it.
func (s *Server) exportFile(ctx context.Context, x *exchange) (answer, error) {
	released, err := s.gate.ExportFile(ctx, &x.request, x.target.job, x.target.file)
	if err != nil {
		return answer{}, err
	}
	file := released.File()
	a := answer{released: released, form: formFile, status: http.StatusOK}
	part := span{end: -1}
	if asked := x.conditions.ranges; asked != "" && x.method == http.MethodGet {
		if err := file.Check(ctx); err != nil {
			return answer{}, err
		}
		if size, _ := file.Size(); x.conditions.ifRange == "" || x.conditions.ifRange == quotedTag(file) {
			part = rangeOf(asked, size)
		}
	}
	a.headers = part.headers(file)
	switch {
	case part.outside:
		a.form, a.status = formEmpty, http.StatusRequestedRangeNotSatisfiable
	case part.end >= 0:
		a.status = http.StatusPartialContent
	}
	a.pour = func(write func([]byte) error) error { return file.Pour(ctx, part.start, part.size(), write) }
	return a, nil
}

// quotedTag is the strong entity tag of a file.
func quotedTag(f *gate.File) string { return `"` + f.Tag() + `"` }

// pourPatience is how long a client may take to take the next part of a file.
const pourPatience = 30 * time.Second

// pour sends a file as it is made. What is cut off is seen to be: the connection ends.
func (s *Server) pour(w http.ResponseWriter, x *exchange, a *answer) {
	h := w.Header()
	x.dress(h)
	h["Content-Type"] = valueNDJSON
	x.status = a.status
	w.WriteHeader(a.status)
	if x.method == http.MethodHead {
		return
	}
	conn := http.NewResponseController(w)
	err := a.pour(func(some []byte) error {
		until := time.Now().Add(pourPatience) //nolint:forbidigo // of the connection
		_ = conn.SetReadDeadline(until)       // else the request would be over in the midst of a long answer
		_ = conn.SetWriteDeadline(until)      // one that knows no deadlines has none to be extended
		_, err := w.Write(some)
		return err
	})
	x.cut, x.broken = err != nil, err != nil
}
