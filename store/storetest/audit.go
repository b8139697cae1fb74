package storetest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"sync"
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
