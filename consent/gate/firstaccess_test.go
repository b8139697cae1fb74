package gate_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/gate"
	"vitrine/fhir/smart"
	"vitrine/store"
	"vitrine/store/mongo/mongotest"
)

// meeting is the clinics' world, in which what was on record is the past.
func meeting(t *testing.T, wrap func(store.Store) store.Store) *world {
	t.Helper()
	w := newClinics(t, wrap)
	w.tellsFirst()
	return w
}

// tellsFirst tells who looked for the first time, so far.
func (w *world) tellsFirst() {
	w.Helper()
	if err := w.gate.TellFirstAccesses(w.ctx(), w.now); err != nil {
		w.Fatal(explain(err))
	}
}

// looks is a look of somebody at what the patient has of a type.
func (w *world) looks(c consent.Caller, patient string) string {
	w.Helper()
	return w.sees(c, "Observation", "patient=Patient/"+patient)
}

// notices are what the patient has been told, as "sender: text", sorted.
func (w *world) notices(patient string) []string {
	w.Helper()
	r, err := w.search(person(patient), "Communication", "patient=Patient/"+patient+"&_count=1000")
	if err != nil {
		w.Fatal(explain(err))
	}
	out := []string{}
	for _, i := range r.Items() {
		t := w.content(string(i.Resource.JSON)).Tape
		out = append(out, t.Text(t.Field(t.Field(t.Root(), "sender"), "reference"))+": "+t.Text(t.Field(t.First(t.Field(t.Root(), "payload")), "contentString")))
	}
	slices.Sort(out)
	return out
}

func (w *world) noticed(what, patient string, want ...string) {
	w.Helper()
	if diff := cmp.Diff(append([]string{}, want...), w.notices(patient)); diff != "" {
		w.Errorf("%s: what %s was told (-want +got):\n%s", what, patient, diff)
	}
}

const (
	firstOfA = "Organization/A: Clinic looked at your record for the first time on 1 September 2026."
	firstOfB = "Organization/B: Clinic looked at your record for the first time on 1 September 2026."
	ofGlass  = "Organization/A: Your record was opened in an emergency. The access is being reviewed."
)

// TestFirstAccess: an organisation is told of once to each patient, whoever of it
// looks; those who are no provider's, or see nothing, are not told of.
func TestFirstAccess(t *testing.T) {
	w := meeting(t, nil)
	w.put("RelatedPerson", "d", `"active":true,"patient":{"reference":"Patient/p"},`+authority("family"))
	relative := consent.Caller{
		Kind: consent.Representative, ByHand: true, Issuer: base, Subject: "d", Client: "app", User: "RelatedPerson/d", Patient: "p",
		Purpose: consent.FamilyRequest, Scopes: smart.ParseScopes("patient/*.rs"),
	}
	_, _ = w.looks(person("p"), "p"), w.looks(relative, "p")
	_, _, _ = w.looks(regulator(), "p"), w.looks(custodian(), "p"), w.events("patient=Patient/p")
	w.want("no care", w.looks(doctor("C"), "p"), "")
	w.want("a patient of nobody's", w.reads(doctor("C"), "Patient", "p"), "not found")
	w.want("who looked", w.sees(doctor("B"), "AuditEvent", "patient=Patient/p"), "")
	if _, err := w.create(system("B"), "Observation", observation("Patient/p")); err != nil {
		t.Fatal(explain(err))
	}
	if _, err := w.gate.Access(w.ctx(), w.request(doctor("B"), "$access", "Patient"), "p"); err != nil {
		t.Fatal(explain(err))
	}
	w.tellsFirst()
	w.noticed("of nobody", "p")

	w.now = w.now.Add(6*time.Hour - time.Second) // it is September still in Singapore
	_, _ = w.looks(doctor("A"), "p"), w.looks(doctor("A"), "p")
	w.noticed("before it is looked for", "p")
	w.tellsFirst()
	w.noticed("the first time", "p", firstOfA)
	w.now = w.now.Add(48 * time.Hour)
	w.looks(doctor("A"), "p")
	w.tellsFirst()
	w.tellsFirst()
	w.noticed("the second time", "p", firstOfA)
	w.noticed("the other patient", "q")
	_, _ = w.looks(doctor("B"), "p"), w.looks(doctor("A"), "q")
	w.tellsFirst()
	w.noticed("another organisation", "p", firstOfA, strings.Replace(firstOfB, "1 Sep", "3 Sep", 1))
	w.noticed("another patient", "q", strings.Replace(firstOfA, "1 Sep", "3 Sep", 1))
	for _, c := range []consent.Caller{doctor("A"), doctor("B")} {
		w.want("providers", w.sees(c, "Communication", ""), "")
	}
	w.want("the regulator", fmt.Sprint(len(strings.Fields(w.sees(regulator(), "Communication", "")))), "3")
}

