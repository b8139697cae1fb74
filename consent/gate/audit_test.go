package gate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/consent/plain"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// faulty is a store of which one part can be made to fail.
type faulty struct {
	store.Store
	record, write, ping atomic.Bool
	// deaf is the type whose searches fail.
	deaf atomic.Value
}

var errDown = errors.New("down")

func (f *faulty) Record(ctx context.Context, records ...[]byte) (store.Receipt, error) {
	if f.record.Load() {
		return store.Receipt{}, errDown
	}
	return f.Store.Record(ctx, records...)
}

func (f *faulty) Write(ctx context.Context, do func(store.Tx) error) error {
	if f.write.Load() {
		return errDown
	}
	return f.Store.Write(ctx, do)
}

// Ping makes it a store that may be out of reach.
func (f *faulty) Ping(context.Context) error {
	if f.ping.Load() {
		return errDown
	}
	return nil
}

func (f *faulty) Snapshot(ctx context.Context) (store.Snapshot, error) {
	s, err := f.Store.Snapshot(ctx)
	return &faultySnapshot{s, f}, err
}

type faultySnapshot struct {
	store.Snapshot
	faulty *faulty
}

func (s *faultySnapshot) Search(ctx context.Context, u *consent.Universe, q *search.Query, p store.PageRequest) (store.Page, error) {
	if s.faulty.deaf.Load() == q.Type {
		return store.Page{}, errDown
	}
	return s.Snapshot.Search(ctx, u, q, p)
}

func newFaulty(t *testing.T) (*world, *faulty) {
	t.Helper()
	f := &faulty{}
	w := newClinics(t, func(s store.Store) store.Store {
		f.Store = s
		return f
	})
	return w, f
}

