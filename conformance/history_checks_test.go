package conformance

import (
	"fmt"
	"slices"
)

// check is all that a history must hold to.
func (h *history) check() (findings []string) {
	findings = append(findings, h.kept()...)
	h.settle()
	findings = append(findings, h.whole()...)
	findings = append(findings, h.balanced()...)
	findings = append(findings, h.unique()...)
	findings = append(findings, h.linearizable()...)
	return append(findings, h.serializable()...)
}

// kept says whether every version that was acknowledged is there, as it was
// written, and nothing else is: no version of a request that was refused, none
// twice, none of nobody.
func (h *history) kept() (findings []string) {
	byMark := map[string]*call{}
	for _, c := range h.calls {
		byMark[c.mark] = c
		for _, t := range c.touches {
			past := h.past[t.resource]
			switch {
			case c.outcome != done || t.version == 0:
			case t.version > len(past):
				findings = append(findings, fmt.Sprintf("lost: version %d of %s was told, and there are %d: %s", t.version, t.resource, len(past), c))
			case t.act == put && past[t.version-1].mark != c.mark:
				findings = append(findings, fmt.Sprintf("lost: version %d of %s is another's, %q: %s", t.version, t.resource, past[t.version-1].mark, c))
			case t.act == look && past[t.version-1] != version{mark: t.mark, value: t.value}:
				findings = append(findings, fmt.Sprintf("dirty: version %d of %s was seen and is %+v: %s", t.version, t.resource, past[t.version-1], c))
			}
		}
	}
	for name, versions := range h.past {
		seen := map[string]int{}
		for i, v := range versions {
			if v.gone {
				continue
			}
			if c := byMark[v.mark]; c == nil {
				findings = append(findings, fmt.Sprintf("version %d of %s is of no request: %q", i+1, name, v.mark))
			} else if c.outcome == refused {
				findings = append(findings, fmt.Sprintf("version %d of %s is of a request that was refused: %s", i+1, name, c))
			}
			if before := seen[v.mark]; before > 0 {
				findings = append(findings, fmt.Sprintf("twice: versions %d and %d of %s are of one request, %q", before, i+1, name, v.mark))
			}
			seen[v.mark] = i + 1
		}
	}
	slices.Sort(findings)
	return findings
}

// whole says whether of every transaction all is there or nothing.
func (h *history) whole() (findings []string) {
	for _, c := range h.calls {
		some, none := 0, 0
		for _, t := range c.touches {
			switch {
			case t.act != put:
			case t.version > 0:
				some++
			default:
				none++
			}
		}
		if some > 0 && none > 0 {
			findings = append(findings, fmt.Sprintf("half done: %d of %d writes are there: %s", some, some+none, c))
		}
	}
	return findings
}

// balanced says whether whoever saw all accounts at once saw the sum that is
// always theirs.
func (h *history) balanced() (findings []string) {
	for _, c := range h.calls {
		if c.outcome != done || !c.total {
			continue
		}
		seen, sum := map[string]int{}, 0
		for _, t := range c.touches {
			if t.act == look && slices.Contains(h.accounts, t.resource) {
				if was, ok := seen[t.resource]; ok && was != t.value {
					findings = append(findings, "torn: two values of "+t.resource+": "+c.String())
				}
				seen[t.resource] = t.value
			}
		}
		for _, value := range seen {
			sum += value
		}
		if sum != h.sum || len(seen) != len(h.accounts) {
			findings = append(findings, fmt.Sprintf("torn: %d of %d accounts with a sum of %d, want %d: %s", len(seen), len(h.accounts), sum, h.sum, c))
		}
	}
	return findings
}

// unique says whether each condition has one match at most, the one that
// everybody was told, which one request made.
func (h *history) unique() (findings []string) {
	for condition, found := range h.found {
		if len(found) > 1 {
			findings = append(findings, fmt.Sprintf("duplicate: %s matches %v", condition, found))
		}
	}
	makers := map[string]*call{}
	for _, c := range h.calls {
		if c.condition == "" || c.outcome != done {
			continue
		}
		if found := h.found[c.condition]; !slices.Contains(found, c.match) {
			findings = append(findings, fmt.Sprintf("lost: %s was the match of %s, which has %v: %s", c.match, c.condition, found, c))
		}
		if !c.made {
			continue
		}
		if other := makers[c.condition]; other != nil {
			findings = append(findings, fmt.Sprintf("duplicate: %s made twice: %s and %s", c.condition, other, c))
		}
		makers[c.condition] = c
	}
	for _, c := range h.calls { // what was found had to be made by then
		if maker := makers[c.condition]; c.condition != "" && c.outcome == done && !c.made && maker != nil && c.returned < maker.invoked {
			findings = append(findings, fmt.Sprintf("out of nothing: %s found before it was made: %s and %s", c.condition, maker, c))
		}
	}
	slices.Sort(findings)
	return findings
}

// events are what the record of access says of each request: the versions that
// it names, by request id.
type events map[string][]string

// recorded says whether every acknowledged request is on record, with the versions
// that it wrote, and whether nothing is on record as written that was not.
func (h *history) recorded(e events) (findings []string) {
	for _, c := range h.calls {
		named, ok := e[c.mark]
		if c.outcome == done && !ok {
			findings = append(findings, "not on record: "+c.String())
			continue
		}
		for _, t := range c.touches {
			if t.act == put && t.version > 0 && !slices.Contains(named, fmt.Sprintf("%s/_history/%d", t.resource, t.version)) {
				findings = append(findings, fmt.Sprintf("not on record: version %d of %s, but %v: %s", t.version, t.resource, named, c))
			}
		}
	}
	for _, c := range h.undone {
		if named := e[c.mark]; c.condition == "" && len(named) > 0 {
			findings = append(findings, fmt.Sprintf("on record and never done: %v: %s", named, c))
		}
	}
	return findings
}
