package gate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

// identified is the members of an Observation with a business identifier.
func identified(patient, value string) string {
	return observation("Patient/"+patient) + `,"identifier":[{"system":"urn:a","value":"` + value + `"}]`
}

// created is the id of a new resource.
func (w *world) created(c consent.Caller, t fhir.ResourceType, members string) string {
	w.Helper()
	r, err := w.create(c, t, members)
	if err != nil || !r.Created() {
		w.Fatalf("create %s: %v", t, explain(err))
	}
	return r.Items()[0].Resource.ID
}

func (w *world) update(c consent.Caller, t fhir.ResourceType, id, members, ifMatch string) (gate.Released, error) {
	w.Helper()
	return w.gate.Update(w.ctx(), w.request(c, "update", t), t, id, w.content(resource(t, id, members)), ifMatch)
}

// Scenarios 72, 77: conditions see the contributor's own, and nothing else.
func TestConditionalCreateSeesOwnPartition(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	foreign := w.created(system("B"), "Observation", identified("p", "1"))
	cond := w.query("Observation", "identifier=urn:a|1")
	create := func() gate.Released {
		t.Helper()
		r, err := w.gate.Create(w.ctx(), w.request(system("A"), "create", "Observation"),
			w.content(resource("Observation", "", identified("p", "1"))), cond)
		if err != nil {
			t.Fatal(explain(err))
		}
		return r
	}
	first := create()
	if id := first.Items()[0].Resource.ID; !first.Created() || id == foreign {
		t.Errorf("a foreign match: created %v, %s", first.Created(), id)
	}
	second := create()
	if second.Created() || second.Items()[0].Resource.ID != first.Items()[0].Resource.ID {
		t.Error("an own match was created again")
	}
	w.created(system("A"), "Observation", identified("p", "1"))
	_, err := w.gate.Create(w.ctx(), w.request(system("A"), "create", "Observation"),
		w.content(resource("Observation", "", identified("p", "1"))), cond)
	w.want("two own matches", outcome(err), "multiple matches")
}

// Scenarios 73, 74: what others contributed is as good as absent.
func TestForeignContributionsAreAbsent(t *testing.T) {
	w := newClinics(t, nil)
	foreign := w.created(system("B"), "Observation", identified("q", "1"))
	own := w.created(system("A"), "Observation", identified("q", "2"))
	for _, id := range []string{foreign, "none"} {
		_, err := w.update(system("A"), "Observation", id, observation("Patient/q"), "")
		w.want("update "+id, outcome(err), "not found")
		_, err = w.update(system("A"), "Observation", id, observation("Patient/q"), "7")
		w.want("If-Match "+id, outcome(err), "not found")
		_, err = w.gate.Delete(w.ctx(), w.request(system("A"), "delete", "Observation"), "Observation", id, "")
		w.want("delete "+id, outcome(err), "not found")
	}
	_, err := w.update(system("A"), "Observation", own, observation("Patient/q"), "7")
	w.want("own, stale", outcome(err), "precondition failed")
	r, err := w.update(system("A"), "Observation", own, observation("Patient/q"), "1")
	if err != nil || r.Items()[0].Resource.Version != "2" || r.Created() {
		t.Errorf("own: %v, %v", r.Items(), err)
	}

	where := func(value string) gate.Released {
		t.Helper()
		r, err := w.gate.UpdateWhere(w.ctx(), w.request(system("A"), "update", "Observation"),
			w.query("Observation", "identifier=urn:a|"+value), w.content(resource("Observation", "", identified("q", value))), "")
		if err != nil {
			t.Fatal(explain(err))
		}
		return r
	}
	if r := where("1"); !r.Created() || r.Items()[0].Resource.ID == foreign {
		t.Error("a conditional update reached a foreign match")
	}
	if r := where("1"); r.Created() || r.Items()[0].Resource.Version != "1" {
		t.Error("a conditional update missed its own match, or made a version that says the same")
	}
}

