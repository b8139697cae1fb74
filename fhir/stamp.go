package fhir

import (
	"slices"
	"time"
)

// Edit replaces the bytes from Start to End by Text. It inserts when Start is
// End.
type Edit struct {
	Start, End int
	Text       []byte
}

// Splice appends src to dst with the edits made, which must be in order, within
// src and apart from each other; it panics when they are not, because what it
// would make is not the resource that was meant. Edits that insert at the same
// place are made in the order given.
func Splice(dst, src []byte, edits []Edit) []byte {
	at := 0
	for _, e := range edits {
		dst = append(dst, src[at:e.Start:e.End]...)
		dst = append(dst, e.Text...)
		at = e.End
	}
	return append(dst, src[at:len(src):len(src)]...)
}

// Stamp appends the source of t to dst with id, meta.versionId and
// meta.lastUpdated set, and every other byte as it was. What is there is
// replaced in place. What is missing is put in without white space: id after
// resourceType (or first of all), meta after id, the members of meta at its
// start. A meta that is not an object is replaced.
func Stamp(dst []byte, t *Tape, id, version string, updated time.Time) []byte {
	var room [256]byte
	s := stamp{t: t, text: room[:0], id: id, version: version, updated: updated}
	meta := t.Field(t.Root(), "meta")
	s.identify(meta == None)
	if t.Kind(meta) == Object {
		s.renew(meta)
	} else if meta != None {
		s.edit(t.Span(meta))
		s.writeMeta()
		s.done()
	}
	edits := s.edits[:s.made]
	slices.SortFunc(edits, func(a, b Edit) int { return a.Start - b.Start })
	return Splice(dst, t.src, edits)
}

// stamp collects the edits of one Stamp. No two of them start at one place.
type stamp struct {
	t           *Tape
	id, version string
	updated     time.Time
	text        []byte // of all edits so far
	from        int    // where the text of the edit under way starts
	edits       [3]Edit
	made        int
}

// edit begins an edit; done ends it with what was written to text meanwhile.
func (s *stamp) edit(start, end int) {
	s.edits[s.made] = Edit{Start: start, End: end}
	s.from = len(s.text)
}

func (s *stamp) done() {
	s.edits[s.made].Text = s.text[s.from:]
	s.made++
}

func (s *stamp) write(text string)    { s.text = append(s.text, text...) }
func (s *stamp) writeString(v string) { s.text = AppendString(s.text, v) }
func (s *stamp) writeInstant() {
	s.write(`"`)
	s.text = AppendInstant(s.text, s.updated)
	s.write(`"`)
}

func (s *stamp) writeID() {
	s.write(`"id":`)
	s.writeString(s.id)
}

func (s *stamp) writeMeta() {
	s.write(`{"versionId":`)
	s.writeString(s.version)
	s.write(`,"lastUpdated":`)
	s.writeInstant()
	s.write(`}`)
}

// identify sets id, and adds meta behind it when there is none.
func (s *stamp) identify(addMeta bool) {
	t, root := s.t, s.t.Root()
	id, kind := t.Field(root, "id"), t.Field(root, "resourceType")
	switch {
	case id != None:
		s.edit(t.Span(id))
		s.writeString(s.id)
	case kind != None:
		_, end := t.Span(kind)
		s.edit(end, end)
		s.write(`,`)
		s.writeID()
	default:
		s.open(root)
		s.writeID()
	}
	if addMeta {
		s.write(`,"meta":`)
		s.writeMeta()
	}
	if id == None && kind == None && t.First(root) != None {
		s.write(`,`)
	}
	s.done()
}

// open begins an edit that inserts at the start of the object n.
func (s *stamp) open(n Node) {
	start, _ := s.t.Span(n)
	s.edit(start+1, start+1)
}

// renew sets the two members of a meta that is there.
func (s *stamp) renew(meta Node) {
	version, updated := s.t.Field(meta, "versionId"), s.t.Field(meta, "lastUpdated")
	if version != None {
		s.edit(s.t.Span(version))
		s.writeString(s.version)
		s.done()
	}
	if updated != None {
		s.edit(s.t.Span(updated))
		s.writeInstant()
		s.done()
	}
	if version != None && updated != None {
		return
	}
	s.open(meta)
	if version == None {
		s.write(`"versionId":`)
		s.writeString(s.version)
	}
	if version == None && updated == None {
		s.write(`,`)
	}
	if updated == None {
		s.write(`"lastUpdated":`)
		s.writeInstant()
	}
	if s.t.First(meta) != None {
		s.write(`,`)
	}
	s.done()
}
