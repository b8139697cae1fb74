package search

import (
	"bytes"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
)

// reference adds a Reference in every form it may be asked for (R4
// search.html#reference).
func (w *walker) reference(a *action, n fhir.Node) {
	literal := w.field(n, "reference", 0)
	elsewhere := len(literal) > 0 && !w.pointsTo(a, n, literal)
	if len(literal) > 0 && !elsewhere {
		w.literal(a.param, literal)
		w.contained(literal)
	}
	identifier := w.tape.Field(n, "identifier")
	if identifier == fhir.None {
		return
	}
	if typ := w.field(n, "type", 2); a.resolves != "" && len(typ) > 0 && string(afterSlash(typ)) != a.resolves {
		return
	}
	system, value := w.field(identifier, "system", 2), w.field(identifier, "value", 3)
	if !elsewhere {
		w.out.addToken(a.param, []byte{tagIdentifier}, system, value, true)
	}
	if a.resolves != "" && a.resolves != "Patient" {
		return
	}
	w.identifies(system, value)
}

// identifies notes the patient for whom an identifier stands. Composites are made
// of what is said alone.
func (w *walker) identifies(system, value []byte) {
	if w.parts != nil {
		return
	}
	for _, l := range w.links {
		if l.Identifier.System == string(system) && l.Identifier.Value == string(value) {
			w.linked = append(w.linked, l.Patient)
		}
	}
}

// contained notes the patient for whom a contained Patient stands.
func (w *walker) contained(literal []byte) {
	if len(w.links) == 0 || len(literal) < 2 || literal[0] != '#' {
		return
	}
	t := w.tape
	for c := t.First(t.Field(t.Root(), "contained")); c != fhir.None; c = t.Next(c) {
		if string(w.field(c, "resourceType", 1)) != "Patient" || string(w.field(c, "id", 1)) != string(literal[1:]) {
			continue
		}
		for i := t.First(t.Field(c, "identifier")); i != fhir.None; i = t.Next(i) {
			w.identifies(w.field(i, "system", 2), w.field(i, "value", 3))
		}
	}
}

// pointsTo reports whether a reference points to the type the parameter wants.
func (w *walker) pointsTo(a *action, n fhir.Node, literal []byte) bool {
	if a.resolves == "" {
		return true
	}
	if l, ok := w.local(literal); ok {
		return string(l.typ) == a.resolves
	}
	return fhirpath.TargetType(w.tape, n) == a.resolves
}

// local is a reference to a resource of this server, taken apart.
type local struct {
	whole, unversioned, typ []byte
}

// local understands Type/id and Type/id/_history/version, relative or below our
// base.
func (t *table) local(s []byte) (l local, ok bool) {
	if rest, own := bytes.CutPrefix(s, []byte(t.base)); own {
		s = rest
	}
	slash := bytes.IndexByte(s, '/')
	if slash <= 0 || t.defs.ResourceBytes(s[:slash]) == nil {
		return local{}, false
	}
	l = local{whole: s, unversioned: s, typ: s[:slash]}
	id := s[slash+1:]
	if i := bytes.IndexByte(id, '/'); i >= 0 {
		version, ok := bytes.CutPrefix(id[i:], []byte("/_history/"))
		if !ok || !isID(version) {
			return local{}, false
		}
		id, l.unversioned = id[:i], s[:slash+1+i]
	}
	return l, isID(id)
}

// literal adds a literal reference, with and without its version.
func (w *walker) literal(p Param, s []byte) {
	if !legible(s) || s[0] == '#' {
		return // a contained resource is nothing a search from outside can name
	}
	if l, ok := w.local(s); ok {
		w.addReference(p, l.unversioned)
		if len(l.whole) != len(l.unversioned) {
			w.addReference(p, l.whole)
		}
		return
	}
	if bytes.IndexByte(s, ':') < 0 {
		return // neither local nor absolute
	}
	w.addReference(p, s)
	if i := bytes.Index(s, []byte("/_history/")); i > 0 {
		w.addReference(p, s[:i])
	}
}

func (w *walker) addReference(p Param, s []byte) {
	at := w.out.begin(tagReference)
	w.out.buf = appendPart(w.out.buf, s)
	w.out.commit(p, at)
}

// canonical adds a canonical URL with and without its version (R4
// search.html#versions), under the tag of the parameter's kind.
func (w *walker) canonical(a *action, s []byte) {
	if !legible(s) || s[0] == '#' {
		return
	}
	if l, ok := w.local(s); ok {
		s = l.whole
	}
	w.addCanonical(a, s)
	if i := bytes.LastIndexByte(s, '|'); i > 0 {
		w.addCanonical(a, s[:i])
	}
}

func (w *walker) addCanonical(a *action, s []byte) {
	tag := byte(tagReference)
	if a.uri {
		tag = tagURI
	}
	at := w.out.begin(tag)
	w.out.buf = appendPart(w.out.buf, s)
	w.out.commit(a.param, at)
}

// inline adds a resource that stands in another in place of a reference, as the
// Composition of a document does.
func (w *walker) inline(a *action, n fhir.Node) {
	typ, id := w.field(n, "resourceType", 0), w.field(n, "id", 1)
	if w.defs.ResourceBytes(typ) == nil || !isID(id) || a.resolves != "" && string(typ) != a.resolves {
		return
	}
	at := w.out.begin(tagReference)
	w.out.buf = append(append(append(w.out.buf, typ...), '/'), id...)
	w.out.commit(a.param, at)
}

func afterSlash(s []byte) []byte { return s[bytes.LastIndexByte(s, '/')+1:] }

// isID reports whether s is an id (R4 datatypes.html#id).
func isID(s []byte) bool {
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', isDigit(c), c == '-', c == '.':
		default:
			return false
		}
	}
	return len(s) > 0 && len(s) <= 64
}
