package validate

import (
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// What profiles may cost for one resource, in shapes looked at and members passed
// by: so much, and so much more for each of its bytes.
const (
	workBase = 1 << 15
	workByte = 1
)

// DetailProfile is the Issue.Detail of what a profile asks, and R4 does not.
const DetailProfile = "profile"

// shaper holds a resource against profiles.
type shaper struct {
	reporter
	how How
	// of is the profile at hand, for what is said.
	of string
	// quiet says that nothing is reported, only noted in broke.
	quiet int
	broke bool
	work  int
	most  int // of work
	depth int
	// busy are the values that are being held against a profile: contained resources
	// may lead back to themselves.
	busy []visitOf
	// said are the issues that were reported, which different ways lead to.
	said map[saying]bool
	// line are the elements that lead to where the walk is, the resource first.
	line []spot
	// unsound says that the structure is wrong, so that profiles are named alone.
	unsound bool
	// scope is that of constraints.
	scope fhirpath.Scope
}

type visitOf struct {
	n fhir.Node
	p *Profile
}

type saying struct {
	n    fhir.Node
	text string
}

// spot is a value of an element: of a primitive, with the object beside it that
// has its id and extensions.
type spot struct {
	n, extra fhir.Node
	typ      *r4.Type
	element  *r4.Element
	// remote says that it stands for what a reference leads to outside the resource.
	remote bool
}

// at is the node to which reports point.
func (s spot) at() fhir.Node {
	if s.n != fhir.None {
		return s.n
	}
	return s.extra
}

// object is where the members of the value are.
func (s spot) object() fhir.Node {
	if s.typ != nil && s.typ.Kind == r4.KindPrimitive {
		return s.extra
	}
	return s.n
}

// spend notes work; false when there has been too much of it.
func (k *shaper) spend(n int) bool {
	k.work += n
	if k.work <= k.most {
		return true
	}
	k.broke = true
	return false
}

// done says that there is no point in going on.
func (k *shaper) done() bool {
	return k.work > k.most || k.quiet > 0 && k.broke || k.full()
}

// say reports an issue at a value, or at a member that it lacks.
func (k *shaper) say(s fhir.Severity, n fhir.Node, child string, code fhir.IssueCode, text string) {
	if k.quiet > 0 {
		k.broke = k.broke || s == fhir.SeverityError
		return
	}
	if k.of != "" {
		text += " (" + k.of + ")"
	}
	key := saying{n, child + ":" + text}
	if k.said[key] {
		return
	}
	if k.said == nil {
		k.said = make(map[saying]bool)
	}
	k.said[key] = true
	before := len(k.findings)
	if k.add(s, n, child, code, text); len(k.findings) > before {
		k.findings[before].detail = DetailProfile
	}
}

func (k *shaper) wrong(n fhir.Node, code fhir.IssueCode, text string) {
	k.say(fhir.SeverityError, n, "", code, text)
}

// conforms says that a value is what a shape asks, without a report.
func (k *shaper) conforms(s spot, sh *shape) bool {
	broke := k.broke
	k.quiet, k.broke = k.quiet+1, false
	k.content(s, sh)
	ok := !k.broke
	k.quiet, k.broke = k.quiet-1, broke
	return ok
}

// keeps holds a value against a profile.
func (k *shaper) keeps(s spot, p *Profile) {
	of := k.of
	k.of = p.URL
	switch {
	case p.root == nil:
	case !isOf(s.typ, p.Type.Name):
		k.wrong(s.at(), fhir.CodeStructure, "the profile is one of "+p.Type.Name)
	case k.enter(s, p):
		k.content(s, p.root)
		k.busy = k.busy[:len(k.busy)-1]
	}
	k.of = of
}

// content holds a value against a shape.
func (k *shaper) content(s spot, sh *shape) {
	if k.done() || !k.spend(1) {
		return
	}
	if sh.kinds != nil && !k.typed(s, sh) {
		return
	}
	k.valued(s, sh)
	if sh.binding != nil {
		k.bound(s, sh.binding)
	}
	for i := range sh.rules {
		k.rule(s, &sh.rules[i])
	}
	if s.object() == fhir.None {
		for _, p := range sh.parts {
			if p.min > 0 && s.typ.Kind == r4.KindPrimitive {
				k.say(fhir.SeverityError, s.at(), p.name, fhir.CodeRequired, p.name+" is required")
			}
		}
		return
	}
	for _, p := range sh.parts {
		k.element(s, p)
	}
	if sh.follows != nil {
		k.content(s, sh.follows)
	}
}

// element holds the values of a member against its shape.
func (k *shaper) element(s spot, sh *shape) {
	if k.done() {
		return
	}
	var room [8]spot
	items := k.members(s, sh.name, room[:0])
	if s.typ.Kind == r4.KindPrimitive && len(items) == 0 && sh.min == 0 {
		return
	}
	k.count(s, sh, len(items), sh.title())
	if len(sh.slices) > 0 {
		k.slices(s, items, sh)
	}
	for _, item := range items {
		k.content(item, sh)
	}
}

// title is how a shape is spoken of.
func (s *shape) title() string {
	name := s.name
	if s.choice {
		name += "[x]"
	}
	if s.slice != "" {
		return name + " of the slice " + s.slice
	}
	return name
}

// count holds the number of values against the cardinality.
func (k *shaper) count(s spot, sh *shape, n int, title string) {
	switch {
	case n < sh.min && n == 0 && sh.min == 1:
		k.say(fhir.SeverityError, s.at(), sh.name, fhir.CodeRequired, title+" is required")
	case n < sh.min:
		k.say(fhir.SeverityError, s.at(), sh.name, fhir.CodeRequired, title+" must be there at least "+strconv.Itoa(sh.min)+" times")
	case n > sh.max && sh.max == 0:
		k.say(fhir.SeverityError, s.at(), sh.name, fhir.CodeStructure, title+" must not be there")
	case n > sh.max:
		k.say(fhir.SeverityError, s.at(), sh.name, fhir.CodeStructure, title+" may be there at most "+strconv.Itoa(sh.max)+" times")
	}
}

// members are the values of the member of that name, whatever their type.
func (k *shaper) members(s spot, name string, dst []spot) []spot {
	obj := s.object()
	if k.t.Kind(obj) != fhir.Object {
		return dst
	}
	for m := k.t.First(obj); m != fhir.None; m = k.t.Next(m) {
		k.work++
		key := k.t.Key(m)
		beside := len(key) > 0 && key[0] == '_'
		if beside {
			key = key[1:]
		}
		if len(key) < len(name) || string(key[:len(name)]) != name {
			continue
		}
		e := s.typ.Element(key)
		if e == nil || e.Name != name && e.Choice != name {
			continue
		}
		partner := fhir.None
		if e.Type.Kind == r4.KindPrimitive {
			partner = k.partner(obj, m, e.Name, beside)
		}
		switch {
		case !beside:
			dst = k.spots(m, partner, e, dst)
		case partner == fhir.None:
			dst = k.spots(fhir.None, m, e, dst)
		}
	}
	return dst
}

// partner is the member beside a primitive: _name of name, and the other way
// round.
func (k *shaper) partner(obj, m fhir.Node, name string, beside bool) fhir.Node {
	for o := k.t.First(obj); o != fhir.None; o = k.t.Next(o) {
		key := k.t.Key(o)
		if len(key) > 0 && (key[0] == '_') != beside && o != m && strings.TrimPrefix(string(key), "_") == name {
			return o
		}
	}
	return fhir.None
}

// spots are the values of one member, with what stands beside each.
func (k *shaper) spots(m, beside fhir.Node, e *r4.Element, dst []spot) []spot {
	list := k.t.Kind(m) == fhir.Array || k.t.Kind(beside) == fhir.Array
	if list {
		m, beside = k.t.First(m), k.t.First(beside)
	}
	for m != fhir.None || beside != fhir.None {
		s := spot{n: m, extra: beside, typ: e.Type, element: e}
		if k.t.Kind(m) == fhir.Null {
			s.n = fhir.None
		}
		if k.t.Kind(beside) != fhir.Object {
			s.extra = fhir.None
		}
		if e.Type.Kind == r4.KindResource && e.Type.Abstract {
			s.typ = k.defs.ResourceBytes(k.t.Bytes(k.t.Field(m, "resourceType"), nil))
		}
		if s.at() != fhir.None && s.typ != nil {
			dst = append(dst, s)
		}
		if !list {
			break
		}
		m, beside = k.t.Next(m), k.t.Next(beside)
	}
	return dst
}

// fits says that a value keeps to a profile, without a report.
func (k *shaper) fits(s spot, p *Profile) bool {
	if p.root == nil {
		return p.Type == nil || isOf(s.typ, p.Type.Name)
	}
	if !isOf(s.typ, p.Type.Name) || !k.enter(s, p) {
		return isOf(s.typ, p.Type.Name)
	}
	ok := k.conforms(s, p.root)
	k.busy = k.busy[:len(k.busy)-1]
	return ok
}

// maxBusy bounds how far profiles lead from one to another.
const maxBusy = 64

// enter begins to hold a value against a profile; false when that is under way
// already, which is then left to it.
func (k *shaper) enter(s spot, p *Profile) bool {
	if len(k.busy) >= maxBusy {
		k.work = k.most + 1
		return false
	}
	if slices.Contains(k.busy, visitOf{s.at(), p}) {
		return false
	}
	k.busy = append(k.busy, visitOf{s.at(), p})
	return true
}
