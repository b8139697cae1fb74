package conformance

import (
	"encoding/json"
	"slices"
	"strings"
)

// filterNode is an expression of _filter (R4 search_filter.html): a test, or others
// joined by and, or, not.
type filterNode struct {
	join string // empty for a test
	of   []*filterNode
	// path are names with points between; within is what stands in brackets behind
	// the first of them.
	path, compare, value string
	within               *filterNode
}

// String writes the expression. Parentheses say what goes first, but where only
// ands or only ors are joined.
func (f *filterNode) String() string {
	operand := func(n *filterNode) string {
		if n.join == "and" || n.join == "or" {
			return "(" + n.String() + ")"
		}
		return n.String()
	}
	switch f.join {
	case "not":
		return "not (" + f.of[0].String() + ")"
	case "and", "or":
		parts := []string{}
		for _, n := range f.of {
			parts = append(parts, operand(n))
		}
		return strings.Join(parts, " "+f.join+" ")
	}
	path := f.path
	if f.within != nil {
		head, rest, _ := strings.Cut(path, ".")
		path = head + "[" + f.within.String() + "]." + rest
	}
	value := f.value
	if strings.ContainsAny(value, " ()[]\"\\\n") || value == "" {
		b, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		value = string(b)
	}
	return path + " " + f.compare + " " + value
}

// filtered evaluates an expression.
func (w *specWorld) filtered(r *specResource, f *filterNode) bool {
	one := func(n *filterNode) bool { return w.filtered(r, n) }
	switch f.join {
	case "not":
		return !one(f.of[0])
	case "and":
		return !slices.ContainsFunc(f.of, func(n *filterNode) bool { return !one(n) })
	case "or":
		return slices.ContainsFunc(f.of, one)
	}
	head, rest, chained := strings.Cut(f.path, ".")
	p := w.param(r.typ, head)
	if !chained {
		return w.compares(r, p, f.compare, f.value)
	}
	test := *f
	test.path, test.within = rest, nil
	reached := slices.ContainsFunc(w.targets(r, p), func(to *specResource) bool {
		if to.within != nil && f.within != nil && f.within.goesOn() {
			return false
		}
		// pr false asks for what nothing leads to
		if test.compare == "pr" {
			return (f.within == nil || w.filtered(to, f.within)) && w.compares(to, w.param(to.typ, rest), "pr", "true")
		}
		return (f.within == nil || w.filtered(to, f.within)) && w.filtered(to, &test)
	})
	return reached != (f.compare == "pr" && f.value == "false")
}

// compares is one test of the resource itself.
func (w *specWorld) compares(r *specResource, p *parameter, compare, v string) bool {
	switch compare {
	case "pr":
		return w.present(r, p) == (v == "true")
	case "ni":
		return !w.compares(r, p, "in", v)
	}
	for i := range p.places {
		place := &p.places[i]
		if slices.ContainsFunc(walk(r.body, place.path), func(node any) bool { return w.comparesValue(p.kind, place, compare, v, node) }) {
			return true
		}
	}
	return false
}

func (w *specWorld) comparesValue(kind string, place *valuePlace, compare, v string, node any) bool {
	switch kind {
	case "string":
		return comparesText(node, place.typ, compare, v)
	case "token":
		tokens := tokensOf(node, place)
		switch compare {
		case "ne":
			return len(tokens) > 0 && !tokenMatches(v, tokens)
		case "in":
			return w.inTerms(v, "in", tokens)
		case "ss": // what the value subsumes
			return w.inTerms(v, "below", tokens)
		case "sb":
			return w.inTerms(v, "above", tokens)
		}
		return tokenMatches(v, tokens)
	case "reference":
		return w.referenceMatches(v, "", place, node)
	case "uri":
		switch compare {
		case "eq":
			return uriMatches(v, "", asText(node), place.typ)
		case "sw":
			return strings.HasPrefix(asText(node), v)
		}
		return strings.Contains(asText(node), v)
	case "date":
		switch compare {
		case "po":
			return slices.ContainsFunc(timesOf(node, place.typ), moment(v).overlaps)
		case "co":
			return slices.ContainsFunc(timesOf(node, place.typ), func(i interval) bool { return i.contains(moment(v)) })
		}
		return w.matches(kind, place, "", compare+v, node)
	}
	return w.matches(kind, place, "", compare+v, node)
}

