package gate

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"

	"vitrine/fhir/search"
)

// A cursor is the store's position, encrypted, and bound to who asked what: it
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

// writeQuery writes what the query means, not how it was written.
func writeQuery(h hash.Hash, q *search.Query) {
	writePart(h, string(q.Type))
	writeNumbers(h, uint64(len(q.Clauses)))
	for _, c := range q.Clauses {
		writeNumbers(h, uint64(len(c.Any)))
		for _, m := range c.Any {
			writeNumbers(h, uint64(m.Param), uint64(m.Op),
				m.Bounds.LowMin, m.Bounds.LowMax, m.Bounds.HighMin, m.Bounds.HighMax)
			writePart(h, string(m.Key))
		}
	}
	for _, k := range q.Sort {
		writeNumbers(h, uint64(k.Param), bit(k.Range), bit(k.Descending))
	}
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
