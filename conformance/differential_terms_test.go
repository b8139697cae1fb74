package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// specTerms are code systems of R4 itself: the URL, then the codes, those with
// code<parent below another; and after = the value set of all of them. Copied from
// the definitions by hand.
const specTerms = `
http://hl7.org/fhir/observation-status registered preliminary final amended corrected<amended cancelled entered-in-error unknown = http://hl7.org/fhir/ValueSet/observation-status
http://hl7.org/fhir/administrative-gender male female other unknown = http://hl7.org/fhir/ValueSet/administrative-gender
http://terminology.hl7.org/CodeSystem/condition-clinical active recurrence<active relapse<active inactive remission<inactive resolved<inactive = http://hl7.org/fhir/ValueSet/condition-clinical
`

// ownTerms are where the world's own ValueSets for :in are; the other ones have
// URLs that several share.
const ownTerms = "http://example.org/terms/"

// specSystem is a code system whose codes are known.
type specSystem struct {
	folds   bool // case counts for nothing
	codes   []string
	parents map[string][]string // by the code as it is compared
}

func (s *specSystem) same(code string) string {
	if s.folds {
		return strings.ToLower(code)
	}
	return code
}

func (s *specSystem) add(code string, parents ...string) {
	if key := s.same(code); !slices.Contains(s.codes, key) {
		s.codes = append(s.codes, key)
	}
	for _, p := range parents {
		s.parents[s.same(code)] = append(s.parents[s.same(code)], s.same(p))
	}
}

// subsumes reports whether a code is another or lies above it (R4
// codesystem.html#subsumption).
func (s *specSystem) subsumes(upper, lower string) bool {
	upper, lower = s.same(upper), s.same(lower)
	return upper == lower || slices.ContainsFunc(s.parents[lower], func(p string) bool { return s.subsumes(upper, p) })
}

// specCodes are the codes of a value set, as they are compared in their system;
// of the systems in whole every one.
type specCodes struct {
	codes map[specToken]bool
	whole map[string]bool
}

func (c specCodes) has(t specToken) bool { return c.whole[t.system] || c.codes[t] }

// learnTerms reads the code systems of R4 and those of the world.
func (w *specWorld) learnTerms() {
	w.systems, w.sets = map[string]*specSystem{}, map[string]specCodes{}
	for line := range strings.Lines(specTerms) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		s := &specSystem{parents: map[string][]string{}}
		all := specCodes{codes: map[specToken]bool{}}
		for _, c := range f[1 : len(f)-2] {
			code, parent, below := strings.Cut(c, "<")
			if s.add(code); below {
				s.add(code, parent)
			}
			all.codes[specToken{system: f[0], code: code}] = true
		}
		w.systems[f[0]], w.sets[f[len(f)-1]] = s, all
	}
	for _, r := range w.byType["CodeSystem"] {
		s := &specSystem{parents: map[string][]string{}, folds: at(r.body, "caseSensitive") != true}
		var visit func(o any, parents ...string)
		visit = func(o any, parents ...string) {
			for _, c := range list(o, "concept") {
				code := text(c, "code")
				s.add(code, parents...)
				for _, p := range list(c, "property") {
					if other := text(p, "valueCode"); text(p, "code") == "parent" {
						s.add(code, other)
					} else {
						s.add(other, code)
					}
				}
				visit(c, code)
			}
		}
		visit(r.body)
		w.systems[text(r.body, "url")] = s
	}
}

// asCompared is a token as its system compares it.
func (w *specWorld) asCompared(system, code string) specToken {
	if s := w.systems[system]; s != nil {
		code = s.same(code)
	}
	return specToken{system: system, code: code}
}

// set is a value set by its canonical.
func (w *specWorld) set(canonical string) specCodes {
	if c, ok := w.sets[canonical]; ok {
		return c
	}
	url, version, versioned := strings.Cut(canonical, "|")
	for _, r := range w.byType["ValueSet"] {
		if text(r.body, "url") == url && (!versioned || text(r.body, "version") == version) {
			c := w.composed(r.body)
			w.sets[canonical] = c
			return c
		}
	}
	panic("no value set " + canonical)
}

// composed are the codes that a compose includes and does not exclude (R4
// valueset.html#compose).
func (w *specWorld) composed(vs object) specCodes {
	in, out := specCodes{map[specToken]bool{}, map[string]bool{}}, specCodes{map[specToken]bool{}, map[string]bool{}}
	for part, sum := range map[string]specCodes{"include": in, "exclude": out} {
		for _, rule := range list(vs, "compose", part) {
			w.ruled(rule, sum)
		}
	}
	for t := range in.codes {
		if out.has(t) {
			delete(in.codes, t)
		}
	}
	return in
}

