package fhirpath

import (
	"strings"

	"vitrine/fhir"
)

// TargetType is the resource type a Reference points to, told without reading
// anything else: from a contained resource, from the literal reference, or from
// Reference.type. It is empty when it cannot be told.
func TargetType(t *fhir.Tape, ref fhir.Node) string {
	literal := t.Text(t.Field(ref, "reference"))
	if fragment, ok := strings.CutPrefix(literal, "#"); ok {
		return containedType(t, fragment)
	}
	if typ := literalType(literal); typ != "" {
		return typ
	}
	typ := t.Text(t.Field(ref, "type"))
	return typ[strings.LastIndexByte(typ, '/')+1:]
}

func containedType(t *fhir.Tape, id string) string {
	if id == "" {
		return t.Text(t.Field(t.Root(), "resourceType"))
	}
	list := t.Field(t.Root(), "contained")
	for c := t.First(list); c != fhir.None; c = t.Next(c) {
		if t.Text(t.Field(c, "id")) == id {
			return t.Text(t.Field(c, "resourceType"))
		}
	}
	return ""
}

// literalType is the type before the id in Type/id, …/Type/id/_history/v or
// Type?query.
func literalType(s string) string {
	if strings.HasPrefix(s, "urn:") {
		return ""
	}
	if i := strings.IndexByte(s, '?'); i >= 0 {
		return asType(s[:i])
	}
	if i := strings.Index(s, "/_history/"); i >= 0 {
		s = s[:i]
	}
	slash := strings.LastIndexByte(s, '/')
	if slash < 0 {
		return ""
	}
	return asType(s[:slash])
}

// asType is the last segment of a path when it can be a type's name.
func asType(s string) string {
	s = s[strings.LastIndexByte(s, '/')+1:]
	if !isTypeName(s) {
		return ""
	}
	for i := range len(s) {
		if !isLetter(s[i]) {
			return ""
		}
	}
	return s
}

// SameType compares a type with the name an expression gives it. R4 itself
// writes DateTime for dateTime, so the first letter counts for nothing where
// the names are otherwise equal.
func SameType(name, written string) bool {
	return name == written || len(name) == len(written) && name != "" && name[1:] == written[1:] &&
		strings.EqualFold(name[:1], written[:1])
}
