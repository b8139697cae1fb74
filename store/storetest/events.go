package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/r4"
	"vitrine/fhir/search"
	"vitrine/store"
	"vitrine/store/events"
)

// DrawEvent makes events of every shape, with few enough values that they
// repeat.
func DrawEvent(t *rapid.T) audit.Event {
	text := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	e := audit.Event{
		Recorded:    time.UnixMilli(rapid.Int64Range(1_700_000_000_000, 1_700_000_000_020).Draw(t, "recorded")).UTC(),
		Kind:        audit.Kind(rapid.IntRange(1, 12).Draw(t, "kind")),
		Interaction: text("interaction", "read", "search-type", "update", "$everything", "delete"),
		Action:      rapid.SampledFrom([]audit.Action{'C', 'R', 'U', 'D', 'E'}).Draw(t, "action"),
		Outcome:     rapid.SampledFrom([]audit.Outcome{audit.OutcomeSuccess, audit.OutcomeMinor, audit.OutcomeSerious}).Draw(t, "outcome"),
		Patient:     text("patient", "", "p1", "p2"),
		Level:       rapid.SampledFrom([]consent.Level{consent.None, consent.Basic, consent.Full, consent.Self}).Draw(t, "level"),
		Reason:      text("reason", "", "hidden"),
		Entities:    rapid.SliceOfN(rapid.SampledFrom([]string{"Observation/o/_history/1", "Observation/o/_history/2", "Patient/p1/_history/3", "Condition/C.c/_history/1"}), 0, 3).Draw(t, "entities"),
		Before:      text("before", "", "Observation/o/_history/1"),
		Query:       text("query", "", "GET /fhir/Observation?code=x"),
		RequestID:   text("request", "", "r1", "R2"),
		Grant:       text("grant", "", "urn:uuid:0b0e43c9-29bb-4b53-a3b3-2f0a0a0d6a11"),
		Consents:    rapid.SliceOfN(rapid.SampledFrom([]string{"Consent/c/_history/1", "Consent/d/_history/2"}), 0, 2).Draw(t, "consents"),
		BasicSet:    text("basic", "", "2026-1"),
		Site:        text("site", "vitrine", "elsewhere"), Observer: text("observer", "vitrine", "Elsewhere"),
	}
	copy(e.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	e.Agent = audit.Agent{
		Kind:   rapid.SampledFrom([]consent.Kind{consent.Practitioner, consent.System, consent.Patient, consent.Representative, consent.Regulator, consent.Custodian}).Draw(t, "agent"),
		Issuer: text("issuer", "", "https://idp.example"), Subject: text("subject", "", "s", "S"), Client: text("client", "app", "EMR"),
		TokenID: text("jti", "", "J1"), User: text("user", "", "PractitionerRole/Dr", "Patient/p1", "RelatedPerson/r"),
		Practitioner: text("practitioner", "", "Practitioner/Dr"), Name: text("name", "", "Dr"),
		Organization: text("organization", "", "clinic-a"), Address: text("address", "", "10.0.0.1", "10.0.0.17"),
		Purpose: consent.Purpose(rapid.IntRange(0, 8).Draw(t, "purpose")),
	}
	if e.Agent.Organization != "" {
		e.Agent.Cluster = text("cluster", "", "", "east")
	}
	if rapid.Bool().Draw(t, "roles") {
		e.Agent.Roles = []fhir.Coding{{System: "http://snomed.info/sct", Code: "309343006"}}
	}
	return e
}

// Events is an index as the stores of the suite have it.
func Events(t testing.TB) *events.Index {
	t.Helper()
	d, err := r4.Load()
	if err != nil {
		t.Fatalf("definitions: %v", err)
	}
	x, err := search.NewIndexer(d, "http://localhost/fhir")
	if err != nil {
		t.Fatalf("indexer: %v", err)
	}
	i, err := events.New(x, d, "vitrine")
	if err != nil {
		t.Fatalf("events: %v", err)
	}
	return i
}

// testAddresses: the events of an address are found by how it begins.
func testAddresses(t *testing.T, st store.Store) {
	addresses := []string{"10.0.0.1", "10.0.0.17", "10.1.0.1", "", "vitrine", "10.0.0.1", "FE80::1"}
	var recorded []audit.Event
	for n, address := range addresses {
		e := event(byte(n), "p1")
		e.Site, e.Observer, e.Agent.Address = "vitrine", "vitrine", address
		recorded = append(recorded, e)
		if _, err := st.Record(t.Context(), e.AppendBinary(nil)); err != nil {
			t.Fatalf("record: %v", err)
		}
	}
	if err := st.Settle(t.Context()); err != nil {
		t.Fatalf("settle: %v", err)
	}
	d, err := r4.Load()
	if err != nil {
		t.Fatal(err)
	}
	x, err := search.NewIndexer(d, "http://localhost/fhir")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, st)
	for asked, want := range map[string][]int{
		"10.0.0.1": {0, 1, 5}, "10.0": {0, 1, 5}, "10.": {0, 1, 2, 5}, "10.0.0.17": {1}, "fe80": {6}, "11": nil,
		"vit": {0, 1, 2, 3, 4, 5, 6}, "10.0&date=ge1970-01-01": {0, 1, 5},
	} {
		var pairs []search.Pair
		for part := range strings.SplitSeq("address="+asked, "&") {
			name, v, _ := strings.Cut(part, "=")
			pairs = append(pairs, search.Pair{Name: name, Value: v})
		}
		q, refusal := x.Parser().Parse("AuditEvent", pairs, false)
		if refusal != nil {
			t.Fatal(refusal)
		}
		var ids []string
		for _, n := range want {
			ids = append(ids, "AuditEvent/"+uuid(recorded[n])+"/1")
		}
		same(t, "address="+asked, sortedCopy(labels(all(t, s, consent.Everything(), q))), sortedCopy(ids))
	}
}

