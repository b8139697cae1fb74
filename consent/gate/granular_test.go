package gate_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/smart"
)

const categories = "http://terminology.hl7.org/CodeSystem/observation-category"

// part is a scope for reading the Observations of a category.
func part(context, letters, category string) string {
	return context + "/Observation." + letters + "?category=" + categories + "|" + category
}

// scoped is the doctor of A with those scopes.
func scoped(scopes ...string) consent.Caller {
	c := doctor("A")
	c.Scopes = smart.ParseScopes(strings.Join(scopes, " "))
	return c
}

// launched has a launch patient besides.
func launched(patient string, scopes ...string) consent.Caller {
	c := scoped(scopes...)
	c.Patient = patient
	return c
}

// observe stores an Observation of some categories.
func (w *world) observe(id, patient, status string, of ...string) {
	w.Helper()
	var list []string
	for _, c := range of {
		list = append(list, concept(categories, c))
	}
	members := `"status":"` + status + `","code":{"text":"` + id + `"},"subject":{"reference":"Patient/` + patient + `"}`
	if len(list) > 0 {
		members += `,"category":[` + strings.Join(list, ",") + `]`
	}
	w.put("Observation", id, members)
}

// newParts is a world in which p and q have Observations of two categories, of both
// and of none, and reports of them. hidden says whether there is what a scope for
// laboratory leaves out.
func newParts(t testing.TB, hidden bool) *world {
	t.Helper()
	w := newWorld(t, nil)
	w.put("Organization", "A", `"active":true,"name":"Clinic"`)
	w.put("Practitioner", "dA", `"active":true`)
	w.put("PractitionerRole", "A1", `"active":true,"practitioner":{"reference":"Practitioner/dA"},"organization":{"reference":"Organization/A"},"code":[`+
		concept("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")+`]`)
	for _, p := range []string{"p", "q"} {
		w.put("Patient", p, `"gender":"female","birthDate":"1980-02-03"`)
		w.register(p, "A")
		w.now = w.now.Add(1e9)
		w.observe("lab-"+p, p, "final", "laboratory")
		w.observe("both-"+p, p, "final", "laboratory", "vital-signs")
		if hidden {
			w.observe("vital-"+p, p, "final", "vital-signs")
			w.observe("none-"+p, p, "final")
			w.observe("gone-"+p, p, "final", "vital-signs")
			w.observe("late-"+p, p, "final", "laboratory") // and no more
			w.observe("late-"+p, p, "amended", "vital-signs")
			if _, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", "Observation"), "Observation", "gone-"+p, ""); err != nil {
				t.Fatal(err)
			}
		}
		w.put("DiagnosticReport", "r-"+p, `"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+p+
			`"},"result":[{"reference":"Observation/lab-`+p+`"},{"reference":"Observation/vital-`+p+`"}]`)
		w.put("DiagnosticReport", "s-"+p, `"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+p+`"},"result":[{"reference":"Observation/vital-`+p+`"}]`)
	}
	return w
}

// TestPartsOfATypeAreAllThereIs of it: the table has who asks what, and what there
// is.
func TestPartsOfATypeAreAllThereIs(t *testing.T) {
	w := newParts(t, true)
	lab, vital := part("user", "rs", "laboratory"), part("user", "rs", "vital-signs")
	const all = "both-p both-q lab-p lab-q late-p late-q none-p none-q vital-p vital-q"
	for _, c := range []struct {
		what  string
		who   consent.Caller
		query string
		want  string
	}{
		{"one part", scoped(lab), "", "both-p both-q lab-p lab-q"},
		{"one part of one patient", scoped(lab), "patient=p", "both-p lab-p"},
		{"what the part has not", scoped(lab), "category=vital-signs", "both-p both-q"},
		{"what is not so", scoped(lab), "category:not=vital-signs", "lab-p lab-q"},
		{"by id", scoped(lab), "_id=vital-p,lab-p", "lab-p"},
		{"two parts", scoped(lab, vital), "patient=p", "both-p lab-p late-p vital-p"},
		{"a part by what is absent", scoped("user/Observation.rs?category:missing=true"), "", "none-p none-q"},
		{"a part by two conditions", scoped(lab + "&status=amended"), "", ""},
		{"a part that spells its query", scoped("user/Observation.rs?category=" + url.QueryEscape(categories+"|laboratory")), "patient=p", "both-p lab-p"},
		{"a part with alternatives", scoped("user/Observation.rs?category=laboratory,vital-signs"), "patient=p", "both-p lab-p late-p vital-p"},
		{"the whole beside a part", scoped(lab, "user/Observation.rs"), "", all},
		{"everything beside a part", scoped(lab, "user/*.rs"), "", all},
		{"the whole of another type", scoped(lab, "user/DiagnosticReport.rs"), "", "both-p both-q lab-p lab-q"},
		{"a part for the launch patient", launched("p", part("patient", "rs", "laboratory")), "", "both-p lab-p"},
		{"the same, of another", launched("p", part("patient", "rs", "laboratory")), "patient=q", ""},
		{"a part of the launch patient beside the whole", launched("p", part("patient", "rs", "laboratory"), "user/Observation.rs"), "", all},
		{"the launch patient's whole beside a part", launched("p", "patient/Observation.rs", lab), "", "both-p both-q lab-p lab-q late-p none-p vital-p"},
		{"two parts, one of the launch patient", launched("p", part("patient", "rs", "vital-signs"), lab), "", "both-p both-q lab-p lab-q late-p vital-p"},
		{"a launch patient's beside, without one", scoped(part("patient", "rs", "vital-signs"), lab), "", "both-p both-q lab-p lab-q"},
		{"to search, not to read", scoped(part("user", "s", "laboratory"), "user/Observation.r"), "", "both-p both-q lab-p lab-q"},
		{"to read, not to search", scoped(part("user", "r", "laboratory")), "", "403 forbidden-scope"},
		{"one's own part", func() consent.Caller {
			c := person("p")
			c.Scopes = smart.ParseScopes(part("patient", "rs", "laboratory"))
			return c
		}(), "", "both-p lab-p"},
	} {
		w.want(c.what, w.sees(c.who, "Observation", c.query), c.want)
		if strings.HasPrefix(c.want, "403") {
			continue
		}
		counted, err := w.search(c.who, "Observation", c.query+"&_summary=count")
		if err != nil || counted.Total() != len(strings.Fields(c.want)) {
			t.Errorf("%s: total %d, %v; want %d", c.what, counted.Total(), err, len(strings.Fields(c.want)))
		}
		if strings.HasPrefix(c.what, "to search") {
			continue
		}
		for id := range strings.FieldsSeq(all) { // a read has what a search has
			found := c.query == "" && slices.Contains(strings.Fields(c.want), id)
			if got := w.reads(c.who, "Observation", id); c.query == "" && found != strings.Contains(got, id) {
				t.Errorf("%s: reading %s says %.60s", c.what, id, got)
			}
		}
	}
}

// TestQueriesOfScopesThatOpenNothing: what is not a condition on the resource itself,
// or not understood, is as good as no scope.
func TestQueriesOfScopesThatOpenNothing(t *testing.T) {
	w := newParts(t, true)
	for _, query := range []string{
		"", "category", "category=", "nonsense=x", "category:nonsense=x", "category=laboratory&nonsense=x", "category=laboratory&", "&category=laboratory", "=x",
		"subject.name=x", "subject:Patient.gender=female", "_has:DiagnosticReport:result:status=final", "_filter=status%20eq%20final", "_text=x", "_content=x", "code:text=x",
		"_include=Observation:subject", "_sort=date", "_count=1", "_total=none", "_summary=true", "_elements=id", "_contained=true", "_list=x", "_type=Observation",
		"category=laboratory&_count=0", "category=laboratory&_include=*", "code:in=http://x.example/vs", "code:below=http://x.example|y", "category:not-in=http://x.example/vs",
		"date=notadate", "category=%ZZ", "category=%FF", "status=final?category=laboratory&", strings.Repeat("x", 2000),
	} {
		for _, context := range []string{"user", "patient"} {
			c := launched("p", context+"/Observation.rs?"+query)
			w.want(context+" search by "+query, w.sees(c, "Observation", ""), "403 forbidden-scope")
			w.want(context+" read by "+query, w.reads(c, "Observation", "lab-p"), "403 forbidden-scope")
		}
	}
	for _, scope := range []string{"user/*.rs?category=laboratory", "user/Observation.read?category=laboratory", "user/Observation.*?category=laboratory"} {
		w.want(scope, w.sees(scoped(scope), "Observation", ""), "403 forbidden-scope")
	}
	for _, code := range []string{"create", "update", "delete"} { // parts are for reading
		c := scoped(part("user", "cruds", "laboratory"))
		if err := w.attempt(c, code); outcome(err) != "403 forbidden-scope" {
			t.Errorf("%s: got %v", code, err)
		}
	}
	c := scoped(strings.ReplaceAll(part("user", "rs", "x"), "Observation", "Patient"), "user/Patient.rs?gender=female")
	for _, code := range []string{"$access", "$meta", "history-type"} {
		r := w.request(c, code, "Patient")
		_, err := w.gate.Access(t.Context(), r, "p")
		if outcome(err) != "403 forbidden-scope" {
			t.Errorf("%s: got %v", code, err)
		}
	}
}

func (w *world) attempt(c consent.Caller, code string) error {
	var err error
	switch r := w.request(c, code, "Observation"); code {
	case "create":
		_, err = w.create(c, "Observation", observation("Patient/p"))
	case "update":
		_, err = w.update(c, "Observation", "lab-p", observation("Patient/p"), "")
	default:
		_, err = w.gate.Delete(w.ctx(), r, "Observation", "lab-p", "")
	}
	return err
}

// asked is everything that a caller may ask, by what it is, for a comparison of two
// worlds.
func (w *world) asked(c consent.Caller) map[string]string {
	w.Helper()
	out := map[string]string{}
	said := func(what string, r gate.Released, err error) {
		text := fmt.Sprint(r.Total(), " ", r.Hint(), " ", r.Next() != "", " ", r.Partial(), " ", r.Missed())
		if err != nil {
			text = outcome(err)
		}
		var items []string
		for _, i := range r.Items() {
			items = append(items, fmt.Sprintf(" %s/%s %v", i.Resource.Type, i.Resource.ID, i.Mode))
		}
		if !strings.Contains(what, "_sort") { // the order between patients is the store's own
			slices.Sort(items)
		}
		out[what] = text + strings.Join(items, "")
	}
	find := func(t fhir.ResourceType, query string) {
		r, err := w.search(c, t, query)
		said(string(t)+"?"+query, r, err)
	}
	for _, q := range []string{
		"", "patient=p", "patient=p&_summary=count", "_id=vital-p", "category=vital-signs", "category:not=laboratory", "status=final&_total=accurate", "patient=p&_count=1", "_sort=-_lastUpdated",
		"_sort=status", "_has:DiagnosticReport:result:status=final", "subject:Patient.gender=female", "_include=Observation:subject", "_revinclude=DiagnosticReport:result", "_contained=true",
		"_contained=both", "_filter=category+eq+vital-signs+or+status+eq+amended", "_lastUpdated=ge2000",
	} {
		find("Observation", q)
	}
	for _, q := range []string{
		"result.status=final", "result:Observation.category=vital-signs", "result.status:missing=false", "patient=p&_include=DiagnosticReport:result", "_include:iterate=*", "result=Observation/vital-p",
	} {
		find("DiagnosticReport", q)
	}
	find("Patient", "_has:Observation:patient:category=vital-signs")
	find("Patient", "_has:Observation:patient:status=amended")
	find("Patient", "_revinclude=Observation:patient")
	for _, id := range []string{"lab-p", "vital-p", "none-q", "late-p", "gone-p", "never"} {
		r, err := w.read(c, "Observation", id)
		said("read "+id, r, err)
		for _, v := range []string{"1", "2", "3"} {
			r, err := w.gate.Version(w.ctx(), w.request(c, "vread", "Observation"), "Observation", id, v)
			said("vread "+id+" "+v, r, err)
		}
		r, err = w.gate.History(w.ctx(), w.request(c, "history-instance", "Observation"), "Observation", id, gate.HistoryPage{Count: -1})
		said("history "+id, r, err)
	}
	r, err := w.gate.Everything(w.ctx(), w.request(c, "$everything", "Patient"), "p", gate.EverythingPage{Count: -1})
	said("everything", r, err)
	entry := w.entry("read", "Observation", "vital-p", "", "")
	entry.Interaction.Letter = 'r'
	r, err = w.transact(c, entry)
	said("in a transaction", r, err)
	entry = w.entry("search-type", "Observation", "", "", "")
	entry.Interaction.Letter, entry.Query = 's', w.query("Observation", "category=vital-signs")
	r, err = w.transact(c, entry)
	said("searched in a transaction", r, err)
	if err == nil && len(r.Items()) == 1 && r.Items()[0].Answer != nil {
		said("what that found", *r.Items()[0].Answer, nil)
	}
	return out
}

// TestOutsideAPartThereIsNothing: two worlds that differ in what is in no part are
// the same world.
func TestOutsideAPartThereIsNothing(t *testing.T) {
	with, without := newParts(t, true), newParts(t, false)
	for what, c := range map[string]consent.Caller{
		"a part":                         scoped(part("user", "rs", "laboratory"), "user/DiagnosticReport.rs", "user/Patient.rs"),
		"a part of the launch patient's": launched("p", part("patient", "rs", "laboratory"), "patient/DiagnosticReport.rs", "patient/Patient.rs"),
		"parts of both":                  launched("p", part("patient", "rs", "laboratory"), part("user", "rs", "laboratory"), "user/DiagnosticReport.rs", "user/Patient.rs"),
		"to search a part and to read all of another": scoped(part("user", "s", "laboratory"), part("user", "r", "laboratory"), "user/DiagnosticReport.rs", "user/*.r?x=y"),
	} {
		one, other := with.asked(c), without.asked(c)
		if d := cmp.Diff(other, one); d != "" {
			t.Errorf("%s: the worlds can be told apart (-without +with):\n%s", what, d)
		}
		if strings.Contains(one["Observation?"], "403") || !strings.Contains(one["Observation?"], "lab-p") {
			t.Errorf("%s: nothing was asked: %s", what, one["Observation?"])
		}
	}
}

// TestVersionsOfAPart: those are there that were in the part, of what is.
func TestVersionsOfAPart(t *testing.T) {
	w := newParts(t, false)
	for i, of := range []string{"vital-signs", "laboratory", "vital-signs", "laboratory"} {
		w.now = w.now.Add(1e9)
		w.observe("turn", "p", []string{"preliminary", "final", "amended", "corrected"}[i], of)
	}
	c := scoped(part("user", "rs", "laboratory"))
	versions := func(count int, cursor string) (string, string) {
		r, err := w.gate.History(t.Context(), w.request(c, "history-instance", "Observation"), "Observation", "turn", gate.HistoryPage{Count: count, Cursor: cursor})
		if err != nil {
			return outcome(err), ""
		}
		out := fmt.Sprint(r.Total())
		for _, i := range r.Items() {
			out += " " + i.Resource.Version
		}
		return out, r.Next()
	}
	got, _ := versions(-1, "")
	w.want("all", got, "2 4 2")
	got, next := versions(1, "")
	w.want("the first page", got, "2 4")
	got, next = versions(1, next)
	w.want("the second page", got, "2 2")
	w.want("and no more", next, "")
	for version, want := range map[string]bool{"1": false, "2": true, "3": false, "4": true, "5": false} {
		_, err := w.gate.Version(t.Context(), w.request(c, "vread", "Observation"), "Observation", "turn", version)
		if (err == nil) != want {
			t.Errorf("version %s: %v", version, err)
		}
	}
	if _, err := w.gate.Delete(t.Context(), w.request(custodian(), "delete", "Observation"), "Observation", "turn", ""); err != nil {
		t.Fatal(err)
	}
	got, _ = versions(-1, "")
	w.want("when it is deleted", got, "not found")
	w.now = w.now.Add(1e9)
	w.observe("turn", "p", "final", "laboratory")
	got, _ = versions(-1, "")
	w.want("when it has come back", got, "3 6 4 2")
	w.now = w.now.Add(1e9)
	w.observe("turn", "p", "amended", "vital-signs")
	got, _ = versions(-1, "")
	w.want("when it has left the part", got, "not found")
	_, err := w.gate.Version(t.Context(), w.request(c, "vread", "Observation"), "Observation", "turn", "2")
	w.want("and one of before", fmt.Sprint(err), "not found")
}

// TestPartsAreWhatAFilterLeaves: random scopes, held against a filter by hand.
func TestPartsAreWhatAFilterLeaves(t *testing.T) {
	w := newParts(t, true)
	of := map[string][]string{
		"lab": {"laboratory"}, "vital": {"vital-signs"}, "both": {"laboratory", "vital-signs"}, "none": nil, "late": {"vital-signs"},
	}
	status := map[string]string{"late": "amended"}
	conditions := map[string]func(kind string) bool{
		"":                                   func(string) bool { return true },
		"?category=laboratory":               func(k string) bool { return slices.Contains(of[k], "laboratory") },
		"?category=vital-signs":              func(k string) bool { return slices.Contains(of[k], "vital-signs") },
		"?category:not=laboratory":           func(k string) bool { return !slices.Contains(of[k], "laboratory") },
		"?category:missing=true":             func(k string) bool { return len(of[k]) == 0 },
		"?status=amended":                    func(k string) bool { return status[k] == "amended" },
		"?category=vital-signs&status=final": func(k string) bool { return slices.Contains(of[k], "vital-signs") && status[k] == "" },
		"?nonsense=x":                        func(string) bool { return false },
	}
	var queries []string
	for q := range conditions {
		queries = append(queries, q)
	}
	slices.Sort(queries)
	rapid.Check(t, func(rt *rapid.T) {
		var scopes []string
		opened := map[string]bool{}
		for range rapid.IntRange(1, 4).Draw(rt, "scopes") {
			context, query := rapid.SampledFrom([]string{"user", "patient"}).Draw(rt, "context"), rapid.SampledFrom(queries).Draw(rt, "query")
			scopes = append(scopes, context+"/Observation.rs"+query)
			for kind := range of {
				for _, p := range []string{"p", "q"} {
					if conditions[query](kind) && (context == "user" || p == "p") {
						opened[kind+"-"+p] = true
					}
				}
			}
		}
		want := []string{}
		for id := range opened {
			want = append(want, id)
		}
		slices.Sort(want)
		c := launched("p", scopes...)
		got := w.sees(c, "Observation", "")
		if open := slices.ContainsFunc(scopes, func(s string) bool { return !strings.Contains(s, "nonsense") }); !open {
			if got != "403 forbidden-scope" {
				rt.Errorf("%v: got %q, want a refusal", scopes, got)
			}
			return
		}
		if got != strings.Join(want, " ") {
			rt.Errorf("%v: got %q, want %q", scopes, got, want)
		}
		for kind := range of {
			id := kind + "-" + rapid.SampledFrom([]string{"p", "q"}).Draw(rt, "patient")
			if read := strings.Contains(w.reads(c, "Observation", id), `"id":"`+id); read != opened[id] {
				rt.Errorf("%v: reading %s: %v, want %v", scopes, id, read, opened[id])
			}
		}
	})
}
