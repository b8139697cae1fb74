package gate

import (
	"context"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// reindexed is a row with the entries that it has now; concerned is false when
// none of them is the parameter's.
func (v *visit) reindexed(ctx context.Context, f store.Found, number search.Param) (p store.Put, concerned bool, err error) {
	p = store.Put{Row: f.Row, ID: f.ID, Full: store.Version{Version: f.Version, Updated: f.Updated, JSON: f.JSON, Unchanged: true}}
	var links []search.Link
	err = v.g.parsed(f, func(f store.Found, t *fhir.Tape) error {
		d := v.g.understand(f.Resource.Type, t)
		d.id, d.contributor = f.ID, f.Contributor
		var h homing
		if len(d.owners.Identifiers) > 0 {
			reading := &writing{visit: *v, rows: map[string]consent.Row{}}
			if h, err = reading.home(ctx, d); err != nil {
				return err
			}
		}
		links = h.links
		p.Full.Entries, err = v.entries(t, d, h, f.Updated)
		return err
	})
	if err != nil {
		return p, false, err
	}
	concerned = has(p.Full.Entries, number)
	reading := &writing{visit: *v}
	basic, err := reading.basicOf(ctx, &f)
	if err != nil || basic == nil || basic.Deleted {
		return p, concerned, err
	}
	err = v.g.parsed(*basic, func(f store.Found, t *fhir.Tape) error {
		b := &store.Version{Version: f.Version, Updated: f.Updated, JSON: f.JSON, Unchanged: true}
		b.Entries, err = v.entries(t, &draft{typ: f.Resource.Type, id: f.ID}, homing{links: links}, f.Updated)
		concerned = concerned || err == nil && has(b.Entries, number)
		p.Basic = b
		return err
	})
	return p, concerned, err
}

func has(e *search.Entries, number search.Param) bool {
	for i := range e.Len() {
		if p, _ := e.At(i); p == number {
			return true
		}
	}
	return false
}

// putUnchanged gives rows the entries that were made of them outside the commit.
// One that was written since has them already.
func (w *writing) putUnchanged(ctx context.Context, t fhir.ResourceType, puts []store.Put) error {
	q := &search.Query{Type: t, Count: unspecifiedCount, Clauses: make([]search.Clause, 1)}
	for i := range puts {
		q.Clauses[0].Any = append(q.Clauses[0].Any, search.IDMatch(puts[i].ID))
	}
	page, err := w.reader.Search(ctx, consent.Everything(), q, store.PageRequest{Limit: len(puts)})
	if err != nil {
		return err
	}
	for _, p := range puts {
		same := slices.ContainsFunc(page.Found, func(f store.Found) bool {
			return f.ID == p.ID && f.Version == p.Full.Version && sameRow(f.Row, p.Row)
		})
		if !same {
			continue
		}
		if err := w.tx.Put(p); err != nil {
			return err
		}
	}
	return nil
}

func sameRow(a, b consent.Row) bool {
	return a.Home == b.Home && a.Contributor == b.Contributor && slices.Equal(a.Patients, b.Patients) && slices.Equal(a.Labels, b.Labels)
}
