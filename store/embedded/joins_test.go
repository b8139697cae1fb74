package embedded

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
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
	joinCode    search.Param = 7
	joinRefers  search.Param = 11 // a reference to anything
	joinURL     search.Param = 12 // by which canonicals name it
	joinNamed   search.Param = 13 // a canonical
	joinDate    search.Param = 9
	joinPatient              = "Patient"
)

var joinTypes = []fhir.ResourceType{"Patient", "Observation", "Organization"} //nolint:gochecknoglobals // never changes

// contains is a reading.
type contains string

func (c contains) Holds(t *fhir.Tape) bool {
	return string(t.Raw(t.Field(t.Root(), "text"))) == `"`+string(c)+`"`
}

// plainRow is a row of the naive store.
type plainRow struct {
	row  consent.Row
	id   string
	full store.Version
	// basic is for patients alone.
	basic *store.Version
}

// naive answers from rows in memory.
type naive struct {
	rows map[string]plainRow
	u    *consent.Universe
	in   func(consent.Row) bool
}

type met struct {
	*naive
	plainRow
	v store.Version
	e consent.Edition
}

func (n *naive) admitted(t fhir.ResourceType) []*met {
	var all []*met
	for _, r := range n.rows {
		if r.row.Type != t || !n.in(r.row) {
			continue
		}
		e, err := n.u.Admit(context.Background(), r.row)
		switch {
		case err != nil:
			panic(err)
		case e == consent.EditionFull:
			all = append(all, &met{n, r, r.full, e})
		case e == consent.EditionBasic && r.basic != nil:
			all = append(all, &met{n, r, *r.basic, e})
		}
	}
	return all
}

func (m *met) entries() search.Encoded { return m.v.Entries.AppendBinary(nil) }

func (m *met) all(clauses []search.Clause) bool {
	holds, err := search.AllHold(clauses, m.entries(), m)
	if err != nil {
		panic(err)
	}
	return holds
}

func (m *met) has(p search.Param, value []byte) bool {
	return (&search.Match{Param: p, Op: search.OpEqual, Key: value}).Holds(m.entries())
}

func (m *met) refersTo(other *met, p, by search.Param) bool {
	if by == 0 {
		return m.has(p, search.ReferenceKey(other.row.Type, other.id))
	}
	for at, v := range m.entries().All() {
		if key, ok := search.CanonicalKey(v); at == p && ok && other.has(by, key) {
			return true
		}
	}
	return false
}

func (m *met) Joined(j *search.Join) (bool, error) {
	for _, other := range m.admitted(j.Type) {
		if (j.Reverse && other.refersTo(m, j.Param, j.By) || !j.Reverse && m.refersTo(other, j.Param, j.By)) && other.all(j.Clauses) {
			return true, nil
		}
	}
	return false, nil
}

func (m *met) Reads(r search.Reading) (bool, error) {
	var t fhir.Tape
	if err := t.Parse(m.v.JSON, fhir.Limits{}); err != nil {
		return false, err
	}
	return r.Holds(&t), nil
}

func drawClause(t *rapid.T, depth int) search.Clause {
	c := search.Clause{Not: rapid.IntRange(0, 4).Draw(t, "not") == 0}
	kinds := 4
	if depth == 0 {
		kinds = 2
	}
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 0}).Draw(t, "alternatives") {
		switch rapid.IntRange(0, kinds).Draw(t, "kind") {
		case 0, 1:
			c.Any = append(c.Any, rapid.SampledFrom([]search.Match{
				{Param: joinCode, Op: search.OpEqual, Key: []byte("ca")},
				{Param: joinCode, Op: search.OpEqual, Key: []byte("cb")},
				{Param: joinCode, Op: search.OpPrefix, Key: []byte("c")},
				{Param: joinRefers, Op: search.OpPrefix},
				{Param: search.ParamID, Op: search.OpEqual, Key: []byte("ca")},
				{Param: joinRefers, Op: search.OpEqual, Key: search.ReferenceKey("Patient", "a")},
				{Param: joinDate, Op: search.OpRange, Key: []byte("d"), Bounds: search.Bounds{LowMin: 2, LowMax: math.MaxUint64, HighMax: math.MaxUint64}},
			}).Draw(t, "match"))
		case 2:
			c.Read = append(c.Read, contains(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "text")))
		case 3:
			c.Via = append(c.Via, drawJoin(t, depth-1))
		case 4:
			c.All = append(c.All, drawClauses(t, depth-1))
		}
	}
	return c
}

func drawClauses(t *rapid.T, depth int) []search.Clause {
	all := make([]search.Clause, rapid.IntRange(0, 2).Draw(t, "clauses"))
	for i := range all {
		all[i] = drawClause(t, depth)
	}
	return all
}

func drawJoin(t *rapid.T, depth int) search.Join {
	j := search.Join{
		Param: joinRefers, Type: rapid.SampledFrom(joinTypes).Draw(t, "to"), Reverse: rapid.Bool().Draw(t, "reverse"), Clauses: drawClauses(t, depth),
	}
	if rapid.IntRange(0, 3).Draw(t, "canonical") == 0 {
		j.Param, j.By = joinNamed, joinURL
	}
	return j
}

func drawPlain(t *rapid.T, version int) plainRow {
	r := plainRow{row: consent.Row{
		Type: rapid.SampledFrom(joinTypes).Draw(t, "type"), Home: consent.HomePatients, Contributor: "A",
		Patients: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"p1", "p2", "p3"}), 0, 2, rapid.ID).Draw(t, "owners"),
	}, id: rapid.StringMatching(`[a-d]`).Draw(t, "id")}
	switch {
	case r.row.Type == "Organization":
		r.row.Home, r.row.Patients = consent.HomeShared, nil
	case len(r.row.Patients) == 0:
		r.row.Home = consent.HomeQuarantine
	}
	if rapid.IntRange(0, 3).Draw(t, "labelled") == 0 {
		r.row.Labels = []string{"s|l"}
	}
	r.full = drawVersion(t, fmt.Sprint(version), r.id)
	if r.row.Type == joinPatient {
		v := drawVersion(t, fmt.Sprint("b", version), r.id)
		r.basic = &v
	}
	return r
}

