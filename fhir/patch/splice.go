package patch

import "vitrine/fhir"

// begin is where a member or an element begins, its name included.
func begin(t *fhir.Tape, n fhir.Node) int {
	if start, end := t.KeySpan(n); end > 0 {
		return start
	}
	start, _ := t.Span(n)
	return start
}

// count is the number of members or elements.
func count(t *fhir.Tape, container fhir.Node) (n int) {
	for c := t.First(container); c != fhir.None; c = t.Next(c) {
		n++
	}
	return n
}

// item is the element at a place of an array; None when there is none.
func item(t *fhir.Tape, array fhir.Node, at int) fhir.Node {
	n := t.First(array)
	for ; n != fhir.None && at > 0; at-- {
		n = t.Next(n)
	}
	return n
}

// inserted is the edit that puts text into a container before one of what it
// holds; at its end for None.
func inserted(t *fhir.Tape, container, before fhir.Node, text []byte) fhir.Edit {
	if before != fhir.None {
		at := begin(t, before)
		return fhir.Edit{Start: at, End: at, Text: append(text[:len(text):len(text)], ',')}
	}
	last := fhir.None
	for c := t.First(container); c != fhir.None; c = t.Next(c) {
		last = c
	}
	if last == fhir.None {
		start, _ := t.Span(container)
		return fhir.Edit{Start: start + 1, End: start + 1, Text: text}
	}
	_, end := t.Span(last)
	return fhir.Edit{Start: end, End: end, Text: append([]byte{','}, text...)}
}

// without are the edits that take members or elements out of a container, each
// run of them with the comma before it, or with the one after it when it is the
// first.
func without(t *fhir.Tape, container fhir.Node, gone func(fhir.Node) bool) (edits []fhir.Edit) {
	kept := -1 // where the last one that stays ends
	from := -1 // where the run begins
	end := 0
	for n := t.First(container); n != fhir.None; n = t.Next(n) {
		switch {
		case gone(n) && from < 0 && kept < 0:
			from = begin(t, n)
		case gone(n) && from < 0:
			from = kept
		case gone(n):
		case from >= 0 && kept < 0:
			edits = append(edits, fhir.Edit{Start: from, End: begin(t, n)})
			from = -1
		case from >= 0:
			edits = append(edits, fhir.Edit{Start: from, End: end})
			from = -1
		}
		_, end = t.Span(n)
		if !gone(n) {
			kept = end
		}
	}
	if from >= 0 {
		edits = append(edits, fhir.Edit{Start: from, End: end})
	}
	return edits
}

// appendMember appends a member of an object.
func appendMember(dst []byte, name string, value []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	dst = append(fhir.AppendString(dst, name), ':')
	return append(dst, value...)
}
