package validate

import (
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// read takes into a shape what an ElementDefinition asks.
func (c *compiler) read(n fhir.Node, sh *shape) {
	c.cardinality(n, sh)
	if types := c.t.Field(n, "type"); types != fhir.None {
		c.kinds(types, sh)
	}
	for m := c.t.First(n); m != fhir.None; m = c.t.Next(m) {
		key := string(c.t.Key(m))
		switch {
		case strings.HasPrefix(key, "fixed"):
			sh.fixed = c.literal(m)
		case strings.HasPrefix(key, "pattern"):
			sh.pattern = c.literal(m)
		case strings.HasPrefix(key, "minValue"):
			sh.low = c.literal(m)
		case strings.HasPrefix(key, "maxValue"):
			sh.high = c.literal(m)
		case key == "maxLength":
			if length, err := strconv.Atoi(string(c.t.Raw(m))); err == nil && (sh.maxLength == 0 || length < sh.maxLength) {
				sh.maxLength = length
			}
		case key == "binding":
			c.bind(m, sh)
		case key == "constraint":
			for r := c.t.First(m); r != fhir.None; r = c.t.Next(r) {
				c.rule(r, sh)
			}
		case key == "contentReference":
			sh.apart = !strings.HasPrefix(c.t.Text(m), "#")
		case key == "isModifier":
			c.p.modifier = c.p.modifier || sh == c.p.root && c.t.Kind(m) == fhir.True
		case key == "slicing":
			c.slice(m, sh)
		}
	}
}

// cardinality only ever narrows: what the base asks goes on being asked.
func (c *compiler) cardinality(n fhir.Node, sh *shape) {
	if raw := c.t.Field(n, "min"); raw != fhir.None {
		least, err := strconv.Atoi(string(c.t.Raw(raw)))
		if err != nil || least < 0 || least > unbounded {
			c.refuse(raw, "min must be a whole number")
			return
		}
		sh.min = max(sh.min, least)
	}
	raw := c.t.Field(n, "max")
	if raw == fhir.None {
		return
	}
	most := unbounded
	if text := c.t.Text(raw); text != "*" {
		var err error
		if most, err = strconv.Atoi(text); err != nil || most < 0 || most > unbounded {
			c.refuse(raw, "max must be * or a whole number")
			return
		}
	}
	sh.max = min(sh.max, most)
	if sh.min > sh.max {
		c.refuse(n, "min must not be greater than max")
	}
}

// kinds takes the types that are allowed.
func (c *compiler) kinds(list fhir.Node, sh *shape) {
	if sh == c.p.root {
		return
	}
	var kinds []typing
	var types []*r4.Type
	for n := c.t.First(list); n != fhir.None; n = c.t.Next(n) {
		code := c.text(n, "code")
		if strings.HasPrefix(code, "http://hl7.org/fhirpath/") {
			return
		}
		code = strings.TrimPrefix(code, coreCanon)
		found := allowed(sh, code, c.shelf.defs)
		if found == nil {
			c.refuse(c.t.Field(n, "code"), "code must be a type that R4 allows there")
			return
		}
		if !slices.Contains(types, found) {
			types = append(types, found)
		}
		k := typing{name: code, profiles: c.texts(n, "profile"), targets: c.texts(n, "targetProfile")}
		for _, a := range c.texts(n, "aggregation") {
			k.contained = k.contained || a == "contained"
			k.elsewhere = k.elsewhere || a != "contained"
		}
		if i := slices.IndexFunc(kinds, func(o typing) bool { return o.name == code }); i >= 0 && len(k.profiles)+len(k.targets) > 0 {
			kinds[i].profiles = append(kinds[i].profiles, k.profiles...)
			kinds[i].targets = append(kinds[i].targets, k.targets...)
			continue
		}
		kinds = append(kinds, k)
	}
	if narrows(sh, kinds) {
		sh.kinds = kinds
	}
	if len(types) > 0 && types[0].Kind != r4.KindBackbone {
		sh.types = types
	}
}

// allowed is the type of that name if the element may have it.
func allowed(sh *shape, name string, d *r4.Definitions) *r4.Type {
	for _, t := range sh.types {
		switch {
		case t.Name == name, t.Kind == r4.KindBackbone && (name == "BackboneElement" || name == "Element"):
			return t
		case t.Abstract && t.Kind == r4.KindResource:
			if of := d.Type(name); of != nil && of.Kind == r4.KindResource {
				return of
			}
		case t.Kind == r4.KindPrimitive && sh.element != nil && d.Type(name) != nil && d.Type(name).Primitive != 0:
			// The definitions of R4 themselves call an id a string, and the like.
			if !sh.choice {
				return t
			}
		}
	}
	return nil
}

// narrows says that the kinds allow less than the shape did before.
func narrows(sh *shape, kinds []typing) bool {
	for _, k := range kinds {
		if len(k.profiles)+len(k.targets) > 0 || k.contained != k.elsewhere {
			return true
		}
	}
	first := sh.types[0]
	switch {
	case len(kinds) == 0:
		return false
	case sh.choice:
		return sh.slice != "" || len(kinds) < len(sh.types)
	case first.Kind == r4.KindResource && first.Abstract:
		return !slices.ContainsFunc(kinds, func(k typing) bool { return k.name == first.Name })
	default:
		return sh.slice != "" && first.Kind == r4.KindResource
	}
}

// texts are the strings of an array.
func (c *compiler) texts(n fhir.Node, name string) (out []string) {
	list := c.t.Field(n, name)
	for m := c.t.First(list); m != fhir.None; m = c.t.Next(m) {
		if s := c.t.Text(m); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// literal keeps a value; where it is, is settled at the end.
func (c *compiler) literal(n fhir.Node) *literal {
	raw := c.t.Raw(n)
	if len(c.words)+len(raw) > maxProfileWords {
		c.refuse(n, "the fixed values and patterns of a profile may have "+strconv.Itoa(maxProfileWords)+" bytes in all")
		return nil
	}
	if len(c.literals) > 0 {
		c.words = append(c.words, ',')
	}
	c.words = append(c.words, raw...)
	l := &literal{t: c.t, n: n}
	c.literals = append(c.literals, l)
	return l
}

// bind takes a binding of a strength that can be broken.
func (c *compiler) bind(n fhir.Node, sh *shape) {
	strength, set := c.text(n, "strength"), c.text(n, "valueSet")
	if set == "" || strength != "required" && strength != "extensible" {
		return
	}
	if strength == "required" && sh.element != nil && sh.element.Binding != nil && !sh.choice {
		core, _, _ := strings.Cut(sh.element.Binding.URL, "|")
		if url, _, _ := strings.Cut(set, "|"); url == core {
			return
		}
	}
	b := &binding{url: set, required: strength == "required"}
	if c.sets++; c.shelf.Codes != nil && c.sets <= maxProfileSets {
		b.codes, b.known = c.shelf.Codes(set)
	}
	for i := range b.codes {
		c.codes += 1 + len(b.codes[i].Codes)
	}
	if c.sets > maxProfileSets || c.codes > maxProfileCodes {
		c.refuse(n, "a profile may bind to "+strconv.Itoa(maxProfileSets)+" value sets with "+strconv.Itoa(maxProfileCodes)+" codes in all at most")
		return
	}
	sh.binding = b
}

// rule takes a constraint, unless R4 has it too.
func (c *compiler) rule(n fhir.Node, sh *shape) {
	key, expression := c.text(n, "key"), c.text(n, "expression")
	if expression == "" || c.shelf.core[key+" "+expression] || c.coreOlder(n, key) {
		return
	}
	if slices.ContainsFunc(sh.rules, func(r rule) bool { return r.key == key }) {
		return
	}
	if c.rules++; c.rules > maxProfileRules || len(expression) > maxRuleLength {
		c.refuse(n, "a profile may have "+strconv.Itoa(maxProfileRules)+" constraints of "+strconv.Itoa(maxRuleLength)+" characters at most")
		return
	}
	program, err := fhirpath.Compile(expression, c.shelf.defs)
	if err != nil || strings.Contains(expression, "memberOf") {
		c.refuse(c.t.Field(n, "expression"), "expression is no FHIRPath, or uses what this server does not know of it")
		return
	}
	r := rule{key: key, human: c.text(n, "human"), severity: fhir.SeverityError, program: program}
	if c.text(n, "severity") == "warning" {
		r.severity = fhir.SeverityWarning
	}
	sh.rules = append(sh.rules, r)
}

// coreOlder says that a constraint is one of R4's in other words: it names R4's
// own definition of a type as its source.
func (c *compiler) coreOlder(n fhir.Node, key string) bool {
	name, ok := strings.CutPrefix(c.text(n, "source"), coreCanon)
	return ok && key != "" && c.shelf.defs.Type(name) != nil
}
