package embedded

import (
	"path/filepath"
	"strconv"
	"testing"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// What others contributed is not looked at to answer a condition of one's own: else
// the time would tell how much of it there is.
func TestForeignRowsCostNothing(t *testing.T) {
	for name, opt := range map[string]Options{"rows first": {}, "plans": {glance: 1, effort: 1}} {
		db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
		row := func(id, contributor, refersTo string) {
			p := small(id, "1")
			p.Row = consent.Row{Type: "Observation", Home: consent.HomeQuarantine, Contributor: contributor}
			e := &search.Entries{}
			e.Add(joinCode, []byte("cx"))
			e.Add(joinRefers, search.ReferenceKey("Observation", refersTo))
			search.AppendCommon(e, id, p.Full.Updated)
			e.Sort()
			p.Full.Entries = e
			put(t, db, p)
		}
		const own, others = 20, 1000
		for i := range others {
			row("theirs"+strconv.Itoa(i), "b", "own"+strconv.Itoa(i%own))
		}
		for i := range own {
			row("own"+strconv.Itoa(i), "a", "own"+strconv.Itoa((i+1)%own))
		}
		code := search.Clause{Any: []search.Match{{Param: joinCode, Op: search.OpEqual, Key: []byte("cx")}}}
		coded := []search.Clause{code}
		s, err := db.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for kind, c := range map[string]search.Clause{
			"clause":    code,
			"group":     {All: [][]search.Clause{coded}},
			"reference": {Via: []search.Join{{Type: "Observation", Param: joinRefers, Clauses: coded}}},
			"reverse":   {Via: []search.Join{{Type: "Observation", Param: joinRefers, Reverse: true, Clauses: coded}}},
		} {
			looked := 0
			u := consent.OfContributor("a").Where(func(consent.Row) bool { looked++; return true })
			page, err := s.Search(t.Context(), u, &search.Query{Type: "Observation", Clauses: []search.Clause{c}, Count: -1}, store.PageRequest{Limit: 50})
			if err != nil || len(page.Found) != own {
				t.Errorf("%s, %s: %d found, %v, want %d", name, kind, len(page.Found), err, own)
			}
			if looked > 10*own {
				t.Errorf("%s, %s: %d rows were looked at for %d of one's own", name, kind, looked, own)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
