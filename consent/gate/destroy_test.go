package gate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/store"
)

// destroys is the members of a direction to destroy.
func destroys(more string, who ...string) string {
	parts := make([]string, len(who))
	for i, ref := range who {
		parts[i] = `{"url":"who","valueReference":{"reference":"` + ref + `"}}`
	}
	return `"code":` + concept(consent.SystemDirective, "DESTROY") + `,"extension":[` + more +
		`{"url":"` + consent.Canon + `/StructureDefinition/directive-target","extension":[` + strings.Join(parts, ",") + `]}]`
}

// directions are what somebody is told of the directions to the organisation.
func (w *world) directions(c consent.Caller) (gate.Released, error) {
	return w.gate.Directions(w.ctx(), w.request(c, "$directions", "Task"))
}

// certify sends a certificate.
func (w *world) certify(c consent.Caller, task, members string) string {
	w.Helper()
	req := w.request(c, "$certify", "Task")
	req.Interaction.Letter, req.Interaction.Write = 'u', true
	if _, err := w.gate.Certify(w.ctx(), req, task, w.content(resource("DocumentReference", "", members))); err != nil {
		return outcome(err)
	}
	return ""
}

const certificate = `"status":"current","content":[{"attachment":{"contentType":"text/plain","data":"RGVzdHJveWVkLg=="}}]`

// manifestOf are the lines of the manifest that a Task has, sorted.
func (w *world) manifestOf(task string) (lines []string) {
	w.Helper()
	var said struct {
		Output []struct {
			Type      struct{ Coding []struct{ Code string } }
			Reference struct{ Reference string } `json:"valueReference"`
			Count     int                        `json:"valueInteger"`
		}
	}
	if err := json.Unmarshal([]byte(w.reads(regulator(), "Task", task)), &said); err != nil {
		w.Fatal(err)
	}
	total := 0
	for _, o := range said.Output {
		switch o.Type.Coding[0].Code {
		case "disclosures":
			total = o.Count
		case "manifest":
			var part struct{ Data []byte }
			if err := json.Unmarshal([]byte(w.reads(regulator(), "Binary", strings.TrimPrefix(o.Reference.Reference, "Binary/"))), &part); err != nil {
				w.Fatal(err)
			}
			lines = append(lines, strings.Split(strings.TrimSuffix(string(part.Data), "\n"), "\n")...)
		}
	}
	if total != len(lines) {
		w.Errorf("%d disclosures, %d lines", total, len(lines))
	}
	slices.Sort(lines)
	return lines
}

// summary is what a line of a manifest says, but for the ids and the time.
func summary(tb testing.TB, line string) string {
	tb.Helper()
	var d struct{ Patient, What, Query, Interaction, View, Organization, Person, Client string }
	if err := json.Unmarshal([]byte(line), &d); err != nil {
		tb.Fatalf("%v: %s", err, line)
	}
	return strings.Join([]string{d.Interaction, d.Patient, d.What + d.Query, d.View, d.Person}, " ")
}

// taskOf is the Task of a directive.
func (w *world) taskOf(id string) string {
	w.Helper()
	_, after, ok := strings.Cut(w.stored("Basic", id), `"reference":"Task/`)
	if !ok {
		w.Fatal("no Task")
	}
	task, _, _ := strings.Cut(after, `"`)
	return task
}

