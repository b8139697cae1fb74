package rest

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
)

// interaction is one row of the table that drives routes, HEAD, 405 and Allow,
// scopes, the audit subtype, batch entries and the CapabilityStatement. What
// stands in no row is not served.
type interaction struct {
	// name is the interaction as the specification names it (R4 http.html), or
	// the operation with its dollar sign.
	name   string
	method string // empty: the path is known and takes no method
	// pattern is the path below the base; outside rows stand beside it.
	pattern string
	// letter is the SMART scope letter and audit the code of the AuditEvent's
	// subtype.
	letter byte
	audit  string
	// write says that the interaction may change what is stored.
	write bool
	// open rows need no token and say nothing about a record.
	open bool
	// beside rows stand beside the FHIR base, not below it.
	beside bool
	// anyway rows answer in the one form they have, whatever a client accepts.
	anyway bool
	// admin rows are of the interface of onboarding, which speaks plain JSON.
	admin bool
	body  bodyKind
	// alone rows are requests of their own and no entries of a Bundle.
	alone bool
	// begins rows begin something, which a HEAD of them would do as well.
	begins bool
	// only is the one type an operation is for, and closed another of which everybody
	// is refused it.
	only, closed fhir.ResourceType
	// overseen rows are there for those alone who oversee the type (gate.Oversees).
	overseen bool
	// table rows answer as a table, too.
	table bool
	// whose rows are there for callers of some kinds alone; nil for all.
	whose  func(consent.Kind) bool
	handle func(*Server, context.Context, *exchange) (answer, error)
	// log has what the row's events begin with; nil for rows that take any
	// method.
	log slog.Handler
}

// bodyKind says what the body of a request is.
type bodyKind uint8

const (
	bodyNone     bodyKind = iota
	bodyResource          // a resource; required
	bodyOptional          // Parameters, to $validate a resource too, or nothing
	bodyForm              // application/x-www-form-urlencoded
	bodyBundle            // a batch or transaction
	bodyPatch             // a JSON Patch, or the Parameters of a FHIRPath Patch
	bodyJSON              // a JSON object that is no resource
	bodyNote              // Parameters with a signed note, or the note alone as plain text
)

const (
	onSystem   = "/"
	onType     = "/:type"
	onInstance = "/:type/:id"
)

