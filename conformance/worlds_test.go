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
	"testing"
	"time"
)

// worldBase is the base URL both worlds answer under, so that links compare.
const worldBase = "http://vitrine.test"

// envOneIn asks for a sample: of the reads one in so many, and of the rounds of
// writes after the first.
const envOneIn = "VITRINE_WORLDS_ONE_IN"

// worldSeeds are the world made in every run; VITRINE_WORLDS names others, by
// commas, as in VITRINE_WORLDS=1,2,3,4,5. Odd seeds write the hidden data between two halves of the visible
// data, even ones after all of it.
func worldSeeds(t *testing.T) []uint64 {
	t.Helper()
	names := os.Getenv("VITRINE_WORLDS")
	if names == "" {
		return []uint64{1}
	}
	var seeds []uint64
	for _, name := range strings.Split(names, ",") {
		seed, err := strconv.ParseUint(name, 10, 64)
		if err != nil {
			t.Fatalf("VITRINE_WORLDS: %v", err)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// TestTwoWorlds is the one hard promise. Of every pair of worlds the first holds
// data the caller may not see and the second never did; every answer must be
// the same to the byte, but for Date, request ids, and ids and instants that
// are fresh.
//
// What breaks it is shown by TestMutations.
func TestTwoWorlds(t *testing.T) {
	t.Parallel()
	pairs, used, written := 0, tallies{}, writeTallies{}
	for _, seed := range worldSeeds(t) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			pairs += compareWorlds(t, seed, used, written)
		})
	}
	t.Logf("%d request pairs", pairs)
	if t.Failed() {
		return
	}
	if few := os.Getenv("VITRINE_WORLDS") != ""; !few {
		written.check(t)
	}
	if len(used) == 0 || number(t, envOneIn, 1) > 1 {
		return // writes alone were asked for, or a sample
	}
	used.check(t)
	if pairs < 4_500 && os.Getenv("VITRINE_WORLDS") == "" {
		t.Errorf("%d request pairs, want 4,500 or more", pairs)
	}
}

func compareWorlds(t *testing.T, seed uint64, used tallies, written writeTallies) int {
	g := newWorldMaker(seed)
	base := t.TempDir() + "/base"
	s := start(t, base, "--base-url", worldBase)
	g.load(t, s, g.directory())
	g.indexed(t, s)
	visible, hidden := g.visible(), g.hidden()
	later := visible[len(visible)/2:]
	if seed%2 == 0 {
		later = nil
	}
	g.load(t, s, visible[:len(visible)-len(later)])
	s.stop(t)
	flags := []string{"--export-wait", "0s", "--checkpoint-every", "1s"} // patients are told of first accesses meanwhile
	if seed%2 == 0 {
		flags = append(flags, "--conditional-delete-max", "3")
	}
	one, two := twin(t, base, "one", flags...), twin(t, base, "two", flags...)
	since := time.Now()
	g.load(t, one, hidden)
	g.load(t, one, later)
	g.load(t, two, later)
	g.disturb(t, one)
	p := &pair{one: one, two: two, since: since, used: used, written: written}
	made := slices.Clone(g.ids)
	t.Run("reads", func(t *testing.T) { p.reads(t, g) })
	g.ids, g.rand = made, random(seed, "writes") // the same whether or not there were reads
	t.Run("writes", func(t *testing.T) { p.writes(t, g) })
	return p.count
}

// reads compares what callers are told who read.
func (p *pair) reads(t *testing.T, g *worldMaker) {
	p.t = t
	callers, oneIn := g.callers(t, p.one), number(t, envOneIn, 1)
	for i, c := range callers {
		p.other = callers[(i+1)%len(callers)]
		for k, r := range g.requests(c) {
			if (k+i)%oneIn == 0 {
				p.compare(c, r)
			}
		}
	}
	p.confined(g)
	p.scoped(g)
	p.exported()
}

// twin copies the data directory with its records and serves the copy.
func twin(t *testing.T, dir, name string, flags ...string) *server {
	t.Helper()
	to := dir + "-" + name
	duplicate(t, dir, to)
	return start(t, to, append(flags, "--base-url", worldBase)...)
}

type caller struct {
	name, token string
	// mixed is how many searches of several features together are made, -1 for
	// none of any feature.
	mixed int
	// sees narrows the requests to those whose answers hold nothing that is fresh
	// and sorted; nil for all.
	sees func(request) bool
}

// pair makes the same call in both worlds.
type pair struct {
	t        *testing.T
	one, two *server
	since    time.Time
	other    caller // whose cursors are not this one's
	used     tallies
	written  writeTallies
	count    int
	failed   int
	// strict is what of both worlds must stand for the same throughout; nil where
	// each answer is compared for itself.
	strict *strict
}