// ruled adds what one rule means: codes of its system, those that every value set
// which it names has, too.
func (w *specWorld) ruled(rule any, sum specCodes) {
	var sets []specCodes
	for _, url := range list(rule, "valueSet") {
		sets = append(sets, w.set(asText(url)))
	}
	system := text(rule, "system")
	s := w.systems[system]
	var codes []specToken
	switch concepts, filters := list(rule, "concept"), list(rule, "filter"); {
	case system == "":
		for t := range sets[0].codes {
			codes = append(codes, t)
		}
		for whole := range sets[0].whole {
			sum.whole[whole] = true
		}
	case len(concepts) > 0:
		for _, c := range concepts {
			codes = append(codes, w.asCompared(system, text(c, "code")))
		}
	case s == nil:
		sum.whole[system] = true
	default:
		for _, code := range s.codes {
			if !slices.ContainsFunc(filters, func(f any) bool { return !s.passes(code, text(f, "op"), text(f, "value")) }) {
				codes = append(codes, specToken{system: system, code: code})
			}
		}
	}
	for _, t := range codes {
		if !slices.ContainsFunc(sets, func(c specCodes) bool { return !c.has(t) }) {
			sum.codes[t] = true
		}
	}
}

// passes is one filter by hierarchy (R4 valueset-filter-operator).
func (s *specSystem) passes(code, op, value string) bool {
	switch op {
	case "is-a":
		return s.subsumes(value, code)
	case "descendent-of":
		return s.subsumes(value, code) && s.same(value) != s.same(code)
	}
	return !s.subsumes(value, code)
}

// inTerms is :in, :above and :below of tokens (R4 search.html#modifiers).
func (w *specWorld) inTerms(v, modifier string, tokens []specToken) bool {
	same := func(a, b specToken) bool { return a.system == b.system && strings.EqualFold(a.code, b.code) }
	if modifier == "in" {
		set := w.set(unescaped(v))
		for _, t := range tokens {
			if set.whole[t.system] && t.system != "" {
				return true
			}
			for c := range set.codes {
				if same(c, t) {
					return true
				}
			}
		}
		return false
	}
	parts := splitAt(v, '|')
	sought := unescaped(parts[len(parts)-1])
	for system, s := range w.systems {
		if len(parts) > 1 && unescaped(parts[0]) != system || !slices.Contains(s.codes, s.same(sought)) {
			continue
		}
		for _, code := range s.codes {
			related := modifier == "below" && s.subsumes(sought, code) || modifier == "above" && s.subsumes(code, sought)
			if related && slices.ContainsFunc(tokens, func(t specToken) bool { return same(t, specToken{system: system, code: code}) }) {
				return true
			}
		}
	}
	return false
}

