package storetest

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

func testProperty(t *testing.T, st store.Store) {
	m := model{}
	versions := 0
	rapid.Check(t, func(rt *rapid.T) {
		var puts []store.Put
		for range rapid.IntRange(1, 8).Draw(rt, "puts") {
			versions++
			p := drawPut(rt, number(versions))
			puts = append(puts, p)
			m[string(p.Type)+"/"+p.ID] = p
		}
		write(t, st, puts...)
		s := openOr(rt, st)
		defer s.Close()
		for range 8 {
			w, q := drawWorld(rt), drawQuery(rt)
			compare(rt, s, m, w, q, rapid.IntRange(1, 5).Draw(rt, "limit"))
		}
	})
}

func openOr(t *rapid.T, st store.Store) store.Snapshot {
	s, err := st.Snapshot(context.Background())
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	return s
}

// compare holds one page of everything, and small pages put together, against
// the naive answer.
func compare(t *rapid.T, s store.Snapshot, m model, w world, q *search.Query, limit int) {
	want := w.expected(t, m, q)
	page, err := s.Search(context.Background(), w.universe(), q, store.PageRequest{Limit: 1 << 20, Count: true})
	if err != nil {
		t.Fatalf("search %+v in %+v: %v", q, w, err)
	}
	got := labels(page.Found)
	if d := cmp.Diff(want, sortedCopy(got), cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("search %+v in %+v (-want +got):\n%s", q, w, d)
	}
	if page.Total != len(want) || len(page.Next) > 0 {
		t.Fatalf("search %+v in %+v: total %d, next %x, want %d", q, w, page.Total, page.Next, len(want))
	}
	inOrder(t, q, page.Found, m)
	var small []string
	var after []byte
	for {
		page, err := s.Search(context.Background(), w.universe(), q, store.PageRequest{Limit: limit, After: after, Count: len(small) < 2*limit})
		if err != nil {
			t.Fatalf("page of %+v in %+v: %v", q, w, err)
		}
		if len(small) < 2*limit && page.Total != len(want) {
			t.Fatalf("page of %+v in %+v: total %d, want %d", q, w, page.Total, len(want))
		}
		small = append(small, labels(page.Found)...)
		if after = page.Next; len(after) == 0 {
			break
		}
	}
	if d := cmp.Diff(got, small, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("pages of %+v in %+v (-whole +pages):\n%s", q, w, d)
	}
}

// inOrder holds what was found against the order of the query, and its keys
// against its entries.
func inOrder(t *rapid.T, q *search.Query, got []store.Found, m model) {
	if len(q.Sort) == 0 {
		return
	}
	var last store.Position
	for i := range got {
		p := m[string(got[i].Resource.Type)+"/"+got[i].ID]
		v := p.Full
		if got[i].Edition == consent.EditionBasic {
			v = *p.Basic
		}
		at := place(q.Sort, &got[i], v.Entries)
		if d := cmp.Diff(at.Keys, got[i].Keys, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("keys of %s in %+v (-want +got):\n%s", got[i].ID, q, d)
		}
		if i > 0 && store.Order(q.Sort, &last, &at) >= 0 {
			t.Fatalf("order of %+v: %s before %s", q, last.ID, at.ID)
		}
		last = at
	}
}

// drawnTypes and drawnIDs are those of the rows drawn: few, so that they meet.
var (
	drawnTypes = []fhir.ResourceType{"Patient", "AllergyIntolerance", "Observation", "Organization"} //nolint:gochecknoglobals // a table
	drawnIDs   = rapid.StringMatching(`[a-f]`)                                                       //nolint:gochecknoglobals // a table
)

func drawPut(t *rapid.T, v string) store.Put {
	typ := rapid.SampledFrom(drawnTypes).Draw(t, "type")
	id := drawnIDs.Draw(t, "id")
	row := of(typ, rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"p1", "p2", "p3", "p4"}), 0, 3, rapid.ID).Draw(t, "owners")...)
	slices.Sort(row.Patients)
	if typ == "Organization" {
		row = shared(typ)
	}
	if rapid.Bool().Draw(t, "marked") {
		row.Labels = []string{mark}
	}
	row.Contributor = rapid.SampledFrom([]string{"A", "B"}).Draw(t, "contributor")
	p := first(row, id)
	p.Full = version(typ, id, v, 1, drawEntries(t, drawnIDs)...)
	if typ == "Patient" || typ == "AllergyIntolerance" {
		b := version(typ, id, "b"+v, 1, drawEntries(t, drawnIDs)...)
		p.Basic = &b
	}
	return p
}

