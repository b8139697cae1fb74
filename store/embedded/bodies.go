package embedded

import (
	"bytes"
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
	record  []byte // of an event
}

// item is the row on which the walk stands.
func (w *walk) item(at store.Position) item {
	one := item{at: at, edition: w.edition, n: w.n, primary: w.head.primary(w.n.sequence())}
	if w.events != nil {
		one.record = bytes.Clone(w.events.record)
	}
	return one
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
		if page.Found[i], err = b.found(&items[i], s.q.Type); err != nil {
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
	head  header
	known names
}

func (b *bodies) found(one *item, t fhir.ResourceType) (store.Found, error) {
	if t == typeAuditEvent {
		return foundEvent(one.record, one.edition)
	}
	e, primary := one.edition, one.primary
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

func (b *bodies) close() error {
	var err error
	for _, k := range b.parts {
		if k != nil {
			err = errors.Join(err, k.close())
		}
	}
	return err
}
