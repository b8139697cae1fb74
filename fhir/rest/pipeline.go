package rest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/patch"
)

// exchange is one request, or one entry of a batch, on its way through the
// phases.
type exchange struct {
	row *interaction
	// path is the request's path below the base, without its first slash.
	path   string
	method string
	target target
	// query is the query part as it came.
	query string
	// began is when the request came; what it is decided and recorded at is
	// request.Now, when its body had come as well.
	began time.Time
	// since is from when the steps go by which it is held.
	since time.Time
	// request is what the gate is told.
	request    gate.Request
	conditions conditions
	prefer     preference
	// languages is Accept-Language.
	languages string
	pretty    bool
	// unfit says that the client takes no FHIR JSON, and plain that it takes plain
	// text instead.
	unfit, plain bool
	body         []byte
	tape         *fhir.Tape
	// changes are what a patch asks for.
	changes *patch.Document
	// client is the place taken among the client's requests.
	client *client
	// What the log and the meters are told.
	status  int
	problem string
	fault   error
	cut     bool // the client did not wait for the answer
	broken  bool // the answer ended before its end, which the client must notice
	browser bool // a page asks, or may
	table   bool // a table is asked for
	// values hold the header values of the answer, as far as there is room. They
	// live as long as the answer does, and the exchange does not.
	values *[4]string
	used   int
}

// value is a header's one value.
func (x *exchange) value(s string) []string {
	if x.used == len(x.values) {
		return []string{s}
	}
	x.values[x.used] = s
	x.used++
	return x.values[x.used-1 : x.used : x.used]
}

// serve is the way of every request: open, the phases, one answer, close. The
// engine's context ends here; what goes on is the request's own.
func (s *Server) serve(row *interaction) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		x := s.open(row, c)
		defer s.close(ctx, c.Writer, x)
		hold := s.holding(x)
		a, err := s.phases(ctx, c.Writer, c.Request, x)
		if a.nothing(err) || ctx.Err() != nil {
			hold()
		}
		if err != nil {
			s.fail(c.Writer, x, err)
			return
		}
		s.respond(c.Writer, x, a)
	}
}

// open takes the request's moment and its id. The exchange is one that was
// cleared and used again: it is by far the largest thing a request needs.
func (s *Server) open(row *interaction, c *gin.Context) *exchange {
	r := c.Request
	x, ok := s.exchanges.Get().(*exchange)
	if !ok {
		x = new(exchange)
	}
	x.row, x.method, x.query, x.values = row, r.Method, r.URL.RawQuery, new([4]string)
	x.path = strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, Root), "/")
	if row.pattern != "" { // else they are of a route that did not fit
		for _, p := range c.Params {
			x.target.set(p.Key, p.Value)
		}
	}
	x.began = s.cfg.Now()
	x.request = gate.Request{
		Now:         x.began,
		ID:          requestID(r.Header["X-Request-Id"]),
		Interaction: row.inner(),
		Method:      r.Method,
		Target:      r.RequestURI,
		Address:     host(r.RemoteAddr),
	}
	if category := r.Header["Category"]; len(category) > 0 {
		x.request.ClaimsEmergency = strings.Contains(category[0], "v3-ActReason#BTG")
	}
	h := c.Writer.Header()
	h["X-Request-Id"] = x.value(x.request.ID)
	delete(h, "Allow") // the engine's guess, where no route fitted
	x.browser = !row.beside && (row.open || len(r.Header["Origin"]) > 0)
	return x
}

// phases are fixed: limits, negotiation, token to caller, place in the queue of
// the client, what is addressed, body, handler. A handler cannot be reached
// past one of them.
func (s *Server) phases(ctx context.Context, w http.ResponseWriter, r *http.Request, x *exchange) (answer, error) {
	if err := s.limit(r, x.row); err != nil {
		return answer{}, err
	}
	if err := x.negotiate(r); err != nil {
		return answer{}, err
	}
	if x.row.open {
		return x.row.handle(s, ctx, x)
	}
	claim, err := s.identify(ctx, r.Header["Authorization"], x)
	if err != nil {
		return answer{}, err
	}
	if x.client, err = s.clients.enter(x.request.Caller.Client, x.request.Now); err != nil {
		return answer{}, err
	}
	missing := s.address(x)
	if claim != "" {
		return answer{}, s.gate.Deny(ctx, &x.request, refusedPurpose(), claim)
	}
	if missing != nil {
		return answer{}, missing
	}
	if err := s.custodial(ctx, x); err != nil {
		return answer{}, err
	}
	if err := s.exporting(ctx, x); err != nil {
		return answer{}, err
	}
	if err := s.spelled(ctx, x); err != nil {
		return answer{}, err
	}
	if err := s.receive(w, r, x); err != nil {
		return answer{}, err
	}
	x.starts()
	return x.row.handle(s, ctx, x)
}

