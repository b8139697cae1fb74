package gate

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strings"

	"vitrine/fhir"
	"vitrine/fhir/search"
)

// A cursor is a position of the store, encrypted, and bound to who asked what: it
// opens only for the same caller, organisation, client, purpose and question.
// It proves nothing; the universe is worked out again for every page.

// sealed is the position as it leaves the server; empty for no position.
func (v *visit) sealed(position []byte, question []byte) string {
	if len(position) == 0 {
		return ""
	}
	aead := v.g.seal
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(position)+aead.Overhead())
	_, _ = rand.Read(nonce) // it never fails
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, position, question))
}

// unsealed is the position in a cursor; it fails with ErrBadCursor whatever is
// wrong.
func (v *visit) unsealed(cursor string, question []byte) ([]byte, error) {
	if cursor == "" {
		return nil, nil
	}
	aead := v.g.seal
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) < aead.NonceSize() {
		return nil, ErrBadCursor
	}
	position, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], question)
	if err != nil || len(position) == 0 {
		return nil, ErrBadCursor
	}
	return position, nil
}

// question is what a cursor is bound to: the caller and what is asked.
func (v *visit) question(kind string, asked func(hash.Hash)) []byte {
	h := sha256.New()
	c := &v.caller
	for _, part := range []string{
		kind, c.Kind.String(), c.Issuer, c.Subject, c.User, c.Organization, c.Client, c.Patient, c.Purpose.String(),
	} {
		writePart(h, part)
	}
	if c.Scopes.Granular() {
		writePart(h, c.Scopes.String())
	}
	asked(h)
	return h.Sum(nil)
}

func writePart(h hash.Hash, part string) {
	var n [binary.MaxVarintLen64]byte
	h.Write(n[:binary.PutUvarint(n[:], uint64(len(part)))])
	h.Write([]byte(part))
}

func writeNumbers(h hash.Hash, numbers ...uint64) {
	var b [8]byte
	for _, n := range numbers {
		binary.BigEndian.PutUint64(b[:], n)
		h.Write(b[:])
	}
}

// searchQuestion is what a cursor of a search is bound to: what it finds and in
// which order, not how much of it is sent.
func (v *visit) searchQuestion(q *search.Query) []byte {
	return v.question("search", func(h hash.Hash) {
		writePart(h, string(q.Type))
		writeNumbers(h, uint64(len(q.Types)))
		for _, t := range q.Types {
			writePart(h, string(t))
		}
		writePart(h, q.Within)
		for one := range strings.SplitSeq(q.Self, "&") {
			if !shapes(one) {
				writePart(h, one)
			}
		}
		writeClauses(h, q.Clauses)
		for _, k := range q.Sort {
			writeNumbers(h, uint64(k.Param), bit(k.Range), bit(k.Descending))
		}
	})
}

// shapes reports whether a parameter says no more than how the answer is sent.
func shapes(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	name, _, _ = strings.Cut(name, ":")
	switch name {
	case "_count", "_total", "_totalMethod", "_summary", "_elements", "_include", "_revinclude", "_explain":
		return true
	default:
		return false
	}
}

// writeClauses writes what clauses mean as far as it can be told from them: what
// a terminology has yet to say is named, not listed, and a reading is its
// parameter, which the query names.
func writeClauses(h hash.Hash, clauses []search.Clause) {
	writeNumbers(h, uint64(len(clauses)))
	for i := range clauses {
		c := &clauses[i]
		writeNumbers(h, bit(c.Not), uint64(len(c.Any)), uint64(len(c.Via)), uint64(len(c.Read)), uint64(len(c.All)))
		for _, m := range c.Any {
			writeNumbers(h, uint64(m.Param), uint64(m.Op),
				m.Bounds.LowMin, m.Bounds.LowMax, m.Bounds.HighMin, m.Bounds.HighMax)
			writePart(h, string(m.Key))
		}
		for k := range c.Via {
			j := &c.Via[k]
			writeNumbers(h, uint64(j.Param), uint64(j.By), bit(j.Reverse))
			writePart(h, string(j.Type))
			writeClauses(h, j.Clauses)
		}
		for _, group := range c.All {
			writeClauses(h, group)
		}
	}
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// spot is where a page of a search begins: the type, where there are several,
// and the position of the store behind which it does. The zero value is the
// beginning.
type spot struct {
	t     fhir.ResourceType
	after []byte
}

// place is what the cursor of a search holds: the view whose pages these are, and
// where they begin, this page last.
type place struct {
	mark  []byte
	spots []spot
}

const (
	placeForm = 1
	// placeMost bounds a place; of longer ones the earliest pages are forgotten.
	placeMost = 1536
	// placeBlock is what a place is filled up to a multiple of, so that the length
	// of a cursor says little; markBlock is the same for the mark.
	placeBlock = 64
	markBlock  = 32
)

// at is where the page begins.
func (p *place) at() spot {
	if len(p.spots) == 0 {
		return spot{}
	}
	return p.spots[len(p.spots)-1]
}

// then is the place of the page that begins at the spot, after this one.
func (p *place) then(next spot) place {
	spots := append(p.spots[:len(p.spots):len(p.spots)], next)
	if len(p.spots) == 0 {
		spots = []spot{{}, next}
	}
	return place{mark: p.mark, spots: spots}
}

// before is the place of the page before this one; ok is false when there is none
// or it is forgotten.
func (p *place) before() (place, bool) {
	if len(p.spots) < 2 {
		return place{}, false
	}
	return place{mark: p.mark, spots: p.spots[:len(p.spots)-1]}, true
}

// encode writes the place, without its earliest pages where it would be too long.
func (p *place) encode() []byte {
	spots, size := p.spots, len(p.mark)
	for i := range spots {
		size += len(spots[i].t) + len(spots[i].after) + 4
	}
	for ; size > placeMost && len(spots) > 1; spots = spots[1:] {
		size -= len(spots[0].t) + len(spots[0].after) + 4
	}
	b := appendBytes([]byte{placeForm}, p.mark)
	b = append(b, make([]byte, -len(p.mark)&(markBlock-1))...)
	b = binary.AppendUvarint(b, uint64(len(spots)))
	for i := range spots {
		b = appendBytes(appendBytes(b, []byte(spots[i].t)), spots[i].after)
	}
	return append(b, make([]byte, -len(b)&(placeBlock-1))...)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// decodePlace reads what encode wrote.
func decodePlace(b []byte) (place, error) {
	var p place
	if len(b) == 0 || b[0] != placeForm {
		return p, ErrBadCursor
	}
	mark, b, ok := cutBytes(b[1:])
	pad := -len(mark) & (markBlock - 1)
	if !ok || pad > len(b) {
		return p, ErrBadCursor
	}
	p.mark, b = mark, b[pad:]
	n, size := binary.Uvarint(b)
	if size <= 0 || n == 0 || n > placeMost {
		return p, ErrBadCursor
	}
	b = b[size:]
	for range n {
		var t, after []byte
		if t, b, ok = cutBytes(b); !ok {
			return p, ErrBadCursor
		}
		if after, b, ok = cutBytes(b); !ok {
			return p, ErrBadCursor
		}
		p.spots = append(p.spots, spot{fhir.ResourceType(t), after})
	}
	return p, nil
}

// cutBytes takes what appendBytes wrote off the front.
func cutBytes(b []byte) (part, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	end := size + int(n) //nolint:gosec // bounded by the length
	return b[size:end], b[end:], true
}
