package gate

import (
	"context"
	"slices"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// homing says where a row belongs, and how that was found.
type homing struct {
	home     consent.Home
	patients []string
	// named are the patients it names, also when it has found no home.
	named  []string
	links  []search.Link
	awaits []fhir.Identifier
	// labels are its own, and those of what it goes with.
	labels []string
}

// home works out to whom the draft belongs. Logical references are linked here,
// inside the server; what cannot be linked is kept in quarantine (ACCESS §4).
func (w *writing) home(ctx context.Context, d *draft) (homing, error) {
	h := homing{patients: slices.Clone(d.owners.Patients), labels: d.labels}
	if d.typ == "Patient" {
		h.patients = merge(h.patients, []string{d.id})
	}
	for _, identifier := range d.owners.Identifiers {
		id, ok, err := w.patientOf(ctx, identifier, d.contributor)
		switch {
		case err != nil:
			return h, err
		case ok:
			h.links = append(h.links, search.Link{Identifier: identifier, Patient: id})
			h.patients = merge(h.patients, []string{id})
		default:
			h.awaits = append(h.awaits, identifier)
		}
	}
	shared, known, err := w.inherit(ctx, d, &h)
	if err != nil {
		return h, err
	}
	slices.Sort(h.patients)
	h.named = h.patients
	switch {
	case len(h.awaits) > 0 || !known:
		h.home = consent.HomeQuarantine
	case len(h.patients) > 0:
		h.home = consent.HomePatients
	case shared, d.owners.MayBeShared, d.owners.MayBeSharedByCustodian && d.contributor == "":
		h.home = consent.HomeShared
	}
	if h.home != consent.HomePatients {
		h.patients = nil
	}
	return h, nil
}

// named are the patients a row on file names. One without a home of its own may
// yet bear on what is known of them: a restriction holds wherever it is kept.
func (w *writing) named(ctx context.Context, f *store.Found) (patients []string, err error) {
	if f.Deleted || f.Home != consent.HomeQuarantine || !bearsOnFacts(f.Resource.Type) {
		return f.Patients, nil
	}
	err = w.g.parsed(*f, func(f store.Found, t *fhir.Tape) error {
		d := w.g.understand(f.Resource.Type, t)
		d.id, d.contributor = f.ID, f.Contributor
		h, err := w.home(ctx, d)
		patients = h.named
		return err
	})
	return patients, err
}

// inherit takes over the patients and the labels of the resources whose owners
// the draft shares. known is false when one of them has no home of its own; shared is
// true when there are some and all are shared.
func (w *writing) inherit(ctx context.Context, d *draft, h *homing) (shared, known bool, err error) {
	shared = len(d.owners.Inherits) > 0
	for _, ref := range d.owners.Inherits {
		row, ok, err := w.rowOf(ctx, ref)
		if err != nil {
			return false, false, err
		}
		if !ok || row.Home == consent.HomeQuarantine {
			return false, false, nil
		}
		shared = shared && row.Home == consent.HomeShared
		h.patients = merge(h.patients, row.Patients)
		// What a rule hides must not come out through what goes with it.
		h.labels = merge(slices.Clone(h.labels), append(slices.Clone(row.Labels), consent.Within(row.Type)))
	}
	return shared, true, nil
}

// rowOf is the row of a resource, written in this commit or before it.
func (w *writing) rowOf(ctx context.Context, ref fhir.Reference) (row consent.Row, ok bool, err error) {
	if ref.Form != fhir.RefLocal {
		return row, false, nil
	}
	if row, ok = w.rows[ref.Local()]; ok {
		return row, true, nil
	}
	ok, err = w.read(ctx, ref.Type, ref.ID, func(f store.Found, _ *fhir.Tape) error {
		row = f.Row
		return nil
	})
	return row, ok, err
}

// patientOf is the Patient an identifier stands for, among those of the custodian
// alone: one of another contributor could be made up to draw to it what is
// somebody else's, and one of the contributor's own would show, by what is not
// drawn to it, whom the custodian has on file. What providers contribute is linked
// by the identifiers of the basic set and by no other, or what came of it would
// tell who has a passport of that number. In doubt it is nobody.
func (w *writing) patientOf(ctx context.Context, id fhir.Identifier, contributor string) (patient string, ok bool, err error) {
	if id.Value == "" || contributor != "" && !w.g.tools.Basic.Identifies(id.System) {
		return "", false, nil
	}
	var found []string
	clauses := []search.Clause{w.g.coded("Patient", "identifier", fhir.Coding{System: id.System, Code: id.Value})}
	err = w.each(ctx, "Patient", clauses, func(f store.Found, _ *fhir.Tape) error {
		if f.Contributor == "" {
			found = append(found, f.ID)
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		return "", false, err
	}
	return found[0], len(found) == 1, nil
}

// relink gives a home to what was waiting for a Patient that has now arrived.
func (w *writing) relink(ctx context.Context, patient *fhir.Tape) error {
	var waiting search.Clause
	elements(patient, patient.Root(), "identifier", func(n fhir.Node) {
		id := fhir.Identifier{System: patient.Text(patient.Field(n, "system")), Value: patient.Text(patient.Field(n, "value"))}
		if id.Value != "" {
			waiting.Any = append(waiting.Any, search.AwaitsMatch(id))
		}
	})
	if len(waiting.Any) == 0 {
		return nil
	}
	for _, t := range w.g.record {
		if t == "Patient" {
			continue
		}
		if err := w.rehomeAll(ctx, t, waiting); err != nil {
			return err
		}
	}
	return nil
}

// rehomeAll files anew what waits. It is gathered first: to file it changes what
// is walked.
func (w *writing) rehomeAll(ctx context.Context, t fhir.ResourceType, waiting search.Clause) error {
	var rows []store.Found
	err := w.each(ctx, t, []search.Clause{waiting}, func(f store.Found, _ *fhir.Tape) error {
		rows = append(rows, f)
		return nil
	})
	for i := 0; err == nil && i < len(rows); i++ {
		err = w.rehome(ctx, rows[i])
	}
	return err
}

// rehome files a row under the home it has now. It stays the version it is, at
// its time: a new one would tell the contributor that the patient has come.
func (w *writing) rehome(ctx context.Context, f store.Found) error {
	return w.g.parsed(f, func(f store.Found, t *fhir.Tape) error {
		d := w.g.understand(f.Resource.Type, t)
		d.id, d.partition, d.contributor, d.refiled = f.ID, f.Contributor, f.Contributor, true
		if err := w.makeBasic(d); err != nil {
			return err
		}
		h, err := w.home(ctx, d)
		if err != nil {
			return err
		}
		e, err := w.editionsAt(f.Updated, d, h, f.Version)
		if err != nil {
			return err
		}
		e.full.Unchanged = true
		if err := w.store(d, h, e, f.Row); err != nil {
			return err
		}
		return w.follow(ctx, d.typ, d.id)
	})
}

// companion is what a row that goes with another waits for: that whose the other
// is changes.
func companion(ref string) fhir.Identifier {
	return fhir.Identifier{System: consent.Canon + "/companion", Value: ref}
}

// follow files what goes with a resource under the home it has now. Otherwise an
// attachment would stay with the patient from whom its document was taken, and
// open where its document is not.
func (w *writing) follow(ctx context.Context, t fhir.ResourceType, id string) error {
	ref := string(t) + "/" + id
	if w.followed[ref] {
		return nil
	}
	w.followed[ref] = true
	waiting := search.Clause{Any: []search.Match{search.AwaitsMatch(companion(ref))}}
	for _, t := range [...]fhir.ResourceType{"Binary", "Provenance"} {
		if err := w.rehomeAll(ctx, t, waiting); err != nil {
			return err
		}
	}
	return nil
}

// editionsAt are the stored forms of the draft as of a moment before now.
func (w *writing) editionsAt(at time.Time, d *draft, h homing, version string) (*editions, error) {
	now := w.now
	w.now = at
	defer func() { w.now = now }()
	return w.editions(d, h.links, h.awaits, version, "b1")
}
