package validate

import (
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// Profile is a StructureDefinition that constrains a type, compiled: a tree of
// what it asks beyond R4 itself. It never changes and is safe for concurrent use.
type Profile struct {
	URL, Version string
	// Type is the type that it constrains; nil when the StructureDefinition is no
	// profile, and asks nothing.
	Type *r4.Type

	root *shape
	// contexts say where an extension may be used, and conditions what must hold
	// there; modifier says that it is one.
	contexts   []context
	conditions []rule
	modifier   bool
}

// The bounds of one profile: whoever writes a hostile one gets a refusal.
const (
	maxProfileElements = 4096
	maxProfileShapes   = 1 << 14
	maxProfileDepth    = 32
	maxProfileWords    = 1 << 18 // bytes of fixed values and patterns
	maxProfileRules    = 1024
	maxRuleLength      = 1 << 13
	maxProfileSets     = 256
	maxProfileCodes    = 1 << 16 // of all its value sets
	maxBases           = 8
)

// coreCanon is before the name of a type in the canonical of R4's own definition.
const coreCanon = "http://hl7.org/fhir/StructureDefinition/"

// Shelf compiles profiles, and those that they build on. It is for one use by one
// goroutine: nothing that is on file is looked at twice. It is made by a Validator.
type Shelf struct {
	defs *r4.Definitions
	// Fetch finds a StructureDefinition by its canonical; nil when there is none.
	Fetch func(canonical string) *fhir.Tape
	// Codes are the codes of a value set; nil codes stand for a whole system. known
	// is false when they cannot be told.
	Codes func(canonical string) (codes []r4.Include, known bool)

	made map[string]*shelved
	core map[string]bool
	// depth is how many profiles are being compiled, one for the sake of another.
	depth int
}

// Shelf is one with nothing on it yet; Fetch and Codes are to be given.
func (v *Validator) Shelf() *Shelf { return &Shelf{defs: v.defs, core: v.core} }

// shelved is a profile that was compiled; ready is false while it is being.
type shelved struct {
	profile *Profile
	issues  []fhir.Issue
	ready   bool
}

// Profile is the profile of a canonical. found is false when there is none; the
// profile is nil when it cannot be used, and issues say why.
func (s *Shelf) Profile(canonical string) (p *Profile, issues []fhir.Issue, found bool) {
	if p := builtIn(s.defs, canonical); p != nil {
		return p, nil, true
	}
	if e := s.made[canonical]; e != nil {
		if !e.ready {
			return nil, []fhir.Issue{{Severity: fhir.SeverityError, Code: fhir.CodeBusinessRule, Text: "the profile builds on itself"}}, true
		}
		return e.profile, e.issues, true
	}
	t := s.Fetch(canonical)
	if t == nil {
		return nil, nil, false
	}
	if s.made == nil {
		s.made = make(map[string]*shelved)
	}
	e := &shelved{}
	s.made[canonical] = e
	e.profile, e.issues = s.Compile(t)
	e.ready = true
	return e.profile, e.issues, true
}

// Compile compiles the StructureDefinition on the tape, which is not kept. The
// profile is nil when an issue is an error. One that is no profile (a logical
// model, a type of its own) compiles to one that asks nothing, with an issue that
// says so.
func (s *Shelf) Compile(t *fhir.Tape) (*Profile, []fhir.Issue) {
	c := compiler{shelf: s, reporter: reporter{defs: s.defs, t: t}}
	s.depth++
	p := c.compile()
	s.depth--
	if c.errors > 0 {
		p = nil
	}
	return p, c.report()
}

// coreRules are the invariants that are checked without any profile.
func coreRules(d *r4.Definitions) map[string]bool {
	core := make(map[string]bool)
	for _, t := range d.Types() {
		for _, i := range t.Invariants {
			core[i.Key+" "+i.Expression] = true
		}
		for j := range t.Elements {
			for _, i := range t.Elements[j].Invariants {
				core[i.Key+" "+i.Expression] = true
			}
		}
	}
	return core
}

// compiler is the compilation of one StructureDefinition.
type compiler struct {
	reporter
	shelf *Shelf
	p     *Profile
	// way are the elements that lead to the one at hand, for those that have no id
	// to go by.
	way []stride
	// literals are to be found on a tape of their own, which is made of words.
	literals []*literal
	words    []byte
	shapes   int
	rules    int
	sets     int
	codes    int
	// origin has the element that last spoke of a shape, for what is wrong with it.
	origin map[*shape]fhir.Node
	// inherited says that the tree began as that of another profile.
	inherited bool
}

// stride is an element and the path that led to it.
type stride struct {
	path  string
	shape *shape
}

func (c *compiler) text(n fhir.Node, name string) string { return c.t.Text(c.t.Field(n, name)) }

// refuse reports what is wrong with an element of the StructureDefinition.
func (c *compiler) refuse(n fhir.Node, text string) {
	c.fail(n, fhir.CodeBusinessRule, text)
}

// compile does all that Compile promises.
func (c *compiler) compile() *Profile {
	root := c.t.Root()
	c.p = &Profile{URL: c.text(root, "url"), Version: c.text(root, "version")}
	if c.text(root, "derivation") != "constraint" || c.text(root, "kind") == "logical" {
		c.inform(root, fhir.CodeInformational,
			"only a StructureDefinition that constrains a type (derivation constraint, and no logical model) is used to validate; this one is kept and nothing more")
		return c.p
	}
	name := strings.TrimPrefix(c.text(root, "type"), coreCanon)
	if strings.Contains(name, "://") { // of a model that others define
		c.inform(root, fhir.CodeInformational, "this StructureDefinition constrains a type that R4 does not define; it is kept and nothing more")
		return c.p
	}
	c.p.Type = c.shelf.defs.Type(name)
	if c.p.Type == nil || c.p.Type.Kind == r4.KindBackbone {
		c.refuse(c.t.Field(root, "type"), "type must be a type of R4")
		return nil
	}
	c.origin = make(map[*shape]fhir.Node)
	list := c.t.Field(c.t.Field(root, "snapshot"), "element")
	if c.t.First(list) == fhir.None {
		list = c.t.Field(c.t.Field(root, "differential"), "element")
		c.p.root = c.base()
	} else {
		c.p.root = c.bare()
	}
	if c.p.root == nil || !c.elements(list) {
		return nil
	}
	c.usage()
	c.settle()
	c.discriminate()
	prune(c.p.root)
	c.refer()
	return c.p
}

// bare is the root of a tree that asks nothing.
func (c *compiler) bare() *shape {
	return &shape{name: c.p.Type.Name, types: []*r4.Type{c.p.Type}, max: unbounded}
}

// base is the tree of the profile that this one builds on, ready to be changed.
func (c *compiler) base() *shape {
	at := c.t.Field(c.t.Root(), "baseDefinition")
	canonical := c.t.Text(at)
	url, _, _ := strings.Cut(canonical, "|")
	if name, ok := strings.CutPrefix(url, coreCanon); ok {
		if t := c.shelf.defs.Type(name); t != nil {
			if t != c.p.Type {
				c.refuse(at, "baseDefinition must be of the type that is constrained")
				return nil
			}
			return c.bare()
		}
	}
	if c.shelf.depth > maxBases {
		c.refuse(at, "profiles may build on each other "+strconv.Itoa(maxBases)+" deep at most")
		return nil
	}
	p, _, found := c.shelf.Profile(canonical)
	switch {
	case !found:
		c.refuse(at, "a profile without a snapshot needs its baseDefinition on this server")
	case p == nil:
		c.refuse(at, "a profile without a snapshot needs a baseDefinition that can be used itself, and does not build on this one")
	case p.Type == nil || p.Type != c.p.Type:
		c.refuse(at, "baseDefinition must be of the type that is constrained")
	default:
		c.p.contexts, c.p.conditions, c.p.modifier = slices.Clip(p.contexts), slices.Clip(p.conditions), p.modifier
		c.inherited = true
		return p.root.clone(&c.shapes)
	}
	return nil
}

// elements reads the elements in their order.
func (c *compiler) elements(list fhir.Node) bool {
	count := 0
	for n := c.t.First(list); n != fhir.None; n = c.t.Next(n) {
		if count++; count > maxProfileElements || c.shapes > maxProfileShapes {
			c.refuse(c.t.Root(), "a profile may have "+strconv.Itoa(maxProfileElements)+" elements at most")
			return false
		}
		sh := c.place(n)
		if sh == nil {
			if c.full() {
				return false
			}
			continue
		}
		c.origin[sh] = n
		c.read(n, sh)
	}
	return true
}

// settle puts fixed values and patterns onto a tape of their own.
func (c *compiler) settle() {
	if len(c.literals) == 0 || c.errors > 0 {
		return
	}
	tape := new(fhir.Tape)
	src := append(append([]byte(`{"of":[`), c.words...), "]}"...)
	if err := tape.Parse(src, fhir.Limits{}); err != nil {
		c.refuse(c.t.Root(), "fixed values and patterns are nested too deeply")
		return
	}
	n := tape.First(tape.Field(tape.Root(), "of"))
	for _, l := range c.literals {
		l.t, l.n = tape, n
		n = tape.Next(n)
	}
}

// builtIn are the two profiles that R4 uses in its own definitions.
func builtIn(d *r4.Definitions, canonical string) *Profile {
	var missing string
	switch canonical {
	case coreCanon + "SimpleQuantity":
		missing = "comparator"
	case coreCanon + "MoneyQuantity":
	default:
		return nil
	}
	typ := d.Type("Quantity")
	root := &shape{name: "Quantity", types: []*r4.Type{typ}, max: unbounded}
	if missing != "" {
		root.parts = []*shape{{name: missing, max: 0}}
	}
	return &Profile{URL: canonical, Type: typ, root: root}
}
