package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// problem is an entry of the closed catalogue of what the porch answers when it
// does not answer. The zero value is the silent 500.
type problem uint8

const (
	problemInternal problem = iota
	problemNoToken
	problemBadToken
	problemForbidden
	problemForbiddenClient
	problemForbiddenScope
	problemForbiddenRole
	problemForbiddenPerson
	problemForbiddenOverseer
	problemForbiddenPurpose
	problemBlocked
	problemNotFound
	problemNothingToUpdate
	problemUnknownPath
	problemUnknownType
	problemUnknownOperation
	problemMethod
	problemNotForCaller
	problemNotAcceptable
	problemGone
	problemConflict
	problemPrecondition
	problemMultiple
	problemTooLarge
	problemURI
	problemMediaType
	problemPatchType
	problemBody
	problemQuery
	problemContent
	problemHeader
	problemIfNoneMatch
	problemPreconditions
	problemCursor
	problemTooCostly
	problemThrottled
	problemUnavailable
	problemTimeout
	problemNoSMART
	problemNoOpenID
	problemNoTransactions
	problemExports
	problemExportFailed
	problemNoLedger

	problemCount
)

// entry is what a problem says on the wire. No text names an id, a count, a
// patient or a cause within the server.
type entry struct {
	status int
	code   fhir.IssueCode
	detail string
	text   string
}

