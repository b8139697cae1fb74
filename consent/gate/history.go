package gate

import (
	"context"
	"errors"
	"hash"
	"slices"
	"time"

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
	question := v.historyQuestion(t, id, page.Since)
	after, err := v.unsealed(page.Cursor, question)
	if err != nil {
		return Released{}, err
	}
	u, err := v.instance(ctx)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	versions, next, total, err := v.reader.History(ctx, u, t, id, g.page(page.Count), after)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone), err == nil && total == 0:
		return Released{}, v.absent(ctx, u, t, id, ErrNotFound)
	case err != nil:
		return Released{}, g.failed(ctx, err)
	}
	var patients []string
	for i := range versions {
		patients = merge(patients, versions[i].Patients)
	}
	if !page.Since.IsZero() {
		total = -1
		older := func(f store.Found) bool { return f.Updated.Before(page.Since) }
		if n := slices.IndexFunc(versions, older); n >= 0 { // they come newest first
			versions, next = versions[:n], nil
		}
	}
	out := Released{items: make([]Item, len(versions)), total: total, next: v.sealed(next, question)}
	for i := range versions {
		out.items[i] = Item{Resource: versions[i].Resource}
	}
	v.notes.entities = []string{string(t) + "/" + id}
	events, err := v.concerning(ctx, u, patients)
	if err != nil {
		return Released{}, g.failed(ctx, err)
	}
	return v.record(ctx, out, events)
}

// historyQuestion is what a cursor of a history is bound to.
func (v *visit) historyQuestion(t fhir.ResourceType, id string, since time.Time) []byte {
	return v.question("history", func(h hash.Hash) {
		writePart(h, string(t))
		writePart(h, id)
		writePart(h, since.UTC().String())
	})
}

// page is the size of a page for the size wished for.
func (g *Gate) page(wish int) int {
	if wish <= 0 {
		return g.cfg.PageDefault
	}
	return min(wish, g.cfg.PageMax)
}
