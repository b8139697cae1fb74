package embedded

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
)

// owners are the ordinals among which a universe may have rows. It narrows the
// walk; whether a row exists is for Universe.Admit alone.
type owners struct {
	kind    ownersKind
	patient stream // numbers of anything that a patient of the universe owns
}

type ownersKind uint8

const (
	ownersListed     ownersKind = iota // shared rows and the patients of the stream
	ownersPatients                     // shared rows and every patient
	ownersEverything                   // quarantine, too
)

// ownersOf works out the ordinals of a universe. Patients who are listed, and of
// whom nothing of the type exists in the edition, are not among them: what is
// hidden of them costs nothing at all.
func (v *view) ownersOf(ctx context.Context, u *consent.Universe, t fhir.ResourceType, e consent.Edition) (*owners, error) {
	if ids, ok := u.Patients(); ok {
		return v.listed(ids, func(patient string) bool {
			d, err := u.Decide(ctx, patient)
			return err == nil && d.Excludes(t, e) // an error is met again when it matters
		})
	}
	if links, ok := u.Links(); ok {
		s, err := v.linked(links)
		return &owners{patient: s}, err
	}
	o := &owners{kind: ownersPatients, patient: nothing{}}
	if _, own := u.Contributor(); own || u.IsEverything() {
		o.kind = ownersEverything
	}
	return o, nil
}

func (v *view) listed(ids []string, excluded func(string) bool) (*owners, error) {
	var firsts []number
	for _, id := range ids {
		if excluded(id) {
			continue
		}
		o, ok, err := readOrdinal(v.src, id)
		if err != nil {
			return nil, err
		}
		if ok {
			firsts = append(firsts, o.first())
		}
	}
	return &owners{patient: newSorted(firsts)}, nil
}

// linked streams the rows that any link matches in the full edition, of any
// type.
func (v *view) linked(links []search.Match) (stream, error) {
	var all union
	for _, m := range links {
		types, err := v.typesWith(m.Param)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		for _, t := range types {
			s, err := v.matchStream(consent.EditionFull, t, m, noLimit)
			if err != nil {
				return nil, errors.Join(err, all.close())
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// typesWith lists the types that have postings of a parameter, with one seek
// for each.
func (v *view) typesWith(p search.Param) ([]typeNumber, error) {
	prefix := prefixParam(nil, consent.EditionFull, p)
	it, err := v.src.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	var types []typeNumber
	for ok := it.First(); ok && len(it.Key()) > len(prefix)+2; {
		t := binary.BigEndian.Uint16(it.Key()[len(prefix):])
		types = append(types, typeNumber(t))
		end := after(prefixPostings(nil, consent.EditionFull, p, typeNumber(t)))
		if end == nil {
			break
		}
		ok = it.SeekGE(end)
	}
	return types, errors.Join(it.Error(), it.Close())
}

// next is the first ordinal, from o on, that the universe may have rows of.
func (w *owners) next(o ordinal) (ordinal, bool) {
	switch {
	case o == ordinalShared || w.kind == ownersEverything:
		return o, true
	case w.kind == ownersPatients:
		return max(o, ordinalFirst), true
	default:
		n, ok := w.patient.seek(max(o, ordinalFirst).first())
		return n.ordinal(), ok
	}
}

// emits reports whether a row of several patients is given under this number:
// under the first of its owners that the walk passes, and no other.
func (w *owners) emits(h *header, n number) bool {
	if len(h.ordinals) < 2 {
		return true
	}
	for _, o := range h.ordinals {
		if o >= n.ordinal() {
			continue
		}
		if first, ok := w.next(o); ok && first == o {
			return false
		}
	}
	return true
}