// catalogue is the one table from problems to HTTP (DOSSIER §7.9, R4
// http.html#Status-Codes).
//
//nolint:gochecknoglobals // a table that never changes
var catalogue = [problemCount]entry{
	problemInternal:          {http.StatusInternalServerError, fhir.CodeException, "", "The server failed. The request may be tried again."},
	problemNoToken:           {http.StatusUnauthorized, fhir.CodeLogin, "", "A bearer token is required."},
	problemBadToken:          {http.StatusUnauthorized, fhir.CodeLogin, "", "The bearer token was not accepted."},
	problemForbidden:         {http.StatusForbidden, fhir.CodeForbidden, "", "The caller may not do this."},
	problemForbiddenClient:   {http.StatusForbidden, fhir.CodeForbidden, "forbidden-client", "The client or its organisation may not use this service."},
	problemForbiddenScope:    {http.StatusForbidden, fhir.CodeForbidden, "forbidden-scope", "The scopes of the token do not cover this interaction."},
	problemForbiddenRole:     {http.StatusForbidden, fhir.CodeForbidden, "forbidden-role", "The caller's role does not permit this interaction."},
	problemForbiddenPerson:   {http.StatusForbidden, fhir.CodeForbidden, "forbidden-role", "This takes a person: the token must name one, and not the client alone."},
	problemForbiddenOverseer: {http.StatusForbidden, fhir.CodeForbidden, "forbidden-role", "The regulator writes directives (Basic) alone, and changes a review by Task/[id]/$review."},
	problemForbiddenPurpose:  {http.StatusForbidden, fhir.CodeForbidden, "forbidden-purpose", "The token must state exactly one purpose of use, and one that is open to its caller."},
	problemBlocked:           {http.StatusForbidden, fhir.CodeForbidden, "blocked", "Access is blocked by direction of the authority."},
	problemNotFound:          {http.StatusNotFound, fhir.CodeNotFound, "not-found", "There is no such resource."},
	problemNothingToUpdate:   {http.StatusNotFound, fhir.CodeNotFound, "not-found", "There is no such resource. The server chooses the ids of new ones: they are sent by POST, or by PUT with a condition in place of the id."},
	problemUnknownPath:       {http.StatusNotFound, fhir.CodeNotSupported, "", "Nothing is served at this address."},
	problemUnknownType:       {http.StatusNotFound, fhir.CodeNotSupported, "", "The resource type is not one of FHIR R4."},
	problemUnknownOperation:  {http.StatusNotFound, fhir.CodeNotSupported, "", "There is no such operation here for this caller; the CapabilityStatement says for whom each is."},
	problemMethod:            {http.StatusMethodNotAllowed, fhir.CodeNotSupported, "", "The method is not one of this address; the Allow header lists them."},
	problemNotForCaller:      {http.StatusMethodNotAllowed, fhir.CodeNotSupported, "", "For this caller there is no such interaction."},
	problemNotAcceptable:     {http.StatusNotAcceptable, fhir.CodeNotSupported, "", "Only application/fhir+json for FHIR version 4.0 can be sent."},
	problemGone:              {http.StatusGone, fhir.CodeDeleted, "", "The resource was deleted."},
	problemConflict:          {http.StatusConflict, fhir.CodeConflict, "", "Another write came first; the request may be tried again."},
	problemPrecondition:      {http.StatusPreconditionFailed, fhir.CodeConflict, "", "What is there is not what If-Match or If-None-Match requires. It may be read again, and its ETag sent."},
	problemMultiple:          {http.StatusPreconditionFailed, fhir.CodeMultiple, "", "The condition matches more than one resource."},
	problemTooLarge:          {http.StatusRequestEntityTooLarge, fhir.CodeTooLong, "", "The body is larger than this server accepts."},
	problemURI:               {http.StatusRequestURITooLong, fhir.CodeTooLong, "", "The address is longer than this server accepts; a search may be sent by POST to _search."},
	problemMediaType:         {http.StatusUnsupportedMediaType, fhir.CodeNotSupported, "", "The body must be application/fhir+json in UTF-8 for FHIR version 4.0, plain or gzip; of a search by POST, application/x-www-form-urlencoded."},
	problemPatchType:         {http.StatusUnsupportedMediaType, fhir.CodeNotSupported, "", "A patch must be application/json-patch+json, or application/fhir+json with the Parameters of a FHIRPath Patch, in UTF-8, plain or gzip; within a Bundle, a Binary of the former content type, or Parameters."},
	problemBody:              {http.StatusBadRequest, fhir.CodeStructure, "", "The body could not be read."},
	problemQuery:             {http.StatusBadRequest, fhir.CodeInvalid, "invalid", "The query is not well formed."},
	problemContent:           {http.StatusUnprocessableEntity, fhir.CodeInvalid, "invalid", "The content cannot be accepted."},
	problemHeader:            {http.StatusBadRequest, fhir.CodeInvalid, "invalid", "A conditional header is not well formed; versions are written as W/\"1\"."},
	problemIfNoneMatch:       {http.StatusBadRequest, fhir.CodeNotSupported, "invalid", "If-None-Match is for reads, and an update takes it with a star; other writes have If-Match and If-None-Exist."},
	problemPreconditions:     {http.StatusBadRequest, fhir.CodeNotSupported, "invalid", "A write is not made dependent on this: a create has If-None-Exist, an update, a patch and a deletion have If-Match; of times nothing depends."},
	problemCursor:            {http.StatusBadRequest, fhir.CodeInvalid, "invalid", "The page address is not one this server gave for this search."},
	problemTooCostly:         {http.StatusUnprocessableEntity, fhir.CodeTooCostly, "", "The search would read too much. It needs a narrower criterion: a patient, an identifier, a code with its system, a shorter time; without _sort or _total it may do."},
	problemThrottled:         {http.StatusTooManyRequests, fhir.CodeThrottled, "busy", "The client sends more requests than it may; it should wait."},
	problemTimeout:           {http.StatusRequestTimeout, fhir.CodeTimeout, "", "The body did not arrive in time."},
	problemNoSMART:           {http.StatusNotFound, fhir.CodeNotSupported, "", "This server is no authorization server: tokens come from the issuers its operator names."},
	problemNoOpenID:          {http.StatusNotFound, fhir.CodeNotSupported, "", "Nobody signs in at this server, so it issues no id_tokens."},
	problemNoTransactions:    {http.StatusNotImplemented, fhir.CodeNotSupported, "", "This server's database has no transactions; the entries may be sent as a batch, or one by one."},
	problemExports:           {http.StatusTooManyRequests, fhir.CodeThrottled, "busy", "The client has as many exports as it may. One that is not needed any more can be ended by DELETE of its status address."},
	problemExportFailed:      {http.StatusInternalServerError, fhir.CodeException, "", "The export could not be made. With a narrower _typeFilter or _since another may be."},
	problemNoLedger:          {http.StatusNotImplemented, fhir.CodeNotSupported, "", "Nothing signs the record of access of this server."},
	problemUnavailable:       {http.StatusServiceUnavailable, fhir.CodeTransient, "busy", "The request cannot be answered now; it may be tried again."},
}

// entry is the problem's row; the silent 500 for one that has none.
func (p problem) entry() entry {
	if p >= problemCount {
		p = problemInternal
	}
	return catalogue[p]
}

