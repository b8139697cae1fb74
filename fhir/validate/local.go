package validate

import (
	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// local is an address within the resource: #id, or # for the resource itself.
type local struct {
	n fhir.Node
	// element is the one whose Reference it is; nil for an address of another kind.
	element *r4.Element
}

// fewLocals is how many addresses or contained resources are compared one by
// one; above it they are looked up.
const fewLocals = 16

// within checks what is contained in a resource that stands for itself against
// the addresses within it (dom-3, ref-1). outward are the contained resources
// that refer to the one around them.
func (w *walker) within(n fhir.Node, locals []local, outward []fhir.Node) {
	list := w.t.Field(n, "contained")
	if list == fhir.None && len(locals) == 0 {
		return
	}
	known := w.texts(len(locals), func(yield func(fhir.Node)) {
		for _, l := range locals {
			yield(l.n)
		}
	})
	count := 0
	for c := w.t.First(list); c != fhir.None && !w.full(); c = w.t.Next(c) {
		if len(outward) > 0 && outward[0] == c {
			outward = outward[1:]
		} else if id := w.t.Field(c, "id"); w.t.Kind(id) == fhir.String && !w.referred(id, locals, known) {
			w.fail(c, fhir.CodeInvariant, "nothing refers to this contained resource, nor does it refer to the one around it (dom-3)")
		}
		count++
	}
	ids := w.texts(count, func(yield func(fhir.Node)) {
		for c := w.t.First(list); c != fhir.None; c = w.t.Next(c) {
			yield(w.t.Field(c, "id"))
		}
	})
	for _, l := range locals {
		if l.element != nil && !w.full() {
			w.localReference(l, list, ids)
		}
	}
}

// texts are strings by what they say, when there are more than a few.
func (w *walker) texts(count int, each func(func(fhir.Node))) map[string]fhir.Node {
	if count <= fewLocals {
		return nil
	}
	out := make(map[string]fhir.Node, count)
	each(func(n fhir.Node) { out[w.t.Text(n)] = n })
	return out
}

// inward checks a contained resource by itself, once it was walked (dom-4,
// dom-5). from is where its own addresses begin.
func (w *walker) inward(c fhir.Node, from int) {
	meta := w.t.Field(c, "meta")
	for _, name := range [...]string{"versionId", "lastUpdated"} {
		if m := w.t.Field(meta, name); m != fhir.None {
			w.fail(m, fhir.CodeInvariant, "a contained resource has no version of its own; leave "+name+" out (dom-4)")
		}
	}
	if m := w.t.Field(meta, "security"); m != fhir.None {
		w.fail(m, fhir.CodeInvariant, "a contained resource has no labels of its own; put them into the one around it (dom-5)")
	}
	for _, l := range w.locals[from:] {
		if len(w.t.Raw(l.n)) == len(`"#"`) {
			w.outward = append(w.outward, c)
			return
		}
	}
}

// referred says whether something refers to a contained resource.
func (w *walker) referred(id fhir.Node, locals []local, known map[string]fhir.Node) bool {
	var idRoom, room [80]byte
	name := w.t.Bytes(id, idRoom[:])
	if known != nil {
		_, ok := known["#"+string(name)]
		return ok
	}
	for _, l := range locals {
		if text := w.t.Bytes(l.n, room[:]); string(text[1:]) == string(name) {
			return true
		}
	}
	return false
}

// localReference checks that a reference leads to a contained resource of a type
// it may lead to.
func (w *walker) localReference(l local, list fhir.Node, ids map[string]fhir.Node) {
	var room, idRoom [80]byte
	name := w.t.Bytes(l.n, room[:])[1:]
	if len(name) == 0 {
		return // the resource around it
	}
	if ids != nil {
		if _, ok := ids[string(name)]; !ok {
			w.dangling(l.n)
		}
		return
	}
	for c := w.t.First(list); c != fhir.None; c = w.t.Next(c) {
		if string(w.t.Bytes(w.t.Field(c, "id"), idRoom[:])) == string(name) {
			w.target(l.n, l.element, w.typeOf(c))
			return
		}
	}
	w.dangling(l.n)
}

func (w *walker) dangling(n fhir.Node) {
	w.fail(n, fhir.CodeInvariant, "no contained resource has this id (ref-1)")
}
