package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"vitrine/consent/gate"
	"vitrine/fhir"
)

// transaction hands the entries to the gate as one (R4 http.html#transaction).
func (s *Server) transaction(ctx context.Context, x *exchange) (answer, error) {
	list, err := s.entries(x.tape)
	if err != nil {
		return answer{}, err
	}
	if err := distinct(x.tape, list); err != nil {
		return answer{}, err
	}
	inner := make([]exchange, len(list))
	defer func() {
		for i := range inner {
			s.release(&inner[i])
		}
	}()
	entries, reads := make([]gate.Entry, len(list)), make([]conditions, len(list))
	for i := range list {
		reads[i] = list[i].conditions
		if entries[i], err = s.transactionEntry(ctx, &inner[i], x, &list[i]); err != nil {
			return answer{}, placed(&gate.EntryError{Index: i, Err: err}, x.tape, list)
		}
	}
	released, err := s.gate.Transaction(ctx, &x.request, entries)
	if err != nil {
		return answer{}, placed(err, x.tape, list)
	}
	return answer{
		released: released, form: formTransaction, status: http.StatusOK,
		entries: entries, conditions: reads, returns: x.prefer.returns,
	}, nil
}

// placed is what went wrong with entries, with the lines of the whole body and not
// of the resource within it.
func placed(err error, t *fhir.Tape, list []asked) error {
	several, one := (gate.EntryErrors)(nil), (*gate.EntryError)(nil)
	switch {
	case errors.As(err, &several):
	case errors.As(err, &one):
		several = gate.EntryErrors{one}
	}
	for _, e := range several {
		if e.Index < len(list) {
			shifted(e.Err, t, list[e.Index].resource)
		}
	}
	return err
}

// shifted moves the lines of issues about a resource to where it stands in the
// body.
func shifted(err error, t *fhir.Tape, resource fhir.Node) {
	var bad *gate.Invalid
	if resource == fhir.None || !errors.As(err, &bad) {
		return
	}
	start, _ := t.Span(resource)
	line, column := t.Line(start)
	for i := range bad.Issues {
		at := &bad.Issues[i]
		if at.Line == 0 || strings.HasPrefix(at.Expression, "Bundle.") {
			continue
		}
		if at.Line == 1 {
			at.Column += column - 1
		}
		at.Line += line - 1
	}
}

// distinct refuses two entries under one fullUrl: a reference to it would mean
// either (R4 invariant bdl-7).
func distinct(t *fhir.Tape, list []asked) error {
	seen := make(map[string]bool, len(list))
	for i := range list {
		full := list[i].fullURL
		if full == "" || list[i].resource == fhir.None {
			continue
		}
		if seen[full] {
			return misplaced(t, list[i].resource, fhir.CodeDuplicate, place(i)+".fullUrl", "Another entry of the transaction has the same fullUrl.")
		}
		seen[full] = true
	}
	return nil
}

// transactionEntry understands one entry.
func (s *Server) transactionEntry(ctx context.Context, x, outer *exchange, e *asked) (gate.Entry, error) {
	x.method, x.path, x.query, x.conditions, x.row = e.method, e.path, e.query, e.conditions, outer.row
	row, t, _, _ := s.resolve(x.method, x.path)
	if row == nil {
		return gate.Entry{}, s.unmatchedError(x)
	}
	if !transacts(row) || formless(row, e) {
		return gate.Entry{}, misfit(row, "An entry of a transaction")
	}
	x.row, x.target = row, t
	if err := s.address(x); err != nil {
		return gate.Entry{}, err
	}
	if t.id != "" && !fhir.ValidID(t.id) {
		return gate.Entry{}, gate.ErrNotFound
	}
	if err := s.entryBody(x, outer.tape, e); err != nil {
		return gate.Entry{}, err
	}
	out := gate.Entry{
		Interaction: row.inner(), FullURL: e.fullURL, Type: x.request.Type,
		ID: x.target.id, Version: x.target.version, Content: gate.Content{Tape: x.tape, Report: outer.prefer.returns == returnOutcome}, Patch: x.changes,
		Method: e.method, Target: e.target(),
	}
	return out, s.entryConditions(ctx, &out, x)
}

// transacts reports whether a transaction may hold the interaction.
func transacts(row *interaction) bool {
	switch row.name {
	case "create", "update", "patch", "delete", "read", "vread", "history-instance":
		return true
	case "search-type", "search-system":
		return true
	case "$meta":
		return !row.overseen && row.method == http.MethodGet
	default:
		return false
	}
}

