package mongo

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	driverevent "go.mongodb.org/mongo-driver/v2/event"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/embedded"
)

// journeys counts what a store asks the servers, and how long it waits for them.
type journeys struct {
	mu    sync.Mutex
	count int
	took  map[string]time.Duration
}

func (j *journeys) monitor() *driverevent.CommandMonitor {
	return &driverevent.CommandMonitor{Succeeded: func(_ context.Context, e *driverevent.CommandSucceededEvent) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.count++
		if j.took == nil {
			j.took = map[string]time.Duration{}
		}
		j.took[e.CommandName] += e.Duration
	}}
}

// both are an embedded store and one in MongoDB with the same in them.
type both struct {
	embedded, mongo store.Store
	journeys        *journeys
	m               *maker
	patients        []string
	queries         []*search.Query // for all Observations, one for each patient
	ids             []string        // of Observations, one for each patient
	models          []store.Put     // one of them for each
	accesses        [][]byte
}

func newBoth(b *testing.B) *both {
	b.Helper()
	w := &both{m: newMaker(b), journeys: &journeys{}}
	e, err := embedded.Open(filepath.Join(b.TempDir(), "store"), embedded.Options{Indexer: w.m.indexer, Definitions: w.m.defs})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	w.embedded = e
	w.mongo = salted(b, Options{Indexer: w.m.indexer, Definitions: w.m.defs, monitor: w.journeys.monitor()})
	sheets := w.m.sheets()
	for copied := range worldCopies {
		for _, s := range sheets {
			puts := w.m.puts(s, copied)
			i := slices.IndexFunc(puts, func(p store.Put) bool { return p.Type == "Observation" })
			w.patients, w.ids = append(w.patients, puts[i].Patients[0]), append(w.ids, puts[i].ID)
			w.models = append(w.models, puts[i])
			w.queries = append(w.queries, w.m.parse("Observation", "patient=Patient/"+puts[i].Patients[0]))
			put(b, w.embedded, puts)
			put(b, w.mongo, puts)
		}
	}
	w.accesses = accesses(w.patients, 1)
	return w
}

// BenchmarkBoth does the same work on both stores, in turns. The metric ratio is
// of the medians; journeys is how often an operation went to the servers, and
// waited and committing the shares of its time that it waited for them and for a
// commit.
func BenchmarkBoth(b *testing.B) {
	w := newBoth(b)
	for name, do := range map[string]func(*testing.B, store.Store, int){
		"snapshot": func(b *testing.B, st store.Store, _ int) { look(b, st, func(store.Snapshot) error { return nil }) },
		"read":     w.read,
		"page":     w.page,
		"write":    func(b *testing.B, st store.Store, i int) { put(b, st, w.fresh(i, 1)) },
		"write100": func(b *testing.B, st store.Store, i int) { put(b, st, w.fresh(i, 100)) },
		"update":   func(b *testing.B, st store.Store, i int) { put(b, st, w.fresh(i%4, 1)) },
		"record":   w.record,
		"record64": func(b *testing.B, st store.Store, _ int) { at64(func(n int) { w.record(b, st, n) }) },
		"read64":   func(b *testing.B, st store.Store, i int) { at64(func(n int) { w.reads(b, st, i*64+n) }) },
		"write64":  func(b *testing.B, st store.Store, i int) { at64(func(n int) { put(b, st, w.fresh(i*64+n, 1)) }) },
	} {
		b.Run(name, func(b *testing.B) { w.inTurns(b, do) })
	}
}

func (w *both) inTurns(b *testing.B, do func(*testing.B, store.Store, int)) {
	b.Helper()
	const most = 1 << 12
	var took [2][]time.Duration
	for i := range 3 { // connections are made
		do(b, w.embedded, most+i)
		do(b, w.mongo, most+i)
	}
	*w.journeys = journeys{}
	for i := 0; b.Loop(); i++ {
		for n, st := range []store.Store{w.embedded, w.mongo} {
			start := time.Now() //nolint:forbidigo // a benchmark
			do(b, st, i)
			took[n] = append(took[n], time.Since(start))
		}
	}
	var all, waited time.Duration
	for _, d := range took[1] {
		all += d
	}
	for _, d := range w.journeys.took {
		waited += d
	}
	share := func(d time.Duration) float64 { return float64(d) / float64(all) }
	median := func(all []time.Duration) float64 {
		slices.Sort(all)
		return float64(all[len(all)/2].Nanoseconds()) / 1000
	}
	e, m := median(took[0]), median(took[1])
	b.ReportMetric(e, "µs/embedded")
	b.ReportMetric(m, "µs/mongo")
	b.ReportMetric(m/e, "ratio")
	b.ReportMetric(float64(w.journeys.count)/float64(b.N), "journeys")
	b.ReportMetric(share(waited), "waited")
	b.ReportMetric(share(w.journeys.took["commitTransaction"]), "committing")
}

func look(b *testing.B, st store.Store, use func(store.Snapshot) error) {
	b.Helper()
	s, err := st.Snapshot(context.Background())
	if err != nil {
		b.Error(err)
		return
	}
	if err := use(s); err != nil {
		b.Error(err)
	}
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}

func (w *both) of(i int) (u *consent.Universe, id string) {
	n := i % len(w.patients)
	return consent.OfPatients([]string{w.patients[n]}, directory, full), w.ids[n]
}

func (w *both) read(b *testing.B, st store.Store, i int) {
	u, id := w.of(i)
	look(b, st, func(s store.Snapshot) error {
		_, err := s.Read(context.Background(), u, "Observation", id)
		return err
	})
}

// reads are a few, one after the other.
func (w *both) reads(b *testing.B, st store.Store, i int) {
	b.Helper()
	for n := range 8 {
		w.read(b, st, i+n)
	}
}

func (w *both) page(b *testing.B, st store.Store, i int) {
	u, _ := w.of(i)
	q := w.queries[i%len(w.queries)]
	look(b, st, func(s store.Snapshot) error {
		_, err := s.Search(context.Background(), u, q, store.PageRequest{Limit: 50})
		return err
	})
}

// fresh are resources of a patient that are not there yet, unless i was before.
func (w *both) fresh(i, count int) []store.Put {
	all := make([]store.Put, count)
	for n := range all {
		all[n] = w.models[i%len(w.models)]
		all[n].ID = fmt.Sprintf("%s-%d-%d-%d", all[n].ID, count, i, n)
	}
	return all
}

// record records a few accesses, one after the other.
func (w *both) record(b *testing.B, st store.Store, i int) {
	b.Helper()
	for range 8 {
		if r, err := st.Record(context.Background(), w.accesses[i%len(w.accesses)]); err != nil || !r.Valid() {
			b.Error(err)
		}
	}
}

func at64(do func(n int)) {
	var all sync.WaitGroup
	for n := range 64 {
		all.Go(func() { do(n) })
	}
	all.Wait()
}