// issue is the problem as an OperationOutcome issue.
func (p problem) issue() fhir.Issue {
	e := p.entry()
	return fhir.Issue{Severity: fhir.SeverityError, Code: e.code, Detail: e.detail, Text: e.text}
}

// fault is a problem found by the porch.
type fault struct {
	problem problem
	// allow is the Allow header of a 405.
	allow string
	// of is the error that the problem tells of in its words; nil for none.
	of error
}

// Unwrap makes the fault the error that it tells of.
func (f *fault) Unwrap() error { return f.of }

// Error implements error.
func (f *fault) Error() string {
	return "problem " + strconv.Itoa(int(f.problem))
}

// refuse is a fault that needs no more words.
func refuse(p problem) error { return &fault{problem: p} }

// wrong is a fault of the request that names what would be right.
func wrong(issue fhir.Issue) error {
	return &gate.Invalid{Status: http.StatusBadRequest, Issues: []fhir.Issue{issue}}
}

// errPanic stands for a broken invariant.
var errPanic = errors.New("panic")

// outcome is what an error becomes: a status, the headers that go with it, and
// either a problem of the catalogue or issues of its own.
type outcome struct {
	status  int
	problem problem
	issues  []fhir.Issue // nil: the problem's own
	allow   string
}

// explain is the one table from errors to HTTP. What it does not know is a
// silent 500.
func explain(err error) outcome {
	if several := (gate.EntryErrors)(nil); errors.As(err, &several) && len(several) > 0 {
		return explainEntries(several)
	}
	o := explainContent(err)
	if o.status == 0 {
		p := problemOf(err)
		o = outcome{status: p.entry().status, problem: p}
		if f := (*fault)(nil); errors.As(err, &f) {
			o.allow = f.allow
		}
	}
	if at := (*gate.EntryError)(nil); errors.As(err, &at) {
		if o.issues == nil {
			o.issues = []fhir.Issue{o.problem.issue()}
		}
		o.issues = within(place(at.Index), o.issues)
	}
	return o
}

// issuesMost is how many issues an outcome has about several entries.
const issuesMost = 100

// explainEntries puts what is wrong with several entries into one outcome, with
// the status of the first.
func explainEntries(several gate.EntryErrors) outcome {
	all := explain(several[0])
	for _, one := range several[1:] {
		if room := issuesMost - len(all.issues); room > 0 {
			issues := explain(one).issues
			all.issues = append(all.issues, issues[:min(room, len(issues))]...)
		}
	}
	return all
}

// explainContent handles the errors that carry issues of their own: content and
// queries that are wrong within themselves. The status is zero for others.
func explainContent(err error) outcome {
	var (
		refusal *search.Refusal
		syntax  *fhir.SyntaxError
		invalid *gate.Invalid

		metadata *metadataFault
	)
	switch {
	case errors.As(err, &refusal) && len(refusal.Issues) > 0:
		return outcome{status: http.StatusBadRequest, problem: problemQuery, issues: refusal.Issues}
	case errors.As(err, &syntax):
		code := fhir.CodeStructure
		if syntax.Limit {
			code = fhir.CodeTooLong
		}
		return outcome{status: http.StatusBadRequest, problem: problemBody, issues: []fhir.Issue{{
			Severity: fhir.SeverityFatal, Code: code, Text: "The body cannot be read as JSON: " + syntax.Reason,
			Line: syntax.Line, Column: syntax.Column,
		}}}
	case errors.As(err, &metadata):
		return outcome{status: http.StatusBadRequest, problem: problemContent}
	case errors.As(err, &invalid) && len(invalid.Issues) > 0:
		return outcome{status: invalid.Status, problem: problemContent, issues: invalid.Issues}
	}
	return outcome{}
}

