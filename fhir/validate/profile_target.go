package validate

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// surroundings are what a value stands in.
type surroundings struct {
	// container is the resource whose contained resources a reference may name,
	// resource the nearest one, bundle the outermost Bundle; fhir.None for none.
	container, resource, bundle fhir.Node
}

// around finds what a node stands in. Nodes are numbered in document order, so the
// way leads to the last member that does not lie behind it.
func (k *shaper) around(n fhir.Node) surroundings {
	at := k.t.Root()
	s := surroundings{container: at, resource: at, bundle: fhir.None}
	contained := false
	for at != fhir.None && at <= n {
		if name := k.t.Field(at, "resourceType"); name != fhir.None {
			s.resource = at
			if !contained {
				s.container = at
			}
			if s.bundle == fhir.None && k.t.Text(name) == "Bundle" {
				s.bundle = at
			}
		}
		if at == n {
			break
		}
		next := fhir.None
		for m := k.t.First(at); m != fhir.None && m <= n; m = k.t.Next(m) {
			next = m
		}
		if string(k.t.Key(next)) == "contained" {
			contained = true
		}
		at = next
	}
	return s
}

// resolve is what a reference leads to within the resource; if it leads elsewhere,
// that is all that is known but for its type. ok is false when it leads nowhere.
func (k *shaper) resolve(s spot) (to spot, ok bool) {
	text := k.t.Text(k.t.Field(s.n, "reference"))
	in := k.around(s.n)
	if id, local := strings.CutPrefix(text, "#"); local {
		if id == "" {
			return k.resource(in.container), true
		}
		list := k.t.Field(in.container, "contained")
		for c := k.t.First(list); c != fhir.None; c = k.t.Next(c) {
			if k.spend(1) && k.t.Text(k.t.Field(c, "id")) == id {
				return k.resource(c), true
			}
		}
		return spot{}, false
	}
	if in.bundle != fhir.None && text != "" {
		list := k.t.Field(in.bundle, "entry")
		for e := k.t.First(list); e != fhir.None; e = k.t.Next(e) {
			url := k.t.Text(k.t.Field(e, "fullUrl"))
			if k.spend(1) && (url == text || strings.HasSuffix(url, "/"+text)) && k.t.Field(e, "resource") != fhir.None {
				return k.resource(k.t.Field(e, "resource")), true
			}
		}
	}
	return spot{n: fhir.None, extra: fhir.None, typ: k.defs.Resource(fhirpath.TargetType(k.t, s.n)), remote: true}, true
}

// resource is a resource as a value.
func (k *shaper) resource(n fhir.Node) spot {
	return spot{n: n, extra: fhir.None, typ: k.defs.ResourceBytes(k.t.Bytes(k.t.Field(n, "resourceType"), nil))}
}

// referred holds what a reference leads to against what may be referred to. Only
// what is within the resource is looked at beyond its type: what else is on file
// must not be told from whether a write is taken.
func (k *shaper) referred(s spot, t *typing) {
	text := k.t.Text(k.t.Field(s.n, "reference"))
	if local := strings.HasPrefix(text, "#"); text != "" && t.contained != t.elsewhere && local != t.contained {
		k.wrong(s.at(), fhir.CodeValue, "reference must lead to what is contained: "+map[bool]string{true: "yes", false: "no"}[t.contained])
		return
	}
	if len(t.targets) == 0 {
		return
	}
	to, ok := k.resolve(s)
	if !ok || to.typ == nil {
		return
	}
	var of []string
	doubt := false
	for _, canonical := range t.targets {
		p, known := k.profile(to.typ, canonical)
		switch {
		case !known:
			doubt = true
		case p == nil || p.Type != nil && !isOf(to.typ, p.Type.Name):
		case p.root == nil || to.remote:
			return
		default:
			of = append(of, canonical)
		}
	}
	switch {
	case len(of) > 0 && !doubt:
		k.oneOf(to, of)
	case len(of) == 0 && !doubt:
		k.wrong(s.at(), fhir.CodeValue, "must refer to "+strings.Join(t.targets, " or "))
	}
}

// usage reads where an extension may be used (R4
// structuredefinition-definitions.html#StructureDefinition.context).
func (c *compiler) usage() {
	if c.p.Type.Name != "Extension" {
		return
	}
	list := c.t.Field(c.t.Root(), "context")
	if c.t.First(list) != fhir.None {
		c.p.contexts = nil
	}
	for n := c.t.First(list); n != fhir.None; n = c.t.Next(n) {
		use := context{kind: c.text(n, "type"), expression: c.text(n, "expression")}
		if use.kind == "fhirpath" {
			program, err := fhirpath.Compile(use.expression, c.shelf.defs)
			if err != nil {
				c.refuse(c.t.Field(n, "expression"), "expression is no FHIRPath, or uses what this server does not know of it")
			}
			use.program = program
		}
		c.p.contexts = append(c.p.contexts, use)
	}
	list = c.t.Field(c.t.Root(), "contextInvariant")
	for n := c.t.First(list); n != fhir.None; n = c.t.Next(n) {
		program, err := fhirpath.Compile(c.t.Text(n), c.shelf.defs)
		if err != nil {
			c.refuse(n, "contextInvariant is no FHIRPath, or uses what this server does not know of it")
			continue
		}
		c.p.conditions = append(c.p.conditions, rule{key: "contextInvariant", severity: fhir.SeverityError, program: program})
	}
}

// context is one place where an extension may be used.
type context struct {
	kind, expression string
	program          *fhirpath.Program
}

// refer lets the content references of R4 lead to what the profile asks of what
// they refer to (R4 elementdefinition.html#ElementDefinition.contentReference).
func (c *compiler) refer() {
	at := make(map[string]*shape)
	var every []*shape
	var all func(sh *shape)
	all = func(sh *shape) {
		every = append(every, sh)
		if len(sh.types) == 1 && sh.types[0].Kind == r4.KindBackbone && sh.slice == "" && sh.element != nil && sh.element.Path == sh.types[0].Name {
			at[sh.types[0].Name] = sh
		}
		for _, p := range slices.Concat(sh.parts, sh.slices) {
			all(p)
		}
	}
	all(c.p.root)
	for _, sh := range every {
		if sh.slice != "" || len(sh.types) != 1 {
			continue
		}
		for i := range sh.types[0].Elements {
			e := &sh.types[0].Elements[i]
			target := at[e.Type.Name]
			if target == nil || e.Path == e.Type.Name || !target.asks() {
				continue
			}
			part := sh.part(e.Name)
			if part == nil {
				part = &shape{name: e.Name, types: []*r4.Type{e.Type}, element: e, max: unbounded}
				sh.parts = append(sh.parts, part)
			}
			if !part.apart {
				part.follows = target
			}
		}
	}
}