// Scenario 46: what cannot be recorded is not released.
func TestScenario46NothingIsReleasedUnrecorded(t *testing.T) {
	w, f := newFaulty(t)
	w.restrict("p", optOut, closed)
	page := func(*world) (gate.Released, error) {
		return w.gate.Search(w.ctx(), w.request(doctor("A"), "search-type", "Observation"), w.query("Observation", "patient=Patient/q"), "")
	}
	requests := map[string]func(*world) (gate.Released, error){
		"read": func(w *world) (gate.Released, error) { return w.read(doctor("A"), "Observation", "o-q") },
		"vread": func(w *world) (gate.Released, error) {
			return w.gate.Version(w.ctx(), w.request(doctor("A"), "vread", "Observation"), "Observation", "o-q", "1")
		},
		"history": func(w *world) (gate.Released, error) {
			return w.gate.History(w.ctx(), w.request(doctor("A"), "history-instance", "Observation"), "Observation", "o-q", gate.HistoryPage{Count: -1})
		},
		"search": page,
		"everything": func(w *world) (gate.Released, error) {
			return w.gate.Everything(w.ctx(), w.request(doctor("A"), "$everything", "Patient"), "q", gate.EverythingPage{Count: -1})
		},
		"access": func(w *world) (gate.Released, error) {
			return w.gate.Access(w.ctx(), w.request(doctor("A"), "$access", "Patient"), "q")
		},
	}
	for name, do := range requests {
		f.record.Store(false)
		if r, err := do(w); err != nil || !r.Valid() {
			t.Errorf("%s, recorded: %v", name, err)
		}
		f.record.Store(true)
		if r, err := do(w); !errors.Is(err, gate.ErrUnavailable) || r.Valid() || len(r.Items()) != 0 {
			t.Errorf("%s, unrecorded: %d items, %v", name, len(r.Items()), err)
		}
	}
	w.want("a refusal", w.reads(doctor("C"), "Observation", "o-q"), "unavailable")
	f.record.Store(false)
	f.write.Store(true)
	_, err := w.breakGlass(doctor("A"), "p", emergency())
	w.want("breaking the glass", outcome(err), "unavailable")
	f.write.Store(false)
	w.want("the glass is whole", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
}

// TestReadyAsksTheStore: a store that can be read and not written to is no store
// to answer from.
func TestReadyAsksTheStore(t *testing.T) {
	w, f := newFaulty(t)
	if err := w.gate.Ready(w.ctx()); err != nil {
		t.Errorf("in reach: %v", err)
	}
	f.ping.Store(true)
	if err := w.gate.Ready(w.ctx()); !errors.Is(err, gate.ErrUnavailable) {
		t.Errorf("out of reach: got %v, want %v", err, gate.ErrUnavailable)
	}
}

// Scenario 18: Consents that cannot be read count as Basic; other facts end the
// request.
func TestScenario18UnreadableConsentsGiveBasic(t *testing.T) {
	w, f := newFaulty(t)
	f.deaf.Store(fhir.ResourceType("Consent"))
	w.want("down", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "*")
	w.want("basic set", w.sees(doctor("A"), "AllergyIntolerance", "patient=Patient/q"), "a-q*")
	f.deaf.Store(fhir.ResourceType("EpisodeOfCare"))
	w.want("registrations down", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "unavailable")
	f.deaf.Store(fhir.ResourceType(""))
	w.want("up", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	f.deaf.Store(fhir.ResourceType("Basic"))
	w.put("PractitionerRole", "x", `"active":false`)
	w.want("directives kept", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
}

// Scenario 38, in part: directives that cannot be read stop providers.
func TestUnreadableDirectivesStopProviders(t *testing.T) {
	w, f := newFaulty(t)
	f.deaf.Store(fhir.ResourceType("Basic"))
	w.want("provider", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "unavailable")
	w.want("patient", w.sees(person("q"), "Observation", "patient=Patient/q"), "o-q")
}

// Scenario 93: a search that finds three patients is three events.
func TestOneEventPerPatientFound(t *testing.T) {
	w := newClinics(t, nil)
	w.want("search", w.sees(doctor("A"), "Observation", ""), "o-p o-q o-r")
	for _, p := range []string{"p", "q", "r"} {
		if n := len(w.events("subtype=search-type&patient=Patient/" + p)); n != 1 {
			t.Errorf("events about %s: %d", p, n)
		}
	}
}

// Scenarios 95, 97: denials are on record with their reason, and tell nobody.
func TestDenialsAreRecorded(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	insurer := doctor("A")
	insurer.Purpose = consent.Insurance
	for _, try := range []struct {
		answer, want, reason string
	}{
		{w.reads(insurer, "Observation", "o-q"), "403 forbidden-purpose", "purpose-excluded"},
		{w.reads(doctor("C"), "Observation", "o-q"), "not found", consent.ReasonNoRelationship},
		{w.reads(doctor("A"), "Observation", "o-p"), "not found", consent.ReasonRestricted},
		{w.reads(doctor("A"), "Observation", "none"), "not found", consent.ReasonAbsent},
		{w.sees(doctor("C"), "Observation", "patient=Patient/q"), "", consent.ReasonNoRelationship},
	} {
		w.want(try.reason, try.answer, try.want)
		found := false
		for _, e := range w.events("outcome=4") {
			found = found || strings.Contains(e, `"`+try.reason+`"`)
		}
		if !found {
			t.Errorf("no event says %s", try.reason)
		}
	}
}

// Scenarios 85, 86, 96: the history of access is the patient's and the
// regulator's.
func TestAccessHistory(t *testing.T) {
	w := newClinics(t, nil)
	w.want("look", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	own, err := w.search(person("q"), "AuditEvent", "patient=Patient/q")
	if err != nil || len(own.Items()) == 0 {
		t.Fatalf("own: %v", err)
	}
	for _, i := range own.Items() {
		if s := string(i.Resource.JSON); strings.Contains(s, "192.0.2.1") || strings.Contains(s, `"query"`) {
			t.Errorf("the patient's view says too much: %s", s)
		}
	}
	id := own.Items()[0].Resource.ID
	w.want("a provider's search", w.sees(doctor("A"), "AuditEvent", "patient=Patient/q"), "")
	w.want("a provider's read", w.reads(doctor("A"), "AuditEvent", id), "not found")
	w.want("another patient's", w.reads(person("p"), "AuditEvent", id), "not found")
	_, err = w.create(custodian(), "AuditEvent", "")
	w.want("writing one", outcome(err), "method not allowed")
}

// accesses are those a patient is told of, each by itself.
func (w *world) accesses(patient string, page gate.AccessPage) ([]plain.Visit, error) {
	page.Count, page.Each = -1, true
	req := w.request(person(patient), "$access-history", "AuditEvent")
	req.Interaction.Letter = 's'
	r, err := w.gate.AccessHistory(w.ctx(), req, patient, page)
	return r.Visits(), err
}

// deeds counts what is told of: who did what, to what data, and whether in vain.
func (w *world) deeds(patient string) map[string]int {
	w.Helper()
	all, err := w.accesses(patient, gate.AccessPage{})
	if err != nil {
		w.Fatal(explain(err))
	}
	counts := map[string]int{}
	for _, v := range all {
		counts[fmt.Sprint(v.Who.Code(), " ", v.Did, " ", v.Data, " ", v.Refused)]++
	}
	return counts
}

// A decision about the record is told once for each time it was saved, also when
// nothing came of it, and not as an access to a Consent beside it.
func TestADecisionIsToldOnce(t *testing.T) {
	w := newClinics(t, nil)
	before := w.deeds("q")
	id := w.restrict("q", optOut, closed)
	kept := w.reads(person("q"), "Consent", id)
	for range 2 { // the second changes nothing
		if _, err := w.gate.Update(w.ctx(), w.request(person("q"), "update", "Consent"), "Consent", id, w.content(strings.Replace(kept, `"active"`, `"inactive"`, 1)), ""); err != nil {
			t.Fatal(explain(err))
		}
	}
	if err := w.remove(person("q"), "Consent", id); err != nil {
		t.Fatal(explain(err))
	}
	after := w.deeds("q")
	if got := after["you decided [Consent] false"] - before["you decided [Consent] false"]; got != 4 {
		t.Errorf("%d decisions are told, want 4: %v", got, after)
	}
	for deed, n := range after {
		if strings.Contains(deed, "Consent") && !strings.Contains(deed, "decided") && !strings.Contains(deed, "looked") && n != before[deed] {
			t.Errorf("told beside: %s", deed)
		}
	}
	_, err := w.accesses("q", gate.AccessPage{Since: w.now, Until: w.now.Add(-time.Hour)})
	w.want("a period that ends before it begins", outcomeOf(err), "422")
	_, err = w.accesses("p", gate.AccessPage{Since: w.now.Add(-time.Hour), Until: w.now})
	w.want("one that does not", outcomeOf(err), "released")
}

// What the regulator asks for and is never shown is told as an attempt, by a search as
// by a reading; what the regulator may look at is not.
func TestWhatIsClosedToTheRegulatorIsAnAttempt(t *testing.T) {
	w := newClinics(t, nil)
	w.sees(regulator(), "Observation", "patient=Patient/q")
	w.sees(regulator(), "Patient", "_id=q")
	w.reads(regulator(), "Patient", "q")
	w.sees(regulator(), "AuditEvent", "patient=Patient/q")
	w.sees(regulator(), "Task", "patient=Patient/q")
	got := w.deeds("q")
	for deed, want := range map[string]int{
		"ministry looked [Observation] true": 1, "ministry looked [Observation] false": 0,
		"ministry looked [Patient] true": 2, "ministry looked [Patient] false": 0,
		"ministry history [] false": 1, "ministry looked [Task] false": 1,
	} {
		if got[deed] != want {
			t.Errorf("%s: %d, want %d", deed, got[deed], want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// Scenario 99: when the clock jumps, what is closed stays closed, and what was
// opened for a time is not opened for longer.
func TestScenario99TheClockJumps(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	start := w.now
	w.want("restricted", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
	if _, err := w.breakGlass(doctor("A"), "p", emergency()); err != nil {
		t.Fatal(explain(err))
	}
	w.want("opened", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
	for _, jump := range []time.Duration{-time.Second, -time.Hour, -24 * 365 * time.Hour, 5 * time.Hour, 24 * 365 * time.Hour} {
		w.now = start.Add(jump)
		w.want("after a jump of "+jump.String(), w.sees(doctor("A"), "Observation", "patient=Patient/p"), "*")
	}
	w.now = start.Add(time.Hour)
	w.want("back in time", w.sees(doctor("A"), "Observation", "patient=Patient/p"), "o-p")
}