// Scenario 70: what was visible and is deleted is gone; what was hidden is not
// found.
func TestDeleted(t *testing.T) {
	w := newClinics(t, nil)
	for _, p := range []string{"p", "q"} {
		if p == "p" {
			w.restrict("p", optOut, closed)
		}
		if _, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", "Observation"), "Observation", "o-"+p, ""); err != nil {
			t.Fatal(err)
		}
	}
	w.want("visible", w.reads(doctor("A"), "Observation", "o-q"), "deleted")
	w.want("hidden", w.reads(doctor("A"), "Observation", "o-p"), "not found")
	w.want("never registered", w.reads(doctor("C"), "Observation", "o-q"), "not found")
	h, err := w.gate.History(w.ctx(), w.request(doctor("A"), "history-instance", "Observation"), "Observation", "o-q", gate.HistoryPage{Count: -1})
	if err != nil || len(h.Items()) != 2 || !h.Items()[0].Resource.Deleted {
		t.Errorf("history: %v, %v", h.Items(), err)
	}
}

// Scenarios 66 to 68: a basic edition has versions of its own.
func TestBasicEditionHasItsOwnVersions(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	version := func() string {
		t.Helper()
		r, err := w.read(doctor("A"), "Patient", "p")
		if err != nil {
			t.Fatal(err)
		}
		return r.Items()[0].Resource.Version + " " + string(r.Items()[0].Resource.JSON)
	}
	before := version()
	w.put("Patient", "p", `"gender":"female","birthDate":"1980-02-03","address":[{"city":"Quincy"}],"identifier":[{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"S0000001I"}]`)
	w.want("after an address", version(), before)
	w.put("Patient", "p", `"gender":"male","birthDate":"1980-02-03"`)
	if got := version(); !strings.HasPrefix(got, "b2 ") || !strings.Contains(got, `"male"`) {
		t.Errorf("after a gender: %s", got)
	}
	h, err := w.gate.History(w.ctx(), w.request(doctor("A"), "history-instance", "Patient"), "Patient", "p", gate.HistoryPage{Count: -1})
	if err != nil || h.Total() != 2 {
		t.Errorf("history: %d, %v", h.Total(), err)
	}
	full, err := w.gate.History(w.ctx(), w.request(person("p"), "history-instance", "Patient"), "Patient", "p", gate.HistoryPage{Count: -1})
	if err != nil || full.Total() != 3 {
		t.Errorf("own history: %d, %v", full.Total(), err)
	}
	_, err = w.gate.Version(w.ctx(), w.request(doctor("A"), "vread", "Patient"), "Patient", "p", "2")
	w.want("a full version", outcome(err), "not found")
}

// Scenarios 80, 81: a logical identifier is linked, and waits when it must.
func TestLogicalIdentifiers(t *testing.T) {
	w := newClinics(t, nil)
	by := func(nric string) string {
		return `"status":"final","code":{"text":"x"},"subject":{"type":"Patient","identifier":{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"` + nric + `"}}`
	}
	linked := w.created(system("B"), "Observation", by("S0000002G"))
	w.want("linked", w.reads(doctor("A"), "Observation", linked)[:24], `{"resourceType":"Observa`)
	if got := w.sees(doctor("A"), "Observation", "patient=Patient/q"); !strings.Contains(got, linked) {
		t.Errorf("found by the patient: %s", got)
	}
	waiting := w.created(system("B"), "Observation", by("S0000005A"))
	nobody := w.created(system("B"), "Observation", `"status":"final","code":{"text":"x"}`)
	for _, id := range []string{waiting, nobody} {
		w.want("quarantined", w.reads(doctor("A"), "Observation", id), "not found")
	}
	w.put("Patient", "new", `"identifier":[{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"S0000005A"}]`)
	w.want("still unregistered", w.reads(doctor("A"), "Observation", waiting), "not found")
	w.register("new", "A")
	w.want("arrived", w.sees(doctor("A"), "Observation", "patient=Patient/new"), waiting)
	w.want("never", w.reads(doctor("A"), "Observation", nobody), "not found")
}

