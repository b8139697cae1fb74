package validate

import (
	"fmt"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// Broken are the keys of the invariants that do not hold of a resource of sound
// structure, each as often as it is broken, by evaluating the text of every one
// of them at every value. What is written by hand is held against it.
func Broken(d *r4.Definitions, t *fhir.Tape) map[string]int {
	b := &breaker{defs: d, t: t, programs: map[string]*fhirpath.Program{}, broken: map[string]int{}}
	b.resource(t.Root(), t.Root())
	return b.broken
}

// Disagreements are where the presence of elements, or a rule written by hand,
// says something of an invariant that evaluating its text does not.
func Disagreements(v *Validator, t *fhir.Tape) (out []string, compared int) {
	b := &breaker{defs: v.defs, t: t, programs: map[string]*fhirpath.Program{}, broken: map[string]int{}}
	w := &walker{v: v}
	w.start(t, How{})
	b.each = func(n fhir.Node, typ *r4.Type, slots uint64) {
		for i := range v.rules[typ.Number] {
			r := &v.rules[typ.Number][i]
			quick := r.presence.of(slots)
			if quick == open && r.native != nil {
				quick = r.native(w, n)
			}
			if quick == open {
				continue
			}
			compared++
			if full := b.evaluate(r.Expression, n, typ); full != quick && (full == broken || quick == broken) {
				out = append(out, fmt.Sprintf("%s at %s: %v, evaluated %v", r.Key, w.expression(n, ""), quick, full))
			}
		}
	}
	b.resource(t.Root(), t.Root())
	return out, compared
}

type breaker struct {
	defs          *r4.Definitions
	t             *fhir.Tape
	programs      map[string]*fhirpath.Program
	broken        map[string]int
	each          func(n fhir.Node, typ *r4.Type, slots uint64)
	inside, outer fhir.Node
}

func (b *breaker) resource(n, outer fhir.Node) {
	typ := b.defs.ResourceBytes(b.t.Bytes(b.t.Field(n, "resourceType"), nil))
	if typ == nil {
		return
	}
	inside, before := b.inside, b.outer
	b.inside, b.outer = n, outer
	b.object(n, typ)
	b.inside, b.outer = inside, before
}

func (b *breaker) object(n fhir.Node, typ *r4.Type) {
	slots := uint64(0)
	for m := b.t.First(n); m != fhir.None; m = b.t.Next(m) {
		key := b.t.Key(m)
		if len(key) > 0 && key[0] == '_' {
			key = key[1:]
		}
		e := typ.Element(key)
		if e == nil {
			continue
		}
		slots |= 1 << e.Slot
		if e.Type.Kind == r4.KindPrimitive {
			continue
		}
		for _, item := range b.items(m) {
			switch {
			case e.Type.Kind == r4.KindResource && e.Name == "contained":
				b.resource(item, b.outer)
			case e.Type.Kind == r4.KindResource:
				b.resource(item, item)
			default:
				b.object(item, e.Type)
			}
		}
	}
	if b.each != nil {
		b.each(n, typ, slots)
		return
	}
	for _, i := range typ.Invariants {
		if b.evaluate(i.Expression, n, typ) == broken {
			b.broken[i.Key]++
		}
	}
}

func (b *breaker) items(m fhir.Node) (out []fhir.Node) {
	if b.t.Kind(m) != fhir.Array {
		return []fhir.Node{m}
	}
	for item := b.t.First(m); item != fhir.None; item = b.t.Next(item) {
		out = append(out, item)
	}
	return out
}

func (b *breaker) evaluate(expression string, n fhir.Node, typ *r4.Type) standing {
	p := b.programs[expression]
	if p == nil {
		var err error
		if p, err = fhirpath.Compile(expression, b.defs); err != nil {
			panic(err)
		}
		b.programs[expression] = p
	}
	s := &fhirpath.Scope{Tape: b.t, Focus: fhirpath.Value{Node: n, Type: typ}, Resource: b.inside, Container: b.outer}
	out, err := p.Run(s)
	if err != nil {
		return open
	}
	if len(out) == 0 {
		return void
	}
	if holds, err := p.Holds(s); err != nil || !holds {
		return broken
	}
	return kept
}
