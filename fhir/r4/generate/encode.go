package main

import (
	"encoding/binary"
	"slices"
	"strings"
)

// writer gathers numbers and strings; strings are written once, the most used
// first, so that most references to them take one byte.
type writer struct {
	body    []item
	strings map[string]int // how often
}

type item struct {
	text   string
	number int
	isText bool
}

func (w *writer) num(n int) { w.body = append(w.body, item{number: n}) }

func (w *writer) str(s string) {
	w.strings[s]++
	w.body = append(w.body, item{text: s, isText: true})
}

func (w *writer) nums(ns []int) {
	w.num(len(ns))
	for _, n := range ns {
		w.num(n)
	}
}

func (w *writer) strs(ss []string) {
	w.num(len(ss))
	for _, s := range ss {
		w.str(s)
	}
}

// The first lines of the two tables, by which r4 knows them.
const (
	tablesMagic = "vitr4-1\n"
	termsMagic  = "vitr4-terms-1\n"
)

// bytes is the file: magic, strings, body.
func (w *writer) bytes() []byte {
	order := make([]string, 0, len(w.strings))
	for s := range w.strings {
		order = append(order, s)
	}
	slices.SortFunc(order, func(a, b string) int {
		if d := w.strings[b] - w.strings[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	out := []byte(tablesMagic)
	out = binary.AppendUvarint(out, uint64(len(order)))
	place := make(map[string]int, len(order))
	for i, s := range order {
		place[s] = i
		out = binary.AppendUvarint(out, uint64(len(s)))
	}
	out = append(out, strings.Join(order, "")...)
	for _, it := range w.body {
		n := it.number
		if it.isText {
			n = place[it.text]
		}
		out = binary.AppendUvarint(out, uint64(n))
	}
	return out
}

func (m *model) encode() []byte {
	w := &writer{strings: make(map[string]int)}
	w.num(len(m.lists))
	for _, l := range m.lists {
		w.strs(l)
	}
	w.num(len(m.invariantsOf))
	for _, c := range m.invariantsOf {
		w.str(c.Key)
		w.str(c.Severity)
		w.str(c.Expression)
	}
	w.num(len(m.valueSets))
	for _, v := range m.valueSets {
		w.str(v.url)
		w.num(len(v.systems))
		for _, s := range v.systems {
			w.str(s)
			w.strs(v.codes[s])
		}
	}
	m.encodeTypes(w)
	m.encodeParams(w)
	w.num(len(m.compartments))
	for _, c := range m.compartments {
		m.encodeCompartment(w, c)
	}
	return w.bytes()
}

func (m *model) encodeTypes(w *writer) {
	w.num(len(m.types))
	elements := 0
	for _, t := range m.types {
		w.str(t.name)
		w.num(int(t.kind))
		w.num(bit(t.abstract, 1))
		base := 0
		if n, ok := m.number[t.base]; ok {
			base = n + 1
		}
		w.num(base)
		w.nums(t.invariants)
		for _, e := range t.elements {
			elements += len(e.types)
		}
	}
	w.num(elements)
	for _, t := range m.types {
		w.num(len(t.elements))
		for _, e := range t.elements {
			m.encodeElement(w, e)
		}
	}
}

func (m *model) encodeElement(w *writer, e elementModel) {
	w.str(e.name)
	w.num(bit(e.choice, 1) | bit(e.summary, 2) | bit(e.modifier, 4) | bit(e.attribute, 8) |
		bit(len(e.invariants) > 0, 16) | bit(e.targets > 0, 32) | bit(e.binding > 0, 64))
	w.num(e.min)
	w.num(e.max)
	if e.choice {
		w.nums(e.types)
	} else {
		w.num(e.types[0])
	}
	if len(e.invariants) > 0 {
		w.nums(e.invariants)
	}
	if e.targets > 0 {
		w.num(e.targets)
	}
	if e.binding > 0 {
		w.num(e.binding - 1)
	}
}

func (m *model) encodeParams(w *writer) {
	w.num(len(m.params))
	for _, p := range m.params {
		w.str(strings.TrimPrefix(p.URL, paramPrefix))
		w.str(p.Code)
		w.str(p.Name)
		w.num(int(p.kind))
		w.str(p.Expression)
		w.num(p.bases)
		w.num(p.targets)
		w.num(len(p.components))
		for i, n := range p.components {
			w.num(n)
			w.str(p.Component[i].Expression)
		}
	}
}

func (m *model) encodeCompartment(w *writer, c compartment) {
	w.str(c.Code)
	n := 0
	for _, r := range c.Resource {
		if len(r.Param) > 0 {
			n++
		}
	}
	w.num(n)
	for _, r := range c.Resource {
		if len(r.Param) > 0 {
			w.str(r.Code)
			w.strs(r.Param)
		}
	}
}

func bit(set bool, value int) int {
	if set {
		return value
	}
	return 0
}
