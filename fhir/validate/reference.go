package validate

import (
	"bytes"
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// literal checks the form of a literal reference, and that it leads to a type
// the element may refer to (R4 references.html#literal). The latter is a warning:
// some of the specification's own examples break it.
func (w *walker) literal(n fhir.Node, e *r4.Element) {
	ref := w.t.Field(n, "reference")
	if w.t.Kind(ref) != fhir.String {
		return
	}
	var room [128]byte
	text := w.t.Bytes(ref, room[:])
	typ, known := w.relative(text)
	switch {
	case known:
	case len(text) > 0 && text[0] == '#' && (len(text) == 1 || isID(text[1:])), isUUID(text):
		return
	default:
		r := fhir.ParseReference(string(text), "")
		if r.Form == fhir.RefInvalid || r.Form == fhir.RefLocal { // a local one of no known type
			w.add(severity(e.Path), ref, "", fhir.CodeValue,
				"reference must be Type/id with a type of R4, an absolute URL, #id or urn:uuid:…")
		}
		return
	}
	if e.Targets != nil && !slices.Contains(e.Targets, typ.Resource()) {
		w.warn(ref, fhir.CodeValue, e.Name+" should not refer to "+typ.Name)
	}
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

// okID leaves . and .. to the slower way, which refuses them.
func okID(id []byte) bool { return isID(id) && string(id) != "." && string(id) != ".." }
