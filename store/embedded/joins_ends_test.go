package embedded

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// webs are queries that lead elsewhere in every way.
func webs() map[string]*search.Query {
	person := search.Join{Param: grownPatient, Type: "Patient", Clauses: []search.Clause{{Any: []search.Match{{Param: grownID, Op: search.OpPrefix}}}}}
	rare := search.Join{Param: grownPatient, Reverse: true, Type: "Observation", Clauses: []search.Clause{token(grownRare, "crare")}}
	deep := search.Join{Param: grownPatient, Type: "Patient", Clauses: []search.Clause{{Via: []search.Join{rare}}}}
	via := func(j search.Join) search.Clause { return search.Clause{Via: []search.Join{j}} }
	date := []search.SortKey{{Param: grownDate, Range: true}}
	return map[string]*search.Query{
		"chain":    asking(via(person)),
		"deep":     asking(via(deep), token(100, "c0")),
		"not":      asking(search.Clause{Not: true, Via: []search.Join{deep}}),
		"has":      {Type: "Patient", Clauses: []search.Clause{via(rare)}},
		"has not":  {Type: "Patient", Clauses: []search.Clause{{Not: true, Via: []search.Join{rare}}}},
		"sorted":   {Type: "Observation", Clauses: []search.Clause{via(person)}, Sort: date},
		"group":    asking(search.Clause{All: [][]search.Clause{{via(person), token(grownRare, "crare")}, {token(100, "cx")}}}),
		"read":     asking(search.Clause{Read: []search.Reading{contains("x")}}, via(person)),
		"missing":  asking(search.Clause{Not: true, Any: []search.Match{{Param: grownRare, Op: search.OpPrefix}}}),
		"any five": asking(search.Clause{Any: []search.Match{ofPatient(1).Any[0], ofPatient(2).Any[0], ofPatient(3).Any[0], ofPatient(4).Any[0], ofPatient(5).Any[0]}}),
	}
}

func webRow(patient, i int, rare bool) store.Put {
	p := observation(patient, i)
	if rare {
		p.Full.Entries.Add(grownRare, []byte("crare"))
		p.Full.Entries.Sort()
	}
	return p
}

func anyOf(levels map[string]consent.Level) *consent.Universe {
	return consent.OfAnyPatient(nil, decider(levels))
}

func decider(levels map[string]consent.Level) consent.Decider {
	return func(_ context.Context, patient string) (consent.Decision, error) {
		return consent.Decision{Level: levels[patient]}, nil
	}
}

