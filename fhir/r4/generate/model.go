package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

const (
	kindPrimitive uint8 = iota + 1
	kindComplex
	kindBackbone
	kindResource
)

const paramPrefix = "http://hl7.org/fhir/SearchParameter/"

// model is everything the tables hold, numbered as they number it.
type model struct {
	types        []typeModel
	number       map[string]int
	lists        [][]string // lists of resource types; the first is empty
	invariantsOf []constraint
	valueSets    []valueSetModel
	params       []paramModel
	compartments []compartment
}

type typeModel struct {
	name       string
	kind       uint8
	abstract   bool
	base       string
	elements   []elementModel
	invariants []int
}

type elementModel struct {
	name                         string
	choice                       bool
	summary, modifier, attribute bool
	min, max                     int // max 0 is *
	types                        []int
	targets                      int
	binding                      int // place+1 in valueSets
	invariants                   []int
}

type valueSetModel struct {
	url     string
	systems []string
	codes   map[string][]string
}

type paramModel struct {
	searchParam
	kind       uint8
	bases      int
	targets    int
	components []int // numbers
}

// list is the place of a list of names in lists.
func (m *model) list(names []string) int {
	if len(m.lists) == 0 {
		m.lists = append(m.lists, nil)
	}
	for i, l := range m.lists {
		if slices.Equal(l, names) {
			return i
		}
	}
	m.lists = append(m.lists, names)
	return len(m.lists) - 1
}

func (m *model) invariant(c constraint) int {
	if i := slices.Index(m.invariantsOf, c); i >= 0 {
		return i
	}
	m.invariantsOf = append(m.invariantsOf, c)
	return len(m.invariantsOf) - 1
}

func (m *model) valueSet(url string, t *terms) int {
	url, _, _ = strings.Cut(url, "|")
	for i := range m.valueSets {
		if m.valueSets[i].url == url {
			return i
		}
	}
	v := valueSetModel{url: url, codes: t.codes(url)}
	for system := range v.codes {
		v.systems = append(v.systems, system)
	}
	sort.Strings(v.systems)
	m.valueSets = append(m.valueSets, v)
	return len(m.valueSets) - 1
}

// addParams numbers the search parameters from 1 in the order of their URLs.
func (m *model) addParams(params []searchParam) error {
	slices.SortFunc(params, func(a, b searchParam) int { return strings.Compare(a.URL, b.URL) })
	numbers := make(map[string]int, len(params))
	for i, p := range params {
		if numbers[p.URL] != 0 || !strings.HasPrefix(p.URL, paramPrefix) {
			return fmt.Errorf("search parameter %s: not an official URL, or twice", p.URL)
		}
		numbers[p.URL] = i + 1
	}
	kinds := []string{"", "number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"}
	for _, p := range params {
		kind := slices.Index(kinds, p.Type)
		if kind < 1 {
			return fmt.Errorf("search parameter %s: unknown type %q", p.URL, p.Type)
		}
		sort.Strings(p.Base)
		sort.Strings(p.Target)
		pm := paramModel{searchParam: p, kind: uint8(kind), bases: m.list(p.Base), targets: m.list(p.Target)}
		for _, c := range p.Component {
			n := numbers[c.Definition]
			if n == 0 {
				return fmt.Errorf("search parameter %s: unknown component %s", p.URL, c.Definition)
			}
			pm.components = append(pm.components, n)
		}
		m.params = append(m.params, pm)
	}
	return nil
}

func (m *model) addCompartments(cs []compartment) {
	slices.SortFunc(cs, func(a, b compartment) int { return strings.Compare(a.Code, b.Code) })
	m.compartments = cs
}
