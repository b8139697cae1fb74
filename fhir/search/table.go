package search

import (
	"fmt"
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// table is what the indexer and the parser share: every search parameter of
// every resource type, compiled.
type table struct {
	defs  *r4.Definitions
	base  string // with a slash at its end
	types map[fhir.ResourceType]*plan
	units *unitTable
	added map[Param]Added     // beyond R4's
	every []fhir.ResourceType // those types, sorted
}

// plan is one resource type.
type plan struct {
	root   *trie
	params map[string]*paramPlan
	// added is what was added beyond R4's parameters, under these codes; nil for
	// nothing.
	added *trie
	codes []string
}

// paramPlan is one search parameter as it applies to one resource type.
type paramPlan struct {
	*r4.SearchParam
	number Param
	// indexed says that the parameter makes entries.
	indexed bool
	// targets are the types its references may point to; nil for any.
	targets []fhir.ResourceType
	// person says that single words of names are indexed.
	person bool
	// forms says what makes its entries, mime that they are media types.
	forms forms
	mime  bool
	// components are those of a composite.
	components []*paramPlan
}

func newTable(d *r4.Definitions, base string) (*table, error) {
	t := &table{defs: d, base: base + "/", types: make(map[fhir.ResourceType]*plan), units: &unitTable{}}
	for _, typ := range d.Resources() {
		p := &plan{root: &trie{}, params: make(map[string]*paramPlan)}
		for _, sp := range typ.Params() {
			pp := &paramPlan{SearchParam: sp, number: Param(sp.Number)}
			if err := t.compile(p, typ, pp); err != nil {
				return nil, fmt.Errorf("search parameter %s of %s: %w", sp.Code, typ.Name, err)
			}
			p.params[sp.Code] = pp
		}
		t.types[typ.Resource()] = p
		t.every = append(t.every, typ.Resource())
	}
	return t, nil
}

// compile adds a parameter to the trie of a type.
func (t *table) compile(p *plan, typ *r4.Type, pp *paramPlan) error {
	switch pp.Code {
	case "_id":
		pp.number, pp.indexed = ParamID, true
		return nil
	case "_lastUpdated":
		pp.number, pp.indexed = ParamLastUpdated, true
		return nil
	}
	if pp.Expression == "" || pp.Internal || pp.Kind == r4.ParamSpecial && pp.Code != "near" {
		return nil
	}
	expr, err := fhirpath.Parse(pp.Expression)
	if err != nil {
		return err
	}
	root := place{at: p.root, typ: typ}
	paths, ok := expr.Paths()
	if !ok {
		return t.computed(root, pp)
	}
	for _, path := range paths {
		if !path.Concerns(typ.Name) {
			continue
		}
		if err := t.addPath(root, path, pp); err != nil {
			return err
		}
	}
	return nil
}

// computed adds a parameter whose expression is no path.
func (t *table) computed(root place, pp *paramPlan) error {
	program, err := fhirpath.Compile(pp.Expression, t.defs)
	if err != nil {
		return err
	}
	if pp.Kind != r4.ParamToken {
		return fmt.Errorf("an expression that computes cannot make a %s", pp.Kind)
	}
	root.at.actions = append(root.at.actions, action{param: pp.number, extract: extractComputed, computed: program})
	pp.forms |= 1 << extractComputed
	pp.indexed = true
	return nil
}

func (t *table) addPath(root place, path fhirpath.Path, pp *paramPlan) error {
	if pp.Kind == r4.ParamComposite {
		return t.addComposite(root, path, pp)
	}
	places, err := follow(root, path.Steps)
	if err != nil {
		return err
	}
	usable := false
	for _, leaf := range places {
		x := extractorFor(pp.Kind, leaf.typ.Name)
		if x == extractNone {
			continue
		}
		usable = true
		a := action{param: pp.number, extract: x, resolves: leaf.resolves, uri: pp.Kind == r4.ParamURI, refers: pp.Kind == r4.ParamReference}
		if leaf.element != nil {
			a.codes = leaf.element.Binding
			a.person = leaf.element.Path == "HumanName.family" || leaf.typ.Name == "HumanName"
			pp.mime = pp.mime || bindsMime(a.codes)
		}
		pp.person = pp.person || a.person
		pp.forms |= 1 << x
		pp.addTargets(leaf)
		if !slices.ContainsFunc(leaf.at.actions, a.same) {
			leaf.at.actions = append(leaf.at.actions, a)
		}
	}
	if !usable && places[0].typ.Name != "SampledData" { // a series is no value to compare
		return fmt.Errorf("a %s cannot be made of %s", pp.Kind, places[0].typ.Name)
	}
	pp.indexed = true
	return nil
}

func (a *action) same(b action) bool {
	return a.param == b.param && a.extract == b.extract && a.resolves == b.resolves && a.composite == nil
}

// addTargets widens the types a reference parameter may point to by those of
// one of its elements.
func (pp *paramPlan) addTargets(leaf place) {
	if pp.Kind != r4.ParamReference || pp.indexed && pp.targets == nil {
		return
	}
	targets := pp.Targets
	switch {
	case leaf.resolves != "":
		targets = []fhir.ResourceType{fhir.ResourceType(leaf.resolves)}
	case leaf.element != nil && leaf.typ.Name == "Reference" && len(leaf.element.Targets) > 0:
		targets = leaf.element.Targets
	}
	if len(targets) == 0 || slices.Contains(targets, "Resource") {
		pp.targets, pp.indexed = nil, true
		return
	}
	for _, target := range targets {
		if !slices.Contains(pp.targets, target) {
			pp.targets = append(pp.targets, target)
		}
	}
}

// param is the parameter of a type; nil when it has none that a query may use.
func (t *table) param(typ fhir.ResourceType, code string) *paramPlan {
	p := t.types[typ]
	if p == nil {
		return nil
	}
	pp := p.params[code]
	if pp == nil || pp.Internal {
		return nil
	}
	return pp
}
