package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// people writes three patients in the care of A, of B, and of nobody, with an
// observation each, one of two patients, one of nobody, and a shared row.
func people(t *testing.T, st store.Store) {
	t.Helper()
	foreign := first(of("Observation", "p1"), "o4", code("x"))
	foreign.Contributor = "B"
	write(t, st,
		twofold(first(of("Patient", "p1"), "p1", owner("A"), code("x")), code("x")),
		marked(twofold(first(of("Patient", "p2"), "p2", owner("B"), code("x")), code("x"))),
		twofold(first(of("Patient", "p3"), "p3", code("x")), code("x")),
		first(of("Observation", "p1"), "o1", code("x")),
		marked(first(of("Observation", "p2"), "o2", code("x"))),
		first(of("Observation", "p3"), "o3", code("x")),
		foreign,
		first(of("Observation", "p1", "p2"), "o12", code("x")),
		first(of("Observation"), "o0", code("x")),
		first(shared("Organization"), "A", code("x")),
		first(shared("Medication"), "m", code("x")),
	)
}

// ids lists what a universe holds of a type, with and without a clause, which
// must be the same here.
func ids(t *testing.T, st store.Store, u func() *consent.Universe, typ fhir.ResourceType) []string {
	t.Helper()
	s := open(t, st)
	walked := labels(all(t, s, u(), query(typ)))
	same(t, "found by a clause", labels(all(t, s, u(), query(typ, is("x")))), walked)
	sorted := query(typ)
	sorted.Sort = []search.SortKey{{Param: paramCode}}
	same(t, "found in order", sortedCopy(labels(all(t, s, u(), sorted))), sortedCopy(walked))
	return walked
}

func testUniverses(t *testing.T, st store.Store) {
	people(t, st)
	every := levels{"p1": consent.Full, "p2": consent.Full, "p3": consent.Full}
	mixed := levels{"p1": consent.Full, "p2": consent.Basic, "p3": consent.Full}
	p1, p2, p3 := "Patient/p1/1", "Patient/p2/1", "Patient/p3/1"
	o0, o1, o2, o3, o4, o12 := "Observation/o0/1", "Observation/o1/1", "Observation/o2/1", "Observation/o3/1", "Observation/o4/1", "Observation/o12/1"
	for _, c := range []struct {
		name                    string
		universe                func() *consent.Universe
		patients, observations  []string
		organizations, medicine []string
	}{
		{"nobody", func() *consent.Universe { return nil }, nil, nil, nil, nil},
		{"zero", func() *consent.Universe { return &consent.Universe{} }, nil, nil, nil, nil},
		{"denied", func() *consent.Universe { return levels{}.to("p1", "p2") }, nil, nil, []string{"Organization/A/1"}, nil},
		{"one", func() *consent.Universe { return every.to("p1") }, []string{p1}, []string{o1, o4, o12}, []string{"Organization/A/1"}, nil},
		{"two", func() *consent.Universe { return every.to("p2", "p1") }, []string{p1, p2}, []string{o1, o4, o12, o2}, []string{"Organization/A/1"}, nil},
		{"second alone", func() *consent.Universe { return every.to("p2") }, []string{p2}, []string{o2, o12}, []string{"Organization/A/1"}, nil},
		{"unknown", func() *consent.Universe { return every.to("p9") }, nil, nil, []string{"Organization/A/1"}, nil},
		{"basic", func() *consent.Universe { return levels{"p1": consent.Basic}.to("p1") }, []string{"Patient/p1/b1"}, nil, []string{"Organization/A/1"}, nil},
		{"care of A", func() *consent.Universe { return every.through("A") }, []string{p1}, []string{o1, o4, o12}, []string{"Organization/A/1"}, nil},
		{"care of B", func() *consent.Universe { return every.through("B") }, []string{p2}, []string{o2, o12}, []string{"Organization/A/1"}, nil},
		{"care of C", func() *consent.Universe { return every.through("C") }, nil, nil, []string{"Organization/A/1"}, nil},
		{"any", every.any, []string{p1, p2, p3}, []string{o1, o4, o12, o2, o3}, []string{"Organization/A/1"}, nil},
		{"any, one basic", mixed.any, []string{p1, "Patient/p2/b1", p3}, []string{o1, o4, o3}, []string{"Organization/A/1"}, nil},
		{"everything", consent.Everything, []string{p1, p2, p3}, []string{o0, o1, o4, o12, o2, o3}, []string{"Organization/A/1"}, []string{"Medication/m/1"}},
		{"narrowed", func() *consent.Universe { return consent.Everything().Where(isMarked) }, []string{p2}, []string{o2}, nil, nil},
		{"own", func() *consent.Universe { return consent.OfContributor("B") }, nil, []string{o4}, nil, nil},
		{"own of nobody", func() *consent.Universe { return consent.OfContributor("") }, nil, nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			same(t, "patients", sortedCopy(ids(t, st, c.universe, "Patient")), sortedCopy(c.patients))
			same(t, "observations", sortedCopy(ids(t, st, c.universe, "Observation")), sortedCopy(c.observations))
			same(t, "organizations", ids(t, st, c.universe, "Organization"), c.organizations)
			same(t, "medicine", ids(t, st, c.universe, "Medication"), c.medicine)
		})
	}
}

