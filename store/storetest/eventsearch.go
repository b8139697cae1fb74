package storetest

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/events"
)

// loggedEvents are events in the order in which they were recorded, with their entries
// in each edition.
type loggedEvents struct {
	parser *search.Parser
	all    []loggedEvent
}

type loggedEvent struct {
	audit.Event
	id      string
	entries [consent.EditionBasic + 1]search.Encoded
}

// testEventSearches: whatever is asked of the record of access, by whoever, and page by
// page, is what looking at each event gives: each once, and in the order asked for.
func testEventSearches(t *testing.T, st store.Store) {
	d, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	x, err := search.NewIndexer(d, "http://localhost/fhir")
	if err != nil {
		t.Fatal(err)
	}
	log := loggedEvents{parser: x.Parser()}
	log.record(t, st, Events(t).NewMaker())
	rapid.Check(t, func(rt *rapid.T) {
		s := openOr(rt, st)
		defer s.Close()
		log.compare(rt, s)
	})
}

// record records more events than are shelved at once, some of them later than others
// that came after them.
func (l *loggedEvents) record(t *testing.T, st store.Store, m *events.Maker) {
	t.Helper()
	const n, together, every = 1400, 70, 7 * time.Millisecond
	draw := rapid.Custom(DrawEvent)
	var records [][]byte
	for i := range n {
		e := loggedEvent{Event: draw.Example(i)}
		e.ID[0], e.ID[1] = byte(i), byte(i>>8)
		e.Recorded = e.Recorded.Add(time.Duration(i)*every + time.Duration(i*i%11)*5*time.Millisecond)
		e.id = uuid(e.Event)
		for _, edition := range []consent.Edition{consent.EditionFull, consent.EditionBasic} {
			made, err := m.Entries(nil, &e.Event, e.id, edition)
			if err != nil {
				t.Fatal(err)
			}
			e.entries[edition] = made
		}
		l.all = append(l.all, e)
		if records = append(records, e.AppendBinary(nil)); len(records) < together {
			continue
		}
		if _, err := st.Record(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
		records = records[:0]
	}
	if err := st.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// compare draws a question and who asks it.
func (l *loggedEvents) compare(t *rapid.T, s store.Snapshot) {
	patients := rapid.SampledFrom([][]string{nil, nil, {"p1"}, {"p2"}, {"p1", "p2"}, {"p3"}}).Draw(t, "patients")
	edition := consent.EditionFull
	u := consent.Everything
	if patients != nil {
		edition = consent.EditionBasic
		u = func() *consent.Universe { return levels{"p1": consent.Self, "p2": consent.Self}.to(patients...) }
	}
	q := l.drawQuery(t, edition)
	var want []loggedEvent
	for _, e := range l.all {
		if (patients == nil || slices.Contains(patients, e.Patient)) && q.Matches(e.entries[edition]) {
			want = append(want, e)
		}
	}
	var got []string
	pages := rapid.SampledFrom([]int{1, 3, 8}).Draw(t, "pages")
	request := store.PageRequest{Limit: len(want)/pages + 1, Count: rapid.Bool().Draw(t, "count")}
	for {
		page, err := s.Search(context.Background(), u(), q, request)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if request.Count && page.Total != len(want) {
			t.Fatalf("%+v: a total of %d, want %d", q, page.Total, len(want))
		}
		for _, f := range page.Found {
			got = append(got, f.ID)
		}
		if request.After, request.Count = page.Next, false; len(page.Next) == 0 {
			break
		}
	}
	ids := make([]string, len(want))
	if slices.SortFunc(want, eventOrder(q)); len(q.Sort) == 0 {
		slices.Sort(got)
	}
	for i := range want {
		ids[i] = want[i].id
	}
	if !slices.Equal(got, ids) {
		t.Fatalf("%+v by pages of %d: got %d events, want %d, or others, or in another order\n%v\n%v", q, request.Limit, len(got), len(ids), got, ids)
	}
}

// eventOrder is the order that a query asks for; without one, that of ids.
func eventOrder(q *search.Query) func(a, b loggedEvent) int {
	return func(a, b loggedEvent) int {
		c := 0
		if len(q.Sort) > 0 {
			if c = a.Recorded.Compare(b.Recorded); q.Sort[0].Descending {
				c = -c
			}
		}
		return cmp.Or(c, cmp.Compare(a.id, b.id))
	}
}

// drawQuery asks for what some event has, or has not, and for times.
func (l *loggedEvents) drawQuery(t *rapid.T, edition consent.Edition) *search.Query {
	var pairs []search.Pair
	for range rapid.IntRange(0, 2).Draw(t, "times") {
		at := rapid.SampledFrom(l.all).Draw(t, "at").Recorded.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, -time.Hour, time.Hour}).Draw(t, "off"))
		pairs = append(pairs, search.Pair{
			Name:  rapid.SampledFrom([]string{"date", "_lastUpdated"}).Draw(t, "time"),
			Value: rapid.SampledFrom([]string{"ge", "lt", "gt", "le", "eq", "sa", "ne"}).Draw(t, "prefix") + at.Format("2006-01-02T15:04:05.000Z"),
		})
	}
	if sort := rapid.SampledFrom([]string{"", "", "date", "-date", "-date", "_lastUpdated", "-_lastUpdated"}).Draw(t, "sort"); sort != "" {
		pairs = append(pairs, search.Pair{Name: "_sort", Value: sort})
	}
	q, refusal := l.parser.Parse("AuditEvent", pairs, false)
	if refusal != nil {
		t.Fatal(refusal)
	}
	for range rapid.IntRange(0, 3).Draw(t, "clauses") {
		c := search.Clause{Not: rapid.IntRange(0, 5).Draw(t, "not") == 0}
		for range rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "alternatives") {
			c.Any = append(c.Any, drawMatch(t, rapid.SampledFrom(l.all).Draw(t, "event").entries[edition]))
		}
		q.Clauses = append(q.Clauses, c)
	}
	return q
}

// drawMatch is a match that holds for one that has the entries.
func drawMatch(t *rapid.T, entries search.Encoded) search.Match {
	var all []search.Match
	for p, v := range entries.All() {
		all = append(all, search.Match{Param: p, Op: search.OpEqual, Key: v})
	}
	return rapid.SampledFrom(all).Draw(t, "entry")
}
