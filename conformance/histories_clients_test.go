package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The resources of a history.
const (
	accountsInPlay = 4 // never deleted; their sum is always the same
	slotsInPlay    = 3 // come and go, but for the first
	startingValue  = 100

	registerSystem = "urn:vitrine:register"
	markSystem     = "urn:vitrine:mark"
	kindSystem     = "urn:vitrine:kind"
)

func account(i int) string { return "account-" + strconv.Itoa(i) }

func slot(i int) string { return "slot-" + strconv.Itoa(i) }

// content is a resource under an identifier, with the mark of the request that
// writes it. Without an id the server gives one.
func content(kind, id, register, mark string, value int) json.RawMessage {
	given := ""
	if id != "" {
		given = `"id":"` + id + `",`
	}
	return json.RawMessage(`{"resourceType":"Observation",` + given + `"status":"final","subject":{"reference":"Patient/q"},` +
		`"code":{"coding":[{"system":"` + kindSystem + `","code":"` + kind + `"}]},"identifier":[{"system":"` + registerSystem +
		`","value":"` + register + `"},{"system":"` + markSystem + `","value":"` + mark + `"}],"valueInteger":` + strconv.Itoa(value) + `}`)
}

// bench is where the clients of a history work.
type bench struct {
	*history
	token   string // the custodian's
	system  string // a contributor's
	prefix  string // of marks
	quarrel int    // how many clients ask for a condition before the next is taken
	asked   atomic.Int64
	mu      sync.Mutex
	latest  map[string]int // versions that were seen
	// lives is how often clients have worked, and running how many do; both are
	// under the history's lock.
	lives, running int
}

// tester is one client.
type tester struct {
	*bench
	s      *server
	number int
	rnd    *rand.Rand
	calls  int
	hasty  bool // some requests are given up
}

// conditionOf is the condition of the key and who asks by it: the custodian
// finds everything and a contributor its own, so each has keys to itself.
func (b *bench) conditionOf(key int64) (condition, token string) {
	condition, token = registerSystem+"|key-"+strconv.FormatInt(key, 10), b.token
	if key%2 == 1 {
		token = b.system
	}
	return condition, token
}

// saw notes the version of a resource, for those who will write on it.
func (b *bench) saw(resource string, v int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest[resource] = max(v, b.latest[resource])
}

func (b *bench) last(resource string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.latest[resource]
}

// work makes requests until there is an end of them or the server is gone.
func (c *tester) work(end <-chan struct{}) {
	for {
		select {
		case <-end:
			return
		default:
		}
		if !c.step() {
			return
		}
	}
}

// step is one request, or a transfer, which is two.
func (c *tester) step() (answered bool) {
	i := c.rnd.IntN(slotsInPlay)
	name, at := "Observation/"+slot(i), "Observation?identifier="+registerSystem+"|"+slot(i)
	switch roll := c.rnd.IntN(100); {
	case roll < 14:
		return c.read("Observation/" + account(c.rnd.IntN(accountsInPlay)))
	case roll < 24:
		return c.read(name)
	case roll < 36:
		return c.write(name, name, "", 0)
	case roll < 46:
		if last := c.last(name); last > 0 {
			return c.write(name, name, `W/"`+strconv.Itoa(last)+`"`, last)
		}
		return c.write(name, name, "", 0)
	case roll < 54:
		return c.write(name, at, "", 0)
	case roll < 58 && i > 0:
		return c.delete(remove, name, name)
	case roll < 62 && i > 0:
		return c.delete(removeWhere, name, at)
	case roll < 70:
		return c.createOnce()
	case roll < 76:
		return c.search()
	case roll < 90:
		return c.transfer()
	default:
		return c.mixed()
	}
}

// start names a call and notes it.
func (c *tester) start(what string, touches ...touch) *call {
	c.calls++
	one := &call{mark: c.prefix + "-" + strconv.Itoa(c.number) + "-" + strconv.Itoa(c.calls), what: what, client: c.number, touches: touches}
	return c.begin(one)
}

// ask sends the request of a call. An answer that says nothing about what became
// of it leaves the call unknown.
func (c *tester) ask(one *call, token string, r request) (a answer, answered bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	hasty := c.hasty && c.rnd.IntN(16) == 0
	if hasty {
		defer time.AfterFunc(time.Duration(c.rnd.IntN(3000))*time.Microsecond, cancel).Stop()
	}
	a, err := c.s.within(ctx, token, r.with("X-Request-Id", one.mark))
	if err != nil {
		c.end(one, unknown)
		return answer{}, hasty && ctx.Err() != nil
	}
	one.status = a.status
	return a, true
}

// close notes the outcome of a call by its status.
func (c *tester) close(one *call) bool {
	switch {
	case one.status/100 == 2:
		c.end(one, done)
	case one.status >= 500 || one.status == http.StatusRequestTimeout || one.status == 0:
		c.end(one, unknown)
	default:
		c.end(one, refused)
	}
	return one.outcome == done
}

func (c *tester) read(name string) bool {
	one := c.start("GET "+name, touch{resource: name})
	a, ok := c.ask(one, c.token, get(name))
	if !ok {
		return false
	}
	t := &one.touches[0]
	switch a.status {
	case http.StatusOK:
		*t = c.seen(a.body)
	case http.StatusGone:
		t.gone = true
		c.end(one, done)
		return true
	case http.StatusNotFound:
		c.end(one, done)
		return true
	}
	c.close(one)
	return true
}

