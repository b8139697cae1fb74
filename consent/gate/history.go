package gate

import (
	"context"
	"encoding/binary"
	"errors"
	"hash"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// History answers R4 http.html#history of one resource, in the edition that
// exists for the caller.
func (g *Gate) History(ctx context.Context, req *Request, t fhir.ResourceType, id string, page HistoryPage) (Released, error) {
	v, err := g.enter(ctx, req)
	if err != nil {
		return Released{}, err
	}
	defer v.close()
	u, err := v.instance(ctx)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	out, patients, err := v.versions(ctx, u, t, id, &page)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return Released{}, v.absent(ctx, u, t, id, ErrNotFound)
	case err != nil:
		return Released{}, g.failed(ctx, err)
	}
	v.notes.entities = []string{string(t) + "/" + id}
	events, err := v.concerning(ctx, u, patients)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	also, err := v.alsoRead(ctx, u)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.record(ctx, out, append(events, also...))
}

// versions are a page of the versions of a resource, and the patients whom they
// concern. Without any at all the resource is not found.
func (v *visit) versions(ctx context.Context, u *consent.Universe, t fhir.ResourceType, id string, page *HistoryPage) (out Released, patients []string, err error) {
	question := v.historyQuestion("history", t, id, page)
	at, err := v.unsealed(page.Cursor, question)
	if err != nil {
		return out, nil, err
	}
	w := versionsWalk{visit: v, u: u, t: t, id: id, page: page}
	if err := w.begin(ctx, at); err != nil {
		return out, nil, err
	}
	found, err := w.fill(ctx, v.g.page(page.Count))
	if err != nil {
		return out, nil, err
	}
	out = Released{items: make([]Item, len(found)), total: w.total}
	if w.filters() {
		out.total = -1 // it would be of all there are
	}
	for i := range found {
		out.items[i] = Item{Resource: found[i].Resource}
		patients = merge(patients, found[i].Patients)
	}
	out.next = v.sealed(w.rest, question)
	return out, patients, nil
}

// versionsWalk goes through the versions of a resource, newest first.
type versionsWalk struct {
	*visit
	u    *consent.Universe
	t    fhir.ResourceType
	id   string
	page *HistoryPage
	// members are what the List refers to; nil without one.
	members *roster
	// after is where to go on, and replaced when the version there was; the zero
	// time of the current one.
	after    []byte
	replaced time.Time
	total    int
	// passed is how many versions were looked at to leave some out.
	passed int
	// rest is the position of the next page; empty at the end.
	rest []byte
}

func (w *versionsWalk) begin(ctx context.Context, at []byte) (err error) {
	if len(at) > 0 {
		ms, n := binary.Varint(at)
		if n <= 0 || len(at) == n {
			return ErrBadCursor
		}
		w.after, w.replaced = at[n:], time.UnixMilli(ms)
	}
	if w.page.List != "" {
		w.members, err = w.listed(ctx, w.page.List)
	}
	return err
}

// filters reports whether something may be left out.
func (w *versionsWalk) filters() bool {
	return !w.page.Since.IsZero() || !w.page.Until.IsZero() || w.page.List != ""
}

// fill reads the page. What is left out is passed over in large steps, and the
// step in which the page ends is read once more as far as that, so that the next
// goes on behind it.
func (w *versionsWalk) fill(ctx context.Context, limit int) (found []store.Found, err error) {
	if !w.filters() {
		return w.plain(ctx, limit)
	}
	for {
		step, next, total, err := w.reader.History(ctx, w.u, w.t, w.id, w.g.cfg.PageMax, w.after)
		if err == nil && total == 0 {
			err = store.ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		w.total = total
		if w.passed += len(step); w.passed > versionsMost {
			return nil, ErrTooCostly
		}
		replaced := w.replaced
		for i := range step {
			f := &step[i]
			keep, older := w.wants(f, replaced)
			switch {
			case !older:
				return found, nil
			case keep && len(found) == limit:
				return found, w.rewind(ctx, i, replaced)
			case keep:
				found = append(found, *f)
			}
			replaced = f.Updated
		}
		if len(next) == 0 {
			return found, nil
		}
		w.after, w.replaced = next, replaced
	}
}

// plain reads a page of which nothing is left out.
func (w *versionsWalk) plain(ctx context.Context, limit int) (found []store.Found, err error) {
	var next []byte
	found, next, w.total, err = w.reader.History(ctx, w.u, w.t, w.id, limit, w.after)
	if err == nil && w.total == 0 {
		err = store.ErrNotFound
	}
	if err == nil && len(next) > 0 {
		w.rest = append(binary.AppendVarint(nil, found[len(found)-1].Updated.UnixMilli()), next...)
	}
	return found, err
}

// rewind makes the next page begin behind so many versions of a step.
func (w *versionsWalk) rewind(ctx context.Context, behind int, replaced time.Time) error {
	after := w.after
	if behind > 0 {
		_, next, _, err := w.reader.History(ctx, w.u, w.t, w.id, behind, w.after)
		if err != nil {
			return err
		}
		after = next
	}
	w.rest = append(binary.AppendVarint(nil, replaced.UnixMilli()), after...)
	return nil
}

// wants reports whether a version is asked for, and whether older ones may be.
func (w *versionsWalk) wants(f *store.Found, replaced time.Time) (keep, older bool) {
	if f.Updated.Before(w.page.Since) {
		return false, false
	}
	keep = w.members.refers(w.t, w.id, f.Version)
	if w.page.Until.IsZero() {
		return keep, true
	}
	if !replaced.IsZero() && !replaced.After(w.page.From) {
		return false, false
	}
	if !f.Updated.Before(w.page.Until) || f.Deleted && f.Updated.Before(w.page.From) {
		keep = false
	}
	return keep, true
}

// historyQuestion is what a cursor of a history is bound to.
func (v *visit) historyQuestion(kind string, t fhir.ResourceType, id string, page *HistoryPage) []byte {
	return v.question(kind, func(h hash.Hash) {
		for _, part := range []string{string(t), id, page.Since.UTC().String(), page.From.UTC().String(), page.Until.UTC().String(), page.List} {
			writePart(h, part)
		}
	})
}

// page is the size of a page for the size wished for.
func (g *Gate) page(wish int) int {
	if wish <= 0 {
		return g.cfg.PageDefault
	}
	return min(wish, g.cfg.PageMax)
}