// entryConditions fills in what an entry depends on, and checks its body against
// its address.
func (s *Server) entryConditions(ctx context.Context, out *gate.Entry, x *exchange) (err error) {
	if x.row.body == bodyResource {
		if err = sameType(x.tape, out.Type); err != nil {
			return err
		}
	}
	if x.row.name == "update" && out.ID != "" {
		if err = sameID(x.tape, out.ID); err != nil {
			return err
		}
	}
	if out.IfMatch, err = x.required(); err != nil {
		return err
	}
	if cond, asked := x.unlessExists(); asked && x.row.name == "create" {
		if out.IfNoneExist, err = s.condition(ctx, out.Type, cond); err != nil {
			return err
		}
	}
	switch {
	case x.row.name == "search-type", x.row.name == "search-system":
		if out.Query, _, err = s.parseSearch(ctx, x, out.Type); err == nil {
			_, err = s.shape(out.Query)
		}
	case x.row.name == "history-instance":
		var p paged
		p, err = s.paging(x, historyParameters()...)
		out.History = p.history()
	case (x.row.name == "update" || x.row.name == "patch" || x.row.name == "delete") && out.ID == "":
		out.Query, err = s.condition(ctx, out.Type, x.query)
	}
	return err
}

// appendTransaction appends the transaction-response: one entry for each that
// was asked for, in their order.
func (s *Server) appendTransaction(dst []byte, a *answer) []byte {
	items := a.released.Items()
	dst = append(grown(dst, nil), `{"resourceType":"Bundle","type":"transaction-response"`...)
	for i := range items {
		dst = s.appendTransacted(appendComma(dst, i), a, i, &items[i])
	}
	return appendClosing(dst, len(items))
}

// appendTransacted appends the answer to one entry.
func (s *Server) appendTransacted(dst []byte, a *answer, i int, item *gate.Item) []byte {
	if item.Answer != nil && i < len(a.entries) {
		return s.appendAnswer(dst, s.answered(item, &a.entries[i], &a.conditions[i]), true)
	}
	r := &item.Resource
	dst = append(dst, '{')
	named := r.Version != "" && !r.Deleted
	if named {
		dst = append(s.appendFullURL(dst[:len(dst)-1], r), ',')
	}
	if named && a.returns == returnRepresentation && len(r.JSON) > 0 {
		dst = append(dst, `"resource":`...)
		dst = append(append(dst, r.JSON...), ',')
	}
	status, several := item.Status, item.Several && a.returns != returnMinimal
	if status == 0 || status == http.StatusNoContent && (several || a.returns == returnOutcome) {
		status = http.StatusOK // as alone: 204 is without an outcome
	}
	dst = appendStatus(append(dst, `"response":{`...), status)
	if named {
		dst = append(dst, `,"location":`...)
		dst = fhir.AppendString(dst, s.location(r))
		dst = appendVersionHeaders(dst, r)
	}
	switch {
	case several:
		dst = fhir.AppendOutcome(append(dst, `,"outcome":`...), deleted(item.Count))
	case a.returns == returnOutcome:
		dst = fhir.AppendOutcome(append(dst, `,"outcome":`...), append([]fhir.Issue{done()}, item.Issues...)...)
	}
	return append(dst, `}}`...)
}

// answered is the answer to a read or search entry, in the form a request of its
// own would have.
func (s *Server) answered(item *gate.Item, e *gate.Entry, c *conditions) *answer {
	out := &answer{released: *item.Answer, form: formResource, status: http.StatusOK}
	switch e.Interaction.Code {
	case "search-type", "search-system":
		out.shape, _ = s.shape(e.Query) // it was understood before
		out.form, out.at, out.self = formSearchset, string(e.Type), e.Query.Self
		out.whole = wholly(e.Query, "")
	case "$meta":
		out.form = formMeta
	case "history-instance":
		out.form, out.at, out.self = formHistory, string(e.Type)+"/"+e.ID+"/_history", e.History.Self
		out.whole = e.History.Cursor == ""
	case "read":
		if items := out.released.Items(); len(items) == 1 && c.unchanged(&items[0].Resource) {
			out.form, out.status = formUnchanged, http.StatusNotModified
		}
	}
	if out.withheld() {
		return &answer{form: formEmpty, status: http.StatusServiceUnavailable}
	}
	return out
}
