package oauth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"vitrine/fhir/smart"
	"vitrine/fhir/smart/token"
)

// The lives that hold where Config names none, and those that nobody chooses.
const (
	defaultTokenLife   = 15 * time.Minute
	defaultSessionLife = 8 * time.Hour
	defaultRefreshLife = 30 * 24 * time.Hour
	// MaxTokenLife bounds Config.TokenLife (SMART App Launch 2.2: an hour).
	MaxTokenLife = time.Hour
	// backendLife is how long a token of a back end is good for.
	backendLife = 5 * time.Minute
	// requestLife is how long a user may take to sign in and agree, codeLife how
	// long the app may take to redeem the code, launchLife how long an app may take
	// to come with its launch.
	requestLife = 10 * time.Minute
	codeLife    = time.Minute
	launchLife  = 5 * time.Minute
)

// maxForm bounds the body of a request, in bytes.
const maxForm = 32 << 10

// Server is the authorization server. It is safe for concurrent use.
type Server struct {
	cfg        Config
	assertions *token.Assertions
	throttle   *throttle
	handler    http.Handler
}

// New builds the server.
func New(cfg Config) (*Server, error) {
	if cfg.BaseURL == "" || cfg.Keys == nil || cfg.Registry == nil || cfg.State == nil || cfg.Porch == nil || cfg.Verifier == nil || cfg.Known == nil || cfg.Now == nil {
		return nil, errors.New("oauth: base URL, keys, registry, state, porch, verifier, resource types and clock are required")
	}
	cfg.TokenLife = cmp.Or(cfg.TokenLife, defaultTokenLife)
	cfg.SessionLife = cmp.Or(cfg.SessionLife, defaultSessionLife)
	cfg.RefreshLife = cmp.Or(cfg.RefreshLife, defaultRefreshLife)
	if cfg.TokenLife < 0 || cfg.TokenLife > MaxTokenLife || cfg.SessionLife < 0 || cfg.RefreshLife < 0 {
		return nil, errors.New("oauth: an access token lives an hour at most, and nothing less than no time")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, assertions: token.NewAssertions(), throttle: newThrottle()}
	s.handler = s.routes()
	return s, nil
}

// Handler serves everything below Root.
func (s *Server) Handler() http.Handler { return s.handler }

// Issuer is the iss of the server's tokens: the FHIR base.
func (s *Server) Issuer() string { return s.cfg.BaseURL + "/fhir" }

// at is the URL of an endpoint.
func (s *Server) at(name string) string { return s.cfg.BaseURL + Root + "/" + name }

// signsIn reports whether people can sign in at all.
func (s *Server) signsIn() bool { return s.cfg.Accounts != nil || s.cfg.Provider != nil }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for name, e := range map[string]endpoint{
		"token":      {method: http.MethodPost, serve: s.token},
		"introspect": {method: http.MethodPost, serve: s.introspect},
		"revoke":     {method: http.MethodPost, serve: s.revoke},
		"launch":     {method: http.MethodPost, serve: s.launch},
		"jwks":       {method: http.MethodGet, serve: s.jwks},
	} {
		mux.HandleFunc(Root+"/"+name, s.serve(name, e))
	}
	mux.HandleFunc(Root, s.nowhere)
	if s.signsIn() {
		mux.HandleFunc(Root+"/authorize", s.authorize)
		mux.Handle(Root+"/", s.people())
	} else {
		mux.HandleFunc(Root+"/", s.nowhere)
	}
	return mux
}

// nowhere answers at an address that is none of these: with a page for who looks,
// or as an endpoint would.
func (s *Server) nowhere(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		s.page(w, r, errNowhere)
		return
	}
	w.Header().Set(headerRequestID, requestID(r))
	refuseJSON(w, &refusal{status: http.StatusNotFound, code: codeRequest, description: "Nothing is served at this address by this method."})
}

// endpoint is one that programs call: its answers are JSON, and any page may read
// them, for what opens something is in the request and never a cookie.
type endpoint struct {
	method string
	serve  func(ctx context.Context, w http.ResponseWriter, x *exchange) error
}

// takes reports whether the endpoint is called by the method: HEAD is GET.
func (e *endpoint) takes(method string) bool {
	return method == e.method || method == http.MethodHead && e.method == http.MethodGet
}

// exchange is one request to an endpoint.
type exchange struct {
	r   *http.Request
	now time.Time
	// id is the X-Request-Id of the answer, address the network address of who asks.
	id, address string
	form        form
	// client is who it turned out to be, for the log.
	client string
}

func (s *Server) serve(name string, e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{r: r, now: s.cfg.Now(), id: requestID(r), address: host(r.RemoteAddr)}
		h := w.Header()
		h.Set("X-Request-Id", x.id)
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate, X-Request-Id")
		allow := e.method + ", OPTIONS"
		if e.method == http.MethodGet {
			allow = "GET, HEAD, OPTIONS"
		}
		switch {
		case r.Method == http.MethodOptions:
			h.Set("Allow", allow)
			h.Set("Access-Control-Allow-Methods", allow)
			h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, X-Request-Id")
			h.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		case !e.takes(r.Method):
			h.Set("Allow", allow)
			refuseJSON(w, &refusal{status: http.StatusMethodNotAllowed, code: codeRequest, description: "This endpoint is called by " + e.method + "."})
			return
		}
		ctx := r.Context()
		err := e.serve(ctx, w, x)
		if err != nil {
			refuseJSON(w, asRefusal(err))
		}
		s.log(ctx, name, x, err)
	}
}

// log writes one line for a request. No credential and no name of a person is in
// it.
func (s *Server) log(ctx context.Context, name string, x *exchange, err error) {
	attrs := []slog.Attr{slog.String("endpoint", name), slog.String("request", x.id), slog.String("client", x.client)}
	level := slog.LevelInfo
	if err != nil {
		var r *refusal
		if errors.As(err, &r) {
			attrs = append(attrs, slog.String("refused", r.code))
		} else {
			level = slog.LevelError
			attrs = append(attrs, slog.Any("error", err))
		}
	}
	s.cfg.Log.LogAttrs(ctx, level, "authorization", attrs...)
}

// requestID is the caller's own, if it is one to be repeated, or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	fit := len(id) > 0 && len(id) <= 64
	for _, c := range []byte(id) {
		fit = fit && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_')
	}
	if fit {
		return id
	}
	return rand.Text()
}

// host is an address without its port.
func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return h
}

// secret is a fresh value that nobody can guess, for a URL, a form or a cookie.
func secret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// hashed is how a secret is kept: what is kept opens nothing.
func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// recall reads what is kept under a key into v; false when there is nothing.
func recall(get func(key string) ([]byte, error), key string, v any) (bool, error) {
	text, err := get(key)
	if err != nil || text == nil {
		return false, err
	}
	return true, json.Unmarshal(text, v)
}

// keep puts v under a key.
func keep(m smart.Memory, key string, v any, until time.Time) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return m.Keep(key, text, until)
}

// look is how recall reads outside a change.
func (s *Server) look(ctx context.Context, now time.Time) func(key string) ([]byte, error) {
	return func(key string) ([]byte, error) { return s.cfg.State.Recall(ctx, key, now) }
}

// refreshes reports whether a kind of caller gets refresh tokens.
func (s *Server) refreshes(kind string) bool { return slices.Contains(s.cfg.Refresh, kind) }