// testCustodian: what the custodian keeps for all is found among however much that
// others contributed, of which nothing is looked at; and of patients there is nothing.
func testCustodian(t *testing.T, st store.Store) {
	common := func(id string) store.Put {
		p := first(shared("Medication"), id, code("x"))
		p.Contributor = ""
		return p
	}
	homeless, patient := first(of("Medication"), "m2", code("x")), first(of("Medication", "p1"), "m3", code("x"))
	homeless.Contributor, patient.Contributor = "", ""
	write(t, st, common("m1"), homeless, patient, first(shared("Medication"), "m4", code("x")))
	asked := func() (n int) {
		u := func() *consent.Universe {
			return consent.OfCustodian().Where(func(consent.Row) bool { n++; return true })
		}
		same(t, "the custodian's", ids(t, st, u, "Medication"), []string{"Medication/m1/1"})
		return n
	}
	few := asked()
	var others []store.Put
	for i := range 300 {
		others = append(others, first(shared("Medication"), "o"+number(i), code("x")))
	}
	write(t, st, others...)
	same(t, "rows asked about", asked(), few)
	s := open(t, st)
	for id, there := range map[string]bool{"m1": true, "m2": false, "m3": false, "m4": false} {
		if _, err := s.Read(t.Context(), consent.OfCustodian(), "Medication", id); (err == nil) != there {
			t.Errorf("read of %s: %v", id, err)
		}
	}
	moved := common("m1")
	moved.Row, moved.Full = of("Medication", "p1"), version("Medication", "m1", "2", 2, code("x"))
	moved.Contributor = ""
	write(t, st, moved, common("m5"))
	same(t, "after one found a patient", ids(t, st, consent.OfCustodian, "Medication"), []string{"Medication/m5/1"})
}

func testAdmissionError(t *testing.T, st store.Store) {
	people(t, st)
	s := open(t, st)
	broken := errors.New("no decision")
	u := func() *consent.Universe {
		return consent.OfPatients([]string{"p1"}, directory, func(context.Context, string) (consent.Decision, error) {
			return consent.Decision{Level: consent.Full}, broken
		})
	}
	if _, err := s.Read(t.Context(), u(), "Patient", "p1"); !errors.Is(err, broken) {
		t.Errorf("read: got %v, want %v", err, broken)
	}
	if page, err := s.Search(t.Context(), u(), query("Patient"), store.PageRequest{Limit: 5}); !errors.Is(err, broken) || len(page.Found) > 0 {
		t.Errorf("search: got %v, %v, want %v", page, err, broken)
	}
	if _, _, _, err := s.History(t.Context(), u(), "Patient", "p1", 5, nil); !errors.Is(err, broken) {
		t.Errorf("history: got %v, want %v", err, broken)
	}
	if _, err := s.Search(t.Context(), u(), query("Organization"), store.PageRequest{Limit: 5}); err != nil {
		t.Errorf("shared rows need no decision: %v", err)
	}
}

