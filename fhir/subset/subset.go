// Package subset owns what _summary and _elements leave of a resource (R4
// search.html#summary, #elements), and its bytes. It does not read the request,
// which is search's and rest's, and knows R4's shape from r4 alone; nor does it
// keep anything back from anyone: whoever gets a subset may see the whole.
package subset

import (
	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// Subsets makes the forms in which a resource is sent. It is safe for concurrent
// use.
type Subsets struct {
	defs *r4.Definitions
	// kept are, by the number of a type, the slots that every subset keeps:
	// what must be there, and what changes the meaning of the rest.
	kept []slots
	// mandatory are those that must be there, summary those of the summary
	// together with all that is kept.
	mandatory, summary []slots
}

// slots are a bit for each slot of a type, 64 at most.
type slots uint64

func (s slots) has(slot int) bool { return s&(1<<slot) != 0 }

// New reads from the definitions which elements are in a summary.
func New(d *r4.Definitions) *Subsets {
	types := d.Types()
	s := &Subsets{
		defs: d, kept: make([]slots, len(types)), mandatory: make([]slots, len(types)), summary: make([]slots, len(types)),
	}
	for i, t := range types {
		for j := range t.Elements {
			e := &t.Elements[j]
			bit := slots(1) << e.Slot
			if e.Required() {
				s.mandatory[i] |= bit
			}
			if e.Required() || e.Modifier {
				s.kept[i] |= bit
			}
			if e.Summary {
				s.summary[i] |= bit
			}
		}
		if s.summary[i] != 0 {
			s.summary[i] |= s.kept[i]
		}
		if t.Kind == r4.KindResource {
			for _, always := range []string{"id", "meta"} {
				bit := slots(1) << t.Element([]byte(always)).Slot
				s.kept[i] |= bit
				s.mandatory[i] |= bit
			}
		}
	}
	return s
}

// Form is the part of a resource that is sent. The zero value is no form.
type Form struct {
	of *Subsets
	// how is what becomes of an element that no tree names.
	how form
	// trees are the elements asked for, by type.
	trees map[fhir.ResourceType]tree
}

type form uint8

const (
	formSummary form = iota + 1
	formText
	formData
	formElements
)

// Summary is _summary=true: the elements of the summary, at every depth, with
// those that must be there or change the meaning of the rest.
func (s *Subsets) Summary() *Form { return &Form{of: s, how: formSummary} }

// Text is _summary=text: the narrative, id, meta and what must be there.
func (s *Subsets) Text() *Form { return &Form{of: s, how: formText} }

// Data is _summary=data: all but the narrative.
func (s *Subsets) Data() *Form { return &Form{of: s, how: formData} }

// Append appends the part of the resource to dst, tagged as SUBSETTED. Values
// are copied byte for byte and in their order. A resource of a type that the
// form does not concern, or of none that R4 knows, is copied whole.
func (f *Form) Append(dst []byte, t *fhir.Tape) []byte {
	var room [40]byte
	typ := f.of.defs.ResourceBytes(t.Bytes(t.Field(t.Root(), "resourceType"), room[:0]))
	var asked tree
	if typ != nil && f.how == formElements {
		asked = f.trees[typ.Resource()]
	}
	if typ == nil || f.how == formElements && asked == nil {
		return append(dst, t.Source()...)
	}
	w := writer{of: f.of, t: t, out: dst}
	w.resource(typ, f.how, asked)
	return w.out
}

// writer copies what a form leaves of one resource.
type writer struct {
	of  *Subsets
	t   *fhir.Tape
	out []byte
}

// resource writes the outermost object. meta stands where it stood, or else
// behind resourceType and id.
func (w *writer) resource(typ *r4.Type, how form, asked tree) {
	t := w.t
	lacking := t.Field(t.Root(), "meta") == fhir.None
	w.out = append(w.out, '{')
	for n := t.First(t.Root()); n != fhir.None; n = t.Next(n) {
		switch name := string(t.Key(n)); name {
		case "resourceType":
			w.whole(n)
			continue
		case "meta":
			w.name(n)
			w.meta(n)
			continue
		default:
			if lacking && name != "id" {
				w.freshMeta()
				lacking = false
			}
		}
		w.member(n, typ, how, asked)
	}
	if lacking {
		w.freshMeta()
	}
	w.close('}')
}

// member writes a member of an object, or what is left of it.
func (w *writer) member(n fhir.Node, typ *r4.Type, how form, asked tree) {
	key := w.t.Key(n)
	sibling := len(key) > 0 && key[0] == '_'
	if sibling {
		key = key[1:]
	}
	e := typ.Element(key)
	if e == nil {
		return
	}
	switch how {
	case formSummary:
		if w.of.summary[typ.Number].has(e.Slot) {
			w.part(n, e, formSummary, nil)
		}
	case formText:
		if e.Name == "text" || w.of.mandatory[typ.Number].has(e.Slot) {
			w.whole(n)
		}
	case formData:
		if e.Name != "text" {
			w.whole(n)
		}
	case formElements:
		switch sub, ok := asked.under(e); {
		case ok && len(sub) > 0 && !sibling:
			w.part(n, e, formElements, sub)
		case ok, w.of.kept[typ.Number].has(e.Slot):
			w.whole(n)
		}
	}
}

// part writes what is left within a member. Where nothing is, the member is left
// out; but when it must be there, it is there as it was.
func (w *writer) part(n fhir.Node, e *r4.Element, how form, asked tree) {
	if e.Type.Kind == r4.KindPrimitive || e.Type.Kind == r4.KindResource || how == formSummary && w.of.summary[e.Type.Number] == 0 {
		w.whole(n)
		return
	}
	mark := len(w.out)
	w.name(n)
	written := false
	switch w.t.Kind(n) { //nolint:exhaustive // a part has members
	case fhir.Object:
		written = w.object(n, e.Type, how, asked)
	case fhir.Array:
		w.out = append(w.out, '[')
		for item := w.t.First(n); item != fhir.None; item = w.t.Next(item) {
			if w.t.Kind(item) == fhir.Object && w.object(item, e.Type, how, asked) {
				written = true
			}
		}
		w.close(']')
		w.out = append(w.out, ',')
	}
	if written {
		return
	}
	w.out = w.out[:mark]
	if e.Required() {
		w.whole(n)
	}
}

// object writes what is left of an object and a comma; false when nothing is.
func (w *writer) object(n fhir.Node, typ *r4.Type, how form, asked tree) bool {
	mark := len(w.out)
	w.out = append(w.out, '{')
	for m := w.t.First(n); m != fhir.None; m = w.t.Next(m) {
		w.member(m, typ, how, asked)
	}
	if len(w.out) == mark+1 {
		w.out = w.out[:mark]
		return false
	}
	w.close('}')
	w.out = append(w.out, ',')
	return true
}

// name writes the name of a member as it stands in the source.
func (w *writer) name(n fhir.Node) {
	start, end := w.t.KeySpan(n)
	w.out = append(append(w.out, w.t.Source()[start:end]...), ':')
}

// whole copies a member and writes a comma.
func (w *writer) whole(n fhir.Node) {
	w.name(n)
	w.out = append(append(w.out, w.t.Raw(n)...), ',')
}

// close ends an object or array, in place of the comma behind its last value.
func (w *writer) close(end byte) {
	if w.out[len(w.out)-1] == ',' {
		w.out = w.out[:len(w.out)-1]
	}
	w.out = append(w.out, end)
}

// tag marks a resource of which only a part is sent (R4 search.html#summary).
const (
	tagSystem = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	tagCode   = "SUBSETTED"
	tag       = `{"system":"` + tagSystem + `","code":"` + tagCode + `"}`
)

func (w *writer) freshMeta() { w.out = append(w.out, `"meta":{"tag":[`+tag+`]},`...) }

// meta copies meta, with the tag added when it is not there.
func (w *writer) meta(n fhir.Node) {
	t := w.t
	if t.Kind(n) != fhir.Object {
		w.out = append(w.out, `{"tag":[`+tag+`]},`...)
		return
	}
	src := t.Source()
	start, end := t.Span(n)
	tags := t.Field(n, "tag")
	tagsStart, tagsEnd := t.Span(tags)
	var edit fhir.Edit
	switch {
	case w.tagged(tags):
	case t.Kind(tags) == fhir.Array && t.First(tags) != fhir.None:
		edit = fhir.Edit{Start: tagsEnd - 1 - start, End: tagsEnd - 1 - start, Text: []byte("," + tag)}
	case tags != fhir.None:
		edit = fhir.Edit{Start: tagsStart - start, End: tagsEnd - start, Text: []byte("[" + tag + "]")}
	case t.First(n) != fhir.None:
		edit = fhir.Edit{Start: end - 1 - start, End: end - 1 - start, Text: []byte(`,"tag":[` + tag + "]")}
	default:
		edit = fhir.Edit{Start: 0, End: end - start, Text: []byte(`{"tag":[` + tag + "]}")}
	}
	w.out = append(fhir.Splice(w.out, src[start:end], []fhir.Edit{edit}), ',')
}

// tagged reports whether the tag is among those.
func (w *writer) tagged(tags fhir.Node) bool {
	if w.t.Kind(tags) != fhir.Array {
		return false
	}
	for n := w.t.First(tags); n != fhir.None; n = w.t.Next(n) {
		if w.t.Text(w.t.Field(n, "system")) == tagSystem && w.t.Text(w.t.Field(n, "code")) == tagCode {
			return true
		}
	}
	return false
}
