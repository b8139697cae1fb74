package conformance

import (
	"slices"
	"strings"
)

// includeRounds is how often :iterate goes on, which DIVERGENCES.md says.
const includeRounds = 8

// include is one _include or _revinclude.
type include struct {
	reverse, iterate      bool
	source, param, target string // param "*" for all, source and target empty for any
}

func (i include) given() given {
	g := given{"_include", i.source + ":" + i.param}
	if i.reverse {
		g.name = "_revinclude"
	}
	if i.iterate {
		g.name += ":iterate"
	}
	if i.target != "" {
		g.value += ":" + i.target
	}
	if i.source == "" {
		g.value = "*"
	}
	return g
}

// included is what comes with the matches of a page (R4 search.html#include), by
// name.
func (w *specWorld) included(matches []*specResource, includes []include) []string {
	seen := map[*specResource]bool{}
	for _, r := range matches {
		seen[r] = true
	}
	names := []string{}
	frontier := matches
	for round := 0; round <= includeRounds && len(frontier) > 0; round++ {
		var next []*specResource
		for _, i := range includes {
			if round > 0 && !i.iterate {
				continue
			}
			for _, r := range frontier {
				for _, to := range w.includes(r, i) {
					if !seen[to] {
						seen[to] = true
						next, names = append(next, to), append(names, to.name())
					}
				}
			}
		}
		frontier = next
	}
	slices.Sort(names)
	return names
}

// includes is what one include adds to one resource.
func (w *specWorld) includes(r *specResource, i include) (out []*specResource) {
	if !i.reverse {
		if i.source == "" || i.source == r.typ {
			out = w.referred(r, i)
		}
		return out
	}
	for typ, all := range w.byType {
		if i.source != "" && i.source != typ {
			continue
		}
		for _, other := range all {
			if slices.Contains(w.referred(other, i), r) {
				out = append(out, other)
			}
		}
	}
	return out
}

// referred are the resources that the include's parameters of r lead to, those of
// a canonical in the version that it names.
func (w *specWorld) referred(r *specResource, i include) (out []*specResource) {
	for k := range w.params[r.typ] {
		p := &w.params[r.typ][k]
		if p.kind != "reference" || i.param != "*" && i.param != p.name {
			continue
		}
		for _, to := range w.targets(r, p) {
			if to.within != nil || i.target != "" && i.target != to.typ {
				continue
			}
			if p.places[0].typ == "canonical" && !i.reverse {
				canonical := asText(walk(r.body, p.places[0].path)[0])
				if _, version, ok := strings.Cut(canonical, "|"); ok && version != text(to.body, "version") {
					continue
				}
			}
			out = append(out, to)
		}
	}
	return out
}

// includesOf makes includes for a search of a type.
func (a *asker) includesOf(typ string) (out []include) {
	from := typ
	for n := range pick(a.specMaker, 1, 1, 2, 3) {
		i := include{source: from, param: "*", iterate: n > 0 && a.chance(70)}
		if a.chance(45) {
			i.reverse = true
			if i.source = a.referrer(from); i.source == "" {
				continue
			}
		}
		p := a.parameter(i.source, "reference")
		if p == nil {
			continue
		}
		for i.reverse && !slices.Contains(a.leads(p), from) {
			p = a.parameter(i.source, "reference")
		}
		if a.chance(85) {
			i.param = p.name
		}
		if targets := p.places[0].targets; len(targets) > 0 && a.chance(30) && i.param != "*" {
			i.target = pick(a.specMaker, targets...)
			if i.reverse {
				i.target = from
			}
		}
		if !i.reverse && i.param == "*" && a.chance(30) {
			i.source, i.target = "", ""
		}
		out = append(out, i)
		if i.reverse {
			from = i.source
		} else if types := a.leads(p); len(types) > 0 && a.chance(60) {
			from = pick(a.specMaker, types...)
		}
		// what goes on from what was included does so by :iterate alone
		if from != typ && n+1 < 3 {
			if next := a.parameter(from, "reference"); next != nil {
				out = append(out, include{source: from, param: next.name, iterate: true})
			}
			break
		}
	}
	return out
}

// referrer is a type whose resources may refer to those of a type.
func (a *asker) referrer(to string) string {
	for range 20 {
		typ := pick(a.specMaker, strings.Fields("Observation Condition Encounter MedicationRequest List RiskAssessment Patient Location")...)
		for i := range a.w.params[typ] {
			if p := &a.w.params[typ][i]; p.kind == "reference" && slices.Contains(a.leads(p), to) {
				return typ
			}
		}
	}
	return ""
}
