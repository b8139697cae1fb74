package validate

import (
	"strconv"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// walker is the first pass: the tape beside the definitions.
type walker struct {
	reporter
	v     *Validator
	depth int
	// contained says that the walk is inside a contained resource.
	contained bool
}

// resource checks an object that is a resource.
func (w *walker) resource(n fhir.Node) {
	if typ := w.typed(n); typ != nil {
		w.object(n, typ)
	}
}

// typed is the type of a resource; what is none is reported.
func (w *walker) typed(n fhir.Node) *r4.Type {
	if w.t.Kind(n) != fhir.Object {
		w.fail(n, fhir.CodeStructure, "a resource must be "+kindName(fhir.Object)+", not "+kindName(w.t.Kind(n)))
		return nil
	}
	name := w.t.Field(n, "resourceType")
	if name == fhir.None {
		w.fail(n, fhir.CodeRequired, "a resource must say its resourceType")
		return nil
	}
	if w.t.Kind(name) != fhir.String {
		w.failKey(n, name, "", fhir.CodeStructure, "resourceType must be a string")
		return nil
	}
	typ := w.v.defs.ResourceBytes(w.t.Bytes(name, nil))
	if typ == nil {
		w.failKey(n, name, "", fhir.CodeValue, "resourceType is not a resource type of R4"+w.suggestType(w.t.Bytes(name, nil)))
	}
	return typ
}

// object checks the members of an object of the type.
func (w *walker) object(n fhir.Node, typ *r4.Type) {
	if w.t.First(n) == fhir.None {
		w.fail(n, fhir.CodeStructure, "an object must not be empty; leave the element out")
		return
	}
	var values, siblings uint64
	for m := w.t.First(n); m != fhir.None; m = w.t.Next(m) {
		if w.full() {
			return
		}
		key := w.t.Key(m)
		sibling := len(key) > 0 && key[0] == '_'
		if sibling {
			key = key[1:]
		}
		e := typ.Element(key)
		if e == nil || (sibling && e.Type.Kind != r4.KindPrimitive) {
			if typ.Kind != r4.KindResource || sibling || string(key) != "resourceType" {
				w.unknown(n, m, typ)
			}
			continue
		}
		bit := uint64(1) << e.Slot
		if e.Choice != "" && (values|siblings)&bit != 0 && w.conflicts(n, m, e) {
			w.failKey(n, m, e.Choice, fhir.CodeStructure, e.Choice+"[x] may have one type only; "+e.Name+" is a second")
		}
		if sibling {
			siblings |= bit
		} else {
			values |= bit
		}
		w.member(n, m, e, sibling)
	}
	if missing := w.v.required[typ.Number] &^ (values | siblings); missing != 0 {
		w.missing(n, typ, missing)
	}
}

// conflicts says whether a member before m is of the same choice, but of another
// type than e.
func (w *walker) conflicts(n, m fhir.Node, e *r4.Element) bool {
	for o := w.t.First(n); o != m; o = w.t.Next(o) {
		key := w.t.Key(o)
		if len(key) > 0 && key[0] == '_' {
			key = key[1:]
		}
		if len(key) > len(e.Choice) && string(key[:len(e.Choice)]) == e.Choice && string(key) != e.Name {
			return true
		}
	}
	return false
}

// member checks the cardinality of one member and its values. sibling says that
// it is the _name of a primitive, which holds id and extensions (R4
// json.html#primitive).
func (w *walker) member(parent, m fhir.Node, e *r4.Element, sibling bool) {
	if w.depth == maxDepth {
		w.failKey(parent, m, e.Name, fhir.CodeTooLong, "elements are nested too deeply")
		return
	}
	w.depth++
	switch kind := w.t.Kind(m); {
	case e.Repeats() && kind != fhir.Array:
		w.fail(m, fhir.CodeStructure, e.Name+" repeats and must be an array, not "+kindName(kind))
	case e.Repeats():
		w.array(parent, m, e, sibling)
	case kind == fhir.Array:
		w.fail(m, fhir.CodeStructure, e.Name+" takes one value, not an array")
	case kind == fhir.Null:
		w.fail(m, fhir.CodeStructure, "null is no value; leave "+e.Name+" out")
	default:
		w.value(m, e, sibling)
	}
	w.depth--
}

// array checks the items of a repeating element.
func (w *walker) array(parent, m fhir.Node, e *r4.Element, sibling bool) {
	at, nulls := 0, false
	for item := w.t.First(m); item != fhir.None; item = w.t.Next(item) {
		if w.full() {
			return
		}
		at++
		if w.t.Kind(item) != fhir.Null {
			w.value(item, e, sibling)
			continue
		}
		if e.Type.Kind == r4.KindPrimitive {
			nulls = true
		} else {
			w.fail(item, fhir.CodeStructure, "null is no value; leave the item out")
		}
	}
	switch {
	case at == 0:
		w.fail(m, fhir.CodeStructure, "an array must not be empty; leave "+e.Name+" out")
	case e.Max > 0 && at > e.Max:
		w.fail(m, fhir.CodeStructure, e.Name+" may be there "+strconv.Itoa(e.Max)+" times at most")
	case nulls:
		w.nulls(parent, m, e, sibling)
	}
}

// nulls checks that every null in an array of primitives, or in the array of
// their extensions, stands beside something (R4 json.html#primitive).
func (w *walker) nulls(parent, m fhir.Node, e *r4.Element, sibling bool) {
	partner := fhir.None
	for o := w.t.First(parent); o != fhir.None; o = w.t.Next(o) {
		key := w.t.Key(o)
		if !sibling && len(key) > 0 && key[0] == '_' {
			key = key[1:]
		} else if !sibling {
			continue
		}
		if string(key) == e.Name {
			partner = o
			break
		}
	}
	other := w.t.First(partner)
	for item := w.t.First(m); item != fhir.None && !w.full(); item = w.t.Next(item) {
		if w.t.Kind(item) == fhir.Null && (w.t.Kind(other) == fhir.Null || w.t.Kind(other) == fhir.Invalid) {
			w.fail(item, fhir.CodeStructure, "null stands for nothing here: neither a value nor extensions")
		}
		other = w.t.Next(other)
	}
}

// value checks one value of an element.
func (w *walker) value(n fhir.Node, e *r4.Element, sibling bool) {
	kind := w.t.Kind(n)
	if e.Type.Kind == r4.KindPrimitive && !sibling {
		w.primitive(n, kind, e)
		return
	}
	if kind != fhir.Object {
		w.fail(n, fhir.CodeStructure, e.Name+" must be an object, not "+kindName(kind))
		return
	}
	switch {
	case sibling:
		w.object(n, e.Type)
	case e.Type.Kind == r4.KindResource:
		w.inner(n, e)
	default:
		w.object(n, e.Type)
		if e.Type.Name == "Reference" {
			w.literal(n, e)
		}
		if e.Binding != nil {
			w.coded(n, e)
		}
	}
}

// inner checks a resource within a resource. A contained one contains no other
// (R4 references.html#contained).
func (w *walker) inner(n fhir.Node, e *r4.Element) {
	if e.Name != "contained" {
		w.resource(n)
		return
	}
	if w.contained {
		w.fail(n, fhir.CodeInvariant, "a contained resource must not contain another")
		return
	}
	w.contained = true
	w.resource(n)
	w.contained = false
}

// missing reports the required elements that an object lacks.
func (w *walker) missing(n fhir.Node, typ *r4.Type, slots uint64) {
	last := -1
	for i := range typ.Elements {
		e := &typ.Elements[i]
		if slots&(1<<e.Slot) == 0 || e.Slot == last {
			continue
		}
		last = e.Slot
		name, text := e.Name, e.Name+" is required"
		if e.Choice != "" {
			name, text = e.Choice, e.Choice+"[x] is required, for instance as "+e.Name
		}
		w.add(severity(e.Path), n, name, fhir.CodeRequired, text)
	}
}

// unknown reports a member that the type does not have.
func (w *walker) unknown(object, m fhir.Node, typ *r4.Type) {
	key := w.t.Key(m)
	text, name := typ.Name+" has no such element", ""
	if presentable(key) {
		name = string(key)
		text = typ.Name + " has no element \"" + name + "\"" + suggestElement(name, typ)
	}
	w.failKey(object, m, name, fhir.CodeStructure, text)
}

// kindName names a JSON kind in a sentence.
func kindName(k fhir.Kind) string {
	switch k {
	case fhir.Object:
		return "an object"
	case fhir.Array:
		return "an array"
	case fhir.String:
		return "a string"
	case fhir.Number:
		return "a number"
	case fhir.True, fhir.False:
		return "true or false"
	case fhir.Null:
		return "null"
	case fhir.Invalid:
		return "nothing"
	default:
		return "nothing"
	}
}
