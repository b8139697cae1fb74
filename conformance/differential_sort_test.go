package conformance

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
)

// sortPlace is where a resource stands by one key: nil for nowhere.
type sortPlace struct {
	text     string
	interval *interval
}

// order sorts what was found (R4 search.html#sort): by the least value when
// ascending and the greatest when descending, what has none last, and then by id.
// Ranges go by their begin and then by their end, texts as they are folded, tokens
// by their code, which R4 leaves to the server.
func (w *specWorld) order(found []*specResource, keys []string) {
	slices.SortFunc(found, func(a, b *specResource) int {
		for _, key := range keys {
			name, descending := strings.CutPrefix(key, "-")
			x, y := w.sortPlace(a, name, descending), w.sortPlace(b, name, descending)
			switch {
			case x == nil && y == nil:
				continue
			case x == nil:
				return 1
			case y == nil:
				return -1
			}
			c := x.compare(y)
			if descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.typ, b.typ))
	})
}

func (p *sortPlace) compare(o *sortPlace) int {
	if p.interval == nil {
		return strings.Compare(p.text, o.text)
	}
	a, b := p.interval, o.interval
	return cmp.Or(
		compareEnds(a.low, b.low, -1), compareBool(a.lowOpen, b.lowOpen),
		compareEnds(a.high, b.high, 1), -compareBool(a.highOpen, b.highOpen))
}

// compareEnds compares ends of intervals; none lies beyond all on that side.
func compareEnds(a, b *big.Rat, none int) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return none
	case b == nil:
		return -none
	}
	return a.Cmp(b)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (w *specWorld) sortPlace(r *specResource, name string, descending bool) (best *sortPlace) {
	p := w.param(r.typ, name)
	for i := range p.places {
		for _, node := range walk(r.body, p.places[i].path) {
			for _, one := range w.sortPlaces(p.kind, &p.places[i], node) {
				if best == nil || (one.compare(best) < 0) != descending {
					best = &one
				}
			}
		}
	}
	return best
}

func (w *specWorld) sortPlaces(kind string, place *valuePlace, node any) (out []sortPlace) {
	add := func(s string) { out = append(out, sortPlace{text: s}) }
	switch kind {
	case "string":
		texts, _ := textsOf(node, place.typ)
		for _, s := range texts {
			add(folded(s) + "\x00" + s)
		}
	case "token":
		for _, t := range tokensOf(node, place) {
			if t.code != "" {
				add(t.code)
			}
		}
	case "uri":
		add(asText(node))
		if bare, _, ok := strings.Cut(asText(node), "|"); ok && place.typ == "canonical" {
			add(bare)
		}
	case "reference":
		if place.typ == "canonical" {
			return w.sortPlaces("uri", place, node)
		}
		if literal := text(node, "reference"); literal != "" && literal[0] != '#' && w.refers(place, node) {
			literal = strings.TrimPrefix(literal, w.base+"/")
			add(literal)
			if bare, _, ok := strings.Cut(literal, "/_history/"); ok {
				add(bare)
			}
		}
	case "date":
		for _, i := range timesOf(node, place.typ) {
			out = append(out, sortPlace{interval: &i})
		}
	case "number", "quantity":
		for _, a := range amountsOf(node, place.typ) {
			out = append(out, sortPlace{interval: &a.interval})
		}
	}
	return out
}
