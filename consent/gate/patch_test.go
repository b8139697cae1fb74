package gate_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/patch"
	"vitrine/fhir/smart"
)

// document reads a JSON Patch, or a FHIRPath Patch when it is an object.
func (w *world) document(doc string) *patch.Document {
	w.Helper()
	var d *patch.Document
	var err error
	if strings.HasPrefix(doc, "{") {
		d, err = patch.ParseParameters(w.content(doc).Tape, w.tools.Definitions)
	} else {
		d, err = patch.ParseJSON([]byte(doc), fhir.Limits{})
	}
	if err != nil {
		w.Fatalf("%s: %v", doc, err)
	}
	return d
}

func (w *world) patch(c consent.Caller, t fhir.ResourceType, id, doc, ifMatch string) (gate.Released, error) {
	w.Helper()
	return w.gate.Patch(w.ctx(), w.request(c, "patch", t), t, id, w.document(doc), ifMatch)
}

func (w *world) patchWhere(c consent.Caller, t fhir.ResourceType, query, doc string) (gate.Released, error) {
	w.Helper()
	return w.gate.PatchWhere(w.ctx(), w.request(c, "patch", t), w.query(t, query), w.document(doc), "")
}

// stored is the resource as it is on file.
func (w *world) stored(t fhir.ResourceType, id string) string { return w.reads(custodian(), t, id) }

const (
	amend  = `[{"op":"replace","path":"/status","value":"amended"}]`
	secret = "weight" // stands in every observation
)

func TestPatch(t *testing.T) {
	w := newClinics(t, nil)
	id := w.created(system("A"), "Observation", observation("Patient/q")+`,"valueQuantity" : {"value":185.50}`)
	before := w.stored("Observation", id)
	r, err := w.patch(system("A"), "Observation", id, amend, "1")
	if err != nil {
		t.Fatal(explain(err))
	}
	got := r.Items()[0].Resource
	if got.Version != "2" || got.ID != id || r.Created() {
		t.Errorf("got version %s of %s, created %v", got.Version, got.ID, r.Created())
	}
	want := strings.NewReplacer(`"final"`, `"amended"`, `"versionId":"1"`, `"versionId":"2"`).Replace(before)
	w.want("stored", w.stored("Observation", id), want)
	_, err = w.patch(system("A"), "Observation", id, amend, "1")
	w.want("stale", outcome(err), "precondition failed")
	path := `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},
		{"name":"path","valueString":"Observation.status"},{"name":"value","valueCode":"final"}]}]}`
	if _, err = w.patch(system("A"), "Observation", id, path, ""); err != nil {
		t.Error(explain(err))
	}
	w.want("stored", w.stored("Observation", id), strings.ReplaceAll(before, `"versionId":"1"`, `"versionId":"3"`))
	if n := len(w.events("patient=Patient/q&subtype=patch&action=U")); n != 2 {
		t.Errorf("%d events of patches, want 2", n)
	}
}

// Scenarios 73, 74, 78: a patch and its tests see the contributor's own, and
// nothing else; what they miss is recorded.
func TestPatchOfTheForeignIsAbsent(t *testing.T) {
	w := newClinics(t, nil)
	w.restrict("p", optOut, closed)
	foreign := w.created(system("B"), "Observation", identified("p", "1"))
	hidden := w.created(system("B"), "Observation", identified("q", "2"))
	for _, doc := range []string{amend, `[]`, `[{"op":"test","path":"/code/text","value":"weight"}]`, `[{"op":"test","path":"/code/text","value":"x"}]`, `[{"op":"remove","path":"/nothing"}]`} {
		for _, id := range []string{"none", foreign, hidden, "o-p", "o-q", "not/an/id"} {
			for _, match := range []string{"", "1", "7"} {
				_, err := w.patch(system("A"), "Observation", id, doc, match)
				w.want(doc+" of "+id, outcome(err), "not found")
				_, err = w.patch(doctor("A"), "Observation", id, doc, match)
				w.want(doc+" of "+id, outcome(err), "not found")
			}
		}
		_, err := w.patchWhere(system("A"), "Observation", "identifier=urn:a|1", doc)
		w.want("where "+doc, outcome(err), "not found")
	}
	own := w.created(system("A"), "Observation", identified("p", "1"))
	if _, err := w.patchWhere(system("A"), "Observation", "identifier=urn:a|1", amend); err != nil {
		t.Error(explain(err))
	}
	w.want("amended", fmt.Sprint(strings.Contains(w.stored("Observation", own), "amended")), "true")
	w.want("untouched", fmt.Sprint(strings.Contains(w.stored("Observation", foreign), "amended")), "false")
	w.created(system("A"), "Observation", identified("p", "1"))
	_, err := w.patchWhere(system("A"), "Observation", "identifier=urn:a|1", amend)
	w.want("two", outcome(err), "multiple matches")
	if _, err := w.gate.Delete(w.ctx(), w.request(system("A"), "delete", "Observation"), "Observation", own, ""); err != nil {
		t.Fatal(err)
	}
	_, err = w.patch(system("A"), "Observation", own, amend, "")
	w.want("deleted", outcome(err), "deleted")
}