// Scenario 81: whether the patient who was awaited has come, the contributor
// cannot tell from what was waiting: every answer to it is the same in a world
// where nobody came.
func TestArrivalIsNotTold(t *testing.T) {
	const waiting = `"status":"final","code":{"text":"x"},"identifier":[{"system":"urn:a","value":"1"}],` +
		`"subject":{"type":"Patient","identifier":{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"S0000005A"}}`
	answers := func(arrives bool) (told []string, found string) {
		w := newClinics(t, nil)
		id := w.created(system("B"), "Observation", waiting)
		w.now = w.now.Add(time.Hour)
		if arrives {
			w.put("Patient", "new", `"identifier":[{"system":"https://fhir.synapxe.sg/NamingSystem/nric","value":"S0000005A"}]`)
			w.register("new", "A")
		}
		tell := func(r gate.Released, err error) {
			t.Helper()
			text := outcomeOf(err)
			for _, i := range r.Items() {
				text += fmt.Sprint(" ", i.Status, " ", i.Resource.Version, " ", i.Resource.Updated, " ", string(i.Resource.JSON))
			}
			told = append(told, strings.ReplaceAll(text, id, "ID"))
		}
		for _, query := range []string{"identifier=urn:a|1", "identifier=urn:a|1&_lastUpdated=lt" + w.now.Format("2006-01-02T15:04:05Z")} {
			tell(w.gate.Create(w.ctx(), w.request(system("B"), "create", "Observation"),
				w.content(resource("Observation", "", waiting)), w.query("Observation", query)))
		}
		tell(w.update(system("B"), "Observation", id, waiting, "7"))
		found = w.sees(doctor("A"), "Observation", "patient=Patient/new")
		tell(w.update(system("B"), "Observation", id, waiting, "1"))
		tell(w.gate.Delete(w.ctx(), w.request(system("B"), "delete", "Observation"), "Observation", id, "2"))
		return told, strings.ReplaceAll(found, id, "ID")
	}
	with, found := answers(true)
	without, none := answers(false)
	if d := cmp.Diff(without, with); d != "" {
		t.Errorf("the contributor is told (-nobody came +the patient came):\n%s", d)
	}
	if found != "ID" || none != "" {
		t.Errorf("found %q once the patient came and %q before, want it and nothing", found, none)
	}
}