// Scenario 39: a direction to destroy makes a manifest of what was disclosed and a
// Task, and holds reading back until a certificate of it is accepted.
func TestScenario39Destroy(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	w.put("Organization", "ward", `"active":true,"name":"Ward","partOf":{"reference":"Organization/A"}`)
	w.put("PractitionerRole", "ward1", `"active":true,"practitioner":{"reference":"Practitioner/dC"},"organization":{"reference":"Organization/ward"},"code":[`+
		concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
	ward := doctor("ward")
	w.reads(doctor("A"), "Observation", "o-q")
	w.reads(doctor("A"), "AllergyIntolerance", "a-p")
	w.sees(doctor("A"), "Condition", "patient=Patient/q")
	w.reads(ward, "Condition", "c-r")
	// What is not disclosed to it is not in the manifest.
	w.reads(doctor("A"), "Observation", "o-p")
	w.sees(doctor("C"), "Condition", "patient=Patient/q")
	w.reads(doctor("B"), "Condition", "c-q")
	w.sees(person("q"), "Condition", "patient=Patient/q")
	w.created(system("A"), "Observation", observation("Patient/q"))
	w.reads(doctor("A"), "Organization", "A")
	if _, err := w.gate.Access(w.ctx(), w.request(doctor("A"), "$access", "Patient"), "q"); err != nil {
		t.Fatal(err)
	}

	id := w.ordered(destroys("", "Organization/A"))
	task := w.taskOf(id)
	for name, c := range map[string]consent.Caller{"the doctor": doctor("A"), "its ward's": ward} {
		w.want(name, w.reads(c, "AllergyIntolerance", "a-q"), "403 blocked")
	}
	w.want("a patient", w.sees(person("q"), "AllergyIntolerance", "patient=Patient/q"), "a-q")
	_, err := w.create(system("A"), "Condition", `"subject":{"reference":"Patient/q"},"code":{"text":"flu"}`)
	if err != nil {
		t.Errorf("contributing stopped: %v", explain(err))
	}
	w.want("no certificate", w.directs("$accept", second(), task, "1"), "409")
	for range 2 {
		if err := w.gate.KeepManifests(w.ctx(), w.now); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, line := range w.manifestOf(task) {
		got = append(got, summary(t, line))
	}
	slices.Sort(got)
	want := []string{
		"read Patient/p AllergyIntolerance/a-p/_history/b1 basic Practitioner/dA",
		"read Patient/q Observation/o-q/_history/1 full Practitioner/dA",
		"read Patient/r Condition/c-r/_history/1 full Practitioner/dC",
		"search-type Patient/q GET /Condition full Practitioner/dA",
	}
	if !slices.Equal(got, want) {
		t.Errorf("manifest:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	w.destroyIsOverseen(id, task)
	w.certified(id, task)
	w.want("open again", w.reads(doctor("A"), "AllergyIntolerance", "a-q"), w.reads(doctor("B"), "AllergyIntolerance", "a-q"))
	w.wantActs("agreed", "certified", "accepted", "refused:no-certificate")
}

// destroyIsOverseen fails if anybody but the regulator reads what goes with a
// direction, or if anybody changes it.
func (w *world) destroyIsOverseen(id, task string) {
	w.Helper()
	part := task + "-m0"
	for name, c := range map[string]consent.Caller{"another's doctor": doctor("B"), "a patient": person("q")} {
		w.want(name+", the order", w.reads(c, "Basic", id), "not found")
		w.want(name+", the Task", w.reads(c, "Task", task), "not found")
		w.want(name+", the manifest", w.reads(c, "Binary", part), "not found")
	}
	for what, id := range map[fhir.ResourceType]string{"Basic": id, "Task": task, "Binary": part} {
		_, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", what), what, id, "")
		w.want("deleting the "+string(what), outcome(err), "422")
		_, err = w.patch(custodian(), what, id, `[{"op":"add","path":"/language","value":"en"}]`, "")
		w.want("changing the "+string(what), outcome(err), "422")
	}
	if told, err := w.directions(doctor("B")); err != nil || len(told.Items()) != 0 {
		w.Errorf("another's directions: %v %v", told.Items(), err)
	}
	for name, c := range map[string]consent.Caller{"a patient": person("q"), "the custodian": custodian(), "the regulator": regulator()} {
		_, err := w.directions(c)
		w.want("directions to "+name, outcome(err), "403 forbidden-role")
	}
}

// certified sends the certificate and has it accepted.
func (w *world) certified(id, task string) {
	w.Helper()
	for name, c := range map[string]consent.Caller{"its back end": system("A"), "its doctor": doctor("A")} {
		told, err := w.directions(c)
		if err != nil || len(told.Items()) != 1 || told.Items()[0].Resource.ID != task {
			w.Fatalf("%s is told %v, %v", name, told.Items(), err)
		}
		if s := string(told.Items()[0].Resource.JSON); strings.Contains(s, "Binary") || strings.Contains(s, "Patient/") || strings.Contains(s, "oversight") {
			w.Errorf("%s is told too much: %s", name, s)
		}
	}
	w.want("another's certificate", w.certify(system("B"), task, certificate), "not found")
	w.want("of no direction", w.certify(system("A"), "none", certificate), "not found")
	w.want("about a patient", w.certify(system("A"), task, certificate+`,"subject":{"reference":"Patient/q"}`), "422")
	w.want("without content", w.certify(system("A"), task, `"status":"current","content":[{"attachment":{"url":"https://elsewhere.example"}}]`), "422")
	w.want("certified", w.certify(system("A"), task, certificate), "")
	w.want("held until it is accepted", w.reads(doctor("A"), "AllergyIntolerance", "a-q"), "403 blocked")
	w.want("again", w.certify(doctor("A"), task, certificate), "")
	w.want("what was certified before", w.directs("$accept", second(), task, "3"), "precondition failed")
	w.want("by a back end", w.directs("$accept", func() consent.Caller { c := second(); c.Client = c.Subject; return c }(), task, "4"), "403 forbidden-person")
	doc := w.reads(regulator(), "Task", task)
	_, doc, _ = strings.Cut(doc, `"reference":"DocumentReference/`)
	doc, _, _ = strings.Cut(doc, `"`)
	if got := w.reads(regulator(), "DocumentReference", doc); !strings.Contains(got, "RGVzdHJveWVkLg==") {
		w.Errorf("the certificate: %s", got)
	}
	w.want("the certificate, for who sent it", w.reads(doctor("B"), "DocumentReference", doc), "not found")
	w.want("accepted", w.directs("$accept", second(), task, "4"), "")
	w.want("and no more", w.directs("$accept", second(), task, "5"), "409")
	w.want("certified when it is over", w.certify(system("A"), task, certificate), "409")
}

// A direction about one person or one client has what was disclosed to these, in
// the window; one that is lifted is over.
func TestDirectionsAreNarrowed(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Device", "emr", `"status":"active","identifier":[{"system":"`+consent.SystemClient+`","value":"emr"}]`)
	w.put("Practitioner", "dN", `"active":true`)
	w.put("PractitionerRole", "N1", `"active":true,"practitioner":{"reference":"Practitioner/dN"},"organization":{"reference":"Organization/A"},"code":[`+
		concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
	other := doctor("A")
	other.User, other.Client = "PractitionerRole/N1", "tablet"
	at := w.now
	for range 2 {
		w.reads(doctor("A"), "Condition", "c-q")
		w.reads(other, "Condition", "c-r")
		w.now = w.now.Add(time.Hour)
	}
	window := fmt.Sprintf(`{"url":"%s/StructureDefinition/directive-window","valuePeriod":{"end":"%s"}},`, consent.Canon, at.Add(time.Minute).Format(time.RFC3339))
	for name, row := range map[string]struct {
		members string
		want    []string
	}{
		"a person": {destroys("", "Organization/A", "Practitioner/dN"), []string{"Practitioner/dN", "Practitioner/dN"}},
		"a client": {destroys("", "Device/emr", "Organization/A"), []string{"Practitioner/dA", "Practitioner/dA"}},
		"a window": {destroys(window, "Organization/A"), []string{"Practitioner/dA", "Practitioner/dN"}},
		"nobody":   {destroys("", "Organization/C"), nil},
	} {
		id := w.ordered(row.members)
		if err := w.gate.KeepManifests(w.ctx(), w.now); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, line := range w.manifestOf(w.taskOf(id)) {
			said := strings.Fields(summary(t, line))
			got = append(got, said[len(said)-1])
		}
		slices.Sort(got)
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
		w.lifted(id, 2)
		if got := w.stored("Task", w.taskOf(id)); !strings.Contains(got, `"status":"cancelled"`) {
			t.Errorf("%s, lifted: %s", name, got)
		}
		w.want("after it is lifted", w.certify(system("A"), w.taskOf(id), certificate), map[bool]string{true: "not found", false: "409"}[name == "nobody"])
	}
	w.want("in force no more", w.sees(other, "Condition", "patient=Patient/q"), "c-q")
	for name, members := range map[string]string{
		"no organisation": destroys("", "Practitioner/dN"),
		"two":             destroys("", "Organization/A", "Organization/B"),
		"with a period":   destroys(`{"url":"`+consent.Canon+`/StructureDefinition/directive-period","valuePeriod":{"end":"2027-01-01"}},`, "Organization/A"),
	} {
		_, err := w.create(regulator(), "Basic", members)
		w.want(name, outcome(err), "422")
	}
	w.put("Device", "none", `"status":"active"`)
	id := w.created(regulator(), "Basic", destroys("", "Organization/A", "Device/none"))
	w.want("a Device that is no client", w.directs("$agree", second(), id, "1"), "422")
	w.want("and nothing came of it", w.sees(other, "Condition", "patient=Patient/q"), "c-q")
}

// accessed records so many accesses of clinic A, a thousand of which are more than a
// part of a manifest.
func (w *world) accessed(accesses int) {
	w.Helper()
	var records [][]byte
	for i := range accesses {
		e := audit.Event{
			ID: [16]byte{1, byte(i >> 8), byte(i)}, Recorded: w.now, Kind: audit.KindRest, Interaction: "read", Action: audit.ActionRead, Patient: "q", Level: consent.Full,
			Agent:    audit.Agent{Kind: consent.Practitioner, Organization: "A", User: "PractitionerRole/A1", Practitioner: "Practitioner/dA", Client: strings.Repeat("c", 1000)},
			Entities: []string{fmt.Sprintf("Condition/x%d/_history/1", i)},
		}
		records = append(records, e.AppendBinary(nil))
	}
	if _, err := w.store.Record(w.ctx(), records...); err != nil {
		w.Fatal(err)
	}
}

// Servers that make one manifest together make every part once.
func TestManifestsAreMadeOnce(t *testing.T) {
	w := newClinics(t, nil)
	const accesses = 1500
	w.accessed(accesses)
	task := w.taskOf(w.ordered(destroys("", "Organization/A")))
	failures := make(chan error, 3)
	for range cap(failures) {
		go func() { failures <- w.gate.KeepManifests(w.ctx(), w.now) }()
	}
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	seen := map[string]bool{}
	for _, line := range w.manifestOf(task) {
		seen[summary(t, line)] = true
	}
	if len(seen) != accesses {
		t.Errorf("%d of %d accesses", len(seen), accesses)
	}
	if !strings.Contains(w.stored("Task", task), task+"-m1") {
		t.Error("the manifest has one part alone")
	}
}

// A manifest says from when on it has what was disclosed, if the record before was
// put away.
func TestManifestsSayWhatWasPutAway(t *testing.T) {
	w := newClinics(t, nil)
	w.reads(doctor("A"), "Condition", "c-q")
	task := w.taskOf(w.ordered(destroys("", "Organization/A")))
	made := func() string {
		t.Helper()
		if err := w.gate.KeepManifests(w.ctx(), w.now); err != nil {
			t.Fatal(err)
		}
		return w.stored("Task", task)
	}
	if got := made(); strings.Contains(got, "records-from") {
		t.Errorf("nothing was put away: %s", got)
	}
	log, ok := w.store.(store.Archive)
	if !ok {
		t.Fatal("the store has no archive")
	}
	size, err := log.Grow(w.ctx())
	if err == nil {
		err = log.PutAway(w.ctx(), size)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	w.reads(doctor("B"), "Condition", "c-r")
	task = w.taskOf(w.ordered(destroys("", "Organization/B")))
	if got := made(); !strings.Contains(got, `"code":"records-from"}]},"valueInstant":"`+fhir.FormatInstant(w.now)+`"`) {
		t.Errorf("the record before was put away: %s", got)
	}
	if lines := w.manifestOf(task); len(lines) != 1 {
		t.Errorf("lines: %q", lines)
	}
}

// archived is below, so that what a store has itself goes before.
type archived struct{ store.Archive }

// putsAway is a store that puts its record away after the next write, if it is to.
type putsAway struct {
	store.Store
	archived
	next bool
}

func (s *putsAway) Write(ctx context.Context, do func(store.Tx) error) error {
	err := s.Store.Write(ctx, do)
	if err != nil || !s.next {
		return err
	}
	s.next = false
	size, err := s.Grow(ctx)
	if err != nil {
		return err
	}
	return s.PutAway(ctx, size)
}

// Nor is it silent about what was put away between two of its parts.
func TestManifestsSayWhatWasPutAwayMeanwhile(t *testing.T) {
	var between *putsAway
	w := newClinics(t, func(s store.Store) store.Store {
		archive, _ := s.(store.Archive)
		between = &putsAway{Store: s, archived: archived{archive}}
		return between
	})
	w.accessed(1500)
	task := w.taskOf(w.ordered(destroys("", "Organization/A")))
	between.next = true
	if err := w.gate.KeepManifests(w.ctx(), w.now); err != nil {
		t.Fatal(err)
	}
	if n := len(w.manifestOf(task)); n == 0 || n == 1500 {
		t.Errorf("%d lines: nothing was put away in the midst of it", n)
	}
	if got := w.stored("Task", task); !strings.Contains(got, `"code":"records-from"`) {
		t.Errorf("it does not say what it lacks: %s", got)
	}
}

// An organisation of more parts than can be kept is refused by name.
func TestDirectionsToTooManyParts(t *testing.T) {
	w := newClinics(t, nil)
	for i := range 999 {
		w.put("Organization", fmt.Sprintf("%064d", i), `"active":true,"name":"Ward","partOf":{"reference":"Organization/C"}`)
	}
	id := w.created(regulator(), "Basic", destroys("", "Organization/C"))
	w.want("agreed", w.directs("$agree", second(), id, "1"), "422")
}

// A certificate takes the place of the one before, and there is an end to it.
func TestCertificatesDoNotPileUp(t *testing.T) {
	w := newClinics(t, nil)
	task := w.taskOf(w.ordered(destroys("", "Organization/A")))
	large := strings.Replace(certificate, "RGVz", strings.Repeat("RGVz", 1<<18), 1)
	w.want("a large one", w.certify(system("A"), task, large), "413")
	for range 10 {
		w.want("sent", w.certify(system("A"), task, certificate), "")
	}
	w.want("one more", w.certify(system("A"), task, certificate), "409")
	if all := w.sees(regulator(), "DocumentReference", ""); all == "" || strings.Contains(all, " ") {
		t.Errorf("certificates: %s", all)
	}
}
