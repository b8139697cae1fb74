package gate_test

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/gate"
	"vitrine/store"
)

// BenchmarkExport exports the record of access, 100,000 events or as many as
// VITRINE_EXPORT_EVENTS says, and walks over the same events in the store alone. Of both
// it tells events in a second, and of the export how much the heap had at most.
func BenchmarkExport(b *testing.B) {
	events := 100_000
	if s := os.Getenv("VITRINE_EXPORT_EVENTS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		events = n
	}
	x := &exports{world: newClinics(b, nil)}
	x.gate = gate.New(gate.Config{BaseURL: base, Site: "nehr.example"}, x.tools, x.store)
	x.fillWith(events)
	if err := x.store.Settle(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		began := time.Now() //nolint:forbidigo // of a benchmark
		walked := x.walkStore()
		alone := time.Since(began)

		began = time.Now() //nolint:forbidigo // of a benchmark
		id := x.begin(regulator(), all())
		x.work(x.now.Add(time.Minute))
		planned := time.Since(began)

		began = time.Now() //nolint:forbidigo // of a benchmark
		lines, heap := x.fetch(id)
		fetched := time.Since(began)
		if lines < events || walked < events {
			b.Fatalf("exported %d and walked over %d of %d", lines, walked, events)
		}
		b.ReportMetric(float64(walked)/alone.Seconds(), "walked/s")
		b.ReportMetric(float64(lines)/planned.Seconds(), "planned/s")
		b.ReportMetric(float64(lines)/fetched.Seconds(), "exported/s")
		b.ReportMetric(alone.Seconds()/fetched.Seconds(), "exported/walked")
		b.ReportMetric(float64(heap)/(1<<20), "MiB-at-most")
	}
}

// fillWith records many events at once, of ten thousand patients.
func (x *exports) fillWith(events int) {
	x.Helper()
	for done := 0; done < events; {
		var records [][]byte
		for ; len(records) < 1000 && done < events; done++ {
			e := audit.Event{
				Recorded: x.now.Add(time.Duration(done) * time.Millisecond), Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead,
				Patient: "p" + strconv.Itoa(done%10_000), Level: consent.Full, Site: "s", Observer: "s", RequestID: "r" + strconv.Itoa(done),
				Agent:    audit.Agent{Kind: consent.Practitioner, Issuer: base, Subject: "s" + strconv.Itoa(done%500), Client: "emr", User: "PractitionerRole/A1", Organization: "A", Purpose: consent.Treatment},
				Entities: []string{"Observation/o" + strconv.Itoa(done) + "/_history/1"},
			}
			for i := range 8 {
				e.ID[i], e.ID[15-i] = byte(done>>(8*i)), byte(i)
			}
			e.ID[6], e.ID[8] = 0x70, 0x80
			records = append(records, e.AppendBinary(nil))
		}
		if _, err := x.store.Record(x.ctx(), records...); err != nil {
			x.Fatal(err)
		}
	}
	x.now = x.now.Add(time.Duration(events) * time.Millisecond)
}

// walkStore reads every event in the order of time, from the store itself.
func (x *exports) walkStore() (n int) {
	x.Helper()
	q := x.query("AuditEvent", "_sort=_lastUpdated&_lastUpdated=ge2020")
	var after []byte
	for {
		snap, err := x.store.Snapshot(x.ctx())
		if err != nil {
			x.Fatal(err)
		}
		page, err := snap.Search(x.ctx(), consent.Everything(), q, store.PageRequest{Limit: 1000, After: after})
		if err != nil {
			x.Fatal(err)
		}
		if err := snap.Close(); err != nil {
			x.Fatal(err)
		}
		n += len(page.Found)
		if after = page.Next; len(after) == 0 {
			return n
		}
	}
}

// fetch pours all files into nothing.
func (x *exports) fetch(id string) (lines int, heap uint64) {
	x.Helper()
	e, err := x.status(regulator(), id)
	if err != nil {
		x.Fatal(err)
	}
	var m runtime.MemStats
	for _, f := range e.Files {
		file, parts := x.file(regulator(), id, f.Name), 0
		err := file.Pour(x.ctx(), 0, 1<<40, func([]byte) error {
			if parts++; parts%32 == 0 {
				runtime.ReadMemStats(&m)
				heap = max(heap, m.HeapAlloc)
			}
			return nil
		})
		if err != nil {
			x.Fatal(err)
		}
		lines += f.Count
	}
	return lines, heap
}
