package fhirpath

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"vitrine/fhir/r4"
)

// element is an element of a resource in XML.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
	Inner    string     `xml:",innerxml"`
}

func (e *element) attr(name string) (string, bool) {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// resourceFromXML makes JSON of a resource of the suite. It knows what those
// have, not the whole format.
func resourceFromXML(t *testing.T, d *r4.Definitions, src []byte) string {
	t.Helper()
	var root element
	if err := xml.Unmarshal(src, &root); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(resourceOf(t, d, &root))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func resourceOf(t *testing.T, d *r4.Definitions, e *element) map[string]any {
	t.Helper()
	out := objectOf(t, d, d.Resource(e.XMLName.Local), e)
	out["resourceType"] = e.XMLName.Local
	return out
}

func objectOf(t *testing.T, d *r4.Definitions, typ *r4.Type, e *element) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, name := range []string{"id", "url"} {
		if v, ok := e.attr(name); ok {
			out[name] = v
		}
	}
	for i := range e.Children {
		c := &e.Children[i]
		el := typ.Element([]byte(c.XMLName.Local))
		if el == nil {
			t.Fatalf("%s has no %s", typ.Name, c.XMLName.Local)
		}
		value, beside := valueOf(t, d, el.Type, c)
		put(out, el.Name, value, el.Repeats())
		if beside != nil {
			put(out, "_"+el.Name, beside, el.Repeats())
		}
	}
	return out
}

func put(out map[string]any, name string, value any, repeats bool) {
	switch list, _ := out[name].([]any); {
	case repeats:
		out[name] = append(list, value)
	case value != nil:
		out[name] = value
	}
}

// valueOf is the value of an element, and what stands beside it in JSON.
func valueOf(t *testing.T, d *r4.Definitions, typ *r4.Type, e *element) (value, beside any) {
	t.Helper()
	if typ.Name == "Resource" {
		return resourceOf(t, d, &e.Children[0]), nil
	}
	if typ.Kind != r4.KindPrimitive {
		return objectOf(t, d, typ, e), nil
	}
	if typ.Primitive == r4.PrimitiveXHTML {
		return `<div xmlns="http://www.w3.org/1999/xhtml">` + e.Inner + `</div>`, nil
	}
	if extra := objectOf(t, d, typ, e); len(extra) > 0 {
		beside = extra
	}
	text, ok := e.attr("value")
	if !ok {
		return nil, beside
	}
	switch typ.Primitive { //nolint:exhaustive // the others are strings
	case r4.PrimitiveBoolean:
		return text == "true", beside
	case r4.PrimitiveInteger, r4.PrimitivePositiveInt, r4.PrimitiveUnsignedInt, r4.PrimitiveDecimal:
		return json.Number(text), beside
	}
	return strings.TrimSpace(text), beside
}
