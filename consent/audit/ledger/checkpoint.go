// Package ledger owns what proves the record of access to whoever doubts it: the
// checkpoint, which says what the log is at a size and is signed; the form of an
// export, every byte of which is covered by the checkpoint; and the check of one,
// which needs the public key alone and names the first place where it breaks. It
// reads no disk of its own, keeps no key and grows no tree, which are the
// caller's, cmd/vitrine's and store's.
//
// A checkpoint is a C2SP tlog-checkpoint: a note of three lines, signed with
// Ed25519 (golang.org/x/mod/sumdb/note). The log is a Merkle tree (RFC 6962 §2.1)
// in tiles of height 8 (golang.org/x/mod/sumdb/tlog).
package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Height is the height of tiles.
const Height = 8

// Checkpoint says what the log is at a size.
type Checkpoint struct {
	// Origin names the log, and the keys that sign for it.
	Origin string
	Size   int64
	Root   tlog.Hash
}

// The refusals of a checkpoint.
var (
	// ErrCheckpoint: it is not a checkpoint, or not written the one way it is
	// written.
	ErrCheckpoint = errors.New("not a checkpoint in the one form it has")
	// ErrSignature: it is signed by nobody who is trusted, or by others as well.
	ErrSignature = errors.New("not signed by those whose keys are trusted, and by them alone")
)

// Text is what is signed.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// ParseText reads what Text writes, and nothing else.
func ParseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return Checkpoint{}, ErrCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return Checkpoint{}, ErrCheckpoint
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, ErrCheckpoint
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if c.Text() != text {
		return Checkpoint{}, ErrCheckpoint
	}
	return c, nil
}

// Signed is a checkpoint whose signatures all hold.
type Signed struct {
	Checkpoint
	// By are the verifier keys of those who signed it.
	By []note.Verifier
	// Note is the whole as it was given.
	Note []byte
}

// SignedBy reports whether a key signed it.
func (s *Signed) SignedBy(v note.Verifier) bool {
	return has(s.By, v)
}

// has reports whether one of the keys is v. Whole keys are compared: the hash in a
// signature has 32 bits, and is found for another key in hours.
func has(keys []note.Verifier, v note.Verifier) bool {
	of, ok := v.(Key)
	return ok && of.text != "" && slices.ContainsFunc(keys, func(k note.Verifier) bool { return textOf(k) == of.text })
}

// textOf is how a key is written; of what is no Key it is none that any has.
func textOf(v note.Verifier) string {
	k, _ := v.(Key)
	return k.text
}

// Sign makes the note of a checkpoint. Its signatures stand in the order of their
// lines, so that there is one way to write them.
func Sign(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	if _, err := ParseText(c.Text()); err != nil {
		return nil, err
	}
	raw, err := note.Sign(&note.Note{Text: c.Text()}, signers...)
	if err != nil {
		return nil, err
	}
	return inOrder(raw)
}

// Merge adds the signatures of notes of the same text to the first.
func Merge(raw []byte, more ...[]byte) ([]byte, error) {
	text, lines, err := cut(raw)
	if err != nil {
		return nil, err
	}
	for _, m := range more {
		also, others, err := cut(m)
		if err != nil || also != text {
			return nil, ErrCheckpoint
		}
		lines = append(lines, others...)
	}
	slices.Sort(lines)
	return []byte(text + "\n" + strings.Join(slices.Compact(lines), "")), nil
}

func inOrder(raw []byte) ([]byte, error) { return Merge(raw) }

// cut splits a note into its text and the lines of its signatures.
func cut(raw []byte) (text string, lines []string, err error) {
	at := strings.LastIndex(string(raw), "\n\n")
	if at < 0 {
		return "", nil, ErrCheckpoint
	}
	for line := range strings.Lines(string(raw[at+2:])) {
		lines = append(lines, line)
	}
	return string(raw[:at+1]), lines, nil
}

// Text returns the text of a note without a look at its signatures.
func Text(raw []byte) (Checkpoint, error) {
	text, _, err := cut(raw)
	if err != nil {
		return Checkpoint{}, err
	}
	return ParseText(text)
}

