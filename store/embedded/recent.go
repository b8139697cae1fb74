package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"sort"
	"time"

	"vitrine/consent/audit"
	"vitrine/fhir/search"
	"vitrine/store"
)

const (
	// mostRecent is how many events may be led to for their numbers to be put into
	// the order of time. Of more, enough are met by going back in time.
	mostRecent = 1 << 16
	// mostDisorder is how many milliseconds the order of rows may be off.
	mostDisorder = 600_000
	// instantSlack is more than the entry of a time is wide.
	instantSlack = time.Second
)

// recent gives a page of events in the order of time, the newest first, from what
// the clauses lead to: rows are numbered nearly in the order of time, and by how much
// they are not is known, so what is looked at is the page, and little more. ok is
// false where that cannot be done.
func (s *searching) recent(ctx context.Context, page *store.Page) (ok bool, err error) {
	off := time.Duration(s.view.db.shelf.order.by.Load()) * time.Millisecond
	if !s.fewInTime() || off > mostDisorder*time.Millisecond || s.after != nil && len(s.after.Keys[0].Value) < 8 {
		return false, nil
	}
	off += instantSlack
	budget := s.view.db.opt.ScanBudget
	m, err := s.walks(ctx, 0, &budget)
	if err != nil {
		return false, err
	}
	if len(m.parts) != 1 || m.parts[0].driver == nil {
		return false, m.close()
	}
	w := m.parts[0]
	numbers, all := w.led()
	if !all {
		return false, m.close()
	}
	bySequence(numbers)
	first, err := s.newest(ctx, w, numbers, off)
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
	return slices.ContainsFunc(s.q.Clauses, func(c search.Clause) bool { return s.leadsToFew(&c) })
}

// led are the numbers that the walk is led to, if they are not too many.
func (w *walk) led() (numbers []number, all bool) {
	for at := number(0); len(numbers) < mostRecent; {
		n, ok := w.driver.seek(at)
		if !ok {
			return numbers, true
		}
		numbers, at = append(numbers, n), n+1
	}
	return nil, false
}

// bySequence puts numbers into the order of their sequences, the last one first.
func bySequence(all []number) {
	for i, n := range all {
		all[i] = number(^bits.RotateLeft64(uint64(n), 64-sequenceBits))
	}
	slices.Sort(all)
	for i, n := range all {
		all[i] = number(bits.RotateLeft64(^uint64(n), sequenceBits))
	}
}

// newest are the first matches behind the position, of numbers in the order of their
// sequences, the last one first. Whatever comes after a row was recorded before it,
// or no later than off.
func (s *searching) newest(ctx context.Context, w *walk, numbers []number, off time.Duration) (*top, error) {
	first := &top{order: s.q.Sort, most: s.p.Limit + 1}
	from, err := s.skipNewer(w, numbers, off)
	if err != nil {
		return nil, err
	}
	for i, n := range numbers[from:] {
		if i&0xFF == 0xFF && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		w.head.updated = time.Time{}
		ok, err := w.examine(ctx, n)
		if err != nil {
			return nil, err
		}
		if ok {
			first.offer(w, s.after)
		}
		if at := w.head.updated; len(first.items) == first.most && !at.IsZero() && momentOfKey(first.items[0].at.Keys[0].Value).After(at.Add(off)) {
			break
		}
	}
	return first, nil
}

// skipNewer is how many of the numbers lie before the position for sure: those
// before one that was recorded so much later.
func (s *searching) skipNewer(w *walk, numbers []number, off time.Duration) (int, error) {
	if s.after == nil {
		return 0, nil
	}
	bound := momentOfKey(s.after.Keys[0].Value).Add(off)
	var failed error
	from := sort.Search(len(numbers), func(i int) bool {
		at, err := w.recorded(numbers[i])
		failed = errors.Join(failed, err)
		return !at.After(bound)
	})
	return from, failed
}

// recorded is when an event was recorded; the zero time of one that is gone.
func (w *walk) recorded(n number) (time.Time, error) {
	if at, ok := w.rows.seek(n); !ok || at != n {
		return time.Time{}, nil
	}
	if _, err := w.rows.cut(&w.head, w.q.Type, w.known); err != nil || w.head.deleted {
		return time.Time{}, err
	}
	raw, err := w.view.record(w.head.event)
	if err != nil {
		return time.Time{}, err
	}
	ev, err := audit.Decode(raw)
	return ev.Recorded, err
}

// momentOfKey is the time in the value of a sort key.
func momentOfKey(value []byte) time.Time { return search.MomentOf(binary.BigEndian.Uint64(value)) }
