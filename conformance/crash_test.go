package conformance

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// crashRounds is how often the server is killed; VITRINE_CRASH_ROUNDS asks for
// more or fewer.
func crashRounds(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("VITRINE_CRASH_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 15
}

// ledger is what clients were told.
type ledger struct {
	mu      sync.Mutex
	written []string          // Locations of acknowledged writes
	shown   map[string]string // request id of each released answer, to its path
}

// TestKill9 kills the server under concurrent writes and reads, again and again:
// every acknowledged write and the audit event of every released answer must be
// there afterwards.
func TestKill9(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	rounds, acks, looks := crashRounds(t), 0, 0
	for round := range rounds {
		l := &ledger{shown: map[string]string{}}
		c.hammer(t, l, round)
		c.serve(t)
		c.post(t, c.systemA, without(observation("q", ""), "id")).want(t, http.StatusCreated) // whatever the dead server was doing
		for _, location := range l.written {
			if a := c.do(t, c.root, get(location)); a.status != http.StatusOK {
				t.Fatalf("round %d: %s was acknowledged and is gone: %d", round, location, a.status)
			}
		}
		recorded := c.recorded(t, "r"+strconv.Itoa(round)+"-")
		for id, path := range l.shown {
			if !recorded[id] {
				t.Fatalf("round %d: %s was shown (%s) and is not in the record of access", round, path, id)
			}
		}
		acks, looks = acks+len(l.written), looks+len(l.shown)
	}
	if acks < 5*rounds || looks < 5*rounds {
		t.Errorf("%d acknowledged writes and %d released answers in %d rounds are no load", acks, looks, rounds)
	}
	t.Logf("%d rounds: %d acknowledged writes and %d released answers, all there", rounds, acks, looks)
}

// hammer writes and reads from eight connections until a number of answers has
// come, then kills the server in the midst of it.
func (c *cast) hammer(t *testing.T, l *ledger, round int) {
	t.Helper()
	body := encode(t, without(observation("q", ""), "id"))
	var answered atomic.Int64
	enough := make(chan struct{})
	var once sync.Once
	var work sync.WaitGroup
	for w := range 8 {
		work.Go(func() {
			for i := 0; ; i++ {
				id := "r" + strconv.Itoa(round) + "-" + strconv.Itoa(w) + "-" + strconv.Itoa(i)
				r, token := send(http.MethodPost, "Observation", body), c.systemA
				if w%2 == 1 {
					r, token = get("Condition/c-q"), c.a1
				}
				a, err := c.try(token, r.with("X-Request-Id", id))
				if err != nil {
					return
				}
				l.note(a, r, id)
				if answered.Add(1) == int64(40+17*(round%10)) {
					once.Do(func() { close(enough) })
				}
			}
		})
	}
	<-enough
	c.kill()
	work.Wait()
}

func (l *ledger) note(a answer, r request, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch a.status {
	case http.StatusCreated:
		l.written = append(l.written, a.header.Get("Location"))
	case http.StatusOK:
		l.shown[id] = r.path
	}
}

// recorded are the request ids with the prefix in the record of access.
func (c *cast) recorded(t *testing.T, prefix string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	next := "AuditEvent?agent=PractitionerRole/a1&_sort=-_lastUpdated&_count=200"
	for next != "" {
		a := c.do(t, c.auditor, get(next)).want(t, http.StatusOK)
		before := len(out)
		for _, e := range a.matches(t) {
			for _, entity := range list(e, "entity") {
				if id := text(entity, "what", "identifier", "value"); strings.HasPrefix(id, prefix) {
					out[id] = true
				}
			}
		}
		if len(out) == before { // newest first: earlier rounds follow
			return out
		}
		next = nextLink(a)
	}
	return out
}
