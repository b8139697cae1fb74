package conformance

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// chained is reference[:Type].rest=value (R4 search.html#chaining).
func (w *specWorld) chained(r *specResource, name, value string) bool {
	step, rest, _ := strings.Cut(name, ".")
	code, only, _ := strings.Cut(step, ":")
	for _, to := range w.targets(r, w.param(r.typ, code)) {
		if only != "" && to.typ != only || !w.knows(to.typ, rest) {
			continue
		}
		if to.within != nil && leadsOn(rest) {
			continue // DIVERGENCES.md says so
		}
		if w.holds(to, rest, value) {
			return true
		}
	}
	return false
}

// knows reports whether resources of a type can be asked what is left of a chain.
func (w *specWorld) knows(typ, rest string) bool {
	if strings.HasPrefix(rest, "_has:") {
		return true
	}
	step, _, _ := strings.Cut(rest, ".")
	code, _, _ := strings.Cut(step, ":")
	return w.param(typ, code) != nil
}

// targets are the resources that a parameter of a resource refers to.
func (w *specWorld) targets(r *specResource, p *parameter) []*specResource {
	led, ok := w.led[r][p]
	if !ok {
		if w.led[r] == nil {
			w.led[r] = map[*parameter][]*specResource{}
		}
		led = w.follow(r, p)
		w.led[r][p] = led
	}
	return led
}

func (w *specWorld) follow(r *specResource, p *parameter) (out []*specResource) {
	for i := range p.places {
		place := &p.places[i]
		for _, node := range walk(r.body, place.path) {
			if place.typ == "canonical" {
				out = append(out, w.named(asText(node), place.targets)...)
				continue
			}
			if id, ok := strings.CutPrefix(text(node, "reference"), "#"); ok {
				out = append(out, w.contained(r, place, id)...)
				continue
			}
			typ, id, _, ok := w.local(text(node, "reference"))
			if !ok || !w.refers(place, node) || place.targets != nil && !slices.Contains(place.targets, typ) {
				continue
			}
			if to := w.byName[typ+"/"+id]; to != nil {
				out = append(out, to)
			}
		}
	}
	return out
}

// named are the resources that a canonical names, of whatever version, which
// DIVERGENCES.md says.
func (w *specWorld) named(canonical string, types []string) (out []*specResource) {
	url, _, _ := strings.Cut(canonical, "|")
	for _, typ := range types {
		for _, to := range w.byType[typ] {
			if text(to.body, "url") == url {
				out = append(out, to)
			}
		}
	}
	return out
}

// has is _has:Type:reference:rest=value (R4 search.html#has).
func (w *specWorld) has(r *specResource, name, value string) bool {
	parts := strings.SplitN(name, ":", 4)
	for _, other := range w.byType[parts[1]] {
		if slices.Contains(w.targets(other, w.param(parts[1], parts[2])), r) && w.holds(other, parts[3], value) {
			return true
		}
	}
	return false
}

// listed is _list=id (R4 search.html#list).
func (w *specWorld) listed(r *specResource, value string) bool {
	for id := range strings.SplitSeq(value, ",") {
		l := w.byName["List/"+id]
		if l != nil && slices.Contains(w.targets(l, w.param("List", "item")), r) {
			return true
		}
	}
	return false
}

// nearby is latitude|longitude|distance|unit (R4 location.html#near): within the
// circle. What is at its edge is for the server to say; see vague.
func nearby(v string, node any) bool {
	away, reach := distances(v, node)
	return away <= reach
}

// distances are how far the place is from that of the query, and how far is near,
// in metres.
func distances(v string, node any) (away, reach float64) {
	parts := splitAt(v, '|')
	number := func(s string) float64 {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			panic(err)
		}
		return f
	}
	reach = 10_000
	if len(parts) > 2 && parts[2] != "" {
		unit := "km"
		if len(parts) > 3 && parts[3] != "" {
			unit = parts[3]
		}
		reach = number(parts[2]) * map[string]float64{"km": 1000, "m": 1, "[mi_i]": 1609.344}[unit]
	}
	rad := func(s string) float64 { return number(s) * math.Pi / 180 }
	lat1, lon1, lat2, lon2 := rad(parts[0]), rad(parts[1]), rad(asText(at(node, "latitude"))), rad(asText(at(node, "longitude")))
	h := math.Pow(math.Sin((lat2-lat1)/2), 2) + math.Cos(lat1)*math.Cos(lat2)*math.Pow(math.Sin((lon2-lon1)/2), 2)
	return 2 * 6371008.8 * math.Asin(math.Min(1, math.Sqrt(h))), reach
}