// Scenarios 82, 85: what belongs to two, and what inherits its owners.
func TestSeveralOwners(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Observation", "delivery", observation("Patient/q")+`,"focus":[{"reference":"Patient/p"}]`)
	w.put("Provenance", "v", `"target":[{"reference":"Observation/o-p"}],"recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"reference":"Practitioner/dA"}}]`)
	w.want("both open", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "delivery o-q")
	w.want("provenance", w.sees(doctor("A"), "Provenance", ""), "v")
	w.restrict("p", optOut, closed)
	w.want("one restricted", w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	w.want("provenance of a hidden target", w.reads(doctor("A"), "Provenance", "v"), "not found")
}

func TestWhoWritesWhat(t *testing.T) {
	w := newClinics(t, nil)
	for _, c := range []struct {
		name   string
		caller consent.Caller
		t      fhir.ResourceType
		body   string
		want   string
	}{
		{"patient's observation", person("q"), "Observation", observation("Patient/q"), "403 forbidden-role"},
		{"regulator's observation", regulator(), "Observation", observation("Patient/q"), "403 forbidden-overseer"},
		{"regulator's Basic", regulator(), "Basic", `"code":{"text":"x"}`, "422"},
		{"wrong content", system("A"), "Observation", `"nonsense":true`, "400"},
		{"system's observation", system("A"), "Observation", observation("Patient/q"), "released"},
		{"doctor's observation", doctor("A"), "Observation", observation("Patient/q"), "released"},
	} {
		_, err := w.create(c.caller, c.t, c.body)
		w.want(c.name, outcomeOf(err), c.want)
	}
	launched := doctor("A")
	launched.Scopes, launched.Patient = smart.ParseScopes("patient/*.cruds"), "q"
	_, err := w.create(launched, "Observation", observation("Patient/q"))
	w.want("the launch patient", outcomeOf(err), "released")
	_, err = w.create(launched, "Observation", observation("Patient/r"))
	w.want("another than the launch patient", outcomeOf(err), "not found")
	_, err = w.update(system("A"), "Observation", "chosen", observation("Patient/q"), "")
	w.want("an id of one's choice", outcome(err), "not found")
}

// entry is one entry of a transaction.
func (w *world) entry(code string, t fhir.ResourceType, id, full, body string) gate.Entry {
	w.Helper()
	e := gate.Entry{Interaction: w.request(consent.Caller{}, code, t).Interaction, Type: t, ID: id, FullURL: full}
	if body != "" {
		e.Content = w.content(resource(t, id, body))
	}
	return e
}

func (w *world) transact(c consent.Caller, entries ...gate.Entry) (gate.Released, error) {
	req := w.request(c, "transaction", "")
	req.Interaction.Write = true
	return w.gate.Transaction(w.ctx(), req, entries)
}

func TestTransaction(t *testing.T) {
	w := newClinics(t, nil)
	const one, two = "urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000002"
	r, err := w.transact(custodian(),
		w.entry("create", "Provenance", "", "", `"target":[{"reference":"`+two+`"}],"recorded":"2026-01-01T00:00:00Z",`+
			`"agent":[{"who":{"reference":"Practitioner?_id=dA"}}]`),
		w.entry("create", "Observation", "", two, observation(one)),
		w.entry("create", "Patient", "", one, `"gender":"male"`),
		w.entry("delete", "Observation", "o-r", "", ""),
	)
	if err != nil {
		t.Fatal(explain(err))
	}
	items := r.Items()
	patient, obs, provenance := items[2].Resource.ID, items[1].Resource, string(items[0].Resource.JSON)
	if !strings.Contains(string(obs.JSON), `"Patient/`+patient+`"`) {
		t.Errorf("observation: %s", obs.JSON)
	}
	if !strings.Contains(provenance, `"Observation/`+obs.ID+`"`) || !strings.Contains(provenance, `"Practitioner/dA"`) {
		t.Errorf("provenance: %s", provenance)
	}
	w.want("statuses", statuses(r), "201,201,201,204")
	w.register(patient, "A")
	w.want("observation", w.sees(doctor("A"), "Observation", "patient=Patient/"+patient), obs.ID)
	w.want("provenance", w.sees(doctor("A"), "Provenance", ""), items[0].Resource.ID)
	if n := len(w.events("patient=Patient/" + patient + "&subtype=transaction")); n != 1 {
		t.Errorf("events: %d", n)
	}
}

func statuses(r gate.Released) string {
	var out []string
	for _, i := range r.Items() {
		switch i.Status {
		case 200:
			out = append(out, "200")
		case 201:
			out = append(out, "201")
		case 204:
			out = append(out, "204")
		}
	}
	return strings.Join(out, ",")
}

// Scenario 75, and all or nothing: one entry that fails undoes the rest.
func TestTransactionIsAllOrNothing(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	good := func() gate.Entry { return w.entry("create", "Observation", "", "", observation("Patient/q")) }
	for name, bad := range map[string]gate.Entry{
		"hidden reference":  w.entry("create", "Observation", "", "", observation("Patient?identifier=https://fhir.synapxe.sg/NamingSystem/nric|S0000001I")),
		"absent reference":  w.entry("create", "Observation", "", "", observation("Patient?identifier=https://fhir.synapxe.sg/NamingSystem/nric|S0000007H")),
		"hidden read":       w.entry("read", "Observation", "o-p", "", ""),
		"absent read":       w.entry("read", "Observation", "none", "", ""),
		"foreign update":    w.entry("update", "Observation", "o-q", "", observation("Patient/q")),
		"consent":           w.entry("create", "Consent", "", "", consentOf("q", optOut, closed)),
		"malformed content": w.entry("create", "Observation", "", "", `"nonsense":1`),
	} {
		_, err := w.transact(doctor("A"), good(), bad)
		var entry *gate.EntryError
		if !errors.As(err, &entry) || entry.Index != 1 {
			t.Errorf("%s: %v", name, err)
		}
		w.want(name, w.sees(doctor("A"), "Observation", "patient=Patient/q"), "o-q")
	}
	_, hidden := w.transact(doctor("A"), good(), w.entry("read", "Observation", "o-p", "", ""))
	_, absent := w.transact(doctor("A"), good(), w.entry("read", "Observation", "none", "", ""))
	w.want("the same", outcome(hidden), outcome(absent))
	r, err := w.transact(doctor("A"), good(), w.entry("read", "Observation", "o-q", "", ""))
	if err != nil || len(r.Items()) != 2 || r.Items()[1].Answer == nil || ids(*r.Items()[1].Answer) != "o-q" {
		t.Errorf("allowed: %v", explain(err))
	}
}

// A conditional create that matches gives its id to the references to it.
func TestTransactionConditions(t *testing.T) {
	w := newClinics(t, nil)
	const full = "urn:uuid:00000000-0000-4000-8000-000000000001"
	transact := func() gate.Released {
		t.Helper()
		visit := w.entry("create", "Encounter", "", full, `"status":"planned","class":{"code":"AMB"},"subject":{"reference":"Patient/q"},"identifier":[{"system":"urn:v","value":"1"}]`)
		visit.IfNoneExist = w.query("Encounter", "identifier=urn:v|1")
		r, err := w.transact(system("A"), w.entry("create", "Observation", "", "", observation("Patient/q")+`,"encounter":{"reference":"`+full+`"}`), visit)
		if err != nil {
			t.Fatal(explain(err))
		}
		return r
	}
	first, second := transact(), transact()
	id := first.Items()[1].Resource.ID
	w.want("statuses", statuses(first)+" "+statuses(second), "201,201 201,200")
	if got := string(second.Items()[0].Resource.JSON); !strings.Contains(got, "Encounter/"+id) {
		t.Errorf("second: %s", got)
	}
}

// Scenarios 7, 62: everything, page by page, and only what is there.
func TestEverything(t *testing.T) {
	w := newClinics(t, nil)
	collect := func(c consent.Caller, patient string, count int) string {
		t.Helper()
		var out []string
		for cursor := ""; ; {
			r, err := w.gate.Everything(w.ctx(), w.request(c, "$everything", "Patient"), patient, gate.EverythingPage{Count: count, Cursor: cursor})
			if err != nil {
				return outcome(err)
			}
			out = append(out, ids(r))
			if cursor = r.Next(); cursor == "" {
				return strings.Join(strings.Fields(strings.Join(out, " ")), " ")
			}
		}
	}
	const all = "q a-q c-q e-q-A e-q-B i-q o-q"
	w.want("at once", collect(doctor("A"), "q", 100), all)
	w.want("in twos", collect(doctor("A"), "q", 2), all)
	w.want("unregistered", collect(doctor("C"), "q", 100), "not found")
	id := w.restrict("q", optOut, closed)
	w.want("restricted", collect(doctor("A"), "q", 2), "q a-q i-q")
	w.want("own", collect(person("q"), "q", 3), strings.Replace(all, "c-q", "c-q "+id, 1))
}