// interactions is the table. Rows for HEAD follow from those for GET.
func interactions() []interaction {
	rows := []interaction{
		{name: "capabilities", method: http.MethodGet, pattern: "/metadata", open: true, handle: (*Server).metadata},
		{name: "smart-configuration", method: http.MethodGet, pattern: "/.well-known/smart-configuration", open: true, anyway: true, handle: (*Server).smartConfiguration},
		{name: "openid-configuration", method: http.MethodGet, pattern: "/.well-known/openid-configuration", open: true, anyway: true, handle: (*Server).openIDConfiguration},

		{name: "read", method: http.MethodGet, pattern: onInstance, letter: 'r', audit: "read", handle: (*Server).read},
		{name: "vread", method: http.MethodGet, pattern: onInstance + "/_history/:vid", letter: 'r', audit: "vread", handle: (*Server).vread},
		{name: "history-instance", method: http.MethodGet, pattern: onInstance + "/_history", letter: 'r', audit: "history-instance", handle: (*Server).history},
		{name: "create", method: http.MethodPost, pattern: onType, letter: 'c', audit: "create", write: true, body: bodyResource, handle: (*Server).create},
		{name: "update", method: http.MethodPut, pattern: onInstance, letter: 'u', audit: "update", write: true, body: bodyResource, handle: (*Server).update},
		{name: "update", method: http.MethodPut, pattern: onType, letter: 'u', audit: "update", write: true, body: bodyResource, handle: (*Server).updateWhere},
		{name: "patch", method: http.MethodPatch, pattern: onInstance, letter: 'u', audit: "patch", write: true, body: bodyPatch, handle: (*Server).patch},
		{name: "patch", method: http.MethodPatch, pattern: onType, letter: 'u', audit: "patch", write: true, body: bodyPatch, handle: (*Server).patchWhere},
		{name: "delete", method: http.MethodDelete, pattern: onInstance, letter: 'd', audit: "delete", write: true, handle: (*Server).remove},
		{name: "delete", method: http.MethodDelete, pattern: onType, letter: 'd', audit: "delete", write: true, handle: (*Server).removeWhere},
		{name: "search-type", method: http.MethodGet, pattern: onType, letter: 's', audit: "search-type", handle: (*Server).searchType},
		{name: "search-type", method: http.MethodGet, pattern: onType + "/_search", letter: 's', audit: "search-type", handle: (*Server).searchType},
		{name: "search-type", method: http.MethodPost, pattern: onType + "/_search", letter: 's', audit: "search-type", body: bodyForm, handle: (*Server).searchType},
		{name: "search-compartment", method: http.MethodGet, pattern: onInstance + "/:of", letter: 's', audit: "search-type", handle: (*Server).searchCompartment},
		{name: "search-compartment", method: http.MethodPost, pattern: onInstance + "/:of/_search", letter: 's', audit: "search-type", body: bodyForm, handle: (*Server).searchCompartment},
		{name: "search-system", method: http.MethodGet, pattern: onSystem, letter: 's', audit: "search-system", handle: (*Server).searchSystem},
		{name: "search-system", method: http.MethodGet, pattern: "/_search", letter: 's', audit: "search-system", handle: (*Server).searchSystem},
		{name: "search-system", method: http.MethodPost, pattern: "/_search", letter: 's', audit: "search-system", body: bodyForm, handle: (*Server).searchSystem},
		{name: "transaction", method: http.MethodPost, pattern: onSystem, audit: "transaction", write: true, body: bodyBundle, handle: (*Server).bundle},

		{name: "$everything", method: http.MethodGet, pattern: onInstance + "/$everything", letter: 'r', audit: "$everything", only: "Patient", handle: (*Server).everything},
		{name: "$everything", method: http.MethodPost, pattern: onInstance + "/$everything", letter: 'r', audit: "$everything", body: bodyOptional, only: "Patient", handle: (*Server).everything},
		{name: "$break-glass", method: http.MethodPost, pattern: onInstance + "/$break-glass", letter: 'r', audit: "$break-glass", write: true, body: bodyOptional, only: "Patient", handle: (*Server).breakGlass},
		{name: "$break-glass-stop", method: http.MethodPost, pattern: onInstance + "/$break-glass-stop", letter: 'r', audit: "$break-glass-stop", write: true, body: bodyOptional, only: "Patient", handle: (*Server).stopBreakGlass},
		{name: "$access", method: http.MethodGet, pattern: onInstance + "/$access", letter: 'r', audit: "$access", only: "Patient", handle: (*Server).access},

		{name: "$validate", method: http.MethodPost, pattern: onType + "/$validate", letter: 'c', audit: "$validate", body: bodyOptional, handle: (*Server).validate},
		{name: "$validate", method: http.MethodGet, pattern: onInstance + "/$validate", letter: 'r', audit: "$validate", handle: (*Server).validate},
		{name: "$validate", method: http.MethodPost, pattern: onInstance + "/$validate", letter: 'r', audit: "$validate", body: bodyOptional, handle: (*Server).validate},
		{name: "$meta", method: http.MethodGet, pattern: onInstance + "/$meta", letter: 'r', audit: "$meta", handle: (*Server).meta},
		{name: "$meta", method: http.MethodPost, pattern: onInstance + "/$meta", letter: 'r', audit: "$meta", body: bodyOptional, handle: (*Server).meta},
		{name: "$meta", method: http.MethodGet, pattern: onInstance + "/_history/:vid/$meta", letter: 'r', audit: "$meta", handle: (*Server).meta},
		{name: "$meta", method: http.MethodPost, pattern: onInstance + "/_history/:vid/$meta", letter: 'r', audit: "$meta", body: bodyOptional, handle: (*Server).meta},
		{name: "$meta-add", method: http.MethodPost, pattern: onInstance + "/$meta-add", letter: 'u', audit: "$meta-add", write: true, body: bodyResource, handle: (*Server).metaAdd},
		{name: "$meta-delete", method: http.MethodPost, pattern: onInstance + "/$meta-delete", letter: 'u', audit: "$meta-delete", write: true, body: bodyResource, handle: (*Server).metaDelete},
		{name: "$meta", method: http.MethodGet, pattern: onType + "/$meta", letter: 's', audit: "$meta", overseen: true, handle: (*Server).metaOf},
		{name: "$meta", method: http.MethodPost, pattern: onType + "/$meta", letter: 's', audit: "$meta", body: bodyOptional, overseen: true, handle: (*Server).metaOf},
		{name: "$meta", method: http.MethodGet, pattern: "/$meta", letter: 's', audit: "$meta", overseen: true, handle: (*Server).metaOf},
		{name: "$meta", method: http.MethodPost, pattern: "/$meta", letter: 's', audit: "$meta", body: bodyOptional, overseen: true, handle: (*Server).metaOf},

		// They answer about the writes of others (DOSSIER §7.9).
		{name: "history-type", method: http.MethodGet, pattern: onType + "/_history", letter: 's', audit: "history-type", overseen: true, handle: (*Server).changes},
		{name: "history-system", method: http.MethodGet, pattern: "/_history", letter: 's', audit: "history-system", overseen: true, handle: (*Server).changes},

		// The log of accesses as a whole.
		{name: "$checkpoint", method: http.MethodGet, pattern: onType + "/$checkpoint", letter: 's', audit: "$checkpoint", anyway: true, alone: true, only: "AuditEvent", overseen: true, handle: (*Server).checkpoint},
		{name: "$checkpoint", method: http.MethodPost, pattern: onType + "/$checkpoint", letter: 's', audit: "$checkpoint", body: bodyNote, anyway: true, alone: true, only: "AuditEvent", overseen: true, handle: (*Server).cosign},
		{name: "$inclusion-proof", method: http.MethodGet, pattern: onInstance + "/$inclusion-proof", letter: 'r', audit: "$inclusion-proof", only: "AuditEvent", overseen: true, handle: (*Server).inclusionProof},
		{name: "$inclusion-proof", method: http.MethodGet, pattern: onType + "/$inclusion-proof", letter: 'r', audit: "$inclusion-proof", only: "AuditEvent", overseen: true, handle: (*Server).inclusionProof},
		{name: "$consistency-proof", method: http.MethodGet, pattern: onType + "/$consistency-proof", letter: 's', audit: "$consistency-proof", only: "AuditEvent", overseen: true, handle: (*Server).consistencyProof},
		{name: "$log-records", method: http.MethodGet, pattern: onType + "/$log-records", letter: 's', audit: "$log-records", anyway: true, alone: true, only: "AuditEvent", overseen: true, handle: (*Server).logRecords},
		{name: "$log-tiles", method: http.MethodGet, pattern: onType + "/$log-tiles", letter: 's', audit: "$log-tiles", anyway: true, alone: true, only: "AuditEvent", overseen: true, handle: (*Server).logTiles},
		{name: "$access-history", method: http.MethodGet, pattern: onInstance + "/$access-history", letter: 's', audit: "$access-history", only: "Patient", whose: gate.Concerned, handle: (*Server).accessHistory},
		{name: "$access-history", method: http.MethodPost, pattern: onInstance + "/$access-history", letter: 's', audit: "$access-history", body: bodyOptional, only: "Patient", whose: gate.Concerned, handle: (*Server).accessHistory},
		{name: "$simulate", method: http.MethodPost, pattern: onType + "/$simulate", letter: 'r', audit: "$simulate", body: bodyResource, alone: true, only: "Consent", whose: gate.ConcernedOrKeeping, handle: (*Server).simulate},
		{name: "$explain", method: http.MethodGet, pattern: onInstance + "/$explain", letter: 'r', audit: "$explain", only: "AuditEvent", whose: gate.ConcernedOrKeeping, handle: (*Server).explain},

		{name: "healthz", method: http.MethodGet, pattern: "/healthz", open: true, beside: true, handle: (*Server).healthz},
		{name: "readyz", method: http.MethodGet, pattern: "/readyz", open: true, beside: true, handle: (*Server).readyz},
		{name: "metrics", method: http.MethodGet, pattern: "/metrics", open: true, beside: true, handle: (*Server).metrics},
	}
	rows = append(rows, onboarding()...)
	rows = append(rows, directing()...)
	rows = append(rows, exports()...)
	rows = append(rows, overseeing()...)
	rows = append(rows, defined(rows)...)
	for _, row := range rows {
		if row.method == http.MethodGet && !row.begins {
			row.method = http.MethodHead
			rows = append(rows, row)
		}
	}
	return rows
}

