// Package basic owns the basic set: which types and which of their elements are
// released whatever the patient restricts, and the making of the basic edition
// of a resource. It does not decide who is shown it, which is consent's, and it
// does not keep or number editions, which is gate's.
package basic

import (
	"slices"

	"vitrine/fhir"
)

// Set is a basic set, ready for use. It is safe for concurrent use.
type Set struct {
	cfg   Config
	types map[string]elements
}

// Version is the name and the version of the set, such as "nehr-basic/1".
func (s *Set) Version() string { return s.cfg.Name + "/" + s.cfg.Version }

// meta marks the edition as less than the resource (R4 resource.html#Meta).
const meta = `"meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}`

// IdentifierSystems are the systems of NRIC and FIN. The slice is shared and must
// not be changed.
func (s *Set) IdentifierSystems() []string { return s.cfg.IdentifierSystems }

// Edition appends the basic edition of the resource to dst, without
// meta.versionId and meta.lastUpdated. ok is false for a type that has none.
// Values are copied byte for byte and in their order. Only what is listed
// passes: no other element, and of those listed no id, no extension, no
// contained resource and no narrative, in which anything might be written.
func (s *Set) Edition(t *fhir.Tape, dst []byte) (out []byte, ok bool) {
	typ := t.Text(t.Field(t.Root(), "resourceType"))
	tree, ok := s.types[typ]
	if !ok {
		return dst, false
	}
	dst = append(dst, `{"resourceType":`...)
	dst = fhir.AppendString(dst, typ)
	if id := t.Field(t.Root(), "id"); t.Kind(id) == fhir.String {
		dst = append(dst, `,"id":`...)
		dst = append(dst, t.Raw(id)...)
	}
	dst = append(append(dst, ','), meta...)
	w := writer{set: s, tape: t, out: append(dst, ',')}
	w.members(t.Root(), tree)
	out = w.out
	if out[len(out)-1] == ',' {
		out = out[:len(out)-1]
	}
	return append(out, '}'), true
}

// writer copies what is released of one resource. Each of its methods leaves a
// comma after what it wrote, and nothing when it wrote nothing.
type writer struct {
	set  *Set
	tape *fhir.Tape
	out  []byte
}

// members copies the released members of an object.
func (w *writer) members(object fhir.Node, tree elements) {
	t := w.tape
	for n := t.First(object); n != fhir.None; n = t.Next(n) {
		key := t.Key(n)
		if len(key) > 1 && key[0] == '_' && t.Field(object, string(key[1:])) == fhir.None {
			if tree[string(key[1:])] != nil {
				w.excuse(key, n)
			}
			continue
		}
		e := tree[string(key)]
		if e == nil || (e.unless != "" && w.coded(t.Field(object, e.unless))) {
			continue
		}
		mark := len(w.out)
		w.out = append(fhir.AppendString(w.out, string(key)), ':')
		if written := len(w.out); w.value(n, e) && len(w.out) > written {
			continue
		}
		w.out = w.out[:mark]
	}
}

// value copies a value; false when nothing of it is released.
func (w *writer) value(n fhir.Node, e *element) bool {
	switch w.tape.Kind(n) {
	case fhir.Array:
		return w.array(n, e)
	case fhir.Object:
		if e.sub == nil || (e.keep != nil && !e.keep(w.set, w.tape, n)) {
			return false
		}
		return w.object(n, e)
	case fhir.String, fhir.Number, fhir.True, fhir.False:
		if e.sub != nil {
			return false
		}
		w.out = append(append(w.out, w.tape.Raw(n)...), ',')
		return true
	case fhir.Invalid, fhir.Null:
		return false
	default:
		return false
	}
}

func (w *writer) object(n fhir.Node, e *element) bool {
	mark := len(w.out)
	w.out = append(w.out, '{')
	w.members(n, e.sub)
	if len(w.out) == mark+1 {
		if r := absence(w.tape, n); r != fhir.None {
			w.out = append(append(w.appendAbsence(r), '}'), ',')
			return true
		}
		w.out = w.out[:mark]
		return false
	}
	w.out[len(w.out)-1] = '}'
	w.out = append(w.out, ',')
	return true
}