// comparesText compares the texts of a value without case and accents.
func comparesText(node any, typ, compare, v string) bool {
	texts, _ := textsOf(node, typ)
	v = folded(v)
	is := func(s string) bool {
		s = folded(s)
		switch compare {
		case "eq", "ne":
			return s == v
		case "co":
			return strings.Contains(s, v)
		case "sw":
			return strings.HasPrefix(s, v)
		}
		return strings.HasSuffix(s, v)
	}
	if compare == "ne" {
		return len(texts) > 0 && !slices.ContainsFunc(texts, is)
	}
	return slices.ContainsFunc(texts, is)
}

// filter makes an expression about a type.
func (a *asker) filter(typ string, deep int) *filterNode {
	if deep > 0 && a.chance(45) {
		n := &filterNode{join: pick(a.specMaker, "and", "or", "not")}
		n.of = append(n.of, a.filter(typ, deep-1))
		for n.join != "not" && (len(n.of) < 2 || a.chance(25)) {
			n.of = append(n.of, a.filter(typ, deep-1))
		}
		return n
	}
	if deep > 0 && a.chance(25) {
		if n := a.filterAlong(typ, deep); n != nil {
			return n
		}
	}
	return a.filterTest(a.parameter(typ, "string", "token", "reference", "uri", "date", "number", "quantity"))
}

// filterAlong is a test at the end of a reference that leads to one type.
func (a *asker) filterAlong(typ string, deep int) *filterNode {
	p := a.parameter(typ, "reference")
	if p == nil || len(p.places[0].targets) != 1 || a.w.byType[p.places[0].targets[0]] == nil {
		return nil
	}
	to := p.places[0].targets[0]
	n := a.filterTest(a.parameter(to, "string", "token", "date", "number"))
	if n.compare == "ni" {
		n.compare = "in"
	}
	n.path = p.name + "." + n.path
	if a.chance(40) {
		n.within = a.filter(to, deep-1)
	}
	return n
}

func (a *asker) filterTest(p *parameter) *filterNode {
	n := &filterNode{path: p.name}
	if a.chance(15) {
		n.compare, n.value = "pr", pick(a.specMaker, "true", "false")
		return n
	}
	typ := p.typ
	if typ == "*" {
		typ = a.typ()
	}
	node, place := a.found(typ, p.places)
	n.value = unescaped(a.valueOf(p.kind, "", node, place))
	switch p.kind {
	case "string":
		if n.compare = pick(a.specMaker, "eq", "ne", "co", "sw", "ew"); n.compare == "eq" || n.compare == "ne" {
			if texts, _ := textsOf(node, place.typ); len(texts) > 0 {
				n.value = a.respelled(pick(a.specMaker, texts...))
			}
		}
		if folded(n.value) == "" {
			n.value = "a"
		}
	case "token":
		if coded(p) && a.chance(40) {
			n.compare = pick(a.specMaker, "in", "ni", "ss", "sb")
			modifier := map[string]string{"in": "in", "ni": "in", "ss": "below", "sb": "above"}[n.compare]
			n.value = unescaped(a.termsValue(modifier, node, place))
			return n
		}
		n.compare = pick(a.specMaker, "eq", "ne")
		if strings.ContainsAny(n.value, `,$\`) || strings.Count(n.value, "|") > 1 || place.typ == "Identifier" {
			n.value = "c1"
		}
	case "reference":
		n.compare = "re"
	case "uri":
		n.compare = pick(a.specMaker, "eq", "sw", "co")
	case "date":
		n.compare, n.value = pick(a.specMaker, append(strings.Fields(rangePrefixes), "po", "co")...), a.timeText(node)
	case "number", "quantity":
		_, n.value = cutPrefix(n.value)
		n.compare = pick(a.specMaker, strings.Fields(rangePrefixes)...)
	}
	return n
}
