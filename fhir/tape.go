package fhir

import (
	"bytes"
	"unicode/utf8"
)

// Kind is the JSON kind of a node. The zero value is the kind of no node.
type Kind uint8

// The kinds of JSON value.
const (
	Invalid Kind = iota
	Object
	Array
	String
	Number
	True
	False
	Null
)

// Node is a value on a Tape. Nodes are numbered in document order from the
// root, which is 0, so a greater node stands later and every node within an
// object or array is greater than it.
type Node int32

// None is no node. Every method of a Tape takes it and answers with nothing.
const None Node = -1

// node is one value. Offsets fit because Parse refuses longer sources.
type node struct {
	start, end uint32 // of the value
	// name and nameEnd enclose the member name, quotes included; nameEnd is 0
	// for elements and for the root.
	name, nameEnd uint32
	next          Node // the sibling after it; 0 for none, as the root has no siblings
	hash          uint16
	kind          Kind
	marks         marks
}

type marks uint8

const (
	filled      marks = 1 << iota // has a first child, which is the next node
	escaped                       // the string has escapes
	nameEscaped                   // the name has escapes
)

// Tape is a reading of one JSON object, the resource. It refers to the bytes it
// was made from, which must not change while it is in use. The zero value is an
// empty tape ready for Parse; parsing again reuses its memory and invalidates
// what was read from it. A parsed tape may be read concurrently.
type Tape struct {
	src    []byte
	nodes  []node
	frames []frame
	names  names
	lim    Limits
	fault  fault
}

// Source is what was parsed; nil before Parse and after it failed.
func (t *Tape) Source() []byte { return t.src }

// Root is the resource itself; None before Parse and after it failed.
func (t *Tape) Root() Node {
	if len(t.nodes) == 0 {
		return None
	}
	return 0
}

func (t *Tape) at(n Node) (*node, bool) {
	if n < 0 || int(n) >= len(t.nodes) {
		return nil, false
	}
	return &t.nodes[n], true
}

// Kind is the kind of n; Invalid for None.
func (t *Tape) Kind(n Node) Kind {
	if v, ok := t.at(n); ok {
		return v.kind
	}
	return Invalid
}

// First is the first member of an object or element of an array, or None.
func (t *Tape) First(n Node) Node {
	if v, ok := t.at(n); ok && v.marks&filled != 0 {
		return n + 1
	}
	return None
}

// Next is the member or element that follows n in the same object or array, or
// None.
func (t *Tape) Next(n Node) Node {
	if v, ok := t.at(n); ok && v.next != 0 {
		return v.next
	}
	return None
}

// Key is the decoded name of the member n; nil for elements and the root. It
// shares the source unless the name was written with escapes.
func (t *Tape) Key(n Node) []byte {
	v, ok := t.at(n)
	if !ok || v.nameEnd == 0 {
		return nil
	}
	return t.decodedName(v, nil)
}

func (t *Tape) decodedName(v *node, buf []byte) []byte {
	raw := t.src[v.name+1 : v.nameEnd-1 : v.nameEnd-1]
	if v.marks&nameEscaped != 0 {
		return appendDecoded(buf[:0], raw)
	}
	return raw
}

// KeySpan is where the name of the member n stands in the source, quotes
// included; 0, 0 for elements and the root.
func (t *Tape) KeySpan(n Node) (start, end int) {
	if v, ok := t.at(n); ok {
		return int(v.name), int(v.nameEnd)
	}
	return 0, 0
}

// Span is where the value n stands in the source.
func (t *Tape) Span(n Node) (start, end int) {
	if v, ok := t.at(n); ok {
		return int(v.start), int(v.end)
	}
	return 0, 0
}

// Raw is the exact bytes of the value n, shared with the source.
func (t *Tape) Raw(n Node) []byte {
	if v, ok := t.at(n); ok {
		return t.src[v.start:v.end:v.end]
	}
	return nil
}

// Bytes is the decoded string n. It shares the source when the string was
// written without escapes; otherwise it is put into buf[:0], which grows as
// needed. It is nil when n is not a string.
func (t *Tape) Bytes(n Node, buf []byte) []byte {
	v, ok := t.at(n)
	if !ok || v.kind != String {
		return nil
	}
	raw := t.src[v.start+1 : v.end-1 : v.end-1]
	if v.marks&escaped != 0 {
		return appendDecoded(buf[:0], raw)
	}
	return raw
}

// Text is the decoded string n; "" when n is not a string.
func (t *Tape) Text(n Node) string { return string(t.Bytes(n, nil)) }

// Field is the member of obj with that name; None when there is none, or obj is
// not an object.
func (t *Tape) Field(obj Node, name string) Node {
	if t.Kind(obj) != Object {
		return None
	}
	for n := t.First(obj); n != None; n = t.Next(n) {
		v := &t.nodes[n]
		if v.marks&nameEscaped != 0 {
			if t.spelt(v, name) {
				return n
			}
			continue
		}
		if int(v.nameEnd-v.name) == len(name)+2 && string(t.src[v.name+1:v.nameEnd-1]) == name {
			return n
		}
	}
	return None
}

// Primitive is the member of obj with that name and the one beside it that holds
// its id and extensions, whose name has an underscore in front (R4
// json.html#primitive); None for what is not there.
func (t *Tape) Primitive(obj Node, name string) (value, beside Node) {
	value, beside = None, None
	if t.Kind(obj) != Object {
		return value, beside
	}
	for n := t.First(obj); n != None; n = t.Next(n) {
		v := &t.nodes[n]
		if v.marks&nameEscaped != 0 {
			switch {
			case t.spelt(v, name):
				value = n
			case t.spelt(v, "_"+name):
				beside = n
			}
			continue
		}
		switch int(v.nameEnd-v.name) - 2 - len(name) {
		case 0:
			if string(t.src[v.name+1:v.nameEnd-1]) == name {
				value = n
			}
		case 1:
			if t.src[v.name+1] == '_' && string(t.src[v.name+2:v.nameEnd-1]) == name {
				beside = n
			}
		}
	}
	return value, beside
}

func (t *Tape) spelt(v *node, name string) bool {
	var room [64]byte
	return string(t.decodedName(v, room[:])) == name
}

// Line says where offset stands in the source, one-based; the column counts
// characters. Offsets outside the source count as its nearer end.
func (t *Tape) Line(offset int) (line, column int) { return place(t.src, offset) }

func place(src []byte, offset int) (line, column int) {
	before := src[:min(max(offset, 0), len(src))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[start:]) + 1
}
