package embedded

import (
	"encoding/binary"
	"errors"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
)

// header is what the store knows of one version of a row without its content.
// It stands before the entries of a row and before the JSON of a version.
type header struct {
	row      consent.Row
	ordinals []ordinal // of row.Patients, in the same order
	id       string
	version  string
	updated  time.Time
	count    uint64 // versions of this edition so far, this one included
	event    bool   // of a record of the log, which is the body; never written
	deleted  bool
}

var errHeader = errors.New("malformed header")

const flagDeleted = 1

func (h *header) append(dst []byte) []byte {
	var flags byte
	if h.deleted {
		flags |= flagDeleted
	}
	dst = append(dst, flags, byte(h.row.Home))
	dst = binary.AppendUvarint(dst, h.count)
	dst = binary.AppendVarint(dst, h.updated.UnixMilli())
	dst = appendText(dst, h.id)
	dst = appendText(dst, h.version)
	dst = appendText(dst, h.row.Contributor)
	dst = binary.AppendUvarint(dst, uint64(len(h.row.Patients)))
	for i, p := range h.row.Patients {
		dst = binary.AppendUvarint(appendText(dst, p), uint64(h.ordinals[i]))
	}
	dst = binary.AppendUvarint(dst, uint64(len(h.row.Labels)))
	for _, l := range h.row.Labels {
		dst = appendText(dst, l)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// primary is the number under which the content is kept.
func (h *header) primary(sequence uint64) number {
	if h.event {
		return makeNumber(ordinalShared, sequence)
	}
	lowest := ordinalMax
	for _, o := range h.ordinals {
		lowest = min(lowest, o)
	}
	switch h.row.Home {
	case consent.HomePatients:
		return makeNumber(lowest, sequence)
	case consent.HomeShared:
		return makeNumber(ordinalShared, sequence)
	case consent.HomeQuarantine:
		return makeNumber(ordinalQuarantine, sequence)
	default:
		return makeNumber(ordinalQuarantine, sequence)
	}
}

// numbers are all numbers of the row: one for each patient.
func (h *header) numbers(sequence uint64) []number {
	if h.row.Home != consent.HomePatients {
		return []number{h.primary(sequence)}
	}
	all := make([]number, len(h.ordinals))
	for i, o := range h.ordinals {
		all[i] = makeNumber(o, sequence)
	}
	return all
}

// reader cuts a header; the first error sticks. Strings that many rows share
// come from names, so that a walk does not make them again.
type reader struct {
	b     []byte
	names names
	err   error
}

// names keeps the strings a walk has met. The zero value keeps none.
type names map[string]string

func (n names) text(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	s := string(b)
	if n != nil && len(n) < 1<<12 {
		n[s] = s
	}
	return s
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	return advance(r, v, n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	return advance(r, v, n)
}

func advance[T any](r *reader, v T, n int) T {
	if n <= 0 {
		r.err, r.b = errHeader, nil
		var zero T
		return zero
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.err, r.b = errHeader, nil
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) length() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.err = errHeader
		return 0
	}
	return int(n)
}

// cutHeader decodes the header at the start of b and returns what follows it.
// The slices of h are used again.
func cutHeader(h *header, t fhir.ResourceType, b []byte, known names) (rest []byte, err error) {
	if len(b) < 2 {
		return nil, errHeader
	}
	flags, home := b[0], b[1]
	r := reader{b: b[2:], names: known}
	h.deleted = flags&flagDeleted != 0
	h.count, h.event = r.uvarint(), false
	h.updated = time.UnixMilli(r.varint()).UTC()
	h.id = string(r.bytes())
	h.version = known.text(r.bytes())
	h.row = consent.Row{
		Type: t, Home: consent.Home(home), Contributor: known.text(r.bytes()),
		Patients: h.row.Patients[:0], Labels: h.row.Labels[:0],
	}
	h.ordinals = h.ordinals[:0]
	for range r.length() {
		h.row.Patients = append(h.row.Patients, known.text(r.bytes()))
		h.ordinals = append(h.ordinals, ordinal(r.uvarint())) //nolint:gosec // 28 bits were written
	}
	for range r.length() {
		h.row.Labels = append(h.row.Labels, known.text(r.bytes()))
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.b, nil
}