// seen is the touch of a resource that was read.
func (c *tester) seen(body []byte) touch {
	var o struct {
		ID         string
		Meta       struct{ VersionID string }
		Identifier []struct{ System, Value string }
		Value      int `json:"valueInteger"`
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return touch{}
	}
	t := touch{resource: "Observation/" + o.ID, value: o.Value}
	t.version, _ = strconv.Atoi(o.Meta.VersionID)
	for _, i := range o.Identifier {
		if i.System == markSystem {
			t.mark = i.Value
		}
	}
	c.saw(t.resource, t.version)
	return t
}

// tag is the number in an ETag.
func tag(s string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(s, `W/"`), `"`))
	return n
}

// write puts a resource, by its id or by what finds it.
func (c *tester) write(name, at, ifMatch string, match int) bool {
	one := c.start("PUT "+at+" "+ifMatch, touch{act: put, resource: name, match: match})
	_, id, _ := strings.Cut(name, "/")
	r := send(http.MethodPut, at, content("slot", id, id, one.mark, c.rnd.IntN(1000)))
	if ifMatch != "" {
		r = r.with("If-Match", ifMatch)
	}
	a, ok := c.ask(one, c.token, r)
	if !ok {
		return false
	}
	if t := &one.touches[0]; a.status/100 == 2 {
		t.version, t.created = tag(a.header.Get("ETag")), a.status == http.StatusCreated
		c.saw(name, t.version)
	}
	c.close(one)
	return true
}

func (c *tester) delete(how act, name, at string) bool {
	one := c.start("DELETE "+at, touch{act: how, resource: name})
	a, ok := c.ask(one, c.token, request{method: http.MethodDelete, path: at})
	if !ok {
		return false
	}
	if a.status == http.StatusNotFound { // it was never there
		one.touches[0].act = look
		c.end(one, done)
		return true
	}
	c.close(one)
	return true
}

// createOnce asks for what must be made once only, at the same time as others.
func (c *tester) createOnce() bool {
	condition, token := c.conditionOf((c.asked.Add(1) - 1) / int64(c.quarrel))
	one := c.start("POST If-None-Exist " + condition)
	one.condition = condition
	_, register, _ := strings.Cut(condition, "|")
	r := send(http.MethodPost, "Observation", content("key", "", register, one.mark, 0)).with("If-None-Exist", "identifier="+condition)
	return c.enterOnce(one, token, r)
}

// enterOnce sends a conditional create.
func (c *tester) enterOnce(one *call, token string, r request) (answered bool) {
	a, ok := c.ask(one, token, r)
	if !ok {
		return false
	}
	if a.status/100 == 2 {
		one.matched(a.header.Get("Location"), a.header.Get("Content-Location"), a.status == http.StatusCreated)
	}
	c.close(one)
	return true
}

// matched notes the match of a condition.
func (c *call) matched(location, other string, made bool) {
	if location == "" {
		location = other
	}
	if i := strings.Index(location, "Observation/"); i >= 0 {
		location = location[i:]
	}
	c.match, _, _ = strings.Cut(location, "/_history/")
	if c.made = made; made {
		c.touches = append(c.touches, touch{act: put, resource: c.match, version: 1, created: true})
	}
}

// search reads all accounts and slots at once.
func (c *tester) search() bool {
	one := c.start("GET all")
	one.total = true
	a, ok := c.ask(one, c.token, get("Observation?code="+kindSystem+"|account,"+kindSystem+"|slot"))
	if !ok {
		return false
	}
	if a.status == http.StatusOK {
		one.touches = c.seenAll(a.body)
	}
	c.close(one)
	return true
}

// seenAll are the touches of what a Bundle has.
func (c *tester) seenAll(body []byte) (out []touch) {
	var bundle struct {
		Entry []struct {
			Resource json.RawMessage
			Search   struct{ Mode string }
		}
	}
	if json.Unmarshal(body, &bundle) != nil {
		return nil
	}
	for _, e := range bundle.Entry {
		if e.Search.Mode == "match" {
			out = append(out, c.seen(e.Resource))
		}
	}
	return out
}

// entry is one of a transaction.
func entry(method, url, extra string, body json.RawMessage) json.RawMessage {
	out := `{"request":{"method":"` + method + `","url":"` + url + `"` + extra + `}`
	if body != nil {
		out += `,"resource":` + string(body)
	}
	return json.RawMessage(out + "}")
}

// part is what a transaction says of one entry.
type part struct {
	Resource json.RawMessage
	Response struct{ Status, Location, Etag string }
}

// transact sends the entries of a call, as the custodian.
func (c *tester) transact(one *call, entries ...json.RawMessage) (parts []part, answered bool) {
	return c.transactAs(one, c.token, entries...)
}

// transactAs sends the entries of a call. It returns no parts when the
// transaction was not done, and has noted that.
func (c *tester) transactAs(one *call, token string, entries ...json.RawMessage) (parts []part, answered bool) {
	all, _ := json.Marshal(entries)
	a, ok := c.ask(one, token, send(http.MethodPost, "", fmt.Appendf(nil, `{"resourceType":"Bundle","type":"transaction","entry":%s}`, all)))
	if !ok {
		return nil, false
	}
	var out struct{ Entry []part }
	if a.status == http.StatusOK && json.Unmarshal(a.body, &out) == nil && len(out.Entry) == len(entries) {
		return out.Entry, true
	}
	c.close(one)
	return nil, true
}
