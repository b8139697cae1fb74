package validate

import (
	"slices"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// slicing says how the values of an element fall into slices (R4
// profiling.html#slicing).
type slicing struct {
	by      []discriminator
	closed  bool
	atEnd   bool // openAtEnd
	ordered bool
}

// discriminator is one thing by which slices are told apart.
type discriminator struct {
	kind discriminatorKind
	path []pathStep
}

type discriminatorKind uint8

// The kinds of discriminators; a pattern is a value by another name.
const (
	byValue discriminatorKind = iota + 1
	byExists
	byType
	byProfile
)

// pathStep is one step of a discriminator's path: a member, or what one of three
// functions leads to.
type pathStep struct {
	name      string // of a member
	resolve   bool
	ofType    string
	extension string // its url
}

// maxSteps bounds the path of a discriminator.
const maxSteps = 16

// test is one discriminator as it is for one slice.
type test struct {
	kind discriminatorKind
	path []pathStep
	// want are the alternatives that must each be met by some value at the path; one
	// suffices if any says so.
	want []want
	any  bool
}

// want is what a value at the path of a discriminator must be.
type want struct {
	fixed   bool
	literal *literal
	text    string // of a string
	binding *binding
	shape   *shape
	types   []string
	// profiles are those of which the value must keep to one; with rest, what they
	// ask of the value at the rest of the path.
	profiles []string
	rest     []pathStep
	// exists and absent are of the kind byExists.
	exists, absent bool
}

// slice takes ElementDefinition.slicing.
func (c *compiler) slice(n fhir.Node, sh *shape) {
	s := &slicing{ordered: c.t.Kind(c.t.Field(n, "ordered")) == fhir.True}
	switch c.text(n, "rules") {
	case "closed":
		s.closed = true
	case "openAtEnd":
		s.atEnd = true
	}
	list := c.t.Field(n, "discriminator")
	for d := c.t.First(list); d != fhir.None; d = c.t.Next(d) {
		kinds := map[string]discriminatorKind{"value": byValue, "pattern": byValue, "exists": byExists, "type": byType, "profile": byProfile}
		kind, ok := kinds[c.text(d, "type")]
		if !ok {
			c.refuse(c.t.Field(d, "type"), "type must be value, exists, pattern, type or profile")
			continue
		}
		path, ok := discriminatorPath(c.text(d, "path"))
		if !ok {
			c.refuse(c.t.Field(d, "path"), "path must be $this, or members, ofType(…), extension('…') and resolve() with points between")
			continue
		}
		s.by = append(s.by, discriminator{kind, path})
	}
	if len(s.by) == 0 && sh.slicing != nil {
		s.by = sh.slicing.by
	}
	if old := sh.slicing; old != nil && c.inherited { // what the base closed stays closed
		s.closed, s.ordered = s.closed || old.closed, s.ordered || old.ordered
	}
	sh.slicing = s
}

// discriminatorPath reads a path (R4 profiling.html#discriminator).
func discriminatorPath(src string) (path []pathStep, ok bool) {
	for src != "" {
		if len(path) == maxSteps {
			return nil, false
		}
		head := src
		if at := strings.IndexAny(src, ".("); at >= 0 {
			head = src[:at]
		}
		rest := src[len(head):]
		if strings.HasPrefix(rest, "(") {
			end := strings.IndexByte(rest, ')')
			if end < 0 {
				return nil, false
			}
			arg := strings.Trim(strings.TrimSpace(rest[1:end]), `'"`)
			rest = rest[end+1:]
			switch {
			case head == "resolve" && arg == "":
				path = append(path, pathStep{resolve: true})
			case (head == "ofType" || head == "as") && arg != "":
				path = append(path, pathStep{ofType: strings.TrimPrefix(arg, "FHIR.")})
			case head == "extension" && arg != "":
				path = append(path, pathStep{extension: arg})
			default:
				return nil, false
			}
		} else if head != "$this" {
			if !presentable([]byte(strings.TrimSuffix(head, "[x]"))) {
				return nil, false
			}
			path = append(path, pathStep{name: strings.TrimSuffix(head, "[x]")})
		}
		if rest != "" && (rest[0] != '.' || len(rest) == 1) {
			return nil, false
		}
		src = strings.TrimPrefix(rest, ".")
	}
	return path, true
}

// discriminate works out the tests of every slice.
func (c *compiler) discriminate() {
	var all func(sh *shape)
	all = func(sh *shape) {
		for _, p := range sh.parts {
			all(p)
		}
		for _, in := range sh.slices {
			all(in)
		}
		if len(sh.slices) == 0 {
			return
		}
		if sh.slicing == nil {
			if at, ok := c.origin[sh.slices[0]]; ok {
				c.refuse(at, "a slice needs slicing: how is it told from others?")
			}
			return
		}
		for _, in := range sh.slices {
			c.tests(sh, in)
		}
	}
	all(c.p.root)
}

// tests works out those of one slice. It must differ from others in something.
func (c *compiler) tests(of, in *shape) {
	in.tests = nil
	for _, d := range of.slicing.by {
		if t := makeTest(d, in); len(t.want) > 0 {
			in.tests = append(in.tests, t)
		}
	}
	if len(in.tests) == 0 && len(of.slicing.by) > 0 && in.slice != defaultSlice {
		at, ok := c.origin[in]
		if !ok {
			at = c.t.Root()
		}
		c.refuse(at, "nothing in this slice says what its discriminators must be")
	}
}

// defaultSlice is the slice of what is in no other (R4
// profiling.html#default-slice).
const defaultSlice = "@default"

// makeTest is a discriminator as it is for one slice; without anything wanted
// when the slice says nothing about it.
func makeTest(d discriminator, in *shape) test {
	t := test{kind: d.kind, path: d.path}
	t.want, t.any = wanted(in, d.path, d.kind)
	return t
}

// wanted are what a slice says of the values at a path.
func wanted(sh *shape, path []pathStep, kind discriminatorKind) (out []want, any bool) {
	if len(path) == 0 {
		return terminal(sh, kind), false
	}
	step, rest := path[0], path[1:]
	if kind == byValue {
		for _, l := range []*literal{sh.fixed, sh.pattern} {
			if l == nil {
				continue
			}
			for _, n := range literalsAt(l.t, l.n, path) {
				out = append(out, want{literal: &literal{l.t, n}, fixed: l == sh.fixed})
			}
			if out != nil {
				return out, false
			}
		}
	}
	switch {
	case step.resolve:
		return resolved(sh, rest, kind), false
	case step.ofType != "":
		for _, in := range sh.slices {
			if slices.ContainsFunc(in.kinds, func(k typing) bool { return k.name == step.ofType }) {
				if out, any = wanted(in, rest, kind); out != nil {
					return out, any
				}
			}
		}
		return wanted(sh, rest, kind)
	case step.extension != "":
		out, any = ofExtension(sh, step.extension, rest, kind)
	default:
		out, any = ofMember(sh, step.name, rest, kind)
	}
	if out == nil {
		out = throughProfiles(sh, path)
	}
	return out, any
}

// ofMember looks at the member and then at its slices: those that must be there
// must each be met, of those that may be one suffices.
func ofMember(sh *shape, name string, rest []pathStep, kind discriminatorKind) (out []want, any bool) {
	part := sh.part(name)
	if part == nil {
		return nil, false
	}
	if out, any = wanted(part, rest, kind); out != nil {
		return out, any
	}
	var may []want
	for _, in := range part.slices {
		w, _ := wanted(in, rest, kind)
		if in.min > 0 {
			out = append(out, w...)
		} else if in.max > 0 {
			may = append(may, w...)
		}
	}
	if out != nil {
		return out, false
	}
	return may, true
}

// ofExtension looks at the slice of the extensions with a url.
func ofExtension(sh *shape, url string, rest []pathStep, kind discriminatorKind) ([]want, bool) {
	part := sh.part("extension")
	if part == nil {
		return nil, false
	}
	for _, in := range part.slices {
		w, _ := wanted(in, []pathStep{{name: "url"}}, byValue)
		if slices.ContainsFunc(w, func(w want) bool {
			return w.text == url || w.literal != nil && w.literal.t.Text(w.literal.n) == url
		}) {
			return wanted(in, rest, kind)
		}
	}
	return nil, false
}

// resolved is what is said of what a reference leads to.
func resolved(sh *shape, rest []pathStep, kind discriminatorKind) []want {
	var targets []string
	for _, k := range sh.kinds {
		targets = append(targets, k.targets...)
	}
	if targets == nil {
		return nil
	}
	return []want{{profiles: targets, rest: rest, types: typesOnly(rest, kind, targets)}}
}

// typesOnly are the types that targets stand for, where a type is all that is
// asked.
func typesOnly(rest []pathStep, kind discriminatorKind, targets []string) (types []string) {
	if len(rest) > 0 || kind != byType {
		return nil
	}
	for _, t := range targets {
		types = append(types, strings.TrimPrefix(t, coreCanon))
	}
	return types
}

// throughProfiles leaves it to the profiles of a shape what is at the path; of an
// extension the url is known without them.
func throughProfiles(sh *shape, path []pathStep) []want {
	var profiles []string
	extension := false
	for _, k := range sh.kinds {
		profiles = append(profiles, k.profiles...)
		extension = k.name == "Extension"
	}
	switch {
	case profiles == nil:
		return nil
	case extension && len(path) == 1 && path[0].name == "url":
		url, _, _ := strings.Cut(profiles[0], "|")
		return []want{{text: url}}
	}
	return []want{{profiles: profiles, rest: path}}
}

// terminal is what a shape says of the values at the end of a path.
func terminal(sh *shape, kind discriminatorKind) []want {
	switch kind {
	case byExists:
		if sh.max == 0 {
			return []want{{absent: true}}
		}
		if sh.min > 0 {
			return []want{{exists: true}}
		}
	case byType:
		var types []string
		for _, k := range sh.kinds {
			types = append(types, k.name)
		}
		if types == nil && sh.choice && len(sh.types) == 1 {
			types = []string{sh.types[0].Name}
		}
		if types != nil {
			return []want{{types: types}}
		}
	case byProfile:
		var profiles []string
		for _, k := range sh.kinds {
			profiles = append(profiles, append(slices.Clip(k.profiles), k.targets...)...)
		}
		if profiles != nil {
			return []want{{profiles: profiles}}
		}
	case byValue:
		return terminalValue(sh)
	}
	return nil
}

func terminalValue(sh *shape) []want {
	switch {
	case sh.fixed != nil:
		return []want{{literal: sh.fixed, fixed: true}}
	case sh.pattern != nil:
		return []want{{literal: sh.pattern}}
	case sh.binding != nil && sh.binding.required:
		return []want{{binding: sh.binding}}
	case len(sh.parts) > 0 && (sh.types == nil || sh.types[0].Kind != r4.KindPrimitive):
		return []want{{shape: sh}}
	}
	return throughProfiles(sh, nil)
}

// literalsAt are the values at a path within a literal.
func literalsAt(t *fhir.Tape, n fhir.Node, path []pathStep) (out []fhir.Node) {
	if t.Kind(n) == fhir.Array {
		for m := t.First(n); m != fhir.None; m = t.Next(m) {
			out = append(out, literalsAt(t, m, path)...)
		}
		return out
	}
	if len(path) == 0 {
		return []fhir.Node{n}
	}
	if path[0].name == "" {
		return nil
	}
	if m := t.Field(n, path[0].name); m != fhir.None {
		return literalsAt(t, m, path[1:])
	}
	return nil
}
