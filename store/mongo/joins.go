package mongo

import (
	"context"
	"errors"
	"slices"

	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// asking is what the steps of one search have in common.
type asking struct {
	// budget is how many rows may still be looked at one by one.
	budget int
	// joins are what is known of each.
	joins map[*search.Join]*targets
	// glance says that few rows are looked at from either end, and near how many
	// of the near end still are.
	glance bool
	near   int
	// plan says how the search goes about it; nil when nobody wants to know.
	plan *[]string
}

// charge takes rows, all of them admitted, off the budget.
func (a *asking) charge(rows int) error {
	if a.budget -= rows; a.budget < 0 {
		return store.ErrTooCostly
	}
	return nil
}

// ways are the bounds by which a search chooses between ways that lead to the
// same.
type ways struct {
	// named is how many targets of a join are put into the filter, and sought how
	// many for all patients of one query: each is a place to look at among the
	// rows of each.
	named, sought int
	// led is how many rows are looked at from the far end of a join before its
	// near end is taken, where that can be taken. At first it is only glanced at,
	// and as many of the near end are examined as may be few.
	led, glanced, examined int
	// asked is how many values of the near end are asked about at once.
	asked int
	// merged is how many stretches of an index the servers merge; of more they
	// would sort all that is there (internalQueryMaxScansToExplode).
	merged int
}

func usual() ways {
	return ways{named: 2000, sought: 4096, led: 5000, glanced: 100, examined: 1000, asked: 500, merged: 200}
}

// errTurn: neither end of a join has few rows.
var errTurn = errors.New("neither end is rare")

// fromEither answers from whichever end of the joins has few rows: the far end,
// when a glance shows all of it, or the near one. Where both have many the far
// end is gone over.
func (s *searching) fromEither(answer func() (store.Page, error)) (store.Page, error) {
	if !joined(s.q.Clauses) || s.crowded() {
		return answer()
	}
	s.ask.glance, s.ask.near = true, s.v.db.opt.ways.examined
	page, err := answer()
	if !errors.Is(err, errTurn) {
		return page, err
	}
	s.ask.say("%s: neither end of what leads elsewhere has few rows", s.q.Type)
	*s = searching{v: s.v, u: s.u, q: s.q, p: s.p, ask: &asking{budget: s.v.db.opt.ScanBudget, plan: s.ask.plan}}
	return answer()
}

// joined reports whether clauses lead to other resources.
func joined(all []search.Clause) bool {
	return slices.ContainsFunc(all, func(c search.Clause) bool {
		return len(c.Via) > 0 || slices.ContainsFunc(c.All, joined)
	})
}

// turn counts the rows of the near end.
func (s *searching) turn(rows int) error {
	if !s.ask.glance || s.inner {
		return nil
	}
	if s.ask.near -= rows; s.ask.near < 0 {
		return errTurn
	}
	return nil
}

// targets are what a join leads to, as the entries by which rows name it.
type targets struct {
	param search.Param
	// holds says of the values known whether a target satisfies all clauses.
	holds map[string]bool
	// all says that no others do.
	all bool
	// most is how many may be put into the filter.
	most int
}

// matches are those that stand for the join; ok is false when there are too many
// or not all are known.
func (t *targets) matches() (all []search.Match, ok bool) {
	if t == nil || !t.all || len(t.holds) > t.most {
		return nil, false
	}
	for v := range t.holds {
		all = append(all, search.Match{Param: t.param, Op: search.OpEqual, Key: []byte(v)})
	}
	slices.SortFunc(all, func(a, b search.Match) int { return slices.Compare(a.Key, b.Key) })
	return all, true
}

// lead finds out where the joins of clauses lead, each from its far end first:
// as a rule few resources are there, and those who name them are found by index.
func (s *searching) lead(ctx context.Context, all []search.Clause) error {
	for i := range all {
		for _, group := range all[i].All {
			if err := s.lead(ctx, group); err != nil {
				return err
			}
		}
		for n := range all[i].Via {
			if err := s.follow(ctx, &all[i].Via[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *searching) follow(ctx context.Context, j *search.Join) error {
	if s.ask.joins[j] != nil {
		return nil
	}
	t := &targets{param: near(j), holds: map[string]bool{}, most: s.mostNamed()}
	if s.ask.joins == nil {
		s.ask.joins = map[*search.Join]*targets{}
	}
	s.ask.joins[j] = t
	most, rows := s.mostLed(j.Type), 0
	t.all = true
	err := s.step(j.Type, j.Clauses).each(ctx, far(j), most+min(most, 1), func(h *hit) (bool, error) {
		if rows++; most > 0 && rows > most {
			t.all = false
			return false, nil
		}
		for _, v := range s.named(j, h) {
			t.holds[v] = true
		}
		return true, nil
	})
	s.toldJoin(j, t, rows)
	return err
}

// crowded reports whether to ask about some resources takes as long as to ask
// about all: among patients who are many, or are found by their links.
func (s *searching) crowded() bool {
	if _, linked := s.u.Links(); linked {
		return true
	}
	ids, ok := s.u.Patients()
	return ok && len(ids) > mostPatients
}

// mostLed is how many rows are looked at from the far end; zero for all.
func (s *searching) mostLed(t fhir.ResourceType) int {
	w := &s.v.db.opt.ways
	switch {
	case (s.v.ofPatients(t) || t == typeAuditEvent) && s.crowded():
		return 0
	case s.ask.glance:
		return min(w.led, w.glanced)
	default:
		return w.led
	}
}

// mostNamed is how many targets are put into the filter.
func (s *searching) mostNamed() int {
	patients := 1
	if ids, ok := s.u.Patients(); ok {
		patients = len(ids)
	} else if _, linked := s.u.Links(); linked {
		patients = mostPatients
	}
	w := &s.v.db.opt.ways
	return min(w.named, w.sought/min(max(patients, 1), mostPatients))
}

// step is a search within the same universe on behalf of this one.
func (s *searching) step(t fhir.ResourceType, clauses []search.Clause) *searching {
	return &searching{v: s.v, u: s.u, q: &search.Query{Type: t, Clauses: clauses}, ask: s.ask, inner: true}
}

// near is the parameter by which a resource names the other end of a join.
func near(j *search.Join) search.Param {
	switch {
	case !j.Reverse:
		return j.Param
	case j.By != 0:
		return j.By
	default:
		return search.ParamID
	}
}

// far is the parameter by which the other end does.
func far(j *search.Join) search.Param {
	switch {
	case j.Reverse:
		return j.Param
	case j.By != 0:
		return j.By
	default:
		return search.ParamID
	}
}

// named are the values of the near parameter that lead to what was found at the
// far end.
func (s *searching) named(j *search.Join, h *hit) (values []string) {
	for v := range h.values(far(j)) {
		switch {
		case !j.Reverse && j.By == 0:
			return []string{string(search.ReferenceKey(j.Type, h.id))}
		case !j.Reverse:
			values = append(values, string(canonical(v)))
		case j.By != 0:
			if key, ok := search.CanonicalKey(v); ok {
				values = append(values, string(key))
			}
		default:
			if t, id, ok := search.LocalReference(v); ok && t == s.q.Type {
				values = append(values, string(search.IDMatch(id).Key))
			}
		}
	}
	return values
}

// sought is the match at the far end that a value of the near parameter leads to;
// ok is false when it leads nowhere.
func (s *searching) sought(j *search.Join, value []byte) (m search.Match, ok bool) {
	m = search.Match{Param: far(j), Op: search.OpEqual}
	switch {
	case !j.Reverse && j.By == 0:
		t, id, local := search.LocalReference(value)
		m.Key, ok = search.IDMatch(id).Key, local && t == j.Type
	case !j.Reverse:
		m.Key, ok = search.CanonicalKey(value)
	case j.By != 0:
		m.Key, ok = canonical(value), true
	default:
		id, _ := search.CodeOf(value)
		m.Key, ok = search.ReferenceKey(s.q.Type, string(id)), true
	}
	return m, ok
}

// canonical is the entry of a reference that names the uri: the way back from
// search.CanonicalKey.
func canonical(uri []byte) []byte {
	key := slices.Clone(uri)
	key[0] = search.ReferenceKey("", "")[0]
	return key
}

// inquire learns of values whether they lead to anything that satisfies a join.
func (s *searching) inquire(ctx context.Context, j *search.Join, values []string) error {
	t := s.ask.joins[j]
	for some := range slices.Chunk(values, s.v.db.opt.ways.asked) {
		var any []search.Match
		for _, v := range some {
			t.holds[v] = t.holds[v] || false
			if m, ok := s.sought(j, []byte(v)); ok {
				any = append(any, m)
			}
		}
		if len(any) == 0 {
			continue
		}
		clauses := append(slices.Clip(j.Clauses), search.Clause{Any: any})
		err := s.step(j.Type, clauses).each(ctx, far(j), 0, func(h *hit) (bool, error) {
			for _, v := range s.named(j, h) {
				t.holds[v] = true
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
