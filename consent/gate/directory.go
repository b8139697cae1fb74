package gate

import (
	"context"
	"errors"

	"vitrine/consent"
	"vitrine/consent/directive"
	"vitrine/fhir"
	"vitrine/store"
)

// misses is the place of the first target of a directive that is nobody of the
// directory; empty when there is none. Such a directive would stand against nobody.
// The directory is the regulator's to read, and patients are no targets.
//
// Who was of the directory and is deleted counts. A part of that organisation, a role
// of that person and whoever is put back under the id are kept out by the directive,
// and what was disclosed to them they have still.
func (v *view) misses(ctx context.Context, o *directive.Directive) (place string, err error) {
	for _, t := range o.Targets {
		for _, who := range t.Who {
			listed := false
			r := fhir.ParseReference(who, "")
			if err := v.lastly(ctx, r.Type, r.ID, func(f store.Found, _ *fhir.Tape) error {
				listed = isDirectory(&f)
				return nil
			}); err != nil || !listed {
				return t.Place, err
			}
		}
	}
	return "", nil
}

// inDirectory reports whether a reference is to something of the directory.
func (v *view) inDirectory(ctx context.Context, reference string) (listed bool, err error) {
	r := fhir.ParseReference(reference, "")
	_, err = v.read(ctx, r.Type, r.ID, func(f store.Found, _ *fhir.Tape) error {
		listed = isDirectory(&f)
		return nil
	})
	return listed, err
}

// isDirectory reports whether something is of the directory: what the custodian keeps
// and belongs to no patient (a client's Device has no home of its own), and the roles
// that organisations do.
func isDirectory(f *store.Found) bool {
	switch f.Resource.Type {
	case "Device":
		return f.Home != consent.HomePatients && f.Contributor == ""
	case "PractitionerRole":
		return f.Home == consent.HomeShared
	default:
		return f.Home == consent.HomeShared && f.Contributor == ""
	}
}

// lastly calls with for the current version of a resource or, of one that is deleted,
// for the last that there was.
func (v *view) lastly(ctx context.Context, t fhir.ResourceType, id string, with func(store.Found, *fhir.Tape) error) error {
	if found, err := v.read(ctx, t, id, with); err != nil || found || !fhir.ValidID(id) {
		return err
	}
	versions, _, _, err := v.reader.History(ctx, consent.Everything(), t, id, 2, nil)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range versions {
		if !versions[i].Deleted {
			return v.g.parsed(versions[i], with)
		}
	}
	return nil
}
