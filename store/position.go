package store

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"vitrine/fhir/search"
)

// Position is a place in the order of a query that sorts: the values by which a
// resource sorts and its id. It is the same for every store and every type, so
// that what several types gave can be merged.
type Position struct {
	Keys []SortValue
	ID   string
	// At says that a resource at the position itself follows it, too.
	At bool
}

const positionForm = 2

// Append writes the position behind dst.
func (p Position) Append(dst []byte) []byte {
	form := byte(positionForm)
	if p.At {
		form++
	}
	dst = append(dst, form)
	for _, k := range p.Keys {
		if !k.Has {
			dst = append(dst, 0)
			continue
		}
		dst = append(binary.AppendUvarint(append(dst, 1), uint64(len(k.Value))), k.Value...)
	}
	return append(dst, p.ID...)
}

// ReadPosition reads what Append wrote for a query of so many sort keys. It
// fails with ErrBadCursor.
func ReadPosition(b []byte, keys int) (Position, error) {
	if len(b) == 0 || b[0] != positionForm && b[0] != positionForm+1 {
		return Position{}, ErrBadCursor
	}
	p := Position{At: b[0] == positionForm+1}
	b = b[1:]
	for range keys {
		if len(b) == 0 || b[0] > 1 {
			return Position{}, ErrBadCursor
		}
		has := b[0] == 1
		if b = b[1:]; !has {
			p.Keys = append(p.Keys, SortValue{})
			continue
		}
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return Position{}, ErrBadCursor
		}
		end := size + int(n) //nolint:gosec // bounded by the length
		p.Keys = append(p.Keys, SortValue{Has: true, Value: bytes.Clone(b[size:end])})
		b = b[end:]
	}
	if len(b) == 0 {
		return Position{}, ErrBadCursor
	}
	p.ID = string(b)
	return p, nil
}

// Order compares two resources by the sort keys, what has no value last in either
// direction, and then by id, ascending.
func Order(keys []search.SortKey, a, b *Position) int {
	for i := range keys {
		x, y := a.Keys[i], b.Keys[i]
		switch {
		case x.Has && !y.Has:
			return -1
		case !x.Has && y.Has:
			return 1
		}
		c := bytes.Compare(x.Value, y.Value)
		if keys[i].Descending {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(a.ID, b.ID)
}

// Behind reports whether a resource at one lies behind the position p.
func (p *Position) Behind(keys []search.SortKey, one *Position) bool {
	c := Order(keys, one, p)
	return c > 0 || c == 0 && p.At
}
