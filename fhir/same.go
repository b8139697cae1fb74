package fhir

import "bytes"

// Same reports whether two resources say the same but for what the server sets,
// id, meta.versionId and meta.lastUpdated. White space and the order of members say
// nothing; the order of elements does, and so do the digits of a number: 1.0 and
// 1.00 differ (R4 json.html, datatypes.html#decimal).
func Same(a, b *Tape) bool {
	if a.Root() == None || b.Root() == None {
		return false
	}
	s := sameness{a: a, b: b}
	return s.resources(a.Root(), b.Root())
}

type sameness struct {
	a, b       *Tape
	left, room []byte
}

// resources compares the members of the roots, meta apart: one that is empty
// without what the server sets is as good as none.
func (s *sameness) resources(x, y Node) bool {
	metaX, metaY := s.a.Field(x, "meta"), s.b.Field(y, "meta")
	return s.members(x, y, metaX, s.a.Field(x, "id"), metaY, s.b.Field(y, "id")) && s.metas(metaX, metaY)
}

func (s *sameness) metas(x, y Node) bool {
	if !objectOrNone(s.a, x) || !objectOrNone(s.b, y) {
		return x != None && y != None && s.nodes(x, y)
	}
	return s.members(x, y,
		s.a.Field(x, "versionId"), s.a.Field(x, "lastUpdated"),
		s.b.Field(y, "versionId"), s.b.Field(y, "lastUpdated"))
}

func objectOrNone(t *Tape, n Node) bool { return n == None || t.Kind(n) == Object }

// members compares two objects without some of their members. Mostly they are in
// the same order, so that each is looked for where it should be first.
func (s *sameness) members(x, y, skipX, alsoX, skipY, alsoY Node) bool {
	next := s.b.First(y)
	count := 0
	var byName map[string]Node
	for m := s.a.First(x); m != None; m = s.a.Next(m) {
		if m == skipX || m == alsoX {
			continue
		}
		count++
		for next != None && (next == skipY || next == alsoY) {
			next = s.b.Next(next)
		}
		n := next
		if n == None || !bytes.Equal(s.b.Key(n), s.a.Key(m)) {
			if byName == nil {
				byName = s.names(y)
			}
			n = s.named(byName, s.a.Key(m))
		} else {
			next = s.b.Next(next)
		}
		if n == None || n == skipY || n == alsoY || !s.nodes(m, n) {
			return false
		}
	}
	for n := s.b.First(y); n != None; n = s.b.Next(n) { // names are there once, so equal counts are equal sets
		if n != skipY && n != alsoY {
			count--
		}
	}
	return count == 0
}

func (s *sameness) names(y Node) map[string]Node {
	out := map[string]Node{}
	for n := s.b.First(y); n != None; n = s.b.Next(n) {
		out[string(s.b.Key(n))] = n
	}
	return out
}

func (s *sameness) named(all map[string]Node, key []byte) Node {
	if n, ok := all[string(key)]; ok {
		return n
	}
	return None
}

// nodes compares two values.
func (s *sameness) nodes(x, y Node) bool {
	kind := s.a.Kind(x)
	if kind != s.b.Kind(y) {
		return false
	}
	switch kind {
	case Object:
		return s.members(x, y, None, None, None, None)
	case Array:
		m, n := s.a.First(x), s.b.First(y)
		for ; m != None && n != None; m, n = s.a.Next(m), s.b.Next(n) {
			if !s.nodes(m, n) {
				return false
			}
		}
		return m == None && n == None
	case String:
		s.left = append(s.left[:0], s.a.Bytes(x, s.left)...)
		s.room = append(s.room[:0], s.b.Bytes(y, s.room)...)
		return bytes.Equal(s.left, s.room)
	case Number:
		return bytes.Equal(s.a.Raw(x), s.b.Raw(y))
	case True, False, Null:
		return true
	case Invalid:
		return false
	default:
		return false
	}
}
