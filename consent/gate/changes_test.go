package gate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir"
	"vitrine/fhir/search"
	"vitrine/fhir/smart"
	"vitrine/store"
)

// historyOf is a history as "id/version" words, all pages of it, deletions with a
// minus.
func historyOf(w *world, get func(gate.HistoryPage) (gate.Released, error), page gate.HistoryPage) string {
	w.Helper()
	var out []string
	for range 50 {
		r, err := get(page)
		if err != nil {
			return outcome(err)
		}
		for _, i := range r.Items() {
			word := i.Resource.ID + "/" + i.Resource.Version
			if i.Resource.Deleted {
				word += "-"
			}
			out = append(out, word)
		}
		if page.Cursor = r.Next(); page.Cursor == "" {
			return strings.Join(out, " ")
		}
	}
	return "no end"
}

func (w *world) changes(c consent.Caller, t fhir.ResourceType) func(gate.HistoryPage) (gate.Released, error) {
	code := "history-type"
	if t == "" {
		code = "history-system"
	}
	req := w.request(c, code, t)
	req.Interaction.Letter = 's'
	return func(p gate.HistoryPage) (gate.Released, error) { return w.gate.Changes(w.ctx(), req, t, p) }
}

// dated writes versions of two Basics a day apart: b1 on the 1st, 3rd and, deleted,
// 5th; b2 on the 2nd and 4th.
func dated(w *world) {
	w.Helper()
	for day, id := range []string{"b1", "b2", "b1", "b2"} {
		w.now = time.Date(2026, 9, day+1, 10, 0, 0, 0, time.UTC)
		w.put("Basic", id, fmt.Sprintf(`"code":{"text":"v%d"}`, day))
	}
	w.now = time.Date(2026, 9, 5, 10, 0, 0, 0, time.UTC)
	if _, err := w.gate.Delete(w.ctx(), w.request(custodian(), "delete", "Basic"), "Basic", "b1", ""); err != nil {
		w.Fatal(err)
	}
	w.put("List", "l", `"status":"current","mode":"working","entry":[{"item":{"reference":"Basic/b1/_history/2"}},{"item":{"reference":"Basic/b2"}},{"item":{"reference":"Basic/none"}}]`)
}

func september(day int) time.Time { return time.Date(2026, 9, day, 0, 0, 0, 0, time.UTC) }

