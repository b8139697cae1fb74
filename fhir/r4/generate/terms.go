package main

import (
	"errors"
	"slices"
	"sort"
	"strings"
)

// maxCodes bounds the codes kept of one value set: larger ones are named without
// their codes.
const maxCodes = 400

var errNotListed = errors.New("codes cannot be listed")

// terms lists the codes of value sets.
type terms struct {
	src *source
}

func newTerms(src *source) *terms { return &terms{src: src} }

// codes are the codes of the value set by system; none when they cannot be
// listed from the package.
func (t *terms) codes(url string) map[string][]string {
	set := make(map[string]map[string]bool)
	if err := t.expand(url, set, 0); err != nil {
		return nil
	}
	out := make(map[string][]string, len(set))
	total := 0
	for system, codes := range set {
		for c := range codes {
			out[system] = append(out[system], c)
		}
		sort.Strings(out[system])
		total += len(codes)
	}
	if total > maxCodes {
		return nil
	}
	return out
}

func (t *terms) expand(url string, into map[string]map[string]bool, depth int) error {
	url, _, _ = strings.Cut(url, "|")
	vs := t.src.valueSets[url]
	if vs == nil || depth > 8 || len(vs.Compose.Include) == 0 {
		return errNotListed
	}
	for _, in := range vs.Compose.Include {
		codes, err := t.include(in, depth)
		if err != nil {
			return err
		}
		for system, cs := range codes {
			if into[system] == nil {
				into[system] = make(map[string]bool)
			}
			for c := range cs {
				into[system][c] = true
			}
		}
	}
	for _, ex := range vs.Compose.Exclude {
		codes, err := t.include(ex, depth)
		if err != nil {
			return err
		}
		for system, cs := range codes {
			for c := range cs {
				delete(into[system], c)
			}
		}
	}
	return nil
}

// include lists one include or exclude: by value sets, by concepts, by a filter,
// or a whole code system.
func (t *terms) include(in include, depth int) (map[string]map[string]bool, error) {
	out := make(map[string]map[string]bool)
	if len(in.ValueSet) > 0 {
		if in.System != "" || len(in.ValueSet) > 1 {
			return nil, errNotListed
		}
		return out, t.expand(in.ValueSet[0], out, depth+1)
	}
	codes := make(map[string]bool)
	out[in.System] = codes
	if len(in.Concept) > 0 {
		for _, c := range in.Concept {
			codes[c.Code] = true
		}
		return out, nil
	}
	cs := t.src.codeSystems[in.System]
	if cs == nil || cs.Content != "complete" {
		return nil, errNotListed
	}
	if len(in.Filter) == 0 {
		collect(cs.Concept, codes)
		return out, nil
	}
	if len(in.Filter) > 1 || in.Filter[0].Property != "concept" {
		return nil, errNotListed
	}
	switch f := in.Filter[0]; f.Op {
	case "is-a", "descendent-of":
		descend(cs.Concept, f.Value, false, codes)
		descendByProperty(cs.Concept, f.Value, codes)
		if f.Op == "is-a" {
			codes[f.Value] = true
		}
		return out, nil
	default:
		return nil, errNotListed
	}
}

func collect(cs []concept, into map[string]bool) {
	for _, c := range cs {
		into[c.Code] = true
		collect(c.Concept, into)
	}
}

func descend(cs []concept, root string, inside bool, into map[string]bool) {
	for _, c := range cs {
		if inside {
			into[c.Code] = true
		}
		descend(c.Concept, root, inside || c.Code == root, into)
	}
}

// descendByProperty follows hierarchies told by the property subsumedBy, as the
// HL7 v3 systems do.
func descendByProperty(cs []concept, root string, into map[string]bool) {
	for _, c := range cs {
		if into[c.Code] {
			continue
		}
		if slices.ContainsFunc(c.Property, func(p struct{ Code, ValueCode string }) bool {
			return p.Code == "subsumedBy" && p.ValueCode == root
		}) {
			into[c.Code] = true
			descendByProperty(cs, c.Code, into)
		}
	}
}
