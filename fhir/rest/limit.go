package rest

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"vitrine/fhir"
)

// manyClients is when idle ones are forgotten.
const manyClients = 4096

// pageURL is how many times longer the address of a page may be than another: it
// repeats what was asked, which may have come by POST.
const pageURL = 6

// formURL is how many times longer a form may be than an address: a thousand ids fit
// into it.
const formURL = 16

// limit is the phase that refuses by size alone.
func (s *Server) limit(r *http.Request, row *interaction) error {
	most := s.cfg.MaxURL
	if strings.Contains(r.URL.RawQuery, "_cursor=") {
		most *= pageURL
	}
	if len(r.RequestURI) > most || len(r.URL.RawQuery) > most || len(r.URL.Path) > s.cfg.MaxURL {
		return refuse(problemURI)
	}
	// An escaped slash is decoded before routing: what looks like one segment
	// would be two. No id has a slash.
	if raw := r.URL.RawPath; raw != "" && (strings.Contains(raw, "%2F") || strings.Contains(raw, "%2f")) {
		return refuse(problemUnknownPath)
	}
	if row.body != bodyNone && r.ContentLength > s.bodyLimit(row.body) {
		return refuse(problemTooLarge)
	}
	return nil
}

// bodyLimit bounds the body of an interaction.
func (s *Server) bodyLimit(kind bodyKind) int64 {
	switch kind {
	case bodyBundle:
		return s.cfg.MaxBundle
	case bodyForm:
		return min(s.cfg.MaxBody, int64(s.cfg.MaxURL)*formURL)
	case bodyNone, bodyResource, bodyOptional, bodyPatch, bodyJSON, bodyNote:
	}
	return s.cfg.MaxBody
}

// tapeLimits bounds what the parser takes on.
func (s *Server) tapeLimits(kind bodyKind) fhir.Limits {
	return fhir.Limits{Size: int(s.bodyLimit(kind)), Nodes: int(s.bodyLimit(kind) / 4)}
}

// clients bounds what each client asks for at once and over time. It counts
// requests and never what they find.
type clients struct {
	inFlight int
	rate     float64
	burst    float64

	mu  sync.Mutex
	all map[string]*client
}

// client is one client's account.
type client struct {
	running int
	tokens  float64
	filled  time.Time
}

func newClients(inFlight int, rate float64, burst int) *clients {
	return &clients{inFlight: inFlight, rate: rate, burst: max(float64(burst), rate, 1), all: make(map[string]*client)}
}

// enter takes a place for a request, or refuses.
func (c *clients) enter(name string, now time.Time) (*client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.all[name]
	if one == nil {
		c.forget(now)
		one = &client{tokens: c.burst, filled: now}
		c.all[name] = one
	}
	c.refill(one, now)
	if one.running >= c.inFlight || (c.rate > 0 && one.tokens < 1) {
		return nil, refuse(problemThrottled)
	}
	one.running++
	one.tokens--
	return one, nil
}

// spend charges a client for one more request, within a batch; false when the
// client may not make it now.
func (c *clients) spend(one *client, now time.Time) bool {
	if c.rate <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refill(one, now)
	if one.tokens < 1 {
		return false
	}
	one.tokens--
	return true
}

// leave gives a place back.
func (c *clients) leave(one *client) {
	c.mu.Lock()
	one.running--
	c.mu.Unlock()
}

// refill adds what has come in since the account was last looked at.
func (c *clients) refill(one *client, now time.Time) {
	if since := now.Sub(one.filled); since > 0 {
		one.tokens = min(c.burst, one.tokens+c.rate*since.Seconds())
		one.filled = now
	}
}

// forget drops the accounts that say nothing a fresh one would not.
func (c *clients) forget(now time.Time) {
	if len(c.all) < manyClients {
		return
	}
	for name, one := range c.all {
		c.refill(one, now)
		if one.running == 0 && (c.rate <= 0 || one.tokens >= c.burst) {
			delete(c.all, name)
		}
	}
}
