package embedded

import (
	"cmp"
	"errors"
	"slices"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/store"
)

// item is a match; at is its place in the order of a query that sorts.
type item struct {
	at      store.Position
	edition consent.Edition
	n       number
	primary number
}

// item is the row on which the walk stands.
func (w *walk) item(at store.Position) item {
	return item{at: at, edition: w.edition, n: w.n, primary: w.head.primary(w.n.sequence())}
}

// mostAhead bounds the room that is made for a page before it is known to be
// filled.
const mostAhead = 1 << 6

// read fetches the items in the order in which they lie, and gives them in
// theirs.
func (s *searching) read(items []item, page *store.Page) error {
	if len(items) == 0 {
		return nil
	}
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(items[i].primary, items[j].primary) })
	page.Found = make([]store.Found, len(items))
	b := bodies{view: s.view, t: s.t, known: names{}}
	for _, i := range order {
		var err error
		if page.Found[i], err = b.found(items[i].edition, items[i].primary, s.q.Type); err != nil {
			return errors.Join(err, b.close())
		}
		page.Found[i].Keys = items[i].at.Keys
	}
	return b.close()
}

// bodies reads what a page has found, with one iterator for each edition.
type bodies struct {
	view  *view
	t     typeNumber
	parts [consent.EditionBasic + 1]*keys
	// events are read another way.
	events [consent.EditionBasic + 1]*eventRows
	head   header
	known  names
}

func (b *bodies) found(e consent.Edition, primary number, t fhir.ResourceType) (store.Found, error) {
	if t == typeAuditEvent {
		return b.event(e, primary)
	}
	k := b.parts[e]
	if k == nil {
		prefix := keyCurrent(nil, e, b.t, 0)
		var err error
		if k, err = newKeys(b.view.src, prefix[:len(prefix)-8]); err != nil {
			return store.Found{}, err
		}
		b.parts[e] = k
	}
	if at, ok := k.seek(primary); !ok || at != primary {
		return store.Found{}, errHeader
	}
	value, err := k.it.ValueAndErr()
	if err != nil {
		return store.Found{}, err
	}
	body, err := cutHeader(&b.head, t, value, b.known)
	if err != nil {
		return store.Found{}, err
	}
	return b.view.found(&b.head, e, body)
}

// event reads an AuditEvent, of which there is no more than the row.
func (b *bodies) event(e consent.Edition, primary number) (store.Found, error) {
	r := b.events[e]
	if r == nil {
		var err error
		if r, err = b.view.eventRows(e); err != nil {
			return store.Found{}, err
		}
		b.events[e] = r
	}
	if err := r.headAt(&b.head, primary); err != nil {
		return store.Found{}, err
	}
	return b.view.found(&b.head, e, nil)
}

func (b *bodies) close() error {
	var err error
	for _, k := range b.parts {
		if k != nil {
			err = errors.Join(err, k.close())
		}
	}
	for _, r := range b.events {
		if r != nil {
			err = errors.Join(err, r.close())
		}
	}
	return err
}
