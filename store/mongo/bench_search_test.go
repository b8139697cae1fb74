package mongo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// BenchmarkSearches asks for pages of one patient, and of all, in turns with the
// plainest: a page of one patient's Observations of a code. The metric ratio is of
// the medians to that of the plainest.
func BenchmarkSearches(b *testing.B) {
	m := newMaker(b)
	db := salted(b, Options{Indexer: m.indexer, Definitions: m.defs})
	w := grown(b, m, db)
	p := w.patients[0]
	one := func() *consent.Universe { return consent.OfPatients([]string{p}, directory, full) }
	few := func() *consent.Universe { return consent.OfPatients(w.patients[:64], directory, full) }
	const height = "http://loinc.org|8302-2"
	plainest := m.parse("Observation", "patient=Patient/"+p+"&code="+height)
	page := store.PageRequest{Limit: 50}
	for _, c := range []struct {
		name  string
		u     func() *consent.Universe
		typ   fhir.ResourceType
		query string
		page  store.PageRequest
	}{
		{"page", one, "Observation", "patient=Patient/" + p, page},
		{"chain", one, "Observation", "subject:Patient._id=" + p + "&code=" + height, page},
		{"chain of the custodian", consent.Everything, "Observation", "subject:Patient._id=" + p + "&code=" + height, page},
		{"chain of 64", few, "Observation", "subject:Patient._id=" + p + "&code=" + height, page},
		{"has", one, "Patient", "_has:Observation:patient:code=" + height, page},
		{"has of the custodian", consent.Everything, "Patient", "_has:Observation:patient:code=" + height + "&_id=" + p, page},
		{"has of all", consent.Everything, "Patient", "_has:Observation:patient:code=" + height, page},
		{"revinclude", one, "Observation", "encounter=" + strings.Join(w.visits, ","), page},
		{"revinclude of the custodian", consent.Everything, "Observation", "encounter=" + strings.Join(w.visits, ","), page},
		{"not", one, "Observation", "patient=Patient/" + p + "&code:not=" + height, page},
		{"sort", one, "Observation", "patient=Patient/" + p + "&_sort=-date", page},
		{"count", consent.Everything, "Observation", "category=laboratory", store.PageRequest{Count: true}},
		{"count of 64", few, "Observation", "category=laboratory", store.PageRequest{Count: true}},
		{"count of what is not", consent.Everything, "Observation", "category:not=laboratory", store.PageRequest{Count: true}},
	} {
		q := m.parse(c.typ, c.query)
		b.Run(c.name, func(b *testing.B) {
			var plain, other []time.Duration
			found := 0
			for b.Loop() {
				d, _ := timed(b, db, one(), plainest, page)
				plain = append(plain, d)
				d, found = timed(b, db, c.u(), q, c.page)
				other = append(other, d)
			}
			slices.Sort(plain)
			slices.Sort(other)
			n := len(plain) / 2
			b.ReportMetric(float64(other[n])/float64(plain[n]), "ratio")
			b.ReportMetric(float64(plain[n].Microseconds()), "µs/plain")
			b.ReportMetric(float64(found), "found")
			if c.page.Count {
				b.ReportMetric(float64(found)/other[n].Seconds(), "rows/s")
			}
		})
	}
}

// grown is a world with more copies of the records.
func grown(b *testing.B, m *maker, db *DB) *world {
	b.Helper()
	w := &world{m: m, db: db}
	const copies = 8
	for copied := range copies {
		for _, s := range m.sheets() {
			puts := m.puts(s, copied)
			w.patients = append(w.patients, s.patient[:len(s.patient)-3]+fmt.Sprintf("%03x", copied))
			put(b, db, puts)
			for _, p := range puts {
				if p.Type == "Encounter" && p.Patients[0] == w.patients[0] && len(w.visits) < 50 {
					w.visits = append(w.visits, "Encounter/"+p.ID)
				}
			}
		}
	}
	return w
}

// timed is how long the search alone takes, and what it finds.
func timed(b *testing.B, db *DB, u *consent.Universe, q *search.Query, p store.PageRequest) (took time.Duration, found int) {
	b.Helper()
	look(b, db, func(s store.Snapshot) error {
		start := time.Now() //nolint:forbidigo // a benchmark
		page, err := s.Search(context.Background(), u, q, p)
		took, found = time.Since(start), max(page.Total, len(page.Found))
		return err
	})
	return took, found
}
