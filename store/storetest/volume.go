package storetest

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/store"
)

// The events of a volume: so many of each patient and of each doctor, ten a
// second, among organisations of a number that does not grow.
const (
	volumePatients      = 100
	volumeDoctors       = 2000
	volumeOrganizations = 200
	volumeEvery         = 100 * time.Millisecond
	// volumeTogether is how many are recorded with one call: as few as callers do, it
	// would take the disk hours.
	volumeTogether = 1 << 11
)

// VolumeEvent is the nth event of n in all, as the gate makes it: reads and
// searches for the most part, and now and then what a regulator looks for.
func VolumeEvent(i, n int) audit.Event {
	scattered := int(uint64(i) * 0x9E3779B97F4A7C15 >> 20 % uint64(n)) //nolint:gosec // spreads
	doctor, patient := scattered%max(n/volumeDoctors, 1), i*7919%max(n/volumePatients, 1)
	at := time.UnixMilli(1_780_000_000_000).Add(time.Duration(i) * volumeEvery).UTC()
	e := audit.Event{
		Recorded: at, Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Level: consent.Full, Patient: "p" + strconv.Itoa(patient),
		Entities: []string{fmt.Sprintf("Observation/0198c0de-0000-7000-8000-%012d/_history/1", i)}, Site: "vitrine", Observer: "vitrine",
		RequestID: fmt.Sprintf("%016x", uint64(i)*0x9E3779B97F4A7C15), //nolint:gosec // spreads
		Agent: audit.Agent{
			Kind: consent.Practitioner, Issuer: "https://idp.example", Subject: fmt.Sprintf("sub-%d", doctor), Client: "emr-" + strconv.Itoa(doctor%volumeOrganizations),
			TokenID: fmt.Sprintf("0198c0de-0000-7000-%04x-%012x", doctor&0xFFF, i/50_000), User: fmt.Sprintf("PractitionerRole/dr-%d", doctor),
			Practitioner: fmt.Sprintf("Practitioner/dr-%d", doctor), Organization: fmt.Sprintf("clinic-%d", doctor%volumeOrganizations),
			Purpose: consent.Treatment, Address: fmt.Sprintf("10.%d.%d.7", doctor%volumeOrganizations, doctor%7),
			Roles: []fhir.Coding{{System: "http://terminology.hl7.org/CodeSystem/practitioner-role", Code: "doctor"}},
		},
	}
	binary.BigEndian.PutUint64(e.ID[:], uint64(at.UnixMilli())<<16|0x7000)     //nolint:gosec // after 1970
	binary.BigEndian.PutUint64(e.ID[8:], uint64(i)*0x9E3779B97F4A7C15|0x8<<60) //nolint:gosec // spreads
	switch {
	case i%10 == 3: // a search
		e.Interaction, e.Action, e.Entities = "search-type", audit.ActionExecute, nil
		e.Query = "GET /fhir/Observation?patient=Patient/p" + strconv.Itoa(patient) + "&code=http://loinc.org|718-7\nAccept: application/fhir+json"
	case i%10 == 7: // a contribution
		e.Interaction, e.Action, e.Level = "create", audit.ActionCreate, consent.None
		e.Agent.Kind, e.Agent.User, e.Agent.Practitioner, e.Agent.Subject, e.Agent.Roles = consent.System, "", "", e.Agent.Client, nil
	case i%500 == 11: // a refusal
		e.Outcome, e.Reason, e.Patient, e.Entities, e.Query = audit.OutcomeMinor, "purpose-excluded", "", nil, "GET /fhir/Observation"
	case i%2000 == 21: // under a broken glass
		e.Grant = fmt.Sprintf("urn:uuid:0198c0de-0000-7000-8000-%012d", i)
	case i%20_000 == 41:
		e.Kind, e.Interaction, e.Action = audit.KindBreakGlassStart, "$break-glass", audit.ActionExecute
		e.Grant = fmt.Sprintf("urn:uuid:0198c0de-0000-7000-8000-%012d", i)
		e.Glass = audit.Glass{Reason: "OVRER", Threat: "life", Justification: "unconscious, no history known", Start: at, End: at.Add(4 * time.Hour)}
	case i%(n/50) == 51: // of another server
		e.Site, e.Observer = "elsewhere", "elsewhere"
	}
	return e
}