// testEveryEntry: whatever has postings and whatever has none, a search for a
// value finds the events that have it, in both editions.
func testEveryEntry(t *testing.T, st store.Store) {
	all := make([]audit.Event, 150)
	for n := range all {
		all[n] = rapid.Custom(DrawEvent).Example(n)
		all[n].ID[0] = byte(n)
		if _, err := st.Record(t.Context(), all[n].AppendBinary(nil)); err != nil {
			t.Fatalf("record: %v", err)
		}
	}
	if err := st.Settle(t.Context()); err != nil {
		t.Fatalf("settle: %v", err)
	}
	s, m := open(t, st), Events(t).NewMaker()
	self := levels{"p1": consent.Self}
	compareEvents(t, s, m, all, consent.EditionFull, consent.Everything)
	compareEvents(t, s, m, slices.DeleteFunc(all, func(e audit.Event) bool { return e.Patient != "p1" }), consent.EditionBasic,
		func() *consent.Universe { return self.to("p1") })
}

func compareEvents(t *testing.T, s store.Snapshot, m *events.Maker, all []audit.Event, e consent.Edition, u func() *consent.Universe) {
	t.Helper()
	type value struct {
		p search.Param
		v string
	}
	want := map[value][]string{}
	for n := range all {
		entries, err := m.Entries(nil, &all[n], uuid(all[n]), e)
		if err != nil {
			t.Fatal(err)
		}
		for p, v := range entries.All() {
			want[value{p, string(v)}] = append(want[value{p, string(v)}], uuid(all[n]))
		}
	}
	if len(want) < 30 {
		t.Errorf("edition %d: %d values are too few to say anything", e, len(want))
	}
	for v, ids := range want {
		q := query("AuditEvent", search.Clause{Any: []search.Match{{Param: v.p, Op: search.OpEqual, Key: []byte(v.v)}}})
		page, err := s.Search(context.Background(), u(), q, store.PageRequest{Limit: len(all), Count: true})
		if err != nil {
			t.Fatalf("%x %q: %v", v.p, v.v, err)
		}
		var got []string
		for _, f := range page.Found {
			got = append(got, f.ID)
		}
		same(t, "found", sortedCopy(got), sortedCopy(ids))
		same(t, "total", page.Total, len(ids))
	}
}
