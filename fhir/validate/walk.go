package validate

import (
	"strconv"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// walker is the first pass: the tape beside the definitions.
type walker struct {
	reporter
	v     *Validator
	how   How
	depth int
	// rules is LevelFull.
	rules bool
	// contained says that the walk is inside a contained resource.
	contained bool
	// bundled says that the walk is inside a Bundle that is a transaction or batch,
	// whose references may be conditional (R4 http.html#trules).
	bundled bool
	// resource is the resource around the place of the walk, outer the one that
	// contains it, or the same.
	resource, outer fhir.Node
	// locals are the addresses within the outer resource, beginning with #.
	locals []local
	// outward are the contained resources that refer to the one around them.
	outward []fhir.Node
	// scratch is memory for texts that were written with escapes.
	scratch []byte
	scope   fhirpath.Scope
	// told are the code systems that were reported as not known.
	told map[string]bool
}

// maxScratch is how much memory a walker keeps between resources.
const maxScratch = 1 << 20

// start makes the walker ready for a tape.
func (w *walker) start(t *fhir.Tape, how How) {
	findings, locals, outward, scratch, scope := w.findings[:0], w.locals[:0], w.outward[:0], w.scratch, w.scope
	if cap(scratch) > maxScratch {
		scratch = nil
	}
	*w = walker{
		v: w.v, how: how, rules: how.Level == LevelFull, locals: locals, outward: outward, scratch: scratch, scope: scope,
		reporter: reporter{defs: w.v.defs, t: t, findings: findings, errorsOnly: how.ErrorsOnly},
	}
}

// whole checks a resource that stands for itself: the outermost, or one within a
// Bundle or Parameters.
func (w *walker) whole(n fhir.Node) {
	resource, outer, contained, bundled, locals, outward := w.resource, w.outer, w.contained, w.bundled, len(w.locals), len(w.outward)
	w.resource, w.outer, w.contained = n, n, false
	if typ := w.typed(n); typ != nil {
		w.bundled = bundled || typ.Name == "Bundle" && w.requests(n)
		w.object(n, typ)
		if w.rules {
			w.within(n, w.locals[locals:], w.outward[outward:])
		}
	}
	w.resource, w.outer, w.contained, w.bundled = resource, outer, contained, bundled
	w.locals, w.outward = w.locals[:locals], w.outward[:outward]
}

// requests says that a Bundle is one to be carried out.
func (w *walker) requests(bundle fhir.Node) bool {
	var room [16]byte
	kind := w.t.Bytes(w.t.Field(bundle, "type"), room[:])
	return string(kind) == "transaction" || string(kind) == "batch"
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

// object checks the members of an object of the type. bare says that it has an id
// at most.
func (w *walker) object(n fhir.Node, typ *r4.Type) (bare bool) {
	if w.t.First(n) == fhir.None {
		w.fail(n, fhir.CodeStructure, "an object must not be empty; leave the element out")
		return false
	}
	var values, siblings uint64
	bare = true
	for m := w.t.First(n); m != fhir.None; m = w.t.Next(m) {
		if w.full() {
			return false
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
				bare = false
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
		bare = bare && string(key) == "id"
		w.member(n, m, e, sibling)
	}
	if missing := w.v.required[typ.Number] &^ (values | siblings); missing != 0 {
		w.missing(n, typ, missing)
	}
	if w.rules {
		w.holds(n, w.v.rules[typ.Number], values|siblings)
	}
	return bare
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
		if w.value(m, e, sibling) && w.t.Field(parent, e.Name) == fhir.None {
			w.bare(m)
		}
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
			if w.value(item, e, sibling) && w.unvalued(w.t.Field(parent, e.Name), at-1) {
				w.bare(item)
			}
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

// value checks one value of an element. bare says that it is the id beside a
// primitive, and nothing else.
func (w *walker) value(n fhir.Node, e *r4.Element, sibling bool) (bare bool) {
	kind := w.t.Kind(n)
	if len(e.Invariants) > 0 && w.rules && !sibling {
		w.special(n, e)
	}
	if e.Type.Kind == r4.KindPrimitive && !sibling {
		w.primitive(n, kind, e)
		return false
	}
	if kind != fhir.Object {
		w.fail(n, fhir.CodeStructure, e.Name+" must be an object, not "+kindName(kind))
		return false
	}
	switch {
	case sibling:
		return w.object(n, e.Type)
	case e.Type.Kind == r4.KindResource:
		w.inner(n, e)
		return false
	}
	if w.object(n, e.Type) {
		w.bare(n)
	}
	switch e.Type.Name {
	case "Reference":
		w.literal(n, e)
	case "Identifier":
		if w.rules {
			w.national(n)
		}
	case "Coding":
		if w.rules && !w.errorsOnly && w.how.Codes != nil {
			w.known(n)
		}
	}
	if e.Binding != nil {
		w.coded(n, e)
	}
	return false
}

// bare reports an element that has neither a value nor children (ele-1).
func (w *walker) bare(n fhir.Node) {
	if w.rules {
		w.fail(n, fhir.CodeInvariant, "an element must have a value or children, not an id alone (ele-1)")
	}
}

// unvalued says that an array has no value at a place.
func (w *walker) unvalued(array fhir.Node, at int) bool {
	item := w.t.First(array)
	for ; at > 0 && item != fhir.None; at-- {
		item = w.t.Next(item)
	}
	return item == fhir.None || w.t.Kind(item) == fhir.Null
}

// inner checks a resource within a resource. A contained one contains no other
// (R4 references.html#contained).
func (w *walker) inner(n fhir.Node, e *r4.Element) {
	if e.Name != "contained" {
		w.whole(n)
		return
	}
	if w.contained {
		w.fail(n, fhir.CodeInvariant, "a contained resource must not contain another (dom-2)")
		return
	}
	resource := w.resource
	w.contained, w.resource = true, n
	from := len(w.locals)
	if typ := w.typed(n); typ != nil {
		w.object(n, typ)
	}
	if w.rules {
		w.inward(n, from)
	}
	w.contained, w.resource = false, resource
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
		w.failIn(n, name, fhir.CodeRequired, text)
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