// address works out what the path names: the type, and whether the type has the
// interaction.
func (s *Server) address(x *exchange) error {
	if !strings.HasPrefix(x.row.pattern, onType) {
		return x.there()
	}
	t := s.tools.Definitions.Resource(x.target.kind)
	if t == nil || x.target.reserved() {
		return s.unmatchedError(x)
	}
	x.request.Type = t.Resource()
	if err := x.there(); err != nil {
		return err
	}
	if x.row.write {
		if err := x.conditions.fit(x.row.name); err != nil {
			return err
		}
	}
	if x.row.only != "" && !x.row.serves(x.request.Type) {
		return refuse(problemUnknownOperation)
	}
	if !x.row.serves(x.request.Type) {
		return &fault{problem: problemMethod, allow: s.allow(x.row.pattern, x.request.Type)}
	}
	if x.row.write && x.row.pattern == onInstance { // nothing is kept where the program's own is shown
		if allow := s.allow("/"+t.Name+"/"+x.target.id, ""); allow != "" {
			return &fault{problem: problemMethod, allow: allow}
		}
	}
	return nil
}

// spelled asks the gate for what cannot exist, because its id is none: the
// answer and the record are those of a resource that is not there.
func (s *Server) spelled(ctx context.Context, x *exchange) error {
	if (x.target.id == "" || fhir.ValidID(x.target.id)) && (x.target.version == "" || fhir.ValidID(x.target.version)) {
		return nil
	}
	if x.row.name == "update" {
		return wrong(fhir.Issue{
			Severity: fhir.SeverityError, Code: fhir.CodeValue, Detail: "invalid", Expression: "Resource.id",
			Text: "An id has 1 to 64 of the characters A-Z, a-z, 0-9, - and .",
		})
	}
	if _, err := s.gate.Read(ctx, &x.request, x.request.Type, "/"); err != nil {
		return err
	}
	return gate.ErrNotFound
}

// unmatched answers what no row serves.
func (s *Server) unmatched(_ context.Context, x *exchange) (answer, error) {
	return answer{}, s.unmatchedError(x)
}

// unmatchedError is 405 for a path that is known, with the methods it has, and
// 404 for the rest.
func (s *Server) unmatchedError(x *exchange) error {
	if x.row.name == "outside" {
		for i := range s.table {
			if r := &s.table[i]; r.beside && r.method != http.MethodHead && r.fits(x.path) {
				return &fault{problem: problemMethod, allow: s.allow(r.pattern, "")}
			}
		}
		return refuse(problemUnknownPath)
	}
	row, t, allow, known := s.resolve(x.method, x.path)
	switch {
	case !known:
		return refuse(problemUnknownPath)
	case t.reserved():
		return refuse(problemUnknownOperation)
	case t.kind != "" && s.tools.Definitions.Resource(t.kind) == nil:
		return refuse(problemUnknownType)
	case row != nil: // an id where a word of the interface stands
		return refuse(problemUnknownOperation)
	default:
		for _, method := range [...]string{http.MethodGet, http.MethodPost} {
			row, _, _, _ := s.resolve(method, x.path)
			if row == nil {
				continue
			}
			again := exchange{row: row, request: x.request}
			again.request.Type = fhir.ResourceType(t.kind)
			if err := again.there(); err != nil {
				return err
			}
		}
		return &fault{problem: problemMethod, allow: allow}
	}
}

// close is the last phase, whatever happened: a panic becomes a silent 500, the
// place in the queue is given back, one event is logged.
func (s *Server) close(ctx context.Context, w gin.ResponseWriter, x *exchange) {
	fell := recover()
	if fell != nil && !w.Written() {
		s.fail(w, x, errPanic)
	}
	if x.client != nil {
		s.clients.leave(x.client)
	}
	s.release(x)
	took := s.cfg.Now().Sub(x.began)
	s.meters.count(x, took)
	s.log(ctx, x, took)
	broken := x.broken
	if fell == nil {
		*x = exchange{}
		s.exchanges.Put(x)
	} else {
		s.cfg.Log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("request", x.request.ID),
			slog.String("kind", fmt.Sprintf("%T", fell)), slog.String("stack", string(debug.Stack())))
		if x.status != http.StatusInternalServerError {
			panic(http.ErrAbortHandler) // half an answer is out: the client must notice
		}
	}
	if broken {
		panic(http.ErrAbortHandler)
	}
}

// tape takes a tape from the pool.
func (s *Server) tape() *fhir.Tape {
	t, ok := s.tapes.Get().(*fhir.Tape)
	if !ok {
		return new(fhir.Tape)
	}
	return t
}

// release gives the exchange's tape back.
func (s *Server) release(x *exchange) {
	if x.tape != nil {
		s.tapes.Put(x.tape)
		x.tape = nil
	}
}

// requestID is the client's X-Request-Id where it is harmless, or a fresh one.
func requestID(given []string) string {
	if len(given) == 1 && saneID(given[0]) {
		return given[0]
	}
	var id uuid.UUID        // made here, where it stays off the heap
	_, _ = rand.Read(id[:]) // it never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

func saneID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// host is the address without its port. Headers that name another are not
// trusted.
func host(remote string) string {
	i := strings.LastIndexByte(remote, ':')
	if i < 0 {
		return remote
	}
	return strings.Trim(remote[:i], "[]")
}
