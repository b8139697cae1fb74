package conformance

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// number is a count that the environment may change.
func number(t *testing.T, name string, fallback int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return fallback
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		t.Fatalf("%s=%s: want a number", name, s)
	}
	return n
}

// livesOfOne is how often the server is killed in one history.
const livesOfOne = 5

// clientsAtOnce is how many clients a history has.
const clientsAtOnce = 8

// figures is what histories came to.
type figures struct {
	histories, calls, crashes, unknown, refused, events int
	checking                                            time.Duration
}

func (f *figures) String() string {
	return fmt.Sprintf("%d histories, %d requests, %d crashes, %d unknown, %d refused, %d events on record; checked in %v",
		f.histories, f.calls, f.crashes, f.unknown, f.refused, f.events, f.checking.Round(time.Millisecond))
}

// TestHistories lets clients read, write and delete the same few resources at
// the same time, alone and in transactions, gives up some requests and kills the
// server again and again; what everybody was told must be what one careful clerk
// could have told them, one after the other. VITRINE_HISTORIES asks for more
// histories and VITRINE_SEED for others.
func TestHistories(t *testing.T) {
	t.Parallel()
	total := figures{}
	for n := range number(t, "VITRINE_HISTORIES", 1) {
		c := newCast(t)
		b := newBench(t, c, n)
		for life := range livesOfOne {
			work(b, []*server{c.server}, b.seed(life), 150, c.kill)
			c.serve(t)
		}
		total.crashes += livesOfOne
		b.judge(t, c.server, c.auditor, &total)
		c.kill()
	}
	t.Log(total.String())
}

// newBench fills the accounts and the slot that stays.
func newBench(t *testing.T, c *cast, n int) *bench {
	t.Helper()
	seed := number(t, "VITRINE_SEED", 1)*1000 + n
	b := &bench{
		history: &history{began: time.Now(), sum: accountsInPlay * startingValue},
		token:   c.root, system: c.systemA, prefix: "h" + strconv.Itoa(seed), quarrel: clientsAtOnce / 2, latest: map[string]int{},
	}
	b.sent = sync.NewCond(&b.history.mu)
	first := &tester{bench: b, s: c.server, number: 99, rnd: b.seed(99)}
	for i := range accountsInPlay {
		b.accounts = append(b.accounts, "Observation/"+account(i))
		first.fill(t, "account", account(i))
	}
	first.fill(t, "slot", slot(0))
	return b
}

// fill puts what is there from the beginning.
func (c *tester) fill(t *testing.T, kind, id string) {
	t.Helper()
	name := "Observation/" + id
	one := c.start("PUT "+name, touch{act: put, resource: name, version: 1, created: true})
	a, _ := c.ask(one, c.token, send(http.MethodPut, name, content(kind, id, id, one.mark, startingValue)))
	a.want(t, http.StatusCreated)
	c.close(one)
}

// seed is the source of chance of one part of the history.
func (b *bench) seed(part int) *rand.Rand {
	n, _ := strconv.ParseUint(strings.TrimPrefix(b.prefix, "h"), 10, 64)
	return rand.New(rand.NewPCG(n, uint64(part)))
}

// work lets the clients work, each at one of the servers, and does harm after a
// number of requests. It returns when all have ended, which those do first whose
// server is gone.
func work(b *bench, servers []*server, rnd *rand.Rand, least int, harm func()) {
	end := make(chan struct{})
	var clients sync.WaitGroup
	life := b.life(clientsAtOnce)
	for i := range clientsAtOnce {
		c := &tester{
			bench: b, s: servers[i%len(servers)], number: life*clientsAtOnce + i, hasty: true,
			rnd: rand.New(rand.NewPCG(rnd.Uint64(), uint64(i))),
		}
		clients.Go(func() {
			defer b.left()
			c.work(end)
		})
	}
	b.await(least + rnd.IntN(least))
	harm()
	if len(servers) > 1 { // those of the other go on for a while
		b.await(least / 2)
	}
	close(end)
	clients.Wait()
}

// life is the number of the next time that clients work.
func (b *bench) life(clients int) int {
	b.history.mu.Lock()
	defer b.history.mu.Unlock()
	b.lives++
	b.running = clients
	return b.lives
}

// left notes that a client has ended.
func (b *bench) left() {
	b.history.mu.Lock()
	defer b.history.mu.Unlock()
	b.running--
	b.sent.Broadcast()
}

// await returns when so many more requests have been sent, or nobody is left to
// send any.
func (b *bench) await(more int) {
	b.history.mu.Lock()
	defer b.history.mu.Unlock()
	for want := len(b.calls) + more; len(b.calls) < want && b.running > 0; {
		b.sent.Wait()
	}
}

// judge reads what there is in the end, and checks the history.
func (b *bench) judge(t *testing.T, s *server, auditor string, total *figures) {
	t.Helper()
	if err := b.settled(s); err != nil {
		t.Fatalf("%s: %v", b.prefix, err)
	}
	on, err := b.events(s, auditor)
	if err != nil {
		t.Fatalf("%s: %v", b.prefix, err)
	}
	counts := b.counts()
	total.histories++
	total.calls += len(b.calls)
	total.unknown += counts[unknown]
	total.refused += counts[refused]
	total.events += len(on)
	began := time.Now()
	findings := append(b.check(), b.recorded(on)...)
	total.checking += time.Since(began)
	for _, f := range findings[:min(len(findings), 10)] {
		t.Errorf("%s: %s", b.prefix, f)
	}
	if len(findings) > 0 {
		t.Fatalf("%s: %d findings", b.prefix, len(findings))
	}
	if counts[done] < len(b.calls)/2 {
		t.Errorf("%s: of %d requests %d were done: no load", b.prefix, len(b.calls), counts[done])
	}
}

var (
	eventMark = regexp.MustCompile(`"value":"(h\d+-\d+-\d+)"`)
	eventRefs = regexp.MustCompile(`"reference":"(Observation/[^"]+)"`)
)

// events reads the record of access.
func (b *bench) events(s *server, auditor string) (events, error) {
	out := events{}
	c := &tester{bench: b, s: s}
	err := c.pages(auditor, "AuditEvent?_count=1000", func(body []byte) error {
		for _, e := range strings.Split(string(body), `"resourceType":"AuditEvent"`)[1:] {
			if m := eventMark.FindStringSubmatch(e); m != nil {
				out[m[1]] = slices.Clip(out[m[1]])
				for _, ref := range eventRefs.FindAllStringSubmatch(e, -1) {
					out[m[1]] = append(out[m[1]], ref[1])
				}
			}
		}
		return nil
	})
	return out, err
}