// volume are what a regulator asks; %d stands for a doctor, a patient or an event
// in the middle.
func volume() []string {
	return []string{
		"", "patient=p%d", "agent=PractitionerRole/dr-%d", "agent=Organization/clinic-77", "altid=Practitioner/dr-%d",
		"agent:identifier=https://idp.example|sub-%d", "policy=urn:ietf:params:oauth:jti:0198c0de-0000-7000-%t", "entity=Observation/%e",
		"date=%day", "date=%hour", "_lastUpdated=gt%hour",
		"type=rest", "type=110113", "subtype=110127", "subtype=break-glass-use", "subtype=read", "purpose=BTG", "purpose=TREAT", "outcome=0", "outcome=4",
		"action=C", "action=R", "source:identifier=vitrine", "source:identifier=elsewhere", "site=vitrine", "site=elsewhere", "address=10.77", "address=10.77.0.7",
		"agent-role=doctor", "agent-name=x", "entity-type=2", "entity-role=24", "entity-role=13",
		"agent=Organization/clinic-77&date=%day", "agent=Organization/clinic-77&outcome=4", "agent=Organization/clinic-77&subtype=break-glass-use",
		"agent=Organization/clinic-77&action=C", "agent=Organization/clinic-77&date=%day&action=C", "purpose=BTG&outcome=0", "patient=p%d&address=10.77.0.7",
		"agent=PractitionerRole/dr-%d&date=%day", "patient=p%d&purpose=BTG", "patient=p%d&agent=Organization/clinic-77", "patient=p%d&entity-role=24", "patient=p%d&address=10.7",
		"date=%day&action=C", "date=%hour&address=10.77.0.7", "date=%hour&entity-role=24", "date=%hour&agent-role=doctor", "date=%day&purpose=BTG", "date=%hour&source:identifier=elsewhere",
		"type=rest&outcome=0&purpose=TREAT", "outcome=4&date=%day",
		"_sort=-date", "agent=PractitionerRole/dr-%d&_sort=-date", "agent=Organization/clinic-77&_sort=-date", "patient=p%d&_sort=-date",
		"outcome=4&_sort=-date", "date=%day&_sort=-date", "purpose=BTG&_sort=-date", "date=%day&agent=Organization/clinic-77&_sort=-date",
	}
}

// volumeQuery is a question about a store of n events.
func volumeQuery(text string, n int) string {
	e := VolumeEvent(n/2, n)
	doctor := strings.TrimPrefix(e.Agent.User, "PractitionerRole/dr-")
	if strings.HasPrefix(text, "patient") {
		doctor = e.Patient[1:]
	}
	entity, _, _ := strings.Cut(strings.TrimPrefix(e.Entities[0], "Observation/"), "/")
	return strings.NewReplacer("%day", e.Recorded.In(time.FixedZone("", 8*3600)).Format("2006-01-02"), "%hour", e.Recorded.Format("2006-01-02T15:04")+"Z", "%d", doctor,
		"%t", strings.TrimPrefix(e.Agent.TokenID, "0198c0de-0000-7000-"), "%e", entity).Replace(text)
}

// FillVolume records the events of a volume of n that come after the first ones, and
// makes them findable.
func FillVolume(b *testing.B, st store.Store, first, n int) {
	b.Helper()
	start, size := time.Now(), 0 //nolint:forbidigo // a benchmark
	for i := first; i < n; {
		var records [][]byte
		for ; len(records) < volumeTogether && i < n; i++ {
			e := VolumeEvent(i, n)
			records = append(records, e.AppendBinary(nil))
			size += len(records[len(records)-1])
		}
		if _, err := st.Record(context.Background(), records...); err != nil {
			b.Fatal(err)
		}
		if i%(1<<15) == 0 {
			settleVolume(b, st)
		}
	}
	settleVolume(b, st)
	if n > first {
		fmt.Fprintf(os.Stderr, "%d events of %d bytes: %.0f/s\n", n-first, size/(n-first), float64(n-first)/time.Since(start).Seconds())
	}
}

