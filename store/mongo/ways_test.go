package mongo

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The parameters of these tests.
const (
	paramCode    search.Param = 7
	paramCarer   search.Param = 300
	paramSubject search.Param = 400
	paramVisit   search.Param = 401
	paramFollows search.Param = 402
	paramURL     search.Param = 403
)

// record is a resource with the entries given.
func record(row consent.Row, id string, entries map[search.Param][]string) store.Put {
	e := &search.Entries{}
	e.Add(search.ParamID, search.IDMatch(id).Key)
	for p, values := range entries {
		for _, v := range values {
			e.Add(p, []byte(v))
		}
	}
	e.Sort()
	row.Contributor = "A"
	return store.Put{Row: row, ID: id, Full: store.Version{
		Version: "1", Updated: time.UnixMilli(1).UTC(), Entries: e,
		JSON: fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"meta":{"versionId":"1"}}`, row.Type, id),
	}}
}

func of(t fhir.ResourceType, patients ...string) consent.Row {
	if len(patients) == 0 {
		return consent.Row{Type: t, Home: consent.HomeShared}
	}
	return consent.Row{Type: t, Home: consent.HomePatients, Patients: patients}
}

func to(t fhir.ResourceType, id string) string { return string(search.ReferenceKey(t, id)) }

// crowded are the records of many patients, who refer to one another's here and
// there.
func crowded(patients int) (all []store.Put) {
	for i := range 9 {
		url := fmt.Sprintf("http://example.org/%d", i)
		all = append(all, record(of("Organization"), fmt.Sprintf("org%d", i), map[search.Param][]string{paramURL: {"u" + url}, paramCode: {fmt.Sprintf("c%d", i%3)}}))
	}
	for i := range patients {
		p, other := fmt.Sprintf("p%d", i), fmt.Sprintf("p%d", (i*7+3)%patients)
		all = append(all, record(of("Patient", p), p, map[search.Param][]string{
			paramCode: {fmt.Sprintf("c%d", i%2)}, paramCarer: {fmt.Sprintf("org%d", i%4)}, paramVisit: {to("Organization", fmt.Sprintf("org%d", i%9))},
		}))
		for n := range 1 + i%3 {
			visit := fmt.Sprintf("e%d-%d", i, n)
			all = append(all, record(of("Encounter", p), visit, map[search.Param][]string{paramCode: {fmt.Sprintf("c%d", n)}, paramSubject: {to("Patient", p)}}))
			owners := []string{p}
			if i%5 == 0 {
				owners = append(owners, other)
			}
			all = append(all, record(of("Observation", owners...), fmt.Sprintf("o%d-%d", i, n), map[search.Param][]string{
				paramCode: {fmt.Sprintf("c%d", (i+n)%4)}, paramSubject: {to("Patient", p), to("Patient", other)}, paramVisit: {to("Encounter", visit)},
				paramFollows: {fmt.Sprintf("Rhttp://example.org/%d", i%11)},
			}))
		}
	}
	return all
}

func code(values ...string) (c search.Clause) {
	for _, v := range values {
		c.Any = append(c.Any, search.Match{Param: paramCode, Op: search.OpEqual, Key: []byte("c" + v)})
	}
	return c
}

func via(j search.Join, clauses ...search.Clause) search.Clause {
	j.Clauses = clauses
	return search.Clause{Via: []search.Join{j}}
}

func not(c search.Clause) search.Clause {
	c.Not = true
	return c
}

// leading are queries that go from one resource to others.
func leading() map[string]*search.Query {
	subject, visit := search.Join{Param: paramSubject, Type: "Patient"}, search.Join{Param: paramVisit, Type: "Encounter"}
	observed := search.Join{Param: paramSubject, Type: "Observation", Reverse: true}
	visited := search.Join{Param: paramVisit, Type: "Observation", Reverse: true}
	follows := search.Join{Param: paramFollows, Type: "Organization", By: paramURL}
	followed := search.Join{Param: paramFollows, Type: "Observation", By: paramURL, Reverse: true}
	beside := via(subject, code("1"))
	beside.Any = code("3").Any
	group := search.Clause{All: [][]search.Clause{{code("1"), via(subject, code("0"))}, {not(via(visit, code("0"))), code("2")}}}
	q := func(t fhir.ResourceType, all ...search.Clause) *search.Query {
		return &search.Query{Type: t, Clauses: all}
	}
	return map[string]*search.Query{
		"chain": q("Observation", via(subject, code("1"))), "chain and code": q("Observation", code("2"), via(subject, code("1"))),
		"chain to all": q("Observation", via(subject)), "chain to none": q("Observation", via(subject, code("9"))),
		"not a chain": q("Observation", not(via(subject, code("1")))), "beside": q("Observation", beside), "group": q("Observation", group),
		"two steps":  q("Observation", via(visit, via(subject, code("0")), not(code("1")))),
		"two chains": q("Observation", via(subject, code("1")), via(visit, code("0", "2"))),
		"canonical":  q("Observation", via(follows, code("1"))), "no canonical": q("Observation", not(via(follows, code("1", "2")))),
		"has": q("Patient", via(observed, code("1"))), "has not": q("Patient", not(via(observed, code("1", "2")))),
		"has a chain": q("Patient", via(observed, via(visit, code("1")))), "has has": q("Patient", via(search.Join{Param: paramSubject, Type: "Encounter", Reverse: true}, via(visited, code("3")))),
		"canonical against": q("Organization", via(followed, code("1"))), "shared against": q("Organization", via(search.Join{Param: paramVisit, Type: "Patient", Reverse: true}, code("1"))),
		"visits": q("Encounter", via(visited, code("2")), code("0")),
	}
}

// TestEveryWay: however a search goes about what leads elsewhere, it finds the
// same, in the same order, and counts the same.
func TestEveryWay(t *testing.T) {
	const patients = 16
	opt := testOptions(t)
	db := openFresh(t, opt)
	writeAll(t, db, crowded(patients)...)
	var some, many []string
	for i := range patients {
		if many = append(many, fmt.Sprintf("p%d", i)); i%4 == 0 {
			some = append(some, many[i])
		}
	}
	decide := func(_ context.Context, p string) (consent.Decision, error) {
		if len(p)%2 == 0 && p[len(p)-1] == '3' {
			return consent.Decision{}, nil
		}
		return consent.Decision{Level: consent.Full}, nil
	}
	shared := func(t fhir.ResourceType) bool { return t == "Organization" }
	care := []search.Match{{Param: paramCarer, Op: search.OpEqual, Key: []byte("org1")}}
	universes := map[string]func() *consent.Universe{
		"everything": consent.Everything,
		"any":        func() *consent.Universe { return consent.OfAnyPatient(shared, decide) }, "candidates": func() *consent.Universe { return consent.OfCandidates(care, shared, decide) },
		"some": func() *consent.Universe { return consent.OfPatients(some, shared, decide) }, "many": func() *consent.Universe { return consent.OfPatients(many, shared, decide) },
	}
	answers := func(w ways) map[string][]string {
		opt := db.opt
		opt.ways = w
		other, err := Open(t.Context(), opt)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		defer func() { _ = other.Close() }()
		s, err := other.Snapshot(t.Context())
		if err != nil {
			t.Fatalf("snapshot: %v", err)
		}
		defer func() { _ = s.Close() }()
		return answersOf(t, s, universes)
	}
	want := answers(usual())
	found := 0
	for _, all := range want {
		found += len(all)
	}
	if found < 500 {
		t.Errorf("%d found by all queries: they say nothing", found)
	}
	for name, w := range map[string]ways{
		"looked up":             {led: math.MaxInt32, glanced: math.MaxInt32, asked: 500, merged: 200},
		"asked about":           {led: 1, asked: 500, merged: 200},
		"asked about, in parts": {named: 1, sought: 1, led: 2, glanced: 1, examined: 1000, asked: 3, merged: 200},
		"merged here":           {named: 2000, sought: 1 << 20, led: 5000, asked: 500, merged: 3},
		"far ends of some":      {named: 30, sought: 4096, led: 40, glanced: 10, examined: 20, asked: 40, merged: 10},
	} {
		if d := cmp.Diff(want, answers(w), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-usual +got):\n%s", name, d)
		}
	}
}

// answersOf are the answers to all queries, whole, counted, sorted and in pages.
func answersOf(t *testing.T, s store.Snapshot, universes map[string]func() *consent.Universe) map[string][]string {
	t.Helper()
	answers := map[string][]string{}
	for in, u := range universes {
		for what, q := range leading() {
			hows := map[string]*search.Query{"": q}
			if what == "chain" || what == "has not" || what == "group" {
				sorted := *q
				sorted.Sort = []search.SortKey{{Param: paramCode, Descending: true}}
				hows[", sorted"] = &sorted
			}
			for how, q := range hows {
				page, err := s.Search(t.Context(), u(), q, store.PageRequest{Limit: 1000, Count: true})
				if err != nil {
					t.Fatalf("%s in %s%s: %v", what, in, how, err)
				}
				var all []string
				for _, f := range page.Found {
					all = append(all, f.ID)
				}
				counted, err := s.Search(t.Context(), u(), q, store.PageRequest{Count: true})
				if err != nil || counted.Total != len(all) || page.Total != len(all) {
					t.Fatalf("%s in %s%s: %d found, %d and %d counted, %v", what, in, how, len(all), page.Total, counted.Total, err)
				}
				first, err := s.Search(t.Context(), u(), q, store.PageRequest{Limit: 7})
				if err != nil || len(first.Found) != min(7, len(all)) {
					t.Fatalf("%s in %s%s: a page of %d, %v", what, in, how, len(first.Found), err)
				}
				for i, f := range first.Found {
					if f.ID != all[i] {
						t.Fatalf("%s in %s%s: %s in a page, want %s", what, in, how, f.ID, all[i])
					}
				}
				answers[what+" in "+in+how] = all
			}
		}
	}
	return answers
}
