package conformance

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// during makes a call that was under way from one moment to another.
func during(from, to int, mark string, touches ...touch) *call {
	return &call{mark: mark, what: "test", outcome: done, invoked: time.Duration(from), returned: time.Duration(to), touches: touches}
}

func saw(resource string, v int, mark string) touch {
	return touch{act: look, resource: resource, version: v, mark: mark}
}

func set(resource string, v int) touch {
	return touch{act: put, resource: resource, version: v, created: v == 1}
}

func onto(resource string, v int) touch {
	return touch{act: put, resource: resource, version: v, match: v - 1}
}

func (c *call) as(o outcome) *call {
	if c.outcome = o; o == unknown {
		c.returned = never
	}
	return c
}

// anomaly is a history that no careful clerk could have made.
type anomaly struct {
	name  string
	calls []*call
	past  map[string][]version
	found map[string][]string
	says  string
}

// written are versions of a resource by their marks.
func written(marks ...string) (out []version) {
	for _, m := range marks {
		out = append(out, version{mark: m, gone: m == ""})
	}
	return out
}

func anomalies() []anomaly {
	x, y := "x", "y"
	two := map[string][]version{x: written("a", "b"), y: written("c", "d")}
	return []anomaly{
		{
			name: "lost update", says: "lost: version 2 of x is another's",
			calls: []*call{during(0, 1, "a", set(x, 1)), during(2, 5, "b", onto(x, 2)), during(2, 5, "c", onto(x, 2))},
			past:  map[string][]version{x: written("a", "c")},
		},
		{
			name: "lost update, told to the reader", says: "G-single",
			calls: []*call{
				during(0, 1, "a", set(x, 1)),
				during(2, 9, "b", saw(x, 1, "a"), set(x, 3)),
				during(2, 9, "c", saw(x, 1, "a"), set(x, 2)),
			},
			past: map[string][]version{x: written("a", "c", "b")},
		},
		{
			name: "lost with a crash", says: "lost: version 2 of x was told, and there are 1",
			calls: []*call{during(0, 1, "a", set(x, 1)), during(2, 3, "b", set(x, 2))},
			past:  map[string][]version{x: written("a")},
		},
		{
			name: "done twice", says: "twice: versions 1 and 2 of x",
			calls: []*call{during(0, 1, "a", set(x, 1)).as(unknown)},
			past:  map[string][]version{x: written("a", "a")},
		},
		{
			name: "stale read", says: "x is not linearizable",
			calls: []*call{during(0, 1, "a", set(x, 1)), during(2, 3, "b", set(x, 2)), during(4, 5, "r", saw(x, 1, "a"))},
			past:  map[string][]version{x: written("a", "b")},
		},
		{
			name: "read that goes back", says: "x is not linearizable",
			calls: []*call{
				during(0, 1, "a", set(x, 1)), during(2, 0, "b", set(x, 2)).as(unknown),
				during(3, 4, "r", saw(x, 2, "b")), during(5, 6, "s", saw(x, 1, "a")),
			},
			past: map[string][]version{x: written("a", "b")},
		},
		{
			name: "absent after it was written", says: "x is not linearizable",
			calls: []*call{during(0, 1, "a", set(x, 1)), during(2, 3, "r", saw(x, 0, ""))},
			past:  map[string][]version{x: written("a")},
		},
		{
			name: "refused for no reason", says: "x is not linearizable",
			calls: []*call{during(0, 1, "a", set(x, 1)), during(2, 3, "b", touch{act: put, resource: x, match: 1}).as(refused)},
			past:  map[string][]version{x: written("a")},
		},
		{
			name: "alive after it was deleted", says: "x is not linearizable",
			calls: []*call{
				during(0, 1, "a", set(x, 1)), during(2, 3, "d", touch{act: remove, resource: x}), during(4, 5, "r", saw(x, 1, "a")),
			},
			past: map[string][]version{x: written("a", "")},
		},
		{
			name: "dirty read", says: "dirty: version 1 of x",
			calls: []*call{during(0, 1, "a", set(x, 1)), during(0, 1, "r", saw(x, 1, "b"))},
			past:  map[string][]version{x: written("a")},
		},
		{
			name: "read of what a crash took", says: "lost: version 2 of x was told",
			calls: []*call{during(0, 1, "a", set(x, 1)), during(2, 0, "b", set(x, 0)).as(unknown), during(3, 4, "r", saw(x, 2, "b"))},
			past:  map[string][]version{x: written("a")},
		},
		{
			name: "refused and done", says: "of a request that was refused",
			calls: []*call{during(0, 1, "a", set(x, 1)), during(2, 3, "b", onto(x, 2)).as(refused)},
			past:  map[string][]version{x: written("a", "b")},
		},
		{
			name: "half a transaction", says: "half done: 1 of 2",
			calls: []*call{during(0, 1, "a", set(x, 1)), during(0, 1, "c", set(y, 1)), during(2, 0, "b", set(x, 0), set(y, 0)).as(unknown)},
			past:  map[string][]version{x: written("a", "b"), y: written("c")},
		},
		{
			name: "write skew", says: "G2",
			calls: []*call{
				during(0, 1, "a", set(x, 1)), during(0, 1, "c", set(y, 1)),
				during(2, 9, "b", saw(x, 1, "a"), saw(y, 1, "c"), set(x, 2)), during(2, 9, "d", saw(x, 1, "a"), saw(y, 1, "c"), set(y, 2)),
			},
			past: two,
		},
		{
			name: "long fork", says: "G2",
			calls: []*call{
				during(0, 1, "a", set(x, 1)), during(0, 1, "c", set(y, 1)), during(2, 9, "b", set(x, 2)), during(2, 9, "d", set(y, 2)),
				during(2, 9, "r", saw(x, 2, "b"), saw(y, 1, "c")), during(2, 9, "s", saw(x, 1, "a"), saw(y, 2, "d")),
			},
			past: two,
		},
		{
			name: "torn read", says: "G-single",
			calls: []*call{
				during(0, 1, "a", set(x, 1)), during(0, 1, "c", set(y, 1)), during(2, 9, "b", set(x, 2), set(y, 2)),
				during(2, 9, "r", saw(x, 2, "b"), saw(y, 1, "c")),
			},
			past: map[string][]version{x: written("a", "b"), y: written("c", "b")},
		},
		{
			name: "writes that cross", says: "G0",
			calls: []*call{during(0, 9, "a", set(x, 1), set(y, 2)), during(0, 9, "b", set(x, 2), set(y, 1))},
			past:  map[string][]version{x: written("a", "b"), y: written("b", "a")},
		},
		{
			name: "each read the other", says: "G1c",
			calls: []*call{during(0, 9, "a", set(x, 1), saw(y, 1, "b")), during(0, 9, "b", set(y, 1), saw(x, 1, "a"))},
			past:  map[string][]version{x: written("a"), y: written("b")},
		},
		{
			name: "serializable, but not in real time", says: "in real time",
			calls: []*call{
				during(0, 1, "a", set(x, 1)), during(0, 1, "c", set(y, 1)), during(2, 3, "b", set(x, 2)), during(4, 5, "d", set(y, 2)),
				during(2, 9, "r", saw(x, 1, "a"), saw(y, 2, "d")),
			},
			past: two,
		},
		{
			name: "duplicate of a condition", says: "duplicate: k matches",
			calls: []*call{once(0, 9, "a", "k", "r/1", true), once(0, 9, "b", "k", "r/2", true)},
			past:  map[string][]version{"r/1": written("a"), "r/2": written("b")}, found: map[string][]string{"k": {"r/1", "r/2"}},
		},
		{
			name: "duplicate that was tidied away", says: "duplicate: k made twice",
			calls: []*call{once(0, 9, "a", "k", "r/1", true), once(0, 9, "b", "k", "r/1", true)},
			past:  map[string][]version{"r/1": written("a")}, found: map[string][]string{"k": {"r/1"}},
		},
		{
			name: "the match of a condition is lost", says: "lost: r/1 was the match",
			calls: []*call{once(0, 1, "a", "k", "r/1", false)}, found: map[string][]string{"k": nil},
		},
	}
}

