package gate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// exports is a world of small files with a thousand events in it.
type exports struct {
	*world
}

func newExports(t testing.TB, wrap func(store.Store) store.Store, events int) *exports {
	t.Helper()
	x := &exports{world: newClinics(t, wrap)}
	x.gate = x.another()
	x.happen(events)
	return x
}

// another is a gate on the same store, as another server has it.
func (x *exports) another() *gate.Gate {
	return gate.New(gate.Config{
		BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example", Exports: 2,
		ExportFile: gate.FileSize{Resources: 150}, ExportSettle: 5 * time.Second,
	}, x.tools, x.store)
}

// happen records events of many patients, a few in every millisecond.
func (x *exports) happen(events int) {
	x.Helper()
	for i := range events {
		x.record(x.now.Add(time.Duration(i/3)*time.Millisecond), fmt.Sprintf("p%d", i%7))
	}
	x.now = x.now.Add(time.Duration(events) * time.Millisecond)
}

func (x *exports) record(at time.Time, patient string) {
	x.Helper()
	e := audit.Event{Recorded: at, Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Patient: patient, Level: consent.Full, Site: "s", Observer: "s"}
	for i := range e.ID {
		e.ID[i] = byte(rand.IntN(256)) //nolint:gosec // of a test
	}
	e.ID[6], e.ID[8] = e.ID[6]&0x0f|0x70, e.ID[8]&0x3f|0x80
	if _, err := x.store.Record(x.ctx(), e.AppendBinary(nil)); err != nil {
		x.Fatal(err)
	}
}

func (x *exports) begin(c consent.Caller, e gate.ExportRequest) string {
	x.Helper()
	r, err := x.gate.Export(x.ctx(), x.request(c, "$export", ""), e)
	if err != nil {
		x.Fatalf("export: %s", explain(err))
	}
	x.now = x.now.Add(time.Second)
	return r.Export().ID
}

// work does all work that there is, with the clock at a moment.
func (x *exports) work(at time.Time) {
	x.Helper()
	for more := true; more; {
		var err error
		if more, err = x.gate.WorkExports(x.ctx(), func() time.Time { return at }); err != nil {
			x.Fatal(err)
		}
	}
}

func (x *exports) status(c consent.Caller, id string) (gate.Export, error) {
	r, err := x.gate.ExportStatus(x.ctx(), x.request(c, "$export-status", ""), id)
	return r.Export(), err
}

func (x *exports) file(c consent.Caller, id, name string) *gate.File {
	x.Helper()
	r, err := x.gate.ExportFile(x.ctx(), x.request(c, "$export-file", ""), id, name)
	if err != nil {
		x.Fatalf("file %s: %v", name, err)
	}
	return r.File()
}

func (x *exports) pour(f *gate.File, from, most int64) []byte {
	x.Helper()
	var out bytes.Buffer
	if err := f.Pour(x.ctx(), from, most, func(b []byte) error { out.Write(b); return nil }); err != nil {
		x.Fatal(err)
	}
	return out.Bytes()
}

// contents are the ids in all files, in their order.
func (x *exports) contents(c consent.Caller, id string) (all []string) {
	x.Helper()
	e, err := x.status(c, id)
	if err != nil || !e.Done || e.Failed {
		x.Fatalf("%+v %v", e, err)
	}
	for _, f := range e.Files {
		body := x.pour(x.file(c, id, f.Name), 0, 1<<40)
		if n := bytes.Count(body, []byte("\n")); n != f.Count {
			x.Errorf("file %s: %d lines, and %d are said", f.Name, n, f.Count)
		}
		for line := range strings.Lines(string(body)) {
			all = append(all, idOf(x, line))
		}
	}
	return all
}

func idOf(t testing.TB, line string) string {
	t.Helper()
	_, rest, ok := strings.Cut(line, `"id":"`)
	id, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		t.Fatalf("no id in %q", line)
	}
	return id
}

// expected are the ids of the events up to a moment, as a search finds them.
func (x *exports) expected(query string) (all []string) {
	x.Helper()
	if err := x.store.Settle(x.ctx()); err != nil {
		x.Fatal(err)
	}
	q := x.query("AuditEvent", query)
	cursor := ""
	for {
		r, err := x.gate.Search(x.ctx(), x.request(regulator(), "search-type", "AuditEvent"), q, cursor)
		if err != nil {
			x.Fatal(err)
		}
		all = append(all, strings.Fields(ids(r))...)
		if cursor = r.Next(); cursor == "" {
			return all
		}
	}
}

