package conformance

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"vitrine/fhir/r4"
)

// query is a search of one type, or of several.
type query struct {
	typ   string
	types []string
	all   []given
	sort  []string
	// includes are what is to come with the matches.
	includes []include
	// contained and containedType ask for what others contain.
	contained, containedType string
	// owner is the resource in whose compartment is searched.
	owner string
	// posted says by POST.
	posted bool
}

// path is the query as a request's.
func (q query) path(more ...given) string {
	var parts []string
	for _, i := range q.includes {
		more = append(more, i.given())
	}
	if q.typ == "" {
		more = append(more, given{"_type", strings.Join(q.types, ",")})
	}
	if q.contained != "" {
		more = append(more, given{"_contained", q.contained})
	}
	if q.containedType != "" {
		more = append(more, given{"_containedType", q.containedType})
	}
	for _, g := range slices.Concat(q.all, more) {
		parts = append(parts, url.QueryEscape(g.name)+"="+url.QueryEscape(g.value))
	}
	if len(q.sort) > 0 {
		parts = append(parts, "_sort="+strings.Join(q.sort, ","))
	}
	at := q.typ
	if q.owner != "" {
		at = q.owner + "/" + at
	}
	return at + "?" + strings.Join(parts, "&")
}

// searched are the types of the search.
func (q query) searched() []string {
	if q.typ != "" {
		return []string{q.typ}
	}
	return q.types
}

// asker makes queries about a world, most of them of values that are in it.
type asker struct {
	*specMaker
	w    *specWorld
	defs *r4.Definitions
}

// plainTypes are the types that are searched, the large ones more often.
func (a *asker) typ() string {
	return pick(a.specMaker, strings.Fields(`Patient Patient QuestionnaireResponse Observation Observation Observation Condition Condition Encounter Encounter Practitioner
		Organization MedicationRequest Location List ValueSet Questionnaire QuestionnaireResponse RiskAssessment MolecularSequence ChargeItem Medication`)...)
}

func (a *asker) query() query {
	if a.chance(6) {
		return a.wide()
	}
	if a.chance(4) {
		return a.within()
	}
	q := query{typ: a.typ()}
	for range pick(a.specMaker, 1, 1, 1, 2, 2, 3) {
		g := a.condition(q.typ, 3)
		q.all = append(q.all, g)
	}
	if a.chance(40) {
		for range pick(a.specMaker, 1, 1, 2, 3) {
			if p := a.parameter(q.typ, "string", "token", "reference", "uri", "date", "number", "quantity"); p != nil {
				q.sort = append(q.sort, pick(a.specMaker, "", "-")+p.name)
			}
		}
	}
	return q
}

// wide is a search of several types by parameters that all of them have.
func (a *asker) wide() query {
	q := query{types: pick(a.specMaker, strings.Fields("Observation Condition"), strings.Fields("Patient Practitioner"), strings.Fields("Condition Encounter MedicationRequest Observation"),
		strings.Fields("List RiskAssessment ChargeItem"), strings.Fields("Organization Location"), strings.Fields("Questionnaire ValueSet"), strings.Fields("Patient Observation ValueSet"))}
	shared := func(kinds ...string) *parameter {
		for {
			p := a.parameter(q.types[0], kinds...)
			if !slices.ContainsFunc(q.types, func(typ string) bool { o := a.w.param(typ, p.name); return o == nil || o.kind != p.kind }) {
				return p
			}
		}
	}
	for range pick(a.specMaker, 1, 1, 2) {
		g := a.own(shared())
		for strings.ContainsAny(g.name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") { // :[type] is of one type's references
			g = a.own(shared())
		}
		q.all = append(q.all, g)
	}
	for range a.upTo(2) {
		q.sort = append(q.sort, pick(a.specMaker, "", "-")+pick(a.specMaker, a.w.params["*"]...).name)
	}
	return q
}

