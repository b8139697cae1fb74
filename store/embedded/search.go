package embedded

import (
	"context"
	"errors"
	"math"

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
	page := store.Page{Total: -1}
	s := searching{view: v, u: u, q: q, p: p, budget: v.db.opt.ScanBudget}
	if err := s.readAfter(); err != nil {
		return store.Page{}, err
	}
	var ok bool
	if s.t, ok = v.typeNumber(q.Type); !ok {
		if p.Count {
			page.Total = 0
		}
		return page, nil
	}
	s.others = newOthers(v, u, &s.budget)
	var err error
	if len(s.q.Sort) > 0 {
		err = s.bySort(ctx, &page)
	} else {
		err = s.byNumber(ctx, &page)
	}
	if err := errors.Join(err, s.others.close()); err != nil {
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
	start  number          // of a query that does not sort
	after  *store.Position // of one that does; nil for the first page
	others *others
	budget int
}

func (s *searching) byNumber(ctx context.Context, page *store.Page) error {
	if s.p.Limit <= 0 {
		return s.countOnly(ctx, page)
	}
	m, err := s.walks(ctx, s.start, &s.budget)
	if err != nil {
		return err
	}
	err = s.page(ctx, m, page)
	s.explain(page, "search", m)
	err = errors.Join(err, m.close())
	if err != nil || !s.p.Count || page.Total >= 0 {
		return err
	}
	page.Total, err = s.count(ctx, page)
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
		items = append(items, w.item(store.Position{}))
	}
	if err := s.read(items, page); err != nil {
		return err
	}
	counting := s.p.Count && s.start == 0
	w, err := m.next(ctx)
	if err != nil && (counting || !errors.Is(err, store.ErrTooCostly)) {
		return err
	}
	if w == nil && err == nil {
		s.ended(page)
		return nil
	}
	page.Next = appendNumber([]byte{numberForm}, items[len(items)-1].n)
	if !counting {
		return nil
	}
	if total, ok, err := s.tally(ctx); ok || err != nil {
		page.Total = total
		s.explainTally(page)
		return err
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

// countOnly is a page on which nothing is wanted but the count.
func (s *searching) countOnly(ctx context.Context, page *store.Page) (err error) {
	if s.p.Count {
		page.Total, err = s.count(ctx, page)
	}
	return err
}

// ended is a page with nothing after it.
func (s *searching) ended(page *store.Page) {
	if s.p.Count && s.start == 0 {
		page.Total = len(page.Found)
	}
}

// count counts all matches, whatever the page.
func (s *searching) count(ctx context.Context, page *store.Page) (int, error) {
	if total, ok, err := s.tally(ctx); ok || err != nil {
		s.explainTally(page)
		return total, err
	}
	budget := s.view.db.opt.ScanBudget
	m, err := s.walks(ctx, 0, &budget)
	if err != nil {
		return 0, err
	}
	total := 0
	for {
		w, err := m.next(ctx)
		if w == nil || err != nil {
			s.explain(page, "count", m)
			return total, errors.Join(err, m.close())
		}
		total++
	}
}

// numberForm starts a position of a query that does not sort: the number of the
// last resource given.
const numberForm = 1

// readAfter reads the position of the page.
func (s *searching) readAfter() error {
	after := s.p.After
	switch {
	case len(after) == 0:
		return nil
	case len(s.q.Sort) > 0:
		p, err := store.ReadPosition(after, len(s.q.Sort))
		s.after = &p
		return err
	case len(after) != 9 || after[0] != numberForm || lastNumber(after) == math.MaxUint64:
		return store.ErrBadCursor
	}
	s.start = lastNumber(after) + 1
	return nil
}
