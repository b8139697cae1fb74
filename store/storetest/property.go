package storetest

import (
	"context"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// model is the naive store: the rows as they were last put.
type model map[string]store.Put

// world is who sees what of whom, drawn at random. It makes the same universe as
// often as asked.
type world struct {
	levels   levels
	patients []string
	kind     string
	where    func(consent.Row) bool
}

func (w world) universe() *consent.Universe {
	var u *consent.Universe
	switch w.kind {
	case "listed":
		u = w.levels.to(w.patients...)
	case "linked":
		u = w.levels.through("A")
	case "any":
		u = w.levels.any()
	case "own":
		u = consent.OfContributor("B")
	default:
		u = consent.Everything()
	}
	if w.where != nil {
		u.Where(w.where)
	}
	return u
}

// reaches tells whether the universe has the owners of a row among its patients
// at all; the levels are Admit's.
func (w world) reaches(m model) func(consent.Row) bool {
	among := map[string]bool{}
	switch w.kind {
	case "listed":
		for _, p := range w.patients {
			among[p] = true
		}
	case "linked":
		links, _ := w.levels.through("A").Links()
		for _, p := range m {
			if links[0].Holds(search.Encoded(p.Full.Entries.AppendBinary(nil))) {
				for _, owner := range p.Patients {
					among[owner] = true
				}
			}
		}
	default:
		return func(consent.Row) bool { return true }
	}
	return func(r consent.Row) bool {
		return r.Home == consent.HomeShared || slices.ContainsFunc(r.Patients, func(p string) bool { return among[p] })
	}
}

// expected evaluates a query row by row.
func (w world) expected(t *rapid.T, m model, q *search.Query) []string {
	u, reached := w.universe(), w.reaches(m)
	var hits []string
	for _, id := range slices.Sorted(maps.Keys(m)) {
		p := m[id]
		if p.Type != q.Type || !reached(p.Row) {
			continue
		}
		e, err := u.Admit(context.Background(), p.Row)
		if err != nil {
			t.Fatalf("admit: %v", err)
		}
		v := p.Full
		if e == consent.EditionBasic && p.Basic != nil {
			v = *p.Basic
		}
		if e == 0 || (e == consent.EditionBasic && p.Basic == nil) || !q.Matches(search.Encoded(v.Entries.AppendBinary(nil))) {
			continue
		}
		hits = append(hits, string(p.Type)+"/"+p.ID+"/"+v.Version)
	}
	return sortedCopy(hits)
}

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

// inOrder checks neighbours by the sort keys of the query.
func inOrder(t *rapid.T, q *search.Query, got []store.Found, m model) {
	value := func(f store.Found, k search.SortKey) ([]byte, bool) {
		p := m[string(f.Resource.Type)+"/"+f.ID]
		v := p.Full
		if f.Edition == consent.EditionBasic {
			v = *p.Basic
		}
		return search.SortValue(search.Encoded(v.Entries.AppendBinary(nil)), k)
	}
	for i := 1; i < len(got); i++ {
		for _, k := range q.Sort {
			a, hasA := value(got[i-1], k)
			b, hasB := value(got[i], k)
			c := slices.Compare(a, b)
			if k.Descending {
				c = -c
			}
			if hasA && !hasB || hasA && hasB && c < 0 {
				break
			}
			if !hasA && hasB || c > 0 {
				t.Fatalf("order of %+v: %s before %s", q, got[i-1].ID, got[i].ID)
			}
		}
	}
}

func drawPut(t *rapid.T, v string) store.Put {
	typ := rapid.SampledFrom([]fhir.ResourceType{"Patient", "AllergyIntolerance", "Observation", "Organization"}).Draw(t, "type")
	id := rapid.StringMatching(`[a-f]`).Draw(t, "id")
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
	p.Full = version(typ, id, v, 1, drawEntries(t)...)
	if typ == "Patient" || typ == "AllergyIntolerance" {
		b := version(typ, id, "b"+v, 1, drawEntries(t)...)
		p.Basic = &b
	}
	return p
}

func drawEntries(t *rapid.T) []one {
	var all []one
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		low := rapid.Uint64Range(0, 5).Draw(t, "low")
		all = append(all, rapid.SampledFrom([]one{
			code("a"), code("b"), code("c"), name("ta"), name("tan"), name("tan\x00"), owner("A"),
			date(low, low+rapid.Uint64Range(0, 5).Draw(t, "width")),
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
	q := query(rapid.SampledFrom([]fhir.ResourceType{"Patient", "AllergyIntolerance", "Observation", "Organization"}).Draw(t, "asked"))
	for range rapid.IntRange(0, 2).Draw(t, "clauses") {
		q.Clauses = append(q.Clauses, rapid.SampledFrom([]search.Clause{
			is("a"), is("b", "c"), is("z"), startsWith("tan"), startsWith(""),
			{Any: append(is("a").Any, startsWith("ta").Any...)},
			within(search.Bounds{LowMin: 2, LowMax: math.MaxUint64, HighMax: math.MaxUint64}),
			within(search.Bounds{LowMax: 4, HighMin: 3, HighMax: 8}),
		}).Draw(t, "clause"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "keys") {
		k := byDate(rapid.Bool().Draw(t, "descending"))
		if rapid.Bool().Draw(t, "by code") {
			k = search.SortKey{Param: paramCode, Descending: k.Descending}
		}
		q.Sort = append(q.Sort, k)
	}
	return q
}