// TestFirstAccessOfTheBasicSet: whoever sees no more than that has read something.
func TestFirstAccessOfTheBasicSet(t *testing.T) {
	w := meeting(t, nil)
	w.restrict("p", optOut, closed)
	w.sees(doctor("A"), "AllergyIntolerance", "patient=Patient/p")
	w.tellsFirst()
	w.noticed("of the basic set", "p", firstOfA)
}

// TestFirstAccessAndBrokenGlass: of an organisation that broke the glass the patient
// was told already.
func TestFirstAccessAndBrokenGlass(t *testing.T) {
	w := meeting(t, nil)
	w.restrict("p", optOut, closed)
	for _, p := range []string{"p", "q"} { // the glass of q hid nothing
		if _, err := w.breakGlass(doctor("A"), p, emergency()); err != nil {
			t.Fatal(explain(err))
		}
		w.looks(doctor("A"), p)
		w.looks(doctor("B"), p)
	}
	w.tellsFirst()
	w.noticed("a restricted patient", "p", ofGlass, firstOfB)
	w.noticed("an unrestricted patient", "q", ofGlass, firstOfB)
	if err := w.stop(doctor("A"), "q"); err != nil {
		t.Fatal(explain(err))
	}
	w.looks(doctor("A"), "q")
	w.tellsFirst()
	w.noticed("afterwards", "q", ofGlass, firstOfB)
}