// compare makes one call in both worlds, and then those for the pages that
// follow, each world by its own links; of some it then goes back.
func (p *pair) compare(c caller, r request) {
	inOne, inTwo := r, r
	for page := range 6 {
		a, ok := p.both(c, r, inOne, inTwo, fmt.Sprintf("page %d", page))
		if page == 0 {
			p.used.note(c, r, a[0])
		}
		if !ok || linkOf(a[0], "next") == "" || linkOf(a[1], "next") == "" {
			if ok && page > 0 && p.count%3 == 0 {
				p.back(c, r, a)
			}
			return
		}
		if page == 0 && p.count%5 == 0 {
			p.tamper(c, r, a)
		}
		inOne, inTwo = p.follow(a, "next")
	}
}

// both makes one call in both worlds and reports whether the answers are the
// same.
func (p *pair) both(c caller, r, inOne, inTwo request, what string) (a [2]answer, same bool) {
	a = [2]answer{p.ask(0, c.token, inOne), p.ask(1, c.token, inTwo)}
	p.count++
	x, y := p.alike(a)
	if x == y {
		return a, true
	}
	p.failed++
	if p.failed <= 5 {
		p.t.Errorf("%s: %s %s %v %s\n%.300s\n--- with hidden data\n%.1500s\n--- without\n%.1500s",
			c.name, r.method, r.path, r.header, what, r.body, x, y)
	} else {
		p.t.FailNow() // what follows would say no more
	}
	return a, false
}

// follow are the requests for a page that both answers link to.
func (p *pair) follow(a [2]answer, relation string) (inOne, inTwo request) {
	return get(p.one.local(linkOf(a[0], relation))), get(p.two.local(linkOf(a[1], relation)))
}

// local turns a link under the worlds' base URL into one that reaches s.
func (s *server) local(link string) string {
	return strings.Replace(link, worldBase, s.root, 1)
}

var linkPattern = regexp.MustCompile(`\{"relation":"([a-z]+)","url":"([^"]+)"\}`)

// linkOf is the address of a link of the Bundle; empty when it has none.
func linkOf(a answer, relation string) string {
	for _, m := range linkPattern.FindAllSubmatch(a.body, -1) {
		if string(m[1]) == relation {
			return strings.ReplaceAll(string(m[2]), `\u0026`, "&")
		}
	}
	return ""
}

func nextLink(a answer) string { return linkOf(a, "next") }

var (
	cursorPattern  = regexp.MustCompile(`_cursor=[A-Za-z0-9_.%=-]+`)
	uuidPattern    = regexp.MustCompile(`\b[a-z2-7]{26}\b|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	instantPattern = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)
	httpPattern    = regexp.MustCompile(`(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT`)
)

// fresh is the answer with what is new in it made equal: seals of cursors,
// server-made ids by order of appearance, instants since the worlds parted.
func (p *pair) fresh(a answer) string {
	s := cursorPattern.ReplaceAllString(a.normal(), "_cursor=CURSOR")
	ids := map[string]string{}
	s = uuidPattern.ReplaceAllStringFunc(s, func(id string) string {
		if ids[id] == "" {
			ids[id] = fmt.Sprintf("FRESH-%d", len(ids)+1)
		}
		return ids[id]
	})
	s = instantPattern.ReplaceAllStringFunc(s, func(i string) string {
		if at, err := time.Parse(time.RFC3339, i); err == nil {
			return p.recent(i, at)
		}
		return i
	})
	return p.dated(s)
}

// recent is an instant, the same for all since the worlds parted.
func (p *pair) recent(instant string, at time.Time) string {
	if !at.Before(p.since.Truncate(time.Millisecond)) && at.Before(p.since.Add(25*time.Hour)) {
		return "NOW"
	}
	return instant
}

// dated makes equal the dates of headers since the worlds parted: they count
// seconds.
func (p *pair) dated(s string) string {
	return httpPattern.ReplaceAllStringFunc(s, func(d string) string {
		if at, err := http.ParseTime(d); err == nil && !at.Before(p.since.Truncate(time.Second)) {
			return "NOW"
		}
		return d
	})
}

// newWorldMaker makes worlds that are the same for the same seed.
func newWorldMaker(seed uint64) *worldMaker {
	g := &worldMaker{rand: random(seed, "worlds"), shown: map[string][]string{}}
	for i := range 12 {
		g.patients = append(g.patients, worldPatient{id: fmt.Sprintf("w%d", i), posture: posture(i % int(postures))})
	}
	g.rand.Shuffle(len(g.patients), func(i, j int) { g.patients[i], g.patients[j] = g.patients[j], g.patients[i] })
	return g
}

// random is the same for the same seed and purpose.
func random(seed uint64, purpose string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(len(purpose)))) //nolint:gosec // worlds must repeat
}

// instantLongAgo makes pair.fresh treat every instant of this run as new.
var instantLongAgo = time.Now().Add(-30 * time.Minute) //nolint:gochecknoglobals // fixed when the tests start