// terms are the code systems that the world has hierarchies of, and value sets of
// them, of R4's own and of systems that are not on file.
func (g *specMaker) terms() (all []object) {
	for i, system := range g.trees() {
		codes := []string{"c1", "c2", "c3", "abc", "8480-6", "10", "c10", "a b"}
		if i == 1 {
			codes = append(codes, "C1", "ABC") // other codes where case counts
		}
		g.rand.Shuffle(len(codes), func(i, j int) { codes[i], codes[j] = codes[j], codes[i] })
		all = append(all, object{
			"resourceType": "CodeSystem", "id": fmt.Sprintf("cod%d", i), "url": system, "status": "active", "content": "complete",
			"caseSensitive": i == 1, "hierarchyMeaning": "is-a", "property": []any{
				object{"code": "parent", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"},
				object{"code": "child", "uri": "http://hl7.org/fhir/concept-properties#child", "type": "code"},
			}, "concept": g.tree(codes),
		})
	}
	g.count["CodeSystem"] = len(all)
	for i := range 14 {
		v := object{"resourceType": "ValueSet", "id": fmt.Sprintf("terms%d", i), "url": fmt.Sprint(ownTerms, i), "status": "active", "compose": g.compose(i)}
		if g.chance(50) || i > 11 {
			v["version"] = "1"
		}
		all = append(all, v)
	}
	last := all[len(all)-1]
	last["url"], last["version"] = all[len(all)-2]["url"], "2"
	return all
}

// trees are the systems that are on file.
func (g *specMaker) trees() []string {
	return []string{"http://example.org/codes", "http://example.org/Codes", "urn:oid:1.2.3"}
}

// tree makes concepts of codes: below the first of them some of the rest, and so
// on; some have a second parent, or a child, before them, by a property.
func (g *specMaker) tree(codes []string) []any {
	placed := []object{}
	roots := []any{}
	for _, code := range codes {
		c := object{"code": code}
		if len(placed) == 0 || g.chance(25) {
			roots = append(roots, c)
		} else {
			p := pick(g, placed...)
			below, _ := p["concept"].([]any)
			p["concept"] = append(below, c)
			if g.chance(30) {
				c["property"] = []any{object{"code": "parent", "valueCode": pick(g, placed...)["code"]}}
			} else if g.chance(20) {
				other := pick(g, placed...)
				properties, _ := other["property"].([]any)
				other["property"] = append(properties, object{"code": "child", "valueCode": code})
			}
		}
		placed = append(placed, c)
	}
	return roots
}

// compose is that of the nth value set. Nothing is excluded from a whole system
// that is not on file, for what is left of it cannot be listed.
func (g *specMaker) compose(n int) object {
	c := object{}
	if n > 0 && g.chance(60) {
		c["exclude"] = several(g, 2, func() any { return g.rule(n, true) })
	}
	c["include"] = several(g, 3, func() any { return g.rule(n, n > 0) })
	if n == 0 {
		c["include"] = append(c["include"].([]any), object{"system": "http://snomed.info/sct"})
	}
	return c
}

func (g *specMaker) rule(n int, listed bool) object {
	concepts := func(codes ...string) []any {
		return several(g, 4, func() any { return object{"code": pick(g, codes...)} })
	}
	switch k := g.rand.IntN(9); {
	case k < 2:
		return object{"system": g.system(), "concept": concepts("c1", "c2", "C1", "abc", "ABC", "8480-6", "c10")}
	case k == 2:
		return object{"system": "http://hl7.org/fhir/observation-status", "concept": concepts("final", "amended", "registered")}
	case k == 3:
		return object{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "filter": []any{
			object{"property": "concept", "op": pick(g, "is-a", "descendent-of"), "value": pick(g, "inactive", "active", "resolved")},
		}}
	case k == 4:
		return object{"system": pick(g, g.trees()...)}
	case k < 7:
		return object{"system": pick(g, g.trees()...), "filter": several(g, 2, func() any {
			return object{"property": "concept", "op": pick(g, "is-a", "is-a", "descendent-of", "is-not-a"), "value": pick(g, "c1", "c2", "c3", "abc")}
		})}
	}
	from := 0
	if listed {
		from = 1
	}
	sets := []any{}
	for i := from; i < min(n, 12); i++ {
		sets = append(sets, fmt.Sprint(ownTerms, i))
	}
	r := object{"valueSet": []any{pick(g, append(sets, "http://hl7.org/fhir/ValueSet/observation-status", "http://hl7.org/fhir/ValueSet/administrative-gender")...)}}
	if g.chance(40) {
		r["system"], r["concept"] = "http://hl7.org/fhir/observation-status", concepts("final", "amended", "registered")
		if g.chance(70) {
			r["system"], r["concept"] = pick(g, g.trees()...), concepts("c1", "c2", "c3", "abc")
		}
	} else if len(sets) > 0 && g.chance(30) {
		r["valueSet"] = append(r["valueSet"].([]any), pick(g, sets...))
	}
	return r
}

// coded reports whether a parameter's values are in code systems.
func coded(p *parameter) bool {
	return strings.Contains("code Coding CodeableConcept", p.places[0].typ) && p.kind == "token"
}

// termsValue is a value set for :in, or a code that is in some hierarchy.
func (a *asker) termsValue(modifier string, node any, place *valuePlace) string {
	if modifier == "in" || modifier == "not-in" {
		switch n := a.rand.IntN(16); {
		case n == 14:
			return ownTerms + "12|" + pick(a.specMaker, "1", "2")
		case n == 15 || place.typ == "code" && a.chance(50):
			return "http://hl7.org/fhir/ValueSet/" + pick(a.specMaker, "observation-status", "administrative-gender", "condition-clinical")
		default:
			return fmt.Sprint(ownTerms, min(n, 11))
		}
	}
	var known []specToken
	for _, t := range tokensOf(node, place) {
		if s := a.w.systems[t.system]; s != nil && slices.Contains(s.codes, s.same(t.code)) {
			known = append(known, t)
		}
	}
	if len(known) == 0 || a.chance(20) {
		known = []specToken{{system: pick(a.specMaker, a.trees()...), code: pick(a.specMaker, "c1", "c2", "c3", "abc", "10", "a b")}}
	}
	t := pick(a.specMaker, known...)
	if a.chance(35) && strings.HasPrefix(t.system, "http://example.org/") {
		return escapedValue(t.code)
	}
	return escapedValue(t.system) + "|" + escapedValue(t.code)
}
