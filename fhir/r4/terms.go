package r4

import (
	"compress/flate"
	_ "embed" // for the tables
	"fmt"
	"io"
	"slices"
	"strings"
)

//go:embed terms.bin
var packedTerms string

// maxTerms bounds the table of terms once it is unpacked.
const maxTerms = 1 << 20

// Terms are the code systems and value sets that come with R4. They never change
// once loaded and are safe for concurrent use.
type Terms struct {
	systems map[string]*codeSystem
	sets    map[string]*termSet
}

// codeSystem is a complete code system.
type codeSystem struct {
	codes   []string // sorted
	parents [][]int  // by place in codes
}

// termSet is a value set by its rules.
type termSet struct {
	version string
	listed  bool
	rules   []termRule
}

// termRule is one include or exclude.
type termRule struct {
	exclude bool
	kind    ruleKind
	system  string
	codes   []string
	sets    []string
}

// ruleKind says which codes of its system a rule means.
type ruleKind uint8

const (
	ruleWhole ruleKind = iota
	ruleCodes
	ruleIsA
	ruleDescendent
	ruleIsNotA
	ruleSets // those of value sets, of whatever system
)

// LoadTerms decodes the embedded code systems and value sets: deflated, a magic
// line, then lists whose strings stand where they are used.
func LoadTerms() (*Terms, error) {
	unpacked, err := io.ReadAll(io.LimitReader(flate.NewReader(strings.NewReader(packedTerms)), maxTerms))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTables, err)
	}
	return decodeTerms(string(unpacked))
}

func decodeTerms(src string) (*Terms, error) {
	r := &reader{src: src}
	if !r.magic(termsMagic) {
		return nil, errTables
	}
	t := &Terms{systems: make(map[string]*codeSystem), sets: make(map[string]*termSet)}
	for range r.count() {
		url := r.text()
		s := &codeSystem{codes: r.texts()}
		s.parents = make([][]int, len(s.codes))
		for i := range s.parents {
			for range r.count() {
				s.parents[i] = append(s.parents[i], r.num(len(s.codes)))
			}
		}
		t.systems[url] = s
	}
	for range r.count() {
		url := r.text()
		s := &termSet{version: r.text(), listed: r.num(2) == 1}
		s.rules = make([]termRule, r.count())
		for i := range s.rules {
			kind := r.num(int(ruleSets+1) << 1)
			s.rules[i] = termRule{kind&1 == 1, ruleKind(kind >> 1), r.text(), r.texts(), r.texts()}
		}
		t.sets[url] = s
	}
	if r.bad || r.at != len(r.src) {
		return nil, fmt.Errorf("%w: terms, at byte %d", errTables, r.at)
	}
	return t, nil
}

// CodeSystem are the codes of a system, sorted; ok is false when they are not
// all known. The slice is shared and must not be changed.
func (t *Terms) CodeSystem(url string) (codes []string, ok bool) {
	if s := t.systems[url]; s != nil {
		return s.codes, true
	}
	return nil, false
}

// SystemsOf are the systems that have the code in any case, sorted.
func (t *Terms) SystemsOf(code string) (systems []string) {
	for url, s := range t.systems {
		if s.find(code) >= 0 {
			systems = append(systems, url)
		}
	}
	slices.Sort(systems)
	return systems
}

// Below are the code and all that it subsumes, sorted; ok is false when the
// system or the code is not known. A code that is not there as written is looked
// for in another case.
func (t *Terms) Below(system, code string) (codes []string, ok bool) {
	s := t.systems[system]
	if s == nil || s.find(code) < 0 {
		return nil, false
	}
	return s.pick(s.below(s.find(code))), true
}

// Above are the code and all that subsume it, sorted; ok as for Below.
func (t *Terms) Above(system, code string) (codes []string, ok bool) {
	s := t.systems[system]
	if s == nil || s.find(code) < 0 {
		return nil, false
	}
	in := make([]bool, len(s.codes))
	var mark func(i int)
	mark = func(i int) {
		if !in[i] {
			in[i] = true
			for _, p := range s.parents[i] {
				mark(p)
			}
		}
	}
	mark(s.find(code))
	return s.pick(in), true
}

// find is the place of a code; negative when there is none.
func (s *codeSystem) find(code string) int {
	if i, ok := slices.BinarySearch(s.codes, code); ok {
		return i
	}
	return slices.IndexFunc(s.codes, func(c string) bool { return strings.EqualFold(c, code) })
}

// below marks a code and all under it. A code may stand before those it is under.
func (s *codeSystem) below(root int) []bool {
	in := make([]bool, len(s.codes))
	in[root] = true
	for more := true; more; {
		more = false
		for i, ps := range s.parents {
			if !in[i] && slices.ContainsFunc(ps, func(p int) bool { return in[p] }) {
				in[i], more = true, true
			}
		}
	}
	return in
}

func (s *codeSystem) pick(in []bool) (codes []string) {
	for i, code := range s.codes {
		if in[i] {
			codes = append(codes, code)
		}
	}
	return codes
}
