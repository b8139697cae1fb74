package r4

import (
	_ "embed" // for the tables
	"errors"
	"fmt"
	"slices"
	"strings"

	"vitrine/fhir"
)

//go:embed tables.bin
var tables string

const paramPrefix = "http://hl7.org/fhir/SearchParameter/"

// errTables says that the embedded tables are not what this code reads; the
// cure is go generate.
var errTables = errors.New("r4 tables are damaged or of another version")

// Load decodes the embedded tables. Their form is a magic line, all strings once,
// then lists of resource types, invariants, value sets, types, elements, search
// parameters and compartments as unsigned varints that refer to strings and to
// each other by place.
func Load() (*Definitions, error) { return decode(tables) }

func decode(src string) (*Definitions, error) {
	r := &reader{src: src}
	r.start()
	l := &loader{reader: r, d: &Definitions{}}
	for _, step := range []func(){
		l.readLists, l.readInvariants, l.readValueSets, l.readTypes, l.readElements, l.readParams, l.readCompartments,
	} {
		if step(); r.bad {
			return nil, fmt.Errorf("%w: at byte %d", errTables, r.at)
		}
	}
	if r.at != len(r.src) {
		return nil, fmt.Errorf("%w: %d bytes too many", errTables, len(r.src)-r.at)
	}
	l.addOwn()
	l.assignParams()
	return l.d, nil
}

// loader holds what the tables refer to by place while they are read.
type loader struct {
	*reader
	d          *Definitions
	lists      [][]fhir.ResourceType
	invariants []Invariant
	types      []Type
	text       strings.Builder
}

// join puts strings together in memory that all of them share.
func (l *loader) join(parts ...string) string {
	start := l.text.Len()
	for _, p := range parts {
		l.text.WriteString(p)
	}
	return l.text.String()[start:]
}

func (l *loader) readLists() {
	l.lists = make([][]fhir.ResourceType, l.count())
	for i := range l.lists {
		n := l.count()
		if n == 0 {
			continue
		}
		list := make([]fhir.ResourceType, n)
		for j := range list {
			list[j] = fhir.ResourceType(l.str())
		}
		l.lists[i] = list
	}
}

func (l *loader) readInvariants() {
	l.invariants = make([]Invariant, l.count())
	for i := range l.invariants {
		l.invariants[i] = Invariant{Key: l.str(), Severity: fhir.Severity(l.str()), Expression: l.str()}
	}
}

func (l *loader) readValueSets() {
	l.d.valueSets = make([]ValueSet, l.count())
	for i := range l.d.valueSets {
		v := &l.d.valueSets[i]
		v.URL = l.str()
		v.Includes = make([]Include, l.count())
		for j := range v.Includes {
			v.Includes[j] = Include{System: l.str(), Codes: l.strs()}
		}
	}
}

func (l *loader) readTypes() {
	l.types = make([]Type, l.count())
	l.d.ordered = l.types
	l.d.types = make(map[string]*Type, len(l.types))
	for i := range l.types {
		t := &l.types[i]
		t.Name = l.str()
		t.Kind = TypeKind(l.num(int(KindResource) + 1))
		t.Abstract = l.num(2) == 1
		t.Number = uint16(i)
		if base := l.num(len(l.types) + 1); base > 0 {
			t.Base = &l.types[base-1]
		}
		t.Invariants = l.pickInvariants()
		if t.Kind == KindPrimitive {
			t.Primitive = primitiveOf(t.Name)
		}
		l.d.types[t.Name] = t
		if t.Kind == KindResource && !t.Abstract {
			l.d.resources = append(l.d.resources, t)
		}
	}
}

func (l *loader) pickInvariants() []Invariant {
	n := l.count()
	if n == 0 {
		return nil
	}
	out := make([]Invariant, 0, n)
	for range n {
		if i := l.num(len(l.invariants)); !l.bad {
			out = append(out, l.invariants[i])
		}
	}
	return out
}

// The bits of an element's flags.
const (
	bitChoice = 1 << iota
	bitSummary
	bitModifier
	bitAttribute
	bitInvariants
	bitTargets
	bitBinding
)

// maxSlots lets a set of slots be one word.
const maxSlots = 64

func (l *loader) readElements() {
	total := l.count()
	l.text.Grow(40 * total)
	slab := make([]Element, 0, total)
	for i := range l.types {
		t := &l.types[i]
		start := len(slab)
		t.Slots = l.num(maxSlots + 1)
		for slot := range t.Slots {
			if l.bad {
				return
			}
			slab = l.readElement(slab, t, slot)
		}
		if len(slab) > total {
			l.bad = true
			return
		}
		t.Elements = slab[start:len(slab):len(slab)]
		t.makeIndex()
	}
}

