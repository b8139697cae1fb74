package gate

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"vitrine/consent/audit/ledger"
	"vitrine/store"
)

// ErrUnsigned says that nothing of the log was signed yet.
var ErrUnsigned = errors.New("the log of accesses was not signed yet")

// Signed is the checkpoint of a log in a store that was signed last.
type Signed struct {
	ledger.Signed
	// Keys are the lines of the keys that signed it, as a key file has them.
	Keys []string
	// Verifiers are the same keys.
	Verifiers []note.Verifier
}

// LastSigned reads it, for whoever looks after a store and asks no gate.
func LastSigned(ctx context.Context, r store.Reader) (Signed, error) {
	s, err := (&LedgerConfig{}).signings(ctx, r)
	if err != nil {
		return Signed{}, err
	}
	if s.top == nil {
		return Signed{}, ErrUnsigned
	}
	out := Signed{Signed: *s.top}
	out.Note = slices.Clone(s.latest)
	for _, line := range s.keys {
		v, err := ledger.ParseKey(line)
		if err != nil {
			return Signed{}, errLedger
		}
		if s.top.SignedBy(v) {
			out.Keys, out.Verifiers = append(out.Keys, line), append(out.Verifiers, v)
		}
	}
	return out, nil
}
