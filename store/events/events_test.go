package events_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"vitrine/consent"
	"vitrine/fhir/search"
	"vitrine/store/storetest"
)

// TestPostingsAreThoseOfTheIndexer: what is made of an event by its shape is
// what the general indexer makes of its JSON, as far as it is posted.
func TestPostingsAreThoseOfTheIndexer(t *testing.T) {
	i := storetest.Events(t)
	quick, slow := i.NewMaker(), i.NewMaker()
	rapid.Check(t, func(t *rapid.T) {
		ev := storetest.DrawEvent(t)
		var got, want search.Entries
		if err := quick.Postings(&got, &ev); err != nil {
			t.Fatal(err)
		}
		all, err := slow.Entries(nil, &ev, uuid.UUID(ev.ID).String(), consent.EditionFull)
		if err != nil {
			t.Fatal(err)
		}
		for p, v := range all.All() {
			lead, ok := i.Lead(consent.EditionFull, search.Match{Param: p, Op: search.OpEqual, Key: v})
			if i.Chronological(p) || (ok && lead.Param == p && string(lead.Key) == string(v)) {
				want.Add(p, v)
			}
		}
		got.Sort()
		want.Sort()
		if d := cmp.Diff(texts(&want), texts(&got)); d != "" {
			t.Errorf("%+v\npostings (-indexer +made):\n%s", ev, d)
		}
	})
}

func texts(e *search.Entries) (all []string) {
	for p, v := range search.Encoded(e.AppendBinary(nil)).All() {
		all = append(all, string(rune(p))+" "+string(v))
	}
	return all
}
