package patch

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"vitrine/fhir"
)

// operation is one operation of JSON Patch.
type operation struct {
	op   string
	at   pointer
	from pointer
	// value is the node of the value on the tape of the document.
	document *fhir.Tape
	value    fhir.Node
}

// A tape takes an object, so the document is read as the one member of one.
const (
	wrapBefore = `{"":`
	wrapAfter  = `}`
)

// ParseJSON reads a JSON Patch document. What is not JSON is refused with a
// *fhir.SyntaxError, what is no patch with an *Error.
func ParseJSON(src []byte, lim fhir.Limits) (*Document, error) {
	if lim.Size > 0 {
		lim.Size += len(wrapBefore) + len(wrapAfter)
	}
	t := new(fhir.Tape)
	wrapped := append(append([]byte(wrapBefore), src...), wrapAfter...)
	if err := t.Parse(wrapped, lim); err != nil {
		syntax := (*fhir.SyntaxError)(nil)
		if errors.As(err, &syntax) {
			again := *syntax
			again.Offset = min(max(syntax.Offset-len(wrapBefore), 0), len(src))
			before := src[:again.Offset]
			again.Line = bytes.Count(before, []byte{'\n'}) + 1
			again.Column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
			return nil, &again
		}
		return nil, err
	}
	list := t.First(t.Root())
	if t.Kind(list) != fhir.Array || t.Next(list) != fhir.None {
		return nil, fault(ErrMalformed, "a JSON Patch is an array of operations")
	}
	d := &Document{}
	for n := t.First(list); n != fhir.None; n = t.Next(n) {
		if len(d.steps) == operationsMost {
			return nil, fault(ErrTooMuch, "the patch has too many operations")
		}
		o, err := readOperation(t, n)
		if known := (*Error)(nil); errors.As(err, &known) {
			known.Index, known.At = len(d.steps), t.Text(t.Field(n, "path"))
		}
		if err != nil {
			return nil, err
		}
		d.steps = append(d.steps, o)
	}
	return d, nil
}

// readOperation reads one operation (RFC 6902 §4). Members that it does not
// define are ignored, as it says.
func readOperation(t *fhir.Tape, n fhir.Node) (*operation, error) {
	o := &operation{op: t.Text(t.Field(n, "op")), document: t, value: t.Field(n, "value")}
	needsFrom, needsValue := false, false
	switch o.op {
	case "add", "replace", "test":
		needsValue = true
	case "move", "copy":
		needsFrom = true
	case "remove":
	default:
		return nil, fault(ErrMalformed, "op must be one of add, remove, replace, move, copy and test")
	}
	var ok bool
	path, from := t.Field(n, "path"), t.Field(n, "from")
	if o.at, ok = parsePointer(t.Text(path)); !ok || t.Kind(path) != fhir.String {
		return nil, fault(ErrMalformed, "path must be a JSON Pointer")
	}
	if o.from, ok = parsePointer(t.Text(from)); needsFrom && (!ok || t.Kind(from) != fhir.String) {
		return nil, fault(ErrMalformed, "from must be a JSON Pointer")
	}
	if needsValue && o.value == fhir.None {
		return nil, fault(ErrMalformed, "a value is required")
	}
	if o.op == "move" && o.at.within(o.from) {
		return nil, fault(ErrMalformed, "a value cannot be moved into itself")
	}
	return o, nil
}

func (o *operation) path() string { return o.at.text }

func (o *operation) do(w *worker) error {
	switch o.op {
	case "add":
		return o.add(w, o.document.Raw(o.value))
	case "remove":
		return o.remove(w, o.at)
	case "replace":
		return o.replace(w)
	case "test":
		return o.test(w)
	default:
		return o.carry(w)
	}
}

// nothing is the fault of an operation on what is not there.
func nothing() error { return fault(ErrPath, "there is nothing at the path") }

func (o *operation) add(w *worker, value []byte) error {
	t := w.tape
	if len(o.at.tokens) == 0 {
		return o.whole(w, value)
	}
	parent, token := o.at.last()
	container := parent.find(t)
	switch t.Kind(container) {
	case fhir.Object:
		if n := t.Field(container, token); n != fhir.None {
			start, end := t.Span(n)
			return w.edit(fhir.Edit{Start: start, End: end, Text: value})
		}
		return w.edit(inserted(t, container, fhir.None, appendMember(nil, token, value)))
	case fhir.Array:
		at, ok := arrayIndex(token)
		if token == "-" {
			at, ok = count(t, container), true
		}
		if !ok || at > count(t, container) {
			return fault(ErrPath, "the array has no such place")
		}
		return w.edit(inserted(t, container, item(t, container, at), value))
	case fhir.Invalid, fhir.String, fhir.Number, fhir.True, fhir.False, fhir.Null:
		return fault(ErrPath, "there is nothing to add to at the path")
	default:
		return nothing()
	}
}

// whole replaces the resource.
func (o *operation) whole(w *worker, value []byte) error {
	if !bytes.HasPrefix(value, []byte{'{'}) {
		return fault(ErrValue, "a resource must be an object")
	}
	start, end := w.tape.Span(w.tape.Root())
	return w.edit(fhir.Edit{Start: start, End: end, Text: value})
}

func (o *operation) remove(w *worker, at pointer) error {
	if len(at.tokens) == 0 {
		return fault(ErrFixed, "the resource itself cannot be removed")
	}
	parent, _ := at.last()
	n := at.find(w.tape)
	if n == fhir.None {
		return nothing()
	}
	return w.edit(without(w.tape, parent.find(w.tape), func(c fhir.Node) bool { return c == n })...)
}

func (o *operation) replace(w *worker) error {
	n := o.at.find(w.tape)
	if n == fhir.None {
		return nothing()
	}
	if n == w.tape.Root() {
		return o.whole(w, o.document.Raw(o.value))
	}
	start, end := w.tape.Span(n)
	return w.edit(fhir.Edit{Start: start, End: end, Text: o.document.Raw(o.value)})
}

func (o *operation) test(w *worker) error {
	start, end := o.document.Span(o.value)
	if err := w.spend(end - start); err != nil {
		return err
	}
	n := o.at.find(w.tape)
	if n == fhir.None || !equal(w.tape, n, o.document, o.value) {
		return fault(ErrTest, "what is tested for does not hold")
	}
	return nil
}

// carry is move and copy.
func (o *operation) carry(w *worker) error {
	n := o.from.find(w.tape)
	if n == fhir.None {
		return fault(ErrPath, "there is nothing at from")
	}
	value := w.raw(n)
	if o.op == "move" {
		if o.from.text == o.at.text {
			return nil
		}
		if err := o.remove(w, o.from); err != nil {
			return err
		}
	}
	return o.add(w, value)
}