// To patch is no right to read: what was not sent comes back to who could read
// it.
func TestPatchGivesBackWhatCouldBeRead(t *testing.T) {
	w := newClinics(t, nil)
	for _, p := range []string{"p", "q"} {
		own := w.created(system("A"), "Observation", observation("Patient/"+p))
		if p == "p" {
			w.restrict("p", optOut, closed)
		}
		writer := doctor("A")
		writer.Scopes = smart.ParseScopes("user/*.cu")
		for name, c := range map[string]consent.Caller{"doctor": doctor("A"), "writer": writer, "system": system("A"), "custodian": custodian()} {
			r, err := w.patch(c, "Observation", own, `[{"op":"test","path":"/status","value":"final"}]`, "")
			if err != nil {
				t.Fatal(explain(err))
			}
			_, err = w.read(c, "Observation", own)
			could := outcomeOf(err) == "released"
			if got := len(r.Items()[0].Resource.JSON) > 0; got != could {
				t.Errorf("%s of %s: given back %v, could read %v", name, p, got, could)
			}
		}
	}
}

func TestPatchRefused(t *testing.T) {
	w := newClinics(t, nil)
	id := w.created(system("A"), "Observation", observation("Patient/q"))
	before := w.stored("Observation", id)
	for name, doc := range map[string]string{
		"a test that fails":  `[{"op":"replace","path":"/status","value":"amended"},{"op":"test","path":"/code/text","value":"x"}]`,
		"nothing there":      `[{"op":"replace","path":"/status","value":"amended"},{"op":"remove","path":"/nothing"}]`,
		"another type":       `[{"op":"replace","path":"/resourceType","value":"Condition"}]`,
		"another id":         `[{"op":"replace","path":"/id","value":"other"}]`,
		"not valid":          `[{"op":"remove","path":"/status"}]`,
		"not R4":             `[{"op":"add","path":"/nonsense","value":1}]`,
		"the server's label": `[{"op":"add","path":"/meta/security","value":[{"system":"` + consent.SystemLabel + `","code":"oversight"}]}]`,
	} {
		_, err := w.patch(system("A"), "Observation", id, doc, "")
		w.want(name, outcome(err), "422")
		if text := explain(err); strings.Contains(text, secret) || strings.Contains(text, "Line:1") {
			t.Errorf("%s: %s", name, text)
		}
	}
	w.want("stored", w.stored("Observation", id), before)
	_, err := w.patch(system("A"), "Consent", "x", `[]`, "")
	w.want("a type that a provider does not write", outcome(err), "403 forbidden-role")
	_, err = w.patch(custodian(), "AuditEvent", "x", `[]`, "")
	w.want("the record of access", outcome(err), "method not allowed")
	reader := system("A")
	reader.Scopes = smart.ParseScopes("system/*.crds")
	_, err = w.patch(reader, "Observation", id, `[]`, "")
	w.want("without the scope", outcome(err), "403 forbidden-scope")
}

// A patch of a Consent is judged like an update and counts at once.
func TestPatchOfAConsent(t *testing.T) {
	w := newClinics(t, nil)
	id := w.restrict("p", optOut, closed)
	w.want("restricted", w.reads(doctor("A"), "Observation", "o-p"), "not found")
	set := func(c consent.Caller, members string) string {
		_, err := w.patch(c, "Consent", id, members, "")
		if err != nil {
			return outcome(err)
		}
		return "released"
	}
	w.want("another patient", set(person("q"), `[{"op":"replace","path":"/status","value":"inactive"}]`), "not found")
	w.want("to whom it belongs", set(person("p"), `[{"op":"replace","path":"/patient/reference","value":"Patient/q"}]`), "not found")
	w.want("what cannot be computed", set(person("p"), `[{"op":"add","path":"/provision/code","value":[{"text":"x"}]}]`), "422")
	w.want("still restricted", w.reads(doctor("A"), "Observation", "o-p"), "not found")
	w.want("lifted", set(person("p"), `[{"op":"replace","path":"/status","value":"inactive"}]`), "released")
	if got := w.reads(doctor("A"), "Observation", "o-p"); got == "not found" {
		t.Error("a Consent that was lifted by a patch still restricts")
	}
	second := w.restrict("p", optOut, closed)
	w.want("a second one", set(person("p"), `[{"op":"replace","path":"/status","value":"active"}]`), "409")
	r, err := w.patch(person("p"), "Consent", second, `[]`, "")
	if err != nil || len(r.Items()[0].Resource.JSON) == 0 {
		t.Errorf("one's own comes back: %v", explain(err))
	}
	if n := len(w.events("patient=Patient/p&subtype=patch")); n == 0 {
		t.Error("no event of the change")
	}
}