// readElement appends one element of t, or one for each type of a choice.
func (l *loader) readElement(slab []Element, t *Type, slot int) []Element {
	name := l.str()
	flags := l.num(bitBinding << 1)
	e := Element{
		Name: name, Slot: slot, Min: l.num(1 << 16), Max: l.num(1 << 16),
		Summary: flags&bitSummary != 0, Modifier: flags&bitModifier != 0, Attribute: flags&bitAttribute != 0,
	}
	if e.Max == 0 {
		e.Max = -1
	}
	n := 1
	if flags&bitChoice != 0 {
		n, e.Choice = l.count(), name
	}
	start := len(slab)
	for range n {
		e.Type = &l.types[l.num(len(l.types))]
		if e.Choice != "" {
			e.Name = l.choiceName(name, e.Type.Name)
		}
		e.Path = l.join(t.Name, ".", e.Name)
		slab = append(slab, e)
	}
	l.readDetails(slab[start:], flags)
	return slab
}

// readDetails reads what is told once for all types of an element.
func (l *loader) readDetails(es []Element, flags int) {
	var invariants []Invariant
	var targets []fhir.ResourceType
	var binding *ValueSet
	if flags&bitInvariants != 0 {
		invariants = l.pickInvariants()
	}
	if flags&bitTargets != 0 {
		targets = l.list()
	}
	if flags&bitBinding != 0 {
		if i := l.num(len(l.d.valueSets)); !l.bad {
			binding = &l.d.valueSets[i]
		}
	}
	for i := range es {
		es[i].Invariants = invariants
		if es[i].Type.Name == "Reference" {
			es[i].Targets = targets
		}
		es[i].Binding = binding
	}
}

// choiceName is the JSON name of a choice element of one type (R4
// json.html#choice): valueQuantity, deceasedBoolean.
func (l *loader) choiceName(choice, typeName string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if c := typeName[0]; c >= 'a' && c <= 'z' {
		return l.join(choice, letters[c-'a':c-'a'+1], typeName[1:])
	}
	return l.join(choice, typeName)
}

func (l *loader) list() []fhir.ResourceType {
	if i := l.num(len(l.lists)); !l.bad {
		return l.lists[i]
	}
	return nil
}

func (l *loader) readParams() {
	params := make([]SearchParam, l.count())
	for i := range params {
		p := &params[i]
		p.Number = uint16(i + 1)
		p.URL = paramPrefix + l.str()
		p.Code, p.Name = l.str(), l.str()
		p.Kind = ParamKind(l.num(int(ParamSpecial) + 1))
		p.Expression = l.str()
		p.Bases, p.Targets = l.list(), l.list()
		if n := l.count(); n > 0 {
			p.Components = make([]Component, n)
		}
		for j := range p.Components {
			if n := l.num(len(params) + 1); n > 0 {
				p.Components[j].Param = &params[n-1]
			}
			p.Components[j].Expression = l.str()
		}
		l.d.params = append(l.d.params, p)
	}
}

func (l *loader) readCompartments() {
	for range l.count() {
		c := &Compartment{Code: l.str()}
		n := l.count()
		c.types = make(map[fhir.ResourceType][]string, n)
		for range n {
			name := l.str()
			c.types[fhir.ResourceType(name)] = l.strs()
		}
		l.d.compartments = append(l.d.compartments, c)
	}
}

// assignParams gives every concrete resource type the parameters a query may
// name. The specification's three example parameters are not among them: they
// repeat or contradict real ones.
func (l *loader) assignParams() {
	var all []*SearchParam
	for _, p := range l.d.SearchParams() {
		if p.Internal || strings.HasPrefix(p.URL, paramPrefix+"example") {
			continue
		}
		for _, b := range p.Bases {
			if b == "Resource" || b == "DomainResource" {
				all = append(all, p)
			} else if t := l.d.types[string(b)]; t != nil {
				t.params = append(t.params, p)
			}
		}
	}
	domain := l.d.types["DomainResource"]
	for _, t := range l.d.resources {
		for _, p := range all {
			if p.Bases[0] == "Resource" || t.Base == domain {
				t.params = append(t.params, p)
			}
		}
		slices.SortFunc(t.params, func(a, b *SearchParam) int { return strings.Compare(a.Code, b.Code) })
	}
}