func (w *writer) array(n fhir.Node, e *element) bool {
	mark := len(w.out)
	w.out = append(w.out, '[')
	keep := e.keep
	if e.fallback && !w.keepsAny(n, e) {
		keep = nil
	}
	for c := w.tape.First(n); c != fhir.None; c = w.tape.Next(c) {
		if w.tape.Kind(c) != fhir.Array {
			w.value(c, &element{sub: e.sub, keep: keep})
		}
	}
	if len(w.out) == mark+1 {
		w.out = w.out[:mark]
		return false
	}
	w.out[len(w.out)-1] = ']'
	w.out = append(w.out, ',')
	return true
}

func (w *writer) keepsAny(array fhir.Node, e *element) bool {
	for c := w.tape.First(array); c != fhir.None; c = w.tape.Next(c) {
		if e.keep(w.set, w.tape, c) {
			return true
		}
	}
	return false
}

// coded reports whether some concept in the array has a code.
func (w *writer) coded(concepts fhir.Node) bool {
	t := w.tape
	for c := t.First(concepts); c != fhir.None; c = t.Next(c) {
		for n := t.First(t.Field(c, "coding")); n != fhir.None; n = t.Next(n) {
			if t.Kind(t.Field(n, "code")) == fhir.String {
				return true
			}
		}
	}
	return false
}

// excuse copies the reason why a primitive is absent: without it a required
// element would be missing.
func (w *writer) excuse(key []byte, n fhir.Node) {
	r := absence(w.tape, n)
	if r == fhir.None {
		return
	}
	w.out = append(fhir.AppendString(w.out, string(key)), ":{"...)
	w.out = append(append(w.appendAbsence(r), '}'), ',')
}

const absenceURL = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

// absence is the code of data-absent-reason (R4
// extension-data-absent-reason.html), or None. A word with anything but letters
// and hyphens is no code of it.
func absence(t *fhir.Tape, n fhir.Node) fhir.Node {
	for e := t.First(t.Field(n, "extension")); e != fhir.None; e = t.Next(e) {
		v := t.Field(e, "valueCode")
		if t.Text(t.Field(e, "url")) != absenceURL || t.Kind(v) != fhir.String {
			continue
		}
		if isWord(t.Bytes(v, nil)) {
			return v
		}
	}
	return fhir.None
}

func isWord(b []byte) bool {
	return len(b) > 0 && len(b) <= 20 && !slices.ContainsFunc(b, func(c byte) bool {
		return (c < 'a' || c > 'z') && c != '-'
	})
}

func (w *writer) appendAbsence(code fhir.Node) []byte {
	dst := append(w.out, `"extension":[{"url":"`+absenceURL+`","valueCode":`...)
	return append(append(dst, w.tape.Raw(code)...), "}]"...)
}

// releasedIdentifier keeps the identifiers of the listed systems: any other
// says where the patient is treated.
func (s *Set) releasedIdentifier(t *fhir.Tape, n fhir.Node) bool {
	return s.Identifies(t.Text(t.Field(n, "system")))
}

// Identifies reports whether the identifiers of a system are released of a
// Patient: whoever knows one learns nothing by what it finds.
func (s *Set) Identifies(system string) bool { return slices.Contains(s.cfg.IdentifierSystems, system) }

// currentName keeps the names in use.
func (s *Set) currentName(t *fhir.Tape, n fhir.Node) bool {
	switch t.Text(t.Field(n, "use")) {
	case "", "official", "usual":
		return true
	default:
		return false
	}
}

func (s *Set) race(t *fhir.Tape, n fhir.Node) bool {
	return slices.Contains(s.cfg.RaceExtensions, t.Text(t.Field(n, "url"))) &&
		(t.Field(n, "extension") != fhir.None || hasValue(t, n))
}

// hasValue reports whether the extension has a value that is released: one
// without any would not be valid (R4 extensibility.html, ext-1).
func hasValue(t *fhir.Tape, n fhir.Node) bool {
	return slices.ContainsFunc([]string{"valueString", "valueCode", "valueCoding", "valueCodeableConcept"}, func(name string) bool {
		return t.Field(n, name) != fhir.None
	})
}

// racePart keeps the parts of the extension of US Core, the only one in use
// that has any.
func (s *Set) racePart(t *fhir.Tape, n fhir.Node) bool {
	switch t.Text(t.Field(n, "url")) {
	case "ombCategory", "detailed", "text":
		return hasValue(t, n)
	default:
		return false
	}
}
