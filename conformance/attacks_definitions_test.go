package conformance

import (
	"net/http"
	"testing"
)

// definition is a StructureDefinition that asks something of an element.
func definition(name, typ, kind, path string, asks object) object {
	element := with(asks, "id", path)
	element["path"] = path
	o := object{
		"resourceType": "StructureDefinition", "url": "http://x.example/" + name, "name": "P", "status": "active", "kind": kind, "abstract": false,
		"type": typ, "baseDefinition": "http://hl7.org/fhir/StructureDefinition/" + typ, "derivation": "constraint",
		"differential": object{"element": []any{object{"id": typ, "path": typ}, element}},
	}
	if typ == "Extension" {
		o["context"] = []any{object{"type": "element", "expression": "Condition"}}
	}
	return o
}

// A clinic contributes definitions of profiles and extensions that others use, so
// that others' writes fail, or tell that it did. They bind the clinic alone; the
// custodian's bind everybody, as long as they are there.
func TestAttackDefinitionsForOthers(t *testing.T) {
	t.Parallel()
	c := newCast(t)
	systemC := c.system(t, "c")
	profile := definition("p", "Condition", "resource", "Condition.abatement[x]", object{"min": 1})
	extension := definition("e", "Extension", "complex-type", "Extension.value[x]", object{"type": []any{object{"code": "code"}}})
	claims := with(without(condition("q", ""), "id"), "meta", object{"profile": []any{"http://x.example/p"}})
	extended := with(without(condition("q", ""), "id"), "extension", []any{object{"url": "http://x.example/e", "valueString": "x"}})
	wrong := with(claims, "subject", "nobody")
	before := c.post(t, c.systemA, wrong).want(t, http.StatusBadRequest)
	for _, o := range []object{profile, extension} {
		c.post(t, systemC, o).want(t, http.StatusCreated)
	}
	for _, o := range []object{claims, extended} {
		c.post(t, systemC, o).want(t, http.StatusUnprocessableEntity)
		c.post(t, c.systemA, o).want(t, http.StatusCreated)
		c.post(t, c.root, o).want(t, http.StatusCreated)
	}
	same(t, "what is refused", before, c.post(t, c.systemA, wrong).want(t, http.StatusBadRequest))
	c.put(t, with(profile, "id", "p"))
	c.post(t, c.systemA, claims).want(t, http.StatusUnprocessableEntity)
	c.do(t, c.root, request{method: http.MethodDelete, path: "StructureDefinition/p"}).want(t, http.StatusNoContent)
	c.post(t, c.systemA, claims).want(t, http.StatusCreated)
}