// testSeveralOnce: a row of several patients is met under each of them and given
// under one, on every page size.
func testSeveralOnce(t *testing.T, st store.Store) {
	write(t, st,
		first(of("Observation", "p1", "p2", "p3"), "o1", code("x")),
		first(of("Observation", "p2", "p3"), "o2", code("x")),
		first(of("Observation", "p3"), "o3", code("x")),
		first(of("Patient", "p2"), "p2", owner("A")),
		first(of("Patient", "p3"), "p3", owner("A")),
	)
	s := open(t, st)
	every := levels{"p1": consent.Full, "p2": consent.Full, "p3": consent.Full}
	for name, u := range map[string]func() *consent.Universe{
		"listed": func() *consent.Universe { return every.to("p2", "p3") }, "linked": func() *consent.Universe { return every.through("A") },
		"any": every.any, "everything": consent.Everything,
	} {
		for _, q := range []*search.Query{query("Observation"), query("Observation", is("x"))} {
			var got []store.Found
			var after []byte
			for range 5 {
				page, err := s.Search(t.Context(), u(), q, store.PageRequest{Limit: 1, After: after})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got = append(got, page.Found...)
				if after = page.Next; len(after) == 0 {
					break
				}
			}
			same(t, name, sortedCopy(labels(got)), []string{"Observation/o1/1", "Observation/o2/1", "Observation/o3/1"})
		}
	}
}

// testHiddenIsFree: rows that are hidden do not use up a budget or a page.
func testHiddenIsFree(t *testing.T, st store.Store) {
	var puts []store.Put
	for i := range 300 {
		puts = append(puts, first(of("Observation", "hidden"), "h"+number(i), code("x")))
	}
	write(t, st, puts...)
	write(t, st, first(of("Observation", "p1"), "o1", code("x")))
	s := open(t, st)
	l := levels{"p1": consent.Full}
	page, err := s.Search(t.Context(), l.any(), query("Observation", is("x")), store.PageRequest{Limit: 1, Count: true})
	if err != nil {
		t.Fatalf("search: %v", err)
	}
	same(t, "found behind the hidden", labels(page.Found), []string{"Observation/o1/1"})
	same(t, "total", page.Total, 1)
	same(t, "next", page.Next, []byte(nil))
}

// testLabels: a label is the whole of it, whatever bytes it has.
func testLabels(t *testing.T, st store.Store) {
	odd := map[string][]string{
		"empty": {""}, "line": {"http://example.org/labels|a\n" + mark}, "end": {mark + "\n"}, "zero": {"a\x00" + mark}, "two": {"a", mark}, "none": nil,
		"space": {"a " + mark}, "star": {"*"}, "long": {strings.Repeat("x", 4000)},
	}
	want := []string{}
	var puts []store.Put
	for id, l := range odd {
		p := first(of("Observation", "p1"), id)
		p.Labels = l
		puts = append(puts, p)
		if isMarked(p.Row) {
			want = append(want, "Observation/"+id+"/1")
		}
	}
	write(t, st, puts...)
	s := open(t, st)
	for id, l := range odd {
		f, err := s.Read(t.Context(), consent.Everything(), "Observation", id)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		same(t, id, f.Labels, l)
	}
	full := levels{"p1": consent.Full}
	for name, u := range map[string]func() *consent.Universe{
		"everything": consent.Everything, "listed": func() *consent.Universe { return full.to("p1") }, "any": full.any,
		"own": func() *consent.Universe { return consent.OfContributor("A") },
	} {
		same(t, name, sortedCopy(labels(all(t, s, u().Where(isMarked), query("Observation")))), sortedCopy(want))
	}
}