func (x *exports) states() (keys []string) {
	x.Helper()
	snap, err := x.store.Snapshot(x.ctx())
	if err != nil {
		x.Fatal(err)
	}
	defer snap.Close()
	if err := snap.States(x.ctx(), "export/", "", func(key string, _ []byte, _ time.Time) error {
		keys = append(keys, key)
		return nil
	}); err != nil {
		x.Fatal(err)
	}
	return keys
}

// sameSet compares ids in whatever order, each once.
func sameSet(t testing.TB, what string, got, want []string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(want) == 0 {
		t.Errorf("%s: %d events, want %d", what, len(got), len(want))
	}
}

func all() gate.ExportRequest {
	return gate.ExportRequest{Level: gate.ExportSystem, URL: base + "/$export"}
}

// An export waits, is worked on, can be fetched for a day, and is forgotten.
func TestExportLife(t *testing.T) {
	x := newExports(t, nil, 400)
	begun, moment := x.now, fhir.FormatInstant(x.now)
	id := x.begin(regulator(), all())
	x.work(begun.Add(4 * time.Second))
	if e, err := x.status(regulator(), id); err != nil || e.Done || e.Resources != 0 {
		t.Errorf("while it waits: %+v %v", e, err)
	}
	x.work(begun.Add(6 * time.Second))
	sameSet(t, "exported", x.contents(regulator(), id), x.expected("_count=1000&_lastUpdated=le"+moment))
	if keys := x.states(); len(keys) != 3 {
		t.Errorf("kept of it: %v", keys)
	}
	x.now = begun.Add(24*time.Hour - time.Second)
	if _, err := x.status(regulator(), id); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	x.now = begun.Add(24 * time.Hour)
	if _, err := x.status(regulator(), id); !errors.Is(err, gate.ErrNotFound) {
		t.Errorf("after a day: %v", err)
	}
	if _, err := x.gate.ExportFile(t.Context(), x.request(regulator(), "$export-file", ""), id, "1"); !errors.Is(err, gate.ErrNotFound) {
		t.Errorf("a file after a day: %v", err)
	}
	if err := x.gate.Sweep(t.Context(), x.now); err != nil {
		t.Fatal(err)
	}
	if keys := x.states(); len(keys) != 0 {
		t.Errorf("forgotten, and still there: %v", keys)
	}
}

// What was ended leaves nothing; who has as many as may be waits.
func TestExportsEnd(t *testing.T) {
	x := newExports(t, nil, 400)
	one, two := x.begin(regulator(), all()), x.begin(regulator(), all())
	x.work(x.now.Add(time.Minute))
	three := x.begin(regulator(), all()) // those that are done do not count
	x.begin(regulator(), all())
	if _, err := x.gate.Export(t.Context(), x.request(regulator(), "$export", ""), all()); !errors.Is(err, gate.ErrExports) {
		t.Errorf("the third under way: %v", err)
	}
	for _, id := range []string{one, two, three} {
		if _, err := x.gate.CancelExport(t.Context(), x.request(regulator(), "$export-cancel", ""), id); err != nil {
			t.Errorf("end: %v", err)
		}
		if _, err := x.status(regulator(), id); !errors.Is(err, gate.ErrNotFound) {
			t.Errorf("ended: %v", err)
		}
	}
	if keys := x.states(); len(keys) != 3 { // of the fourth
		t.Errorf("kept: %v", keys)
	}
}

