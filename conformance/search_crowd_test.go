package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	crowdSearchers = 64
	crowdWriters   = 8
	setSize        = 4 // members that stay; one more comes and goes
)

// crowdTime is how long the crowd searches; VITRINE_CROWD asks for longer, as in
// VITRINE_CROWD=2m.
func crowdTime(t *testing.T) time.Duration {
	t.Helper()
	s := os.Getenv("VITRINE_CROWD")
	if s == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// crowd searches sets of observations while they change. A writer changes all of
// a set in one transaction, to the same round, and puts another in the place of
// one: whoever looks must find setSize+1 of one round.
type crowd struct {
	*cast
	over     chan struct{}
	searched atomic.Int64
	written  atomic.Int64
	mu       sync.Mutex
	faults   map[string]int
}

// TestCrowd: many search while others write. There is no error, no torn page,
// and the server does not grow.
func TestCrowd(t *testing.T) {
	c := &crowd{cast: newCast(t), over: make(chan struct{}), faults: map[string]int{}}
	for set := range crowdWriters {
		c.do(t, c.root, c.round(set, 0)).want(t, http.StatusOK)
	}
	span := crowdTime(t)
	var work sync.WaitGroup
	for set := range crowdWriters {
		work.Go(func() { c.write(set) })
	}
	for n := range crowdSearchers {
		work.Go(func() { c.search(n) })
	}
	var memory []string
	sizes := []int{c.resident(t)}
	for range 4 {
		<-time.After(span / 4)
		sizes = append(sizes, c.resident(t))
	}
	close(c.over)
	work.Wait()
	for _, kb := range sizes {
		memory = append(memory, strconv.Itoa(kb/1024))
	}
	for fault, n := range c.faults {
		t.Errorf("%d times: %s", n, fault)
	}
	t.Logf("%v: %d searches beside %d transactions of %d; resident MB at each quarter: %s", span, c.searched.Load(), c.written.Load(), setSize+2, strings.Join(memory, ", "))
	if c.searched.Load() < crowdSearchers || c.written.Load() < crowdWriters {
		t.Errorf("%d searches and %d transactions are no load", c.searched.Load(), c.written.Load())
	}
	// In the first half what is kept at hand fills up.
	if half, end := sizes[2], sizes[4]; span >= time.Minute && end > half+half/4 {
		t.Errorf("grew from %d kB to %d kB in the second half", half, end)
	}
}

// round is the transaction that brings a set to a round.
func (c *crowd) round(set, n int) request {
	var entries []any
	add := func(id string) {
		o := with(observation("q", id), "identifier", []any{object{"system": "http://example.org/set", "value": fmt.Sprintf("s%d", set)}})
		o["valueQuantity"] = object{"value": rand.IntN(1000), "system": "http://unitsofmeasure.org", "code": "mg"} //nolint:gosec // any order
		o["note"] = []any{object{"text": fmt.Sprintf("round %d.", n)}}
		entries = append(entries, object{"resource": o, "request": object{"method": "PUT", "url": "Observation/" + id}})
	}
	for i := range setSize {
		add(fmt.Sprintf("set%d-%d", set, i))
	}
	add(fmt.Sprintf("set%d-extra-%d", set, n))
	if n > 0 {
		entries = append(entries, object{"request": object{"method": "DELETE", "url": fmt.Sprintf("Observation/set%d-extra-%d", set, n-1)}})
	}
	return send(http.MethodPost, "", mustJSON(object{"resourceType": "Bundle", "type": "transaction", "entry": entries}))
}

func (c *crowd) write(set int) {
	for n := 1; !c.ended(); n++ {
		a, err := c.try(c.root, c.round(set, n))
		if err != nil || a.status != http.StatusOK {
			c.fault("a transaction: %d %v %.300s", a.status, err, a.body)
			return
		}
		c.written.Add(1)
	}
}

func (c *crowd) search(n int) {
	queries := []string{
		"Observation?identifier=http://example.org/set|s%d", "Observation?patient=q&identifier=http://example.org/set|s%d&_sort=-value-quantity", "Observation?subject:Patient.gender=female&identifier=http://example.org/set|s%d&_total=accurate",
		"Observation?identifier=s%d&code:not=none&_sort=code,-date", "Observation?identifier=http://example.org/set|s%d&_include=Observation:subject&_sort=value-quantity",
	}
	for i := n; !c.ended(); i++ {
		set := i % crowdWriters
		if i%4 == 0 {
			c.walk(set)
		} else {
			c.look(fmt.Sprintf(queries[i%len(queries)], set))
		}
		c.searched.Add(1)
	}
}

// look wants the whole set, and of one round.
func (c *crowd) look(query string) {
	b, err := c.page(query)
	if err != nil {
		c.fault("%s: %v", query, err)
		return
	}
	rounds := map[string]bool{}
	for _, r := range b.rounds {
		rounds[r] = true
	}
	if len(b.ids) != setSize+1 || len(rounds) != 1 || b.Total >= 0 && b.Total != len(b.ids) {
		c.fault("%s: a torn page: %d of rounds %v, total %d", query, len(b.ids), len(rounds), b.Total)
	}
}

// walk goes page by page in an order that changes meanwhile: what stays comes
// once.
func (c *crowd) walk(set int) {
	seen := map[string]int{}
	next := fmt.Sprintf("Observation?identifier=http://example.org/set|s%d&_sort=value-quantity&_count=2", set)
	for range setSize + 1 {
		b, err := c.page(next)
		if err != nil {
			c.fault("a page of a walk: %v", err)
			return
		}
		for _, id := range b.ids {
			seen[id]++
		}
		if next = b.next; next == "" {
			break
		}
	}
	for i := range setSize {
		if n := seen[fmt.Sprintf("set%d-%d", set, i)]; n != 1 {
			c.fault("a walk met a member %d times", n)
		}
	}
}

// crowdPage is what a searcher looks at.
type crowdPage struct {
	Total       int
	ids, rounds []string
	next        string
}

var (
	errStatus    = errors.New("status")
	roundPattern = regexp.MustCompile(`"text":"(round \d+\.)"`)
)

func (c *crowd) page(path string) (crowdPage, error) {
	a, err := c.try(c.a1, get(path))
	if err != nil {
		return crowdPage{}, err
	}
	if a.status != http.StatusOK {
		return crowdPage{}, fmt.Errorf("%w %d: %.300s", errStatus, a.status, a.body)
	}
	b := struct {
		Total *int
		Entry []struct {
			Resource struct{ ID string }
			Search   struct{ Mode string }
		}
	}{}
	if err := json.Unmarshal(a.body, &b); err != nil {
		return crowdPage{}, err
	}
	out := crowdPage{Total: -1, next: nextLink(a)}
	if b.Total != nil {
		out.Total = *b.Total
	}
	for _, e := range b.Entry {
		if e.Search.Mode == "match" {
			out.ids = append(out.ids, e.Resource.ID)
		}
	}
	for _, m := range roundPattern.FindAllSubmatch(a.body, -1) {
		out.rounds = append(out.rounds, string(m[1]))
	}
	return out, nil
}

func (c *crowd) ended() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// fault notes what went wrong, once for each kind.
func (c *crowd) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.faults[text]; known || len(c.faults) < 10 {
		c.faults[text]++
	}
}

// resident is how many kB of memory the server holds; 0 where the system does
// not say.
func (s *server) resident(t *testing.T) int {
	t.Helper()
	status, err := readFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(status)
	at := slices.Index(fields, "VmRSS:")
	if at < 0 {
		return 0
	}
	kb, err := strconv.Atoi(fields[at+1])
	if err != nil {
		t.Fatal(err)
	}
	return kb
}
