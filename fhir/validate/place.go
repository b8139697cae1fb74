package validate

import (
	"strconv"

	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// expression is the FHIRPath of a node, and of a child of it when one is named.
// It ends where a name is no element's and cannot be repeated.
func (r *reporter) expression(target fhir.Node, child string) string {
	n, typ := r.t.Root(), r.typeOf(r.t.Root())
	out := []byte("Resource")
	if typ != nil {
		out = append(out[:0], typ.Name...)
	}
	for n != target {
		next, at := r.towards(n, target)
		if next == fhir.None {
			break
		}
		if r.t.Kind(n) == fhir.Array {
			out = append(strconv.AppendInt(append(out, '['), int64(at), 10), ']')
		} else {
			var name string
			if name, typ = member(r.t.Key(next), typ); name == "" {
				return string(out)
			}
			out = append(append(out, '.'), name...)
		}
		if n = next; typ != nil && typ.Kind == r4.KindResource && r.t.Kind(n) == fhir.Object {
			typ = r.typeOf(n)
		}
	}
	if child != "" {
		out = append(append(out, '.'), child...)
	}
	return string(out)
}

// towards is the child of n that is the target or has it within, and its place.
func (r *reporter) towards(n, target fhir.Node) (child fhir.Node, at int) {
	child = r.t.First(n)
	if child == fhir.None || child > target {
		return fhir.None, 0
	}
	for next := r.t.Next(child); next != fhir.None && next <= target; next = r.t.Next(child) {
		child, at = next, at+1
	}
	return child, at
}

// typeOf is the type of a resource; nil when it says none of R4's.
func (r *reporter) typeOf(resource fhir.Node) *r4.Type {
	var room [64]byte
	return r.defs.ResourceBytes(r.t.Bytes(r.t.Field(resource, "resourceType"), room[:]))
}

// member is the name of a member in an expression, and its type as far as it is
// known.
func member(key []byte, typ *r4.Type) (string, *r4.Type) {
	if typ != nil {
		bare := key
		if len(key) > 0 && key[0] == '_' {
			bare = key[1:]
		}
		if e := typ.Element(bare); e != nil {
			if e.Choice != "" {
				return e.Choice, e.Type
			}
			return e.Name, e.Type
		}
	}
	if presentable(key) {
		return string(key), nil
	}
	return "", nil
}