// TestFirstAccessOfACluster: patients are told of the public cluster, and once.
func TestFirstAccessOfACluster(t *testing.T) {
	w := meeting(t, nil)
	w.gate = gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example", Notifies: true, Clusters: []string{"east"}}, w.tools, w.store)
	w.put("Organization", "east", `"active":true,"name":"East"`)
	for _, o := range []string{"A", "B"} {
		w.put("Organization", o, `"active":true,"name":"Clinic","partOf":{"reference":"Organization/east"}`)
	}
	w.looks(doctor("A"), "p")
	w.looks(doctor("B"), "p")
	w.tellsFirst()
	const east = "Organization/east: East looked at your record for the first time on 1 September 2026."
	w.noticed("of two in one", "p", east)
	w.breaks("q")
	w.tellsFirst()
	w.noticed("of broken glass", "q", strings.Replace(ofGlass, "/A", "/east", 1))
	r := &receiver{}
	w.deliver(w.gate, r)
	var got []string
	for _, n := range r.got {
		got = append(got, n.Patient+" "+n.Organization+" "+n.Kind)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"Patient/p Organization/east first-access", "Patient/q Organization/east emergency-access"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestFirstAccessIsToldAsRecorded: under the public cluster that was recorded with it,
// whatever the directory or the setting says when it is told. Where none was recorded
// it is told as the access history tells it, under the cluster of now.
func TestFirstAccessIsToldAsRecorded(t *testing.T) {
	const ofK, leftA = "Organization/K: Eastern Cluster", "Organization/A: Institute of Mental Health"
	alone := func(w *world) { w.put("Organization", "A", `"active":true,"name":"Institute of Mental Health"`) }
	part := func(w *world) {
		w.put("Organization", "A", `"active":true,"name":"Institute of Mental Health","partOf":{"reference":"Organization/K"}`)
	}
	without := func(w *world) { w.gate = w.clustered() }
	with := func(w *world) { w.gate = w.clustered("K") }
	for _, row := range []struct {
		what          string
		before, after func(*world)
		want          string
	}{
		{"it leaves the cluster", part, alone, ofK},
		{"the setting goes", with, without, ofK},
		{"the setting comes", without, with, ofK},
		{"it joins the cluster", alone, part, ofK},
		{"there is no setting", without, without, leftA},
		{"there is no cluster", alone, alone, leftA},
	} {
		w := newCluster(t)
		w.tellsFirst()
		row.before(w)
		w.looks(doctor("A"), "p")
		row.after(w)
		w.tellsFirst()
		w.noticed(row.what, "p", row.want+" looked at your record for the first time on 1 September 2026.")
	}
}

// TestAClusterThatWasMetIsNotNew: also where it was met under what was recorded.
func TestAClusterThatWasMetIsNotNew(t *testing.T) {
	w := newCluster(t)
	w.tellsFirst()
	_, _ = w.looks(doctor("A"), "p"), w.looks(doctor("B"), "p")
	w.put("Organization", "A", `"active":true,"name":"Institute of Mental Health"`)
	w.tellsFirst()
	w.noticed("two of one cluster, of which one left", "p", "Organization/K: Eastern Cluster looked at your record for the first time on 1 September 2026.")
}

// TestFirstAccessLeavesByTheOutbox: in order with the others, and it is on record.
func TestFirstAccessLeavesByTheOutbox(t *testing.T) {
	w := notifying(t)
	w.tellsFirst()
	w.looks(doctor("B"), "p")
	w.tellsFirst()
	w.breaks("p")
	r := &receiver{}
	w.deliver(w.gate, r)
	var got []string
	for _, n := range r.got {
		got = append(got, fmt.Sprint(n.Sequence, " ", n.Kind, " ", n.Organization))
		w.want("its Communication", fmt.Sprint(len(w.events("subtype=notice&entity="+n.Communication))), "1")
	}
	if diff := cmp.Diff([]string{"1 first-access Organization/B", "2 emergency-access Organization/A"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestFirstAccessOfThePast: what was on record when it was looked through for the
// first time makes known and is not told.
func TestFirstAccessOfThePast(t *testing.T) {
	w := newClinics(t, nil)
	w.looks(doctor("A"), "p")
	w.tellsFirst()
	_, _ = w.looks(doctor("A"), "p"), w.looks(doctor("B"), "p")
	w.tellsFirst()
	w.noticed("known from before", "p", firstOfB)
}

// TestFirstAccessOutlivesTheRecord: an organisation does not become new when what it
// read is put away; of a past that was put away nothing is known.
func TestFirstAccessOutlivesTheRecord(t *testing.T) {
	putAway := func(w *world) {
		archive, _ := w.store.(store.Archive)
		size, err := archive.Grow(w.ctx())
		if err == nil {
			err = archive.PutAway(w.ctx(), size)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.gate = gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example"}, w.tools, w.store)
	}
	w := meeting(t, nil)
	w.looks(doctor("A"), "p")
	w.tellsFirst()
	putAway(w)
	w.looks(doctor("A"), "p")
	w.tellsFirst()
	w.noticed("put away since", "p", firstOfA)

	w = newClinics(t, nil)
	w.looks(doctor("A"), "p")
	putAway(w)
	w.tellsFirst()
	w.looks(doctor("A"), "p")
	w.tellsFirst()
	w.noticed("put away before", "p", firstOfA)
}

// TestFirstAccessesFail: a round that fails tells nothing by halves, and what it did
// not tell the next one tells, once. So it is when what was kept is not known.
func TestFirstAccessesFail(t *testing.T) {
	for _, row := range []struct {
		at   peril
		then []string
	}{{beforeWrite, nil}, {withinWrite, nil}, {afterWrite, []string{firstOfA, firstOfB}}} {
		p := &perilous{slow: func() {}}
		w := meeting(t, func(s store.Store) store.Store {
			p.Store = s
			return p
		})
		_, _ = w.looks(doctor("A"), "p"), w.looks(doctor("B"), "p")
		p.at.Store(int32(row.at))
		if err := w.gate.TellFirstAccesses(w.ctx(), w.now); err == nil {
			t.Errorf("peril %d: it did not fail", row.at)
		}
		p.at.Store(int32(safe))
		w.noticed(fmt.Sprint("after peril ", row.at), "p", row.then...)
		w.tellsFirst()
		w.noticed(fmt.Sprint("the next round, after peril ", row.at), "p", firstOfA, firstOfB)
	}
}

// TestFirstAccessesEndWithTheContext: what is given up is taken up again.
func TestFirstAccessesEndWithTheContext(t *testing.T) {
	w := meeting(t, nil)
	w.looks(doctor("A"), "p")
	ctx, cancel := context.WithCancel(w.ctx())
	cancel()
	if err := w.gate.TellFirstAccesses(ctx, w.now); err == nil {
		t.Error("it went on")
	}
	w.noticed("given up", "p")
	w.tellsFirst()
	w.noticed("taken up", "p", firstOfA)
}

// TestFirstAccessesAreNotToldTwice: not when another server tells them between the
// look and the commit, nor when somebody puts back how far one has come.
func TestFirstAccessesAreNotToldTwice(t *testing.T) {
	b := &before{}
	w := meeting(t, func(s store.Store) store.Store {
		b.Store = s
		return b
	})
	other := gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example"}, w.tools, w.store)
	_, _ = w.looks(doctor("A"), "p"), w.looks(doctor("B"), "p")
	b.happens = func() {
		if err := other.TellFirstAccesses(w.ctx(), w.now); err != nil {
			t.Error(explain(err))
		}
	}
	w.tellsFirst()
	w.noticed("two servers", "p", firstOfA, firstOfB)
	if err := w.store.Write(w.ctx(), func(tx store.Tx) error {
		return tx.SetState("notice/seen", []byte(`{"next":0,"since":0}`), time.Time{})
	}); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*gate.Gate{w.gate, gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example"}, w.tools, w.store)} {
		w.gate = g
		w.tellsFirst()
	}
	w.noticed("put back", "p", firstOfA, firstOfB)
}

// disclosed is the record of the so-manieth access, of an organisation's doctor.
func disclosed(n int, patient, organization string, at time.Time) []byte {
	e := audit.Event{
		ID: [16]byte{1, byte(n >> 16), byte(n >> 8), byte(n)}, Recorded: at, Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Patient: patient, Level: consent.Full,
		Agent: audit.Agent{Kind: consent.Practitioner, Organization: organization},
	}
	return e.AppendBinary(nil)
}

// commits counts the writes to a store.
type commits struct {
	store.Store
	n int
}

func (c *commits) Write(ctx context.Context, do func(store.Tx) error) error {
	c.n++
	return c.Store.Write(ctx, do)
}

// TestFirstAccessesInABurst: many are told in many small commits, and none is lost
// where one ends; what was met before is passed by in large steps.
func TestFirstAccessesInABurst(t *testing.T) {
	c := &commits{}
	w := meeting(t, func(s store.Store) store.Store {
		c.Store = s
		return c
	})
	const organizations, repeated = 130, 9000
	var records [][]byte
	for i := range organizations {
		records = append(records, disclosed(i, "p", fmt.Sprintf("o%d", i), w.now))
	}
	for i := range repeated {
		records = append(records, disclosed(organizations+i, "p", fmt.Sprintf("o%d", i%organizations), w.now))
	}
	records = append(records, disclosed(1<<20, "p", "not an id", w.now), disclosed(1<<20+1, "p", "last", w.now))
	if _, err := w.store.Record(w.ctx(), records...); err != nil {
		t.Fatal(err)
	}
	c.n = 0
	w.tellsFirst()
	told := w.notices("p")
	if len(told) != organizations+1 || len(slices.Compact(told)) != organizations+1 || !strings.HasPrefix(told[0], "Organization/last: An organisation that is not named looked at") {
		t.Errorf("%d are told: %s", len(told), told)
	}
	if c.n < organizations/20 || c.n > 12 {
		t.Errorf("%d commits", c.n)
	}
}

// TestFirstAccessesOfServers: several servers, all at once. VITRINE_DEATHS asks for
// the other store as well.
func TestFirstAccessesOfServers(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"embedded": func(*testing.T) string { return "" },
		"MongoDB":  func(t *testing.T) string { t.Helper(); return mongotest.Database(t) },
	} {
		if name == "MongoDB" && os.Getenv("VITRINE_DEATHS") == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, opener(t, t.TempDir(), database(t)), nil)
			w.tellsFirst()
			const organizations = 50
			var records [][]byte
			for i := range organizations {
				for k, p := range []string{"p", "q"} {
					records = append(records, disclosed(2*i+k, p, fmt.Sprintf("o%d", i), w.now))
				}
			}
			if _, err := w.store.Record(w.ctx(), records...); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range 3 {
				g := gate.New(gate.Config{BaseURL: base, CursorKey: [32]byte{1, 2, 3}, Site: "nehr.example", Notifies: true}, w.tools, w.store)
				all.Go(func() {
					if err := g.TellFirstAccesses(w.ctx(), w.now); err != nil {
						t.Error(explain(err))
					}
				})
			}
			all.Wait()
			w.tellsFirst()
			r := &receiver{}
			w.deliver(w.gate, r)
			got := map[string]int{}
			for _, n := range r.got {
				got[n.Patient+n.Organization]++
			}
			for pair, n := range got {
				if n != 1 {
					t.Errorf("%s is told %d times", pair, n)
				}
			}
			if told := strings.Fields(w.sees(custodian(), "Communication", "_count=1000")); len(told) != 2*organizations {
				t.Errorf("%d Communications, want %d", len(told), 2*organizations)
			}
		})
	}
}

// TestMeetingsAreNotSwept: they have no end, and the sweep goes past them.
func TestMeetingsAreNotSwept(t *testing.T) {
	w := meeting(t, nil)
	w.remember(func(m smart.Memory) error { return m.Keep("a", []byte("x"), w.now.Add(time.Minute)) })
	err := w.store.Write(w.ctx(), func(tx store.Tx) error {
		for i := range 30_000 {
			if err := tx.SetState(fmt.Sprintf("notice/met/p/o%d", i), []byte{}, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	if err := w.gate.Sweep(w.ctx(), w.now); err != nil {
		t.Fatal(err)
	}
	s, err := w.store.Snapshot(w.ctx())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for key, kept := range map[string]bool{"oauth/a": false, "notice/met/p/o29999": true} {
		if value, _, err := s.State(w.ctx(), key); err != nil || (value != nil) != kept {
			t.Errorf("%s: kept is %v, want %v (%v)", key, value != nil, kept, err)
		}
	}
}

// TestAMillionAccesses passes by a million that tell nothing new.
func TestAMillionAccesses(t *testing.T) {
	if os.Getenv("VITRINE_MILLION") == "" {
		t.Skip("VITRINE_MILLION asks for it")
	}
	w := meeting(t, nil)
	for k := range 100 {
		var records [][]byte
		for i := range 10_000 {
			records = append(records, disclosed(10_000*k+i, fmt.Sprintf("p%d", i%2000), "A", w.now))
		}
		if _, err := w.store.Record(w.ctx(), records...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.store.Grow(w.ctx()); err != nil {
		t.Fatal(err)
	}
	begun := time.Now() //nolint:forbidigo // it is measured
	w.tellsFirst()
	t.Logf("a million accesses of 2,000 meetings in %v", time.Since(begun))
}
