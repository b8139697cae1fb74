package gate

import (
	"context"
	"errors"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The pages of a search are those of one view: what changes in between neither
// repeats nor skips a row. Who may see what is decided at present all the same,
// and a row is given as it is at present, or not at all.

// pages is one page of a search under way.
type pages struct {
	*visit
	q     *search.Query
	parts []*part
	// confined is what the caller is for what no part is asked.
	confined bool
	// question is what the cursors are bound to, and cursor the one that led here;
	// empty for the first page, which begins where all of them do.
	question []byte
	cursor   string
	from     place
	// past is the view whose pages these are; nil for the present.
	past store.Snapshot
	// next is where the next page begins, when more follows.
	next spot
	more bool
	// total is -1 when the matches were not counted.
	total int
	plan  []string
	// missed says that a row of the view is not there at present.
	missed bool
}

// part is the search of one type. Its key orders it among the parts.
type part struct {
	key      fhir.ResourceType
	q        search.Query
	u        *consent.Universe
	confined bool
	// within finds what is contained; nil where rows stand by themselves.
	within *containing
	// ahead are rows that were read and not given yet; after is where those begin
	// that follow them, and done says that none do. asked says that the store was
	// asked at all.
	ahead []row
	after []byte
	done  bool
	asked bool
}

// row is a match: as it is at present, and its place in the order.
type row struct {
	store.Found
	place store.Position
	part  *part
}

// open opens the view of the page. Without it a query that does not sort goes on
// at present, for its order never changes.
func (s *pages) open(ctx context.Context) error {
	if len(s.from.mark) == 0 || s.snap == nil {
		return nil
	}
	if s.lasting() {
		s.from.mark = nil
		return nil
	}
	past, err := s.g.store.At(ctx, s.from.mark)
	if errors.Is(err, store.ErrBadCursor) && len(s.q.Sort) == 0 {
		s.from.mark = nil
		return nil
	}
	s.past = past
	return err
}

// lasting reports whether what is searched never changes and never ends, so that
// its pages need no view of their own: whatever is added has its own place, and
// nothing is repeated or skipped however long the pages are read.
func (s *pages) lasting() bool {
	return len(s.parts) == 1 && s.parts[0].key == auditEvents && s.parts[0].within == nil
}

func (s *pages) close() {
	if s.past != nil {
		if err := s.past.Close(); err != nil {
			s.g.log.Error("snapshot did not close", "error", err)
		}
	}
}

// fill reads the page.
func (s *pages) fill(ctx context.Context, limit int) (rows []row, err error) {
	s.total = -1
	count := s.cursor == "" && counted(s.q)
	inside := s.q.Contained != search.ContainedFalse && !s.q.Containers
	if count && !inside {
		s.total = 0
	}
	if len(s.q.Sort) > 0 && len(s.parts) > 1 && limit > 0 {
		rows, err = s.merged(ctx, limit)
	} else {
		rows, err = s.joined(ctx, limit)
	}
	if err != nil {
		return nil, err
	}
	if s.more && s.cursor == "" && s.snap != nil && !s.lasting() {
		s.from.mark = s.snap.Mark()
	}
	if count && inside {
		s.total, err = s.countContained(ctx)
		if errors.Is(err, store.ErrTooCostly) && forgoes(s.q) {
			s.total, err = -1, nil
		}
	}
	return rows, err
}

// joined reads type after type.
func (s *pages) joined(ctx context.Context, limit int) (rows []row, err error) {
	at := s.from.at()
	full := limit <= 0
	for i, p := range s.parts {
		if p.key < at.t {
			continue
		}
		if p.key == at.t || len(s.parts) == 1 {
			p.after = at.after
		}
		for len(rows) < limit && !p.done || s.total >= 0 && !p.asked {
			some, err := s.ask(ctx, p, limit-len(rows))
			if err != nil {
				return nil, err
			}
			rows = append(rows, some...)
		}
		if len(rows) == limit && !full {
			full = true
			if err := s.beyond(ctx, i); err != nil {
				return nil, err
			}
		}
		if full && s.total < 0 {
			break
		}
	}
	return rows, nil
}

// beyond finds out whether and where something follows a page that was filled
// within a part. What the store said of another view is looked at again.
func (s *pages) beyond(ctx context.Context, i int) (err error) {
	p := s.parts[i]
	s.next, s.more = spot{p.key, p.after}, !p.done
	if p.done && i+1 < len(s.parts) {
		s.next, s.more = spot{s.parts[i+1].key, nil}, true
	}
	if s.more && (p.done || s.past != nil) {
		s.more, err = s.follows(ctx, s.next)
	}
	return err
}

// follows reports whether anything is at the spot or behind it.
func (s *pages) follows(ctx context.Context, at spot) (bool, error) {
	for _, p := range s.parts {
		if p.key < at.t {
			continue
		}
		peek := part{q: p.q, u: p.u, confined: p.confined, asked: true}
		if p.key == at.t {
			peek.after = at.after
		}
		for !peek.done {
			some, err := s.ask(ctx, &peek, 1)
			if err != nil || len(some) > 0 {
				return err == nil, err
			}
		}
	}
	return false, nil
}

// merged reads the types side by side, in the order that the query sorts by; what
// sorts alike comes type by type.
func (s *pages) merged(ctx context.Context, limit int) (rows []row, err error) {
	if err := s.beginMerge(); err != nil {
		return nil, err
	}
	for {
		least, err := s.least(ctx, limit/len(s.parts)+2)
		switch {
		case err != nil:
			return nil, err
		case least == nil:
			return rows, nil
		case len(rows) == limit:
			last := &rows[limit-1]
			s.more, s.next = true, spot{last.part.key, last.place.Append(nil)}
			return rows, nil
		}
		rows = append(rows, least.ahead[0])
		least.ahead = least.ahead[1:]
	}
}

// beginMerge puts every type where the page begins. What sorts as the last row
// before it does, and is of a later type, was not given yet.
func (s *pages) beginMerge() error {
	at := s.from.at()
	if at.t == "" {
		return nil
	}
	last, err := store.ReadPosition(at.after, len(s.q.Sort))
	if err != nil {
		return err
	}
	for _, p := range s.parts {
		last.At = p.key > at.t
		p.after = last.Append(nil)
	}
	return nil
}

// least is the part whose next row comes first; nil at the end.
func (s *pages) least(ctx context.Context, chunk int) (best *part, err error) {
	for _, p := range s.parts {
		for len(p.ahead) == 0 && !p.done {
			if p.ahead, err = s.ask(ctx, p, chunk); err != nil {
				return nil, err
			}
		}
		if len(p.ahead) > 0 && (best == nil || store.Order(s.q.Sort, &p.ahead[0].place, &best.ahead[0].place) < 0) {
			best = p
		}
	}
	return best, nil
}

// ask reads what follows in a part; with a limit of zero it counts alone. The
// matches are counted when a part is asked for the first time.
func (s *pages) ask(ctx context.Context, p *part, limit int) ([]row, error) {
	s.caller.Confined = p.confined
	from := s.reader
	if s.past != nil {
		from = s.sifted(s.past)
	}
	req := store.PageRequest{
		Limit: max(limit, 0), After: p.after, Count: s.total >= 0 && !p.asked,
		Explain: s.explains() && !p.asked,
	}
	p.asked = true
	page, err := from.Search(ctx, p.u, &p.q, req)
	if errors.Is(err, store.ErrTooCostly) && req.Count && forgoes(s.q) {
		s.total, req.Count = -1, false
		page, err = from.Search(ctx, p.u, &p.q, req)
	}
	if err != nil {
		return nil, err
	}
	if req.Count {
		s.total += page.Total
	}
	s.explain(p, page.Plan)
	if limit <= 0 {
		return nil, nil
	}
	p.after, p.done = page.Next, len(page.Next) == 0
	return s.present(ctx, p, page.Found)
}

// forgoes reports whether an answer may do without the total where to count would
// cost too much.
func forgoes(q *search.Query) bool {
	return q.Total == search.TotalEstimate || q.Total == search.TotalUnset && !q.CountOnly
}

// presentMost is how many rows are read again together.
const presentMost = 64

// present are the rows as they are now; what is gone or hidden now is left out.
func (s *pages) present(ctx context.Context, p *part, found []store.Found) ([]row, error) {
	rows := make([]row, 0, len(found))
	for i := range found {
		rows = append(rows, row{found[i], store.Position{Keys: found[i].Keys, ID: found[i].ID}, p})
	}
	if s.past == nil {
		return rows, nil
	}
	kept := rows[:0]
	for len(rows) > 0 {
		some := rows[:min(len(rows), presentMost)]
		rows = rows[len(some):]
		ids := make([]string, len(some))
		for i := range some {
			ids[i] = some[i].ID
		}
		now, err := s.byID(ctx, p.u, p.q.Type, ids)
		if err != nil {
			return nil, err
		}
		for i := range some {
			if f, ok := now[some[i].ID]; ok {
				kept = append(kept, row{f, some[i].place, p})
			}
		}
		s.missed = s.missed || len(now) < len(some)
	}
	return kept, nil
}

// byID are the resources of a type with those ids that are in the universe now.
func (v *visit) byID(ctx context.Context, u *consent.Universe, t fhir.ResourceType, ids []string) (map[string]store.Found, error) {
	q := search.Query{Type: t, Clauses: make([]search.Clause, 1), Count: unspecifiedCount}
	for _, id := range ids {
		q.Clauses[0].Any = append(q.Clauses[0].Any, search.IDMatch(id))
	}
	out := make(map[string]store.Found, len(ids))
	var after []byte
	for {
		page, err := v.reader.Search(ctx, u, &q, store.PageRequest{Limit: len(ids), After: after})
		if err != nil {
			return nil, err
		}
		for i := range page.Found {
			out[page.Found[i].ID] = page.Found[i]
		}
		if after = page.Next; len(after) == 0 {
			return out, nil
		}
	}
}

// explains reports whether the caller may see, and asked to, how the store goes
// about it: that may tell of what is hidden.
func (s *pages) explains() bool { return s.q.Explain && s.caller.Kind == consent.Custodian }

// explain notes a plan.
func (s *pages) explain(p *part, plan []string) {
	for _, line := range plan {
		if len(s.parts) > 1 {
			line = string(p.q.Type) + ": " + line
		}
		s.plan = append(s.plan, line)
	}
}
