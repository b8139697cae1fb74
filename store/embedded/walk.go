package embedded

import (
	"context"
	"errors"
	"slices"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// walk goes, in the order of numbers, over the rows of a type that exist in one
// edition in the universe and satisfy the query. Driver, rows and owners leap
// over what each other has not: a patient outside the universe costs nothing, as
// no list is read between two patients of it.
type walk struct {
	view    *view
	u       *consent.Universe
	q       *search.Query
	edition consent.Edition
	t       typeNumber
	driver  stream // nil: the rows lead
	rows    rows
	own     *owners
	known   names
	events  *eventRows // the rows, of events
	others  *others
	beyond  bool // the query asks for more than entries answer
	entered bool // entries are wanted whatever the query asks
	budget  *int
	steps   int
	most    int // steps, in a walk that serves a plan; 0 for as many as there are
	effort  int // with which the next plan is made; 0 before the first
	later   int // rows to look at before it is made; 0 for never
	leaders []lead
	looked  int // rows that were asked for

	at number // where to go on
	// low and high are the first number and the last that rows may have; high is zero
	// for the last there is.
	low, high number
	// The row found, valid until the next step.
	n       number
	head    header
	entries search.Encoded
}

func (s *searching) newWalk(ctx context.Context, e consent.Edition, budget *int) (*walk, error) {
	w := &walk{view: s.view, u: s.u, q: s.q, edition: e, t: s.t, others: s.others, beyond: !s.q.Own(), budget: budget, known: names{}}
	var err error
	if w.own, err = s.view.ownersOf(ctx, s.u, s.q.Type, e); err != nil {
		return nil, err
	}
	if err = w.openRows(ctx); err != nil {
		return nil, errors.Join(err, w.own.patient.close())
	}
	return w, nil
}

// openRows opens the rows of the type; those of events for the time that the query
// names.
func (w *walk) openRows(ctx context.Context) (err error) {
	if w.q.Type != typeAuditEvent {
		w.rows, err = newKeys(w.view.src, prefixRows(nil, w.edition, w.t))
		return err
	}
	if err = w.inTime(); err != nil {
		return err
	}
	w.events, err = w.view.eventsOf(ctx, w.u, w.edition)
	w.rows = w.events
	return err
}

func (w *walk) close() error {
	err := errors.Join(w.own.patient.close(), w.rows.close())
	if w.driver != nil {
		err = errors.Join(err, w.driver.close())
	}
	return err
}

// next steps to the next row; false at the end.
func (w *walk) next(ctx context.Context) (bool, error) {
	for {
		if w.steps++; w.steps&0xFF == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		if w.most > 0 && w.steps > w.most {
			return false, store.ErrTooCostly
		}
		n, ok := w.lead()
		if !ok {
			return false, nil
		}
		o, ok := w.own.next(n.ordinal())
		if !ok {
			return false, nil
		}
		if o > n.ordinal() {
			w.at = o.first()
			continue
		}
		w.at = n + 1
		if w.later > 0 {
			if w.later--; w.later == 0 {
				if err := w.plan(ctx); err != nil {
					return false, err
				}
			}
		}
		ok, err := w.examine(ctx, n)
		if ok || err != nil {
			return ok, err
		}
	}
}

func (w *walk) lead() (n number, ok bool) {
	at := max(w.at, w.low)
	if w.driver == nil {
		n, ok = w.rows.seek(at)
	} else {
		n, ok = w.driver.seek(at)
	}
	return n, ok && (w.high == 0 || n <= w.high)
}

// examine admits the row first and asks what is in it after.
func (w *walk) examine(ctx context.Context, n number) (bool, error) {
	at, ok := w.rows.seek(n)
	if !ok || at != n {
		return false, nil
	}
	rest, err := w.rows.cut(&w.head, w.q.Type, w.known)
	if err != nil {
		return false, err
	}
	if w.head.deleted || !w.own.emits(&w.head, n) {
		return false, nil
	}
	w.view.db.figures.examined.Add(1)
	w.looked++
	e, err := w.u.Admit(ctx, w.head.row)
	if err == nil && e != w.edition {
		err = w.leap(ctx, n)
	}
	if err != nil || e != w.edition {
		return false, err
	}
	if *w.budget--; *w.budget < 0 {
		return false, store.ErrTooCostly
	}
	w.n, w.entries = n, rest
	if w.events != nil && (w.entered || len(w.q.Clauses)+len(w.q.Sort) > 0) {
		if w.entries, err = w.events.entries(&w.head); err != nil {
			return false, err
		}
	}
	if !w.beyond {
		return w.q.Matches(w.entries), nil
	}
	return search.AllHold(w.q.Clauses, w.entries, &asked{
		ctx: ctx, others: w.others, t: w.q.Type, id: w.head.id, entries: w.entries,
		key: contentKey{ownersKey{w.t, w.edition}, w.head.primary(n.sequence())},
	})
}

// leap passes by the patient of a hidden row when nothing of that patient exists
// in this edition of the type, so that the rest of the record is not read.
func (w *walk) leap(ctx context.Context, n number) error {
	past, err := w.past(ctx, &w.head, n)
	if past > 0 {
		w.at = past
	}
	return err
}

// past is where to go on behind such a patient; zero when there may be more.
func (w *walk) past(ctx context.Context, h *header, n number) (number, error) {
	if w.own.kind == ownersEverything || n.ordinal() == ordinalMax {
		return 0, nil
	}
	i := slices.Index(h.ordinals, n.ordinal())
	if i < 0 {
		return 0, nil
	}
	d, err := w.u.Decide(ctx, h.row.Patients[i])
	if err == nil && d.Excludes(w.q.Type, w.edition) {
		return (n.ordinal() + 1).first(), nil
	}
	return 0, err
}

// walks merges the walks of the editions by number. A row is admitted in one
// edition at most, so none is met twice.
type walks struct {
	parts []*walk
	live  []bool // the part stands on a row that was not given yet
	begun bool
	last  int
}

// walks starts the walks at a number. Universes that know no basic editions
// and types that have none walk one.
func (s *searching) walks(ctx context.Context, at number, budget *int) (*walks, error) {
	m, err := s.unplanned(ctx, at, budget)
	for i := 0; err == nil && i < len(m.parts); i++ {
		err = m.parts[i].plan(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// unplanned are the walks led by the rows alone.
func (s *searching) unplanned(ctx context.Context, at number, budget *int) (*walks, error) {
	m := &walks{}
	for _, e := range s.view.editionsOf(s.u, s.q, s.t) {
		w, err := s.newWalk(ctx, e, budget)
		if err != nil {
			return m, err
		}
		w.at = at
		m.parts = append(m.parts, w)
	}
	m.live = make([]bool, len(m.parts))
	return m, nil
}

func basicToo(u *consent.Universe) bool {
	_, own := u.Contributor()
	return !own && !u.IsEverything()
}

func (m *walks) close() error {
	var err error
	for _, w := range m.parts {
		err = errors.Join(err, w.close())
	}
	return err
}

// next steps to the next row of any edition; nil at the end.
func (m *walks) next(ctx context.Context) (*walk, error) {
	for i, w := range m.parts {
		if m.begun && i != m.last {
			continue
		}
		ok, err := w.next(ctx)
		if err != nil {
			return nil, err
		}
		m.live[i] = ok
	}
	m.begun = true
	var least *walk
	m.last = -1
	for i, w := range m.parts {
		if m.live[i] && (least == nil || w.n < least.n) {
			least, m.last = w, i
		}
	}
	return least, nil
}