// Two servers on one store do the work between them: each file is made once, and no
// event is missed or comes twice.
func TestTwoServersWorkOnOneExport(t *testing.T) {
	x := newExports(t, nil, 1000)
	moment := fhir.FormatInstant(x.now)
	id := x.begin(regulator(), all())
	at := x.now.Add(time.Minute)
	var both sync.WaitGroup
	for _, g := range []*gate.Gate{x.gate, x.another()} {
		both.Go(func() {
			for range 50 {
				if _, err := g.WorkExports(t.Context(), func() time.Time { return at }); err != nil && !errors.Is(err, gate.ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	x.work(at.Add(time.Minute)) // what a lease kept from both
	sameSet(t, "exported", x.contents(regulator(), id), x.expected("_count=1000&_lastUpdated=le"+moment))
}

// costly is a store whose searches that sort may find 60 rows at most.
type costly struct{ store.Store }

type costlySnapshot struct{ store.Snapshot }

func (c costly) Snapshot(ctx context.Context) (store.Snapshot, error) {
	s, err := c.Store.Snapshot(ctx)
	return costlySnapshot{s}, err
}

func (c costlySnapshot) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	if len(q.Sort) > 0 && p.Limit > 1 {
		counted := *q
		counted.Sort = nil
		page, err := c.Snapshot.Search(ctx, u, &counted, store.PageRequest{Count: true})
		if err != nil || page.Total > 60 {
			return store.Page{}, errors.Join(err, store.ErrTooCostly)
		}
	}
	return c.Snapshot.Search(ctx, u, q, p)
}

// Where a search would look at too much, the export asks for less time at once.
func TestExportGoesInSmallSteps(t *testing.T) {
	x := newExports(t, func(s store.Store) store.Store { return costly{s} }, 200)
	x.now = x.now.Add(90 * 24 * time.Hour) // and then nothing happened for long
	x.happen(100)
	begun := fhir.FormatInstant(x.now)
	id := x.begin(regulator(), all())
	x.work(x.now.Add(time.Minute))
	e, err := x.status(regulator(), id)
	if err != nil || e.Failed || e.Resources < 300 {
		t.Fatalf("%+v %v", e, err)
	}
	plain := &exports{world: x.world}
	plain.store = x.store.(costly).Store
	plain.gate = plain.another()
	sameSet(t, "exported", plain.contents(regulator(), id), plain.expected("_count=1000&_lastUpdated=le"+begun))
}

// An event that was on its way for longer than was waited is in its file and in no
// other, and the file is told to be another.
func TestExportLateEvent(t *testing.T) {
	x := newExports(t, nil, 400)
	early := x.now.Add(-390 * time.Millisecond)
	id := x.begin(regulator(), all())
	x.work(x.now.Add(time.Minute))
	before := x.contents(regulator(), id)
	tag := x.file(regulator(), id, "1").Tag()
	x.record(early, "late")
	if err := x.store.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := x.file(regulator(), id, "1")
	if err := f.Check(t.Context()); err != nil || f.Tag() == tag {
		t.Errorf("the tag is the same; %v", err)
	}
	if body := x.pour(f, 0, 1<<40); !bytes.Contains(body, []byte("Patient/late")) || bytes.Count(body, []byte("\n")) != 151 {
		t.Errorf("the file has %d lines", bytes.Count(body, []byte("\n")))
	}
	rest := x.pour(x.file(regulator(), id, "2"), 0, 1<<40)
	if !strings.Contains(string(rest), before[150]) || bytes.Contains(rest, []byte("Patient/late")) {
		t.Error("the second file is another, too")
	}
}

// Any part of a file is that part of its bytes.
func TestExportParts(t *testing.T) {
	x := newExports(t, nil, 400)
	id := x.begin(regulator(), all())
	x.work(x.now.Add(time.Minute))
	f := x.file(regulator(), id, "1")
	whole := x.pour(f, 0, 1<<40)
	if err := f.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if size, ok := f.Size(); !ok || size != int64(len(whole)) {
		t.Errorf("size %d, and there are %d bytes", size, len(whole))
	}
	draw := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // of a test
	for range 50 {
		from := draw.IntN(len(whole))
		most := 1 + draw.IntN(len(whole)-from+10)
		if got, want := x.pour(f, int64(from), int64(most)), whole[from:min(from+most, len(whole))]; !bytes.Equal(got, want) {
			t.Fatalf("from %d, %d bytes: got %d, want %d", from, most, len(got), len(want))
		}
	}
}

// A client that is suspended in the midst of a file gets no more than the page under
// way.
func TestExportStopsInTheMidst(t *testing.T) {
	x := newExports(t, nil, 2500)
	x.gate = gate.New(gate.Config{BaseURL: base, Site: "nehr.example"}, x.tools, x.store)
	id := x.begin(regulator(), all())
	x.work(x.now.Add(time.Minute))
	f := x.file(regulator(), id, "1")
	lines := 0
	err := f.Pour(t.Context(), 0, 1<<40, func(b []byte) error {
		if lines == 0 {
			x.put("Device", "audit", `"status":"inactive","identifier":[{"system":"`+consent.SystemClient+`","value":"audit"}]`)
		}
		lines += bytes.Count(b, []byte("\n"))
		return nil
	})
	if err == nil || lines == 0 || lines > 1500 {
		t.Errorf("%d of 2,500 events after the client was suspended; %v", lines, err)
	}
	if _, err := x.status(regulator(), id); !errors.Is(err, gate.ErrNotFound) {
		t.Errorf("status: %v", err)
	}
}

// Nothing is handed out without its record.
func TestExportNeedsItsRecord(t *testing.T) {
	x := newExports(t, nil, 200)
	id := x.begin(regulator(), all())
	x.work(x.now.Add(time.Minute))
	deaf := gate.New(gate.Config{BaseURL: base, Site: "nehr.example"}, x.tools, unrecording{x.store})
	for what, get := range map[string]func() (gate.Released, error){
		"kick-off": func() (gate.Released, error) {
			return deaf.Export(t.Context(), x.request(regulator(), "$export", ""), all())
		},
		"status": func() (gate.Released, error) {
			return deaf.ExportStatus(t.Context(), x.request(regulator(), "$export-status", ""), id)
		},
		"file": func() (gate.Released, error) {
			return deaf.ExportFile(t.Context(), x.request(regulator(), "$export-file", ""), id, "1")
		},
	} {
		r, err := get()
		if !errors.Is(err, gate.ErrUnavailable) || r.Valid() || r.File() != nil || r.Export().ID != "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if (gate.Released{}).File() != nil || (gate.Released{}).Export().ID != "" {
		t.Error("the zero value releases something")
	}
}

// unrecorded is a store that takes no records.
type unrecording struct{ store.Store }

var errNoRecord = errors.New("no record")

func (u unrecording) Record(context.Context, ...[]byte) (store.Receipt, error) {
	return store.Receipt{}, errNoRecord
}

func (u unrecording) Write(ctx context.Context, do func(store.Tx) error) error {
	return errors.Join(u.Store.Write(ctx, func(tx store.Tx) error { return errors.Join(do(tx), errNoRecord) }), errNoRecord)
}

// However scopes are worded, a party has as many exports as it may, and each is open by
// the scopes alone by which it was begun.
func TestExportsAreCountedByParty(t *testing.T) {
	x := newExports(t, nil, 1)
	worded := func(n int) consent.Caller {
		c := person("q")
		c.Scopes = smart.ParseScopes(fmt.Sprintf("patient/*.rs patient/Observation.rs?category=c%d", n))
		return c
	}
	own := gate.ExportRequest{Level: gate.ExportPatients}
	id := x.begin(worded(0), own)
	x.begin(worded(1), own)
	if _, err := x.gate.Export(t.Context(), x.request(worded(2), "$export", ""), own); !errors.Is(err, gate.ErrExports) {
		t.Errorf("the third under way: %v", err)
	}
	if _, err := x.status(worded(1), id); !errors.Is(err, gate.ErrNotFound) {
		t.Errorf("by other scopes: %v", err)
	}
	if _, err := x.status(worded(0), id); err != nil {
		t.Errorf("by its own: %v", err)
	}
}

// What an export names is bounded before any of it is looked for.
func TestExportsNameSoMany(t *testing.T) {
	x := newExports(t, nil, 1)
	for want, e := range map[string]gate.ExportRequest{
		"_type":   {Level: gate.ExportPatients, Types: slices.Repeat([]fhir.ResourceType{"Observation"}, 200)},
		"patient": {Level: gate.ExportPatients, Patients: slices.Repeat([]string{"Patient/q"}, 101)},
		"":        {Level: gate.ExportPatients, Types: slices.Repeat([]fhir.ResourceType{"Observation"}, 100), Patients: slices.Repeat([]string{"Patient/q"}, 100)},
	} {
		_, err := x.gate.Export(t.Context(), x.request(person("q"), "$export", ""), e)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(explain(err), want+": there are more") {
			t.Errorf("%q: %s", want, explain(err))
		}
	}
}
