package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// mostDisorder is how many milliseconds the order of rows may be off to be taken for
// that of time.
const mostDisorder = 60_000

// recent gives a page of events in the order of time, the newest first, from what
// the clauses lead to: that is nearly the order of rows, and by how much it is not is
// known, so what is looked at is the page, and little more. ok is false where that
// cannot be done.
func (s *searching) recent(ctx context.Context, page *store.Page) (ok bool, err error) {
	off := time.Duration(s.view.db.shelf.order.by.Load()) * time.Millisecond
	if !s.fewInTime() || off > mostDisorder*time.Millisecond {
		return false, nil
	}
	at := number(0)
	if s.after != nil {
		if len(s.after.Keys[0].Value) < 8 {
			return false, nil
		}
		before := span{high: momentKey(s.after.Keys[0].Value)}
		if at, _, err = s.view.between(before, off); err != nil {
			return false, err
		}
	}
	budget := s.view.db.opt.ScanBudget
	m, err := s.walks(ctx, at, &budget)
	if err != nil {
		return false, err
	}
	if m.parts[0].driver == nil {
		return false, m.close()
	}
	first, err := s.newest(ctx, m.parts[0], off)
	s.explain(page, "take the newest of", m)
	if err = errors.Join(err, m.close()); err != nil {
		return false, err
	}
	return true, s.turn(first.sorted(), page)
}

// fewInTime reports whether the newest of few are asked for.
func (s *searching) fewInTime() bool {
	if s.q.Type != typeAuditEvent || len(s.q.Sort) != 1 || !s.q.Sort[0].Descending || s.view.db.events == nil ||
		!s.view.db.events.Chronological(s.q.Sort[0].Param) || !s.u.IsEverything() {
		return false
	}
	for i := range s.q.Clauses {
		if s.leadsToFew(&s.q.Clauses[i]) {
			return true
		}
	}
	return false
}

// leadsToFew reports whether postings of values lead to what a clause holds for.
func (s *searching) leadsToFew(c *search.Clause) bool {
	if c.Not || len(c.Read) > 0 {
		return false
	}
	for i := range c.Any {
		if c.Any[i].Param == search.ParamID && c.Any[i].Op == search.OpEqual {
			continue
		}
		if lead, ok := s.view.db.events.Lead(consent.EditionFull, c.Any[i]); !ok || lead.Op == search.OpRange {
			return false
		}
	}
	for _, group := range c.All {
		few := false
		for i := range group {
			few = few || s.leadsToFew(&group[i])
		}
		if !few {
			return false
		}
	}
	return true
}

// newest are the first matches behind the position. What the walk meets after a row
// was recorded before it, or later by no more than off.
func (s *searching) newest(ctx context.Context, w *walk, off time.Duration) (*top, error) {
	first := &top{order: s.q.Sort, most: s.p.Limit + 1}
	for {
		ok, err := w.next(ctx)
		if !ok || err != nil {
			return first, err
		}
		first.offer(w, s.after)
		if len(first.items) == first.most && search.MomentOf(momentKey(first.items[0].at.Keys[0].Value)).After(w.head.updated.Add(off)) {
			return first, nil
		}
	}
}

// momentKey is the time in the value of a sort key.
func momentKey(value []byte) uint64 { return binary.BigEndian.Uint64(value) }
