package gate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
)

func (w *world) report(c consent.Caller, r gate.ReportRequest) (gate.Report, error) {
	req := w.request(c, "$break-glass-report", "AuditEvent")
	req.Interaction.Letter = 's'
	out, err := w.gate.BreakGlassReport(w.ctx(), req, r)
	return out.Report(), err
}

// at moves the world's present.
func (w *world) at(instant string) {
	w.Helper()
	at, err := time.Parse(time.RFC3339, instant)
	if err != nil {
		w.Fatal(err)
	}
	w.now = at
}

// visitOf is an Encounter of a patient at an organisation.
func visitOf(patient, organization, status, period string) string {
	return `"status":"` + status + `","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"EMER"},"subject":{"reference":"Patient/` + patient +
		`"},"serviceProvider":{"reference":"Organization/` + organization + `"},"period":{` + period + `}`
}

// flags are what stands out of an override, in one word.
func flags(o *gate.Override) string {
	out := fmt.Sprint(strings.TrimPrefix(o.Practitioner, "Practitioner/d"), strings.TrimPrefix(o.Patient, "Patient/"), o.Accesses, o.State)
	for _, f := range []struct {
		is   bool
		name string
	}{
		{o.WithoutEncounter, "alone"}, {o.EncounterAwaited, "awaited"}, {o.RepeatedByPerson, "person"}, {o.RepeatedOnPatient, "patient"}, {o.OutsideHours, "hours"}, {o.Overdue, "overdue"}, {o.Open, "open"},
	} {
		if f.is {
			out += " " + f.name
		}
	}
	return out
}

