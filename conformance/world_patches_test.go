package conformance

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// patchKinds are the ways to patch: what is one's own, what others wrote, and by a
// condition.
func patchKinds() []writeKind {
	return []writeKind{
		{"patch own", patchOwn, []int{200, 412}},
		{"patch foreign", patchForeign, []int{404}},
		{"patch where", patchWhere, []int{404}},
	}
}

// aPatch changes something, or asks whether something is so.
func (w *writing) aPatch(path string) request {
	g := w.g
	docs := []string{
		`[]`, `[{"op":"test","path":"/status","value":"final"}]`, `[{"op":"test","path":"/status","value":"amended"}]`,
		`[{"op":"test","path":"/identifier/0/value","value":"n` + fmt.Sprint(g.rand.IntN(12)) + `"}]`, `[{"op":"test","path":"/code/text","value":"kind c` + fmt.Sprint(g.rand.IntN(5)) + `"}]`,
		`[{"op":"add","path":"/text","value":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">patched</div>"}}]`,
		`[{"op":"add","path":"/subject","value":{"reference":"Patient/` + w.anybody().id + `"}}]`, `[{"op":"add","path":"/patient","value":{"reference":"Patient/` + w.anybody().id + `"}}]`,
		`[{"op":"add","path":"/subject","value":{"identifier":{"system":"` + nric + `","value":"` + w.anybody().nric() + `"}}}]`,
		`[{"op":"remove","path":"/identifier"}]`, `[{"op":"remove","path":"/hasMember"}]`, `[{"op":"replace","path":"/id","value":"other"}]`,
	}
	body := docs[g.rand.IntN(len(docs))]
	if g.rand.IntN(4) > 0 {
		return request{method: http.MethodPatch, path: path, body: []byte(body), header: map[string]string{"Content-Type": mediaPatch}}
	}
	kind, _, _ := strings.Cut(path, "/")
	kind, _, _ = strings.Cut(kind, "?")
	part := func(name, kind, value string) object { return object{"name": name, "value" + kind: value} }
	return send(http.MethodPatch, path, mustJSON(object{"resourceType": "Parameters", "parameter": []any{object{"name": "operation", "part": []any{
		part("type", "Code", "replace"), part("path", "String", kind+".code.text"), part("value", "String", "patched "+g.word()),
	}}}}))
}

func patchOwn(w *writing, c *writer) request {
	n, ok := w.own(c, writeTypes()...)
	if !ok {
		return patchForeign(w, c)
	}
	return w.preferring(w.matching(w.aPatch(w.made[n].kind+"/"+twinID(n)), n))
}

func patchForeign(w *writing, _ *writer) request {
	kind, id := w.theirs()
	return w.preferring(w.matching(w.aPatch(kind+"/"+id), -1))
}

func patchWhere(w *writing, c *writer) request {
	kind := w.aType()
	return w.preferring(w.aPatch(kind + "?" + w.condition(c, kind)))
}

// patchEntry is what a patch is in an entry of a Bundle.
func patchEntry(r request) []byte {
	if r.header["Content-Type"] != mediaPatch {
		return r.body
	}
	return mustJSON(object{"resourceType": "Binary", "contentType": mediaPatch, "data": base64.StdEncoding.EncodeToString(r.body)})
}