// A proposal keeps the server's label, which nobody else could give it, and what is
// made of it is agreed to anew; a directive in force is not patched.
func TestPatchOfADirective(t *testing.T) {
	w := newClinics(t, nil)
	id := w.created(regulator(), "Basic", blockReads("Organization/A"))
	if _, err := w.patch(regulator(), "Basic", id, `[{"op":"add","path":"/created","value":"2026-08-02"}]`, ""); err != nil {
		t.Fatal(explain(err))
	}
	if got := w.stored("Basic", id); strings.Count(got, `"oversight"`) != 1 {
		t.Errorf("labels: %s", got)
	}
	if _, err := w.patch(regulator(), "Basic", id, `[{"op":"remove","path":"/meta/security"}]`, ""); err != nil {
		t.Fatal(explain(err))
	}
	if got := w.stored("Basic", id); strings.Count(got, `"oversight"`) != 1 {
		t.Errorf("labels: %s", got)
	}
	w.want("a version before", w.directs("$agree", second(), id, "1"), "precondition failed")
	w.want("the version as it is", w.directs("$agree", second(), id, "2"), "") // nothing was changed
	w.want("in force", w.reads(doctor("A"), "Observation", "o-q"), "403 blocked")
	_, err := w.patch(second(), "Basic", id, `[{"op":"remove","path":"/extension"}]`, "")
	w.want("patched in force", outcome(err), "422")
	w.want("still in force", w.reads(doctor("A"), "Observation", "o-q"), "403 blocked")
}

// Patches at one time are made one after the other: none is lost, and none is
// refused for another.
func TestPatchesAtOneTime(t *testing.T) {
	w := newClinics(t, nil)
	id := w.created(system("A"), "Observation", observation("Patient/q")+`,"note":[{"text":"first"}]`)
	const clients, each = 8, 10
	var done sync.WaitGroup
	errs := make(chan error, clients*each)
	add := w.document(`[{"op":"add","path":"/note/-","value":{"text":"more"}}]`)
	for range clients {
		done.Add(1)
		go func() {
			defer done.Done()
			for range each {
				if _, err := w.gate.Patch(w.ctx(), w.request(system("A"), "patch", "Observation"), "Observation", id, add, ""); err != nil {
					errs <- err
				}
			}
		}()
	}
	done.Wait()
	close(errs)
	for err := range errs {
		t.Error(explain(err))
	}
	got := w.stored("Observation", id)
	if n := strings.Count(got, `"more"`); n != clients*each || !strings.Contains(got, fmt.Sprintf(`"versionId":"%d"`, clients*each+1)) {
		t.Errorf("%d of %d additions: %s", n, clients*each, got[:200])
	}
}

func TestPatchInATransaction(t *testing.T) {
	w := newClinics(t, nil)
	const full = "urn:uuid:00000000-0000-4000-8000-000000000001"
	entry := func(id, doc string) gate.Entry {
		e := w.entry("patch", "Observation", id, "", "")
		e.Patch = w.document(doc)
		return e
	}
	own := w.created(system("A"), "Observation", identified("q", "1"))
	visit := w.entry("create", "Encounter", "", full, `"status":"planned","class":{"code":"AMB"},"subject":{"reference":"Patient/q"}`)
	r, err := w.transact(system("A"), entry(own, `[{"op":"add","path":"/encounter","value":{"reference":"`+full+`"}}]`), visit)
	if err != nil {
		t.Fatal(explain(err))
	}
	w.want("statuses", statuses(r), "200,201")
	if got := w.stored("Observation", own); !strings.Contains(got, "Encounter/"+r.Items()[1].Resource.ID) {
		t.Errorf("the reference to another entry: %s", got)
	}
	where := entry("", amend)
	where.Query = w.query("Observation", "identifier=urn:a|1")
	if _, err = w.transact(system("A"), where); err != nil || !strings.Contains(w.stored("Observation", own), "amended") {
		t.Errorf("conditional: %v", explain(err))
	}
	none := entry("", amend)
	none.Query = w.query("Observation", "identifier=urn:a|none")
	stale := entry(own, amend)
	stale.IfMatch = "1"
	before := w.stored("Observation", own)
	for name, bad := range map[string]struct {
		entry gate.Entry
		want  string
	}{
		"foreign":  {entry("o-q", amend), "not found"},
		"absent":   {entry("none", `[]`), "not found"},
		"no match": {none, "not found"},
		"stale":    {stale, "precondition failed"},
		"failed":   {entry(own, `[{"op":"test","path":"/status","value":"final"}]`), "422"},
		"twice":    {where, "400"},
	} {
		entries := []gate.Entry{w.entry("create", "Observation", "", "", observation("Patient/q")), bad.entry}
		if name == "twice" {
			entries[0] = entry(own, `[]`)
		}
		_, err := w.transact(system("A"), entries...)
		at := (*gate.EntryError)(nil)
		if !errors.As(err, &at) || at.Index != 1 {
			t.Errorf("%s: %v", name, explain(err))
		}
		w.want(name, outcome(err), bad.want)
	}
	w.want("undone", w.stored("Observation", own), before)
}
