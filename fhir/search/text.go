package search

import (
	"bytes"
	"fmt"
	"html"
	"strings"

	"vitrine/fhir"
)

// inNarrative is _text: words of the narrative.
type inNarrative struct{ wording wording }

// Holds looks at the narrative.
func (n *inNarrative) Holds(t *fhir.Tape) bool {
	w := wordsIn{t: t}
	w.narrative(t.Field(t.Field(t.Root(), "text"), "div"))
	return n.wording.holds(w.words)
}

// inContent is _content: words of the resource, wherever they stand.
type inContent struct{ wording wording }

// Holds looks at the whole resource.
func (c *inContent) Holds(t *fhir.Tape) bool {
	w := wordsIn{t: t}
	w.everything(t.Root())
	return c.wording.holds(w.words)
}

// wordsIn gathers the words of texts of a resource.
type wordsIn struct {
	t              *fhir.Tape
	words, scratch []byte
}

func (w *wordsIn) text(n fhir.Node) {
	if w.t.Kind(n) == fhir.String {
		w.add(w.t.Bytes(n, nil))
	}
}

func (w *wordsIn) add(text []byte) { w.words, w.scratch = appendWords(w.words, text, w.scratch) }

func (w *wordsIn) narrative(n fhir.Node) {
	if w.t.Kind(n) == fhir.String {
		w.add(plainText(w.t.Bytes(n, nil)))
	}
}

// everything gathers what is text or a number, but for what is encoded: data of
// attachments and signatures are no words.
func (w *wordsIn) everything(n fhir.Node) {
	switch w.t.Kind(n) {
	case fhir.Object, fhir.Array:
		for c := w.t.First(n); c != fhir.None; c = w.t.Next(c) {
			switch key := w.t.Key(c); string(key) {
			case "data", "valueBase64Binary":
			case "div":
				w.narrative(c)
			default:
				w.everything(c)
			}
		}
	case fhir.String:
		w.text(n)
	case fhir.Number:
		w.add(w.t.Raw(n))
	case fhir.True, fhir.False, fhir.Null, fhir.Invalid:
	}
}

// plainText is XHTML without its tags. Those that stand within words part none.
func plainText(xhtml []byte) []byte {
	out := make([]byte, 0, len(xhtml))
	entities := false
	for len(xhtml) > 0 {
		i := bytes.IndexByte(xhtml, '<')
		if i < 0 {
			i = len(xhtml)
		}
		entities = entities || bytes.IndexByte(xhtml[:i], '&') >= 0
		out = append(out, xhtml[:i]...)
		if xhtml = xhtml[i:]; len(xhtml) == 0 {
			break
		}
		end := []byte(">")
		if bytes.HasPrefix(xhtml, []byte("<!--")) {
			end = []byte("-->")
		}
		close := bytes.Index(xhtml, end)
		if close < 0 {
			break
		}
		if !withinWords(xhtml[1:close]) {
			out = append(out, ' ')
		}
		xhtml = xhtml[close+len(end):]
	}
	if entities {
		return []byte(html.UnescapeString(string(out)))
	}
	return out
}

// withinWords reports whether a tag may stand within a word.
func withinWords(tag []byte) bool {
	name := strings.TrimPrefix(string(tag[:min(len(tag), 10)]), "/")
	if i := strings.IndexAny(name, " \t\r\n/"); i >= 0 {
		name = name[:i]
	}
	switch name {
	case "a", "abbr", "acronym", "b", "bdo", "big", "em", "i", "q", "small", "span", "strong", "sub", "sup", "tt", "u":
		return true
	}
	return false
}

// ofItems is a reading of the values that a parameter finds.
type ofItems struct {
	index *Indexer
	param Param
}

// each calls found with every value that the parameter finds in the resource,
// until it returns true, which it then returns.
func (o *ofItems) each(t *fhir.Tape, found func(a *action, n fhir.Node, index int) bool) bool {
	p := o.index.types[fhir.ResourceType(t.Text(t.Field(t.Root(), "resourceType")))]
	if p == nil {
		return false
	}
	v := visit{ofItems: o, t: t, found: found}
	return v.at(p.root, t.Root(), 0) || p.added != nil && v.at(p.added, t.Root(), 0)
}

