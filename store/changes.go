package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"strings"
	"time"

	"vitrine/fhir"
)

// ChangesRequest says which versions of which resources are wanted.
type ChangesRequest struct {
	Types []fhir.ResourceType
	// Since leaves out versions that are older; the zero time none.
	Since time.Time
	// From and Until, when they are set, leave out versions that were current at no
	// moment from the one on and before the other. A deletion is current in the
	// moment in which it was made.
	From, Until time.Time
	// Limit is the greatest number of versions to return.
	Limit int
	// After is the Next of the page before; empty for the first.
	After []byte
}

// ChangesPage is one page of versions.
type ChangesPage struct {
	Found []Found
	// Next continues after this page; empty when nothing follows.
	Next []byte
}

// Change is the place of a version among those of all resources. It is the same
// for every store.
type Change struct {
	// At is when the version was made, in milliseconds since 1970.
	At   int64
	Type fhir.ResourceType
	ID   string
	// Count numbers the versions of the resource.
	Count uint64
}

// Compare orders changes: the newest first, those of one moment by type and id,
// and of one resource the newest first again.
func (c Change) Compare(other Change) int {
	return cmp.Or(
		cmp.Compare(other.At, c.At),
		strings.Compare(string(c.Type), string(other.Type)),
		strings.Compare(c.ID, other.ID),
		cmp.Compare(other.Count, c.Count),
	)
}

const changeForm = 3

// Append writes the place behind dst.
func (c Change) Append(dst []byte) []byte {
	dst = binary.AppendVarint(append(dst, changeForm), c.At)
	dst = binary.AppendUvarint(dst, c.Count)
	return append(append(append(dst, c.Type...), 0), c.ID...)
}

// ReadChange reads what Append wrote. It fails with ErrBadCursor.
func ReadChange(b []byte) (Change, error) {
	if len(b) == 0 || b[0] != changeForm {
		return Change{}, ErrBadCursor
	}
	at, n := binary.Varint(b[1:])
	if n <= 0 {
		return Change{}, ErrBadCursor
	}
	count, m := binary.Uvarint(b[1+n:])
	if m <= 0 {
		return Change{}, ErrBadCursor
	}
	t, id, ok := bytes.Cut(b[1+n+m:], []byte{0})
	if !ok || len(t) == 0 || len(id) == 0 {
		return Change{}, ErrBadCursor
	}
	return Change{At: at, Type: fhir.ResourceType(t), ID: string(id), Count: count}, nil
}

// Oldest is the first millisecond that is not left out by Since; zero without.
func (q *ChangesRequest) Oldest() int64 { return ceiling(q.Since) }

// Window are From and Until in milliseconds, rounded up; ok is false when they
// are not set.
func (q *ChangesRequest) Window() (from, until int64, ok bool) {
	return ceiling(q.From), ceiling(q.Until), !q.Until.IsZero()
}

// ceiling is the first millisecond that is not before t.
func ceiling(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}
