package storetest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir/search"
	"vitrine/store"
)

// event is a read of a patient's record, or of nothing.
func event(n byte, patient string) audit.Event {
	return audit.Event{
		ID: [16]byte{0: n, 15: n}, Recorded: moment(int(n)), Kind: audit.KindRest,
		Interaction: "read", Action: audit.ActionRead, Patient: patient,
		Reason: "secret-reason", Entities: []string{"Observation/o1/_history/1"},
	}
}

func uuid(e audit.Event) string {
	h := hex.EncodeToString(e.ID[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func testReceipts(t *testing.T, st store.Store) {
	if (store.Receipt{}).Valid() {
		t.Error("the zero receipt proves something")
	}
	if r, err := st.Record(t.Context()); err != nil || r.Valid() {
		t.Errorf("no records: got a receipt %v, %v, want one that proves nothing", r.Valid(), err)
	}
	e := event(1, "p1")
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			r, err := st.Record(t.Context(), e.AppendBinary(nil), e.AppendBinary(nil))
			if err != nil || !r.Valid() {
				t.Errorf("record: got a receipt %v, %v", r.Valid(), err)
			}
		})
	}
	wait.Wait()
}

func testAuditEvents(t *testing.T, st store.Store) {
	mine, other, nobodys := event(1, "p1"), event(2, "p2"), event(3, "")
	if _, err := st.Record(t.Context(), mine.AppendBinary(nil), other.AppendBinary(nil), nobodys.AppendBinary(nil)); err != nil {
		t.Fatalf("record: %v", err)
	}
	for range 2 { // a second time finds nothing new
		if err := st.Settle(t.Context()); err != nil {
			t.Fatalf("settle: %v", err)
		}
	}
	s := open(t, st)
	q := query("AuditEvent")
	same(t, "everything", sortedCopy(labels(all(t, s, consent.Everything(), q))), []string{
		"AuditEvent/" + uuid(mine) + "/1", "AuditEvent/" + uuid(other) + "/1", "AuditEvent/" + uuid(nobodys) + "/1",
	})
	self := levels{"p1": consent.Self, "p2": consent.Full}
	own := all(t, s, self.to("p1", "p2"), q)
	same(t, "one's own", labels(own), []string{"AuditEvent/" + uuid(mine) + "/b1"})
	same(t, "another's", labels(all(t, s, levels{"p2": consent.Full}.to("p2"), q)), []string{})
	byID := query("AuditEvent", search.Clause{Any: []search.Match{search.IDMatch(uuid(mine))}})
	same(t, "by id", labels(all(t, s, consent.Everything(), byID)), []string{"AuditEvent/" + uuid(mine) + "/1"})

	full, err := s.Read(t.Context(), consent.Everything(), "AuditEvent", uuid(mine))
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	same(t, "full", string(full.JSON), string(mine.AppendJSON(nil, uuid(mine), consent.EditionFull)))
	same(t, "recorded", full.Updated, mine.Recorded)
	for _, f := range append(own[:len(own):len(own)], full) {
		if !bytes.Equal(f.Record, mine.AppendBinary(nil)) {
			t.Errorf("the record behind edition %d: got %x", f.Edition, f.Record)
		}
	}
	if len(own) != 1 || bytes.Contains(own[0].JSON, []byte("secret-reason")) {
		t.Errorf("the patient's edition shows what it must not: %v", labels(own))
	}
	if _, err := s.Read(t.Context(), levels{"p1": consent.Full}.to("p1"), "AuditEvent", uuid(mine)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a provider's read: got %v, want %v", err, store.ErrNotFound)
	}
	if got, err := s.Version(t.Context(), self.to("p1"), "AuditEvent", uuid(mine), "b1"); err != nil || !bytes.Equal(got.JSON, own[0].JSON) {
		t.Errorf("its version: got %s, %v", got.JSON, err)
	}
}

func testAuditWithWrite(t *testing.T, st store.Store) {
	kept, lost := event(1, "p1"), event(2, "p1")
	failed := errors.New("no")
	_ = st.Write(t.Context(), func(tx store.Tx) error { tx.Record(lost.AppendBinary(nil)); return failed })
	err := st.Write(t.Context(), func(tx store.Tx) error {
		tx.Record(kept.AppendBinary(nil))
		return tx.Put(first(of("Observation", "p1"), "o1"))
	})
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	if err := st.Settle(t.Context()); err != nil {
		t.Fatalf("settle: %v", err)
	}
	same(t, "recorded", labels(all(t, open(t, st), consent.Everything(), query("AuditEvent"))), []string{"AuditEvent/" + uuid(kept) + "/1"})
}

// testOwnEvents: whatever comes at the same time, a patient finds the edition of
// the record of access that is for patients, of nobody else's, and never misses
// what was there before.
func testOwnEvents(t *testing.T, st store.Store) {
	const writers, each = 3, 40
	var wait sync.WaitGroup
	var done atomic.Int64
	for w := range writers {
		wait.Go(func() {
			defer done.Add(1)
			for i := range each {
				e := event(byte(i), []string{"p1", "p2", ""}[i%3])
				e.ID[7] = byte(w + 1)
				var err error
				if w == 0 {
					err = st.Write(context.Background(), func(tx store.Tx) error {
						tx.Record(e.AppendBinary(nil))
						return tx.Put(first(of("Observation", "p1"), "o"+number(i)))
					})
				} else {
					_, err = st.Record(context.Background(), e.AppendBinary(nil))
				}
				if err == nil && i%8 == 0 {
					err = st.Settle(context.Background())
				}
				if err != nil {
					t.Errorf("record: %v", err)
				}
			}
		})
	}
	sorted := query("AuditEvent")
	sorted.Sort = []search.SortKey{{Param: search.ParamLastUpdated, Range: true, Descending: true}}
	for _, q := range []*search.Query{query("AuditEvent"), sorted} {
		wait.Go(func() {
			least := 0
			for last := false; ; {
				least = ownEvents(t, st, q, least)
				if last {
					return
				}
				last = done.Load() == writers
			}
		})
	}
	wait.Wait()
	if err := st.Settle(t.Context()); err != nil {
		t.Fatalf("settle: %v", err)
	}
	if got := ownEvents(t, st, sorted, 0); got != writers*14 {
		t.Errorf("%d events of one's own in the end, want %d", got, writers*14)
	}
}

// ownEvents counts what p1 finds, all of which must be for patients.
func ownEvents(t *testing.T, st store.Store, q *search.Query, least int) int {
	s, err := st.Snapshot(context.Background())
	if err != nil {
		t.Errorf("snapshot: %v", err)
		return least
	}
	defer s.Close()
	u := levels{"p1": consent.Self, "p2": consent.Full}.to("p1")
	page, err := s.Search(context.Background(), u, q, store.PageRequest{Limit: 1000, Count: true})
	if err != nil || len(page.Found) < least || page.Total != len(page.Found) {
		t.Errorf("%d events of %d found, %d before: %v", len(page.Found), page.Total, least, err)
	}
	for _, f := range page.Found {
		if f.Edition != consent.EditionBasic || f.Version != "b1" || len(f.Patients) != 1 || f.Patients[0] != "p1" || bytes.Contains(f.JSON, []byte("secret-reason")) {
			t.Errorf("edition %d, version %s of an event of %v: %s", f.Edition, f.Version, f.Patients, f.JSON)
		}
	}
	return len(page.Found)
}
