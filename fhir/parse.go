package fhir

import (
	"fmt"
	"math"
)

// Limits bound what Parse accepts. A field that is not positive means its
// default.
type Limits struct {
	// Depth is how many objects and arrays may be nested; 100 by default.
	Depth int
	// Size is how many bytes the source may have; 16 MiB by default, and never
	// more than 2 GiB.
	Size int
	// Nodes is how many values there may be; 1,048,576 by default. Each takes
	// 24 bytes of the tape.
	Nodes int
}

// Stored are the limits for what was let in once, or made of it: it is as large as
// the bounds of that day allowed and its stamp made it.
func Stored() Limits { return Limits{Size: math.MaxInt32, Nodes: math.MaxInt32} }

func (l Limits) filled() Limits {
	if l.Depth <= 0 {
		l.Depth = 100
	}
	if l.Size <= 0 {
		l.Size = 16 << 20
	}
	if l.Nodes <= 0 {
		l.Nodes = 1 << 20
	}
	l.Size, l.Nodes = min(l.Size, math.MaxInt32), min(l.Nodes, math.MaxInt32)
	return l
}

// SyntaxError says where and why the bytes cannot be read as a resource. It
// quotes nothing of them.
type SyntaxError struct {
	Offset       int // in bytes from the start of the source
	Line, Column int // one-based; the column counts characters
	Reason       string
	// Limit says that the source was refused for its size, depth or number of
	// values; the rest of it was not looked at.
	Limit bool
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// fault is why and where parsing stopped.
type fault struct {
	offset int
	reason string
	limit  bool
}

// stop ends parsing; every step hands the negative offset on.
func (t *Tape) stop(offset int, reason string) int {
	t.fault = fault{offset: offset, reason: reason}
	return -1
}

func (t *Tape) exceed(offset int, format string, limit int) int {
	t.fault = fault{offset: offset, reason: fmt.Sprintf(format, limit), limit: true}
	return -1
}

// Parse reads src, which must be one JSON object and nothing else, onto the
// tape. It refuses with a *SyntaxError what RFC 8259 does not allow, and beyond
// it repeated member names, bytes that are not UTF-8 and unpaired surrogates: a
// reader that takes the other of two members must not find another resource
// than the one that was decided upon.
func (t *Tape) Parse(src []byte, lim Limits) error {
	t.src, t.nodes, t.frames = src, t.nodes[:0], t.frames[:0]
	t.lim = lim.filled()
	t.names.reset()
	if t.document() >= 0 {
		return nil
	}
	f := t.fault
	err := &SyntaxError{Offset: f.offset, Reason: f.reason, Limit: f.limit}
	err.Line, err.Column = place(src, f.offset)
	t.src, t.nodes = nil, t.nodes[:0]
	return err
}

// frame is an object or array that is still open.
type frame struct {
	node   Node   // what is open
	last   Node   // its newest child; 0 for none
	count  int    // its members so far
	seen   uint64 // a bit for the hash of each name so far
	object bool
}

func (t *Tape) document() int {
	if len(t.src) > t.lim.Size {
		return t.exceed(0, "longer than %d bytes", t.lim.Size)
	}
	i := skipSpace(t.src, 0)
	if i == len(t.src) || t.src[i] != '{' {
		return t.stop(i, "a resource must be a JSON object, which starts with '{'")
	}
	t.nodes = append(t.nodes, node{})
	for i = t.open(i, 0, Object); len(t.frames) > 0 && i >= 0; {
		i = t.child(i)
	}
	if i < 0 {
		return i
	}
	if i = skipSpace(t.src, i); i < len(t.src) {
		return t.stop(i, "text after the end of the resource")
	}
	return i
}

// child reads the member or element that starts at i, and closes whatever ends
// right after it.
func (t *Tape) child(i int) int {
	n := Node(len(t.nodes)) //nolint:gosec // within Limits.Nodes
	if int(n) >= t.lim.Nodes {
		return t.exceed(i, "more than %d values", t.lim.Nodes)
	}
	t.nodes = append(t.nodes, node{})
	f := &t.frames[len(t.frames)-1]
	if f.last != 0 {
		t.nodes[f.last].next = n
	} else {
		t.nodes[f.node].marks |= filled
	}
	f.last = n
	if f.object {
		if i = t.member(i, f, n); i < 0 {
			return i
		}
	}
	if i >= len(t.src) {
		return t.stop(i, "the text ends where a value should be")
	}
	switch t.src[i] {
	case '"':
		v := &t.nodes[n]
		end := t.str(i, &v.marks, escaped)
		v.start, v.end, v.kind = uint32(i), uint32(end), String //nolint:gosec // within Limits.Size
		if end > 0 && end < len(t.src) && t.src[end] == ',' {
			return skipSpace(t.src, end+1)
		}
		return t.after(end)
	case '{':
		return t.open(i, n, Object)
	case '[':
		return t.open(i, n, Array)
	default:
		return t.after(t.scalar(i, &t.nodes[n]))
	}
}

// member reads the name at i and the colon, and returns where the value starts.
func (t *Tape) member(i int, f *frame, n Node) int {
	if i >= len(t.src) || t.src[i] != '"' {
		return t.stop(i, "a member name in double quotes should be here")
	}
	v := &t.nodes[n]
	end := t.str(i, &v.marks, nameEscaped)
	if end < 0 {
		return end
	}
	v.name, v.nameEnd = uint32(i), uint32(end) //nolint:gosec // within Limits.Size
	if t.repeated(f, n) {
		return t.stop(i, "this member name was already used in the same object")
	}
	if end < len(t.src) && t.src[end] != ':' {
		end = skipSpace(t.src, end)
	}
	if end >= len(t.src) || t.src[end] != ':' {
		return t.stop(end, "a ':' should follow the member name")
	}
	return skipSpace(t.src, end+1)
}

// open enters the object or array at i and returns where its first child
// starts, or goes on after it when it is empty.
func (t *Tape) open(i int, n Node, k Kind) int {
	if len(t.frames) >= t.lim.Depth {
		return t.exceed(i, "nested deeper than %d levels", t.lim.Depth)
	}
	v := &t.nodes[n]
	v.start, v.kind = uint32(i), k //nolint:gosec // within Limits.Size
	t.frames = append(t.frames, frame{node: n, object: k == Object})
	i = skipSpace(t.src, i+1)
	if i < len(t.src) && t.src[i] == t.src[v.start]+2 { // '{' and '}', '[' and ']'
		return t.after(i)
	}
	return i
}

// after goes on behind a value: over a comma to the next one, or out of every
// object and array that ends here.
func (t *Tape) after(i int) int {
	if i < 0 {
		return i
	}
	for {
		f := &t.frames[len(t.frames)-1]
		if i = skipSpace(t.src, i); i >= len(t.src) {
			return t.stop(i, "the text ends inside the resource")
		}
		c := t.src[i]
		if c == ',' {
			return skipSpace(t.src, i+1)
		}
		switch {
		case f.object && c != '}':
			return t.stop(i, "a ',' or '}' should be here")
		case !f.object && c != ']':
			return t.stop(i, "a ',' or ']' should be here")
		}
		i++
		t.nodes[f.node].end = uint32(i) //nolint:gosec // within Limits.Size
		if t.frames = t.frames[:len(t.frames)-1]; len(t.frames) == 0 {
			return i
		}
	}
}
