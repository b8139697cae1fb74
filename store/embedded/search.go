package embedded

import (
	"context"
	"encoding/binary"
	"errors"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// Search returns one page of what matches within the universe: by number, or as
// the query sorts.
func (v *view) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	if err := ctx.Err(); err != nil {
		return store.Page{}, err
	}
	v.db.figures.searches.Add(1)
	pos, err := readPosition(p.After, len(q.Sort))
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Total: -1}
	t, ok := v.typeNumber(q.Type)
	if !ok {
		if p.Count {
			page.Total = 0
		}
		return page, nil
	}
	s := searching{view: v, u: u, q: q, t: t, p: p, after: pos, budget: v.db.opt.ScanBudget}
	if len(q.Sort) > 0 {
		err = s.bySort(ctx, &page)
	} else {
		err = s.byNumber(ctx, &page)
	}
	if err != nil {
		return store.Page{}, err
	}
	return page, nil
}

// searching is one page under way.
type searching struct {
	view   *view
	u      *consent.Universe
	q      *search.Query
	t      typeNumber
	p      store.PageRequest
	after  position
	budget int
}

func (s *searching) byNumber(ctx context.Context, page *store.Page) error {
	start := number(0)
	if s.after.set {
		start = s.after.n + 1
	}
	m, err := s.view.newWalks(ctx, s.t, s.u, s.q, start, &s.budget)
	if err != nil {
		return err
	}
	err = errors.Join(s.page(ctx, m, page), m.close())
	if err != nil || !s.p.Count || page.Total >= 0 {
		return err
	}
	page.Total, err = s.count(ctx)
	return err
}

// page fills a page from the walks and looks one row further. On the first page
// the rest is counted on the way.
func (s *searching) page(ctx context.Context, m *walks, page *store.Page) error {
	items := make([]item, 0, min(max(s.p.Limit, 0), mostAhead))
	for len(items) < s.p.Limit {
		w, err := m.next(ctx)
		if err != nil {
			return err
		}
		if w == nil {
			err = s.read(items, page)
			s.ended(page)
			return err
		}
		items = append(items, w.item(position{n: w.n}))
	}
	if err := s.read(items, page); err != nil {
		return err
	}
	counting := s.p.Count && !s.after.set
	if s.p.Limit <= 0 && !counting {
		return nil
	}
	w, err := m.next(ctx)
	if err != nil && (counting || !errors.Is(err, store.ErrTooCostly)) {
		return err
	}
	if w == nil && err == nil {
		s.ended(page)
		return nil
	}
	if s.p.Limit > 0 {
		page.Next = items[len(items)-1].append(nil)
	}
	if !counting {
		return nil
	}
	page.Total = len(page.Found) + 1
	for {
		w, err := m.next(ctx)
		if w == nil || err != nil {
			return err
		}
		page.Total++
	}
}

// ended is a page with nothing after it.
func (s *searching) ended(page *store.Page) {
	if s.p.Count && !s.after.set {
		page.Total = len(page.Found)
	}
}

// count counts all matches, whatever the page.
func (s *searching) count(ctx context.Context) (int, error) {
	budget := s.view.db.opt.ScanBudget
	m, err := s.view.newWalks(ctx, s.t, s.u, s.q, 0, &budget)
	if err != nil {
		return 0, err
	}
	total := 0
	for {
		w, err := m.next(ctx)
		if w == nil || err != nil {
			return total, errors.Join(err, m.close())
		}
		total++
	}
}

// position is a place in the order of a query: the sort values of the last
// resource given, and its number.
type position struct {
	set  bool
	keys []sortValue
	n    number
}

// sortValue is the value of one sort key; a resource may have none.
type sortValue struct {
	has   bool
	value []byte
}

const positionForm = 1

func (p position) append(dst []byte) []byte {
	dst = append(dst, positionForm)
	for _, k := range p.keys {
		if !k.has {
			dst = append(dst, 0)
			continue
		}
		dst = append(binary.AppendUvarint(append(dst, 1), uint64(len(k.value))), k.value...)
	}
	return appendNumber(dst, p.n)
}

func readPosition(b []byte, keys int) (position, error) {
	if len(b) == 0 {
		return position{}, nil
	}
	if b[0] != positionForm {
		return position{}, store.ErrBadCursor
	}
	p := position{set: true}
	r := reader{b: b[1:]}
	for range keys {
		switch r.uvarint() {
		case 0:
			p.keys = append(p.keys, sortValue{})
		case 1:
			p.keys = append(p.keys, sortValue{has: true, value: r.bytes()})
		default:
			return position{}, store.ErrBadCursor
		}
	}
	if r.err != nil || len(r.b) != 8 {
		return position{}, store.ErrBadCursor
	}
	p.n = number(binary.BigEndian.Uint64(r.b))
	return p, nil
}
