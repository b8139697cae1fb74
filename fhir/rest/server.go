// Package rest owns the porch: HTTP in, HTTP out. It owns the one table of
// interactions, the fixed phases every request passes through, headers, ETags
// and Bundles, the one table that turns errors into HTTP, and the interface of
// onboarding beside the FHIR base. It does not
// decide what a caller may see, nor record it, which is consent/gate's; it does
// not verify tokens, which is smart/token's; it never sees a store. What it
// writes about a record is a gate.Released and nothing else.
package rest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/fhir/subset"
)

// Root is the path of the FHIR base below the server's own URL.
const Root = "/fhir"

// The limits that hold where Config names none.
const (
	defaultMaxBody    = 16 << 20
	defaultMaxBundle  = 64 << 20
	defaultMaxURL     = 8 << 10
	defaultMaxEntries = 50_000
	defaultInFlight   = 256
)

// Config is what a deployment chooses. Zero sizes mean the defaults.
type Config struct {
	// BaseURL is the FHIR base as clients see it, such as
	// "https://nehr.example/fhir", without a slash at the end. Required.
	BaseURL string
	// Version says which software this is; it goes into the CapabilityStatement.
	Version string
	// MaxBody and MaxBundle bound the body of a request in bytes: of one
	// resource, and of a batch or transaction.
	MaxBody, MaxBundle int64
	// Meters are more of what /metrics tells.
	Meters []prometheus.Collector
	// MaxURL bounds the request target in bytes; that of a page may be longer.
	MaxURL int
	// MaxEntries bounds the entries of a batch or transaction.
	MaxEntries int
	// InFlight bounds the requests of one client that are served at once.
	InFlight int
	// Rate is how many requests a second one client may make on average, and
	// Burst how many at once. A zero Rate sets no limit.
	Rate  float64
	Burst int
	// AbsenceGrid is the step at whose multiples, counted from the request, an
	// answer leaves that says that something is not there; zero sets none.
	AbsenceGrid time.Duration
	// Authorization is the authorization server's own word about itself; nil where
	// there is none beside this porch.
	Authorization *Authorization
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Log receives one event per request; nil discards them.
	Log *slog.Logger
}

// Tools are the parts that know FHIR. All are required.
type Tools struct {
	Definitions *r4.Definitions
	Parser      *search.Parser
}

// Verifier turns a bearer token into what it says, or refuses it with an error
// that quotes nothing of it.
type Verifier interface {
	Verify(ctx context.Context, bearer string, now time.Time) (smart.Token, error)
}

// Server is the porch of one gate. It is safe for concurrent use.
type Server struct {
	cfg      Config
	tools    Tools
	gate     *gate.Gate
	verifier Verifier
	engine   *gin.Engine
	table    []interaction
	subsets  *subset.Subsets
	clients  *clients
	meters   *meters
	// base is the base URL as JSON opens it: a quote, the URL, a slash.
	base      []byte
	documents documents
	// statements is the CapabilityStatement that was made last.
	statements atomic.Pointer[declared]
	// bodies are the OperationOutcomes of the catalogue, made once, so that the
	// same refusal is the same bytes.
	bodies    [problemCount][]byte
	tapes     sync.Pool
	buffers   sync.Pool
	exchanges sync.Pool
	// nap is the end of a wait; nil where timers are exact.
	nap func(time.Duration)
}

// New builds the porch.
func New(cfg Config, tools Tools, g *gate.Gate, v Verifier) (*Server, error) {
	if cfg.BaseURL == "" || strings.HasSuffix(cfg.BaseURL, "/") {
		return nil, errors.New("rest: the base URL must be set and not end in a slash")
	}
	if tools.Definitions == nil || tools.Parser == nil || g == nil || v == nil {
		return nil, errors.New("rest: definitions, parser, gate and verifier are required")
	}
	cfg.fill()
	s := &Server{cfg: cfg, tools: tools, gate: g, verifier: v, table: interactions(), nap: nap}
	for i := range s.table {
		if row := &s.table[i]; row.method != "" {
			row.log = row.events(cfg.Log, row.method)
		}
	}
	var err error
	if s.documents, err = cfg.Authorization.documents(); err != nil {
		return nil, err
	}
	s.subsets = subset.New(tools.Definitions)
	s.clients = newClients(cfg.InFlight, cfg.Rate, cfg.Burst)
	s.meters = newMeters(s.table, cfg.Meters, g)
	s.base = append(bytes.TrimSuffix(fhir.AppendString(nil, cfg.BaseURL), []byte(`"`)), '/')
	s.tapes.New = func() any { return new(fhir.Tape) }
	s.buffers.New = func() any { return new([]byte) }
	for p := range problemCount {
		s.bodies[p] = fhir.AppendOutcome(nil, p.issue())
	}
	s.engine = s.routes()
	return s, nil
}

// fill puts the defaults where nothing was chosen.
func (c *Config) fill() {
	if c.MaxBody <= 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.MaxBundle <= 0 {
		c.MaxBundle = defaultMaxBundle
	}
	if c.MaxURL <= 0 {
		c.MaxURL = defaultMaxURL
	}
	if c.MaxEntries <= 0 {
		c.MaxEntries = defaultMaxEntries
	}
	if c.InFlight <= 0 {
		c.InFlight = defaultInFlight
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Handler serves the FHIR base at Root and the health endpoints beside it.
func (s *Server) Handler() http.Handler { return s.engine }

// Routes are the method and path of everything that is served.
func (s *Server) Routes() []string {
	var out []string
	for _, r := range s.engine.Routes() {
		out = append(out, r.Method+" "+r.Path)
	}
	return out
}

// routes builds the engine. Every route, and what is no route, goes through
// serve: there is nothing a middleware could be forgotten on. gin's redirects
// are off, because FHIR knows none and they answer in HTML.
func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.RedirectFixedPath = false
	e.HandleMethodNotAllowed = true
	for i := range s.table {
		row := &s.table[i]
		if row.method != "" {
			e.Handle(row.method, row.path(), s.serve(row))
		}
		if row.pattern == onSystem {
			e.Handle(row.method, Root+"/", s.serve(row))
		}
	}
	nowhere := s.nowhere(e)
	e.NoRoute(nowhere)
	e.NoMethod(nowhere)
	return e
}

// nowhere serves what fits no row: a slash at the end is overlooked, a browser
// is told what it may ask, and the rest is refused.
func (s *Server) nowhere(e *gin.Engine) gin.HandlerFunc {
	unmatched := s.serve(&interaction{name: "unmatched", handle: (*Server).unmatched})
	outside := s.serve(&interaction{name: "outside", open: true, beside: true, handle: (*Server).unmatched})
	preflight := s.serve(&interaction{name: "preflight", open: true, handle: (*Server).preflight})
	return func(c *gin.Context) {
		path := c.Request.URL.Path
		bare, slashed := strings.CutSuffix(path, "/")
		switch {
		case !strings.HasPrefix(path, Root+"/") && path != Root:
			outside(c)
		case c.Request.Method == http.MethodOptions:
			preflight(c)
		case slashed && len(bare) > len(Root) && !strings.HasSuffix(bare, "/"):
			c.Request.URL.Path = bare
			e.HandleContext(c)
		default:
			unmatched(c)
		}
	}
}
