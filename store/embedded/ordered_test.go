package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

const (
	sortedCode search.Param = 7
	sortedDate search.Param = 9
)

// TestOrders: a page read along the postings is the page that is gathered and
// sorted, whatever is written between the pages.
func TestOrders(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{})
	rapid.Check(t, func(rt *rapid.T) {
		q, universe := drawSorted(rt), drawWide(rt)
		limit := rapid.IntRange(1, 5).Draw(rt, "limit")
		var after []byte
		for pages := 0; pages == 0 || len(after) > 0; pages++ {
			if pages < 8 {
				putSome(rt, db)
			}
			p := store.PageRequest{Limit: limit, After: after}
			gathered, followed := bothWays(rt, db, universe, q, p)
			if d := cmp.Diff(gathered, followed, cmpopts.EquateEmpty()); d != "" {
				rt.Fatalf("%+v after %x (-gathered +followed):\n%s", q, after, d)
			}
			after = gathered.Next
		}
	})
}

// bothWays is a page in either way.
func bothWays(t *rapid.T, db *DB, universe func() *consent.Universe, q *search.Query, p store.PageRequest) (gathered, followed store.Page) {
	s, err := db.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	view := &view{db: db, src: s.(*snapshot).src} //nolint:forcetypeassert // it is ours
	n, ok := view.typeNumber(q.Type)
	if !ok {
		return gathered, followed
	}
	for page, way := range map[*store.Page]func(*searching) func(context.Context, *store.Page) error{
		&gathered: func(s *searching) func(context.Context, *store.Page) error { return s.gather },
		&followed: func(s *searching) func(context.Context, *store.Page) error { return s.follow },
	} {
		one := &searching{view: view, u: universe(), q: q, t: n, p: p, budget: math.MaxInt}
		one.others = newOthers(view, one.u, &one.budget)
		if err := one.readAfter(); err != nil {
			t.Fatal(err)
		}
		if err := way(one)(context.Background(), page); err != nil {
			t.Fatal(err)
		}
	}
	return gathered, followed
}

func drawWide(t *rapid.T) func() *consent.Universe {
	levels := map[string]consent.Level{}
	for _, p := range []string{"p1", "p2", "p3"} {
		levels[p] = rapid.SampledFrom([]consent.Level{consent.None, consent.Basic, consent.Full, consent.Full}).Draw(t, "level")
	}
	if rapid.Bool().Draw(t, "everything") {
		return consent.Everything
	}
	return func() *consent.Universe {
		return consent.OfAnyPatient(nil, func(_ context.Context, p string) (consent.Decision, error) {
			return consent.Decision{Level: levels[p]}, nil
		})
	}
}

func dated(low, high uint64) search.Clause {
	return search.Clause{Any: []search.Match{
		{Param: sortedDate, Op: search.OpRange, Key: []byte("d"), Bounds: search.Bounds{LowMin: low, LowMax: high, HighMax: math.MaxUint64}},
		{Param: sortedDate, Op: search.OpRange, Key: []byte("D"), Bounds: search.Bounds{LowMin: low + 1, LowMax: high, HighMax: math.MaxUint64}},
	}}
}

func drawSorted(t *rapid.T) *search.Query {
	q := &search.Query{Type: rapid.SampledFrom([]fhir.ResourceType{"Patient", "Observation", "Device"}).Draw(t, "type"), Count: -1}
	key := search.SortKey{Param: sortedCode, Descending: rapid.Bool().Draw(t, "descending")}
	if rapid.Bool().Draw(t, "by date") {
		key.Param, key.Range = sortedDate, true
	}
	q.Sort = []search.SortKey{key}
	for range rapid.IntRange(0, 2).Draw(t, "clauses") {
		q.Clauses = append(q.Clauses, rapid.SampledFrom([]search.Clause{
			{Any: []search.Match{{Param: sortedCode, Op: search.OpEqual, Key: []byte("ca")}}}, dated(0, 3), dated(2, math.MaxUint64), dated(3, 1),
		}).Draw(t, "clause"))
	}
	return q
}

