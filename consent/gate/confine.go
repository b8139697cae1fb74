package gate

import (
	"context"
	"errors"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/compartment"
	"vitrine/store"
)

// A token of one patient's launch writes to that patient's record alone. Whose
// the resources of a provider are, they say themselves: to whom the server filed
// them, by a link that it made or by what they go with, would tell who is on file
// and what there is of the patient.

// sharingMost is how far it is followed with what a resource shares its owners.
const sharingMost = 4

// heldToWords reports whether the caller is confined to what says that it is the
// launch patient's. Patients and those who act for them see where theirs is filed.
func (v *visit) heldToWords() bool {
	return v.caller.Confined && v.caller.Kind != consent.Patient && v.caller.Kind != consent.Representative
}

// confined holds a write by such a token against whom it is about.
func (w *writing) confined(ctx context.Context, d *draft, h *homing) error {
	ok := !w.caller.Confined || h.home == consent.HomePatients && slices.Equal(h.patients, []string{w.caller.Patient})
	if w.heldToWords() {
		var err error
		if ok, err = w.speaks(ctx, d.typ, d.id, &d.owners, 0); err != nil {
			return err
		}
	}
	if !ok {
		return &absence{reason: consent.ReasonOtherPatient}
	}
	return nil
}

// within does the same for what is on file, as it was before it was deleted.
func (v *visit) within(ctx context.Context, u *consent.Universe, prior *store.Found) error {
	ok := !v.caller.Confined || prior.Home == consent.HomePatients && slices.Equal(prior.Patients, []string{v.caller.Patient})
	if v.heldToWords() {
		said := *prior
		if said.Deleted {
			versions, _, _, err := v.reader.History(ctx, u, prior.Resource.Type, prior.ID, 2, nil)
			if err != nil {
				return err
			}
			said = versions[len(versions)-1]
		}
		var err error
		if ok, err = v.isAbout(ctx, &said, 0); err != nil {
			return err
		}
	}
	if !ok {
		return &absence{reason: consent.ReasonOtherPatient}
	}
	return nil
}

// isAbout reports whether a resource says that it is the launch patient's, and
// nobody else's.
func (v *visit) isAbout(ctx context.Context, f *store.Found, depth int) (ok bool, err error) {
	if f.Deleted {
		return false, nil
	}
	err = v.g.parsed(*f, func(f store.Found, t *fhir.Tape) error {
		owners := v.g.tools.Compartments.Of(t, v.g.cfg.BaseURL)
		ok, err = v.speaks(ctx, f.Resource.Type, f.ID, &owners, depth)
		return err
	})
	return ok, err
}

// speaks reports whether these owners are the launch patient and nobody else. What
// shares the owners of another resource is held against what that one says, if
// it is of the caller's own organisation.
func (v *visit) speaks(ctx context.Context, t fhir.ResourceType, id string, o *compartment.Owners, depth int) (bool, error) {
	patients := slices.Clone(o.Patients)
	if t == "Patient" {
		patients = append(patients, id)
	}
	other := func(p string) bool { return p != v.caller.Patient }
	if len(o.Identifiers) > 0 || slices.ContainsFunc(patients, other) || len(patients)+len(o.Inherits) == 0 {
		return false, nil
	}
	for _, ref := range o.Inherits {
		if ref.Form != fhir.RefLocal || depth == sharingMost {
			return false, nil
		}
		f, err := v.reader.Read(ctx, v.partition(), ref.Type, ref.ID)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if ok, err := v.isAbout(ctx, &f, depth+1); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// concerns reports whether a condition may be answered with what a resource says:
// it is nobody's, or the launch patient's where the caller is held to that.
func (s *saying) concerns(ctx context.Context, f *store.Found, t *fhir.Tape) (bool, error) {
	if !s.heldToWords() {
		return true, nil
	}
	owners := s.g.tools.Compartments.Of(t, s.g.cfg.BaseURL)
	if owners.None() {
		return true, nil
	}
	return s.speaks(ctx, f.Resource.Type, f.ID, &owners, 0)
}