func drawVersion(t *rapid.T, version, id string) store.Version {
	e := &search.Entries{}
	for range rapid.IntRange(0, 2).Draw(t, "codes") {
		e.Add(joinCode, []byte("c"), []byte(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "code")))
	}
	for range rapid.IntRange(0, 2).Draw(t, "references") {
		e.Add(joinRefers, search.ReferenceKey(rapid.SampledFrom(joinTypes).Draw(t, "referred"), rapid.StringMatching(`[a-d]`).Draw(t, "to")))
	}
	for range rapid.IntRange(0, 1).Draw(t, "dates") {
		low := rapid.Uint64Range(0, 3).Draw(t, "low")
		e.Add(joinDate, []byte("d\x00\x00\x00\x00\x00\x00\x00"), []byte{byte(low)}, []byte("\x00\x00\x00\x00\x00\x00\x00"), []byte{byte(low + 1)})
	}
	url := func() []byte { return []byte(rapid.SampledFrom([]string{"u:1", "u:2"}).Draw(t, "url")) }
	if rapid.Bool().Draw(t, "has url") {
		e.Add(joinURL, []byte("u"), url())
	}
	if rapid.Bool().Draw(t, "names") {
		e.Add(joinNamed, []byte("R"), url())
	}
	e.Add(search.ParamID, []byte("c"+id))
	e.Sort()
	text := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "content")
	return store.Version{Version: version, Updated: time.UnixMilli(0).UTC(), JSON: fmt.Appendf(nil, `{"text":%q}`, text), Entries: e}
}

// drawUniverse draws who sees what, and whose rows there are at all.
func drawUniverse(t *rapid.T) (universe func() *consent.Universe, in func(consent.Row) bool) {
	levels := map[string]consent.Level{}
	for _, p := range []string{"p1", "p2", "p3"} {
		levels[p] = rapid.SampledFrom([]consent.Level{consent.None, consent.Basic, consent.Full, consent.Full}).Draw(t, "level")
	}
	decide := func(_ context.Context, p string) (consent.Decision, error) {
		return consent.Decision{Level: levels[p]}, nil
	}
	shared := func(t fhir.ResourceType) bool { return t == "Organization" }
	among := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"p1", "p2", "p3"}), 0, 3, rapid.ID).Draw(t, "among")
	every := func(consent.Row) bool { return true }
	switch rapid.IntRange(0, 2).Draw(t, "universe") {
	case 0:
		return consent.Everything, every
	case 1:
		return func() *consent.Universe { return consent.OfAnyPatient(shared, decide) }, every
	default:
		return func() *consent.Universe { return consent.OfPatients(among, shared, decide) }, func(r consent.Row) bool {
			return r.Home == consent.HomeShared || slices.ContainsFunc(r.Patients, func(p string) bool { return slices.Contains(among, p) })
		}
	}
}

// TestJoins: what joins, negations and readings find is what the naive
// evaluation finds, in pages and counts, sorted or not, whatever leads there.
func TestJoins(t *testing.T) {
	for name, opt := range map[string]Options{"rows lead first": {}, "plans lead soon": {glance: 1, effort: 2}, "plans lead": {glance: 1}} {
		t.Run(name, func(t *testing.T) { testJoins(t, opt) })
	}
}

func testJoins(t *testing.T, opt Options) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
	rows, version := map[string]plainRow{}, 0
	rapid.Check(t, func(rt *rapid.T) {
		err := db.Write(context.Background(), func(tx store.Tx) error {
			for range rapid.IntRange(0, 6).Draw(rt, "puts") {
				version++
				r := drawPlain(rt, version)
				rows[string(r.row.Type)+"/"+r.id] = r
				if err := tx.Put(store.Put{Row: r.row, ID: r.id, Full: r.full, Basic: r.basic}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		for range 4 {
			compareJoins(rt, db, rows)
		}
	})
}

func compareJoins(t *rapid.T, db *DB, rows map[string]plainRow) {
	universe, in := drawUniverse(t)
	q := &search.Query{Type: rapid.SampledFrom(joinTypes).Draw(t, "asked"), Clauses: drawClauses(t, 3)}
	if rapid.Bool().Draw(t, "sorts") {
		q.Sort = []search.SortKey{{Param: joinDate, Range: true, Descending: rapid.Bool().Draw(t, "descending")}}
	}
	n := &naive{rows: rows, u: universe(), in: in}
	var want []string
	for _, m := range n.admitted(q.Type) {
		if m.all(q.Clauses) {
			want = append(want, m.id+"/"+m.v.Version)
		}
	}
	s, err := db.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got []string
	var after []byte
	limit := rapid.IntRange(1, 4).Draw(t, "limit")
	for {
		page, err := s.Search(context.Background(), universe(), q, store.PageRequest{Limit: limit, After: after, Count: true})
		if err != nil {
			t.Fatal(err)
		}
		if page.Total != len(want) {
			t.Fatalf("%+v: total %d, want %d", q, page.Total, len(want))
		}
		for _, f := range page.Found {
			got = append(got, f.ID+"/"+f.Version)
		}
		if after = page.Next; len(after) == 0 {
			break
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%+v (-want +got):\n%s", q, d)
	}
}
