package search

import "vitrine/fhir"

// ofType matches an identifier by the coding of its type and its value (R4
// search.html#token, :of-type): system|code|value, all three. Case counts for
// nothing but in the system.
func ofType(p Param, v string) ([]Match, *fault) {
	parts, _ := splitEscaped(v, '|')
	if f := legibleValue(v); f != nil {
		return nil, f
	}
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return nil, bad(`must be system|code|value: the system and code of the identifier's type, and its value`)
	}
	var memory []byte
	key := appendOfType([]byte{tagOfType}, []byte(unescape(parts[0])), []byte(unescape(parts[1])), []byte(unescape(parts[2])), &memory)
	return []Match{{Param: p, Op: OpEqual, Key: key}}, nil
}

// appendOfType appends what tag o is followed by.
func appendOfType(dst, system, code, value []byte, memory *[]byte) []byte {
	dst = append(appendPart(dst, system), 0)
	dst = append(appendFolded(dst, code, memory), 0)
	return appendFolded(dst, value, memory)
}

// identifier adds an Identifier as a token, and by its type when it has one.
func (w *walker) identifier(a *action, n fhir.Node) {
	value := w.field(n, "value", 1)
	w.out.addToken(a.param, nil, w.field(n, "system", 0), value, true)
	if w.parts != nil || !legible(value) {
		return
	}
	codings := w.tape.Field(w.tape.Field(n, "type"), "coding")
	for c := w.tape.First(codings); c != fhir.None; c = w.tape.Next(c) {
		system, code := w.field(c, "system", 2), w.field(c, "code", 3)
		if !legible(code) || len(system) > 0 && !legible(system) {
			continue
		}
		at := w.out.begin(tagOfType)
		w.out.buf = appendOfType(w.out.buf, system, code, value, &w.out.fold)
		w.out.commit(a.param, at)
	}
}