// TestBreakGlassReport: who broke the glass, how often, when, whether the patient
// came, and how far the review is.
func TestBreakGlassReport(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Organization", "H", `"active":true,"name":"H"`)
	w.put("Organization", "A", `"active":true,"name":"A","partOf":{"reference":"Organization/H"}`)
	w.put("Organization", "A-ED", `"active":true,"name":"Emergency","partOf":{"reference":"Organization/A"}`)
	w.restrict("p", optOut, closed)
	w.at("2026-09-01T10:00:00+08:00") // a Tuesday
	first := w.override(doctor("A"), "p")
	w.sees(doctor("A"), "Observation", "patient=Patient/p")
	if err := w.stop(doctor("A"), "p"); err != nil {
		t.Fatal(err)
	}
	w.put("Encounter", "came", visitOf("p", "A-ED", "in-progress", `"start":"2026-09-01T11:00:00+08:00"`))
	w.at("2026-09-02T03:00:00+08:00")
	w.override(doctor("B"), "p")
	w.put("Encounter", "elsewhere", visitOf("p", "A", "finished", `"start":"2026-09-02T04:00:00+08:00","end":"2026-09-02T05:00:00+08:00"`))
	w.put("Encounter", "cancelled", visitOf("p", "B", "cancelled", `"start":"2026-09-02T04:00:00+08:00","end":"2026-09-02T05:00:00+08:00"`))
	w.put("Encounter", "planned", visitOf("p", "B", "planned", `"start":"2026-09-02T04:00:00+08:00"`))
	w.put("Encounter", "much-later", visitOf("p", "B", "in-progress", `"start":"2026-09-12T04:00:00+08:00"`))
	w.put("Encounter", "before", visitOf("p", "B", "finished", `"start":"2026-08-12T04:00:00+08:00","end":"2026-08-12T05:00:00+08:00"`))
	if _, err := w.create(doctor("B"), "Encounter", visitOf("p", "B", "in-progress", `"start":"2026-09-02T04:00:00+08:00"`)); err != nil { // on his own word
		t.Fatal(explain(err))
	}
	w.at("2026-09-05T12:00:00+08:00") // a Saturday
	for _, patient := range []string{"q", "r", "q", "p"} {
		w.override(doctor("A"), patient)
		w.now = w.now.Add(time.Minute)
	}
	if err := w.review(regulator(), first, "", to(gate.ReviewInReview)); err != nil {
		t.Fatal(explain(err))
	}
	w.at("2026-09-08T12:10:00+08:00")
	whole, err := w.report(regulator(), gate.ReportRequest{})
	if err != nil {
		t.Fatal(explain(err))
	}
	want := []string{
		"Ap1in-review person overdue",
		"Bp0requested alone hours open",
		"Aq0requested alone person hours open", "Ar0requested alone person hours open", "Aq0requested alone person hours open", "Ap0requested person hours open",
	}
	for i := range whole.Overrides {
		o := &whole.Overrides[i]
		if i >= len(want) || flags(o) != want[i] {
			t.Errorf("%d: %s, want %s", i, flags(o), want[min(i, len(want)-1)])
		}
		if o.Started == "" || (o.Stopped == "") != o.Open || o.Task == "" || !o.Due.Equal(o.Start.Add(7*24*time.Hour)) {
			t.Errorf("%d: %+v", i, o)
		}
	}
	if len(whole.Overrides) != len(want) {
		t.Errorf("%d overrides", len(whole.Overrides))
	}
	for name, row := range map[string]struct {
		r    gate.ReportRequest
		want int
	}{
		"an organisation":    {gate.ReportRequest{Organization: "Organization/A"}, 5},
		"what it is part of": {gate.ReportRequest{Organization: "Organization/H"}, 5},
		"none that there is": {gate.ReportRequest{Organization: "Organization/none"}, 0},
		"a person":           {gate.ReportRequest{Practitioner: "Practitioner/dB"}, 1},
		"a role":             {gate.ReportRequest{Practitioner: "PractitionerRole/B1"}, 1},
		"both":               {gate.ReportRequest{Practitioner: "Practitioner/dB", Organization: "Organization/A"}, 0},
		"a day":              {gate.ReportRequest{Start: w.now.Add(-7 * 24 * time.Hour), End: w.now.Add(-6 * 24 * time.Hour)}, 1},
		"a later period":     {gate.ReportRequest{Start: w.now.Add(-time.Hour)}, 0},
		"an earlier period":  {gate.ReportRequest{End: w.now.Add(-30 * 24 * time.Hour)}, 0},
	} {
		r, err := w.report(regulator(), row.r)
		if err != nil || len(r.Overrides) != row.want {
			t.Errorf("%s: %d, %v; want %d", name, len(r.Overrides), err, row.want)
		}
		if r.Organization != row.r.Organization || r.Practitioner != row.r.Practitioner {
			t.Errorf("%s: said to be of %q and %q", name, r.Organization, r.Practitioner)
		}
	}
	_, err = w.report(regulator(), gate.ReportRequest{Start: w.now, End: w.now.Add(-time.Hour)})
	w.want("backwards", outcome(err), "422")
	for name, c := range map[string]consent.Caller{"doctor": doctor("A"), "patient": person("p"), "system": system("A"), "custodian": custodian()} {
		if _, err := w.report(c, gate.ReportRequest{}); err == nil || !strings.HasPrefix(outcome(err), "403") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := len(w.events("subtype=http://dicom.nema.org/resources/ontology/DCM|110101&subtype=http://hl7.org/fhir/restful-interaction|operation")); got < 8 {
		t.Errorf("%d looks at the report are on record", got)
	}
}

// TestAVisitIsAwaited: while there is time for one, nobody says that none followed.
func TestAVisitIsAwaited(t *testing.T) {
	w := newClinics(t, nil)
	broken := w.now
	for _, p := range []string{"p", "q"} {
		w.override(doctor("A"), p)
	}
	told := func(what, p, q string) {
		t.Helper()
		r, err := w.report(regulator(), gate.ReportRequest{Start: broken.Add(-time.Hour)})
		if err != nil || len(r.Overrides) != 2 {
			t.Fatalf("%s: %d overrides, %v", what, len(r.Overrides), err)
		}
		for i := range r.Overrides {
			o := &r.Overrides[i]
			got := fmt.Sprintf("without %v, awaited %v", o.WithoutEncounter, o.EncounterAwaited)
			w.want(what+", "+o.Patient, got, map[string]string{"Patient/p": p, "Patient/q": q}[o.Patient])
		}
	}
	const awaited, came, none = "without false, awaited true", "without false, awaited false", "without true, awaited false"
	w.now = broken.Add(time.Second)
	told("at once", awaited, awaited)
	w.now = broken.Add(time.Hour)
	w.put("Encounter", "came", visitOf("p", "A", "in-progress", `"start":"`+w.now.Format(time.RFC3339)+`"`))
	told("after an hour", came, awaited)
	w.now = broken.Add(72 * time.Hour)
	told("at the last moment", came, awaited)
	w.now = broken.Add(72*time.Hour + time.Second)
	told("after three days", came, none)
	w.put("Encounter", "told-late", visitOf("q", "A", "finished", `"start":"`+broken.Add(time.Hour).Format(time.RFC3339)+`","end":"`+broken.Add(2*time.Hour).Format(time.RFC3339)+`"`))
	told("when one is on file late", came, came)
}
