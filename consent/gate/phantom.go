package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"vitrine/consent"
)

// To decide about a patient of whom nothing is remembered takes a dozen looks at the
// store, about one who is remembered none, and where there is nobody there is nobody
// to decide about. So that the time of an answer does not tell which it was, whoever
// is told that there is nothing waits for the facts about one patient to be gathered:
// about the one who is hidden, or else about a phantom, a patient who never is.
//
// What is gathered about phantoms is not kept. Asking for what is not there takes
// nobody's place in the cache, and to ask again takes as long once more, of what is
// absent and of what is hidden.

// even gathers the facts about a phantom for each of the patients whose own were
// remembered; about one where what was asked for concerns no patient at all, if
// nobody's were gathered on the way to that answer.
func (v *visit) even(ctx context.Context, asked string, patients []string) error {
	if len(patients) == 0 && len(v.gathered) == 0 {
		return v.phantom(ctx, asked)
	}
	for _, p := range patients {
		if slices.Contains(v.gathered, p) {
			continue
		}
		if err := v.phantom(ctx, asked); err != nil {
			return err
		}
	}
	return nil
}

// hold waits until the time tells nothing any more.
func (v *visit) hold() {
	if v.req.Hold != nil {
		v.req.Hold()
	}
}

// begin begins the time that there is to hold.
func (v *visit) begin() {
	if v.req.Begin != nil {
		v.req.Begin()
	}
}

// phantom gathers the facts about a patient who never is: another for all that can be
// asked for, so that what the store has to read for it is as little at hand as it is
// for a patient, and nobody else's reading brings it there.
func (v *visit) phantom(ctx context.Context, asked string) error {
	if !v.isWatched() { // nothing is decided for the others
		return nil
	}
	sum := sha256.Sum256(append(v.g.cfg.CursorKey[:len(v.g.cfg.CursorKey):len(v.g.cfg.CursorKey)], asked...))
	l := &factsLoad{view: &v.view, facts: &consent.Facts{Patient: hex.EncodeToString(sum[:16])}}
	v.gathered = append(v.gathered, l.facts.Patient)
	return l.run(ctx)
}
