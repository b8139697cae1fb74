package gate

import (
	"context"
	"encoding/binary"
	"hash"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// recordTypes are the types a record may hold, the Patient first. The record
// of access is no part of it.
func (g *Gate) recordTypes() []fhir.ResourceType {
	types := []fhir.ResourceType{"Patient"}
	for _, t := range g.tools.Definitions.Resources() {
		if name := t.Resource(); name != "Patient" && name != "AuditEvent" {
			types = append(types, name)
		}
	}
	return types
}

// Everything answers Patient/$everything (R4 patient-operation-everything.html):
// what belongs to the patient, type by type.
func (g *Gate) Everything(ctx context.Context, req *Request, patient string, page EverythingPage) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	question := v.question("$everything", func(h hash.Hash) {
		writePart(h, patient)
		for _, t := range page.Types {
			writePart(h, string(t))
		}
		writeClauses(h, page.Clauses)
	})
	position, err := v.unsealed(page.Cursor, question)
	if err != nil {
		return Released{}, err
	}
	if _, _, err := v.find(ctx, "Patient", patient, func(v *visit, u *consent.Universe) (store.Found, error) {
		return v.reader.Read(ctx, u, "Patient", patient)
	}); err != nil {
		return Released{}, err
	}
	walk, err := v.everything(ctx, patient, page)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	if err := walk.from(position); err != nil {
		return Released{}, err
	}
	if err := walk.run(ctx); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	out := Released{items: walk.items, total: -1, next: v.sealed(walk.position(), question)}
	if out.hint, err = v.hinted(ctx, walk.universe, &search.Query{Patients: []string{patient}}); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	events, err := v.concerning(ctx, walk.universe, walk.patients)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.record(ctx, out, events)
}

// everythingWalk goes through the types of a record.
type everythingWalk struct {
	*visit
	universe *consent.Universe
	types    []fhir.ResourceType
	clauses  []search.Clause
	room     int
	// next and after are where the walk goes on.
	next  int
	after []byte

	items    []Item
	patients []string
}

// everything prepares the walk: the patient's universe without the directory,
// and the types that scopes and directives leave.
func (v *visit) everything(ctx context.Context, patient string, page EverythingPage) (*everythingWalk, error) {
	w := &everythingWalk{visit: v, room: v.g.page(page.Count), clauses: page.Clauses, patients: []string{patient}}
	w.universe = consent.OfPatients([]string{patient}, nil, v.decide)
	switch v.caller.Kind {
	case consent.Custodian:
		w.universe = consent.OfPatients([]string{patient}, nil, entrusted)
	case consent.Practitioner:
		w.universe.Where(provided)
	case consent.Nobody, consent.System, consent.Patient, consent.Representative, consent.Regulator:
	default:
	}
	w.universe = v.parted(w.universe)
	for _, t := range v.g.record {
		if len(page.Types) > 0 && !slices.Contains(page.Types, t) {
			continue
		}
		o := v.opens(v.req.Interaction.Letter, t)
		if !o.ok || (o.confined && v.caller.Patient != patient) {
			continue
		}
		blocked, err := v.blocked(ctx, v.req.Interaction, t)
		if err != nil {
			return nil, err
		}
		if !blocked {
			w.types = append(w.types, t)
		}
	}
	return w, nil
}

// entrusted decides for the custodian: the record is whole.
func entrusted(context.Context, string) (consent.Decision, error) {
	return consent.Decision{Level: consent.Self}, nil
}

// from puts the walk where a page ended.
func (w *everythingWalk) from(position []byte) error {
	if len(position) == 0 {
		return nil
	}
	next, n := binary.Uvarint(position)
	if n <= 0 || next > uint64(len(w.types)) {
		return ErrBadCursor
	}
	w.next, w.after = int(next), position[n:] //nolint:gosec // bounded above
	return nil
}

// position is where the walk goes on; empty at the end.
func (w *everythingWalk) position() []byte {
	if w.next >= len(w.types) {
		return nil
	}
	return append(binary.AppendUvarint(nil, uint64(w.next)), w.after...) //nolint:gosec // not negative
}

// run fills one page.
func (w *everythingWalk) run(ctx context.Context) error {
	for w.next < len(w.types) && w.room > 0 {
		q := search.Query{Type: w.types[w.next], Clauses: w.clauses, Count: unspecifiedCount}
		page, err := w.reader.Search(ctx, w.universe, &q, store.PageRequest{Limit: w.room, After: w.after})
		if err != nil {
			return err
		}
		for i := range page.Found {
			w.items = append(w.items, Item{Resource: page.Found[i].Resource, Mode: ModeMatch})
			w.patients = merge(w.patients, page.Found[i].Patients)
		}
		w.room -= len(page.Found)
		w.after = page.Next
		if len(w.after) == 0 {
			w.next++
		}
	}
	return nil
}

// merge adds to ids those of more that are missing.
func merge(ids, more []string) []string {
	for _, id := range more {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
