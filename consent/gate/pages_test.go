package gate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vitrine/consent"
	"vitrine/consent/gate"
	"vitrine/fhir/search"
	"vitrine/store"
)

// forgetful keeps no view for later.
type forgetful struct{ store.Store }

func (forgetful) At(context.Context, []byte) (store.Snapshot, error) { return nil, store.ErrBadCursor }

// next is the page after one.
func (w *world) next(who consent.Caller, q *search.Query, r gate.Released) (gate.Released, error) {
	return w.gate.Search(w.ctx(), w.request(who, "search-type", q.Type), q, r.Next())
}

// organizations are some, named against the order of their ids.
func (w *world) organizations(n int) {
	w.Helper()
	for i := range n {
		w.put("Organization", fmt.Sprintf("o%d", i), fmt.Sprintf(`"active":true,"name":"N%d"`, n-i))
	}
}

// TestViewsThatAreNotKept: without its view a search that sorts is at its end, for
// its order may be another now; one that does not goes on.
func TestViewsThatAreNotKept(t *testing.T) {
	w := newWorld(t, func(s store.Store) store.Store { return forgetful{s} })
	w.organizations(5)
	for _, row := range []struct {
		query string
		want  error
	}{{"_count=2", nil}, {"_count=2&_sort=name", gate.ErrBadCursor}} {
		q := w.query("Organization", row.query)
		first := w.searched(custodian(), q)
		if len(first.Items()) != 2 || first.Next() == "" {
			t.Fatalf("%s: %q", row.query, answered(first))
		}
		second, err := w.next(custodian(), q, first)
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.query, err, row.want)
		}
		if row.want == nil && (len(second.Items()) != 2 || slices.Equal(answered(first), answered(second))) {
			t.Errorf("%s: %q after %q", row.query, answered(second), answered(first))
		}
	}
}

// TestWhatIsRestrictedBetweenPages is gone from the next one, whichever view it is
// of; what was to follow it moves up, and the end is where it is seen to be.
func TestWhatIsRestrictedBetweenPages(t *testing.T) {
	for _, query := range []string{"_count=1", "_count=1&_sort=_id", "_count=2&_sort=-_lastUpdated"} {
		w := newClinics(t, nil)
		q := w.query("Condition", query)
		first := w.searched(doctor("A"), q)
		if first.Next() == "" {
			t.Fatalf("%s: %q", query, answered(first))
		}
		seen := answered(first)
		for _, p := range []string{"p", "q", "r"} {
			if !slices.ContainsFunc(seen, func(s string) bool { return strings.HasSuffix(s, "c-"+p) }) {
				w.restrict(p, "OPTOUT", `{"type":"deny"}`)
			}
		}
		second, err := w.next(doctor("A"), q, first)
		if err != nil || len(second.Items()) != 0 || second.Next() != "" {
			t.Errorf("%s: %q %v, next %q", query, answered(second), err, second.Next())
		}
	}
}

// TestSearchesInTransactions: what a search entry finds and includes is on record
// with the commit.
func TestSearchesInTransactions(t *testing.T) {
	w := newClinics(t, nil)
	w.put("Patient", "twin", `"gender":"male","link":[{"other":{"reference":"Patient/p"},"type":"seealso"}]`)
	w.register("twin", "A")
	entry := gate.Entry{Interaction: gate.Interaction{Code: "search-type", Letter: 's'}, Type: "Patient", Query: w.query("Patient", "_id=twin&_include=Patient:link")}
	whole := gate.Entry{Interaction: gate.Interaction{Code: "search-system", Letter: 's'}, Query: w.query("", "_type=Condition,Observation&_id=c-q,o-q")}
	r, err := w.transact(doctor("A"), entry, whole)
	if err != nil {
		t.Fatal(explain(err))
	}
	for i, want := range []string{"match Patient/twin include Patient/p", "match Condition/c-q match Observation/o-q"} {
		if got := strings.Join(answered(*r.Items()[i].Answer), " "); got != want {
			t.Errorf("entry %d: %s", i, got)
		}
	}
	for p, subtype := range map[string]string{"p": "search-type", "q": "search-system", "twin": "search-type"} {
		if n := len(w.events("patient=Patient/" + p + "&subtype=" + subtype)); n != 1 {
			t.Errorf("nothing on record about %s", p)
		}
	}
}