// visit is one walk for the values of one parameter.
type visit struct {
	*ofItems
	t     *fhir.Tape
	found func(a *action, n fhir.Node, index int) bool
}

func (v *visit) at(at *trie, n fhir.Node, index int) bool {
	for i := range at.actions {
		if a := &at.actions[i]; a.param == v.param && v.found(a, n, index) {
			return true
		}
	}
	for i := range at.guards {
		if at.guards[i].passes(v.t, n, index) && v.at(at.guards[i].then, n, index) {
			return true
		}
	}
	if len(at.fields) == 0 || v.t.Kind(n) != fhir.Object {
		return false
	}
	for c := v.t.First(n); c != fhir.None; c = v.t.Next(c) {
		if next := at.fields[string(v.t.Key(c))]; next != nil && v.below(next, c) {
			return true
		}
	}
	return false
}

func (v *visit) below(at *trie, n fhir.Node) bool {
	if v.t.Kind(n) != fhir.Array {
		return v.t.Kind(n) != fhir.Null && v.at(at, n, 0)
	}
	index := 0
	for c := v.t.First(n); c != fhir.None; c = v.t.Next(c) {
		if k := v.t.Kind(c); k != fhir.Null && k != fhir.Array && v.at(at, c, index) {
			return true
		}
		index++
	}
	return false
}

// inDisplay is code:text: words, the last of which may go on, of the text beside
// a code (R4 search.html#token).
type inDisplay struct {
	ofItems
	any [][]byte
}

// Holds looks at the texts beside the codes that the parameter finds.
func (d *inDisplay) Holds(t *fhir.Tape) bool {
	return d.each(t, func(a *action, n fhir.Node, _ int) bool {
		w := wordsIn{t: t}
		switch a.extract { //nolint:exhaustive // the others have no text
		case extractCoding:
			w.text(t.Field(n, "display"))
		case extractConcept:
			w.text(t.Field(n, "text"))
			for c := t.First(t.Field(n, "coding")); c != fhir.None; c = t.Next(c) {
				w.text(t.Field(c, "display"))
			}
		case extractIdentifier:
			w.text(t.Field(t.Field(n, "type"), "text"))
		}
		for _, phrase := range d.any {
			if bytes.Contains(w.words, phrase) {
				return true
			}
		}
		return false
	})
}

// display understands code:text.
func (r *reading) display(pp *paramPlan, values []string) (Clause, *fault) {
	d := &inDisplay{ofItems: ofItems{&Indexer{r.table, r.zone}, pp.number}}
	for i, v := range values {
		phrase := sought(unescape(v), true)
		if phrase == nil {
			return Clause{}, inValue(bad("has no letter or digit to search by"), i, values)
		}
		d.any = append(d.any, phrase)
	}
	return Clause{Read: []Reading{d}}, nil
}

// narrative understands _text, content _content (R4 search.html#text). Resources
// that can have no narrative know no _text.
func (r *reading) narrative(types []fhir.ResourceType, value string) (Clause, *fault) {
	for _, t := range types {
		if r.Parser.param(t, "_text") == nil {
			return Clause{}, unknown("_text", types)
		}
	}
	w, f := r.worded(value)
	return Clause{Read: []Reading{&inNarrative{w}}}, f
}

func (r *reading) content(_ []fhir.ResourceType, value string) (Clause, *fault) {
	w, f := r.worded(value)
	return Clause{Read: []Reading{&inContent{w}}}, f
}

// worded understands expressions of words with commas between, any of which may
// hold.
func (r *reading) worded(value string) (wording, *fault) {
	if len(value) > maxWording {
		return wording{}, costly(fmt.Sprintf("is too long: at most %d characters", maxWording))
	}
	values, f := r.split(value)
	if f != nil {
		return wording{}, f
	}
	var all wording
	for i, v := range values {
		w, f := parseWords(unescape(v))
		if f != nil {
			return wording{}, inValue(f, i, values)
		}
		all.any = append(all.any, w)
	}
	if len(all.any) == 1 {
		return all.any[0], nil
	}
	return all, nil
}
