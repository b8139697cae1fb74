package conformance

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A history is what clients asked for at the same time and what they were told,
// in the manner of Jepsen. It is checked after the fact, by what a client can
// see and nothing else.
//
// The server gives every version of a resource a number, and every write says in
// what it writes which request it was. So the order of the writes to a resource
// is read off its versions, and need not be guessed: that makes the search for
// an order of everything, which is exponential in general, a short walk.
// Checkers that are sold ready made know neither versions nor conditions, and
// would have to guess; so these are our own.

// outcome is what a client knows of its request. The zero value is the one to be
// careful with.
type outcome uint8

const (
	// unknown: no answer came, or one that leaves it open. It may have happened,
	// and may yet.
	unknown outcome = iota
	// done: it happened, as the answer says.
	done
	// refused: it had no effect.
	refused
)

// never is when a request returns whose answer did not come.
const never = time.Duration(math.MaxInt64)

// act is what a request does to one resource.
type act uint8

const (
	look        act = iota // reads one version
	put                    // writes a version
	remove                 // deletes, if it is there
	removeWhere            // deletes what a condition finds
)

// touch is one resource in a request: what was asked, and what was told.
type touch struct {
	act      act
	resource string
	// match is the version that If-Match names; zero without.
	match int
	// version is the one that was seen, or written. Of what was not there it is
	// zero, and of what was deleted it is not told.
	version int
	gone    bool
	// created says that a put told that nothing was there before.
	created bool
	mark    string // by which request what was seen was written
	value   int
}

// call is one request, or one entry of the history.
type call struct {
	mark              string // the request's id, which stands in all that it writes
	what              string // for people
	client            int
	invoked, returned time.Duration // since the history began
	outcome           outcome
	status            int
	touches           []touch
	// condition is what If-None-Exist of the request says, and match the resource
	// that it made or found; made says which.
	condition, match string
	made             bool
	// total says that the request saw all accounts at once.
	total bool
}

// writes reports whether the request would change something.
func (c *call) writes() bool {
	return c.condition != "" || slices.ContainsFunc(c.touches, func(t touch) bool { return t.act != look })
}

func (c *call) String() string {
	until := "never"
	if c.returned != never {
		until = c.returned.String()
	}
	return fmt.Sprintf("%s, %s, by client %d from %v to %s: %d %v", c.mark, c.what, c.client, c.invoked, until, c.status, c.touches)
}

func (t touch) String() string {
	out := [...]string{"saw ", "put ", "deleted ", "deleted "}[t.act] + t.resource + "/" + strconv.Itoa(t.version)
	if t.mark != "" {
		out += " of " + t.mark
	}
	if t.gone {
		out += " gone"
	}
	return out
}

// version is one version of a resource, as its history shows it in the end.
type version struct {
	gone  bool
	mark  string
	value int
}

// history is a run.
type history struct {
	began time.Time
	mu    sync.Mutex
	sent  *sync.Cond // of mu: a call was begun
	calls []*call
	// undone are the writes without an answer of which there is no trace.
	undone []*call
	// past is every version of every resource, the first first, read when nothing
	// was under way any more.
	past map[string][]version
	// found are the resources that each condition matches in the end.
	found map[string][]string
	// accounts are the resources whose values always have the same sum.
	accounts []string
	sum      int
}

// begin notes that a request is sent.
func (h *history) begin(c *call) *call {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.invoked, c.returned = time.Since(h.began), never
	h.calls = append(h.calls, c)
	if h.sent != nil {
		h.sent.Broadcast()
	}
	return c
}

// end notes what became of it.
func (h *history) end(c *call, o outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.outcome = o; o != unknown {
		c.returned = time.Since(h.began)
	}
}

// counts are how many calls had each outcome.
func (h *history) counts() (out [3]int) {
	for _, c := range h.calls {
		out[c.outcome]++
	}
	return out
}

// settle makes of every unknown write what the versions tell became of it: it
// happened, at some time after it was sent, or it never did. What was to be
// deleted has no mark, so deletions stay as they are.
func (h *history) settle() {
	at := map[string]map[string]int{}
	for name, versions := range h.past {
		for i, v := range versions {
			if v.mark != "" {
				if at[v.mark] == nil {
					at[v.mark] = map[string]int{}
				}
				at[v.mark][name] = i + 1
			}
		}
	}
	h.calls = slices.DeleteFunc(h.calls, func(c *call) bool {
		if c.outcome != unknown {
			return false
		}
		c.touches = slices.DeleteFunc(c.touches, func(t touch) bool { return t.act == look }) // nobody was told
		if !c.writes() {
			return true
		}
		if len(at[c.mark]) == 0 {
			if slices.ContainsFunc(c.touches, func(t touch) bool { return t.act == remove || t.act == removeWhere }) {
				return false
			}
			h.undone = append(h.undone, c)
			return true
		}
		for i := range c.touches {
			if t := &c.touches[i]; t.act == put {
				t.version = at[c.mark][t.resource]
				delete(at[c.mark], t.resource)
			}
		}
		for name, v := range at[c.mark] { // what its condition did not find, and it made
			c.touches = append(c.touches, touch{act: put, resource: name, version: v})
		}
		return false
	})
}
