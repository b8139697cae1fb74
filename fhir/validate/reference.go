package validate

import (
	"bytes"
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// literal checks the form of a literal reference, and that it leads to a type
// the element may refer to (R4 references.html#literal).
func (w *walker) literal(n fhir.Node, e *r4.Element) {
	w.said(w.t.Field(n, "type"), e)
	ref := w.t.Field(n, "reference")
	if w.t.Kind(ref) != fhir.String {
		return
	}
	var room [128]byte
	text := w.t.Bytes(ref, room[:])
	switch {
	case len(text) == 0:
		return // reported as empty
	case text[0] == '#' && (len(text) == 1 || isID(text[1:])):
		w.locals = append(w.locals, local{ref, e})
		return
	case isUUID(text):
		return
	}
	if typ, known := w.relative(text); known {
		w.target(ref, e, typ)
		return
	}
	r := fhir.ParseReference(string(text), "")
	if r.Form == fhir.RefInvalid || r.Form == fhir.RefLocal { // a local one of no known type
		w.fail(ref, fhir.CodeValue,
			"reference must be Type/id with a type of R4, an absolute URL, #id or urn:uuid:…")
		return
	}
	if r.Form == fhir.RefConditional {
		if !w.bundled {
			w.fail(ref, fhir.CodeInvalid, "a conditional reference (Type?query) is for entries of a transaction alone; refer by Type/id")
			w.broken++ // the structure is none the worse for it
			return
		}
		w.target(ref, e, w.defs.Resource(string(r.Type)))
		return
	}
	w.target(ref, e, w.elsewhere(text))
}

// target checks the type that a reference leads to; nil when it cannot be told.
func (w *walker) target(ref fhir.Node, e *r4.Element, typ *r4.Type) {
	if w.rules && !w.full() && typ != nil && e.Targets != nil && !slices.Contains(e.Targets, typ.Resource()) {
		w.fail(ref, fhir.CodeValue, e.Name+" must not refer to "+typ.Name)
		w.broken++ // the structure is none the worse for it
	}
}

// said checks Reference.type, where it names a type of R4.
func (w *walker) said(n fhir.Node, e *r4.Element) {
	if n == fhir.None || e.Targets == nil {
		return
	}
	var room [64]byte
	name := bytes.TrimPrefix(w.t.Bytes(n, room[:]), []byte(coreCanon))
	w.target(n, e, w.defs.ResourceBytes(name))
}

// relative is the type of a reference of the form Type/id or
// Type/id/_history/version; known is false for every other form.
func (w *walker) relative(text []byte) (typ *r4.Type, known bool) {
	name, rest, ok := bytes.Cut(text, []byte{'/'})
	if !ok {
		return nil, false
	}
	id, version, versioned := bytes.Cut(rest, []byte("/_history/"))
	if !okID(id) || versioned && !okID(version) {
		return nil, false
	}
	typ = w.v.defs.ResourceBytes(name)
	return typ, typ != nil
}

// elsewhere is the type of a reference to another server, where its URL has the
// form that RESTful servers give it (R4 references.html#literal).
func (w *walker) elsewhere(text []byte) *r4.Type {
	text, _, _ = bytes.Cut(text, []byte("/_history/"))
	end := bytes.LastIndexByte(text, '/')
	if end < 0 || !okID(text[end+1:]) {
		return nil
	}
	text = text[:end]
	return w.v.defs.ResourceBytes(text[bytes.LastIndexByte(text, '/')+1:])
}

// okID leaves . and .. to the slower way, which refuses them.
func okID(id []byte) bool { return isID(id) && string(id) != "." && string(id) != ".." }