// parameter is one of a type, of one of the kinds; nil when there is none.
func (a *asker) parameter(typ string, kinds ...string) *parameter {
	var out []*parameter
	for i := range a.w.params[typ] {
		if p := &a.w.params[typ][i]; len(kinds) == 0 || slices.Contains(kinds, p.kind) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return pick(a.specMaker, out...)
}

// condition is one condition on a type, with joins so deep at most.
func (a *asker) condition(typ string, deep int) given {
	switch n := a.rand.IntN(20); {
	case deep > 0 && n < 3:
		if g, ok := a.chain(typ, deep); ok {
			return g
		}
	case deep > 0 && n < 5:
		if g, ok := a.reverse(typ, deep); ok {
			return g
		}
	case n == 5 && deep == 3:
		return given{"_list", a.ids("List")}
	case n == 7 && deep == 3:
		f := a.filter(typ, 3)
		a.w.filters[f.String()] = f
		return given{"_filter", f.String()}
	case n == 6 && deep == 3 && a.chance(60):
		return given{pick(a.specMaker, "_text", "_content"), a.wordsAsked(typ)}
	}
	return a.own(a.parameter(typ))
}

func (a *asker) ids(typ string) string {
	ids := []string{}
	for range pick(a.specMaker, 1, 1, 2) {
		ids = append(ids, a.id(typ))
	}
	return strings.Join(ids, ",")
}

// leads are the types of the world to which a reference leads.
func (a *asker) leads(p *parameter) (types []string) {
	for typ := range strings.FieldsSeq("Patient Practitioner Organization Location Encounter Observation Condition Questionnaire List RiskAssessment MedicationRequest ValueSet QuestionnaireResponse MolecularSequence ChargeItem Medication") {
		if p.places[0].targets == nil || slices.Contains(p.places[0].targets, typ) {
			types = append(types, typ)
		}
	}
	return types
}

func (a *asker) chain(typ string, deep int) (given, bool) {
	p := a.parameter(typ, "reference")
	if p == nil {
		return given{}, false
	}
	types := a.leads(p)
	if len(types) == 0 {
		return given{}, false
	}
	to := pick(a.specMaker, types...)
	g := a.condition(to, deep-1)
	if g.name[0] == '_' && !strings.HasPrefix(g.name, "_has") && !strings.HasPrefix(g.name, "_id") {
		return given{}, false
	}
	step := p.name
	if p.places[0].targets == nil || len(types) > 1 && (!a.chance(25) || a.ambiguous(types, g.name)) {
		step += ":" + to
	}
	return given{step + "." + g.name, g.value}, true
}

// ambiguous reports whether some type knows what a chain goes on with, of which
// the evaluator knows nothing.
func (a *asker) ambiguous(types []string, rest string) bool {
	if strings.HasPrefix(rest, "_has:") {
		return true
	}
	code, _, _ := strings.Cut(rest, ".")
	code, _, _ = strings.Cut(code, ":")
	return slices.ContainsFunc(types, func(typ string) bool {
		return a.defs.Type(typ).Param(code) != nil && a.w.param(typ, code) == nil
	})
}

func (a *asker) reverse(typ string, deep int) (given, bool) {
	var ways []*parameter
	for from := range strings.FieldsSeq("Observation Condition Encounter MedicationRequest List RiskAssessment Patient QuestionnaireResponse Location") {
		for i := range a.w.params[from] {
			p := &a.w.params[from][i]
			if p.kind == "reference" && (p.places[0].targets == nil || slices.Contains(p.places[0].targets, typ)) {
				one := *p
				one.typ = from
				ways = append(ways, &one)
			}
		}
	}
	if len(ways) == 0 {
		return given{}, false
	}
	p := pick(a.specMaker, ways...)
	g := a.condition(p.typ, deep-1)
	if g.name == "_list" {
		return given{}, false
	}
	return given{"_has:" + p.typ + ":" + p.name + ":" + g.name, g.value}, true
}

// own is a condition by a parameter of the type itself.
func (a *asker) own(p *parameter) given {
	name := p.name
	modifier := ""
	often := 30
	if p.kind != "composite" && (coded(p) || p.places[0].typ == "canonical") {
		often = 55 // they have most to ask with
	}
	if a.chance(often) {
		modifier = a.modifier(p)
	}
	if modifier != "" {
		name += ":" + modifier
	}
	if modifier == "missing" {
		return given{name, pick(a.specMaker, "true", "false")}
	}
	values := []string{}
	for range pick(a.specMaker, 1, 1, 1, 1, 2, 3) {
		values = append(values, a.value(p, modifier))
	}
	return given{name, strings.Join(values, ",")}
}

func (a *asker) modifier(p *parameter) string {
	missing := "missing"
	switch p.kind {
	case "string":
		return pick(a.specMaker, "exact", "contains", "contains", missing)
	case "token":
		modifiers := []string{"not", "not", missing}
		if strings.Contains("Coding CodeableConcept Identifier", p.places[0].typ) {
			modifiers = append(modifiers, "text")
		}
		if coded(p) {
			modifiers = append(modifiers, "in", "in", "not-in", "above", "below", "below")
		}
		if p.places[0].typ == "Identifier" {
			modifiers = append(modifiers, "of-type")
		}
		if p.name == "_id" {
			return ""
		}
		return pick(a.specMaker, modifiers...)
	case "reference":
		modifiers := []string{"identifier", missing}
		if p.places[0].typ == "canonical" {
			modifiers = []string{missing, "below", "above", "below", "above"}
		} else if len(p.places[0].targets) > 0 {
			modifiers = append(modifiers, p.places[0].targets...)
		}
		return pick(a.specMaker, modifiers...)
	case "uri":
		return pick(a.specMaker, "above", "below", missing)
	case "special":
		return ""
	}
	return missing
}

// wordsAsked is an expression of words that some resource has, or not.
func (a *asker) wordsAsked(typ string) string {
	name := pick(a.specMaker, "_text", "_content")
	one := func() string {
		for range 20 {
			texts := narrative(pick(a.specMaker, a.w.byType[typ]...), name)
			have := wordsIn(pick(a.specMaker, texts...))
			if len(have) == 0 {
				continue
			}
			i := a.rand.IntN(len(have))
			if i+1 < len(have) && a.chance(30) {
				return `"` + have[i] + pick(a.specMaker, " ", "-") + have[i+1] + `"`
			}
			return pick(a.specMaker, "", "", "", "not ", "NOT ") + a.respelled(have[i])
		}
		return "nothing"
	}
	s := one()
	for range a.upTo(2) {
		s = pick(a.specMaker, s+" "+one(), s+" and "+one(), s+" OR "+one(), "("+s+" or "+one()+") "+one(), "not ("+s+") and "+one())
	}
	return escapedValue(s)
}

// found is a value that some resource has at one of the places; nil for none.
func (a *asker) found(typ string, places []valuePlace) (any, *valuePlace) {
	for range 12 {
		r := pick(a.specMaker, a.w.byType[typ]...)
		if a.chance(15) {
			r = pick(a.specMaker, append([]*specResource{r}, a.w.innerOf[typ]...)...)
		}
		place := &places[a.rand.IntN(len(places))]
		if nodes := walk(r.body, place.path); len(nodes) > 0 {
			return pick(a.specMaker, nodes...), place
		}
	}
	return nil, &places[0]
}

func (a *asker) value(p *parameter, modifier string) string {
	if p.kind == "composite" {
		return a.compositeValue(p)
	}
	typ := p.typ
	if typ == "*" {
		typ = a.typ()
	}
	node, place := a.found(typ, p.places)
	return a.valueOf(p.kind, modifier, node, place)
}

// compositeValue takes its parts from one element, mostly.
func (a *asker) compositeValue(p *parameter) string {
	for range 12 {
		r := pick(a.specMaker, a.w.byType[p.typ]...)
		nodes := walk(r.body, pick(a.specMaker, p.contexts...))
		if len(nodes) == 0 {
			continue
		}
		node := pick(a.specMaker, nodes...)
		parts := []string{}
		for i := range p.components {
			c := &p.components[i]
			place := pick(a.specMaker, c.places...)
			if values := walk(node, place.path); len(values) > 0 {
				part := a.valueOf(c.kind, "", pick(a.specMaker, values...), &place)
				if i == 0 && strings.HasSuffix(part, "|") {
					part = escapedValue(a.codeText()) // a whole system is refused there
				}
				parts = append(parts, part)
			}
		}
		if len(parts) == len(p.components) {
			return strings.Join(parts, "$")
		}
	}
	parts := []string{escapedValue(a.codeText())}
	for i := range p.components[1:] {
		c := &p.components[1+i]
		parts = append(parts, a.valueOf(c.kind, "", nil, &c.places[0]))
	}
	return strings.Join(parts, "$")
}

func (a *asker) valueOf(kind, modifier string, node any, place *valuePlace) string {
	switch kind {
	case "string":
		return a.textValue(modifier, node, place)
	case "token":
		return a.tokenValue(modifier, node, place)
	case "reference":
		return a.referenceValue(modifier, node, place)
	case "uri":
		if place.typ == "canonical" && a.chance(60) {
			return a.canonicalValue(asText(node), "profile")
		}
		return a.uriValue(node)
	case "date":
		return a.prefix() + a.timeText(node)
	case "number":
		return a.prefix() + a.soughtNumber(node)
	case "quantity":
		return a.quantityValue(node, place)
	case "special":
		return a.nearValue()
	}
	panic("kind " + kind)
}

func (a *asker) prefix() string {
	return pick(a.specMaker, append([]string{"", "", "", ""}, strings.Fields(rangePrefixes)...)...)
}

// textValue is a part of a text, in some spelling, that has a letter or digit.
func (a *asker) textValue(modifier string, node any, place *valuePlace) string {
	texts, words := textsOf(node, place.typ)
	if len(texts) == 0 {
		texts = []string{a.given()}
	}
	s := pick(a.specMaker, texts...)
	if modifier == "exact" {
		if a.chance(30) {
			s = a.respelled(s)
		}
		return escapedValue(s)
	}
	if len(words) > 0 && a.chance(30) {
		s = pick(a.specMaker, words...)
	}
	runes := []rune(s)
	from := 0
	if modifier == "contains" {
		from = a.rand.IntN(len(runes))
	}
	s = string(runes[from : from+1+a.rand.IntN(len(runes)-from)])
	if s = a.respelled(s); folded(s) == "" {
		s = "a"
	}
	return escapedValue(s)
}

func (a *asker) tokenValue(modifier string, node any, place *valuePlace) string {
	switch modifier {
	case "of-type":
		return a.typedIdentifier(node)
	case "text":
		return a.shown(node, place)
	case "in", "not-in", "above", "below":
		return a.termsValue(modifier, node, place)
	}
	tokens := tokensOf(node, place)
	if len(tokens) == 0 || a.chance(8) {
		tokens = []specToken{{a.system(), a.codeText(), false}}
	}
	t := pick(a.specMaker, tokens...)
	code, system := escapedValue(t.code), escapedValue(t.system)
	bare := t.bare || place.typ == "boolean" || place.typ == "string" || place.typ == "ContactPoint" || place.typ == "id" || place.typ == "deceased"
	if a.chance(15) && place.typ != "id" {
		code = pick(a.specMaker, strings.ToUpper(code), strings.ToLower(code))
	}
	switch n := a.rand.IntN(10); {
	case bare && t.code == "":
		return "true"
	case bare || n < 4 && t.code != "":
		return code
	case n < 5 && t.code != "":
		return "|" + code
	case n < 6 && t.system != "" || t.code == "":
		if t.system == "" {
			return "x"
		}
		return system + "|"
	}
	if t.system == "" {
		return "|" + code
	}
	return system + "|" + code
}

// shown are words of the text beside a code.
func (a *asker) shown(node any, place *valuePlace) string {
	texts := tokenTexts(node, place.typ)
	if len(texts) == 0 {
		return "eve"
	}
	have := wordsIn(pick(a.specMaker, texts...))
	i := a.rand.IntN(len(have))
	j := i + 1 + a.rand.IntN(len(have)-i)
	s := strings.Join(have[i:j], " ")
	return s[:len(s)-a.rand.IntN(min(len(s), 2))]
}

func (a *asker) typedIdentifier(node any) string {
	system, code := a.system(), a.codeText()
	if codings := list(node, "type", "coding"); len(codings) > 0 {
		c := pick(a.specMaker, codings...)
		if text(c, "system") != "" && text(c, "code") != "" {
			system, code = text(c, "system"), text(c, "code")
		}
	}
	value := text(node, "value")
	if value == "" {
		value = "n1"
	}
	return escapedValue(system) + "|" + escapedValue(code) + "|" + escapedValue(value)
}

func (a *asker) referenceValue(modifier string, node any, place *valuePlace) string {
	if place.typ == "canonical" {
		return a.canonicalValue(asText(node), "q")
	}
	if modifier == "identifier" {
		i := at(node, "identifier")
		if i == nil {
			return pick(a.specMaker, "e1", "e2", "http://example.org/elsewhere|e2", "|e4")
		}
		return a.tokenValue("", i, &valuePlace{typ: "Identifier"})
	}
	literal := text(node, "reference")
	typ, id, version, ok := a.w.local(literal)
	if !ok || modifier != "" && typ != modifier {
		if literal != "" && literal[0] != '#' && modifier == "" {
			return literal
		}
		typ, id, version = modifier, a.id("Patient"), ""
	}
	if typ == "" {
		typ = "Patient"
	}
	if modifier != "" {
		return pick(a.specMaker, id, modifier+"/"+id)
	}
	switch a.rand.IntN(6) {
	case 0:
		return id
	case 1:
		return a.base + "/" + typ + "/" + id
	case 2:
		if version != "" {
			return typ + "/" + id + "/_history/" + version
		}
	}
	return typ + "/" + id
}

// canonicalValue is a canonical of the world, or one near it by its version.
func (a *asker) canonicalValue(s, kind string) string {
	if s == "" || a.chance(20) {
		s = a.canonical(kind)
	}
	switch url, _, versioned := strings.Cut(s, "|"); a.rand.IntN(5) {
	case 0:
		return url
	case 1:
		return url + pick(a.specMaker, "|1", "|1.2", "|1.2.0", "|1.20", "|1.2.0.1")
	case 2:
		if versioned {
			return s + ".0"
		}
	}
	return s
}

func (a *asker) uriValue(node any) string {
	s := asText(node)
	if s == "" || !strings.HasPrefix(s, "http") {
		return a.url("profile")
	}
	s, _, _ = strings.Cut(s, "|")
	switch a.rand.IntN(5) {
	case 0:
		return s + "/further"
	case 1:
		if strings.Count(s, "/") > 2 {
			return s[:strings.LastIndexByte(s, '/')]
		}
	case 2:
		return s + "/"
	}
	return s
}

// timeText is a time of the world, or near one, with whatever precision and zone a
// query may have.
func (a *asker) timeText(node any) string {
	for _, name := range []string{"start", "end"} {
		if s := text(node, name); s != "" && a.chance(50) {
			return s
		}
	}
	if s, _ := node.(string); s != "" && a.chance(60) {
		return s
	}
	layouts := append(strings.Fields(dateLayouts), "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02")
	at := a.inZone()
	layout := pick(a.specMaker, layouts...)
	if !strings.Contains(layout, "Z07:00") {
		at = at.In(singapore)
	}
	return at.Format(layout)
}

func (a *asker) soughtNumber(node any) string {
	for _, v := range []any{node, at(node, "value"), at(node, "low", "value"), at(node, "high", "value")} {
		if n, ok := v.(json.Number); ok && a.chance(50) {
			return n.String()
		}
	}
	return a.numberText()
}

func (a *asker) quantityValue(node any, place *valuePlace) string {
	v := a.prefix() + a.soughtNumber(node)
	amounts := amountsOf(node, place.typ)
	if len(amounts) == 0 || a.chance(20) {
		return v
	}
	q := amounts[0]
	switch n := a.rand.IntN(6); {
	case n == 0 && q.code != "":
		return v + "||" + q.code
	case n == 1 && q.unit != "":
		return v + "||" + q.unit
	case q.system == ucum && n < 5: // the same measure in another unit
		return a.converted(v, q.code)
	case q.system != "" && q.code != "":
		return v + "|" + q.system + "|" + q.code
	}
	return v
}

// converted asks for an amount in a unit that measures the same.
func (a *asker) converted(v, code string) string {
	var units []string
	for u, s := range scales {
		if s.of == scales[code].of {
			units = append(units, u)
		}
	}
	slices.Sort(units)
	return v + "|" + ucum + "|" + pick(a.specMaker, units...)
}

// nearValue is a place and a distance at whose edge nothing is: how the edge is
// drawn is for the server to say.
func (a *asker) nearValue() string {
	for {
		p := a.position()
		v := fmt.Sprintf("%s|%s|%s|%s", p["latitude"], p["longitude"], pick(a.specMaker, "1", "5", "11.5", "40", "300", "5000"), pick(a.specMaker, "km", "km", "[mi_i]", "m"))
		clear := true
		for _, r := range a.w.byType["Location"] {
			for _, node := range walk(r.body, "position") {
				away, reach := distances(v, node)
				clear = clear && (away < reach*0.9999 || away > reach*1.1)
			}
		}
		if clear {
			return v
		}
	}
}
