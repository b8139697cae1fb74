package r4

import (
	"maps"
	"slices"
	"strings"
)

// maxNested bounds how deep value sets may be made of others.
const maxNested = 8

// codeSet are codes by system; nil stands for every code of a system that is not
// known.
type codeSet map[string]map[string]bool

// ValueSet are the codes of a value set by system, which is named by its URL,
// perhaps with |version. Codes are nil where all of a system are meant that is
// not known itself, such as LOINC. known is false when R4 has no such value set of
// that version, listed when its codes cannot be told.
func (t *Terms) ValueSet(canonical string) (includes []Include, known, listed bool) {
	url, version, versioned := strings.Cut(canonical, "|")
	s := t.sets[url]
	if s == nil || versioned && version != s.version {
		return nil, false, false
	}
	all, ok := t.expand(url, 0)
	if !ok {
		return nil, true, false
	}
	for _, system := range slices.Sorted(maps.Keys(all)) {
		in := Include{System: system}
		if codes := all[system]; codes != nil {
			if len(codes) == 0 {
				continue
			}
			in.Codes = slices.Sorted(maps.Keys(codes))
		}
		includes = append(includes, in)
	}
	return includes, true, true
}

func (t *Terms) expand(url string, depth int) (codeSet, bool) {
	s := t.sets[url]
	if s == nil || !s.listed || depth > maxNested {
		return nil, false
	}
	all := make(codeSet)
	for _, exclude := range []bool{false, true} {
		for i := range s.rules {
			if s.rules[i].exclude != exclude {
				continue
			}
			part, ok := t.rule(&s.rules[i], depth)
			if ok && exclude {
				ok = all.remove(part)
			} else if ok {
				all.add(part)
			}
			if !ok {
				return nil, false
			}
		}
	}
	return all, true
}

// rule are the codes that one rule means: those of its system that are in every
// value set that it names.
func (t *Terms) rule(r *termRule, depth int) (codeSet, bool) {
	var all codeSet
	if r.kind != ruleSets {
		codes, ok := t.ofSystem(r)
		if !ok {
			return nil, false
		}
		all = codeSet{r.system: codes}
	}
	for _, url := range r.sets {
		other, ok := t.expand(url, depth+1)
		if !ok {
			return nil, false
		}
		if all == nil {
			all = other
		} else {
			all = all.common(other)
		}
	}
	return all, true
}

// ofSystem are the codes of its system that a rule means; nil for all of one that
// is not known.
func (t *Terms) ofSystem(r *termRule) (map[string]bool, bool) {
	if r.kind == ruleCodes {
		return setOf(r.codes), true
	}
	s := t.systems[r.system]
	if s == nil {
		return nil, r.kind == ruleWhole
	}
	if r.kind == ruleWhole {
		return setOf(s.codes), true
	}
	root, ok := slices.BinarySearch(s.codes, r.codes[0])
	if !ok {
		return nil, false
	}
	below := s.below(root)
	codes := make(map[string]bool)
	for i, code := range s.codes {
		switch r.kind { //nolint:exhaustive // the others have no root
		case ruleIsA:
			ok = below[i]
		case ruleDescendent:
			ok = below[i] && i != root
		case ruleIsNotA:
			ok = !below[i]
		}
		if ok {
			codes[code] = true
		}
	}
	return codes, true
}

func setOf(codes []string) map[string]bool {
	set := make(map[string]bool, len(codes))
	for _, c := range codes {
		set[c] = true
	}
	return set
}

func (a codeSet) add(b codeSet) {
	for system, codes := range b {
		have, there := a[system]
		switch {
		case there && have == nil:
		case codes == nil:
			a[system] = nil
		case !there:
			a[system] = maps.Clone(codes)
		default:
			maps.Copy(have, codes)
		}
	}
}

// remove reports whether it could: what is left of a system that is not known
// cannot be told.
func (a codeSet) remove(b codeSet) bool {
	for system, codes := range b {
		have, there := a[system]
		switch {
		case !there:
		case codes == nil:
			delete(a, system)
		case have == nil:
			return false
		default:
			maps.DeleteFunc(have, func(c string, _ bool) bool { return codes[c] })
		}
	}
	return true
}

// common are the codes in both.
func (a codeSet) common(b codeSet) codeSet {
	out := make(codeSet)
	for system, codes := range a {
		other, there := b[system]
		switch {
		case !there:
		case other == nil:
			out[system] = codes
		case codes == nil:
			out[system] = other
		default:
			out[system] = maps.Clone(codes)
			maps.DeleteFunc(out[system], func(c string, _ bool) bool { return !other[c] })
		}
	}
	return out
}
