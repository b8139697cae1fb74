package gate

import (
	"context"
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// codeSystem is a complete CodeSystem on file.
type codeSystem struct {
	codes   []string
	at      map[string]int // by code, folded unless case matters
	parents [][]int
	exact   bool // case matters
}

// readCodeSystem reads a CodeSystem; nil when it does not have all codes. Codes lie
// below others by nesting, and by the properties parent and child.
func readCodeSystem(t *fhir.Tape) *codeSystem {
	root := t.Root()
	meaning := t.Text(t.Field(root, "hierarchyMeaning"))
	if t.Text(t.Field(root, "content")) != "complete" {
		return nil
	}
	s := &codeSystem{at: map[string]int{}, exact: t.Kind(t.Field(root, "caseSensitive")) == fhir.True}
	s.add(t, root, -1)
	if meaning != "" && meaning != "is-a" { // parts and groups subsume nothing
		clear(s.parents)
		return s
	}
	s.relate(t, root)
	return s
}

// add adds the concepts of a node, which lie below parent.
func (s *codeSystem) add(t *fhir.Tape, n fhir.Node, parent int) {
	elements(t, n, "concept", func(c fhir.Node) {
		i := s.place(t.Text(t.Field(c, "code")))
		if parent >= 0 {
			s.parents[i] = append(s.parents[i], parent)
		}
		s.add(t, c, i)
	})
}

// relate adds what properties say of who is whose parent.
func (s *codeSystem) relate(t *fhir.Tape, n fhir.Node) {
	elements(t, n, "concept", func(c fhir.Node) {
		i := s.place(t.Text(t.Field(c, "code")))
		elements(t, c, "property", func(p fhir.Node) {
			other, ok := s.find(t.Text(t.Field(p, "valueCode")))
			switch code := t.Text(t.Field(p, "code")); {
			case !ok:
			case code == "parent", code == "subsumedBy":
				s.parents[i] = append(s.parents[i], other)
			case code == "child":
				s.parents[other] = append(s.parents[other], i)
			}
		})
		s.relate(t, c)
	})
}

func (s *codeSystem) key(code string) string {
	if s.exact {
		return code
	}
	return strings.ToLower(code)
}

// place is where a code stands; it is added when it is new.
func (s *codeSystem) place(code string) int {
	i, ok := s.at[s.key(code)]
	if !ok {
		i = len(s.codes)
		s.at[s.key(code)] = i
		s.codes, s.parents = append(s.codes, code), append(s.parents, nil)
	}
	return i
}

func (s *codeSystem) find(code string) (int, bool) {
	i, ok := s.at[s.key(code)]
	return i, ok
}

// above are a code and all that subsume it; nil when it is not there.
func (s *codeSystem) above(code string) []string {
	return s.reach(code, func(i int, to func(int)) {
		for _, p := range s.parents[i] {
			to(p)
		}
	})
}

// below are a code and all that it subsumes; nil when it is not there.
func (s *codeSystem) below(code string) []string {
	children := make([][]int, len(s.codes))
	for i, parents := range s.parents {
		for _, p := range parents {
			children[p] = append(children[p], i)
		}
	}
	return s.reach(code, func(i int, to func(int)) {
		for _, c := range children[i] {
			to(c)
		}
	})
}

// reach are the codes that one leads to, itself first, each once.
func (s *codeSystem) reach(code string, next func(i int, to func(int))) []string {
	from, ok := s.find(code)
	if !ok {
		return nil
	}
	seen := make([]bool, len(s.codes))
	seen[from] = true
	todo := []int{from}
	var out []string
	for len(todo) > 0 {
		i := todo[0]
		todo = todo[1:]
		out = append(out, s.codes[i])
		next(i, func(j int) {
			if !seen[j] {
				seen[j] = true
				todo = append(todo, j)
			}
		})
	}
	return out
}

// everySystem are the URLs of all CodeSystems on file that count, for a code whose
// system is not said.
func (t *terminology) everySystem(ctx context.Context) ([]string, error) {
	found, err := t.found(ctx, &search.Query{Type: "CodeSystem", Count: unspecifiedCount})
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, f := range found {
		err := t.g.parsed(f, func(_ store.Found, tape *fhir.Tape) error {
			if url := tape.Text(tape.Field(tape.Root(), "url")); url != "" && !slices.Contains(urls, url) {
				urls = append(urls, url)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(urls)
	return urls, nil
}
