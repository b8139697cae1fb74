package patch

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/fhirpath"
	"vitrine/fhir/r4"
)

// change is one operation of FHIRPath Patch.
type change struct {
	defs *r4.Definitions
	op   string
	at   string
	prog *fhirpath.Program
	// list is the program of what holds the list that the path names, and member
	// the name of that list there; nil for paths of other forms.
	list   *fhirpath.Program
	member string
	name   string
	value  *value
	// index is that of an insertion; source and destination are those of a move.
	index, source, destination int
}

// value is content that came in a Parameters resource.
type value struct {
	// typ is the type of a value[x], or of a resource; nil for parts.
	typ *r4.Type
	// raw is its JSON, at node in the document, and aside that of its sibling with
	// the underscore.
	raw, aside []byte
	node       fhir.Node
	parts      []part
}

// part is one element of content that is not in a value[x].
type part struct {
	name  string
	value *value
}

// ParseParameters reads a FHIRPath Patch (R4 fhirpatch.html) from the resource on
// the tape, to which the document refers as long as it is used.
func ParseParameters(t *fhir.Tape, defs *r4.Definitions) (*Document, error) {
	if t.Text(t.Field(t.Root(), "resourceType")) != "Parameters" {
		return nil, fault(ErrMalformed, "a FHIRPath Patch is a Parameters resource")
	}
	list := t.Field(t.Root(), "parameter")
	if list != fhir.None && t.Kind(list) != fhir.Array {
		return nil, fault(ErrMalformed, "parameter must be a list")
	}
	d := &Document{}
	r := reader{t: t, defs: defs, parameter: defs.Type("Parameters.parameter")}
	for n := t.First(list); n != fhir.None; n = t.Next(n) {
		if len(d.steps) == operationsMost {
			return nil, fault(ErrTooMuch, "the patch has too many operations")
		}
		c, err := r.change(n)
		if known := (*Error)(nil); errors.As(err, &known) {
			known.Index, known.At = len(d.steps), r.at
		}
		if err != nil {
			return nil, err
		}
		d.steps = append(d.steps, c)
	}
	return d, nil
}

// reader reads operations from a Parameters resource.
type reader struct {
	t         *fhir.Tape
	defs      *r4.Definitions
	parameter *r4.Type
	// at is the path of the operation being read.
	at string
}

// change reads one operation.
func (r *reader) change(n fhir.Node) (*change, error) {
	r.at = ""
	if r.t.Text(r.t.Field(n, "name")) != "operation" {
		return nil, fault(ErrMalformed, "every parameter must be an operation")
	}
	parts, err := r.parts(n)
	if err != nil {
		return nil, err
	}
	c := &change{defs: r.defs, index: -1, source: -1, destination: -1}
	seen := map[string]bool{}
	for _, p := range parts {
		if seen[p.name] {
			return nil, fault(ErrMalformed, "a part of an operation must not be repeated")
		}
		seen[p.name] = true
		if err := r.file(c, p); err != nil {
			return nil, err
		}
	}
	r.at = c.at
	for _, name := range needed(c.op) {
		if !seen[name] {
			return nil, fault(ErrMalformed, "the part "+name+" is required")
		}
	}
	return c, c.compile()
}

// needed are the parts that an operation must have.
func needed(op string) []string {
	switch op {
	case "add":
		return []string{"path", "name", "value"}
	case "insert":
		return []string{"path", "index", "value"}
	case "replace":
		return []string{"path", "value"}
	case "move":
		return []string{"path", "source", "destination"}
	default:
		return []string{"type", "path"}
	}
}

// file files one part.
func (r *reader) file(c *change, p part) (err error) {
	switch p.name {
	case "type":
		c.op, err = r.text(p, "code", "string")
		switch c.op {
		case "add", "insert", "delete", "replace", "move":
		default:
			return fault(ErrMalformed, "type must be one of add, insert, delete, replace and move")
		}
	case "path":
		c.at, err = r.text(p, "string")
	case "name":
		c.name, err = r.text(p, "string")
	case "value":
		c.value = p.value
	case "index":
		c.index, err = p.place()
	case "source":
		c.source, err = p.place()
	case "destination":
		c.destination, err = p.place()
	default:
		return fault(ErrMalformed, "a part must be one of type, path, name, value, index, source and destination")
	}
	return err
}

// text is the string in the part, of one of the types.
func (r *reader) text(p part, types ...string) (string, error) {
	if p.value.typ == nil || !slices.Contains(types, p.value.typ.Name) || r.t.Kind(p.value.node) != fhir.String {
		return "", fault(ErrMalformed, "the part "+p.name+" must be a "+types[0])
	}
	return r.t.Text(p.value.node), nil
}

// place is the place in a list in the part.
func (p part) place() (int, error) {
	if p.value.typ != nil && p.value.typ.Name == "integer" {
		if at, err := strconv.Atoi(string(p.value.raw)); err == nil && at >= 0 {
			return at, nil
		}
	}
	return 0, fault(ErrMalformed, "the part "+p.name+" must be an integer from 0")
}

// parts reads the parts of a parameter or of a part.
func (r *reader) parts(n fhir.Node) (out []part, err error) {
	list := r.t.Field(n, "part")
	if r.t.Kind(list) != fhir.Array {
		return nil, fault(ErrMalformed, "an operation has parts")
	}
	for c := r.t.First(list); c != fhir.None; c = r.t.Next(c) {
		name := r.t.Field(c, "name")
		if r.t.Kind(name) != fhir.String {
			return nil, fault(ErrMalformed, "a part must have a name")
		}
		v, err := r.value(c)
		if err != nil {
			return nil, err
		}
		out = append(out, part{name: r.t.Text(name), value: v})
	}
	return out, nil
}

// value reads the content of a part: one value[x], a resource, or parts.
func (r *reader) value(n fhir.Node) (*value, error) {
	v := &value{node: fhir.None}
	found := 0
	for c := r.t.First(n); c != fhir.None; c = r.t.Next(c) {
		fresh, err := r.take(v, n, c, string(r.t.Key(c)))
		if err != nil {
			return nil, err
		}
		if fresh {
			found++
		}
	}
	if found != 1 {
		return nil, fault(ErrMalformed, "a part has one value, or a resource, or parts")
	}
	return v, nil
}

// take takes one member of the part n into its content; fresh says that it is
// content, and not that of its sibling.
func (r *reader) take(v *value, n, c fhir.Node, key string) (fresh bool, err error) {
	switch key {
	case "name", "id", "_name", "extension", "modifierExtension":
		return false, nil
	case "part":
		v.parts, err = r.parts(n)
		return true, err
	case "resource":
		v.typ, v.raw = r.defs.ResourceBytes(r.t.Bytes(r.t.Field(c, "resourceType"), nil)), r.t.Raw(c)
		if v.typ == nil {
			return false, fault(ErrMalformed, "the resource of a part must be one of R4")
		}
		return true, nil
	}
	el := r.parameter.Element([]byte(strings.TrimPrefix(key, "_")))
	if el == nil || el.Choice != "value" || (v.typ != nil && v.typ != el.Type) {
		return false, fault(ErrMalformed, "a part has one value of a type that R4 gives it, or a resource, or parts")
	}
	fresh, v.typ = v.typ == nil, el.Type
	if key[0] == '_' {
		v.aside = r.t.Raw(c)
	} else {
		v.raw, v.node = r.t.Raw(c), c
	}
	return fresh, nil
}
