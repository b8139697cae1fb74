package oauth

import (
	"net/http"
	"sync"
	"time"
)

// A client may fail to prove who it is failuresMost times in failuresSpan from one
// address; what it sends then is refused unseen until the span is over. Nobody
// else's client, and nobody at another address, is kept out by it.
const (
	failuresMost = 30
	failuresSpan = time.Minute
	// failuresKept bounds how many are remembered.
	failuresKept = 1 << 14
)

// From one address begunMost authorizations may be begun in begunSpan: each is kept
// until somebody signs in or its time is over, and whoever begins one need not be
// anybody. There may be a hospital behind an address, or a proxy.
const (
	begunMost = 1200
	begunSpan = time.Minute
)

// provingAtOnce is how many signatures of clients are looked at together.
const provingAtOnce = 64

// throttle holds back who tries keys. It is this process's own: what it protects
// is its processor, and the signature itself is what protects the rest.
type throttle struct {
	mu     sync.Mutex
	failed map[string]failures
	begun  map[string]failures
	slots  chan struct{}
}

// failures are those of one client at one address, or what was begun from one, in a
// span that begins with the first.
type failures struct {
	count int
	until time.Time
}

func newThrottle() *throttle {
	return &throttle{failed: map[string]failures{}, begun: map[string]failures{}, slots: make(chan struct{}, provingAtOnce)}
}

// wait is for how long nothing is heard; zero when it is.
func (t *throttle) wait(who string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.failed[who]; f.count >= failuresMost {
		return max(0, f.until.Sub(now))
	}
	return 0
}

// charge counts a failure.
func (t *throttle) charge(who string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	count(t.failed, who, failuresSpan, now)
}

// begin counts an authorization that is begun, and returns for how long the address
// has to wait with it; zero when it may be.
func (t *throttle) begin(address string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.begun[address]; f.count >= begunMost && now.Before(f.until) {
		return f.until.Sub(now)
	}
	count(t.begun, address, begunSpan, now)
	return 0
}

// count adds one in a span.
func count(all map[string]failures, who string, span time.Duration, now time.Time) {
	f, known := all[who]
	if !known && len(all) >= failuresKept {
		forget(all, now)
	}
	if !now.Before(f.until) {
		f = failures{until: now.Add(span)}
	}
	f.count++
	all[who] = f
}

// forget drops what is over, and everything when that is nothing.
func forget(all map[string]failures, now time.Time) {
	for who, f := range all {
		if !now.Before(f.until) {
			delete(all, who)
		}
	}
	if len(all) >= failuresKept {
		clear(all)
	}
}

// tooMany says when it may be tried again.
func tooMany(wait time.Duration) *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, code: codeUnavailable, retry: int(wait.Seconds()) + 1,
		description: "Too many attempts to prove who the client is have failed. See that it signs with the key that is registered, and try again later.",
	}
}