// path is the pattern as the engine routes it.
func (i *interaction) path() string {
	switch {
	case i.beside:
		return i.pattern
	case i.pattern == onSystem:
		return Root
	default:
		return Root + i.pattern
	}
}

// inner is what the gate is told of the interaction.
func (i *interaction) inner() gate.Interaction {
	return gate.Interaction{Code: i.audit, Letter: i.letter, Write: i.write}
}

// serves reports whether a resource type has the interaction. AuditEvents are
// written by the server alone.
func (i *interaction) serves(t fhir.ResourceType) bool {
	if i.only != "" && i.only != t && i.closed != t {
		return false
	}
	return !i.write || t != "AuditEvent"
}

// there refuses a row that is there for those alone who oversee what it is about,
// or for others alone, as one is refused that nobody has.
func (x *exchange) there() error {
	switch {
	case x.row.whose != nil && !x.row.whose(x.request.Caller.Kind):
		return refuse(problemUnknownOperation)
	case !x.row.overseen || gate.Oversees(x.request.Caller.Kind, x.request.Type):
		return nil
	case x.unfit: // as it is first of all for what nobody has
		return refuse(problemNotAcceptable)
	case strings.Contains(x.row.pattern, "$"):
		return refuse(problemUnknownOperation)
	default:
		return refuse(problemNotForCaller)
	}
}

