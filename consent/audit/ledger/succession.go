package ledger

import (
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A succession is a note in which a key names the one that signs after it. Both sign
// it: who trusts one of them is led to the other. A signature beside that of a
// trusted key leads nowhere, for anybody can add one to a note.

const successionHead = "vitrine audit key, and the one after it\n"

// Succeed makes the succession of two verifier keys.
func Succeed(before, after string, by ...note.Signer) ([]byte, error) {
	raw, err := note.Sign(&note.Note{Text: successionHead + before + "\n" + after + "\n"}, by...)
	if err != nil {
		return nil, err
	}
	return inOrder(raw)
}

// OpenSuccession reads one, and gives the places of both keys among the keys. Both
// must have signed it, and nobody else.
func OpenSuccession(raw []byte, keys []note.Verifier) (before, after int, err error) {
	text, by, err := openNote(raw, keys)
	if err != nil {
		return 0, 0, err
	}
	lines, ok := strings.CutPrefix(text, successionHead)
	two, _, err := ParseKeys(lines)
	if !ok || err != nil || len(two) != 2 {
		return 0, 0, ErrCheckpoint
	}
	if len(by) != 2 || !has(by, two[0]) || !has(by, two[1]) {
		return 0, 0, ErrSignature
	}
	place := func(v note.Verifier) int {
		return slices.IndexFunc(keys, func(k note.Verifier) bool { return textOf(k) == textOf(v) })
	}
	return place(two[0]), place(two[1]), nil
}