// TestJoinsOfWhatIsHidden: what is hidden of other patients is not asked about,
// whichever side a join is answered from.
func TestJoinsOfWhatIsHidden(t *testing.T) {
	for name, opt := range map[string]Options{"rows first": {}, "plans": {glance: 1, effort: 4}} {
		t.Run(name, func(t *testing.T) {
			db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
			for p := 1; p <= 2; p++ {
				put(t, db, grownPerson(p))
				for i := range 12 {
					put(t, db, webRow(p, i, i%4 == 0))
				}
			}
			levels := map[string]consent.Level{"p1": consent.Full, "p2": consent.Full}
			ask := func() map[string]int {
				s, err := db.Snapshot(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				asked := map[string]int{}
				for what, q := range webs() {
					for who, u := range map[string]*consent.Universe{
						"one": consent.OfPatients([]string{"p1"}, nil, decider(levels)), "two": consent.OfPatients([]string{"p2", "p1"}, nil, decider(levels)),
						"candidates": consent.OfCandidates(ofPatient(1).Any, nil, decider(levels)),
					} {
						for _, p := range []store.PageRequest{{Limit: 5}, {Limit: 5, Count: true}, {Count: true}} {
							u.Where(func(consent.Row) bool { asked[what+", "+who+strconv.Itoa(p.Limit)]++; return true })
							if _, err := s.Search(t.Context(), u, q, p); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
				return asked
			}
			before := ask()
			for p := 3; p <= 6; p++ {
				put(t, db, grownPerson(p))
				for i := range 40 {
					put(t, db, webRow(p, i, true))
				}
			}
			if d := cmp.Diff(before, ask()); d != "" {
				t.Errorf("rows asked about (-before what is hidden came +after):\n%s", d)
			}
		})
	}
}

var errDecide = errors.New("no decision")

// TestNothingStaysOpen: however a search ends, what it opened is closed; the
// engine says so when it shuts.
func TestNothingStaysOpen(t *testing.T) {
	opt := options(t)
	opt.glance, opt.effort = 1, 2
	for _, budget := range []int{1, 2, 5, 9, 17, 1000} {
		opt.ScanBudget = budget
		db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
		for p := 1; p <= 3; p++ {
			put(t, db, grownPerson(p))
			for i := range 10 {
				put(t, db, webRow(p, i, i == 3))
			}
		}
		s, err := db.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for what, q := range webs() {
			every := map[string]consent.Level{"p1": consent.Full, "p2": consent.Full, "p3": consent.Full}
			for _, u := range []*consent.Universe{
				consent.Everything(), anyOf(every), consent.OfPatients([]string{"p1", "p2"}, nil, decider(every)),
				consent.OfAnyPatient(nil, func(_ context.Context, p string) (consent.Decision, error) {
					if p == "p2" {
						return consent.Decision{}, errDecide
					}
					return consent.Decision{Level: consent.Full}, nil
				}),
			} {
				for _, p := range []store.PageRequest{{Limit: 3}, {Limit: 3, Count: true}, {Count: true}} {
					_, err := s.Search(t.Context(), u, q, p)
					if err != nil && !errors.Is(err, store.ErrTooCostly) && !errors.Is(err, errDecide) {
						t.Errorf("%s: %v", what, err)
					}
				}
			}
		}
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			t.Errorf("budget %d: %v", budget, err)
		}
	}
}

// manyIDs are more than have an iterator each, most of them of nothing.
func manyIDs(ids map[int][]string) (all []search.Match) {
	for n := range 200 {
		e := event(99, byte(n))
		all = append(all, search.IDMatch(formatUUID(e.ID)))
	}
	for _, some := range ids {
		for _, id := range some {
			all = append(all, search.IDMatch(id))
		}
	}
	return all
}

// TestEventsJoin: AuditEvents lead to patients and are led to, though they are
// kept in another form.
func TestEventsJoin(t *testing.T) {
	opt := options(t)
	for _, effort := range []int{0, 2} {
		opt.effort = effort
		db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
		def := opt.Definitions.Resource(string(typeAuditEvent))
		patient, action := search.Param(def.Param("patient").Number), search.Param(def.Param("action").Number)
		ids := map[int][]string{}
		for p := range 6 {
			put(t, db, grownPerson(p))
			for i := range 4 {
				e := event(byte(p), byte(i))
				e.Patient, e.Action = "p"+strconv.Itoa(p), 'R'
				if p%2 == 0 && i == 2 {
					e.Action = 'D'
				}
				ids[p] = append(ids[p], formatUUID(e.ID))
				if _, err := db.Record(t.Context(), e.AppendBinary(nil)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := db.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		deleted := search.Join{Param: patient, Reverse: true, Type: typeAuditEvent, Clauses: []search.Clause{token(action, "cD")}}
		of := func(n int) search.Clause {
			return search.Clause{Via: []search.Join{{Param: patient, Type: "Patient", Clauses: []search.Clause{token(grownID, "surn:national\x00"+strconv.Itoa(n))}}}}
		}
		for name, c := range map[string]struct {
			t       fhir.ResourceType
			clauses []search.Clause
			want    []string
		}{
			"along":       {typeAuditEvent, []search.Clause{of(3)}, ids[3]},
			"against":     {"Patient", []search.Clause{{Via: []search.Join{deleted}}}, []string{"p0", "p2", "p4"}},
			"not against": {"Patient", []search.Clause{{Not: true, Via: []search.Join{deleted}}}, []string{"p1", "p3", "p5"}},
			"there and back": {
				typeAuditEvent,
				[]search.Clause{{Via: []search.Join{{Param: patient, Type: "Patient", Clauses: []search.Clause{{Via: []search.Join{deleted}}}}}}},
				slices.Concat(ids[0], ids[2], ids[4]),
			},
			"from none": {typeAuditEvent, []search.Clause{of(9)}, nil},
			"by ids":    {typeAuditEvent, []search.Clause{{Any: manyIDs(ids)}}, slices.Concat(ids[0], ids[1], ids[2], ids[3], ids[4], ids[5])},
		} {
			s, err := db.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			page, err := s.Search(t.Context(), consent.Everything(), &search.Query{Type: c.t, Clauses: c.clauses}, store.PageRequest{Limit: 50, Count: true})
			if err := errors.Join(err, s.Close()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range page.Found {
				got = append(got, f.ID)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if d := cmp.Diff(c.want, got); d != "" || page.Total != len(c.want) {
				t.Errorf("%s, effort %d: total %d (-want +got):\n%s", name, effort, page.Total, d)
			}
		}
	}
}

// TestJoinsStayWithin: what a patient's record refers to is there for whoever has
// both patients in his universe, and for nobody else, whatever the level.
func TestJoinsStayWithin(t *testing.T) {
	for name, opt := range map[string]Options{"rows first": {}, "plans": {glance: 1, effort: 4}} {
		t.Run(name, func(t *testing.T) {
			db := openIn(t, filepath.Join(t.TempDir(), "store"), opt)
			put(t, db, grownPerson(1))
			put(t, db, grownPerson(2))
			for i := range 3 {
				p := observation(2, i)
				p.Patients = []string{"p1"} // it says p2, and is p1's
				put(t, db, p)
			}
			s, err := db.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			q := asking(search.Clause{Via: []search.Join{{Param: grownPatient, Type: "Patient", Clauses: []search.Clause{token(grownID, "surn:national\x002")}}}})
			back := &search.Query{Type: "Patient", Clauses: []search.Clause{{Via: []search.Join{{Param: grownPatient, Reverse: true, Type: "Observation"}}}}}
			levels := map[string]consent.Level{"p1": consent.Full, "p2": consent.Full}
			for _, c := range []struct {
				patients          []string
				along, referredTo int
			}{
				{[]string{"p1", "p2"}, 3, 1}, {[]string{"p1"}, 0, 0}, {[]string{"p2"}, 0, 0},
			} {
				for q, want := range map[*search.Query]int{q: c.along, back: c.referredTo} {
					page, err := s.Search(t.Context(), consent.OfPatients(c.patients, nil, decider(levels)), q, store.PageRequest{Limit: 10, Count: true})
					if err != nil || len(page.Found) != want || page.Total != want {
						t.Errorf("%v asks for %s: found %d of %d, %v, want %d", c.patients, q.Type, len(page.Found), page.Total, err, want)
					}
				}
			}
		})
	}
}