// target is what a path below the base names.
type target struct {
	kind    string // the type, as written
	id      string
	version string
	of      string // the type searched in a compartment
	client  string // the client or organisation that is onboarded
	// job is an export, and file one of its files.
	job, file string
}

// set files one path parameter.
func (t *target) set(name, value string) {
	switch name {
	case "type":
		t.kind = value
	case "id":
		t.id = value
	case "vid":
		t.version = value
	case "of":
		t.of = value
	case "client":
		t.client = value
	case "job":
		t.job = value
	case "file":
		t.file = value
	}
}

// reserved reports whether a path parameter is a word of the interface, which
// no id and no type is.
func (t *target) reserved() bool {
	for _, s := range [...]string{t.kind, t.id, t.of} {
		if s != "" && (s[0] == '_' || s[0] == '$') {
			return true
		}
	}
	return false
}

// match reports whether the path is an instance of the pattern, how many words
// they have in common, and what the path names.
func (i *interaction) match(path string) (t target, words int, ok bool) {
	pattern := strings.TrimPrefix(i.pattern, "/")
	for {
		want, restPattern, morePattern := strings.Cut(pattern, "/")
		have, restPath, morePath := strings.Cut(path, "/")
		if name, param := strings.CutPrefix(want, ":"); param && have != "" {
			t.set(name, have)
		} else if want == have {
			words++
		} else {
			return target{}, 0, false
		}
		if morePattern != morePath {
			return target{}, 0, false
		}
		if !morePattern {
			return t, words, true
		}
		pattern, path = restPattern, restPath
	}
}

// fits reports whether the path is an instance of the pattern.
func (i *interaction) fits(path string) bool {
	_, _, ok := i.match(path)
	return ok
}

// resolve finds the row for a method and a path below the base, without its
// first slash. Of several patterns that fit, the one with most words counts.
// When the path is known but not with this method, allow lists the methods it
// has; known is false for a path that fits no pattern.
func (s *Server) resolve(method, path string) (row *interaction, t target, allow string, known bool) {
	best := -1
	var pattern string
	for i := range s.table {
		r := &s.table[i]
		if r.beside {
			continue
		}
		if at, words, ok := r.match(path); ok && words > best {
			best, pattern, t = words, r.pattern, at
		}
	}
	if best < 0 {
		return nil, target{}, "", false
	}
	for i := range s.table {
		if r := &s.table[i]; r.pattern == pattern && r.method == method && !r.beside {
			return r, t, "", true
		}
	}
	return nil, t, s.allow(pattern, ""), true
}

// allow lists the methods of a pattern that a type has, for the Allow header.
func (s *Server) allow(pattern string, t fhir.ResourceType) string {
	var methods []string
	for i := range s.table {
		if r := &s.table[i]; r.pattern == pattern && r.method != "" && (t == "" || r.serves(t)) {
			methods = append(methods, r.method)
		}
	}
	return strings.Join(methods, ", ")
}
