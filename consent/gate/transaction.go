package gate

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// Transaction answers R4 http.html#transaction: all entries or none. Items are
// in the order of the entries.
func (g *Gate) Transaction(ctx context.Context, req *Request, entries []Entry) (Released, error) {
	return anew(func(last bool) (Released, error) { return g.transactionOnce(ctx, req, entries, last) })
}

// readingMost is how many entries of a transaction may read: they are answered while
// no other write goes on.
const readingMost = 200

func (g *Gate) transactionOnce(ctx context.Context, req *Request, entries []Entry, last bool) (Released, error) {
	v, err := g.open(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if !g.Transactions() {
		return Released{}, ErrNoTransactions
	}
	v.bundle = entries
	p := &plan{steps: make([]step, len(entries)), last: last}
	if err := v.admitEntries(ctx, p, entries); err != nil {
		return Released{}, err
	}
	if err := v.foresee(ctx, p); err != nil {
		return Released{}, v.undone(ctx, err)
	}
	out, err := v.commit(ctx, func(w *writing) (Released, error) { return w.transact(ctx, p.again()) })
	if err != nil {
		return Released{}, err
	}
	for i := range out.items {
		if a := out.items[i].Answer; a != nil {
			a.committed = true
		}
	}
	return out, nil
}

// admitEntries passes every entry through the gates, alone.
func (v *visit) admitEntries(ctx context.Context, p *plan, entries []Entry) error {
	type ask struct {
		in Interaction
		t  fhir.ResourceType
	}
	before, reading := map[ask]bool{}, 0
	for i := range entries {
		e := &entries[i]
		if !e.Interaction.Write {
			reading++
		}
		if reading > readingMost {
			return &EntryError{Index: i, Err: invalid(http.StatusUnprocessableEntity, fhir.CodeTooCostly,
				"a transaction may read with "+strconv.Itoa(readingMost)+" entries; a batch reads with more", "")}
		}
		p.steps[i] = step{index: i, entry: e, id: e.ID}
		if e.Query != nil {
			p.steps[i].question = v.searchQuestion(e.Query)
		}
		key := ask{e.Interaction, e.Type}
		confined, known := before[key]
		if !known || e.Type == "" {
			types, err := v.admitEntry(ctx, e)
			if err != nil {
				return &EntryError{Index: i, Err: err}
			}
			if e.Type == "" {
				p.steps[i].types = types
				continue
			}
			confined = v.caller.Confined
			before[key] = confined
		}
		p.steps[i].confined, p.steps[i].types = confined, []admitted{{e.Type, confined}}
	}
	return nil
}

// admitEntry passes one entry through the gates. What is refused is recorded as
// what the entry asks for.
func (v *visit) admitEntry(ctx context.Context, e *Entry) ([]admitted, error) {
	defer v.asking(e)()
	if e.Type == "" && e.Query != nil {
		return v.admitSearch(ctx, e.Query)
	}
	if err := v.admit(ctx, e.Interaction, e.Type); err != nil || !e.Interaction.Write {
		return nil, err
	}
	return nil, v.writable(ctx, e.Type)
}

// transact does the entries in the order R4 gives: deletions, creations, updates
// and patches, reads (http.html#trules).
func (w *writing) transact(ctx context.Context, p *plan) (Released, error) {
	out := Released{items: make([]Item, len(p.steps)), total: -1}
	for _, phase := range []func(context.Context, *plan, []Item) error{
		w.deleteAll, w.settle, w.writeAll, w.patchAll, w.holdAll, w.answerAll,
	} {
		if err := phase(ctx, p, out.items); err != nil {
			return out, err
		}
	}
	return out, nil
}

// deleteAll does the deletions. What the conditional ones and the conditional
// updates match is found out first: it may not be what another entry is about.
func (w *writing) deleteAll(ctx context.Context, p *plan, items []Item) error {
	matched, deletes := map[int]string{}, slices.ContainsFunc(p.steps, func(s step) bool { return s.is("delete") })
	for i := range p.steps {
		s := &p.steps[i]
		if !deletes || s.is("create") || s.condition() == nil {
			continue
		}
		w.caller.Confined = s.confined
		f, ok, err := w.only(ctx, s.condition())
		if err != nil && !errors.Is(err, ErrMultiple) { // it is asked again
			return &EntryError{Index: i, Err: err}
		}
		if ok {
			matched[i] = f.ID
		}
	}
	if err := p.distinct(matched, false); err != nil {
		return err
	}
	for i := range p.steps {
		s := &p.steps[i]
		if !s.is("delete") {
			continue
		}
		w.caller.Confined = s.confined
		var err error
		if s.condition() != nil {
			items[i], err = w.removeWhere(ctx, s.entry.Query, s.entry.IfMatch)
		} else {
			items[i], err = w.remove(ctx, s.entry.Type, s.entry.ID, s.entry.IfMatch)
		}
		if err != nil {
			return &EntryError{Index: i, Err: err}
		}
	}
	return p.apart(matched, items)
}

// settle holds the plan against the state that the commit builds on. Where a
// condition matches something else than was foreseen, the entry and those that
// refer to it are made again, for then another id stands in them.
func (w *writing) settle(ctx context.Context, p *plan, items []Item) error {
	changed := map[int]bool{}
	for i := range p.steps {
		s := &p.steps[i]
		w.caller.Confined = s.confined
		if !s.is("delete") && s.condition() != nil {
			f, ok, err := w.only(ctx, s.condition())
			if err != nil {
				return &EntryError{Index: i, Err: err}
			}
			s.found = nil
			if ok {
				s.found = &f
			}
		}
		was := s.done
		changed[i] = s.identify() || was != s.done
		if s.done {
			items[i] = w.already(*s.found)
		}
	}
	for i := range p.versioned {
		if err := w.foreseeVersion(ctx, &p.steps[i], changed); err != nil {
			return &EntryError{Index: i, Err: err}
		}
	}
	if err := p.distinct(nil, true); err != nil {
		return err
	}
	for i := range p.steps {
		s := &p.steps[i]
		if !changed[i] && !slices.ContainsFunc(s.links, func(to int) bool { return changed[to] }) {
			continue
		}
		if err := w.prepare(ctx, p, s); err != nil {
			return &EntryError{Index: i, Err: err}
		}
	}
	return nil
}

// foreseeVersion finds out what version an update will make, for the links that
// name it.
func (w *writing) foreseeVersion(ctx context.Context, s *step, changed map[int]bool) error {
	if !s.is("update") || s.id == s.fresh {
		return nil
	}
	w.caller.Confined = s.confined
	prior, err := w.addressed(ctx, s.entry.Type, s.id)
	if errors.Is(err, store.ErrNotFound) {
		return nil // it is new, or will be refused
	}
	if err != nil {
		return err
	}
	if v := next(prior.Version); v != s.version {
		s.version, changed[s.index] = v, true
	}
	return nil
}

// answerAll does the reads: they see what was written.
func (w *writing) answerAll(ctx context.Context, p *plan, items []Item) (err error) {
	for i := range p.steps {
		if s := &p.steps[i]; !s.entry.Interaction.Write {
			if items[i], err = w.answer(ctx, s); err != nil {
				return &EntryError{Index: i, Err: err}
			}
		}
	}
	return nil
}

// answer is what a reading entry gets: it goes through the same universe as a
// request of its own, after the writes.
func (w *writing) answer(ctx context.Context, s *step) (Item, error) {
	out := &Released{total: -1}
	e := s.entry
	w.caller.Confined, w.letter, w.gathered = s.confined, e.Interaction.Letter, nil
	if e.Query != nil {
		return w.answerSearch(ctx, s)
	}
	u, err := w.instance(ctx)
	if err != nil {
		return Item{}, err
	}
	if e.Interaction.Code == "history-instance" {
		return w.answerHistory(ctx, u, e)
	}
	var f store.Found
	if e.Version != "" {
		f, err = w.reader.Version(ctx, u, e.Type, e.ID, e.Version)
	} else {
		f, err = w.reader.Read(ctx, u, e.Type, e.ID)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = w.missed(ctx, u, e)
	}
	if err != nil {
		return Item{}, err
	}
	out.items = []Item{{Resource: f.Resource}}
	return Item{Status: http.StatusOK, Answer: out}, w.readOf(ctx, u, e, f.Patients, versioned(f.Resource))
}

// answerSearch is the first page of a search. Its events are those of a search by
// itself, and say what was asked.
func (w *writing) answerSearch(ctx context.Context, entry *step) (Item, error) {
	q := *entry.entry.Query // what its codes mean is worked out anew in each run
	q.Clauses = search.CloneClauses(q.Clauses)
	s, u, err := w.seek(ctx, &q, entry.types, entry.question, "")
	if err != nil {
		return Item{}, err
	}
	out, found, err := s.answer(ctx, u)
	if err != nil {
		return Item{}, err
	}
	defer w.asking(entry.entry)()
	events, err := w.searched(ctx, u, &q, found, &out)
	w.extra, w.seen = append(w.extra, events...), append(w.seen, events...)
	return Item{Status: http.StatusOK, Answer: &out}, err
}

// answerHistory is a page of a history.
func (w *writing) answerHistory(ctx context.Context, u *consent.Universe, e *Entry) (Item, error) {
	out, patients, err := w.versions(ctx, u, e.Type, e.ID, &e.History)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) {
		err = w.missed(ctx, u, e)
	}
	if err != nil {
		return Item{}, err
	}
	if err := w.readOf(ctx, u, e, patients, string(e.Type)+"/"+e.ID); err != nil {
		return Item{}, err
	}
	defer w.asking(e)()
	events, err := w.alsoRead(ctx, u)
	w.extra, w.seen = append(w.extra, events...), append(w.seen, events...)
	return Item{Status: http.StatusOK, Answer: &out}, err
}

// readOf notes that an entry has read what belongs to the patients.
func (w *writing) readOf(ctx context.Context, u *consent.Universe, e *Entry, patients []string, ref string) error {
	w.note(patients, ref)
	if err := w.saw(ctx, u, patients); err != nil {
		return err
	}
	defer w.asking(e)()
	events, err := w.concerning(ctx, u, patients)
	for i := range events {
		events[i].Entities, events[i].Before = []string{ref}, ""
	}
	w.seen = append(w.seen, events...)
	return err
}

// missed is why a reading entry finds nothing, for the record.
func (w *writing) missed(ctx context.Context, u *consent.Universe, e *Entry) (err error) {
	out := &absence{}
	if out.reason, out.whom, err = w.why(ctx, u, e.Type, e.ID); err != nil {
		return err
	}
	return out
}

// saw notes at what level the patients were seen.
func (w *writing) saw(ctx context.Context, u *consent.Universe, patients []string) error {
	for _, p := range patients {
		d, err := w.decision(ctx, u, p)
		if err != nil {
			return err
		}
		w.patients = merge(w.patients, []string{p})
		w.views[p] = d
	}
	return nil
}