// putSome writes a few rows. Devices have one date at most.
func putSome(t *rapid.T, db *DB) {
	err := db.Write(context.Background(), func(tx store.Tx) error {
		for range rapid.IntRange(1, 4).Draw(t, "puts") {
			if err := tx.Put(drawRow(t)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func drawRow(t *rapid.T) store.Put {
	row := consent.Row{
		Type: rapid.SampledFrom([]fhir.ResourceType{"Patient", "Observation", "Device"}).Draw(t, "of"), Home: consent.HomePatients,
		Patients: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"p1", "p2", "p3"}), 0, 2, rapid.ID).Draw(t, "owners"),
	}
	if len(row.Patients) == 0 {
		row.Home = consent.HomeQuarantine
	}
	id := rapid.StringMatching(`[a-l]`).Draw(t, "id")
	version := func(v string) store.Version {
		e := &search.Entries{}
		most := 3
		if row.Type == "Device" {
			most = 1
		}
		for range rapid.IntRange(0, most).Draw(t, "dates") {
			low := rapid.Uint64Range(0, 4).Draw(t, "low")
			b := binary.BigEndian.AppendUint64(nil, low)
			b = binary.BigEndian.AppendUint64(b, low+rapid.Uint64Range(0, 2).Draw(t, "width"))
			e.Add(sortedDate, []byte(rapid.SampledFrom([]string{"d", "D"}).Draw(t, "tag")), b)
		}
		for range rapid.IntRange(0, 2).Draw(t, "codes") {
			c := rapid.SampledFrom([]string{"a", "b", "b\x00", ""}).Draw(t, "code")
			e.Add(sortedCode, []byte(rapid.SampledFrom([]string{"c", "s"}).Draw(t, "form")), []byte(c))
		}
		e.Sort()
		return store.Version{Version: v, Updated: time.UnixMilli(0).UTC(), JSON: []byte(`{}`), Entries: e}
	}
	p := store.Put{Row: row, ID: id, Full: version("1")}
	if row.Type == "Patient" {
		b := version("b1")
		p.Basic = &b
	}
	return p
}

// TestOrderWithinBudget: a page in the order of one key is found among more rows
// than a query may look at, and no more of them are looked at than it takes.
func TestOrderWithinBudget(t *testing.T) {
	const rows = 4000
	db := openIn(t, filepath.Join(t.TempDir(), "store"), Options{ScanBudget: rows / 10})
	for p := range rows / benchRows {
		err := db.Write(t.Context(), func(tx store.Tx) error {
			for i := range benchRows {
				if err := tx.Put(observation(p, i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	any := func() *consent.Universe {
		return consent.OfAnyPatient(nil, func(context.Context, string) (consent.Decision, error) {
			return consent.Decision{Level: consent.Full}, nil
		})
	}
	since := search.Clause{Any: []search.Match{{
		Param: 201, Op: search.OpRange, Key: []byte("d"), Bounds: search.Bounds{LowMin: rows - 60, LowMax: math.MaxUint64, HighMax: math.MaxUint64},
	}}}
	for _, c := range []struct {
		name     string
		universe func() *consent.Universe
		key      search.SortKey
		clauses  []search.Clause
		want     int // found
		most     uint64
	}{
		{"newest", consent.Everything, search.SortKey{Param: 201, Range: true, Descending: true}, nil, 50, 51},
		{"oldest", consent.Everything, search.SortKey{Param: 201, Range: true}, nil, 50, 51},
		{"since, newest", consent.Everything, search.SortKey{Param: 201, Range: true, Descending: true}, []search.Clause{since}, 50, 51},
		{"since, oldest", consent.Everything, search.SortKey{Param: 201, Range: true}, []search.Clause{since}, 50, 51},
		{"by code, all that have the first", consent.Everything, search.SortKey{Param: 100}, nil, 50, rows / 50},
		{"of any patient", any, search.SortKey{Param: 201, Range: true, Descending: true}, nil, 50, rows/10 + 52},
	} {
		q := &search.Query{Type: "Observation", Clauses: c.clauses, Sort: []search.SortKey{c.key}}
		before := db.Stats().Examined
		page, err := s.Search(t.Context(), c.universe(), q, store.PageRequest{Limit: 50})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if examined := db.Stats().Examined - before; len(page.Found) != c.want || examined > c.most {
			t.Errorf("%s: %d found by %d rows, want %d by %d", c.name, len(page.Found), examined, c.want, c.most)
		}
	}
	q := &search.Query{Type: "Observation", Sort: []search.SortKey{{Param: 201, Range: true}, {Param: 100}}}
	if page, err := s.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 50}); err != nil || len(page.Found) != 50 {
		t.Errorf("two keys: %d found, %v, want 50", len(page.Found), err)
	}
	q.Sort = []search.SortKey{{Param: 999}}
	if _, err := s.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 50}); !errors.Is(err, store.ErrTooCostly) {
		t.Errorf("by what none has: got %v, want %v", err, store.ErrTooCostly)
	}
}

// TestAuditorsQuestions: the record of access is read by date, from either end
// and from a day on, however much of it there is.
func TestAuditorsQuestions(t *testing.T) {
	const events = 3000
	opt := options(t)
	opt.ScanBudget = events / 10
	db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
	var records [][]byte
	for i := range events {
		e := event(byte(i>>8), byte(i))
		e.Recorded = e.Recorded.Add(time.Duration(i) * time.Minute)
		e.Patient = fmt.Sprint("p", i%7)
		records = append(records, e.AppendBinary(nil))
	}
	if _, err := db.Record(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	if err := db.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	since := "date=ge" + event(0, 0).Recorded.Add(2000*time.Minute).Format(time.RFC3339)
	id := func(i int) string { e := event(byte(i>>8), byte(i)); return formatUUID(e.ID) }
	for query, want := range map[string][]string{
		"_sort=-date":                             {id(2999), id(2998), id(2997), id(2996)},
		"_sort=date":                              {id(0), id(1), id(2), id(3)},
		"_sort=-_lastUpdated":                     {id(2999), id(2998), id(2997), id(2996)},
		since + "&_sort=-date":                    {id(2999), id(2998), id(2997), id(2996)},
		since + "&_sort=date":                     {id(2000), id(2001), id(2002), id(2003)},
		since + "&_sort=-date&patient=Patient/p3": {id(2999), id(2992), id(2985), id(2978)},
	} {
		var pairs []search.Pair
		for part := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(part, "=")
			pairs = append(pairs, search.Pair{Name: name, Value: value})
		}
		q, refusal := opt.Indexer.Parser().Parse(typeAuditEvent, pairs, false)
		if refusal != nil {
			t.Fatal(refusal)
		}
		var got []string
		var after []byte
		for range 2 {
			page, err := s.Search(t.Context(), consent.Everything(), q, store.PageRequest{Limit: 2, After: after})
			if err != nil {
				t.Errorf("%s: %v", query, err)
				break
			}
			for _, f := range page.Found {
				got = append(got, f.ID)
			}
			after = page.Next
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", query, d)
		}
	}
}
