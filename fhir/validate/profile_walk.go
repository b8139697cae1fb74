package validate

import (
	"bytes"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// maxClaims is how many profiles one resource may say that it keeps to.
const maxClaims = 32

// profiles holds a resource of sound structure against the profiles that it claims
// to keep to, and its extensions against their definitions. Of one whose structure
// is wrong it says which profiles were left unasked: what they would say of it
// could be wrong as well.
func (w *walker) profiles(how *How) {
	if how.Profiles == nil && len(how.Claimed) == 0 {
		return
	}
	src := w.t.Source()
	k := shaper{reporter: w.reporter, how: *how, most: workBase + workByte*len(src), unsound: w.errors > w.broken}
	k.scope.HTML = func(xhtml []byte) bool { return wrongXHTML(xhtml, true) == "" }
	root := k.resource(w.t.Root())
	for _, canonical := range how.Claimed {
		k.claim(root, root.n, canonical, fhir.SeverityError)
	}
	// Nothing else can be meant where neither word stands; a name may be escaped.
	if bytes.Contains(src, []byte(`"profile"`)) || bytes.Contains(src, []byte(`xtension"`)) || bytes.Contains(src, []byte(`\u`)) {
		k.walk(root)
	}
	if k.work > k.most {
		k.quiet, k.of = 0, ""
		k.wrong(w.t.Root(), fhir.CodeTooCostly, "it takes too long to hold the resource against its profiles")
	}
	w.reporter = k.reporter
}

// claim holds a resource against a profile that it, or the request, names. If that
// is not here, missing says how bad it is.
func (k *shaper) claim(s spot, at fhir.Node, canonical string, missing fhir.Severity) {
	switch p, known := k.profile(s.typ, canonical); {
	case !known:
		k.say(missing, at, "", fhir.CodeNotSupported, "not checked: the profile "+clip(canonical)+" is not on this server")
	case p == nil:
		k.wrong(at, fhir.CodeBusinessRule, "the profile "+clip(canonical)+" "+k.useless(canonical))
	case k.unsound && p.root != nil:
		k.say(fhir.SeverityInformation, at, "", fhir.CodeInformational, "the profile "+clip(canonical)+" is not checked until what is wrong with the structure is right")
	case p.Type == nil:
		k.say(fhir.SeverityInformation, at, "", fhir.CodeInformational, "not checked: the StructureDefinition "+clip(canonical)+" is no profile")
	default:
		k.keeps(s, p)
	}
}

// useless says why a profile that is known is nothing to hold a value against.
func (k *shaper) useless(canonical string) string {
	url, _, _ := strings.Cut(canonical, "|")
	if name, ok := strings.CutPrefix(url, coreCanon); ok && k.defs.Type(name) != nil {
		return "is that of another type"
	}
	return "cannot be used on this server: its StructureDefinition has faults"
}

// maxCanonical is how much of the URL of a profile is said.
const maxCanonical = 200

// clip is a canonical as it is said: it is a word of the client's own.
func clip(canonical string) string {
	if len(canonical) <= maxCanonical {
		return canonical
	}
	return strings.ToValidUTF8(canonical[:maxCanonical], "") + "…"
}

// walk looks at every element for resources that claim profiles, and extensions.
func (k *shaper) walk(s spot) {
	if k.done() || s.typ == nil || len(k.line) >= maxDepth {
		return
	}
	k.line = append(k.line, s)
	obj := s.object()
	if s.typ.Kind == r4.KindResource {
		k.claims(s)
	}
	for m := k.t.First(obj); m != fhir.None; m = k.t.Next(m) {
		key := k.t.Key(m)
		beside := len(key) > 0 && key[0] == '_'
		if beside {
			key = key[1:]
		}
		e := s.typ.Element(key)
		if e == nil || e.Type.Kind == r4.KindPrimitive != beside {
			continue
		}
		value, extra := m, fhir.None
		if beside {
			value, extra = k.partner(obj, m, e.Name, true), m
		}
		var room [8]spot
		for _, in := range k.spots(value, extra, e, room[:0]) {
			if e.Type.Name == "Extension" && !k.unsound {
				k.extension(s, in, e.Name == "modifierExtension")
			}
			k.walk(in)
		}
	}
	k.line = k.line[:len(k.line)-1]
}

// claims holds a resource against those of its meta.profile.
func (k *shaper) claims(s spot) {
	count := 0
	list := k.t.Field(k.t.Field(s.n, "meta"), "profile")
	for n := k.t.First(list); n != fhir.None; n = k.t.Next(n) {
		if k.t.Kind(n) != fhir.String {
			continue
		}
		if count++; count > maxClaims {
			k.wrong(n, fhir.CodeTooCostly, "a resource may claim "+strconv.Itoa(maxClaims)+" profiles at most")
			return
		}
		k.claim(s, n, k.t.Text(n), fhir.SeverityWarning)
	}
}

// extension holds an extension against its definition, if that is here (R4
// extensibility.html#definition). The parts of one that is made of others have
// names alone, and are defined with it.
func (k *shaper) extension(parent, s spot, modifier bool) {
	url := k.t.Text(k.t.Field(s.n, "url"))
	if !strings.Contains(url, ":") || k.how.Profiles == nil {
		return
	}
	p, known := k.how.Profiles(url)
	switch {
	case !known && modifier:
		k.say(fhir.SeverityWarning, s.n, "", fhir.CodeNotSupported,
			"what this modifierExtension means is not known: its definition is not on this server")
		return
	case !known:
		return
	case p == nil:
		k.wrong(s.n, fhir.CodeBusinessRule, "the definition of this extension cannot be used on this server")
		return
	case p.Type == nil || p.Type.Name != "Extension":
		k.wrong(s.n, fhir.CodeValue, "url must be that of the definition of an extension")
		return
	case p.modifier && !modifier:
		k.wrong(s.n, fhir.CodeStructure, "this extension changes the meaning of what it is in, and must stand in modifierExtension")
	case !p.modifier && modifier:
		k.wrong(s.n, fhir.CodeStructure, "this extension changes no meaning, and must not stand in modifierExtension")
	}
	k.used(parent, s, p)
	k.keeps(s, p)
}

// used holds the place of an extension against those where it may be used.
func (k *shaper) used(parent, s spot, p *Profile) {
	ok := len(p.contexts) == 0
	for i := range p.contexts {
		ok = ok || k.isContext(parent, &p.contexts[i])
	}
	if !ok {
		k.say(misplaced(p.URL), s.n, "", fhir.CodeStructure, "this extension must not be used here, says its definition")
		return
	}
	vars := map[string][]fhirpath.Value{"extension": {valueOf(s)}}
	for i := range p.conditions {
		if ok, err := k.holds(parent, p.conditions[i].program, vars); err != nil || !ok {
			k.wrong(s.n, fhir.CodeInvariant, "what the definition of this extension asks of its place does not hold")
		}
	}
}

// misplaced is how bad it is that an extension stands where it must not: an error,
// but for four that R4's own definitions use where theirs do not let them.
func misplaced(url string) fhir.Severity {
	switch strings.TrimPrefix(url, coreCanon) {
	case "structuredefinition-fhir-type", "structuredefinition-normative-version", "regex", "valueset-concept-comments":
		return fhir.SeverityWarning
	}
	return fhir.SeverityError
}

func (k *shaper) isContext(parent spot, c *context) bool {
	switch c.kind {
	case "extension":
		return parent.typ.Name == "Extension" && k.t.Text(k.t.Field(parent.n, "url")) == c.expression
	case "fhirpath":
		return c.program != nil && k.selects(c.program, parent)
	default:
		return k.isElement(parent, c.expression)
	}
}

// isElement says that a value is the element that an id names: by its type, by its
// path within that of its parent, or by its path from the resource.
func (k *shaper) isElement(s spot, id string) bool {
	if url, fragment, ok := strings.Cut(id, "#"); ok {
		if !strings.HasPrefix(url, coreCanon) {
			return true // an element of another profile: whether that applies is not told
		}
		id = fragment
	}
	id = strings.TrimPrefix(id, coreCanon)
	if id == "Element" || isOf(s.typ, id) { // R4's own definitions use such ones on resources, too
		return true
	}
	if s.element == nil {
		return false
	}
	if id == s.element.Path {
		return true
	}
	id = strings.TrimSuffix(id, "[x]")
	if outer, _, ok := cutLast(s.element.Path); ok && s.element.Choice != "" && id == outer+"."+s.element.Choice {
		return true
	}
	return id == k.pathOf()
}

func cutLast(path string) (before, after string, ok bool) {
	at := strings.LastIndexByte(path, '.')
	if at < 0 {
		return path, "", false
	}
	return path[:at], path[at+1:], true
}

// pathOf is the path from the nearest resource to where the walk is.
func (k *shaper) pathOf() string {
	from := len(k.line) - 1
	for from > 0 && k.line[from].typ.Kind != r4.KindResource {
		from--
	}
	names := []string{k.line[from].typ.Name}
	for _, s := range k.line[from+1:] {
		name := s.element.Name
		if s.element.Choice != "" {
			name = s.element.Choice
		}
		names = append(names, name)
	}
	return strings.Join(names, ".")
}
