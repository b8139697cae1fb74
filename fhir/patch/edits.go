package patch

import (
	"vitrine/fhir"
	"vitrine/fhir/r4"
)

// insert puts content into a list, which is made if need be.
func (p *place) insert(w *worker, at int, c content) error {
	t := w.tape
	length := p.length(t)
	var edits []fhir.Edit
	var members []byte
	for _, side := range [...]struct {
		list fhir.Node
		name string
		raw  []byte
	}{{p.main, p.el.Name, c.raw}, {p.aside, "_" + p.el.Name, c.aside}} {
		switch {
		case side.list != fhir.None && side.raw != nil:
			edits = append(edits, inserted(t, side.list, item(t, side.list, at), side.raw))
		case side.list != fhir.None:
			edits = append(edits, inserted(t, side.list, item(t, side.list, at), []byte("null")))
		case side.raw != nil:
			members = appendMember(members, side.name, sparse(length+1, at, side.raw))
		}
	}
	if members != nil {
		edits = append(edits, inserted(t, p.owner, fhir.None, members))
	}
	return w.edit(edits...)
}

// sparse is a list of nulls with one element.
func sparse(length, at int, raw []byte) (out []byte) {
	for i := range length {
		if i == at {
			out = appendItem(out, i, raw)
		} else {
			out = appendItem(out, i, nil)
		}
	}
	return append(out, ']')
}

// without are the edits that remove the element, and with the last of a list the
// list.
func (p *place) without(t *fhir.Tape) (edits []fhir.Edit) {
	last := p.at < 0 || p.length(t) == 1
	noMain, noAside := last, last || p.bare(t, p.aside)
	if !last {
		for _, side := range [...]struct {
			list fhir.Node
			gone bool
		}{{p.main, noMain}, {p.aside, noAside}} {
			if side.list != fhir.None && !side.gone {
				n := item(t, side.list, p.at)
				edits = append(edits, without(t, side.list, func(c fhir.Node) bool { return c == n })...)
			}
		}
	}
	return append(edits, without(t, p.owner, func(c fhir.Node) bool {
		return noMain && c == p.main || noAside && c == p.aside
	})...)
}

// bare reports whether a list has nothing but nulls apart from the element.
func (p *place) bare(t *fhir.Tape, list fhir.Node) bool {
	at := 0
	for n := t.First(list); n != fhir.None; n = t.Next(n) {
		if at != p.at && t.Kind(n) != fhir.Null {
			return false
		}
		at++
	}
	return true
}

// become are the edits that put content, of the element el, in the place of one
// that is in no list. Its id and extensions go with it.
func (p *place) become(t *fhir.Tape, el *r4.Element, c content) []fhir.Edit {
	if el == p.el && p.main != fhir.None && c.raw != nil {
		start, end := t.Span(p.main)
		text := append([]byte(nil), c.raw...)
		if c.aside != nil {
			text = append(append(text, ','), appendMember(nil, "_"+el.Name, c.aside)...)
		}
		edits := []fhir.Edit{{Start: start, End: end, Text: text}}
		return append(edits, without(t, p.owner, func(n fhir.Node) bool { return n == p.aside })...)
	}
	stays, goes := p.main, p.aside
	if p.main == fhir.None {
		stays, goes = p.aside, fhir.None
	}
	_, end := t.Span(stays)
	edits := []fhir.Edit{{Start: begin(t, stays), End: end, Text: appendContent(nil, el.Name, c)}}
	return append(edits, without(t, p.owner, func(n fhir.Node) bool { return goes != fhir.None && n == goes })...)
}

// set are the edits that put content in the place of an element of a list.
func (p *place) set(t *fhir.Tape, c content) []fhir.Edit {
	var edits []fhir.Edit
	switch {
	case p.main == fhir.None && c.raw != nil && c.aside == nil && p.bare(t, p.aside):
		_, end := t.Span(p.aside)
		raw := sparse(p.length(t), p.at, c.raw)
		return []fhir.Edit{{Start: begin(t, p.aside), End: end, Text: appendMember(nil, p.el.Name, raw)}}
	case p.main != fhir.None:
		start, end := t.Span(item(t, p.main, p.at))
		raw := c.raw
		if raw == nil {
			raw = []byte("null")
		}
		edits = append(edits, fhir.Edit{Start: start, End: end, Text: raw})
	case c.raw != nil:
		raw := sparse(p.length(t), p.at, c.raw)
		edits = append(edits, inserted(t, p.owner, fhir.None, appendMember(nil, p.el.Name, raw)))
	}
	switch {
	case c.aside != nil:
		edits = append(edits, p.setAside(t, c.aside)...)
	case p.aside != fhir.None && p.bare(t, p.aside):
		edits = append(edits, without(t, p.owner, func(n fhir.Node) bool { return n == p.aside })...)
	case p.aside != fhir.None:
		start, end := t.Span(item(t, p.aside, p.at))
		edits = append(edits, fhir.Edit{Start: start, End: end, Text: []byte("null")})
	}
	return edits
}

// setAside are the edits that give a primitive its sibling with the underscore.
func (p *place) setAside(t *fhir.Tape, aside []byte) []fhir.Edit {
	if p.aside == fhir.None {
		if p.at >= 0 {
			aside = sparse(p.length(t), p.at, aside)
		}
		return []fhir.Edit{inserted(t, p.owner, fhir.None, appendMember(nil, "_"+p.el.Name, aside))}
	}
	n := p.aside
	if p.at >= 0 {
		n = item(t, p.aside, p.at)
	}
	start, end := t.Span(n)
	return []fhir.Edit{{Start: start, End: end, Text: aside}}
}