// drawEntries draws values, and references to ids that exist at times.
func drawEntries(t *rapid.T, id *rapid.Generator[string]) []one {
	var all []one
	for range rapid.IntRange(0, 5).Draw(t, "entries") {
		low := rapid.Uint64Range(0, 5).Draw(t, "low")
		to := rapid.SampledFrom(drawnTypes).Draw(t, "referred type")
		u := rapid.SampledFrom([]string{"http://example.org/a", "http://example.org/b", string(to) + "/a"}).Draw(t, "uri")
		all = append(all, rapid.SampledFrom([]one{
			code("a"), code("b"), code("c"), name("ta"), name("tan"), name("tan\x00"), owner("A"),
			date(low, low+rapid.Uint64Range(0, 5).Draw(t, "width")),
			subject(to, id.Draw(t, "referred id")), visit("Observation", id.Draw(t, "visit")), visit(to, id.Draw(t, "visited")),
			{paramSubject, []byte("R" + elsewhereBase + "Patient/a")},
			follows(u), url(u),
		}).Draw(t, "entry"))
	}
	return all
}

func drawWorld(t *rapid.T) world {
	w := world{levels: levels{}, kind: rapid.SampledFrom([]string{"listed", "linked", "any", "everything", "own"}).Draw(t, "universe")}
	for _, p := range []string{"p1", "p2", "p3", "p4"} {
		w.levels[p] = rapid.SampledFrom([]consent.Level{consent.None, consent.Basic, consent.Full, consent.Full}).Draw(t, "level")
	}
	w.patients = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"p1", "p2", "p3", "p4", "p9"}), 0, 3, rapid.ID).Draw(t, "patients")
	if rapid.IntRange(0, 4).Draw(t, "narrowed") == 0 {
		w.where = isMarked
	}
	return w
}

func drawQuery(t *rapid.T) *search.Query {
	q := query(rapid.SampledFrom(drawnTypes).Draw(t, "asked"))
	for range rapid.IntRange(0, 2).Draw(t, "clauses") {
		q.Clauses = append(q.Clauses, drawClause(t, 2))
	}
	for range rapid.IntRange(0, 3).Draw(t, "keys") {
		descending := rapid.Bool().Draw(t, "descending")
		q.Sort = append(q.Sort, rapid.SampledFrom([]search.SortKey{byDate(descending), byCode(descending), bySubject(descending)}).Draw(t, "key"))
	}
	return q
}

// drawClause draws a clause in which others are nested so deep at most.
func drawClause(t *rapid.T, deep int) search.Clause {
	c := rapid.SampledFrom([]search.Clause{
		is("a"), is("b", "c"), is("z"), startsWith("tan"), startsWith(""), present(paramSubject),
		{},
		{Any: append(is("a").Any, startsWith("ta").Any...)},
		contains("ta"), contains("tn\x00"),
		within(search.Bounds{LowMin: 2, LowMax: math.MaxUint64, HighMax: math.MaxUint64}),
		within(search.Bounds{LowMax: 4, HighMin: 3, HighMax: 8}),
	}).Draw(t, "clause")
	c.Any = slices.Clone(c.Any)
	if deep > 0 {
		nested := func() (all []search.Clause) {
			for range rapid.IntRange(0, 2).Draw(t, "nested clauses") {
				all = append(all, drawClause(t, deep-1))
			}
			return all
		}
		switch rapid.IntRange(0, 7).Draw(t, "kind") {
		case 0, 1:
			c = search.Clause{Via: []search.Join{drawJoin(t, nested())}}
		case 2:
			c.Via = []search.Join{drawJoin(t, nested()), drawJoin(t, nested())}
		case 3:
			c = search.Clause{All: [][]search.Clause{nested(), nested()}}
		case 4:
			c.All = [][]search.Clause{nested()}
		case 5:
			c = search.Clause{Read: []search.Reading{versionEnds(rapid.IntRange(0, 9).Draw(t, "digit"))}}
		}
	}
	c.Not = rapid.IntRange(0, 3).Draw(t, "not") == 0
	return c
}

func drawJoin(t *rapid.T, clauses []search.Clause) search.Join {
	j := search.Join{
		Param: rapid.SampledFrom([]search.Param{paramSubject, paramVisit}).Draw(t, "reference"), Reverse: rapid.Bool().Draw(t, "reverse"),
		Type: rapid.SampledFrom(drawnTypes).Draw(t, "joined"), Clauses: clauses,
	}
	if rapid.IntRange(0, 3).Draw(t, "canonical") == 0 {
		j.Param, j.By = paramFollows, paramURL
	}
	return j
}

// versionEnds holds for a version whose last digit that is.
type versionEnds int

// Holds implements search.Reading.
func (d versionEnds) Holds(content *fhir.Tape) bool {
	v := content.Text(content.Field(content.Field(content.Root(), "meta"), "versionId"))
	return strings.HasSuffix(v, strconv.Itoa(int(d)))
}
