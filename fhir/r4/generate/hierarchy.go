package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
	"sort"
	"strings"
)

// termsModel is what terms.bin holds: code systems with their hierarchies, and
// the rules of value sets.
type termsModel struct {
	systems []systemModel
	sets    []setModel
}

type systemModel struct {
	url     string
	codes   []string // sorted
	parents [][]int  // by place in codes
}

type setModel struct {
	url, version string
	rules        []ruleModel
	// listed is false when a rule is not one that r4 reads.
	listed bool
}

// ruleModel is one include or exclude of a value set.
type ruleModel struct {
	exclude bool
	system  string
	kind    int
	codes   []string // of kindCodes; the one code of the others
	sets    []string
}

// The kinds of rules, as r4 reads them.
const (
	kindWhole = iota
	kindCodes
	kindIsA
	kindDescendent
	kindIsNotA
	kindSets // value sets alone
)

// addTerms takes the hierarchies and value sets over from the source, sorted.
func (m *termsModel) addTerms(src *source) {
	for url, cs := range src.codeSystems {
		if cs.Content == "complete" && len(cs.Concept) > 0 {
			m.systems = append(m.systems, hierarchy(url, cs.Concept))
		}
	}
	slices.SortFunc(m.systems, func(a, b systemModel) int { return strings.Compare(a.url, b.url) })
	for _, vs := range src.valueSets {
		m.sets = append(m.sets, rules(vs))
	}
	slices.SortFunc(m.sets, func(a, b setModel) int { return strings.Compare(a.url, b.url) })
}

// hierarchy is who is above whom: by nesting, and by the properties with which the
// HL7 v3 systems say that a code has a second parent.
func hierarchy(url string, concepts []concept) systemModel {
	s := systemModel{url: url}
	all := make(map[string]bool)
	collect(concepts, all)
	for code := range all {
		s.codes = append(s.codes, code)
	}
	sort.Strings(s.codes)
	s.parents = make([][]int, len(s.codes))
	place := func(code string) int { i, _ := slices.BinarySearch(s.codes, code); return i }
	under := func(child, parent string) {
		if at := place(child); all[child] && all[parent] && child != parent && !slices.Contains(s.parents[at], place(parent)) {
			s.parents[at] = append(s.parents[at], place(parent))
		}
	}
	var walk func(cs []concept, parent string)
	walk = func(cs []concept, parent string) {
		for _, c := range cs {
			under(c.Code, parent)
			for _, p := range c.Property {
				switch p.Code {
				case "child":
					under(p.ValueCode, c.Code)
				case "subsumedBy":
					under(c.Code, p.ValueCode)
				}
			}
			walk(c.Concept, c.Code)
		}
	}
	walk(concepts, "")
	for _, ps := range s.parents {
		sort.Ints(ps)
	}
	return s
}

func rules(vs *valueSet) setModel {
	s := setModel{url: vs.URL, version: vs.Version, listed: len(vs.Compose.Include) > 0}
	for i, list := range [][]include{vs.Compose.Include, vs.Compose.Exclude} {
		for _, in := range list {
			r, ok := rule(in)
			r.exclude = i == 1
			s.rules = append(s.rules, r)
			s.listed = s.listed && ok
		}
	}
	if !s.listed {
		s.rules = nil
	}
	return s
}

func rule(in include) (ruleModel, bool) {
	r := ruleModel{system: in.System, sets: in.ValueSet}
	for i := range r.sets {
		r.sets[i], _, _ = strings.Cut(r.sets[i], "|")
	}
	switch {
	case in.System == "":
		r.kind = kindSets
		return r, len(r.sets) > 0
	case len(in.Concept) > 0:
		r.kind = kindCodes
		for _, c := range in.Concept {
			r.codes = append(r.codes, c.Code)
		}
		sort.Strings(r.codes)
		r.codes = slices.Compact(r.codes)
		return r, len(in.Filter) == 0
	case len(in.Filter) == 0:
		return r, true
	}
	f := in.Filter[0]
	r.kind = map[string]int{"is-a": kindIsA, "descendent-of": kindDescendent, "is-not-a": kindIsNotA}[f.Op]
	r.codes = []string{f.Value}
	return r, len(in.Filter) == 1 && f.Property == "concept" && r.kind != kindWhole
}

// table is what r4 reads, before it is compressed. Strings stand where they are
// used, sorted, so that they compress well.
func (m *termsModel) table() []byte {
	out := flat(termsMagic)
	out.num(len(m.systems))
	for _, s := range m.systems {
		out.str(s.url)
		out.strs(s.codes)
		for _, ps := range s.parents {
			out.num(len(ps))
			for _, p := range ps {
				out.num(p)
			}
		}
	}
	out.num(len(m.sets))
	for _, s := range m.sets {
		out.str(s.url)
		out.str(s.version)
		out.num(bit(s.listed, 1))
		out.num(len(s.rules))
		for _, r := range s.rules {
			out.num(bit(r.exclude, 1) | r.kind<<1)
			out.str(r.system)
			out.strs(r.codes)
			out.strs(r.sets)
		}
	}
	return out
}

// flat is a table while it is written.
type flat []byte

func (f *flat) num(n int) { *f = binary.AppendUvarint(*f, uint64(n)) }

func (f *flat) str(s string) {
	f.num(len(s))
	*f = append(*f, s...)
}

func (f *flat) strs(ss []string) {
	f.num(len(ss))
	for _, s := range ss {
		f.str(s)
	}
}

// encode is the file.
func (m *termsModel) encode() ([]byte, error) {
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(m.table()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
