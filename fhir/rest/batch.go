package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"vitrine/consent/gate"
	"vitrine/fhir"
)

// bundle is R4 http.html#transaction: POST of a Bundle to the base. A batch is
// run here, entry by entry, each like a request of its own; a transaction is
// the gate's.
func (s *Server) bundle(ctx context.Context, x *exchange) (answer, error) {
	if err := sameType(x.tape, "Bundle"); err != nil {
		return answer{}, err
	}
	kind := x.tape.Field(x.tape.Root(), "type")
	switch x.tape.Text(kind) {
	case "batch":
		return s.batch(ctx, x)
	case "transaction":
		return s.transaction(ctx, x)
	default:
		return answer{}, misplaced(x.tape, kind, fhir.CodeValue, "Bundle.type", "A Bundle sent to the base must be a batch or a transaction.")
	}
}

// asked is one entry of a Bundle: a request without its envelope.
type asked struct {
	index      int
	fullURL    string
	method     string
	path       string // below the base
	query      string
	conditions conditions
	resource   fhir.Node
}

// entries reads what a Bundle asks for.
func (s *Server) entries(t *fhir.Tape) ([]asked, error) {
	list := t.Field(t.Root(), "entry")
	if list == fhir.None {
		return nil, nil
	}
	if t.Kind(list) != fhir.Array {
		return nil, misplaced(t, list, fhir.CodeStructure, "Bundle.entry", "entry must be a list.")
	}
	var out []asked
	for n := t.First(list); n != fhir.None; n = t.Next(n) {
		if len(out) == s.cfg.MaxEntries {
			return nil, refuse(problemTooLarge)
		}
		a, err := s.entry(t, n, len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// entry reads one entry.
func (s *Server) entry(t *fhir.Tape, n fhir.Node, i int) (asked, error) {
	request := t.Field(n, "request")
	a := asked{
		index:    i,
		fullURL:  t.Text(t.Field(n, "fullUrl")),
		method:   t.Text(t.Field(request, "method")),
		resource: t.Field(n, "resource"),
		conditions: conditions{
			ifMatch:         t.Text(t.Field(request, "ifMatch")),
			ifNoneMatch:     t.Text(t.Field(request, "ifNoneMatch")),
			ifModifiedSince: t.Text(t.Field(request, "ifModifiedSince")),
			ifNoneExist:     t.Text(t.Field(request, "ifNoneExist")),
			unless:          t.Field(request, "ifNoneExist") != fhir.None,
		},
	}
	url := t.Field(request, "url")
	if a.method == "" || t.Kind(url) != fhir.String {
		return a, misplaced(t, n, fhir.CodeRequired, place(i)+".request", "An entry must have request.method and request.url.")
	}
	if a.resource != fhir.None && t.Kind(a.resource) != fhir.Object {
		return a, misplaced(t, a.resource, fhir.CodeStructure, place(i)+".resource", "A resource must be an object.")
	}
	address := strings.TrimPrefix(t.Text(url), s.cfg.BaseURL)
	a.path, a.query, _ = strings.Cut(strings.TrimPrefix(address, "/"), "?")
	a.path = strings.TrimSuffix(a.path, "/")
	return a, nil
}

// batch answers each entry for itself; one that fails does not touch the others.
// What changes something is done in the order of a transaction (R4
// http.html#brules), and what reads as its answer goes out.
func (s *Server) batch(ctx context.Context, x *exchange) (answer, error) {
	entries, err := s.entries(x.tape)
	if err != nil {
		return answer{}, err
	}
	return answer{form: formBatch, status: http.StatusOK, parts: func(dst []byte, flush func([]byte) []byte) []byte {
		return s.batchAnswers(ctx, dst, flush, x, entries)
	}}, nil
}

// batchOrder is that of the methods that may change something.
var batchOrder = [...]string{http.MethodDelete, http.MethodPost, http.MethodPut, http.MethodPatch} //nolint:gochecknoglobals // never changed

// batchAnswers does the entries and appends the answer. Nothing more is done for a
// client that is gone.
func (s *Server) batchAnswers(ctx context.Context, dst []byte, flush func([]byte) []byte, x *exchange, entries []asked) []byte {
	done := make([][]byte, len(entries))
	for _, method := range batchOrder {
		for i := range entries {
			if e := &entries[i]; e.method == method && s.alters(e) && ctx.Err() == nil {
				done[i] = s.batchEntry(ctx, nil, x, e)
			}
		}
	}
	dst = append(dst, `{"resourceType":"Bundle","type":"batch-response"`...)
	for i := range entries {
		dst = appendComma(dst, i)
		switch {
		case done[i] != nil:
			dst, done[i] = append(dst, done[i]...), nil
		case ctx.Err() != nil:
			dst = s.appendFailure(dst, ctx.Err(), i)
		default:
			dst = s.batchEntry(ctx, dst, x, &entries[i])
		}
		dst = flush(dst)
	}
	return appendClosing(dst, len(entries))
}

// alters reports whether an entry may change something.
func (s *Server) alters(e *asked) bool {
	row, _, _, _ := s.resolve(e.method, e.path)
	return row != nil && row.write
}

// batchEntry takes one entry through the phases that come after the token, and
// appends its answer.
func (s *Server) batchEntry(ctx context.Context, dst []byte, outer *exchange, e *asked) []byte {
	x := &exchange{
		method: e.method, path: e.path, query: e.query, conditions: e.conditions,
		prefer: outer.prefer, languages: outer.languages, request: outer.request, row: outer.row, client: outer.client,
	}
	if x.prefer.returns == returnUnsaid {
		x.prefer.returns = returnMinimal
	}
	defer s.release(x)
	hold := s.holding(x)
	a, err := s.batchPhases(ctx, x, outer.tape, e)
	if err == nil && a.withheld() {
		err = gate.ErrUnavailable
	}
	if a.nothing(err) || ctx.Err() != nil { // each by itself, or many would add up to what one does not tell
		hold()
	}
	if err != nil {
		shifted(err, outer.tape, e.resource)
		return s.appendFailure(dst, err, e.index)
	}
	return s.appendAnswer(dst, &a, x.method != http.MethodHead)
}

// batchPhases are the phases of an entry: what is addressed, body, handler.
func (s *Server) batchPhases(ctx context.Context, x *exchange, outer *fhir.Tape, e *asked) (answer, error) {
	if !s.clients.spend(x.client, s.cfg.Now()) {
		return answer{}, refuse(problemThrottled)
	}
	row, t, _, _ := s.resolve(x.method, x.path)
	if row == nil {
		return answer{}, s.unmatchedError(x)
	}
	if row.body == bodyBundle || row.alone || formless(row, e) || row.open && row.name != "capabilities" && row.name != "definition" {
		return answer{}, misfit(row, "An entry of a batch")
	}
	x.row, x.target = row, t
	x.request.Interaction = row.inner()
	x.request.Type = ""
	x.request.Method, x.request.Target = e.method, e.target()
	if _, err := x.scan(); err != nil {
		return answer{}, err
	}
	if err := s.address(x); err != nil {
		return answer{}, err
	}
	if err := s.spelled(ctx, x); err != nil {
		return answer{}, err
	}
	if err := s.entryBody(x, outer, e); err != nil {
		return answer{}, err
	}
	x.starts()
	return row.handle(s, ctx, x)
}

// formless reports whether an entry lacks the form that a search by POST has, and
// has nothing in its place: it would find all there is.
func formless(row *interaction, e *asked) bool {
	return row.body == bodyForm && (e.resource != fhir.None || e.query == "")
}

// misfit is the refusal of an interaction that an entry of a Bundle cannot ask for.
func misfit(row *interaction, where string) error {
	text := where + " cannot ask for the interaction " + row.name + "."
	switch {
	case row.body == bodyForm:
		text = where + " cannot carry a form: a search in one is a GET, or has its parameters in request.url."
	case row.alone:
		text = where + " cannot ask for " + row.name + ", which is a request of its own."
	case row.name[0] == '$':
		text = where + " cannot call the operation " + row.name + "; a batch, or a request of its own, can."
	}
	return wrong(fhir.Issue{Severity: fhir.SeverityError, Code: fhir.CodeNotSupported, Detail: "invalid", Text: text})
}

// target is what the entry addresses, as the target of a request of its own.
func (e *asked) target() string {
	target := Root + "/" + e.path
	if e.query != "" {
		target += "?" + e.query
	}
	return target
}

// entryBody reads the resource of an entry onto a tape of its own.
func (s *Server) entryBody(x *exchange, outer *fhir.Tape, e *asked) error {
	if (x.row.body == bodyResource || x.row.body == bodyPatch) && e.resource == fhir.None {
		return wrong(fhir.Issue{
			Severity: fhir.SeverityError, Code: fhir.CodeRequired, Detail: "invalid",
			Text: "The entry must have a resource.", Expression: place(e.index),
		})
	}
	if x.row.body == bodyNone || e.resource == fhir.None {
		return nil
	}
	x.tape = s.tape()
	if err := x.tape.Parse(outer.Raw(e.resource), s.tapeLimits(bodyBundle)); err != nil || x.row.body != bodyPatch {
		return err
	}
	return s.entryPatch(x, e.index)
}

// appendAnswer appends an entry of a batch-response or transaction-response; whole is
// false for what answers HEAD.
func (s *Server) appendAnswer(dst []byte, a *answer, whole bool) []byte {
	dst = append(dst, '{')
	r := a.subject()
	if r != nil {
		dst = append(s.appendFullURL(dst[:len(dst)-1], r), ',')
	}
	if whole && !a.form.bare() && a.form != formDone && a.form != formDeleted {
		dst = append(dst, `"resource":`...)
		dst = append(s.appendBody(dst, a), ',')
	}
	dst = appendStatus(append(dst, `"response":{`...), a.status)
	if r != nil {
		if a.located {
			dst = append(dst, `,"location":`...)
			dst = fhir.AppendString(dst, s.location(r))
		}
		dst = appendVersionHeaders(dst, r)
	}
	if whole && (a.form == formDone || a.form == formDeleted) {
		dst = s.appendBody(append(dst, `,"outcome":`...), a)
	}
	return append(dst, `}}`...)
}

// appendFailure appends an entry that failed, with the outcome a request of its
// own would have had.
func (s *Server) appendFailure(dst []byte, err error, i int) []byte {
	o := explain(err)
	dst = appendStatus(append(dst, `{"response":{`...), o.status)
	dst = append(dst, `,"outcome":`...)
	if o.issues != nil {
		dst = fhir.AppendOutcome(dst, within(place(i), o.issues)...)
	} else {
		dst = append(dst, s.bodies[o.problem]...)
	}
	return append(dst, `}}`...)
}

// appendStatus appends response.status.
func appendStatus(dst []byte, status int) []byte {
	dst = append(dst, `"status":"`...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	if text := http.StatusText(status); text != "" {
		dst = append(append(dst, ' '), text...)
	}
	return append(dst, '"')
}