func settleVolume(b *testing.B, st store.Store) {
	b.Helper()
	if err := st.Settle(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// AskVolume asks what regulators ask of two stores with volumes of events, one ten
// times the other, of n, in turns: the first page and the hundredth, or the last whole
// one there is. The ratio of the medians should stay below 1.5. VITRINE_VOLUME_ASK
// picks the questions that have it in them.
func AskVolume(b *testing.B, p *search.Parser, small, big store.Store, n int) {
	b.Helper()
	for _, text := range volume() {
		if !strings.Contains(text, os.Getenv("VITRINE_VOLUME_ASK")) {
			continue
		}
		sides := [2]*volumePages{
			{st: small, q: volumeParse(b, p, volumeQuery(text, n/10))},
			{st: big, q: volumeParse(b, p, volumeQuery(text, n))},
		}
		fmt.Fprintf(os.Stderr, "%-62s %s\n", text, compared(sides)) // at once: it takes its time
	}
}

// VolumeSize is how many events the greater of two volumes has: VITRINE_VOLUME, or
// 10^5.
func VolumeSize(b *testing.B) int {
	b.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("VITRINE_VOLUME"), "100000"))
	if err != nil || testing.Short() {
		b.Skip("fills stores")
	}
	return n
}

func volumeParse(b *testing.B, p *search.Parser, text string) *search.Query {
	b.Helper()
	var pairs []search.Pair
	for part := range strings.SplitSeq(text, "&") {
		if key, v, ok := strings.Cut(part, "="); ok {
			pairs = append(pairs, search.Pair{Name: key, Value: v})
		}
	}
	q, refusal := p.Parse("AuditEvent", pairs, false)
	if refusal != nil {
		b.Fatalf("%s: %v", text, refusal)
	}
	return q
}

// volumePages are the pages of one question to one store.
type volumePages struct {
	st          store.Store
	q           *search.Query
	snapshot    store.Snapshot
	number      int    // of the later page
	at          []byte // where it begins
	found       int    // on the first
	first, late []time.Duration
	err         error
}

const volumePage = 50

// page asks for the page after a position, and says how long that took.
func (v *volumePages) page(at []byte) (store.Page, time.Duration) {
	start := time.Now() //nolint:forbidigo // a benchmark
	p, err := v.snapshot.Search(context.Background(), consent.Everything(), v.q, store.PageRequest{Limit: volumePage, After: at})
	took := time.Since(start)
	v.err = errors.Join(v.err, err)
	return p, took
}

// turn goes to the later page.
func (v *volumePages) turn() {
	if v.snapshot, v.err = v.st.Snapshot(context.Background()); v.err != nil {
		return
	}
	p, _ := v.page(nil)
	v.found, v.number = len(p.Found), 1
	for began := time.Now(); v.number < 100 && len(p.Next) > 0 && v.err == nil && time.Since(began) < 4*time.Second; { //nolint:forbidigo // a benchmark
		at := p.Next
		if p, _ = v.page(at); len(p.Found) < volumePage {
			break
		}
		v.at, v.number = at, v.number+1
	}
}

// compared asks both in turns, and is a line about them.
func compared(both [2]*volumePages) string {
	for _, v := range both {
		if v.turn(); v.err != nil {
			return v.err.Error()
		}
		defer func() { _ = v.snapshot.Close() }()
	}
	for began, i := time.Now(), 0; i < 5 || i < 25 && time.Since(began) < time.Second; i++ { //nolint:forbidigo // a benchmark
		for _, v := range both {
			_, took := v.page(nil)
			v.first = append(v.first, took)
			_, took = v.page(v.at)
			v.late = append(v.late, took)
		}
	}
	a, b := both[0], both[1]
	if err := cmp.Or(a.err, b.err); err != nil {
		return err.Error()
	}
	line := fmt.Sprintf("%2d/%2d found; first %s", a.found, b.found, ratio(a.first, b.first))
	if a.found != b.found {
		line += fmt.Sprintf(", by row found %4.2f", median(b.first)/median(a.first)*float64(a.found)/float64(b.found))
	}
	if a.number > 1 && b.number > 1 {
		line += fmt.Sprintf("; page %d/%d %s", a.number, b.number, ratio(a.late, b.late))
	}
	return line
}

// median is that of some times, in microseconds.
func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Nanoseconds()) / 1000
}

func ratio(a, b []time.Duration) string {
	return fmt.Sprintf("%8.0f %8.0f µs, ratio %4.2f", median(a), median(b), median(b)/median(a))
}
