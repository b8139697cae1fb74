package gate

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/store"
)

// writing is a visit within one commit. The store may run it again: nothing of
// it outlives the run.
type writing struct {
	visit
	tx store.Tx
	// rows are those written so far, by "Type/id".
	rows map[string]consent.Row
	// followed are those whose companions were filed again, by "Type/id".
	followed map[string]bool
	// patients are whose records were written to; refs what was written to each,
	// and "" for what belongs to nobody.
	patients []string
	refs     map[string][]string
	// written says more of what was written, by its reference.
	written map[string]versionNote
	// views are at what levels patients were seen, in a transaction that reads.
	views map[string]consent.Decision
	// seen are the events of what a transaction has read so far: that it could be read
	// is told by which entry fails, also when all is undone.
	seen []audit.Event
	// late is how many patches were worked out within the commit.
	late int
	// referring are the drafts whose references are yet to be looked up.
	referring []*draft
	// parametersChanged says that a search parameter was registered or retired.
	parametersChanged bool
	// extra are events beside those of the request; onlyThem says that they are all
	// there is to record.
	extra    []audit.Event
	onlyThem bool
	// rehearsal says that nothing of it is to be kept.
	rehearsal bool
}

// versionNote is what the record says of a version that was written.
type versionNote struct {
	before string
	labels []string
}

// entitiesMost is how many resources one event names.
const entitiesMost = 100

// commit runs do in one commit, together with the record of what it wrote.
func (v *visit) commit(ctx context.Context, do func(*writing) (Released, error)) (Released, error) {
	var out Released
	changed := false
	var w *writing
	err := v.g.store.Write(ctx, func(tx store.Tx) error {
		w = v.writing(tx)
		err := w.learn(ctx)
		if err != nil {
			return err
		}
		if out, err = do(w); err != nil {
			return err
		}
		if err := w.resolved(ctx); err != nil {
			return err
		}
		records, _ := v.g.encode(w.events())
		tx.Record(records...)
		changed = w.parametersChanged
		return nil
	})
	if errors.Is(err, errStale) {
		return Released{}, errStale
	}
	if err != nil && w != nil && len(w.seen) > 0 {
		if _, unrecorded := v.record(ctx, Released{}, w.seen); unrecorded != nil {
			return Released{}, unrecorded
		}
	}
	if err != nil {
		return Released{}, v.undone(ctx, err)
	}
	if changed {
		v.g.wake()
	}
	out.committed = true
	return out, nil
}

// writing is the visit within a commit: it reads its own writes, and keeps
// nothing of what it worked out.
func (v *visit) writing(tx store.Tx) *writing {
	w := &writing{
		visit: *v, tx: tx,
		rows: map[string]consent.Row{}, followed: map[string]bool{}, refs: map[string][]string{}, views: map[string]consent.Decision{},
		written: map[string]versionNote{},
	}
	w.reader, w.snap = v.sifted(tx), nil
	return w
}

// undone is the answer to a write of which nothing was kept. That something
// was not there is recorded first.
func (v *visit) undone(ctx context.Context, err error) error {
	defer v.asking(nil)()
	if entry := (*EntryError)(nil); errors.As(err, &entry) && entry.Index < len(v.bundle) {
		v.asking(&v.bundle[entry.Index])
	}
	var known *absence
	if errors.As(err, &known) {
		v.vain(v.req.Target)
		return v.denied(ctx, v.g.failed(ctx, err), known.reason, known.whom)
	}
	err = v.g.failed(ctx, err)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
		return v.denied(ctx, err, consent.ReasonAbsent, nil)
	}
	return err
}

// asking makes the events that follow those of one entry of a transaction, until
// what it returns is called.
func (v *visit) asking(e *Entry) (restore func()) {
	was := v.req
	if e != nil {
		one := *was
		one.Interaction, one.Type, one.Method, one.Target = e.Interaction, e.Type, e.Method, e.Target
		v.req = &one
	}
	return func() { v.req = was }
}

// events are one for each patient whose record was written to (DOSSIER §3.3).
func (w *writing) events() []audit.Event {
	events := slices.Clip(w.extra)
	if w.onlyThem {
		return events
	}
	for _, p := range w.patients {
		e := w.event()
		if d, ok := w.views[p]; ok {
			w.decided(&e, p, &d)
		}
		e.Patient = p
		w.naming(&e, w.refs[p])
		events = append(events, e)
	}
	if len(w.patients) == 0 {
		e := w.event()
		w.naming(&e, w.refs[""])
		events = append(events, e)
	}
	return events
}

// naming makes e name what was written. What it replaced, and how it is labelled,
// can be said of one alone.
func (w *writing) naming(e *audit.Event, refs []string) {
	e.Entities, e.Labels, e.Before = refs, nil, ""
	if len(refs) == 1 {
		c := w.written[refs[0]]
		e.Labels, e.Before = shown(c.labels), c.before
	}
}

// wrote notes what was written for the record of the request.
func (w *writing) wrote(d *draft, h homing, r fhir.Resource, prior *store.Found) {
	ref, c := versioned(r), versionNote{labels: d.labels}
	if prior != nil {
		c.before = versioned(prior.Resource)
	}
	w.written[ref] = c
	w.note(h.patients, ref)
	switch {
	case d.typ == "Consent":
		for _, p := range h.patients {
			w.beside(audit.KindConsentChange, p, ref)
		}
	case d.typ == "PractitionerRole":
		w.beside(audit.KindRoleChange, "", ref)
	case onboards(d):
		w.beside(audit.KindOnboarding, "", ref)
	case d.typ == "Basic" && slices.Contains(d.labels, consent.LabelOversight):
		w.beside(audit.KindDirective, "", ref)
		w.extra[len(w.extra)-1].Reason = cmp.Or(w.notes.act, actProposed)
	}
}

// note files what was written under whom it belongs to.
func (w *writing) note(patients []string, ref string) {
	w.patients = merge(w.patients, patients)
	if len(patients) == 0 {
		patients = []string{""}
	}
	for _, p := range patients {
		if len(w.refs[p]) < entitiesMost {
			w.refs[p] = append(w.refs[p], ref)
		}
	}
}

// beside adds an event that says what the write means for access.
func (w *writing) beside(kind audit.Kind, patient, ref string) {
	e := w.event()
	e.Kind, e.Patient = kind, patient
	w.naming(&e, []string{ref})
	w.extra = append(w.extra, e)
}