// Open reads a signed checkpoint. Every signature must be there once, hold, and be
// of one of the keys; whether they are those that had to sign is the caller's to
// say.
func Open(raw []byte, keys []note.Verifier) (Signed, error) {
	text, by, err := openNote(raw, keys)
	if err != nil {
		return Signed{}, err
	}
	c, err := ParseText(text)
	return Signed{Checkpoint: c, By: by, Note: raw}, err
}

// openNote reads a note, and who signed it.
func openNote(raw []byte, keys []note.Verifier) (text string, by []note.Verifier, err error) {
	n, err := note.Open(raw, verifiers(keys))
	if err != nil || len(n.UnverifiedSigs) > 0 {
		return "", nil, ErrSignature
	}
	lines := make([]string, len(n.Sigs))
	for i, sig := range n.Sigs {
		bytes, err := base64.StdEncoding.DecodeString(sig.Base64)
		if err != nil {
			return "", nil, ErrCheckpoint
		}
		lines[i] = "— " + sig.Name + " " + base64.StdEncoding.EncodeToString(bytes) + "\n"
		v, err := verifiers(keys).Verifier(sig.Name, sig.Hash)
		if err != nil {
			return "", nil, ErrSignature
		}
		by = append(by, v)
	}
	if !slices.IsSorted(lines) || n.Text+"\n"+strings.Join(lines, "") != string(raw) {
		return "", nil, ErrCheckpoint
	}
	return n.Text, by, nil
}

// verifiers finds the first of the keys with a name and a hash.
type verifiers []note.Verifier

// Verifier implements note.Verifiers.
func (v verifiers) Verifier(name string, hash uint32) (note.Verifier, error) {
	for _, one := range v {
		if one.Name() == name && one.KeyHash() == hash {
			return one, nil
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// ErrKey is the refusal of a verifier key.
var ErrKey = errors.New("not a verifier key in the one form it has")

// Key is a verifier that knows how it is written.
type Key struct {
	note.Verifier
	text string
}

// String is the verifier key.
func (k Key) String() string { return k.text }

// ParseKey reads a verifier key, written the one way it is written.
func ParseKey(key string) (note.Verifier, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return nil, ErrKey
	}
	parts := strings.SplitN(key, "+", 3) // a name has none
	bytes, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || key != v.Name()+fmt.Sprintf("+%08x+", v.KeyHash())+base64.StdEncoding.EncodeToString(bytes) {
		return nil, ErrKey
	}
	return Key{v, key}, nil
}

// mostKeys is more than a log ever has.
const mostKeys = 1000

// ParseKeys reads verifier keys, a line each.
func ParseKeys(text string) (keys []note.Verifier, lines []string, err error) {
	for line := range strings.Lines(text) {
		key, ended := strings.CutSuffix(line, "\n")
		v, err := ParseKey(key)
		if err != nil || !ended || slices.Contains(lines, key) || len(lines) == mostKeys {
			return nil, nil, ErrKey
		}
		keys, lines = append(keys, v), append(lines, key)
	}
	if len(keys) == 0 {
		return nil, nil, ErrKey
	}
	return keys, lines, nil
}

// ErrPiece is the refusal of bytes that are not pieces, one after the other.
var ErrPiece = errors.New("not a record in the one form it has")

// AppendPiece appends a record, or a tile, to those before it: its length and one
// more as a uvarint, and its bytes. One that is gone is a zero.
func AppendPiece(dst, piece []byte) []byte {
	if piece == nil {
		return append(dst, 0)
	}
	return append(binary.AppendUvarint(dst, uint64(len(piece))+1), piece...)
}

// CutPiece takes the first piece off; nil when it is gone.
func CutPiece(b []byte) (piece, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 || size > uint64(len(b)-n)+1 {
		return nil, nil, ErrPiece
	}
	if size == 0 {
		return nil, b[n:], nil
	}
	end := n + int(size-1) //nolint:gosec // within b
	return b[n:end:end], b[end:], nil
}
