package embedded

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
)

// shape is a search of which the answer is as large in a store of any size.
type shape struct {
	name string
	// query is about a patient of so many.
	query func(patient, patients int) *search.Query
	limit int
	want  int // found
	// patient says that it is about one.
	patient bool
}

// BenchmarkShapes holds searches of many kinds in a store of 10^4 resources
// against the same in one of 10^6: of the custodian, to whom everything is there,
// of somebody for whom every patient is decided, and of who cares for one
// patient. The metric ratio, of the medians, is what should stay below 1.5. It is
// 0.7 to 1.4, and 1.3 to 1.7 for _has, the more, the busier the machine: there the
// rows of the answer lie far apart in the larger store. Only what sorts in a
// universe in which every patient is decided grows: it gathers all matches as long
// as the budget lasts, since the order of postings would lead past what is hidden.
// Totals count two to five million rows a second for the custodian, and one
// million or more where patients are decided.
func BenchmarkShapes(b *testing.B) {
	if testing.Short() {
		b.Skip("fills a store of 10^6 resources")
	}
	small, big := grown(b, 1e2), grown(b, 1e4)
	for _, s := range shapes() {
		for name, u := range map[string]func(string) *consent.Universe{
			"everything": func(string) *consent.Universe { return consent.Everything() }, "any": anyPatient, "one": one,
		} {
			if name == "one" && !s.patient {
				continue
			}
			b.Run(s.name+"/"+name, func(b *testing.B) { s.inTurns(b, small, big, u) })
		}
	}
	b.Run("total", func(b *testing.B) { totals(b, big) })
}

func anyPatient(string) *consent.Universe {
	return consent.OfAnyPatient(nil, func(context.Context, string) (consent.Decision, error) {
		return consent.Decision{Level: consent.Full}, nil
	})
}

func token(p search.Param, value string) search.Clause {
	return search.Clause{Any: []search.Match{{Param: p, Op: search.OpEqual, Key: []byte(value)}}}
}

func ofPatient(n int) search.Clause { return token(grownPatient, "RPatient/p"+strconv.Itoa(n)) }

// between are dates of a patient's observations.
func between(patient, from, to int) search.Clause {
	at := func(i int) uint64 { return uint64(patient*100+i) * 7919 } //nolint:gosec // small
	return search.Clause{Any: []search.Match{{
		Param: grownDate, Op: search.OpRange, Key: []byte("d"),
		Bounds: search.Bounds{LowMin: at(from), LowMax: at(to) - 1, HighMax: math.MaxUint64},
	}}}
}

// since are nearly all dates.
func since() search.Clause { return between(0, 0, 1<<30) }

func asking(clauses ...search.Clause) *search.Query {
	return &search.Query{Type: "Observation", Clauses: clauses, Count: -1}
}

func shapes() []shape {
	newest := []search.SortKey{{Param: grownDate, Range: true, Descending: true}}
	return []shape{
		{"patient+code+date", func(n, _ int) *search.Query { return asking(ofPatient(n), grownCode, between(n, 20, 80)) }, 50, 15, true},
		{"patient+code+since", func(n, _ int) *search.Query { return asking(ofPatient(n), grownCode, since()) }, 50, 25, true},
		{"patient+code+since,sorted", func(n, _ int) *search.Query {
			q := asking(ofPatient(n), grownCode, since())
			q.Sort = newest
			return q
		}, 50, 25, true},
		{"two selective", func(int, int) *search.Query {
			return asking(token(grownRare, "csome"), token(grownRare, "cfew"))
		}, 60, 50, false},
		{"common+rare", func(int, int) *search.Query { return asking(grownCode, token(grownRare, "cfew")) }, 60, 50, false},
		{"common+thousand", func(int, int) *search.Query { return asking(grownCode, token(grownRare, "cmany")) }, 50, 50, false},
		{"chain", func(n, _ int) *search.Query {
			return asking(search.Clause{Via: []search.Join{{
				Param: grownPatient, Type: "Patient", Clauses: []search.Clause{token(grownID, "surn:national\x00"+strconv.Itoa(n))},
			}}})
		}, 50, 50, false},
		{"has", func(int, int) *search.Query {
			return &search.Query{Type: "Patient", Count: -1, Clauses: []search.Clause{{Via: []search.Join{{
				Param: grownPatient, Reverse: true, Type: "Observation", Clauses: []search.Clause{token(grownRare, "cfew")},
			}}}}}
		}, 60, 50, false},
		{"revinclude", func(n, _ int) *search.Query {
			var c search.Clause
			for i := range 50 {
				c.Any = append(c.Any, token(grownEncounter, "REncounter/e"+strconv.Itoa(n)+"-"+strconv.Itoa(i)).Any...)
			}
			return asking(c)
		}, 1000, 50, true},
		{"newest", func(int, int) *search.Query {
			q := asking()
			q.Sort = newest
			return q
		}, 50, 50, false},
		{"code,newest", func(int, int) *search.Query {
			q := asking(grownCode)
			q.Sort = newest
			return q
		}, 50, 50, false},
	}
}

func (s *shape) inTurns(b *testing.B, small, big *grownStore, u func(string) *consent.Universe) {
	b.Helper()
	b.ReportAllocs()
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // not a secret
	var took [2][]time.Duration
	for k := range 20 {
		s.ask(b, small, u, k)
		s.ask(b, big, u, k*97)
	}
	for b.Loop() {
		k := r.IntN(20)
		for i, g := range []*grownStore{small, big} {
			start := time.Now() //nolint:forbidigo // a benchmark
			s.ask(b, g, u, k*[]int{1, 97}[i])
			took[i] = append(took[i], time.Since(start))
		}
	}
	median := func(all []time.Duration) float64 {
		slices.Sort(all)
		return float64(all[len(all)/2].Nanoseconds()) / 1000
	}
	b.ReportMetric(median(took[0]), "µs/small")
	b.ReportMetric(median(took[1]), "µs/big")
	b.ReportMetric(median(took[1])/median(took[0]), "ratio")
}

func (s *shape) ask(b *testing.B, g *grownStore, u func(string) *consent.Universe, patient int) {
	b.Helper()
	v, err := g.Snapshot(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	page, err := v.Search(context.Background(), u("p"+strconv.Itoa(patient)), s.query(patient, g.patients), store.PageRequest{Limit: s.limit})
	if err != nil {
		b.Fatal(s.name, err)
	}
	if _, all := u("p0").Patients(); !all && len(page.Found) != s.want {
		b.Fatal(s.name, len(page.Found), s.want)
	}
	if err := v.Close(); err != nil {
		b.Fatal(err)
	}
}

// totals counts what a quarter of the observations have, and all of them.
func totals(b *testing.B, g *grownStore) {
	b.Helper()
	for name, q := range map[string]*search.Query{
		"type": asking(), "code": asking(grownCode), "codes": asking(grownCode, token(grownFirst+1, "c1")),
		"not": asking(search.Clause{Not: true, Any: grownCode.Any}),
	} {
		for who, u := range map[string]func(string) *consent.Universe{"everything": func(string) *consent.Universe { return consent.Everything() }, "any": anyPatient} {
			b.Run(name+"/"+who, func(b *testing.B) {
				total := 0
				for b.Loop() {
					v, err := g.Snapshot(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					page, err := v.Search(context.Background(), u(""), q, store.PageRequest{Count: true})
					if err != nil {
						b.Skip(err)
					}
					total += page.Total
					if err := v.Close(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}
