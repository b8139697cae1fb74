package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// step is one entry of a transaction on its way.
type step struct {
	index int
	entry *Entry
	// id is that of the resource the entry is about.
	id string
	// draft is the content, its references rewritten.
	draft    *draft
	confined bool
	// types are those that a search looks through, and question is what its
	// cursors are bound to.
	types    []admitted
	question []byte
}

// plan is a transaction, understood at one assumption of what the conditions
// will match.
type plan struct {
	steps []step
	// targets are the references by which the entries name each other.
	targets map[string]string
	// conditional are the conditional references met, resolved.
	conditional map[string]string
}

// Transaction answers R4 http.html#transaction: all entries or none. Items are
// in the order of the entries.
func (g *Gate) Transaction(ctx context.Context, req *Request, entries []Entry) (Released, error) {
	v, err := g.open(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	if !g.Transactions() {
		return Released{}, ErrNoTransactions
	}
	p := &plan{steps: make([]step, len(entries)), conditional: map[string]string{}}
	if err := v.admitEntries(ctx, p, entries); err != nil {
		return Released{}, err
	}
	if err := v.prepare(ctx, p, nil); err != nil {
		return Released{}, g.failed(ctx, err)
	}
	out, err := v.commit(ctx, func(w *writing) (Released, error) { return w.transact(ctx, p) })
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
	before := map[ask]bool{}
	for i := range entries {
		e := &entries[i]
		p.steps[i] = step{index: i, entry: e, id: e.ID}
		if e.Query != nil {
			p.steps[i].question = v.searchQuestion(e.Query)
		}
		if e.Type == "" && e.Query != nil {
			types, err := v.admitSearch(ctx, e.Query)
			if err != nil {
				return &EntryError{Index: i, Err: err}
			}
			p.steps[i].types = types
			continue
		}
		key := ask{e.Interaction, e.Type}
		confined, known := before[key]
		if !known {
			if err := v.admit(ctx, e.Interaction, e.Type); err != nil {
				return &EntryError{Index: i, Err: err}
			}
			if e.Interaction.Write {
				if err := v.writable(ctx, e.Type); err != nil {
					return &EntryError{Index: i, Err: err}
				}
			}
			confined = v.caller.Confined
			before[key] = confined
		}
		p.steps[i].confined, p.steps[i].types = confined, []admitted{{e.Type, confined}}
	}
	return nil
}

// prepare gives every entry its id, the one it will have if no condition
// matches or else the one in found, and makes the drafts.
func (v *visit) prepare(ctx context.Context, p *plan, found map[int]string) error {
	p.targets = make(map[string]string, len(p.steps))
	taken := make(map[string]bool, len(p.steps))
	for i := range p.steps {
		s := &p.steps[i]
		if !s.entry.Interaction.Write {
			continue
		}
		if s.id == "" && s.entry.Interaction.Code != "delete" {
			s.id = newID()
		}
		if id, ok := found[i]; ok {
			s.id = id
		}
		ref := string(s.entry.Type) + "/" + s.id
		if s.id != "" && taken[ref] {
			return &EntryError{Index: i, Err: invalid(http.StatusBadRequest, fhir.CodeInvalid,
				"a transaction names a resource once only", "Bundle.entry")}
		}
		taken[ref] = true
		p.name(s, ref)
	}
	for i := range p.steps {
		if err := v.prepareStep(ctx, p, &p.steps[i]); err != nil {
			return &EntryError{Index: i, Err: err}
		}
	}
	return nil
}

// prepareStep makes the draft of one entry.
func (v *visit) prepareStep(ctx context.Context, p *plan, s *step) error {
	if s.entry.Interaction.Code != "create" && s.entry.Interaction.Code != "update" {
		return nil
	}
	content, err := v.rewritten(ctx, p, s.entry.Content)
	if err != nil {
		return err
	}
	if s.draft, err = v.acceptable(ctx, s.entry.Type, content); err != nil {
		return err
	}
	if s.entry.ID != "" {
		return v.addressing(s.draft, s.entry.ID)
	}
	return v.ready(s.draft, s.id)
}

// transact does the entries in the order R4 gives: deletions, creations,
// updates, reads (http.html#trules).
func (w *writing) transact(ctx context.Context, p *plan) (Released, error) {
	out := Released{items: make([]Item, len(p.steps)), total: -1}
	if err := w.eachStep(p, "delete", func(s *step) (err error) {
		w.caller.Confined = s.confined
		if s.entry.Query != nil {
			out.items[s.index], err = w.removeWhere(ctx, s.entry.Query)
		} else {
			out.items[s.index], err = w.remove(ctx, s.entry.Type, s.entry.ID, s.entry.IfMatch)
		}
		return err
	}); err != nil {
		return out, err
	}
	p, done, err := w.conditions(ctx, p, out.items)
	if err != nil {
		return out, err
	}
	for pass := range passes {
		for _, code := range []string{"create", "update"} {
			if err := w.eachStep(p, code, func(s *step) (err error) {
				if done[s.index] || passOf(s.draft) != pass {
					return nil
				}
				out.items[s.index], err = w.write(ctx, s)
				return err
			}); err != nil {
				return out, err
			}
		}
	}
	for i := range p.steps {
		if s := &p.steps[i]; !s.entry.Interaction.Write {
			if out.items[i], err = w.answer(ctx, s); err != nil {
				return out, &EntryError{Index: i, Err: err}
			}
		}
	}
	return out, nil
}

// eachStep calls with for the entries of one interaction, in their order.
func (w *writing) eachStep(p *plan, code string, with func(*step) error) error {
	for i := range p.steps {
		if p.steps[i].entry.Interaction.Code != code {
			continue
		}
		if err := with(&p.steps[i]); err != nil {
			return &EntryError{Index: i, Err: fmt.Errorf("entry: %w", err)}
		}
	}
	return nil
}

// passes are the rounds of writing: Patients first, so that logical references
// find them; last what inherits its owners from others.
const passes = 3

func passOf(d *draft) int {
	switch {
	case d.typ == "Patient":
		return 0
	case len(d.owners.Inherits) > 0:
		return 2
	default:
		return 1
	}
}

func (w *writing) write(ctx context.Context, s *step) (Item, error) {
	w.caller.Confined = s.confined
	if s.entry.Interaction.Code == "create" {
		item, _, err := w.create(ctx, s.draft, nil)
		return item, err
	}
	item, _, err := w.update(ctx, s.draft, s.entry.IfMatch)
	if errors.Is(err, store.ErrNotFound) && s.entry.Query != nil && s.entry.IfMatch == "" && s.draft.id == s.id {
		item, _, err = w.create(ctx, s.draft, nil)
	}
	return item, err
}

// conditions looks up what conditional entries match. Where something does, the
// plan is made again, for then other ids stand in the references; done are the
// conditional creates with nothing left to do.
func (w *writing) conditions(ctx context.Context, p *plan, items []Item) (now *plan, done map[int]bool, err error) {
	found := map[int]string{}
	done = map[int]bool{}
	for i := range p.steps {
		s := &p.steps[i]
		cond := s.entry.IfNoneExist
		if s.entry.Interaction.Code == "update" {
			cond = s.entry.Query
		}
		if cond == nil || s.entry.Interaction.Code == "delete" || !s.entry.Interaction.Write {
			continue
		}
		f, ok, err := w.only(ctx, cond)
		if err != nil {
			return nil, nil, &EntryError{Index: i, Err: err}
		}
		if ok {
			found[i] = f.ID
		}
		if ok && s.entry.IfNoneExist != nil {
			done[i] = true
			items[i] = w.already(f)
		}
	}
	if len(found) == 0 {
		return p, done, nil
	}
	again := &plan{steps: append([]step(nil), p.steps...), conditional: p.conditional}
	return again, done, w.prepare(ctx, again, found)
}

// answer is what a reading entry gets: it goes through the same universe as a
// request of its own, after the writes.
func (w *writing) answer(ctx context.Context, s *step) (Item, error) {
	w.caller.Confined = s.confined
	out := &Released{total: -1}
	e := s.entry
	if e.Query != nil {
		return w.answerSearch(ctx, e.Query, s.types, s.question)
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
	w.note(f.Patients, versioned(f.Resource))
	return Item{Status: http.StatusOK, Answer: out}, w.saw(ctx, u, f.Patients)
}

// answerSearch is the first page of a search.
func (w *writing) answerSearch(ctx context.Context, q *search.Query, types []admitted, question []byte) (Item, error) {
	s, u, err := w.seek(ctx, q, types, question, "")
	if err != nil {
		return Item{}, err
	}
	out, found, err := s.answer(ctx, u)
	if err != nil {
		return Item{}, err
	}
	patients, _, err := w.met(ctx, u, q, found)
	if err != nil {
		return Item{}, err
	}
	return Item{Status: http.StatusOK, Answer: &out}, w.saw(ctx, u, patients)
}

// answerHistory is the newest page of a history.
func (w *writing) answerHistory(ctx context.Context, u *consent.Universe, e *Entry) (Item, error) {
	versions, next, total, err := w.reader.History(ctx, u, e.Type, e.ID, w.g.page(unspecifiedCount), nil)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) || (err == nil && total == 0) {
		err = w.missed(ctx, u, e)
	}
	if err != nil {
		return Item{}, err
	}
	out := &Released{items: make([]Item, len(versions)), total: total}
	out.next = w.sealed(next, w.historyQuestion(e.Type, e.ID, time.Time{}))
	var patients []string
	for i := range versions {
		out.items[i] = Item{Resource: versions[i].Resource}
		patients = merge(patients, versions[i].Patients)
	}
	w.note(patients, string(e.Type)+"/"+e.ID)
	return Item{Status: http.StatusOK, Answer: out}, w.saw(ctx, u, patients)
}

// missed is why a reading entry finds nothing, for the record.
func (w *writing) missed(ctx context.Context, u *consent.Universe, e *Entry) (err error) {
	out := &absence{}
	if out.reason, out.patients, err = w.why(ctx, u, e.Type, e.ID); err != nil {
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
