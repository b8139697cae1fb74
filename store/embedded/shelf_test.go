package embedded

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vitrine/consent"
	"vitrine/consent/audit"
	"vitrine/fhir/search"
	"vitrine/store"
)

func event(a, b byte) audit.Event {
	return audit.Event{
		ID: [16]byte{a, b}, Recorded: time.UnixMilli(1_700_000_000_000).UTC(), Kind: audit.KindRest,
		Interaction: "read", Action: audit.ActionRead, Patient: "p1",
	}
}

// TestSettleSeesAll: what was acknowledged before Settle is found after it,
// whoever else is writing and recording.
func TestSettleSeesAll(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	var wait sync.WaitGroup
	for w := range byte(4) {
		wait.Go(func() {
			for i := range byte(20) {
				e := event(w, i)
				var err error
				if w%2 == 0 {
					_, err = db.Record(context.Background(), e.AppendBinary(nil))
				} else {
					err = db.Write(context.Background(), func(tx store.Tx) error {
						tx.Record(e.AppendBinary(nil))
						return tx.Put(small(formatUUID(e.ID), "1"))
					})
				}
				if err = errors.Join(err, db.Settle(context.Background())); err != nil {
					t.Errorf("settle: %v", err)
				}
				s, err := db.Snapshot(context.Background())
				if err != nil {
					t.Errorf("snapshot: %v", err)
					return
				}
				if _, err := s.Read(context.Background(), consent.Everything(), typeAuditEvent, formatUUID(e.ID)); err != nil {
					t.Errorf("%s was acknowledged, settled, and is not found: %v", formatUUID(e.ID), err)
				}
				_ = s.Close()
			}
		})
	}
	wait.Wait()
	if s := db.Stats(); s.Backlog != 0 || s.Shelved != 80 || s.Unreadable != 0 {
		t.Errorf("figures: %+v, want 80 shelved and no backlog", s)
	}
}

// TestUnreadableRecord: a record nobody can read stops neither the log nor what
// comes after it.
func TestUnreadableRecord(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	e := event(1, 1)
	if _, err := db.Record(t.Context(), []byte("?"), e.AppendBinary(nil)); err != nil {
		t.Fatalf("record: %v", err)
	}
	if err := db.Settle(t.Context()); err != nil {
		t.Fatalf("settle: %v", err)
	}
	if d := cmp.Diff([]string{formatUUID(e.ID) + "/1"}, search1(t, db, &search.Query{Type: typeAuditEvent})); d != "" {
		t.Errorf("found (-want +got):\n%s", d)
	}
	if s := db.Stats(); s.Unreadable != 1 || s.Shelved != 1 {
		t.Errorf("figures: %+v, want one shelved and one unreadable", s)
	}
}
