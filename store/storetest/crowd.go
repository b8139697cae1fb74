package storetest

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The crowd: more patients than a store asks about at once, more labels than it
// may keep apart, one patient with very many rows, rows of several patients, and
// values of every byte.
const (
	crowdPatients = 150
	crowdLabels   = 90
	crowdRows     = 320
)

// testCrowd holds searches over many patients against the naive evaluation.
func testCrowd(t *testing.T, st store.Store) {
	m := model{}
	keep := func(puts ...store.Put) {
		write(t, st, puts...)
		for _, p := range puts {
			m[string(p.Type)+"/"+p.ID] = p
		}
	}
	var puts []store.Put
	for i := range crowdRows {
		puts = append(puts, first(of("Observation", "p"+number(7)), "many"+number(i), code([]string{"a", "b", "c"}[i%3]), date(uint64(i%9), uint64(i%9+i%4))))
	}
	keep(puts...)
	r := 0
	rapid.Check(t, func(rt *rapid.T) {
		var puts []store.Put
		for range rapid.IntRange(10, 60).Draw(rt, "puts") {
			r++
			puts = append(puts, drawCrowdPut(rt, number(r)))
		}
		keep(puts...)
		s := openOr(rt, st)
		defer s.Close()
		for range 2 {
			w := drawCrowdWorld(rt)
			compare(rt, s, m, w, drawCrowdQuery(rt), rapid.SampledFrom([]int{7, 64, 130, 500}).Draw(rt, "limit"))
		}
	})
}

// crowdIDs are the ids of the crowd's rows.
var crowdIDs = rapid.Map(rapid.IntRange(0, 2000), func(i int) string { return "i" + number(i) }) //nolint:gochecknoglobals // a table

func crowdPatient(t *rapid.T) string {
	return "p" + number(rapid.IntRange(0, crowdPatients-1).Draw(t, "patient"))
}

func drawCrowdPut(t *rapid.T, v string) store.Put {
	typ := rapid.SampledFrom([]fhir.ResourceType{"Patient", "AllergyIntolerance", "Observation", "Observation", "Organization"}).Draw(t, "type")
	var owners []string
	for range rapid.SampledFrom([]int{0, 1, 1, 1, 1, 1, 1, 2, 3}).Draw(t, "owners") {
		owners = append(owners, crowdPatient(t))
	}
	slices.Sort(owners)
	row := of(typ, slices.Compact(owners)...)
	if typ == "Organization" {
		row = shared(typ)
	}
	switch rapid.IntRange(0, 3).Draw(t, "labelled") {
	case 0:
		row.Labels = []string{mark}
	case 1:
		row.Labels = []string{"http://example.org/rare|" + number(rapid.IntRange(0, crowdLabels).Draw(t, "label"))}
		if rapid.Bool().Draw(t, "and marked") {
			row.Labels = append(row.Labels, mark)
		}
	}
	row.Contributor = rapid.SampledFrom([]string{"A", "B"}).Draw(t, "contributor")
	id := crowdIDs.Draw(t, "id")
	p := first(row, id)
	p.Full = version(typ, id, v, 1, drawCrowdEntries(t)...)
	if typ == "Patient" || typ == "AllergyIntolerance" {
		b := version(typ, id, "b"+v, 1, drawCrowdEntries(t)...)
		p.Basic = &b
	}
	return p
}

func drawCrowdEntries(t *rapid.T) []one {
	all := drawEntries(t, crowdIDs)
	for range rapid.IntRange(0, 2).Draw(t, "odd") {
		all = append(all, oddName(t))
	}
	return all
}

// oddName is a value of bytes that some store might give a meaning.
func oddName(t *rapid.T) one {
	return name(rapid.StringMatching("[$.\x00ta\"{]{0,3}").Draw(t, "odd start") + rapid.SampledFrom([]string{"", "\xff", "\x80", "\xc3\x28", "\xff\xff\xff", "\x7f"}).Draw(t, "odd end"))
}

func drawCrowdWorld(t *rapid.T) world {
	w := world{levels: levels{}, kind: rapid.SampledFrom([]string{"listed", "linked", "any", "everything", "own"}).Draw(t, "universe")}
	each := rapid.SliceOfN(rapid.IntRange(0, 3), crowdPatients, crowdPatients).Draw(t, "levels")
	listed := rapid.SampledFrom([]int{1, 60, 65, 130, 150}).Draw(t, "listed")
	for i, l := range each {
		p := "p" + number(i)
		w.levels[p] = []consent.Level{consent.None, consent.Basic, consent.Full, consent.Full}[l]
		if (i*7)%crowdPatients < listed {
			w.patients = append(w.patients, p)
		}
	}
	w.where = rapid.SampledFrom([]func(consent.Row) bool{
		nil, nil, nil, isMarked,
		func(r consent.Row) bool { return !isMarked(r) },
		func(r consent.Row) bool { return len(r.Labels) != 1 },
	}).Draw(t, "where")
	return w
}

func drawCrowdQuery(t *rapid.T) *search.Query {
	q := drawQuery(t)
	if rapid.IntRange(0, 2).Draw(t, "odd clause") == 0 {
		odd := oddName(t).value
		op := rapid.SampledFrom([]search.Op{search.OpEqual, search.OpPrefix}).Draw(t, "operator")
		q.Clauses = append(q.Clauses, search.Clause{Any: []search.Match{{Param: paramName, Op: op, Key: odd}}})
	}
	if rapid.IntRange(0, 3).Draw(t, "range") == 0 {
		bound := rapid.SampledFrom([]uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, math.MaxUint64})
		q.Clauses = append(q.Clauses, within(search.Bounds{
			LowMin: bound.Draw(t, "low min"), LowMax: bound.Draw(t, "low max"), HighMin: bound.Draw(t, "high min"), HighMax: bound.Draw(t, "high max"),
		}))
	}
	return q
}
