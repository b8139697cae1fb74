package patch

import (
	"bytes"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

func (c *change) path() string { return c.at }

func (c *change) do(w *worker) error {
	switch c.op {
	case "add":
		n, err := one(c.prog, w)
		if err != nil {
			return err
		}
		return c.add(w, n)
	case "insert":
		return c.insert(w)
	case "delete":
		return c.remove(w)
	case "replace":
		return c.replace(w)
	default:
		return c.move(w)
	}
}

// add appends to what the path names (R4 fhirpatch.html).
func (c *change) add(w *worker, n fhir.Node) error {
	t := w.tape
	if n == t.Root() {
		return c.addTo(w, n, typeOf(t, n, nil, c.defs))
	}
	p, err := locate(t, n, c.defs)
	if err != nil {
		return err
	}
	typ := typeOf(t, n, p.el.Type, c.defs)
	if typ != nil && typ.Kind == r4.KindPrimitive {
		return c.addAside(w, &p)
	}
	return c.addTo(w, n, typ)
}

// addTo appends to an object of a type.
func (c *change) addTo(w *worker, owner fhir.Node, typ *r4.Type) error {
	if typ == nil || w.tape.Kind(owner) != fhir.Object {
		return fault(ErrPath, "nothing can be added to what is at the path")
	}
	el, err := elementFor(typ, c.name, c.value)
	if err != nil {
		return err
	}
	made, err := made(el, c.value)
	if err != nil {
		return err
	}
	if el.Repeats() {
		p, err := listAt(w.tape, owner, typ, el)
		if err != nil {
			return err
		}
		return p.insert(w, p.length(w.tape), made)
	}
	for i := range typ.Elements {
		other := &typ.Elements[i]
		if other.Slot == el.Slot && (w.tape.Field(owner, other.Name) != fhir.None || w.tape.Field(owner, "_"+other.Name) != fhir.None) {
			return fault(ErrPath, "the element is there already; it does not repeat")
		}
	}
	return w.edit(inserted(w.tape, owner, fhir.None, appendContent(nil, el.Name, made)))
}

// addAside adds the id or an extension to a primitive: it stands in the sibling
// with the underscore.
func (c *change) addAside(w *worker, p *place) error {
	t := w.tape
	object := p.aside
	if p.at >= 0 {
		object = item(t, p.aside, p.at)
	}
	if t.Kind(object) == fhir.Object {
		return c.addTo(w, object, p.el.Type)
	}
	el, err := elementFor(p.el.Type, c.name, c.value)
	if err != nil {
		return err
	}
	made, err := made(el, c.value)
	if err != nil {
		return err
	}
	if el.Repeats() {
		made = listed([]content{made})
	}
	aside := append(append([]byte{'{'}, appendContent(nil, el.Name, made)...), '}')
	return w.edit(p.setAside(t, aside)...)
}

// insert puts the value into the list that the path names.
func (c *change) insert(w *worker) error {
	nodes, err := run(c.prog, w)
	if err != nil {
		return err
	}
	var p place
	if len(nodes) > 0 {
		p, err = c.collection(w.tape, nodes)
	} else {
		p, err = c.unlisted(w)
	}
	if err != nil {
		return err
	}
	if c.index > p.length(w.tape) {
		return fault(ErrPath, "the list has no such place")
	}
	if !p.el.Repeats() || !fits(p.el, p.el.Name, c.value) {
		return fault(ErrValue, "the value is not of the type of the element")
	}
	made, err := made(p.el, c.value)
	if err != nil {
		return err
	}
	return p.insert(w, c.index, made)
}

// collection is the list of which the nodes are all the elements.
func (c *change) collection(t *fhir.Tape, nodes []fhir.Node) (place, error) {
	p, err := locate(t, nodes[0], c.defs)
	if err != nil {
		return p, err
	}
	found := make(map[fhir.Node]bool, len(nodes))
	for _, n := range nodes {
		found[n] = true
	}
	all := 0
	for _, list := range [...]fhir.Node{p.main, p.aside} {
		for n := t.First(list); n != fhir.None; n = t.Next(n) {
			if found[n] {
				all++
			}
		}
	}
	if p.at < 0 || all != len(nodes) || all != p.length(t) {
		return p, fault(ErrPath, "the path does not name one whole list")
	}
	return p, nil
}

// unlisted is the list that the path would name if anything stood in it.
func (c *change) unlisted(w *worker) (place, error) {
	t := w.tape
	if c.list == nil {
		return place{}, nothing()
	}
	n, err := one(c.list, w)
	if err != nil {
		return place{}, err
	}
	typ, err := c.typeAt(t, n)
	if err != nil {
		return place{}, err
	}
	if typ == nil || t.Kind(n) != fhir.Object {
		return place{}, nothing()
	}
	el, err := elementFor(typ, c.member, c.value)
	if err != nil {
		return place{}, err
	}
	if !el.Repeats() {
		return place{}, fault(ErrPath, "the element is no list")
	}
	return listAt(t, n, typ, el)
}

// typeAt is the type of an element.
func (c *change) typeAt(t *fhir.Tape, n fhir.Node) (*r4.Type, error) {
	if n == t.Root() {
		return typeOf(t, n, nil, c.defs), nil
	}
	p, err := locate(t, n, c.defs)
	if err != nil {
		return nil, err
	}
	return typeOf(t, n, p.el.Type, c.defs), nil
}

// remove deletes the one element at the path, if there is one.
func (c *change) remove(w *worker) error {
	nodes, err := run(c.prog, w)
	switch {
	case err != nil || len(nodes) == 0:
		return err
	case len(nodes) > 1:
		return several()
	case nodes[0] == w.tape.Root():
		return fault(ErrFixed, "the resource itself cannot be removed")
	}
	p, err := locate(w.tape, nodes[0], c.defs)
	if err != nil {
		return err
	}
	return w.edit(p.without(w.tape)...)
}

// replace puts the value in the place of the one element at the path.
func (c *change) replace(w *worker) error {
	n, err := one(c.prog, w)
	if err != nil {
		return err
	}
	if n == w.tape.Root() {
		return fault(ErrFixed, "the resource itself cannot be replaced")
	}
	p, err := locate(w.tape, n, c.defs)
	if err != nil {
		return err
	}
	name := p.el.Name
	if p.el.Choice != "" && c.value.typ != nil {
		name = p.el.Choice
	}
	el, err := elementFor(p.typ, name, c.value)
	if err != nil {
		return err
	}
	made, err := made(el, c.value)
	if err != nil {
		return err
	}
	if p.at >= 0 {
		return w.edit(p.set(w.tape, made)...)
	}
	return w.edit(p.become(w.tape, el, made)...)
}

// move carries an element of a list to another place of it.
func (c *change) move(w *worker) error {
	nodes, err := run(c.prog, w)
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		return nothing()
	}
	p, err := c.collection(w.tape, nodes)
	if err != nil {
		return err
	}
	if length := p.length(w.tape); c.source >= length || c.destination >= length {
		return fault(ErrPath, "the list has no such place")
	}
	if c.source == c.destination {
		return nil
	}
	var edits []fhir.Edit
	for _, list := range [...]fhir.Node{p.main, p.aside} {
		if list != fhir.None {
			edits = append(edits, shifted(w.tape, list, c.source, c.destination)...)
		}
	}
	return w.edit(edits...)
}

// shifted are the edits that carry an element of an array to another place.
func shifted(t *fhir.Tape, list fhir.Node, from, to int) []fhir.Edit {
	n := item(t, list, from)
	before := to
	if to > from {
		before++ // it is counted without the one that moves
	}
	edits := without(t, list, func(c fhir.Node) bool { return c == n })
	return append(edits, inserted(t, list, item(t, list, before), bytes.Clone(t.Raw(n))))
}