// once is a conditional create.
func once(from, to int, mark, condition, match string, made bool) *call {
	c := during(from, to, mark)
	c.condition, c.match, c.made = condition, match, made
	return c
}

// TestHistoryCheckersObject shows the checkers what they are there to find.
func TestHistoryCheckersObject(t *testing.T) {
	for _, a := range anomalies() {
		h := &history{calls: a.calls, past: a.past, found: a.found}
		if findings := strings.Join(h.check(), "\n"); !strings.Contains(findings, a.says) {
			t.Errorf("%s: the checkers say\n%s\nand not %q", a.name, findings, a.says)
		}
	}
}

// TestHistoryCheckersAgree has a careful clerk work for clients whose requests
// overlap, lose answers and lose requests: to all of it the checkers agree. Then
// one answer is falsified, and they object.
func TestHistoryCheckersAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		h := clerk(rnd, rapid.IntRange(1, 80).Draw(t, "requests"))
		if findings := h.check(); len(findings) > 0 {
			t.Fatalf("objects to what is right: %s", strings.Join(findings, "\n"))
		}
		if what := falsify(rnd, h); what != "" && len(h.check()) == 0 {
			t.Fatalf("agrees although %s", what)
		}
	})
}

// clerk does requests one by one, each at a moment within the time that it
// takes.
func clerk(rnd *rand.Rand, requests int) *history {
	h := &history{past: map[string][]version{}, found: map[string][]string{}}
	for i := range requests {
		c := &call{mark: "m" + strconv.Itoa(i), what: "test", outcome: done}
		at := time.Duration(i*10 + 5)
		c.invoked, c.returned = at-time.Duration(rnd.IntN(60)), at+time.Duration(rnd.IntN(60))
		lost, missing := rnd.IntN(8) == 0, rnd.IntN(3) == 0
		if lost {
			c.outcome, c.returned = unknown, never
		}
		if !lost || !missing {
			h.serve(rnd, c)
		} else {
			c.touches = []touch{{act: put, resource: "x"}}
		}
		if lost {
			for j := range c.touches {
				c.touches[j].version = 0
			}
		}
		h.calls = append(h.calls, c)
	}
	return h
}

