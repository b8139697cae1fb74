package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// edge is why one call must come before another.
type edge uint8

// The reasons, from the strongest: without real time a cycle of the first alone
// is a write that was half undone, one with the second a read of what never was,
// one with the third two writes that did not see each other (Adya's G0, G1c,
// G-single or G2).
const (
	wrote    edge = iota // a version, and the other the next one
	read                 // the other read what this one wrote
	overtook             // the other wrote over what this one read
	earlier              // it was answered before the other was sent
)

func (e edge) String() string { return [...]string{"ww", "wr", "rw", "rt"}[e] }

// graph is the order that the history demands.
type graph struct {
	calls []*call
	next  []map[int]edge
}

func (g *graph) add(from, to int, e edge) {
	if from == to {
		return
	}
	if g.next[from] == nil {
		g.next[from] = map[int]edge{}
	}
	if was, ok := g.next[from][to]; !ok || e < was {
		g.next[from][to] = e
	}
}

// order makes the graph. Every call that happened is a transaction, most of one
// step.
func (h *history) order() *graph {
	g := &graph{}
	for _, c := range h.calls {
		if c.outcome == done || c.outcome == unknown && slices.ContainsFunc(c.touches, func(t touch) bool { return t.version > 0 }) {
			g.calls = append(g.calls, c)
		}
	}
	g.next = make([]map[int]edge, len(g.calls))
	writers, readers := map[string]map[int]int{}, map[string]map[int][]int{}
	for i, c := range g.calls {
		for _, t := range c.touches {
			if writers[t.resource] == nil {
				writers[t.resource], readers[t.resource] = map[int]int{}, map[int][]int{}
			}
			switch {
			case t.act == put && t.version > 0:
				writers[t.resource][t.version] = i
			case t.act == look && !t.gone:
				readers[t.resource][t.version] = append(readers[t.resource][t.version], i)
			}
		}
	}
	for name, versions := range writers {
		for v, i := range versions {
			if j, ok := versions[v+1]; ok {
				g.add(i, j, wrote)
			}
			for _, j := range readers[name][v] {
				g.add(i, j, read)
			}
		}
		for v, some := range readers[name] {
			if j, ok := versions[v+1]; ok {
				for _, i := range some {
					g.add(i, j, overtook)
				}
			}
		}
	}
	g.realTime()
	return g
}

// realTime puts what was answered before what was sent after. Of those answered
// only the latest need an edge: what came before them is before by them.
func (g *graph) realTime() {
	type moment struct {
		at  time.Duration
		end bool
		i   int
	}
	var moments []moment
	for i, c := range g.calls {
		moments = append(moments, moment{c.invoked, false, i})
		if c.returned != never {
			moments = append(moments, moment{c.returned, true, i})
		}
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return int(a.at - b.at) })
	var latest []int
	for _, m := range moments {
		if !m.end {
			for _, i := range latest {
				g.add(i, m.i, earlier)
			}
			continue
		}
		latest = slices.DeleteFunc(latest, func(i int) bool { return g.calls[i].returned < g.calls[m.i].invoked })
		latest = append(latest, m.i)
	}
}

// serializable says of all calls together whether they could have been made one
// after the other, in an order that has what was answered before what was sent
// after. A cycle says that they could not (Adya; Elle for the way of finding it).
func (h *history) serializable() (findings []string) {
	g := h.order()
	for _, component := range g.components() {
		if len(component) > 1 {
			findings = append(findings, g.explain(g.cycle(component)))
		}
	}
	return findings
}

// components are the strongly connected ones, after Tarjan.
func (g *graph) components() (out [][]int) {
	var (
		index  = make([]int, len(g.calls))
		low    = make([]int, len(g.calls))
		onTop  = make([]bool, len(g.calls))
		stack  []int
		number int
		visit  func(i int)
	)
	visit = func(i int) {
		number++
		index[i], low[i], onTop[i] = number, number, true
		stack = append(stack, i)
		for j := range g.next[i] {
			switch {
			case index[j] == 0:
				visit(j)
				low[i] = min(low[i], low[j])
			case onTop[j]:
				low[i] = min(low[i], index[j])
			}
		}
		if low[i] != index[i] {
			return
		}
		at := slices.Index(stack, i)
		for _, j := range stack[at:] {
			onTop[j] = false
		}
		out = append(out, slices.Clone(stack[at:]))
		stack = stack[:at]
	}
	for i := range g.calls {
		if index[i] == 0 {
			visit(i)
		}
	}
	return out
}

// cycle is a shortest one within a component.
func (g *graph) cycle(component []int) (best []int) {
	within := map[int]bool{}
	for _, i := range component {
		within[i] = true
	}
	for _, start := range component[:min(len(component), 200)] {
		from := map[int]int{}
		queue := []int{start}
		for len(queue) > 0 {
			i := queue[0]
			queue = queue[1:]
			for j := range g.next[i] {
				if _, been := from[j]; been || !within[j] {
					continue
				}
				from[j] = i
				queue = append(queue, j)
			}
		}
		if _, back := from[start]; !back {
			continue
		}
		around := []int{start}
		for i := from[start]; i != start; i = from[i] {
			around = append(around, i)
		}
		if slices.Reverse(around); best == nil || len(around) < len(best) {
			best = around
		}
	}
	return best
}

// explain names the anomaly and tells the cycle.
func (g *graph) explain(around []int) string {
	var counts [4]int
	var b strings.Builder
	for n, i := range around {
		e := g.next[i][around[(n+1)%len(around)]]
		counts[e]++
		fmt.Fprintf(&b, "  %s\n    before, by %s\n", g.calls[i], e)
	}
	name := "G2"
	switch {
	case counts[overtook] == 0 && counts[read] == 0:
		name = "G0"
	case counts[overtook] == 0:
		name = "G1c"
	case counts[overtook] == 1:
		name = "G-single"
	}
	if counts[earlier] > 0 {
		name += " in real time"
	}
	return "not serializable, " + name + ":\n" + b.String()
}