func TestHistoryOfTypes(t *testing.T) {
	w := newWorld(t, nil)
	dated(w)
	for _, c := range []struct {
		name string
		page gate.HistoryPage
		want string
	}{
		{"all", gate.HistoryPage{}, "b1/3- b2/2 b1/2 b2/1 b1/1"},
		{"since", gate.HistoryPage{Since: september(3)}, "b1/3- b2/2 b1/2"},
		{"at a day of change", gate.HistoryPage{From: september(3), Until: september(4)}, "b1/2 b2/1 b1/1"},
		{"at an instant", gate.HistoryPage{From: september(4), Until: september(4).Add(time.Second)}, "b1/2 b2/1"},
		{"at the time of the deletion", gate.HistoryPage{From: september(5), Until: september(6)}, "b1/3- b2/2 b1/2"},
		{"after it", gate.HistoryPage{From: september(7), Until: september(8)}, "b2/2"},
		{"before all", gate.HistoryPage{From: september(1).AddDate(0, -1, 0), Until: september(1)}, ""},
		{"of a list", gate.HistoryPage{List: "l"}, "b2/2 b1/2 b2/1"},
		{"of a list, since", gate.HistoryPage{List: "l", Since: september(3)}, "b2/2 b1/2"},
		{"of no list", gate.HistoryPage{List: "none"}, ""},
	} {
		for _, c.page.Count = range []int{-1, 1, 2} {
			w.want(c.name, historyOf(w, w.changes(custodian(), "Basic"), c.page), c.want)
		}
	}
	w.want("of the system", historyOf(w, w.changes(custodian(), ""), gate.HistoryPage{Count: 2}), "b1/3- l/1 b2/2 b1/2 b2/1 b1/1")
	narrow := custodian()
	narrow.Scopes = smart.ParseScopes("system/List.cruds")
	w.want("of what is in scope", historyOf(w, w.changes(narrow, ""), gate.HistoryPage{}), "l/1")
	w.want("out of scope", historyOf(w, w.changes(narrow, "Basic"), gate.HistoryPage{}), "403 forbidden-scope")
	if events := w.events("subtype=history-type"); len(events) == 0 {
		t.Error("a history of a type is not on record")
	}
	r, err := w.changes(custodian(), "Basic")(gate.HistoryPage{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, get := range map[string]func(gate.HistoryPage) (gate.Released, error){"another type": w.changes(custodian(), "List"), "all types": w.changes(custodian(), "")} {
		w.want("a page of "+name, historyOf(w, get, gate.HistoryPage{Cursor: r.Next()}), "bad cursor")
	}
}

// Scenario 66: what answers about others' writes is there for nobody else.
func TestHistoryOfTypesIsOverseen(t *testing.T) {
	w := newClinics(t, nil)
	for name, c := range map[string]consent.Caller{"doctor": doctor("A"), "system": system("A"), "patient": person("p"), "regulator": regulator(), "nobody": {}} {
		for _, typ := range []fhir.ResourceType{"", "Patient", "Observation"} {
			w.want(name+" "+string(typ), historyOf(w, w.changes(c, typ), gate.HistoryPage{}), "method not allowed")
		}
	}
	w.want("the doctor's of AuditEvents", historyOf(w, w.changes(doctor("A"), "AuditEvent"), gate.HistoryPage{}), "method not allowed")
	for name, c := range map[string]consent.Caller{"regulator": regulator(), "custodian": custodian()} {
		first, err := w.changes(c, "AuditEvent")(gate.HistoryPage{Count: 2})
		if err != nil || len(first.Items()) != 2 || first.Next() == "" {
			t.Fatalf("AuditEvents of the %s: %d, %v", name, len(first.Items()), err)
		}
		if next, err := w.changes(c, "AuditEvent")(gate.HistoryPage{Count: 2, Cursor: first.Next()}); err != nil || len(next.Items()) != 2 || next.Items()[0].Resource.ID == first.Items()[1].Resource.ID {
			t.Errorf("the next page of the %s: %v", name, err)
		}
		w.want("AuditEvents to come", historyOf(w, w.changes(c, "AuditEvent"), gate.HistoryPage{Since: w.now.Add(time.Hour)}), "")
	}
}

// TestHistoryOfOneFiltered: the same parameters of one resource, in the universe
// of the caller, its List too.
func TestHistoryOfOneFiltered(t *testing.T) {
	w := newClinics(t, nil)
	for day := 2; day <= 5; day++ {
		w.now = september(day)
		w.put("Observation", "o-q", observation("Patient/q")+fmt.Sprintf(`,"issued":"2026-09-0%dT00:00:00Z"`, day))
	}
	w.put("List", "secret", `"status":"current","mode":"working","subject":{"reference":"Patient/p"},"entry":[{"item":{"reference":"Observation/o-q/_history/2"}}]`)
	w.put("List", "open", `"status":"current","mode":"working","subject":{"reference":"Patient/q"},"entry":[{"item":{"reference":"Observation/o-q/_history/2"}}]`)
	w.restrict("p", optOut, closed)
	for _, c := range []struct {
		name string
		page gate.HistoryPage
		want string
	}{
		{"all", gate.HistoryPage{}, "o-q/5 o-q/4 o-q/3 o-q/2 o-q/1"},
		{"since", gate.HistoryPage{Since: september(4)}, "o-q/5 o-q/4"},
		{"at", gate.HistoryPage{From: september(3), Until: september(4)}, "o-q/3"},
		{"at two", gate.HistoryPage{From: september(3), Until: september(4).Add(1)}, "o-q/4 o-q/3"},
		{"at and since", gate.HistoryPage{From: september(3), Until: september(5).Add(1), Since: september(4)}, "o-q/5 o-q/4"},
		{"of a list", gate.HistoryPage{List: "open"}, "o-q/2"},
		{"of a hidden list", gate.HistoryPage{List: "secret"}, ""},
		{"of no list", gate.HistoryPage{List: "none"}, ""},
	} {
		for _, c.page.Count = range []int{-1, 1, 2} {
			get := func(p gate.HistoryPage) (gate.Released, error) {
				return w.gate.History(w.ctx(), w.request(doctor("A"), "history-instance", "Observation"), "Observation", "o-q", p)
			}
			w.want(c.name, historyOf(w, get, c.page), c.want)
		}
	}
	hidden := func(p gate.HistoryPage) (gate.Released, error) {
		return w.gate.History(w.ctx(), w.request(doctor("A"), "history-instance", "Observation"), "Observation", "o-p", p)
	}
	w.want("hidden", historyOf(w, hidden, gate.HistoryPage{From: september(3), Until: september(4)}), "not found")
}

// TestListsOfHistoriesAreOnRecord: a List that a history is asked for is read, and
// whom it is about is told so; of one that is hidden or not there nobody is.
func TestListsOfHistoriesAreOnRecord(t *testing.T) {
	w := newClinics(t, nil)
	list := func(id, subject string) {
		w.put("List", id, `"status":"current","mode":"working","subject":{"reference":"Patient/`+subject+`"},"entry":[{"item":{"reference":"Observation/o-p"}}]`)
	}
	list("q", "q")
	list("r", "r")
	w.restrict("r", optOut, closed)
	events := func(patient string) int {
		return len(w.events("patient=Patient/" + patient + "&subtype=history-instance&entity=List/" + patient))
	}
	page := func(id string) gate.HistoryPage { return gate.HistoryPage{Count: -1, List: id} }
	for _, id := range []string{"q", "r", "none"} {
		if _, err := w.gate.History(w.ctx(), w.request(doctor("A"), "history-instance", "Observation"), "Observation", "o-p", page(id)); err != nil {
			t.Fatal(id, err)
		}
	}
	w.want("by itself", fmt.Sprint(events("q"), events("r")), "1 0")
	entry := gate.Entry{Interaction: gate.Interaction{Code: "history-instance", Letter: 'r'}, Type: "Observation", ID: "o-p", Method: "GET", Target: "/Observation/o-p/_history?_list=q", History: page("q")}
	if _, err := w.transact(doctor("A"), entry); err != nil {
		t.Fatal(explain(err))
	}
	w.want("in a transaction", fmt.Sprint(events("q")), "2")
	if _, err := w.changes(custodian(), "Observation")(page("r")); err != nil {
		t.Fatal(err)
	}
	w.want("of a type", fmt.Sprint(len(w.events("patient=Patient/r&subtype=history-type&entity=List/r"))), "1")
}

// TestHistoriesLookAtSoManyVersions: a page from which some versions are left out
// ends at a bound, whether a List leaves them out or a time does.
func TestHistoriesLookAtSoManyVersions(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Basic", "b", `"code":{"text":"x"}`)
	w.put("List", "l", `"status":"current","mode":"working","entry":[{"item":{"reference":"Basic/b/_history/1"}}]`)
	err := w.store.Write(w.ctx(), func(tx store.Tx) error {
		for n := 2; n <= 10_001; n++ {
			version := fmt.Sprint(n)
			text := `{"resourceType":"Basic","id":"b","meta":{"versionId":"` + version + `","lastUpdated":"2026-09-01T10:00:00.000Z"},"code":{"text":"x"}}`
			v := store.Version{Version: version, Updated: w.now, JSON: []byte(text), Entries: &search.Entries{}}
			if err := tx.Put(store.Put{Row: consent.Row{Type: "Basic", Home: consent.HomeShared}, ID: "b", Full: v}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(p gate.HistoryPage) string {
		r, err := w.gate.History(w.ctx(), w.request(custodian(), "history-instance", "Basic"), "Basic", "b", p)
		if err != nil {
			return outcome(err)
		}
		return fmt.Sprint(len(r.Items()))
	}
	w.want("all", get(gate.HistoryPage{Count: 5}), "5")
	w.want("since", get(gate.HistoryPage{Count: 5, Since: september(1)}), "5")
	w.want("the first of many", get(gate.HistoryPage{Count: 5, List: "l"}), "too costly")
	w.want("at a time before all", get(gate.HistoryPage{Count: 5, From: september(1), Until: september(1).Add(time.Hour)}), "too costly")
}
