package balptest

import (
	"fmt"
	"slices"
	"strings"
)

// many stands for * in a cardinality.
const many = 1 << 10

// rule is what one element must be.
type rule struct {
	path     string
	min, max int
	// each says that the element is in every one of its parents.
	each bool
	// among are the values that it may have: of a code itself, of a coding or a
	// concept "system|code", one of which must be among them.
	among []string
	// equals is a path from the root to what it must be equal to.
	equals string
	// begins is how its text must begin.
	begins string
	// is is the boolean that it must be; empty for none.
	is string
}

// check holds an element against a rule; root is the event itself for equals.
func (r *rule) check(e object) []string { return r.within(e, e) }

func (r *rule) within(root, e object) (wrong []string) {
	found := values(e, r.path)
	if r.each {
		parent, name, _ := strings.Cut(r.path, ".")
		for _, p := range list(e, parent) {
			if p[name] == nil {
				wrong = append(wrong, r.path+" is missing in one")
			}
		}
		return wrong
	}
	if len(found) < r.min || len(found) > r.max {
		wrong = append(wrong, fmt.Sprintf("%s is there %d times, not %d..%d", r.path, len(found), r.min, r.max))
	}
	for _, v := range found {
		if len(r.among) > 0 && !anyOf(v, r.among) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, not among %v", r.path, v, r.among))
		}
		if s, _ := v.(string); r.begins != "" && (!strings.HasPrefix(s, r.begins) || s == r.begins) {
			wrong = append(wrong, fmt.Sprintf("%s does not begin with %s", r.path, r.begins))
		}
		if r.is != "" && fmt.Sprint(v) != r.is {
			wrong = append(wrong, fmt.Sprintf("%s is %v", r.path, v))
		}
		if r.equals != "" && fmt.Sprint(v) != fmt.Sprint(values(root, r.equals)[0]) {
			wrong = append(wrong, r.path+" is not "+r.equals)
		}
	}
	return wrong
}

// anyOf reports whether a value is one of the texts, or has one of the codings.
func anyOf(v any, among []string) bool {
	if s, ok := v.(string); ok {
		return slices.Contains(among, s)
	}
	return slices.ContainsFunc(codes(v), func(c string) bool { return slices.Contains(among, c) })
}

// slice is a named part of agent, entity or subtype: those whose discriminator
// has one of the codes.
type slice struct {
	name string
	// by is the element that tells which slice it is; empty for the element itself.
	by string
	of []string
	// min and max are how many there are.
	min, max int
	rules    []rule
}

func (s *slice) has(e object) bool {
	if s.by == "" {
		return anyOf(e, s.of)
	}
	return e[s.by] != nil && anyOf(e[s.by], s.of)
}

// profile is one profile of BALP.
type profile struct {
	parent string
	// optional says that an event that satisfies it need not claim it.
	optional bool
	rules    []rule
	subtypes []slice
	agents   []slice
	entities []slice
	// closed are the elements that have no other slices.
	closed []string
	// known says that whoever asked is in a slice: not a rule of the profiles, which
	// are open, but a part turned round would else pass for one that is not there.
	known bool
}

// check returns what a profile of the table finds wrong.
func (p *profile) check(e object, table map[string]profile) (wrong []string) {
	if p.parent != "" {
		parent := table[p.parent]
		wrong = parent.check(e, table)
	}
	for i := range p.rules {
		wrong = append(wrong, p.rules[i].check(e)...)
	}
	for _, part := range []struct {
		name   string
		slices []slice
	}{{"subtype", p.subtypes}, {"agent", p.agents}, {"entity", p.entities}} {
		wrong = append(wrong, p.sliced(e, part.name, part.slices)...)
	}
	return wrong
}

// sliced holds the elements of one name against their slices.
func (p *profile) sliced(e object, name string, parts []slice) (wrong []string) {
	all := list(e, name)
	placed := make([]bool, len(all))
	for i := range parts {
		s := &parts[i]
		n := 0
		for at, one := range all {
			if !s.has(one) {
				continue
			}
			n++
			placed[at] = true
			for k := range s.rules {
				for _, w := range s.rules[k].within(e, one) {
					wrong = append(wrong, name+"["+s.name+"]."+w)
				}
			}
		}
		if n < s.min || n > s.max {
			wrong = append(wrong, fmt.Sprintf("%s[%s] is there %d times, not %d..%d", name, s.name, n, s.min, s.max))
		}
	}
	for at, one := range all {
		if !placed[at] && slices.Contains(p.closed, name) {
			wrong = append(wrong, name+" has one that is in no slice")
		}
		if !placed[at] && p.known && one["requestor"] == true {
			wrong = append(wrong, name+": who asked is in no slice")
		}
	}
	return wrong
}
