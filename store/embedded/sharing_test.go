package embedded

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"vitrine/consent"
)

// TestSharedSnapshotsShowWhatWasAcknowledged: whoever comes after a write sees
// it, whoever came before does not, however they share; and the engine's
// snapshots are all given back.
func TestSharedSnapshotsShowWhatWasAcknowledged(t *testing.T) {
	db := openIn(t, filepath.Join(t.TempDir(), "store"), options(t))
	put(t, db, small("o0", "v0"))
	var wait sync.WaitGroup
	for w := range 4 {
		wait.Go(func() {
			id := "o" + strconv.Itoa(w+1)
			for i := range 30 {
				before, err := db.Snapshot(context.Background())
				if err != nil {
					t.Errorf("snapshot: %v", err)
					return
				}
				put(t, db, small(id, "v"+strconv.Itoa(i)))
				e := event(byte(w), byte(i))
				_, err = db.Record(context.Background(), e.AppendBinary(nil))
				if err = errors.Join(err, db.Settle(context.Background())); err != nil {
					t.Errorf("record: %v", err)
				}
				after, err := db.Snapshot(context.Background())
				if err != nil {
					t.Errorf("snapshot: %v", err)
					return
				}
				now, err := after.Read(context.Background(), consent.Everything(), "Observation", id)
				if err != nil || now.Version != "v"+strconv.Itoa(i) {
					t.Errorf("after version %d: got %s, %v", i, now.Version, err)
				}
				if _, err := after.Read(context.Background(), consent.Everything(), typeAuditEvent, formatUUID(e.ID)); err != nil {
					t.Errorf("the event of version %d: %v", i, err)
				}
				then, err := before.Read(context.Background(), consent.Everything(), "Observation", id)
				if i > 0 && (err != nil || then.Version != "v"+strconv.Itoa(i-1)) {
					t.Errorf("before version %d: got %s, %v", i, then.Version, err)
				}
				if err := errors.Join(before.Close(), after.Close(), after.Close()); err != nil {
					t.Errorf("close: %v", err)
				}
			}
		})
	}
	wait.Wait()
	if err := db.sharing.rest(); err != nil {
		t.Error(err)
	}
	if open := db.eng.Metrics().Snapshots.Count; open != 0 {
		t.Errorf("%d snapshots of the engine are open", open)
	}
}