// serve does one request.
func (h *history) serve(rnd *rand.Rand, c *call) {
	names := []string{"x", "y", "z"}
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:1+rnd.IntN(3)] {
		past := h.past[name]
		n := len(past)
		live := n > 0 && !past[n-1].gone
		switch roll := rnd.IntN(10); {
		case roll < 4 && live:
			c.touches = append(c.touches, touch{act: look, resource: name, version: n, mark: past[n-1].mark})
		case roll < 4:
			c.touches = append(c.touches, touch{act: look, resource: name, gone: n > 0})
		case roll < 9:
			t := touch{act: put, resource: name, version: n + 1, created: !live}
			if live && roll == 8 {
				t.match = n
			}
			h.past[name] = append(past, version{mark: c.mark})
			c.touches = append(c.touches, t)
		case live:
			h.past[name] = append(past, version{gone: true})
			c.touches = append(c.touches, touch{act: remove, resource: name})
		}
	}
}

// falsify changes what one client was told, and says what; empty when there is
// nothing to change.
func falsify(rnd *rand.Rand, h *history) string {
	for _, i := range rnd.Perm(len(h.calls)) {
		c := h.calls[i]
		for j := range c.touches {
			t := &c.touches[j]
			if c.outcome != done || t.version == 0 {
				continue
			}
			before := c.String()
			switch {
			case t.act == look && t.version > 1 && h.stale(c, t):
				t.version--
				t.mark = h.past[t.resource][t.version-1].mark
			case t.act == put:
				t.version++
			default:
				continue
			}
			return fmt.Sprintf("%s was %s", c, before)
		}
	}
	return ""
}

// stale reports whether the version before the one that was seen was over for
// certain when it was asked for.
func (h *history) stale(c *call, t *touch) bool {
	past := h.past[t.resource]
	if past[t.version-2].gone {
		return false
	}
	for _, other := range h.calls {
		if other.mark == past[t.version-1].mark {
			return other.returned < c.invoked
		}
	}
	return false
}