// problemOf maps the refusals that carry nothing.
func problemOf(err error) problem {
	if f := (*fault)(nil); errors.As(err, &f) {
		return f.problem
	}
	if refused := (*gate.Refused)(nil); errors.As(err, &refused) {
		return problemOfCode(refused.Code, refused.Status)
	}
	for _, row := range [...]struct {
		err     error
		problem problem
	}{
		{gate.ErrNotFound, problemNotFound},
		{gate.ErrGone, problemGone},
		{gate.ErrPrecondition, problemPrecondition},
		{gate.ErrMultiple, problemMultiple},
		{gate.ErrConflict, problemConflict},
		{gate.ErrTooCostly, problemTooCostly},
		{gate.ErrTooLarge, problemTooLarge},
		{gate.ErrBadCursor, problemCursor},
		{gate.ErrMethod, problemMethod},
		{gate.ErrNoTransactions, problemNoTransactions},
		{gate.ErrExports, problemExports},
		{gate.ErrNoLedger, problemNoLedger},
		{gate.ErrUnavailable, problemUnavailable},
		{context.Canceled, problemUnavailable},
		{context.DeadlineExceeded, problemUnavailable},
	} {
		if errors.Is(err, row.err) {
			return row.problem
		}
	}
	return problemInternal
}

// problemOfCode maps the closed catalogue of refusals that depend on the caller
// alone.
func problemOfCode(code string, status int) problem {
	switch code {
	case "forbidden-client":
		return problemForbiddenClient
	case "forbidden-scope":
		return problemForbiddenScope
	case "forbidden-person":
		return problemForbiddenPerson
	case "forbidden-overseer":
		return problemForbiddenOverseer
	case "forbidden-role":
		return problemForbiddenRole
	case "forbidden-purpose":
		return problemForbiddenPurpose
	case "blocked":
		return problemBlocked
	default:
	}
	if status == http.StatusUnauthorized {
		return problemBadToken
	}
	return problemForbidden
}

// within puts issues about a resource in their place in a Bundle.
func within(place string, issues []fhir.Issue) []fhir.Issue {
	out := make([]fhir.Issue, len(issues))
	for i, issue := range issues {
		switch {
		case issue.Expression == "":
			issue.Expression = place
		case strings.HasPrefix(issue.Expression, "http."): // a parameter, of the entry's own address
			issue.Expression = place + ".request.url"
		case !strings.HasPrefix(issue.Expression, "Bundle."):
			_, rest, _ := strings.Cut(issue.Expression, ".")
			issue.Expression = strings.TrimSuffix(place+".resource."+rest, ".")
		}
		out[i] = issue
	}
	return out
}

// fail is the one place that writes an error.
func (s *Server) fail(w http.ResponseWriter, x *exchange, err error) {
	o := explain(err)
	h := w.Header()
	x.failed(err, o)
	switch o.status {
	case http.StatusUnauthorized:
		challenge := `Bearer realm="` + s.cfg.BaseURL + `"`
		if o.problem == problemBadToken {
			challenge += `, error="invalid_token"`
		}
		h.Set("WWW-Authenticate", challenge)
	case http.StatusForbidden:
		if r := (*gate.Refused)(nil); errors.As(err, &r) && r.Code == string(consent.RefusedScope) { // RFC 6750 §3.1
			h.Set("WWW-Authenticate", `Bearer realm="`+s.cfg.BaseURL+`", error="insufficient_scope"`)
		}
	case http.StatusMethodNotAllowed:
		if errors.Is(err, gate.ErrMethod) {
			o.allow = s.allow(x.row.pattern, "AuditEvent")
		}
		h["Allow"] = []string{o.allow}
	case http.StatusUnsupportedMediaType:
		if x.row.body == bodyPatch {
			h["Accept-Patch"] = valuePatches // RFC 5789 §3.1
		}
	}
	if seconds := retryAfter(o.status, err); seconds != "" {
		h.Set("Retry-After", seconds)
	}
	body := s.bodies[o.problem]
	if o.issues != nil {
		body = fhir.AppendOutcome(nil, o.issues...)
	}
	media := valueFHIR
	if x.administrative() {
		media, body = valueJSON, adminFault(err, o)
	}
	s.write(w, x, o.status, media, x.printed(body))
}

// administrative reports whether the answer is one of the interface of onboarding.
func (x *exchange) administrative() bool {
	return x.row.admin || strings.HasPrefix(x.path, "admin/")
}

// retryAfter is in how many seconds the request may do better; empty when it will
// not: a conflict with what is on file stays one.
func retryAfter(status int, err error) string {
	switch {
	case status == http.StatusServiceUnavailable:
		return "5"
	case errors.Is(err, gate.ErrExports):
		return "60"
	case status == http.StatusTooManyRequests, errors.Is(err, gate.ErrConflict):
		return "1"
	default:
		return ""
	}
}