// textSearch is the grammar of _text and _content: words and "phrases", joined by
// AND, OR and NOT and grouped by parentheses; words side by side must all be there.
func textSearch(value string, has func(phrase string) bool) bool {
	var tokens []string
	for i, quoted := range strings.Split(value, `"`) {
		if i%2 == 1 {
			tokens = append(tokens, `"`+quoted)
			continue
		}
		tokens = append(tokens, strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(quoted))...)
	}
	next := func() string {
		if len(tokens) == 0 {
			return ""
		}
		return tokens[0]
	}
	take := func() { tokens = tokens[1:] }
	var either func() bool
	one := func() bool {
		not := false
		for strings.EqualFold(next(), "not") {
			take()
			not = !not
		}
		tok := next()
		take()
		if tok == "(" {
			v := either()
			take()
			return v != not
		}
		return has(strings.TrimPrefix(tok, `"`)) != not
	}
	both := func() bool {
		v := one()
		for next() != "" && next() != ")" && !strings.EqualFold(next(), "or") {
			if strings.EqualFold(next(), "and") {
				take()
			}
			v = one() && v
		}
		return v
	}
	either = func() bool {
		v := both()
		for strings.EqualFold(next(), "or") {
			take()
			v = both() || v
		}
		return v
	}
	return either()
}

// wordsIn are the words of a text, folded: what stands between letters and digits
// parts them.
func wordsIn(s string) (out []string) {
	gap := true
	for _, r := range norm.NFKD.String(s) {
		switch {
		case unicode.Is(unicode.M, r):
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = true
		case gap:
			out = append(out, folded(string(r)))
			gap = false
		default:
			out[len(out)-1] += folded(string(r))
		}
	}
	return out
}

// containsWords reports whether one of the texts has the words of a phrase, one
// after the other.
func containsWords(texts []string, phrase string) bool {
	wanted := wordsIn(phrase)
	return slices.ContainsFunc(texts, func(s string) bool {
		have := wordsIn(s)
		for i := 0; i+len(wanted) <= len(have); i++ {
			if slices.Equal(have[i:i+len(wanted)], wanted) {
				return true
			}
		}
		return false
	})
}

// textOfToken is :text of a token: it has the words asked for, one after the
// other, the last of which may go on.
func textOfToken(s, v string) bool {
	wanted, have := wordsIn(v), wordsIn(s)
	last := len(wanted) - 1
	for i := 0; i+last < len(have); i++ {
		if slices.Equal(have[i:i+last], wanted[:last]) && strings.HasPrefix(have[i+last], wanted[last]) {
			return true
		}
	}
	return false
}

// narrative is what _text looks into, the words of the narrative, or _content, all
// words of the resource.
func narrative(r *specResource, name string) (out []string) {
	if name == "_text" {
		return []string{stripTags(text(r.body, "text", "div"))}
	}
	var visit func(key string, v any)
	visit = func(key string, v any) {
		switch v := v.(type) {
		case object:
			for k, child := range v {
				visit(k, child)
			}
		case []any:
			for _, child := range v {
				visit(key, child)
			}
		case string:
			if key == "div" {
				v = stripTags(v)
			}
			out = append(out, v)
		case json.Number:
			out = append(out, v.String())
		}
	}
	visit("", r.body)
	return out
}

// stripTags is the text of XHTML: <b> parts no words, <p> does.
func stripTags(s string) string {
	s = strings.NewReplacer("<b>", "", "</b>", "").Replace(s)
	out, inside := "", false
	for _, r := range s {
		switch {
		case r == '<':
			inside = true
		case r == '>':
			inside = false
			out += " "
		case !inside:
			out += string(r)
		}
	}
	return out
}
