package gate

import (
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// linkMost is how long a string may be that is taken for a link.
const linkMost = 2048

// links finds what may lead from a resource to another, by what R4 says of the
// elements and not by how they look: literal references, elements of the types
// uri, url, oid and uuid, and the links of narratives (R4 http.html#trules).
// Canonicals stay, as R4 says. So do names: of systems, of extensions, and of the
// definition that a resource is. Nobody follows them.
type links struct {
	defs *r4.Definitions
	tape *fhir.Tape
	// found is told of each link: where it stands, what it says, and what it is. Of
	// a narrative it has to read itself what it says.
	found func(n fhir.Node, said []byte, kind linkKind) error
	// room is where what is escaped is decoded; it is never part of the source.
	room [256]byte
}

// linkKind tells the places apart in which a link may stand.
type linkKind uint8

const (
	linkReference linkKind = iota + 1 // Reference.reference
	linkURI                           // an element of type uri or url
	linkNarrative                     // a whole narrative
)

// resource walks an object that is a resource.
func (l *links) resource(n fhir.Node) error {
	name := l.tape.Field(n, "resourceType")
	if l.tape.Kind(name) != fhir.String {
		return nil
	}
	if t := l.defs.ResourceBytes(l.tape.Bytes(name, l.room[:0])); t != nil {
		return l.object(n, t)
	}
	return nil
}

// object walks the members of an object of the type. What is not R4 is passed
// over: it will be refused.
func (l *links) object(n fhir.Node, t *r4.Type) error {
	for m := l.tape.First(n); m != fhir.None; m = l.tape.Next(m) {
		key := l.tape.Key(m)
		beside := len(key) > 0 && key[0] == '_'
		if beside {
			key = key[1:]
		}
		e := t.Element(key)
		if e == nil {
			continue
		}
		if l.tape.Kind(m) != fhir.Array {
			if err := l.value(m, t, e); err != nil {
				return err
			}
			continue
		}
		for item := l.tape.First(m); item != fhir.None; item = l.tape.Next(item) {
			if err := l.value(item, t, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// value walks one value of an element of t.
func (l *links) value(n fhir.Node, t *r4.Type, e *r4.Element) error {
	switch l.tape.Kind(n) {
	case fhir.Object:
		if e.Type.Kind == r4.KindResource {
			return l.resource(n)
		}
		return l.object(n, e.Type) // of a primitive: its extensions
	case fhir.String:
		kind := kindOf(t, e)
		start, end := l.tape.Span(n)
		if kind == 0 || kind != linkNarrative && end-start > linkMost {
			return nil
		}
		if kind == linkNarrative {
			return l.found(n, nil, kind)
		}
		return l.found(n, l.tape.Bytes(n, l.room[:0]), kind)
	case fhir.Array, fhir.Number, fhir.True, fhir.False, fhir.Null, fhir.Invalid:
	}
	return nil
}

// kindOf is what kind of link an element of the type is; zero for none.
func kindOf(t *r4.Type, e *r4.Element) linkKind {
	switch e.Type.Primitive { //nolint:exhaustive // the others hold no links
	case r4.PrimitiveString:
		if t.Name == "Reference" && e.Name == "reference" {
			return linkReference
		}
	case r4.PrimitiveURI, r4.PrimitiveURL:
		if e.Name == "system" || e.Name == "url" && (t.Name == "Extension" || t.Kind == r4.KindResource) {
			return 0
		}
		return linkURI
	case r4.PrimitiveXHTML:
		return linkNarrative
	}
	return 0
}

// rootOf is the base of a RESTful address, with the slash at its end, and what
// follows it; ok is false for every other address (R4 references.html#regex).
func rootOf(address string) (root, local string, ok bool) {
	i := strings.LastIndexByte(address, '/')
	if i < 0 {
		return "", "", false
	}
	if i = strings.LastIndexByte(address[:i], '/'); i < 0 || !strings.HasPrefix(address, "http") {
		return "", "", false
	}
	r := fhir.ParseReference(address[i+1:], "")
	return address[:i+1], address[i+1:], r.Form == fhir.RefLocal && r.Version == ""
}
